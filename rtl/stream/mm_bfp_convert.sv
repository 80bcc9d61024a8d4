// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// FP32 activations to block floating point: keeps the 16 beats of a slice (64 activations of one group and vector) while it finds their largest exponent,
// then gives 16 words of four mantissas each.
//
// Latency:    11 cycles from the last beat of a slice to its first word; its words come in 16 cycles without a gap.
// Throughput: a beat in and a word out a cycle.
// Stalls:     none: two slices are kept, and a slice leaves as fast as one can come.
// Numerics:   as mm_bfp_lane; the exponent of a slice of zeros (subnormals count as such) is 0.
//
//   cycle  0        beat in register
//          1        kept;  larger of two and two
//          2        larger of four
//          3        largest of the slice so far
//          4        slice complete: exponent held
//          5        four activations read back
//          6 .. 10  mm_bfp_lane

module mm_bfp_convert (
  /// Clock, rising edge.
  input  logic         clk_i,
  /// Reset, synchronous, active low.
  input  logic         rst_ni,
  /// Forget what is under way; the next beat begins a slice.
  input  logic         flush_i,
  /// A beat comes.
  input  logic         beat_valid_i,
  /// Four FP32 activations, input channel 4i + r at bits 32r.
  input  logic [127:0] beat_data_i,
  /// A word is there; 16 of a slice in a row.
  output logic         word_valid_o,
  /// It is the slice's last.
  output logic         word_last_o,
  /// Four mantissas, signed, input channel 4i + r at bits 16r.
  output logic [63:0]  word_mant_o,
  /// Largest biased exponent field of the slice.
  output logic [7:0]   word_exp_o,
  /// The slice holds a NaN or an infinity.
  output logic         word_nan_o
);

  localparam int unsigned LaneCycles = 5;

  function automatic logic [7:0] larger(logic [7:0] a, logic [7:0] b);
    return (a > b) ? a : b;
  endfunction

  // ---- beats in: kept, and compared ----

  (* ram_style = "distributed" *)
  logic [127:0] kept_q [32];
  logic [127:0] beat_q;
  logic [3:0]   valid_q;          // of the stages behind the input
  logic [4:0]   beat_count_q;     // bit 4: which half is filled
  logic [7:0]   max_low_q, max_high_q, max_beat_q, max_q, max_d;
  logic [3:0]   beat_in_q [3];    // number of the beat in its slice, beside its maximum

  assign max_d = (beat_in_q[1] == '0) ? max_beat_q : larger(max_beat_q, max_q);

  always_ff @(posedge clk_i) begin
    if (!rst_ni || flush_i) begin
      valid_q      <= '0;
      beat_count_q <= '0;
    end else begin
      valid_q <= {valid_q[2:0], beat_valid_i};
      if (valid_q[0]) beat_count_q <= beat_count_q + 5'd1;
    end
  end

  always_ff @(posedge clk_i) begin
    if (beat_valid_i) beat_q <= beat_data_i;
    if (valid_q[0]) begin
      kept_q[beat_count_q] <= beat_q;
      beat_in_q[0]         <= beat_count_q[3:0];
      max_low_q            <= larger(beat_q[30:23], beat_q[62:55]);
      max_high_q           <= larger(beat_q[94:87], beat_q[126:119]);
    end
    if (valid_q[1]) begin
      beat_in_q[1] <= beat_in_q[0];
      max_beat_q   <= larger(max_low_q, max_high_q);
    end
    if (valid_q[2]) begin
      beat_in_q[2] <= beat_in_q[1];
      max_q        <= max_d;
    end
  end

  // ---- words out ----

  logic         complete, emit_q, half_q;
  logic [3:0]   emit_count_q;
  logic [127:0] acts_q;
  logic         acts_valid_q;
  logic [7:0]   exp_q;
  logic [LaneCycles-1:0]      lane_valid_q, move, last_q;
  logic [LaneCycles:0][7:0]   exps_q;     // beside the lanes
  logic         acts_last_q;

  assign complete = valid_q[3] & (beat_in_q[2] == 4'd15);
  assign move     = {lane_valid_q[LaneCycles-2:0], acts_valid_q};

  always_ff @(posedge clk_i) begin
    if (!rst_ni || flush_i) begin
      emit_q       <= 1'b0;
      half_q       <= 1'b1;
      emit_count_q <= '0;
      acts_valid_q <= 1'b0;
      lane_valid_q <= '0;
    end else begin
      // A slice is complete at the earliest when the one before it has left.
      emit_q       <= complete | (emit_q & (emit_count_q != 4'd15));
      half_q       <= half_q ^ complete;
      emit_count_q <= emit_q ? emit_count_q + 4'd1 : '0;
      acts_valid_q <= emit_q;
      lane_valid_q <= move;
    end
  end

  always_ff @(posedge clk_i) begin
    if (complete) exp_q <= max_q;
    if (emit_q) begin
      acts_q      <= kept_q[{half_q, emit_count_q}];
      acts_last_q <= emit_count_q == 4'd15;
      exps_q[0]   <= exp_q;
    end
    for (int k = 0; k < int'(LaneCycles); k++) begin
      if (move[k]) begin
        exps_q[k+1] <= exps_q[k];
        last_q[k]   <= (k == 0) ? acts_last_q : last_q[(k == 0) ? 0 : k-1];
      end
    end
  end

  for (genvar r = 0; r < 4; r++) begin : gen_lane
    mm_bfp_lane u_lane (
      .clk_i,
      .move_i(move),
      .act_i (acts_q[32*r +: 32]),
      .exp_i (exps_q[0]),
      .mant_o(word_mant_o[16*r +: 16])
    );

`ifndef SYNTHESIS
    // The slice's exponent is the largest of its activations.
    a_largest : assert property (@(posedge clk_i) disable iff (!rst_ni || flush_i)
        acts_valid_q |-> acts_q[32*r+23 +: 8] <= exps_q[0]);
`endif
  end

  assign word_valid_o = lane_valid_q[LaneCycles-1];
  assign word_last_o  = last_q[LaneCycles-1];
  assign word_exp_o   = exps_q[LaneCycles];
  assign word_nan_o   = &exps_q[LaneCycles];

`ifndef SYNTHESIS
  // A slice is complete only when the one before it has left.
  a_room : assert property (@(posedge clk_i) disable iff (!rst_ni || flush_i)
      complete && emit_q |-> emit_count_q == 4'd15);
`endif

endmodule
