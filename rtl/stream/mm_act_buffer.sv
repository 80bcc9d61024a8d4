// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Activation buffer: two banks of MaxGroups * 64 FP32 activations in one block memory of 128-bit words; word w of
// a bank holds input channels 4w .. 4w+3, channel 4w at bits 31..0.
//
// Latency:    1 cycle from rd_en_i to rd_data_o; a word written in one cycle can be read in the next.
// Throughput: one word in and one word out a cycle.
// Stalls:     none; rd_data_o keeps its value while rd_en_i is low.

module mm_act_buffer
  import mm_pkg::*;
#(
  /// Groups of 64 input channels that a bank holds, >= 1.
  parameter  int unsigned MaxGroups = 128,
  /// Derived; do not set. Address of a word within a bank.
  localparam int unsigned WordBits  = $clog2(MaxGroups * ACT_BEATS)
) (
  /// Clock, rising edge.
  input  logic                  clk_i,
  /// Write a word.
  input  logic                  wr_en_i,
  /// Bank of the word written.
  input  logic                  wr_bank_i,
  /// Its place in the bank.
  input  logic [WordBits-1:0]   wr_word_i,
  /// Four activations.
  input  logic [STRIP_BITS-1:0] wr_data_i,
  /// Read a word.
  input  logic                  rd_en_i,
  /// Bank of the word read.
  input  logic                  rd_bank_i,
  /// Its place in the bank.
  input  logic [WordBits-1:0]   rd_word_i,
  /// Four activations, in the cycle after rd_en_i.
  output logic [STRIP_BITS-1:0] rd_data_o
);

  if (MaxGroups < 1) begin : gen_bad_groups
    $fatal(1, "%m: MaxGroups must be >= 1");
  end

  // The bank is the top address bit, so nothing is added on the way to the memory.
  logic [STRIP_BITS-1:0] mem_q [2**(WordBits+1)];
  logic [STRIP_BITS-1:0] rd_data_q;

  always_ff @(posedge clk_i) begin
    if (wr_en_i) mem_q[{wr_bank_i, wr_word_i}] <= wr_data_i;
    if (rd_en_i) rd_data_q <= mem_q[{rd_bank_i, rd_word_i}];
  end

  assign rd_data_o = rd_data_q;

`ifndef SYNTHESIS
  // A word is never read in the cycle that writes it: the loader announces it only afterwards.
  a_no_collision : assert property (@(posedge clk_i)
      !(wr_en_i && rd_en_i && wr_bank_i == rd_bank_i && wr_word_i == rd_word_i));
`endif

endmodule
