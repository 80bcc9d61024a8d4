// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// FP32 times a small integer, product_o = rn(a_i x (+-int_mag_i)).
//
// Latency:    3 cycles, as mm_fp32_mul.
// Throughput: 1 product a cycle.
// Stalls:     none; the parent knows when an operation leaves by counting cycles.
// Numerics:   as mm_fp32_mul with float(integer) as second operand: the sign of a x 0 is the sign
//             of a, infinity x 0 is NaN. The integer 0 has no sign.
//
// The integer is normalized to a significand of 4 bits and an exponent of 2, so the product needs
// nothing that mm_fp32_mul does not have, only less of it.

module mm_fp32_mul_int (
  /// Clock, rising edge.
  input  logic        clk_i,
  /// First operand, FP32.
  input  logic [31:0] a_i,
  /// The integer is negative; ignored if it is 0.
  input  logic        int_neg_i,
  /// Magnitude of the integer, 0..15.
  input  logic [3:0]  int_mag_i,
  /// rn(a x integer) of the operands of 3 cycles ago, FP32.
  output logic [31:0] product_o
);

  // ---- stage 1: operands ----
  logic [1:0] class_a;
  logic       int_zero;
  logic [3:0] int_sig;

  mm_fp32_class u_class_a (
    .number_i (a_i[30:0]),
    .class_o  (class_a)
  );

  assign int_zero = int_mag_i == 4'd0;

  // integer = int_sig x 2^(exponent - 3), the top bit of int_sig set unless the integer is 0.
  logic       exp_high, exp_low;
  logic [3:0] half_sig;

  assign exp_high = int_mag_i[3:2] != 2'b0;
  assign half_sig = int_mag_i << {~exp_high, 1'b0};
  assign exp_low  = half_sig[3];
  assign int_sig  = half_sig << ~exp_low;

  logic        sign_q;
  logic [1:0]  class_q;
  logic [8:0]  exp_q;
  logic [23:0] sig_a_q;
  logic [3:0]  sig_i_q;

  always_ff @(posedge clk_i) begin
    sign_q  <= a_i[31] ^ (int_neg_i & ~int_zero);
    class_q <= class_a | {1'b0, int_zero};
    exp_q   <= {1'b0, a_i[30:23]} + {7'b0, exp_high, exp_low};
    sig_a_q <= {1'b1, a_i[22:0]};
    sig_i_q <= int_sig;
  end

  // ---- stage 2: product ----
  logic        sign_q2;
  logic [1:0]  class_q2;
  logic [8:0]  exp_q2;
  logic [27:0] product_q2;

  always_ff @(posedge clk_i) begin
    sign_q2    <= sign_q;
    class_q2   <= class_q;
    exp_q2     <= exp_q;
    product_q2 <= 28'(sig_a_q) * 28'(sig_i_q);
  end

  // ---- stage 3: round ----
  mm_fp32_round_mul #(
    .ProductBits  (28),
    // The multiple of a normal number is normal.
    .CanUnderflow (1'b0)
  ) u_round (
    .clk_i,
    .sign_i    (sign_q2),
    .exp_i     (exp_q2),
    .exp_neg_i (1'b0),
    .product_i (product_q2),
    .class_i   (class_q2),
    .product_o
  );

endmodule
