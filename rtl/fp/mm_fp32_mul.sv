// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// FP32 multiplier, product_o = rn(a_i x b_i).
//
// Latency:    3 cycles: operands, product of the significands, rounding. The first two are the
//             input and the product register of a DSP48E2.
// Throughput: 1 product a cycle.
// Stalls:     none; the parent knows when an operation leaves by counting cycles.
// Numerics:   IEEE 754 binary32, round to nearest even, with docs/arithmetic.md section 1:
//             subnormal operands are zeros, a result is rounded and then flushed if subnormal,
//             every NaN is 7FC00000.
//
// A b of few significant bits (an FP16 scale has 11) makes the product narrow enough for one
// DSP48E2.

module mm_fp32_mul #(
  /// Significant bits of b, the leading one included, 3..24; the bits of b's fraction below must be
  /// zero and are not looked at (the parent asserts it once for all its lanes).
  parameter int unsigned SigBitsB = 24
) (
  /// Clock, rising edge.
  input  logic        clk_i,
  /// First operand, FP32.
  input  logic [31:0] a_i,
  /// Second operand, FP32 with at most SigBitsB significant bits.
  input  logic [31:0] b_i,
  /// rn(a x b) of the operands of 3 cycles ago, FP32.
  output logic [31:0] product_o
);

  localparam int unsigned ProductBits = 24 + SigBitsB;

  if (SigBitsB < 3 || SigBitsB > 24) begin : gen_bad_sig_bits
    $fatal(1, "%m: SigBitsB must be 3..24");
  end

  // ---- stage 1: operands ----
  logic [1:0] class_a, class_b;

  mm_fp32_class u_class_a (
    .number_i (a_i[30:0]),
    .class_o  (class_a)
  );

  mm_fp32_class u_class_b (
    .number_i (b_i[30:0]),
    .class_o  (class_b)
  );

  logic                sign_q;
  logic [1:0]          class_q;
  logic [9:0]          exp_q;
  logic [23:0]         sig_a_q;
  logic [SigBitsB-1:0] sig_b_q;

  always_ff @(posedge clk_i) begin
    sign_q  <= a_i[31] ^ b_i[31];
    class_q <= class_a | class_b;
    // a + b - 127, written so that one carry chain does it.
    exp_q   <= {2'b0, a_i[30:23]} + {2'b0, b_i[30:23]} + 10'h381;
    sig_a_q <= {1'b1, a_i[22:0]};
    sig_b_q <= {1'b1, b_i[22-:SigBitsB-1]};
  end

  // ---- stage 2: product ----
  logic                   sign_q2;
  logic [1:0]             class_q2;
  logic [9:0]             exp_q2;
  logic [ProductBits-1:0] product_q2;

  always_ff @(posedge clk_i) begin
    sign_q2    <= sign_q;
    class_q2   <= class_q;
    exp_q2     <= exp_q;
    product_q2 <= ProductBits'(sig_a_q) * ProductBits'(sig_b_q);
  end

  // ---- stage 3: round ----
  mm_fp32_round_mul #(
    .ProductBits (ProductBits)
  ) u_round (
    .clk_i,
    .sign_i    (sign_q2),
    .exp_i     (exp_q2[8:0]),
    .exp_neg_i (exp_q2[9]),
    .product_i (product_q2),
    .class_i   (class_q2),
    .product_o
  );

endmodule
