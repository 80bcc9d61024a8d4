// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Activation loader: fetches the activations of a step into the next bank of the activation buffer and says how far it
// is, so that the first tile row may follow close behind.
//
// Latency:    1 cycle from an accepted step to rd_valid_o; a beat is announced in the cycle after it came.
// Throughput: a beat a cycle.
// Stalls:     a step is taken when the last load is complete and a bank is free; beats are always taken.
//
// Banks are used in turn. used_q counts those that are loading, loaded or being read.

module mm_act_loader
  import mm_pkg::*;
#(
  /// Groups that a bank holds, >= 1.
  parameter  int unsigned MaxGroups = 128,
  /// Derived; do not set. Address of a word within a bank.
  localparam int unsigned WordBits  = $clog2(MaxGroups * ACT_BEATS)
) (
  /// Clock, rising edge.
  input  logic                  clk_i,
  /// Reset, synchronous, active low.
  input  logic                  rst_ni,
  /// Forget everything: both banks are free.
  input  logic                  flush_i,

  /// A step's activations are to be loaded.
  input  logic                  cmd_valid_i,
  /// The step is taken; registered.
  output logic                  cmd_ready_o,
  /// Where they lie (4 KiB page).
  input  page_t                 cmd_page_i,
  /// How many groups, 1..MaxGroups.
  input  logic [15:0]           cmd_groups_i,

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

  /// Write the beat into the buffer.
  output logic                  wr_en_o,
  /// Into this bank.
  output logic                  wr_bank_o,
  /// At this place.
  output logic [WordBits-1:0]   wr_word_o,

  /// The oldest bank in use is free again; pulse.
  input  logic                  release_i,
  /// Bank of the latest load; every other bank in use is complete.
  output logic                  fill_bank_o,
  /// Words of that load that can be read.
  output logic [WordBits:0]     fill_words_o
);

  if (MaxGroups < 1) begin : gen_bad_groups
    $fatal(1, "%m: MaxGroups must be >= 1");
  end

  logic              busy_d, busy_q;
  logic              want_d, want_q;
  logic              bank_d, bank_q;
  logic [1:0]        used_d, used_q;
  logic [WordBits:0] words_d, words_q;
  logic [WordBits:0] total_q;
  page_t             page_q;
  logic              take;

  assign cmd_ready_o = ~busy_q & (used_q != 2'd2);
  assign take        = cmd_valid_i & cmd_ready_o;

  always_comb begin
    busy_d  = busy_q;
    want_d  = want_q & ~rd_ready_i;
    bank_d  = bank_q;
    used_d  = used_q + 2'(take) - 2'(release_i);
    words_d = words_q;
    if (beat_i) begin
      words_d = words_q + (WordBits + 1)'(1);
      if (words_d == total_q) busy_d = 1'b0;
    end
    if (take) begin
      busy_d  = 1'b1;
      want_d  = 1'b1;
      bank_d  = ~bank_q;
      words_d = '0;
    end
    if (flush_i) begin
      busy_d  = 1'b0;
      want_d  = 1'b0;
      bank_d  = 1'b1;
      used_d  = '0;
      words_d = '0;
    end
  end

  // The bank starts at 1, so that the first step gets bank 0.
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      busy_q  <= 1'b0;
      want_q  <= 1'b0;
      bank_q  <= 1'b1;
      used_q  <= '0;
      words_q <= '0;
    end else begin
      busy_q  <= busy_d;
      want_q  <= want_d;
      bank_q  <= bank_d;
      used_q  <= used_d;
      words_q <= words_d;
    end
  end

  always_ff @(posedge clk_i) begin
    if (take) begin
      page_q  <= cmd_page_i;
      total_q <= (WordBits + 1)'(cmd_groups_i * 16'(ACT_BEATS));
    end
  end

  assign rd_valid_o   = want_q;
  assign rd_addr_o    = {page_q, PAGE_BITS'(0)};
  assign rd_beats_o   = BEATS_BITS'(total_q);
  assign wr_en_o      = beat_i;
  assign wr_bank_o    = bank_q;
  assign wr_word_o    = words_q[WordBits-1:0];
  assign fill_bank_o  = bank_q;
  assign fill_words_o = words_q;

`ifndef SYNTHESIS
  // A beat comes only while a load is under way.
  a_beat_expected : assert property (@(posedge clk_i) disable iff (!rst_ni || flush_i)
      beat_i |-> busy_q);
  // A step fits into a bank.
  a_fits : assert property (@(posedge clk_i) disable iff (!rst_ni)
      take |-> cmd_groups_i != '0 && cmd_groups_i <= 16'(MaxGroups));
  // Only a bank in use is freed.
  a_release : assert property (@(posedge clk_i) disable iff (!rst_ni)
      release_i |-> used_q != '0);
`endif

endmodule
