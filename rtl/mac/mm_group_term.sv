// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// One group's contribution to an output channel: term_o = rn(sum x scale x 2^(E - 127 - 14)).
//
// Latency:    9 cycles of en_i.
// Throughput: 1 term a cycle.
// Stalls:     none; en_i = 0 holds every register.
// Numerics:   docs/arithmetic.md, exact group sums: the product is exact and rounded once, to FP32 with
//             gradual underflow, then flushed if subnormal. Sum 0 gives +0 with a finite scale.
//
//    1  magnitude of the sum, kind and sign        6  product register of the DSP
//    2  normalize by 16                            7  normalize by 1, rounding decision
//    3  by 8, 4                                    8  round
//    4  by 2, 1                                    9  special results
//    5  25 x 11 bits in one DSP48E2; exponent
//
// Normalizing the sum before it is multiplied is exact and leaves one place to normalize after: the
// product of two numbers in [1, 2).

module mm_group_term (
  /// Clock, rising edge.
  input  logic        clk_i,
  /// Clock enable of every register.
  input  logic        en_i    /*verilator public_flat_rd*/,
  /// Group sum, signed, -(2^25 - 1) .. 2^25 - 1.
  input  logic [25:0] sum_i   /*verilator public_flat_rd*/,
  /// E, largest biased exponent of the group's activations.
  input  logic [7:0]  exp_i   /*verilator public_flat_rd*/,
  /// Scale in FP32, its upper 19 bits (FP16 has 11 significant bits, so the others are zero).
  input  logic [18:0] scale_i /*verilator public_flat_rd*/,
  /// Term of the operands of 9 cycles ago, FP32.
  output logic [31:0] term_o  /*verilator public_flat_rd*/
);
  /*verilator no_inline_module*/

  // Kinds as in mm_fp32_class: 0 ordinary, 1 zero, 2 infinity, 3 NaN; that of a product is the OR of its
  // factors'.
  localparam logic [1:0] ZERO     = 2'd1;
  localparam logic [1:0] INFINITY = 2'd2;
  localparam logic [1:0] NAN      = 2'd3;

  // ---- 1: magnitude ----
  logic        sign_q1;
  logic [1:0]  class_q1;
  logic [24:0] mag_q1;
  logic [8:0]  exp_q1;
  logic [10:0] sig_q1;

  always_ff @(posedge clk_i) begin
    automatic logic zero, max;
    if (en_i) begin
      zero     = scale_i[17:10] == 8'h00;
      max      = scale_i[17:10] == 8'hff;
      class_q1 <= {max, zero | (max & (scale_i[9:0] != '0))};
      sign_q1  <= sum_i[25] ^ scale_i[18];
      mag_q1   <= (sum_i[24:0] ^ {25{sum_i[25]}}) + 25'(sum_i[25]);
      exp_q1   <= {1'b0, exp_i} + {1'b0, scale_i[17:10]};
      sig_q1   <= {1'b1, scale_i[9:0]};
    end
  end

  // ---- 2, 3, 4: normalize the sum, leading one to bit 24 ----
  logic               sign_q2, sign_q3, sign_q4, by16_q2, by16_q3;
  logic [1:0]         class_q2, class_q3, class_q4, by_q3;
  logic [24:0]        mag_q2, mag_q3, mag_q4;
  logic signed [10:0] exp_q2, exp_q3, exp_q4;
  logic [4:0]         shift_q4;
  logic [10:0]        sig_q2, sig_q3, sig_q4;

  always_ff @(posedge clk_i) begin
    automatic logic        by16, by8, by4, by2, by1;
    automatic logic [24:0] norm8, norm2;
    if (en_i) begin
      by16     = mag_q1[24:9] == '0;
      mag_q2   <= mag_q1 << {by16, 4'b0};
      by16_q2  <= by16;
      sign_q2  <= sign_q1;
      class_q2 <= class_q1;
      sig_q2   <= sig_q1;
      // sum = 1.x * 2^(24 - shift), scale = 1.x * 2^(its exponent - 127), and 2^(E - 141): biased,
      // 24 + exponents - 127 - 141 + 127.
      exp_q2   <= signed'({2'b0, exp_q1}) - 11'sd117;

      by8      = mag_q2[24:17] == '0;
      norm8    = mag_q2 << {by8, 3'b0};
      by4      = norm8[24:21] == '0;
      mag_q3   <= norm8 << {by4, 2'b0};
      by16_q3  <= by16_q2;
      by_q3    <= {by8, by4};
      sign_q3  <= sign_q2;
      class_q3 <= class_q2;
      sig_q3   <= sig_q2;
      exp_q3   <= exp_q2;

      by2      = mag_q3[24:23] == '0;
      norm2    = mag_q3 << {by2, 1'b0};
      by1      = ~norm2[24];
      mag_q4   <= norm2 << by1;
      shift_q4 <= {by16_q3, by_q3, by2, by1};
      sign_q4  <= sign_q3;
      class_q4 <= class_q3;
      sig_q4   <= sig_q3;
      exp_q4   <= exp_q3;
    end
  end

  // ---- 5, 6: product ----
  logic               sign_q5, sign_q6, lowest_q6;
  logic [1:0]         class_q5, class_q6;
  logic signed [10:0] exp_q5, exp_q6;
  (* use_dsp = "yes" *)
  logic [35:0]        product_q5;
  logic [35:0]        product_q6;

  always_ff @(posedge clk_i) begin
    automatic logic none;
    if (en_i) begin
      none       = ~mag_q4[24];
      product_q5 <= 36'(mag_q4) * 36'(sig_q4);
      exp_q5     <= exp_q4 - signed'({6'b0, shift_q4});
      class_q5   <= class_q4 | {1'b0, none};
      // The sum 0 has no sign: +0 comes out, whatever the sign of the scale.
      sign_q5    <= sign_q4 & ~none;

      product_q6 <= product_q5;
      exp_q6     <= exp_q5;
      lowest_q6  <= exp_q5 == 11'sd0;
      class_q6   <= class_q5;
      sign_q6    <= sign_q5;
    end
  end

  // ---- 7: last place, rounding decision; 8: round ----
  logic        sign_q7, sign_q8, increment_q7;
  logic [1:0]  class_q7, class_q8;
  logic [33:0] number_q7, rounded_q8;

  always_ff @(posedge clk_i) begin
    automatic logic        top;
    automatic logic [34:0] sig;
    if (en_i) begin
      // Behind the leading one: 23 bits of fraction, guard bit, tail.
      top          = product_q6[35];
      sig          = product_q6[34:0] << ~top;
      number_q7    <= {exp_q6 + 11'(top), sig[34:12]};
      // Below 2^-126 only what rounds up to it survives: exponent 0 and 24 leading ones, one binade below.
      // There rounding up is forced: all ones carry into exponent 1, anything else keeps exponent 0 and
      // is flushed. (At exponent -1 a product of 11 by 25 bits never has 24 leading ones.)
      increment_q7 <= (sig[11] & (sig[12] | (sig[10:0] != '0))) | (lowest_q6 & ~top);
      class_q7     <= class_q6;
      sign_q7      <= sign_q6;

      rounded_q8   <= number_q7 + 34'(increment_q7);
      class_q8     <= class_q7;
      sign_q8      <= sign_q7;
    end
  end

  // ---- 9: special results ----
  logic [31:0] term_q9;

  always_ff @(posedge clk_i) begin
    automatic logic flushed, overflow;
    if (en_i) begin
      flushed  = rounded_q8[33] | (rounded_q8[32:23] == '0);
      overflow = rounded_q8[32:23] >= 10'd255;
      if (class_q8 == NAN) begin
        term_q9 <= 32'h7fc0_0000;
      end else if (class_q8 == INFINITY) begin
        term_q9 <= {sign_q8, 8'hff, 23'b0};
      end else if (class_q8 == ZERO || flushed) begin
        term_q9 <= {sign_q8, 31'b0};
      end else if (overflow) begin
        term_q9 <= {sign_q8, 8'hff, 23'b0};
      end else begin
        term_q9 <= {sign_q8, rounded_q8[30:0]};
      end
    end
  end

  assign term_o = term_q9;

endmodule
