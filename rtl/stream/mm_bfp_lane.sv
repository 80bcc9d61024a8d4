// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// One activation to a mantissa: FP32 to a 16-bit integer in units of 2^(exp - 127 - 14), where exp is the largest exponent field of its group.
//
// Latency:    5 cycles.
// Throughput: one value a cycle.
// Stalls:     none; a stage moves when the one before it holds a value.
// Numerics:   one rounding to nearest, ties to even, then saturated to +-32767; a subnormal activation is zero
//             (docs/arithmetic.md, exact group sums).
//
//   stage 1   distance d = exp - exponent field; significand 1.f to 15 bits, guard, sticky
//         2   shifted right by d in steps of 4        (d >= 16: nothing is left, not even half a unit)
//         3   shifted right by 0..3
//         4   rounded
//         5   saturated, signed

module mm_bfp_lane (
  /// Clock, rising edge.
  input  logic        clk_i,
  /// Bit k: stage k + 1 takes what the stage before it holds.
  input  logic [4:0]  move_i,
  /// Activation, FP32, biased exponent field at most exp_i.
  input  logic [31:0] act_i,
  /// Largest biased exponent field of the group.
  input  logic [7:0]  exp_i,
  /// Mantissa, signed, -32767..32767.
  output logic [15:0] mant_o
);

  localparam int unsigned KeptBits = 17;  // 15 of integer, guard, sticky

  logic [7:0]          distance;
  logic                round_up;
  logic                sign1_q, sign2_q, sign3_q, sign4_q;
  logic [3:0]          distance1_q;
  logic                nothing1_q;
  logic [1:0]          distance2_q;
  logic [KeptBits-1:0] kept1_q, kept2_q, kept3_q;
  logic [15:0]         rounded4_q;
  logic [15:0]         mant_q;

  // Shifts right by `by` and keeps in bit 0 whether a one was lost.
  function automatic logic [KeptBits-1:0] sticky_shift(logic [KeptBits-1:0] value, logic [3:0] by);
    logic [KeptBits-1:0] lost;
    lost = value & ~({KeptBits{1'b1}} << by);
    return (value >> by) | KeptBits'(|lost);
  endfunction

  assign distance = exp_i - act_i[30:23];
  assign round_up = kept3_q[1] & (kept3_q[2] | kept3_q[0]);

  always_ff @(posedge clk_i) begin
    if (move_i[0]) begin
      sign1_q     <= act_i[31];
      distance1_q <= distance[3:0];
      nothing1_q  <= (act_i[30:23] == '0) | (distance[7:4] != '0);
      kept1_q     <= {1'b1, act_i[22:8], |act_i[7:0]};
    end
    if (move_i[1]) begin
      sign2_q     <= sign1_q;
      distance2_q <= distance1_q[1:0];
      kept2_q     <= nothing1_q ? '0 : sticky_shift(kept1_q, {distance1_q[3:2], 2'd0});
    end
    if (move_i[2]) begin
      sign3_q <= sign2_q;
      kept3_q <= sticky_shift(kept2_q, {2'd0, distance2_q});
    end
    if (move_i[3]) begin
      sign4_q    <= sign3_q;
      rounded4_q <= {1'b0, kept3_q[KeptBits-1:2]} + 16'(round_up);
    end
    if (move_i[4]) begin
      // 32768, the only value beyond, comes from rounding alone.
      mant_q <= ((rounded4_q[15] ? 16'h7FFF : rounded4_q) ^ {16{sign4_q}}) + 16'(sign4_q);
    end
  end

  assign mant_o = mant_q;

endmodule
