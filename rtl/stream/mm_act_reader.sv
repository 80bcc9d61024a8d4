// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Activation reader: presents the four rows that the next weight strip needs. For every tile row of a step it goes once
// through the step's words, then on to the next step's bank without a pause.
//
// Latency:    4 cycles from an accepted step to act_valid_o: two of queue, one to take it, one to read the memory.
// Throughput: a word a cycle: the memory's read register is the output register.
// Stalls:     waits for the loader while it reads the bank that is being filled. act_pop_i reaches the memory's read
//             enable combinationally.

module mm_act_reader
  import mm_pkg::*;
#(
  /// Groups that a bank holds, >= 1.
  parameter  int unsigned MaxGroups = 128,
  /// Derived; do not set. Address of a word within a bank.
  localparam int unsigned WordBits  = $clog2(MaxGroups * ACT_BEATS)
) (
  /// Clock, rising edge.
  input  logic                clk_i,
  /// Reset, synchronous, active low.
  input  logic                rst_ni,
  /// Forget everything; the next step is in bank 0.
  input  logic                flush_i,

  /// A step is loaded or being loaded.
  input  logic                step_valid_i,
  /// It is taken; registered.
  output logic                step_ready_o,
  /// Its groups, 1..MaxGroups.
  input  logic [15:0]         step_groups_i,
  /// Its tile rows, >= 1.
  input  logic [15:0]         step_tile_rows_i,

  /// Bank of the latest load.
  input  logic                fill_bank_i,
  /// Words of it that can be read.
  input  logic [WordBits:0]   fill_words_i,

  /// Read a word of the buffer.
  output logic                rd_en_o,
  /// Bank of the word.
  output logic                rd_bank_o,
  /// Its place.
  output logic [WordBits-1:0] rd_word_o,

  /// The buffer's output holds the next word.
  output logic                act_valid_o,
  /// The word is used now.
  input  logic                act_pop_i
);

  logic                head_valid, head_ready;
  logic [15:0]         head_groups, head_tile_rows;
  logic [1:0]          level;

  // One step is being read, the next one may wait: there are two banks.
  mm_fifo #(
    .WidthBits(32),
    .Depth    (2)
  ) u_steps (
    .clk_i,
    .rst_ni,
    .flush_i,
    .in_valid_i (step_valid_i),
    .in_ready_o (step_ready_o),
    .in_data_i  ({step_groups_i, step_tile_rows_i}),
    .out_valid_o(head_valid),
    .out_ready_i(head_ready),
    .out_data_o ({head_groups, head_tile_rows}),
    .level_o    (level)
  );

  logic                active_d, active_q;
  logic                bank_d, bank_q;
  logic [WordBits-1:0] word_d, word_q;
  logic [WordBits-1:0] last_word_q;
  logic [15:0]         rows_left_d, rows_left_q;
  logic                valid_d, valid_q;
  logic                filled, row_ends, step_ends, take;

  assign filled    = (bank_q != fill_bank_i) | ((WordBits + 1)'(word_q) < fill_words_i);
  assign rd_en_o   = active_q & filled & (~valid_q | act_pop_i);
  assign row_ends  = rd_en_o & (word_q == last_word_q);
  assign step_ends = row_ends & (rows_left_q == 16'd1);

  assign head_ready = ~active_q | step_ends;
  assign take       = head_valid & head_ready;

  always_comb begin
    active_d    = active_q & ~step_ends;
    bank_d      = bank_q ^ take;
    word_d      = word_q;
    rows_left_d = rows_left_q;
    valid_d     = rd_en_o | (valid_q & ~act_pop_i);
    if (rd_en_o) word_d = word_q + WordBits'(1);
    if (row_ends) begin
      word_d      = '0;
      rows_left_d = rows_left_q - 16'd1;
    end
    if (take) begin
      active_d    = 1'b1;
      rows_left_d = head_tile_rows;
      word_d      = '0;
    end
    if (flush_i) begin
      active_d = 1'b0;
      bank_d   = 1'b1;
      valid_d  = 1'b0;
    end
  end

  // As in the loader the bank starts at 1: taking a step moves to the other one.
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      active_q <= 1'b0;
      bank_q   <= 1'b1;
      valid_q  <= 1'b0;
    end else begin
      active_q <= active_d;
      bank_q   <= bank_d;
      valid_q  <= valid_d;
    end
  end

  always_ff @(posedge clk_i) begin
    word_q      <= word_d;
    rows_left_q <= rows_left_d;
    if (take) last_word_q <= WordBits'(head_groups * 16'(ACT_BEATS) - 16'd1);
  end

  assign rd_bank_o   = bank_q;
  assign rd_word_o   = word_q;
  assign act_valid_o = valid_q;

  logic unused;
  assign unused = ^level;

`ifndef SYNTHESIS
  // Only a word that is there is used.
  a_pop : assert property (@(posedge clk_i) disable iff (!rst_ni)
      act_pop_i |-> valid_q);
`endif

endmodule
