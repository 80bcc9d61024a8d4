// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// FP16 to FP32, exact.
//
// Latency:    0, combinational.
// Throughput: 1 a cycle.
// Stalls:     none.
// Numerics:   every finite FP16 number is a normal FP32 number or zero, subnormal ones included, so
//             nothing is rounded. Every NaN is 7FC00000. Bits 12..0 of the result are always zero.

module mm_fp16_to_fp32 (
  /// FP16 number: sign, 5 bits of exponent, 10 of fraction.
  input  logic [15:0] half_i,
  /// The same number in FP32.
  output logic [31:0] single_o
);

  logic        sign;
  logic [4:0]  exp_in;
  logic [9:0]  frac_in;
  logic        subnormal;
  // Leading zeros of a subnormal's fraction, 0..9, and the fraction with its leading one at bit 9.
  logic        by8, by4, by2, by1;
  logic [9:0]  norm8, norm4, norm2, norm1;
  logic [7:0]  exp_out;
  logic [9:0]  frac_out;

  assign {sign, exp_in, frac_in} = half_i;

  assign subnormal = exp_in == 5'd0;
  assign by8   = frac_in[9:2] == '0;
  assign norm8 = by8 ? {frac_in[1:0], 8'b0} : frac_in;
  assign by4   = norm8[9:6] == '0;
  assign norm4 = by4 ? {norm8[5:0], 4'b0} : norm8;
  assign by2   = norm4[9:8] == '0;
  assign norm2 = by2 ? {norm4[7:0], 2'b0} : norm4;
  assign by1   = ~norm2[9];
  assign norm1 = by1 ? {norm2[8:0], 1'b0} : norm2;

  always_comb begin
    // Bias 127 instead of 15.
    exp_out  = {3'b0, exp_in} + 8'd112;
    frac_out = frac_in;
    if (exp_in == 5'd31) begin
      exp_out  = 8'hff;
      frac_out = {|frac_in, 9'b0};
    end else if (subnormal) begin
      // 0.f x 2^-14 = 1.g x 2^(-15 - leading zeros); no one at all is zero.
      exp_out  = norm1[9] ? 8'd112 - {4'b0, by8, by4, by2, by1} : 8'd0;
      frac_out = {norm1[8:0], 1'b0};
    end
  end

  // A NaN has no sign here: it has one form only.
  assign single_o = {sign & ~((exp_in == 5'd31) & |frac_in), exp_out, frac_out, 13'b0};

endmodule
