// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Last stage of the multipliers: normalizes by at most one place, rounds, and makes the special
// results.
//
// Latency:    1 cycle.
// Throughput: 1 product a cycle.
// Stalls:     none.
// Numerics:   docs/arithmetic.md section 1. A product is rounded to a spacing of 2^-149 below
//             2^-126 and then flushed, so of all products below 2^-126 only those survive that
//             round up to it: at least 2^-126 - 2^-150, that is 24 leading significant bits that
//             are all ones, one binade below. There rounding up is forced: all ones carry into
//             exponent 1 and stay, anything else keeps exponent 0 and is flushed.

module mm_fp32_round_mul #(
  /// Width of the product of the significands, 27..48: a value in [1, 4), two bits before the
  /// point.
  parameter int unsigned ProductBits  = 48,
  /// Products below 2^-126 occur. If not, the rule above costs nothing.
  parameter bit          CanUnderflow = 1'b1
) (
  /// Clock, rising edge.
  input  logic                   clk_i,
  /// Sign of the product.
  input  logic                   sign_i,
  /// Biased exponent of a product in [1, 2), 0..509: with 510 rounding up could wrap.
  input  logic [8:0]             exp_i,
  /// The exponent is below 0, exp_i means nothing.
  input  logic                   exp_neg_i,
  /// Product of the significands; top bit set means [2, 4).
  input  logic [ProductBits-1:0] product_i,
  /// Kind of the product as in mm_fp32_class: 0 ordinary, 1 zero, 2 infinity, 3 NaN.
  input  logic [1:0]             class_i,
  /// Rounded product, FP32.
  output logic [31:0]            product_o
);

  logic                   top, lowest, increment, flushed, overflow;
  logic [ProductBits-1:0] sig;
  logic [31:0]            rounded;

  assign top     = product_i[ProductBits-1];
  // Leading one, 23 bits of fraction, guard bit, tail.
  assign sig     = product_i << ~top;
  // Exponent 0, also after normalization.
  assign lowest  = CanUnderflow & (exp_i == 9'h000) & ~top;
  assign increment = (sig[ProductBits-25] &
                      (sig[ProductBits-24] | (sig[ProductBits-26:0] != '0))) | lowest;
  // One carry chain: fraction, exponent, and the one place of normalization.
  assign rounded  = {exp_i, sig[ProductBits-2-:23]} + {8'b0, top, 23'b0} + 32'(increment);
  // Below exponent 0 a product can only be flushed: at -1 it would have to be in [4 - 2^-22, 4) to
  // round up to the smallest normal, and no two significands give that.
  assign flushed  = CanUnderflow & (exp_neg_i | (rounded[31:23] == 9'd0));
  assign overflow = rounded[31:23] >= 9'd255;

  logic [31:0] product_q;

  always_ff @(posedge clk_i) begin
    // Ordinary results first: the others are rare, which a simulator's branch prediction rewards.
    if (class_i == 2'd0 && !flushed && !overflow) begin
      product_q <= {sign_i, rounded[30:0]};
    end else if (class_i == 2'd3) begin
      product_q <= 32'h7fc0_0000;
    end else if (class_i == 2'd1 || (class_i == 2'd0 && flushed)) begin
      product_q <= {sign_i, 31'b0};
    end else begin
      product_q <= {sign_i, 8'hff, 23'b0};
    end
  end

  assign product_o = product_q;

endmodule
