// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Activation reader for exact group sums: presents the four rows that the next weight strip needs, for all vectors of the step. For every
// tile row of a step it goes once through the step's words, then on to the next step's bank.
//
// Latency:    8 cycles from an accepted step whose first group is there to act_valid_o: two of queue, one to take it, five through the
//             buffers and their small FIFOs.
// Throughput: a word a cycle. From step to step a cycle is lost, which the words read ahead hide as long as headers take a cycle now and
//             then; when the next step has another number of vectors the words of the one leave before those of the other
//             are read, 7 cycles.
// Stalls:     waits for the loader where it reads the bank that is being filled: for the group, of all vectors. act_pop_i ends at
//             the small FIFOs: reads are claimed ahead, so the memories never wait for it.
//
//   cycle  0       1            2             3            4
//          rd_en   memory reg   rd_move       fill         take -> out register, act_valid_o

module mm_group_reader
  import mm_pkg::*;
#(
  /// Activation vectors that share a pass, 1..16.
  parameter  int unsigned Batch     = 8,
  /// Groups that a bank holds, >= 1.
  parameter  int unsigned MaxGroups = 128,
  /// Words read ahead at most, a power of two, >= 8.
  parameter  int unsigned Ahead     = 8,
  /// Derived; do not set. Address of a word within a bank.
  localparam int unsigned WordBits  = $clog2(MaxGroups * ACT_BEATS),
  /// Derived; do not set. Holds 0..MaxGroups.
  localparam int unsigned GroupBits = $clog2(MaxGroups + 1),
  /// Derived; do not set. Place in the small FIFO.
  localparam int unsigned AheadBits = $clog2(Ahead)
) (
  /// Clock, rising edge.
  input  logic                 clk_i,
  /// Reset, synchronous, active low.
  input  logic                 rst_ni,
  /// Forget everything; the next step is in bank 0.
  input  logic                 flush_i,

  /// A step is loaded or being loaded.
  input  logic                 step_valid_i,
  /// It is taken; registered.
  output logic                 step_ready_o,
  /// Its groups, 1..MaxGroups.
  input  logic [15:0]          step_groups_i,
  /// Its tile rows, >= 1.
  input  logic [15:0]          step_tile_rows_i,
  /// Its vectors, 1..Batch.
  input  vectors_t             step_vectors_i,

  /// Bank of the latest load.
  input  logic                 fill_bank_i,
  /// Groups of it that can be read.
  input  logic [GroupBits-1:0] fill_groups_i,
  /// Vectors of either bank that hold a NaN or an infinity.
  input  logic [2*Batch-1:0]   nan_i,

  /// Buffer of vector v moves: bit v.
  output logic [Batch-1:0]     active_o,
  /// Read a word of the buffers.
  output logic                 rd_en_o,
  /// Bank of the word.
  output logic                 rd_bank_o,
  /// Its place.
  output logic [WordBits-1:0]  rd_word_o,
  /// The word read moves on.
  output logic                 rd_move_o,
  /// It goes into the small FIFO.
  output logic                 fill_o,
  /// Its place there.
  output logic [AheadBits-1:0] fill_ptr_o,
  /// The FIFO's next word goes to the output.
  output logic                 take_o,
  /// Its place.
  output logic [AheadBits-1:0] take_ptr_o,

  /// The buffers' outputs hold the next word.
  output logic                 act_valid_o,
  /// The word is used now.
  input  logic                 act_pop_i,
  /// Vectors of the step that hold a NaN or an infinity; complete with the last word of a tile row.
  output logic [Batch-1:0]     act_nan_o
);

  if (Ahead < 8 || (Ahead & (Ahead - 1)) != 0) begin : gen_bad_ahead
    $fatal(1, "%m: Ahead must be a power of two, >= 8, to cover a read's way");
  end

  logic        head_valid, head_ready;
  logic [15:0] head_groups, head_tile_rows;
  vectors_t    head_vectors;
  logic [1:0]  level;

  // One step is being read, the next one may wait: there are two banks.
  mm_fifo #(
    .WidthBits(32 + VECTOR_BITS),
    .Depth    (2)
  ) u_steps (
    .clk_i,
    .rst_ni,
    .flush_i,
    .in_valid_i (step_valid_i),
    .in_ready_o (step_ready_o),
    .in_data_i  ({step_groups_i, step_tile_rows_i, step_vectors_i}),
    .out_valid_o(head_valid),
    .out_ready_i(head_ready),
    .out_data_o ({head_groups, head_tile_rows, head_vectors}),
    .level_o    (level)
  );

  // ---- reads ----

  logic                 reading_d, reading_q;
  logic                 bank_d, bank_q;
  logic [3:0]           word_d, word_q;          // in the group
  logic [GroupBits-1:0] group_d, group_q;
  logic [GroupBits-1:0] last_group_q;
  logic [15:0]          rows_left_d, rows_left_q;
  logic                 last_row_d, last_row_q;  // rows_left_q = 1, known a cycle ahead
  vectors_t             vectors_q;
  logic [Batch-1:0]     active_q;
  logic [AheadBits:0]   claimed_q;               // words read and not yet used
  logic                 filled, room, group_ends, row_ends, step_ends, take_step;

  assign filled     = (bank_q != fill_bank_i) | (group_q < fill_groups_i);
  assign room       = ~claimed_q[AheadBits];
  assign rd_en_o    = reading_q & filled & room;
  assign group_ends = rd_en_o & (word_q == 4'd15);
  assign row_ends   = group_ends & (group_q == last_group_q);
  assign step_ends  = row_ends & last_row_q;

  assign head_ready = ~reading_q & (claimed_q == '0 || vectors_q == head_vectors);
  assign take_step  = head_valid & head_ready;

  always_comb begin
    reading_d   = reading_q & ~step_ends;
    bank_d      = bank_q ^ take_step;
    word_d      = word_q + 4'(rd_en_o);
    group_d     = group_q + GroupBits'(group_ends);
    rows_left_d = rows_left_q;
    last_row_d  = last_row_q;
    if (row_ends) begin
      group_d     = '0;
      rows_left_d = rows_left_q - 16'd1;
      last_row_d  = rows_left_q == 16'd2;
    end
    if (take_step) begin
      reading_d   = 1'b1;
      rows_left_d = head_tile_rows;
      last_row_d  = head_tile_rows == 16'd1;
      word_d      = '0;
      group_d     = '0;
    end
    if (flush_i) begin
      reading_d = 1'b0;
      bank_d    = 1'b1;
    end
  end

  // As in the loader the bank starts at 1: taking a step moves to the other one.
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      reading_q <= 1'b0;
      bank_q    <= 1'b1;
    end else begin
      reading_q <= reading_d;
      bank_q    <= bank_d;
    end
  end

  always_ff @(posedge clk_i) begin
    word_q      <= word_d;
    group_q     <= group_d;
    rows_left_q <= rows_left_d;
    last_row_q  <= last_row_d;
    if (take_step) begin
      last_group_q <= GroupBits'(head_groups - 16'd1);
      vectors_q    <= head_vectors;
      for (int v = 0; v < int'(Batch); v++) active_q[v] <= vectors_t'(v) < head_vectors;
    end
  end

  assign rd_bank_o = bank_q;
  assign rd_word_o = {group_q[WordBits-5:0], word_q};
  assign active_o  = active_q;

  // ---- the words' way: memory, register, small FIFO, output ----

  logic                 read_q, move_q, valid_q;
  logic [AheadBits-1:0] fill_ptr_q, take_ptr_q;
  logic [AheadBits:0]   waiting_q;               // words in the small FIFO
  logic [Batch-1:0]     nan_read_q, nan_move_q, nan_q;
  logic [Batch-1:0]     nan_ahead_q [Ahead];

  assign rd_move_o  = read_q;
  assign fill_o     = move_q;
  assign fill_ptr_o = fill_ptr_q;
  assign take_o     = (waiting_q != '0) & (~valid_q | act_pop_i);
  assign take_ptr_o = take_ptr_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || flush_i) begin
      claimed_q  <= '0;
      read_q     <= 1'b0;
      move_q     <= 1'b0;
      valid_q    <= 1'b0;
      waiting_q  <= '0;
      fill_ptr_q <= '0;
      take_ptr_q <= '0;
    end else begin
      claimed_q  <= claimed_q + (AheadBits + 1)'(rd_en_o) - (AheadBits + 1)'(act_pop_i);
      read_q     <= rd_en_o;
      move_q     <= read_q;
      valid_q    <= take_o | (valid_q & ~act_pop_i);
      waiting_q  <= waiting_q + (AheadBits + 1)'(move_q) - (AheadBits + 1)'(take_o);
      fill_ptr_q <= fill_ptr_q + AheadBits'(move_q);
      take_ptr_q <= take_ptr_q + AheadBits'(take_o);
    end
  end

  // The flags go beside the words: the reader may be in the next bank when a word is used.
  always_ff @(posedge clk_i) begin
    nan_read_q <= nan_i[bank_q*Batch +: Batch];
    nan_move_q <= nan_read_q;
    if (move_q) nan_ahead_q[fill_ptr_q] <= nan_move_q;
    if (take_o) nan_q <= nan_ahead_q[take_ptr_q];
  end

  assign act_valid_o = valid_q;
  assign act_nan_o   = nan_q & active_q;

  logic unused;
  assign unused = ^{level, group_q[GroupBits-1]};

`ifndef SYNTHESIS
  // Only a word that is there is used.
  a_pop : assert property (@(posedge clk_i) disable iff (!rst_ni)
      act_pop_i |-> valid_q);
  // The small FIFOs never hold more than they can.
  a_room : assert property (@(posedge clk_i) disable iff (!rst_ni || flush_i)
      waiting_q <= (AheadBits + 1)'(Ahead) && claimed_q <= (AheadBits + 1)'(Ahead));
`endif

endmodule
