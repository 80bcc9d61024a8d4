// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// What kind of number an FP32 operand is, coded so that the kind of a product is the OR of the kinds of
// its factors: zero x infinity becomes NaN, anything x NaN stays NaN, and an ordinary factor changes
// nothing.
//
// Latency:    0, combinational.
// Throughput: 1 a cycle.
// Stalls:     none.

module mm_fp32_class (
  /// FP32 number without its sign.
  input  logic [30:0] number_i,
  /// 0 ordinary, 1 zero (a subnormal is one), 2 infinity, 3 NaN.
  output logic [1:0]  class_o
);

  logic zero, max;

  assign zero    = number_i[30:23] == 8'h00;
  assign max     = number_i[30:23] == 8'hff;
  assign class_o = {max, zero | (max & (number_i[22:0] != '0))};

endmodule
