// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// FP32 adder, sum_o = rn(a_i + b_i): mm_fp32_add with more registers, for 300 MHz. Same bits.
//
// Latency:    11 cycles of en_i.
// Throughput: 1 sum a cycle.
// Stalls:     none; en_i = 0 holds every register. The parent knows when an operation leaves by counting.
// Numerics:   as mm_fp32_add: docs/arithmetic.md section 1.
//
//    1  compare magnitudes           7  normalize by 16, 8
//    2  swap                         8  by 4, 2
//    3  exponent difference, kinds   9  last place, rounding decision
//    4  align by 1, 2, 4            10  round
//    5  align by 8, 16; sticky      11  special results
//    6  add or subtract
//
// What is worked out between two registers stands inside the enable, so that a simulator passes by an
// adder that has nothing to do.

module mm_fp32_add_deep (
  /// Clock, rising edge.
  input  logic        clk_i,
  /// Clock enable of every register.
  input  logic        en_i  /*verilator public_flat_rd*/,
  /// First operand, FP32.
  input  logic [31:0] a_i   /*verilator public_flat_rd*/,
  /// Second operand, FP32.
  input  logic [31:0] b_i   /*verilator public_flat_rd*/,
  /// rn(a + b) of the operands of 11 cycles ago, FP32.
  output logic [31:0] sum_o /*verilator public_flat_rd*/
);
  /*verilator no_inline_module*/

  // ---- 1, 2: order by magnitude ----
  logic [31:0] a_q, b_q, first_q2;
  logic [30:0] second_q2;
  logic        swap_q, sub_q2;

  always_ff @(posedge clk_i) begin
    automatic logic [31:0] differ;
    if (en_i) begin
      a_q    <= a_i;
      b_q    <= b_i;
      swap_q <= a_i[30:0] < b_i[30:0];

      differ    = a_q ^ b_q;
      first_q2  <= a_q ^ (differ & {32{swap_q}});
      second_q2 <= b_q[30:0] ^ (differ[30:0] & {31{swap_q}});
      sub_q2    <= differ[31];
    end
  end

  // ---- 3: exponent difference, kinds ----
  // Of two exponents the second is the smaller, so it is 0 if any is, and the first is 255 if any is.
  logic        sign_q3, sub_q3, nan_q3, drop_q3;
  logic [7:0]  exp_q3;
  logic [7:0]  shift_q3;
  logic [23:0] first_q3;
  logic [22:0] second_q3;

  always_ff @(posedge clk_i) begin
    automatic logic any_zero, any_max, both_max;
    if (en_i) begin
      any_zero = second_q2[30:23] == 8'h00;
      any_max  = first_q2[30:23] == 8'hff;
      both_max = second_q2[30:23] == 8'hff;
      sign_q3   <= first_q2[31];
      sub_q3    <= sub_q2;
      nan_q3    <= any_max & ((first_q2[22:0] != '0) | (both_max & sub_q2));
      exp_q3    <= first_q2[30:23];
      shift_q3  <= first_q2[30:23] - second_q2[30:23];
      // Two zeros (or subnormals): the sum has no bits.
      first_q3  <= {1'b1, first_q2[22:0]} & {24{first_q2[30:23] != 8'h00}};
      second_q3 <= second_q2[22:0];
      // A zero adds nothing; infinity and NaN ignore the second operand.
      drop_q3   <= any_zero | any_max;
    end
  end

  // ---- 4, 5: align ----
  //   first  1.fffffffffffffffffffffff 00          24 + 2 bits
  //   second 0.000001fffffffffffffffff ff | sticky
  logic        sign_q4, sub_q4, nan_q4, sign_q5, sub_q5, nan_q5, sticky_q5;
  logic [7:0]  exp_q4, exp_q5;
  logic [23:0] first_q4, first_q5;
  logic [30:0] part_q4;
  logic [1:0]  shift_q4;
  logic [25:0] aligned_q5;

  always_ff @(posedge clk_i) begin
    automatic logic        none;
    automatic logic [30:0] lost;
    if (en_i) begin
      sign_q4  <= sign_q3;
      sub_q4   <= sub_q3;
      nan_q4   <= nan_q3;
      exp_q4   <= exp_q3;
      first_q4 <= first_q3;
      // What lies 32 places lower adds nothing, not even to the rounding.
      none     = drop_q3 | (shift_q3[7:5] != '0);
      part_q4  <= {{1'b1, second_q3} & {24{~none}}, 7'b0} >> shift_q3[2:0];
      shift_q4 <= shift_q3[4:3];

      sign_q5    <= sign_q4;
      sub_q5     <= sub_q4;
      nan_q5     <= nan_q4;
      exp_q5     <= exp_q4;
      first_q5   <= first_q4;
      aligned_q5 <= part_q4[30:5] >> {shift_q4, 3'b0};
      lost       = (31'h20 << {shift_q4, 3'b0}) - 31'd1;
      sticky_q5  <= (part_q4 & lost) != '0;
    end
  end

  // ---- 6: add or subtract ----
  logic        sign_q6, sub_q6, nan_q6;
  logic [7:0]  exp_q6;
  logic [31:0] total_q6;

  always_ff @(posedge clk_i) begin
    automatic logic        carry_in;
    automatic logic [26:0] total;
    if (en_i) begin
      sign_q6  <= sign_q5;
      sub_q6   <= sub_q5;
      nan_q6   <= nan_q5;
      exp_q6   <= exp_q5;
      // Subtracting a number with a lost tail borrows one unit of the last place; the tail stays sticky.
      carry_in = sub_q5 & ~sticky_q5;
      total    = {1'b0, first_q5, 2'b0} + ({1'b0, aligned_q5} ^ {27{sub_q5}}) + 27'(carry_in);
      total_q6 <= {total, sticky_q5, 4'b0};
    end
  end

  // ---- 7, 8: normalize by 16, 8, 4, 2; the carry is the top bit ----
  logic        sign_q7, sub_q7, nan_q7, sign_q8, sub_q8, nan_q8, by16_q7, by8_q7;
  logic [7:0]  exp_q7;
  logic [8:0]  exp_q8;
  logic [31:0] norm_q7, norm_q8;

  always_ff @(posedge clk_i) begin
    automatic logic        by16, by8, by4, by2;
    automatic logic [31:0] norm16, norm4;
    if (en_i) begin
      sign_q7 <= sign_q6;
      sub_q7  <= sub_q6;
      nan_q7  <= nan_q6;
      exp_q7  <= exp_q6;
      by16    = total_q6[31:16] == '0;
      norm16  = total_q6 << {by16, 4'b0};
      by8     = norm16[31:24] == '0;
      norm_q7 <= norm16 << {by8, 3'b0};
      by16_q7 <= by16;
      by8_q7  <= by8;

      sign_q8 <= sign_q7;
      sub_q8  <= sub_q7;
      nan_q8  <= nan_q7;
      by4     = norm_q7[31:28] == '0;
      norm4   = norm_q7 << {by4, 2'b0};
      by2     = norm4[31:30] == '0;
      norm_q8 <= norm4 << {by2, 1'b0};
      exp_q8  <= {1'b0, exp_q7} - {4'b0, by16_q7, by8_q7, by4, by2, 1'b0};
    end
  end

  // ---- 9: last place, rounding decision; 10: round ----
  logic        sign_q9, nan_q9, none_q9, sub_q9, increment_q9;
  logic [31:0] number_q9;
  logic        sign_q10, nan_q10, none_q10;
  logic [31:0] rounded_q10;

  always_ff @(posedge clk_i) begin
    automatic logic        top;
    automatic logic [31:0] sig;
    if (en_i) begin
      // Leading one at bit 31, fraction, guard bit at 7, tail.
      top          = norm_q8[31];
      sig          = norm_q8 << ~top;
      sign_q9      <= sign_q8;
      sub_q9       <= sub_q8;
      nan_q9       <= nan_q8;
      // No bits at all: exact cancellation or two zeros.
      none_q9      <= ~sig[31];
      increment_q9 <= sig[7] & (sig[8] | (sig[6:0] != '0));
      number_q9    <= {exp_q8 + 9'(top), sig[30:8]};

      // x + (-x) = +0, (-0) + (-0) = -0.
      sign_q10    <= sign_q9 & ~(none_q9 & sub_q9);
      nan_q10     <= nan_q9;
      none_q10    <= none_q9;
      rounded_q10 <= number_q9 + 32'(increment_q9);
    end
  end

  // ---- 11: special results ----
  // Exponent 0 or below: the sum is subnormal, and exact, so rounding did nothing. Exponent 255: overflow
  // before or by rounding, or infinity or NaN from the start.
  logic [31:0] sum_q11;

  always_ff @(posedge clk_i) begin
    if (en_i) begin
      if (none_q10 || rounded_q10[31] || rounded_q10[30:23] == 8'h00) begin
        sum_q11 <= {sign_q10, 31'b0};
      end else if (rounded_q10[30:23] == 8'hff) begin
        sum_q11 <= {sign_q10 & ~nan_q10, 8'hff, nan_q10, 22'b0};
      end else begin
        sum_q11 <= {sign_q10, rounded_q10[30:0]};
      end
    end
  end

  assign sum_o = sum_q11;

endmodule
