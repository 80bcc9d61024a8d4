// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Activations: loads those of the next step into one bank of the buffer while the other one is read.
//
// Latency:    as its parts, mm_act_loader, mm_act_buffer and mm_act_reader.
// Throughput: a word in and a word out a cycle.
// Stalls:     as its parts; none is combinational from port to port.

module mm_activations
  import mm_pkg::*;
#(
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
  /// A read is wanted.
  output logic                  rd_valid_o,
  /// It is taken.
  input  logic                  rd_ready_i,
  /// Its address.
  output logic [ADDR_BITS-1:0]  rd_addr_o,
  /// Its length, beats.
  output logic [BEATS_BITS-1:0] rd_beats_o,
  /// A beat of it comes now (its data goes to the buffer directly).
  input  logic                  beat_i,
  /// The beat.
  input  logic [STRIP_BITS-1:0] beat_data_i,
  /// The oldest bank in use is free again; pulse.
  input  logic                  release_i,
  /// The buffer's output holds the next word.
  output logic                  act_valid_o,
  /// The word is used now.
  input  logic                  act_pop_i,
  /// The word that act_valid_o announces.
  output logic [STRIP_BITS-1:0] act_data_o
);

  localparam int unsigned WordBits = $clog2(MaxGroups * ACT_BEATS);

  logic                loader_ready, reader_ready, step;
  logic                wr_en, wr_bank, rd_en, rd_bank, fill_bank;
  logic [WordBits-1:0] wr_word, rd_word;
  logic [WordBits:0]   fill_words;

  assign step_ready_o = loader_ready & reader_ready;
  assign step         = step_valid_i & step_ready_o;

  mm_act_loader #(
    .MaxGroups(MaxGroups)
  ) u_loader (
    .clk_i,
    .rst_ni,
    .flush_i,
    .cmd_valid_i (step),
    .cmd_ready_o (loader_ready),
    .cmd_page_i  (step_page_i),
    .cmd_groups_i(step_groups_i),
    .rd_valid_o,
    .rd_ready_i,
    .rd_addr_o,
    .rd_beats_o,
    .beat_i,
    .wr_en_o     (wr_en),
    .wr_bank_o   (wr_bank),
    .wr_word_o   (wr_word),
    .release_i,
    .fill_bank_o (fill_bank),
    .fill_words_o(fill_words)
  );

  mm_act_buffer #(
    .MaxGroups(MaxGroups)
  ) u_buffer (
    .clk_i,
    .wr_en_i  (wr_en),
    .wr_bank_i(wr_bank),
    .wr_word_i(wr_word),
    .wr_data_i(beat_data_i),
    .rd_en_i  (rd_en),
    .rd_bank_i(rd_bank),
    .rd_word_i(rd_word),
    .rd_data_o(act_data_o)
  );

  mm_act_reader #(
    .MaxGroups(MaxGroups)
  ) u_reader (
    .clk_i,
    .rst_ni,
    .flush_i,
    .step_valid_i    (step),
    .step_ready_o    (reader_ready),
    .step_groups_i,
    .step_tile_rows_i,
    .fill_bank_i     (fill_bank),
    .fill_words_i    (fill_words),
    .rd_en_o         (rd_en),
    .rd_bank_o       (rd_bank),
    .rd_word_o       (rd_word),
    .act_valid_o,
    .act_pop_i
  );

endmodule
