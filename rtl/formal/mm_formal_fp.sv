// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Proof of mm_fp16_to_fp32 and mm_fp32_class.
//
// Assumed:  nothing; every input is tried.
// Proven:   mm_fp16_to_fp32 gives the same number: written as integer times power of two, significand and exponent of both sides agree; zero
//           keeps its sign, infinity too, every NaN is 7FC00000. mm_fp32_class: the OR of the kinds of two factors is the kind of their
//           product, zero x infinity included.
// Method:   combinational, so one step is all there is (bmc, depth 1).

module mm_formal_fp (
  input logic [15:0] half_i,
  input logic [30:0] a_i,
  input logic [30:0] b_i
);

  logic [31:0] single;
  logic [1:0]  class_a, class_b;

  mm_fp16_to_fp32 dut_half (.half_i, .single_o(single));
  mm_fp32_class dut_a (.number_i(a_i), .class_o(class_a));
  mm_fp32_class dut_b (.number_i(b_i), .class_o(class_b));

  // The magnitude of either side as an integer: units of 2^-24 for FP16. FP32's is shifted there; nothing of it may lie below.
  logic [41:0] half_units, single_units;
  logic [9:0]  shift;

  always_comb begin
    half_units = 42'(half_i[9:0]);
    if (half_i[14:10] != '0) half_units = 42'({1'b1, half_i[9:0]}) << (half_i[14:10] - 5'd1);
    // 1.f x 2^(e - 127) = {1, f} x 2^(e - 150), in units of 2^-24: {1, f} x 2^(e - 126); e from 103 (the smallest subnormal) to 142.
    shift        = 10'd126 - 10'(single[30:23]);
    single_units = '0;
    if (single[30:23] >= 8'd126) single_units = 42'({1'b1, single[22:0]}) << (single[30:23] - 8'd126);
    else if (single[30:23] != '0) single_units = 42'({1'b1, single[22:0]}) >> shift;
  end

  logic finite, nan, a_zero, b_zero, a_inf, b_inf, a_nan, b_nan;

  assign finite = half_i[14:10] != 5'd31;
  assign nan    = !finite && half_i[9:0] != '0;
  assign a_zero = a_i[30:23] == '0;
  assign b_zero = b_i[30:23] == '0;
  assign a_inf  = a_i == 31'h7f80_0000;
  assign b_inf  = b_i == 31'h7f80_0000;
  assign a_nan  = a_i > 31'h7f80_0000;
  assign b_nan  = b_i > 31'h7f80_0000;

  always_comb begin
    a_value: assert (!finite || (single_units == half_units && single[31] == half_i[15]));
    a_exact: assert (!finite || single[30:23] >= 8'd126 || single[30:23] == '0 ||
                     (42'({1'b1, single[22:0]}) >> shift) << shift == 42'({1'b1, single[22:0]}));
    a_zero_form: assert (!finite || half_units != '0 || single[30:0] == '0);
    a_range: assert (!finite || half_units == '0 || (single[30:23] >= 8'd103 && single[30:23] <= 8'd142));
    a_infinity: assert (finite || nan || single == {half_i[15], 31'h7f80_0000});
    a_nan_form: assert (!nan || single == 32'h7fc0_0000);

    if (a_nan || b_nan || (a_zero && b_inf) || (a_inf && b_zero)) a_kind_nan: assert ((class_a | class_b) == 2'd3);
    else if (a_inf || b_inf) a_kind_inf: assert ((class_a | class_b) == 2'd2);
    else if (a_zero || b_zero) a_kind_zero: assert ((class_a | class_b) == 2'd1);
    else a_kind_number: assert ((class_a | class_b) == 2'd0);

    c_smallest: cover (finite && half_units == 42'd1 && half_i[15]);
    c_largest: cover (finite && single[30:23] == 8'd142 && single[22:13] == '1);
    c_nothing: cover (a_zero && b_inf);
  end

endmodule
