// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Last stage of the multipliers: normalizes by at most one place, rounds, and makes the special results.
//
// Latency:    1 cycle.
// Throughput: 1 product a cycle.
// Stalls:     none.
// Numerics:   docs/arithmetic.md section 1. A product is rounded to a spacing of 2^-149 below 2^-126
//             and then flushed, so of all products below 2^-126 only those survive that round up to it:
//             at least 2^-126 - 2^-150, that is 24 leading significant bits that are all ones, one
//             binade below. There rounding up is forced: all ones carry into exponent 1 and stay, anything
//             else keeps exponent 0 and is flushed.

module mm_fp32_round_mul #(
  /// Width of the product of the significands, 26..48: a value in [1, 4), two bits before the point.
  parameter int unsigned ProductBits = 48
) (
  /// Clock, rising edge.
  input  logic                   clk_i,
  /// Sign of the product.
  input  logic                   sign_i,
  /// Biased exponent of a product in [1, 2), two's complement, before normalization and rounding.
  input  logic [9:0]             exp_i,
  /// Product of the significands; top bit set means [2, 4).
  input  logic [ProductBits-1:0] product_i,
  /// An operand is zero (and none is infinite): the result is a zero.
  input  logic                   zero_i,
  /// An operand is infinite, none is zero or NaN: the result is infinite.
  input  logic                   inf_i,
  /// The result is NaN; overrules everything else.
  input  logic                   nan_i,
  /// Rounded product, FP32.
  output logic [31:0]            product_o
);

  logic        top, guard, tail, increment, lowest, tiny, huge;
  logic [22:0] frac;
  logic [32:0] rounded;

  assign top    = product_i[ProductBits-1];
  assign frac   = top ? product_i[ProductBits-2-:23] : product_i[ProductBits-3-:23];
  assign guard  = top ? product_i[ProductBits-25] : product_i[ProductBits-26];
  assign tail   = (top & product_i[ProductBits-26]) | (|product_i[ProductBits-27:0]);
  // Exponent 0 after normalization: exp_i + top == 0.
  assign lowest = exp_i == {10{top}};
  assign increment = (guard & (frac[0] | tail)) | lowest;
  // One carry chain: fraction, exponent, and the one place of normalization.
  assign rounded = {exp_i, frac} + {9'b0, top, 23'b0} + 33'(increment);
  assign tiny   = rounded[32] | (rounded[30:23] == 8'h00 & ~rounded[31]) | zero_i;
  assign huge   = (~rounded[32] & (rounded[31] | (&rounded[30:23])) & ~zero_i) | inf_i | nan_i;

  logic        sign_q;
  logic [7:0]  exp_q;
  logic [22:0] frac_q;

  always_ff @(posedge clk_i) begin
    sign_q <= sign_i & ~nan_i;
    if (tiny && !inf_i && !nan_i) exp_q <= '0;
    else                           exp_q <= rounded[30:23] | {8{huge}};
    if (tiny || huge) frac_q[21:0] <= '0;
    else                frac_q[21:0] <= rounded[21:0];
    frac_q[22] <= nan_i | (rounded[22] & ~tiny & ~huge);
  end

  assign product_o = {sign_q, exp_q, frac_q};

endmodule
