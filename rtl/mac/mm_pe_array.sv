// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// The 8 x 8 PE array: 8 input rows by 8 output columns, time-shared over two cycles, because a port
// delivers 32 weights a cycle. So 4 rows x 8 columns of lanes exist; they are rows 0..3 of a step
// in its first cycle and rows 4..7 in its second.
//
// Latency:    6 cycles.
// Throughput: 32 products a cycle.
// Stalls:     none.
// Numerics:   as mm_pe.

module mm_pe_array (
  /// Clock, rising edge.
  input  logic          clk_i,
  /// 4 FP32 activations, row r at bits 32r.
  input  logic [127:0]  acts_i,
  /// 8 FP32 scales of 11 significant bits, column c at bits 32c.
  input  logic [255:0]  scales_i,
  /// 8 zeros, column c at bits 4c.
  input  logic [31:0]   zeros_i,
  /// 32 weights, row r and column c at bits 32r + 4c.
  input  logic [127:0]  weights_i,
  /// 32 FP32 products of the operands of 6 cycles ago, row r and column c at bits 256r + 32c.
  output logic [1023:0] products_o
);

  for (genvar r = 0; r < 4; r++) begin : gen_row
    for (genvar c = 0; c < 8; c++) begin : gen_col
      mm_pe u_pe (
        .clk_i,
        .act_i     (acts_i[32*r+:32]),
        .scale_i   (scales_i[32*c+:32]),
        .q_i       (weights_i[32*r+4*c+:4]),
        .zero_i    (zeros_i[4*c+:4]),
        .product_o (products_o[256*r+32*c+:32])
      );
    end
  end

`ifndef SYNTHESIS
  // The lanes do not look at the lower bits of a scale: they are zero.
  a_scales_narrow : assert property (@(posedge clk_i)
      (scales_i & {8{32'h0000_1fff}}) == '0);
`endif

endmodule
