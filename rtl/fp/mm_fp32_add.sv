// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// FP32 adder, sum_o = rn(a_i + b_i).
//
// Latency:    4 cycles.
// Throughput: 1 sum a cycle.
// Stalls:     none; the parent knows when an operation leaves by counting cycles.
// Numerics:   IEEE 754 binary32, round to nearest even, with docs/arithmetic.md section 1: subnormal
//             operands are zeros, a subnormal sum becomes the zero of its sign, every NaN is 7FC00000.
//
// One path, made to be small. The operand of larger magnitude is put first by one 31-bit comparison, so
// the difference of the significands is never negative, and a NaN or an infinity is always found in
// first place. A sum below 2^-126 is exact, so it can be flushed before rounding.
//
//   stage 1  compare, swap, exponent difference, shift of the small operand by bit 0 of the difference
//   stage 2  rest of the alignment shift, sticky bit, add or subtract:
//              first  1.fffffffffffffffffffffff 00          24 + 2 bits
//              second 0.000001fffffffffffffffff ff | sticky
//   stage 3  count leading zeros and shift left by 16, 8, 4, 2 (the carry is the top bit: "shift by 0")
//   stage 4  shift left by 1, round; one carry chain over exponent and fraction
//
// Registers that must become zero in special cases are cleared by their reset input, which costs no LUT.

