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
  logic a_zero, a_max, a_nan, b_zero, b_max, b_nan;

  assign a_zero = a_i[30:23] == 8'h00;
  assign a_max  = a_i[30:23] == 8'hff;
  assign a_nan  = a_max & (|a_i[22:0]);
  assign b_zero = b_i[30:23] == 8'h00;
  assign b_max  = b_i[30:23] == 8'hff;
  assign b_nan  = b_max & (|b_i[22:0]);

  logic                sign_q, zero_q, inf_q, nan_q;
  logic [9:0]          exp_q;
  logic [23:0]         sig_a_q;
  logic [SigBitsB-1:0] sig_b_q;

  always_ff @(posedge clk_i) begin
    sign_q  <= a_i[31] ^ b_i[31];
    zero_q  <= a_zero | b_zero;
    inf_q   <= a_max | b_max;
    nan_q   <= a_nan | b_nan | (a_zero & b_max) | (a_max & b_zero);
    // a + b - 127, written so that one carry chain does it.
    exp_q   <= {2'b0, a_i[30:23]} + {2'b0, b_i[30:23]} + 10'h381;
    sig_a_q <= {1'b1, a_i[22:0]};
    sig_b_q <= {1'b1, b_i[22-:SigBitsB-1]};
  end

  // ---- stage 2: product ----
  logic                   sign_q2, zero_q2, inf_q2, nan_q2;
  logic [8:0]             exp_q2;
  logic [ProductBits-1:0] product_q2;

  always_ff @(posedge clk_i) begin
    sign_q2    <= sign_q;
    // Below exponent 0 a product can only be flushed: at -1 it would have to be in [4 - 2^-22, 4) to
    // round up to the smallest normal, and no two significands give that.
    zero_q2    <= zero_q | exp_q[9];
    inf_q2     <= inf_q;
    nan_q2     <= nan_q;
    exp_q2     <= exp_q[8:0];
    product_q2 <= ProductBits'(sig_a_q) * ProductBits'(sig_b_q);
  end

  // ---- stage 3: round ----
  mm_fp32_round_mul #(
    .ProductBits (ProductBits)
  ) u_round (
    .clk_i,
    .sign_i    (sign_q2),
    .exp_i     (exp_q2),
    .product_i (product_q2),
    .zero_i    (zero_q2),
    .inf_i     (inf_q2),
    .nan_i     (nan_q2),
    .product_o
  );

endmodule
