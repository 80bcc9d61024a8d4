// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Takes AWQ_MACRO blocks apart: strips in, scales, zeros and 32 weights a cycle out.
//
// Latency:    1 cycle from an accepted weight strip to weights_valid_o. Scales and zeros of a macro
//             are in place before its first weights and stay until after its last ones.
// Throughput: 1 strip a cycle, 18 cycles a macro.
// Stalls:     strip_ready_o depends on registers, on flush_i and, for weight strips, on
//             act_valid_i; never on strip_valid_i. act_ready_o depends on all of them: activations
//             leave together with their strip. Strips of even index enter in phase 0, odd ones in
//             phase 1, of a bit that toggles every cycle from reset on.
//
//   strip   0        1       2    3    4    5    ...  16   17
//   phase   0        1       0    1    0    1         0    1
//           scales   zeros   lo   hi   lo   hi        lo   hi
//                            step 0    step 1         step 7

module mm_unpacker (
  /// Clock, rising edge.
  input  logic         clk_i,
  /// Reset, synchronous, active low.
  input  logic         rst_ni,
  /// Expect strip 0 of the first macro of a tile next; no strip is accepted in this cycle.
  input  logic         flush_i,

  /// A strip is offered.
  input  logic         strip_valid_i,
  /// The strip is taken at this edge if it is offered.
  output logic         strip_ready_o,
  /// Strip.
  input  logic [127:0] strip_data_i,
  /// The macro under way is the last one of its tile; constant over the macro.
  input  logic         strip_last_i,

  /// Activations for the weight strip under way are there.
  input  logic         act_valid_i,
  /// They are taken, together with the weight strip.
  output logic         act_ready_o,
  /// The last strip of a tile may enter.
  input  logic         result_free_i,

  /// 8 scales in FP32, output channel c at bits 32c; 11 significant bits.
  output logic [255:0] scales_o,
  /// 8 zeros, output channel c at bits 4c.
  output logic [31:0]  zeros_o,
  /// 32 weights: word r (bits 32r) is row r of the strip, its nibble c output channel c.
  output logic [127:0] weights_o,
  /// weights_o and the flags below are meaningful.
  output logic         weights_valid_o,
  /// Rows 4..7 of a step; else rows 0..3.
  output logic         weights_hi_o,
  /// The step's number in its output channel is odd.
  output logic         weights_odd_o,
  /// The step is the first or second of its output channel.
  output logic         weights_take_o,
  /// Last strip of the tile; 0 unless weights_valid_o.
  output logic         weights_last_o,

  /// One pulse, the cycle after a zero strip with reserved bits set was taken.
  output logic         err_reserved_o
);

  localparam logic [4:0] STRIP_SCALES = 5'd0;
  localparam logic [4:0] STRIP_ZEROS  = 5'd1;
  localparam logic [4:0] STRIP_LAST   = 5'd17;

  logic       phase_q;
  logic [4:0] index_d, index_q;
  // The macro is the first / the last one of its tile.
  logic       first_d, first_q, last_d, last_q;
  logic       is_weight, fire, weight_fire, zeros_fire, scales_fire;

  assign is_weight = index_q[4:1] != 4'd0;

  assign strip_ready_o = ~flush_i & (phase_q == index_q[0]) & (~is_weight | act_valid_i) &
                         (index_q != STRIP_LAST | ~last_q | result_free_i);
  assign fire          = strip_valid_i & strip_ready_o;
  assign weight_fire   = fire & is_weight;
  assign scales_fire   = fire & (index_q == STRIP_SCALES);
  assign zeros_fire    = fire & (index_q == STRIP_ZEROS);
  assign act_ready_o   = weight_fire;

  always_comb begin
    index_d = index_q;
    first_d = first_q;
    last_d  = last_q;
    if (fire) index_d = (index_q == STRIP_LAST) ? STRIP_SCALES : index_q + 5'd1;
    if (scales_fire) last_d = strip_last_i;
    if (fire && index_q == STRIP_LAST) first_d = last_q;
    if (flush_i) begin
      index_d = STRIP_SCALES;
      first_d = 1'b1;
    end
  end

  // ---- registers ----
  logic         weights_valid_q, err_reserved_q, weights_last_q;
  logic         weights_hi_q, weights_odd_q, weights_take_q;
  logic [127:0] weights_q;
  logic [31:0]  zeros_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      phase_q         <= 1'b0;
      index_q         <= STRIP_SCALES;
      first_q         <= 1'b1;
      last_q          <= 1'b0;
      weights_valid_q <= 1'b0;
      weights_last_q  <= 1'b0;
      err_reserved_q  <= 1'b0;
    end else begin
      phase_q         <= ~phase_q;
      index_q         <= index_d;
      first_q         <= first_d;
      last_q          <= last_d;
      weights_valid_q <= weight_fire;
      weights_last_q  <= fire & last_q & (index_q == STRIP_LAST);
      err_reserved_q  <= zeros_fire & (|strip_data_i[127:32]);
    end
  end

  always_ff @(posedge clk_i) begin
    weights_q      <= strip_data_i;
    weights_hi_q   <= index_q[0];
    // Strips 2, 3 are step 0 of the macro; a macro has 8 steps, so it keeps the parity of the
    // channel.
    weights_odd_q  <= ~index_q[1];
    weights_take_q <= first_q & (index_q[4:1] == 4'd1 || index_q[4:1] == 4'd2);
    if (zeros_fire) zeros_q <= strip_data_i[31:0];
  end

  // A scale has 11 significant bits, so 19 of the 32 are registers.
  for (genvar c = 0; c < 8; c++) begin : gen_scale
    logic [31:0] single;
    logic [18:0] scale_q;

    mm_fp16_to_fp32 u_to_fp32 (
      .half_i   (strip_data_i[16*c+:16]),
      .single_o (single)
    );

    always_ff @(posedge clk_i) begin
      if (scales_fire) scale_q <= single[31:13];
    end

    assign scales_o[32*c+:32] = {scale_q, 13'b0};

    logic unused_low_bits;
    assign unused_low_bits = &{1'b0, single[12:0]};
  end

  assign zeros_o         = zeros_q;
  assign weights_o       = weights_q;
  assign weights_valid_o = weights_valid_q;
  assign weights_hi_o    = weights_hi_q;
  assign weights_odd_o   = weights_odd_q;
  assign weights_take_o  = weights_take_q;
  assign weights_last_o  = weights_last_q;
  assign err_reserved_o  = err_reserved_q;

`ifndef SYNTHESIS
  // A strip that is offered stays offered and unchanged until it is taken or flushed.
  a_strip_stable : assert property (@(posedge clk_i) disable iff (!rst_ni || flush_i)
      strip_valid_i && !strip_ready_o |=>
      flush_i || (strip_valid_i && $stable(strip_data_i) && $stable(strip_last_i)));
  // Every strip of a macro says the same about being the tile's last macro.
  a_last_constant : assert property (@(posedge clk_i) disable iff (!rst_ni)
      fire && index_q != STRIP_SCALES |-> strip_last_i == last_q);
  // The strip index stays within a macro.
  a_index_bound : assert property (@(posedge clk_i) disable iff (!rst_ni) index_q <= STRIP_LAST);
`endif

endmodule
