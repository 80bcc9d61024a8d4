// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Activation buffer of one vector for exact group sums: two banks of words in block memory, each four mantissas and the exponent of their group (72
// bits, what a block memory's word has), and a small FIFO for the words that were read ahead.
//
// Latency:    2 cycles from rd_en_i to the word's way into the small FIFO (fill_i, two cycles after rd_en_i).
// Throughput: a word in and a word out a cycle.
// Stalls:     none of its own; mm_group_reader moves all buffers alike. Nothing moves while active_i is low (a vector that
//             the step does not have).

module mm_group_buffer
  import mm_pkg::*;
#(
  /// Groups that a bank holds, >= 1.
  parameter  int unsigned MaxGroups = 128,
  /// Words read ahead at most, a power of two.
  parameter  int unsigned Ahead     = 8,
  /// Derived; do not set. Address of a word within a bank.
  localparam int unsigned WordBits  = $clog2(MaxGroups * ACT_BEATS),
  /// Derived; do not set. Place in the small FIFO.
  localparam int unsigned AheadBits = $clog2(Ahead)
) (
  /// Clock, rising edge.
  input  logic                 clk_i,
  /// Write a word.
  input  logic                 wr_en_i,
  /// Bank of the word written.
  input  logic                 wr_bank_i,
  /// Its place in the bank.
  input  logic [WordBits-1:0]  wr_word_i,
  /// Exponent (bits 71..64) and four mantissas.
  input  logic [71:0]          wr_data_i,
  /// Read a word.
  input  logic                 rd_en_i,
  /// Bank of the word read.
  input  logic                 rd_bank_i,
  /// Its place in the bank.
  input  logic [WordBits-1:0]  rd_word_i,
  /// The word read goes from the memory's register to the output register.
  input  logic                 rd_move_i,
  /// It goes into the small FIFO.
  input  logic                 fill_i,
  /// Place of that word.
  input  logic [AheadBits-1:0] fill_ptr_i,
  /// The FIFO's next word goes to data_o.
  input  logic                 take_i,
  /// Place of that word.
  input  logic [AheadBits-1:0] take_ptr_i,
  /// The step has this vector; constant while words of it are on their way.
  input  logic                 active_i,
  /// The word that take_i gave.
  output logic [71:0]          data_o
);

  // The bank is the top address bit, so nothing is added on the way to the memory.
  (* ram_style = "block" *)
  logic [71:0] mem_q [2**(WordBits+1)];
  (* ram_style = "distributed" *)
  logic [71:0] ahead_q [Ahead];
  logic [71:0] read_q, read2_q, data_q;

  always_ff @(posedge clk_i) begin
    if (wr_en_i) mem_q[{wr_bank_i, wr_word_i}] <= wr_data_i;
    if (rd_en_i && active_i) read_q <= mem_q[{rd_bank_i, rd_word_i}];
  end

  always_ff @(posedge clk_i) begin
    if (rd_move_i && active_i) read2_q <= read_q;
    if (fill_i && active_i) ahead_q[fill_ptr_i] <= read2_q;
    if (take_i && active_i) data_q <= ahead_q[take_ptr_i];
  end

  assign data_o = data_q;

endmodule
