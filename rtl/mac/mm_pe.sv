// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// One product lane, product_o = rn(rn(act_i x scale_i) x (q_i - zero_i)).
//
// Latency:    6 cycles.
// Throughput: 1 product a cycle.
// Stalls:     none.
// Numerics:   docs/arithmetic.md section 2: the zero is subtracted as integers, the activation is
//             multiplied with the scale, then with the integer; two roundings.
//
//   act, scale --[ mm_fp32_mul: 1 2 3 ]--[ mm_fp32_mul_int: 4 5 6 ]--> product
//   q, zero ---[1: q - z ][2: sign, magnitude ][3]--^
//
// The ports are visible to Verilator so that all lanes of the accelerator share one compiled
// function.

module mm_pe (
  /// Clock, rising edge.
  input  logic        clk_i,
  /// Activation, FP32.
  input  logic [31:0] act_i     /*verilator public_flat_rd*/,
  /// Scale, FP32 with 11 significant bits (exact from FP16).
  input  logic [31:0] scale_i   /*verilator public_flat_rd*/,
  /// Quantized weight, 0..15.
  input  logic [3:0]  q_i       /*verilator public_flat_rd*/,
  /// Zero, 0..15.
  input  logic [3:0]  zero_i    /*verilator public_flat_rd*/,
  /// Product of the operands of 6 cycles ago, FP32.
  output logic [31:0] product_o /*verilator public_flat_rd*/
);
  /*verilator no_inline_module*/

  logic [31:0] scaled;

  mm_fp32_mul #(
    .SigBitsB (11)
  ) u_mul_scale (
    .clk_i,
    .a_i       (act_i),
    .b_i       (scale_i),
    .product_o (scaled)
  );

  // The integer waits for the scaled activation. Each place does a part of the work, so that the
  // waiting is not built as a shift register of LUTs.
  logic [4:0] diff_q;
  logic       neg_q2, neg_q3;
  logic [3:0] mag_q2, mag_q3;

  always_ff @(posedge clk_i) begin
    diff_q <= {1'b0, q_i} - {1'b0, zero_i};
    neg_q2 <= diff_q[4];
    mag_q2 <= (diff_q[3:0] ^ {4{diff_q[4]}}) + 4'(diff_q[4]);
    neg_q3 <= neg_q2;
    mag_q3 <= mag_q2;
  end

  mm_fp32_mul_int u_mul_int (
    .clk_i,
    .a_i       (scaled),
    .int_neg_i (neg_q3),
    .int_mag_i (mag_q3),
    .product_o
  );

endmodule
