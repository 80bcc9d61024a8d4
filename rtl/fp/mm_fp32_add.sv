// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// FP32 adder, sum_o = rn(a_i + b_i).
//
// Latency:    4 cycles.
// Throughput: 1 sum a cycle.
// Stalls:     none; the parent knows when an operation leaves by counting cycles.
// Numerics:   IEEE 754 binary32, round to nearest even, with docs/arithmetic.md section 1:
//             subnormal operands are zeros, a subnormal sum becomes the zero of its sign, every NaN
//             is 7FC00000.
//
// One path, made to be small. The operand of larger magnitude is put first by one 31-bit
// comparison, so the difference of the significands is never negative, and a NaN or an infinity is
// always found in first place. A sum below 2^-126 is exact, so it can be flushed before rounding.
//
//   stage 1  compare, swap, exponent difference, shift of the small operand by bit 0 of it
//   stage 2  rest of the alignment shift, sticky bit, add or subtract:
//              first  1.fffffffffffffffffffffff 00          24 + 2 bits
//              second 0.000001fffffffffffffffff ff | sticky
//   stage 3  normalize: left by 16, 8, 4, 2 where the bits in front are zero; the carry is the top
//            bit, so an addition without carry is shifted by 1
//   stage 4  left by 1, round; one carry chain over exponent and fraction
//
// Whole words are handled at once, without selects that become unpredictable branches, and aligned
// to bit 31 where they are shifted left: that simulates fast, and the constant zeros below cost
// nothing in hardware. The ports are visible to Verilator so that the 128 adders of the accelerator
// share one compiled function instead of being inlined one by one.

module mm_fp32_add (
  /// Clock, rising edge.
  input  logic        clk_i,
  /// First operand, FP32.
  input  logic [31:0] a_i   /*verilator public_flat_rd*/,
  /// Second operand, FP32.
  input  logic [31:0] b_i   /*verilator public_flat_rd*/,
  /// rn(a + b) of the operands of 4 cycles ago, FP32.
  output logic [31:0] sum_o /*verilator public_flat_rd*/
);
  /*verilator no_inline_module*/

  // ---- stage 1: order by magnitude, exponent difference ----
  logic        swap, sub, any_zero, both_zero, any_max, both_max, nan, far;
  logic [31:0] differ, first;
  logic [30:0] second;
  logic [7:1]  diff;

  assign swap   = a_i[30:0] < b_i[30:0];
  assign differ = a_i ^ b_i;
  assign first  = a_i ^ (differ & {32{swap}});
  assign second = first[30:0] ^ differ[30:0];
  assign sub    = differ[31];
  // Of two exponents the second is the smaller, so it is 0 if any is, and the first is 255 if any
  // is.
  assign any_zero  = second[30:23] == 8'h00;
  assign both_zero = first[30:23] == 8'h00;
  assign any_max   = first[30:23] == 8'hff;
  assign both_max  = second[30:23] == 8'hff;
  assign nan       = any_max & ((first[22:0] != '0) | (both_max & sub));
  assign diff      = 7'((first[30:23] - second[30:23]) >> 1);
  assign far       = diff[7:5] != '0;

  logic        sign_q, sub_q, nan_q;
  logic [7:0]  exp_q;
  logic [23:0] first_q;
  logic [24:0] second_q;
  logic [3:0]  shift_q;

  always_ff @(posedge clk_i) begin
    sign_q  <= first[31];
    sub_q   <= sub;
    nan_q   <= nan;
    exp_q   <= first[30:23];
    shift_q <= diff[4:1];
    // Two zeros (or subnormals): the sum has no bits.
    if (both_zero) first_q <= '0;
    else           first_q <= {1'b1, first[22:0]};
    // A zero adds nothing, and neither does what lies 32 places lower, not even to the rounding;
    // infinity and NaN ignore it. Bit 0 of the difference needs no subtraction, which saves a stage
    // of the shifter.
    if (any_zero || any_max || far) second_q <= '0;
    else                            second_q <= {1'b1, second[22:0], 1'b0} >> differ[23];
  end

  // ---- stage 2: align and add ----
  logic [30:0] part, lost_mask;
  logic        sticky, carry_in;
  logic [25:0] aligned;
  logic [26:0] total;

  assign part      = {second_q, 6'b0} >> {shift_q[1:0], 1'b0};
  assign aligned   = part[30:5] >> {shift_q[3:2], 3'b0};
  assign lost_mask = (31'h20 << {shift_q[3:2], 3'b0}) - 31'd1;
  assign sticky    = (part & lost_mask) != '0;
  // Subtracting a number with a lost tail borrows one unit of the last place; the tail stays
  // sticky.
  assign carry_in  = sub_q & ~sticky;
  assign total     = {1'b0, first_q, 2'b0} + ({1'b0, aligned} ^ {27{sub_q}}) + 27'(carry_in);

  logic        sign_q2, sub_q2, nan_q2;
  logic [7:0]  exp_q2;
  logic [31:0] total_q2;

  always_ff @(posedge clk_i) begin
    sign_q2  <= sign_q;
    sub_q2   <= sub_q;
    nan_q2   <= nan_q;
    exp_q2   <= exp_q;
    total_q2 <= {total, sticky, 4'b0};
  end

  // ---- stage 3: normalize by 16, 8, 4, 2 ----
  logic        by16, by8, by4, by2;
  logic [31:0] norm16, norm8, norm4, norm2;

  assign by16   = total_q2[31:16] == '0;
  assign norm16 = total_q2 << {by16, 4'b0};
  assign by8    = norm16[31:24] == '0;
  assign norm8  = norm16 << {by8, 3'b0};
  assign by4    = norm8[31:28] == '0;
  assign norm4  = norm8 << {by4, 2'b0};
  assign by2    = norm4[31:30] == '0;
  assign norm2  = norm4 << {by2, 1'b0};

  logic        sign_q3, sub_q3, nan_q3;
  logic [8:0]  exp_q3;
  logic [31:0] norm_q3;

  always_ff @(posedge clk_i) begin
    sign_q3 <= sign_q2;
    sub_q3  <= sub_q2;
    nan_q3  <= nan_q2;
    exp_q3  <= {1'b0, exp_q2} - {4'b0, by16, by8, by4, by2, 1'b0};
    norm_q3 <= norm2;
  end

  // ---- stage 4: last shift, round, special results ----
  logic        top, none, increment;
  logic [31:0] sig, rounded;

  // Leading one at bit 31, fraction, guard bit at 7, tail.
  assign top  = norm_q3[31];
  assign sig  = norm_q3 << ~top;
  // No bits at all: exact cancellation or two zeros.
  assign none = ~sig[31];
  assign increment = sig[7] & (sig[8] | (sig[6:0] != '0));
  // Exponent 0 or below: the sum is subnormal, and exact, so rounding did nothing. Exponent 255:
  // overflow before or by rounding, or infinity or NaN from the start.
  assign rounded = {exp_q3, sig[30:8]} + {8'b0, top, 23'b0} + 32'(increment);

  logic [31:0] sum_q;

  always_ff @(posedge clk_i) begin
    if (none || rounded[31] || rounded[30:23] == 8'h00) begin
      // x + (-x) = +0, (-0) + (-0) = -0.
      sum_q <= {sign_q3 & ~(none & sub_q3), 31'b0};
    end else if (rounded[30:23] == 8'hff) begin
      sum_q <= {sign_q3 & ~nan_q3, 8'hff, nan_q3, 22'b0};
    end else begin
      sum_q <= {sign_q3, rounded[30:0]};
    end
  end

  assign sum_o = sum_q;

endmodule
