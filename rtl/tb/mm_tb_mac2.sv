// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Testbench top: two mm_dsp_mac2, the first row of a column and one behind it, on operands of their own.
//
// Latency, Throughput, Stalls: as mm_dsp_mac2.

module mm_tb_mac2 (
  /// Clock, rising edge.
  input  logic        clk_i,
  /// Clock enable.
  input  logic        en_i,
  /// Weights, zeros, mantissa of the first row.
  input  logic [7:0]  weights0_i,
  input  logic [7:0]  zeros0_i,
  input  logic [15:0] mant0_i,
  /// Weights, zeros, mantissa of the second row.
  input  logic [7:0]  weights1_i,
  input  logic [7:0]  zeros1_i,
  input  logic [15:0] mant1_i,
  /// Sum of the first row.
  output logic [47:0] p0_o,
  /// Sum of both: the second row of 4 cycles ago, the first of 5.
  output logic [47:0] p1_o
);

  logic [47:0] cascade;
  logic        unused;

  mm_dsp_mac2 #(
    .Cascade (1'b0)
  ) u_first (
    .clk_i,
    .en_i,
    .weights_i (weights0_i),
    .zeros_i   (zeros0_i),
    .mant_i    (mant0_i),
    .pc_i      (48'b0),
    .pc_o      (cascade),
    .p_o       (p0_o)
  );

  logic [47:0] cascade_end;

  mm_dsp_mac2 u_second (
    .clk_i,
    .en_i,
    .weights_i (weights1_i),
    .zeros_i   (zeros1_i),
    .mant_i    (mant1_i),
    .pc_i      (cascade),
    .pc_o      (cascade_end),
    .p_o       (p1_o)
  );

  assign unused = &{1'b0, cascade_end};

endmodule
