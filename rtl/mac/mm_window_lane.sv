// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Datapath of the sliding window of one column: one adder, shared by the tree's last level, the
// accumulation and the fold; mm_window_acc steers it.
//
// Latency:    as mm_fp32_add, 4 cycles an addition.
// Throughput: 1 addition a cycle.
// Stalls:     none.
// Numerics:   as mm_fp32_add.
//
//            .-- lo ---.                          .-- sum_i --.
//            |-- w0 ---|                          |           |
//            |-- w1 ---|--> X --[ adder ]<-- Y <--|-- back ---|
//            '-- out --'           |              '-- out ----'
//                                 out --> back --> w0, w1

module mm_window_lane (
  /// Clock, rising edge.
  input  logic        clk_i,
  /// Output of the column's adder tree, FP32.
  input  logic [31:0] sum_i,
  /// Keep sum_i as the first half of a step.
  input  logic        lo_en_i,
  /// First operand: 0 first half of a step, 1 window place 0, 2 window place 1, 3 the adder's
  /// output.
  input  logic [1:0]  x_sel_i,
  /// Second operand: 0 sum_i, 1 the adder's output a cycle ago, 2 or 3 the adder's output.
  input  logic [1:0]  y_sel_i,
  /// Window place 0 takes the adder's output of a cycle ago.
  input  logic        w0_en_i,
  /// Window place 1 takes the adder's output of a cycle ago.
  input  logic        w1_en_i,
  /// The adder's output, FP32.
  output logic [31:0] out_o
);

  logic [31:0] lo_q, back_q, w0_q, w1_q, x, y;

  always_comb begin
    unique case (x_sel_i)
      2'd0:    x = lo_q;
      2'd1:    x = w0_q;
      2'd2:    x = w1_q;
      default: x = out_o;
    endcase
    unique case (y_sel_i)
      2'd0:    y = sum_i;
      2'd1:    y = back_q;
      default: y = out_o;
    endcase
  end

  mm_fp32_add u_add (
    .clk_i,
    .a_i   (x),
    .b_i   (y),
    .sum_o (out_o)
  );

  always_ff @(posedge clk_i) begin
    back_q <= out_o;
    if (lo_en_i) lo_q <= sum_i;
    if (w0_en_i) w0_q <= back_q;
    if (w1_en_i) w1_q <= back_q;
  end

endmodule
