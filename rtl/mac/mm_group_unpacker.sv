// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Takes AWQ_MACRO blocks of both formats apart for mm_group_mac: strips in, 32 weights a cycle out.
//
// Latency:    1 cycle from a taken weight strip to weights_valid_o. The zeros of a macro are in place before
//             its first weights and until after its last ones. Scales: from the macro's last weights to the
//             next macro's last weights, 17 cycles or more.
// Throughput: 1 strip a cycle.
// Stalls:     strip_ready_o depends on registers, on flush_i and, for weight strips, on act_valid_i; never
//             on strip_valid_i. The last strip of a tile waits for result_free_i.
//
//   format 1   scales, zeros, 16 weight strips; and again
//   format 2   zeros of up to 4 macros; for each of them: scales, 16 weight strips; and again
//
// zeros_q holds the present macro's zeros, quad_q what should be left of the zeros strip: in format 2 the
// zeros of the macros to come, which move down by one macro a scales strip; otherwise nothing but reserved
// bits, which must be zero.

module mm_group_unpacker (
  /// Clock, rising edge.
  input  logic         clk_i,
  /// Reset, synchronous, active low.
  input  logic         rst_ni,
  /// Expect the first strip of a tile next; no strip is accepted in this cycle.
  input  logic         flush_i,

  /// A strip is offered.
  input  logic         strip_valid_i,
  /// The strip is taken at this edge if it is offered.
  output logic         strip_ready_o,
  /// Strip.
  input  logic [127:0] strip_data_i,
  /// The macro under way is the last one of its tile; looked at with its scales.
  input  logic         strip_last_i,
  /// Format 2; looked at with the first strip of a tile.
  input  logic         shared_zeros_i,

  /// Activations for the weight strip under way are there.
  input  logic         act_valid_i,
  /// A weight strip is taken, and the activations with it.
  output logic         weight_fire_o,
  /// It is the last one of its macro.
  output logic         macro_end_o,
  /// It is the last one of its tile.
  output logic         tile_end_o,
  /// The last strip of a tile may enter.
  input  logic         result_free_i,

  /// 32 weights: word r (bits 32r) is row r of the strip, its nibble c output channel c.
  output logic [127:0] weights_o,
  /// 8 zeros, output channel c at bits 4c.
  output logic [31:0]  zeros_o,
  /// weights_o is meaningful.
  output logic         weights_valid_o,
  /// They are the macro's first.
  output logic         weights_first_o,
  /// They are the macro's last; 0 unless weights_valid_o.
  output logic         weights_last_o,
  /// 8 FP16 scales of the macro whose last weights came last.
  output logic [127:0] scales_o,
  /// That macro is the first of its tile.
  output logic         tile_first_o,
  /// That macro is the last of its tile.
  output logic         tile_last_o,

  /// One pulse, two cycles after the strip was taken with which the fault is certain: the zeros strip in
  /// format 1, the scales of the last macro in format 2.
  output logic         err_reserved_o
);

  typedef enum logic [1:0] {
    StFirst,   // first strip of a tile: the format says what it is
    StScales,
    StZeros,
    StWeights
  } state_e;

  state_e       state_d, state_q;
  logic [3:0]   count_d, count_q;
  logic [1:0]   place_d, place_q;      // macro of the quad
  logic         shared_d, shared_q;
  logic         first_d, first_q, last_d, last_q;
  // The strip under way is the macro's / the tile's last one: worked out a cycle ahead, for the sake of strip_ready_o.
  logic         macro_ends_q, tile_ends_q;
  logic         is_weight, fire, scales_fire, zeros_fire, shared;

  assign is_weight = state_q == StWeights;

  assign strip_ready_o = ~flush_i & (~is_weight | act_valid_i) & (~tile_ends_q | result_free_i);
  assign fire          = strip_valid_i & strip_ready_o;
  assign shared        = (state_q == StFirst) ? shared_zeros_i : shared_q;
  assign scales_fire   = fire & ((state_q == StScales) | ((state_q == StFirst) & ~shared_zeros_i));
  assign zeros_fire    = fire & ((state_q == StZeros) | ((state_q == StFirst) & shared_zeros_i));
  assign weight_fire_o = fire & is_weight;
  assign macro_end_o   = weight_fire_o & macro_ends_q;
  assign tile_end_o    = fire & tile_ends_q;

  always_comb begin
    state_d  = state_q;
    count_d  = count_q;
    place_d  = place_q;
    shared_d = shared_q;
    first_d  = first_q;
    last_d   = last_q;
    if (fire && state_q == StFirst) begin
      shared_d = shared_zeros_i;
      first_d  = 1'b1;
      place_d  = 2'd0;
    end
    if (scales_fire) begin
      last_d  = strip_last_i;
      state_d = shared ? StWeights : StZeros;
    end
    if (zeros_fire) state_d = shared ? StScales : StWeights;
    if (weight_fire_o) count_d = count_q + 4'd1;
    if (macro_end_o) begin
      first_d = 1'b0;
      place_d = place_q + 2'd1;
      state_d = last_q ? StFirst : (shared_q && place_q == 2'd3) ? StZeros : StScales;
    end
    if (flush_i) begin
      state_d = StFirst;
      count_d = 4'd0;
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q      <= StFirst;
      count_q      <= 4'd0;
      macro_ends_q <= 1'b0;
      tile_ends_q  <= 1'b0;
    end else begin
      state_q      <= state_d;
      count_q      <= count_d;
      macro_ends_q <= count_d == 4'd15;
      tile_ends_q  <= (count_d == 4'd15) & last_q;
    end
  end

  always_ff @(posedge clk_i) begin
    place_q  <= place_d;
    shared_q <= shared_d;
    first_q  <= first_d;
    last_q   <= last_d;
  end

  // ---- what leaves ----
  logic         weights_valid_q, weights_first_q, weights_last_q, tile_first_q, tile_last_q;
  logic [127:0] weights_q, quad_q, next_scales_q, scales_q;
  logic [31:0]  zeros_q;
  logic         check_q, err_reserved_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      weights_valid_q <= 1'b0;
      weights_last_q  <= 1'b0;
      check_q         <= 1'b0;
      err_reserved_q  <= 1'b0;
    end else begin
      weights_valid_q <= weight_fire_o;
      weights_last_q  <= macro_end_o;
      // What is left in quad_q after this strip must be zero.
      check_q         <= shared ? scales_fire & strip_last_i : zeros_fire;
      err_reserved_q  <= check_q & (|quad_q) & ~flush_i;
    end
  end

  always_ff @(posedge clk_i) begin
    weights_q       <= strip_data_i;
    weights_first_q <= count_q == 4'd0;
    if (scales_fire) next_scales_q <= strip_data_i;
    if (macro_end_o) begin
      scales_q     <= next_scales_q;
      tile_first_q <= first_q;
      tile_last_q  <= last_q;
    end
    if (zeros_fire || scales_fire) begin
      zeros_q <= scales_fire ? quad_q[31:0] : strip_data_i[31:0];
      if (scales_fire) quad_q <= {32'b0, quad_q[127:32]};
      else if (shared) quad_q <= strip_data_i;
      else             quad_q <= {32'b0, strip_data_i[127:32]};
    end
  end

  assign weights_o       = weights_q;
  assign zeros_o         = zeros_q;
  assign weights_valid_o = weights_valid_q;
  assign weights_first_o = weights_first_q;
  assign weights_last_o  = weights_last_q;
  assign scales_o        = scales_q;
  assign tile_first_o    = tile_first_q;
  assign tile_last_o     = tile_last_q;
  assign err_reserved_o  = err_reserved_q;

`ifndef SYNTHESIS
  // A strip that is offered stays offered and unchanged until it is taken or flushed.
  a_strip_stable : assert property (@(posedge clk_i) disable iff (!rst_ni || flush_i)
      strip_valid_i && !strip_ready_o |=>
      flush_i || (strip_valid_i && $stable(strip_data_i) && $stable(strip_last_i)));
  // Every weight strip of a macro says the same as its scales about being the tile's last macro.
  a_last_constant : assert property (@(posedge clk_i) disable iff (!rst_ni)
      weight_fire_o |-> strip_last_i == last_q);
  // Every strip of a tile is of the same format.
  a_format_constant : assert property (@(posedge clk_i) disable iff (!rst_ni)
      fire |-> shared_zeros_i == shared);
`endif

endmodule
