// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Activations for exact group sums: loads those of the next step, converted, into one bank of the buffers while the other one is read.
//
// Latency:    as its parts, mm_bfp_convert, mm_group_loader, mm_group_buffer and mm_group_reader.
// Throughput: a beat in and a word of all vectors out a cycle.
// Stalls:     as its parts; none is combinational from port to port.

module mm_group_activations
  import mm_pkg::*;
#(
  /// Activation vectors that share a pass, 1..16.
  parameter int unsigned Batch     = 8,
  /// Groups of 64 input channels that a bank holds, >= 1.
  parameter int unsigned MaxGroups = 128
) (
  /// Clock, rising edge.
  input  logic                  clk_i,
  /// Reset, synchronous, active low.
  input  logic                  rst_ni,
  /// Forget everything: both banks are free.
  input  logic                  flush_i,
  /// A step goes to loader and reader.
  input  logic                  step_valid_i,
  /// Both take it.
  output logic                  step_ready_o,
  /// Page of its activations.
  input  logic [27:0]           step_page_i,
  /// Its groups.
  input  logic [15:0]           step_groups_i,
  /// Its tile rows.
  input  logic [15:0]           step_tile_rows_i,
  /// Its vectors.
  input  vectors_t              step_vectors_i,
  /// Its groups times its vectors.
  input  slices_t               step_slices_i,
  /// A read is wanted.
  output logic                  rd_valid_o,
  /// It is taken.
  input  logic                  rd_ready_i,
  /// Its address.
  output logic [ADDR_BITS-1:0]  rd_addr_o,
  /// Its length, beats.
  output logic [BEATS_BITS-1:0] rd_beats_o,
  /// A beat of it comes now.
  input  logic                  beat_i,
  /// The beat: four FP32.
  input  logic [STRIP_BITS-1:0] beat_data_i,
  /// The oldest bank in use is free again; pulse.
  input  logic                  release_i,
  /// The buffers' outputs hold the next word.
  output logic                  act_valid_o,
  /// The word is used now.
  input  logic                  act_pop_i,
  /// The word that act_valid_o announces: mantissa of row r, vector v at bits 64v + 16r.
  output logic [Batch*64-1:0]   act_data_o,
  /// Exponent of its group, vector v at bits 8v.
  output logic [Batch*8-1:0]    act_exp_o,
  /// Vectors that hold a NaN or an infinity; complete with the last word of a tile row.
  output logic [Batch-1:0]      act_nan_o,
  /// A NaN or an infinity has come; pulse.
  output logic                  nan_seen_o
);

  localparam int unsigned WordBits  = $clog2(MaxGroups * ACT_BEATS);
  localparam int unsigned GroupBits = $clog2(MaxGroups + 1);
  localparam int unsigned Ahead     = 8;
  localparam int unsigned AheadBits = $clog2(Ahead);

  logic                 loader_ready, reader_ready, step;
  logic                 word_valid, word_last, word_nan;
  logic [63:0]          word_mant;
  logic [7:0]           word_exp;
  logic [Batch-1:0]     wr_en;
  logic                 wr_bank, fill_bank;
  logic [WordBits-1:0]  wr_word, rd_word;
  logic [GroupBits-1:0] fill_groups;
  logic [2*Batch-1:0]   nan;
  logic [Batch-1:0]     active;
  logic                 rd_en, rd_bank, rd_move, fill, take;
  logic [AheadBits-1:0] fill_ptr, take_ptr;

  assign step_ready_o = loader_ready & reader_ready;
  assign step         = step_valid_i & step_ready_o;

  mm_bfp_convert u_convert (
    .clk_i,
    .rst_ni,
    .flush_i,
    .beat_valid_i(beat_i),
    .beat_data_i,
    .word_valid_o(word_valid),
    .word_last_o (word_last),
    .word_mant_o (word_mant),
    .word_exp_o  (word_exp),
    .word_nan_o  (word_nan)
  );

  mm_group_loader #(
    .Batch    (Batch),
    .MaxGroups(MaxGroups)
  ) u_loader (
    .clk_i,
    .rst_ni,
    .flush_i,
    .cmd_valid_i  (step),
    .cmd_ready_o  (loader_ready),
    .cmd_page_i   (step_page_i),
    .cmd_groups_i (step_groups_i),
    .cmd_vectors_i(step_vectors_i),
    .cmd_slices_i (step_slices_i),
    .rd_valid_o,
    .rd_ready_i,
    .rd_addr_o,
    .rd_beats_o,
    .word_valid_i (word_valid),
    .word_last_i  (word_last),
    .word_nan_i   (word_nan),
    .wr_en_o      (wr_en),
    .wr_bank_o    (wr_bank),
    .wr_word_o    (wr_word),
    .release_i,
    .fill_bank_o  (fill_bank),
    .fill_groups_o(fill_groups),
    .nan_o        (nan),
    .nan_seen_o
  );

  mm_group_reader #(
    .Batch    (Batch),
    .MaxGroups(MaxGroups),
    .Ahead    (Ahead)
  ) u_reader (
    .clk_i,
    .rst_ni,
    .flush_i,
    .step_valid_i    (step),
    .step_ready_o    (reader_ready),
    .step_groups_i,
    .step_tile_rows_i,
    .step_vectors_i,
    .fill_bank_i     (fill_bank),
    .fill_groups_i   (fill_groups),
    .nan_i           (nan),
    .active_o        (active),
    .rd_en_o         (rd_en),
    .rd_bank_o       (rd_bank),
    .rd_word_o       (rd_word),
    .rd_move_o       (rd_move),
    .fill_o          (fill),
    .fill_ptr_o      (fill_ptr),
    .take_o          (take),
    .take_ptr_o      (take_ptr),
    .act_valid_o,
    .act_pop_i,
    .act_nan_o
  );

  for (genvar v = 0; v < Batch; v++) begin : gen_vector
    mm_group_buffer #(
      .MaxGroups(MaxGroups),
      .Ahead    (Ahead)
    ) u_buffer (
      .clk_i,
      .wr_en_i   (wr_en[v]),
      .wr_bank_i (wr_bank),
      .wr_word_i (wr_word),
      .wr_data_i ({word_exp, word_mant}),
      .rd_en_i   (rd_en),
      .rd_bank_i (rd_bank),
      .rd_word_i (rd_word),
      .rd_move_i (rd_move),
      .fill_i    (fill),
      .fill_ptr_i(fill_ptr),
      .take_i    (take),
      .take_ptr_i(take_ptr),
      .active_i  (active[v]),
      .data_o    ({act_exp_o[8*v +: 8], act_data_o[64*v +: 64]})
    );
  end

endmodule