module mm_fp32_add (
  /// Clock, rising edge.
  input  logic        clk_i,
  /// First operand, FP32.
  input  logic [31:0] a_i,
  /// Second operand, FP32.
  input  logic [31:0] b_i,
  /// rn(a + b) of the operands of 4 cycles ago, FP32.
  output logic [31:0] sum_o
);

  // ---- stage 1: order by magnitude, exponent difference ----
  logic        swap, a_zero, b_zero, any_zero, both_zero, any_max, both_max, first_nan;
  logic [31:0] first;
  logic [30:0] second;
  logic [7:1]  diff;
  logic        far;

  assign swap      = a_i[30:0] < b_i[30:0];
  assign first     = swap ? b_i : a_i;
  assign second    = swap ? a_i[30:0] : b_i[30:0];
  assign a_zero    = a_i[30:23] == 8'h00;
  assign b_zero    = b_i[30:23] == 8'h00;
  assign any_zero  = a_zero | b_zero;
  assign both_zero = a_zero & b_zero;
  assign any_max   = (a_i[30:23] == 8'hff) | (b_i[30:23] == 8'hff);
  assign both_max  = (a_i[30:23] == 8'hff) & (b_i[30:23] == 8'hff);
  assign diff      = 7'((first[30:23] - second[30:23]) >> 1);
  assign far       = |diff[7:5];
  assign first_nan = |first[22:0];

  logic        sign_q, sub_q, inf_minus_inf_q, any_max_q, first_frac_q, far_sticky_q;
  logic [7:0]  exp_q;
  logic [23:0] first_q;
  logic [24:0] second_q;
  logic [4:1]  shift_q;

  always_ff @(posedge clk_i) begin
    sign_q          <= first[31];
    sub_q           <= a_i[31] ^ b_i[31];
    exp_q           <= first[30:23];
    any_max_q       <= any_max;
    first_frac_q    <= first_nan;
    inf_minus_inf_q <= both_max & (a_i[31] ^ b_i[31]);
    far_sticky_q    <= far & ~any_zero & ~any_max;
    shift_q         <= diff[4:1];
    // Two zeros (or subnormals): the sum has no bits.
    if (both_zero) first_q <= '0;
    else           first_q <= {1'b1, first[22:0]};
    // A zero adds nothing; 32 places away only the sticky bit is left; infinity and NaN ignore it.
    // Bit 0 of the difference needs no subtraction, which saves a stage of the shifter.
    if (any_zero || any_max || far)  second_q <= '0;
    else if (a_i[23] ^ b_i[23])      second_q <= {2'b01, second[22:0]};
    else                             second_q <= {1'b1, second[22:0], 1'b0};
  end

  // ---- stage 2: align and add ----
  logic [30:0] part;
  logic [28:0] lost_mask;
  logic        sticky, carry_in;
  logic [25:0] aligned;
  logic [26:0] total;

  assign part    = {second_q, 6'b0} >> {shift_q[2:1], 1'b0};
  assign aligned = part[30:5] >> {shift_q[4:3], 3'b0};
  always_comb begin
    unique case (shift_q[4:3])
      2'd0:    lost_mask = 29'h0000_001f;
      2'd1:    lost_mask = 29'h0000_1fff;
      2'd2:    lost_mask = 29'h001f_ffff;
      default: lost_mask = 29'h1fff_ffff;
    endcase
  end
  assign sticky = far_sticky_q | (|(part[28:0] & lost_mask));
  // Subtracting a number with a lost tail borrows one unit of the last place; the tail stays sticky.
  assign carry_in = sub_q & ~sticky;
  assign total    = {1'b0, first_q, 2'b0} + {sub_q, {26{sub_q}} ^ aligned} + 27'(carry_in);

  logic        sign_q2, sub_q2, nan_q2, sticky_q2;
  logic [7:0]  exp_q2;
  logic [26:0] total_q2;

  always_ff @(posedge clk_i) begin
    sign_q2   <= sign_q;
    sub_q2    <= sub_q;
    nan_q2    <= any_max_q & (first_frac_q | inf_minus_inf_q);
    exp_q2    <= exp_q;
    sticky_q2 <= sticky;
    total_q2  <= total;
  end

  // ---- stage 3: normalize by 16, 8, 4, 2 ----
  logic        by16, by8, by4, by2;
  logic [26:0] norm16, norm8, norm4, norm2;
  logic [8:0]  exp_norm;

  assign by16     = total_q2[26:11] == '0;
  assign norm16   = by16 ? {total_q2[10:0], 16'b0} : total_q2;
  assign by8      = norm16[26:19] == '0;
  assign norm8    = by8 ? {norm16[18:0], 8'b0} : norm16;
  assign by4      = norm8[26:23] == '0;
  assign norm4    = by4 ? {norm8[22:0], 4'b0} : norm8;
  assign by2      = norm4[26:25] == '0;
  assign norm2    = by2 ? {norm4[24:0], 2'b0} : norm4;
  assign exp_norm = {1'b0, exp_q2} - {4'b0, by16, by8, by4, by2, 1'b0};

  logic        sign_q3, sub_q3, nan_q3;
  logic [8:0]  exp_q3;
  logic [26:0] norm_q3;
  logic        sticky_q3;

  always_ff @(posedge clk_i) begin
    sign_q3   <= sign_q2;
    sub_q3    <= sub_q2;
    nan_q3    <= nan_q2;
    exp_q3    <= exp_norm;
    norm_q3   <= norm2;
    sticky_q3 <= sticky_q2;
  end

  // ---- stage 4: last shift, round, special results ----
  logic        top, none, tiny, huge, guard, tail, increment;
  logic [22:0] frac;
  logic [30:0] rounded;

  assign top   = norm_q3[26];
  assign frac  = top ? norm_q3[25:3] : norm_q3[24:2];
  assign guard = top ? norm_q3[2] : norm_q3[1];
  assign tail  = (top & norm_q3[1]) | norm_q3[0] | sticky_q3;
  // No bits at all: exact cancellation or two zeros.
  assign none  = ~|norm_q3[26:25];
  // exp_q3 + top is the biased exponent; below 1 the sum is subnormal (and exact), at 255 it overflowed
  // or was infinite or NaN from the start. Rounding up to 255 clears the fraction by itself.
  assign tiny  = none | exp_q3[8] | (exp_q3[7:0] == 8'h00 & ~top);
  assign huge  = top ? exp_q3[7:0] == 8'hfe : exp_q3[7:0] == 8'hff;
  assign increment = guard & (frac[0] | tail);
  assign rounded   = {exp_q3[7:0], frac} + {7'b0, top, 23'b0} + 31'(increment);

  logic        sign_q4;
  logic [7:0]  exp_q4;
  logic [22:0] frac_q4;

  always_ff @(posedge clk_i) begin
    // x + (-x) = +0, (-0) + (-0) = -0.
    sign_q4 <= sign_q3 & ~nan_q3 & ~(none & sub_q3);
    if (tiny) exp_q4 <= '0;
    else      exp_q4 <= rounded[30:23];
    if (tiny || huge) frac_q4[21:0] <= '0;
    else              frac_q4[21:0] <= rounded[21:0];
    frac_q4[22] <= nan_q3 | (rounded[22] & ~tiny & ~huge);
  end

  assign sum_o = {sign_q4, exp_q4, frac_q4};

endmodule
