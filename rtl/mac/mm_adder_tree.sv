// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Levels 1 and 2 of a column's adder tree, sum_o = rn(rn(p0 + p1) + rn(p2 + p3)). Level 3 adds the
// two halves of a step; it shares an adder with the accumulation (mm_window_acc).
//
// Latency:    8 cycles.
// Throughput: 1 sum of four a cycle.
// Stalls:     none.
// Numerics:   docs/arithmetic.md section 3, "lo" and "hi".

module mm_adder_tree (
  /// Clock, rising edge.
  input  logic         clk_i,
  /// 4 FP32 products, row r at bits 32r.
  input  logic [127:0] products_i,
  /// Sum of the products of 8 cycles ago, FP32.
  output logic [31:0]  sum_o
);

  logic [31:0] low, high;

  mm_fp32_add u_low (
    .clk_i,
    .a_i   (products_i[31:0]),
    .b_i   (products_i[63:32]),
    .sum_o (low)
  );

  mm_fp32_add u_high (
    .clk_i,
    .a_i   (products_i[95:64]),
    .b_i   (products_i[127:96]),
    .sum_o (high)
  );

  mm_fp32_add u_both (
    .clk_i,
    .a_i   (low),
    .b_i   (high),
    .sum_o
  );

endmodule
