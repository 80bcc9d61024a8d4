// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Lock step: gives the four units one strip each in the same cycle, or none. Counts strips, groups and tile rows of the
// step, so it knows which strips take activations, which macro ends an output channel, and when the step's bank is free.
//
// Latency:    combinational from the FIFOs' valid bits to strip_valid_o, and from the units' ready to pop_o.
// Throughput: a strip of each port every cycle, also from one step to the next.
// Stalls:     a port without data, no activations yet, a unit that cannot take a strip. The reason is given for every
//             cycle in which no strip is taken (architecture.md, section 7).
//
// Where the strip is, in the order of the stream:  tile row > group > strip.
//
//   format 1:  0 scales, 1 zeros, 2..17 weights of every macro
//   format 2:  0 zeros of up to four macros, 1 scales, 2..17 weights; the second to fourth macro begin at 1

module mm_stream_ctrl
  import mm_pkg::*;
#(
  /// Arithmetic of the units: KV260 has both weight formats, PAPER only format 1.
  parameter int unsigned Arithmetic = PAPER
) (
  /// Clock, rising edge.
  input  logic             clk_i,
  /// Reset, synchronous, active low.
  input  logic             rst_ni,
  /// Forget everything.
  input  logic             flush_i,
  /// 0: offer no further strip (fault, drain, not running).
  input  logic             enable_i,

  /// A released step waits.
  input  logic             step_valid_i,
  /// It is taken; registered.
  output logic             step_ready_o,
  /// Its groups, >= 1.
  input  logic [15:0]      step_groups_i,
  /// Its tile rows, >= 1.
  input  logic [15:0]      step_tile_rows_i,
  /// Its activation vectors.
  input  vectors_t         step_vectors_i,
  /// Its weights are in format 2.
  input  logic             step_tight_i,

  /// Each port's FIFO has a strip.
  input  logic [PORTS-1:0] fifo_valid_i,
  /// A strip is taken from every FIFO.
  output logic             pop_o,
  /// All units: a strip is there.
  output logic             strip_valid_o,
  /// Each unit would take one (depends on registers and the activations only, and is the same for all).
  input  logic [PORTS-1:0] strip_ready_i,
  /// All units: this macro is the last of its output channels.
  output logic             strip_last_o,
  /// All units: the strip holds weights, so activations go with it.
  output logic             strip_weight_o,
  /// All units: vectors of the step.
  output vectors_t         strip_vectors_o,
  /// All units: the step's weights are in format 2.
  output logic             strip_tight_o,
  /// The four rows for the strip are there.
  input  logic             act_valid_i,
  /// They are used now.
  output logic             act_pop_o,
  /// Results wait and cannot leave.
  input  logic             no_room_i,

  /// The step's last strip is taken: its bank is free; pulse.
  output logic             release_o,
  /// This cycle counts as stream time: between first and last strip of a pass, both included.
  output logic             streaming_o,
  /// No strip this cycle: the port's FIFO is empty.
  output logic [PORTS-1:0] no_data_o,
  /// No strip this cycle: no loaded step.
  output logic [PORTS-1:0] no_activations_o,
  /// No strip this cycle: results cannot leave.
  output logic [PORTS-1:0] no_room_o,
  /// No strip this cycle: another port has no data, or it is not this strip's phase.
  output logic [PORTS-1:0] lock_step_o
);

  localparam int unsigned StripBits = $clog2(MACRO_STRIPS);

  logic                 head_valid, head_ready;
  logic [15:0]          head_groups, head_tile_rows;
  vectors_t             head_vectors;
  logic                 head_tight;
  logic [1:0]           level;

  mm_fifo #(
    .WidthBits(32 + VECTOR_BITS + 1),
    .Depth    (2)
  ) u_steps (
    .clk_i,
    .rst_ni,
    .flush_i,
    .in_valid_i (step_valid_i),
    .in_ready_o (step_ready_o),
    .in_data_i  ({step_groups_i, step_tile_rows_i, step_vectors_i, step_tight_i}),
    .out_valid_o(head_valid),
    .out_ready_i(head_ready),
    .out_data_o ({head_groups, head_tile_rows, head_vectors, head_tight}),
    .level_o    (level)
  );

  logic                 active_d, active_q;
  logic                 begun_d, begun_q;
  logic                 offered_q;
  logic [StripBits-1:0] strip_d, strip_q;
  logic [15:0]          group_left_d, group_left_q;
  logic [15:0]          row_left_d, row_left_q;
  logic [15:0]          groups_q;
  vectors_t             vectors_q;
  logic                 tight_q;
  logic [1:0]           quad_d, quad_q;  // format 2: macro of the four that share a strip of zeros
  logic                 last_group_d, last_group_q;  // group_left_q = 1, row_left_q = 1, known a cycle ahead
  logic                 last_row_d, last_row_q;
  logic                 weight_d, weight_q;  // the strip holds weights, known a cycle ahead
  logic                 end_d, end_q;        // it is the last of its macro, likewise
  logic                 ready_to_feed, fire, macro_ends, row_ends, step_ends, take;

  // Scales and zeros take no activations, but the first strip of a step waits for them all the same: a unit that began
  // sooner would only wait inside the pass instead of before it.
  assign ready_to_feed = active_q & (act_valid_i | (begun_q & ~weight_q));
  // A strip that was offered is offered until it is taken, even if the device halts meanwhile.
  assign strip_valid_o = ready_to_feed & (&fifo_valid_i) & (enable_i | offered_q);
  assign strip_last_o  = last_group_q;

  // The units are in lock step, so one ready bit speaks for all; asserted below.
  assign fire       = strip_valid_o & strip_ready_i[0];
  assign pop_o      = fire;
  assign act_pop_o  = fire & weight_q;
  assign macro_ends = fire & end_q;
  assign row_ends   = macro_ends & strip_last_o;
  assign step_ends  = row_ends & last_row_q;

  assign head_ready = ~active_q | step_ends;
  assign take       = head_valid & head_ready;

  always_comb begin
    active_d     = active_q & ~step_ends;
    begun_d      = (begun_q | fire) & ~step_ends;
    strip_d      = strip_q;
    group_left_d = group_left_q;
    row_left_d   = row_left_q;
    quad_d       = quad_q;
    last_group_d = last_group_q;
    last_row_d   = last_row_q;
    if (fire) strip_d = strip_q + StripBits'(1);
    if (macro_ends) begin
      strip_d      = (Arithmetic == KV260 && tight_q && quad_q != 2'd3) ? StripBits'(1) : '0;
      group_left_d = group_left_q - 16'd1;
      quad_d       = quad_q + 2'd1;
      last_group_d = group_left_q == 16'd2;
    end
    if (row_ends) begin
      strip_d      = '0;
      quad_d       = '0;
      group_left_d = groups_q;
      row_left_d   = row_left_q - 16'd1;
      last_group_d = groups_q == 16'd1;
      last_row_d   = row_left_q == 16'd2;
    end
    if (take) begin
      active_d     = 1'b1;
      strip_d      = '0;
      quad_d       = '0;
      group_left_d = head_groups;
      row_left_d   = head_tile_rows;
      last_group_d = head_groups == 16'd1;
      last_row_d   = head_tile_rows == 16'd1;
    end
    weight_d     = strip_d >= StripBits'(HEADER_STRIPS);
    end_d        = strip_d == StripBits'(MACRO_STRIPS - 1);
    if (flush_i) begin
      active_d = 1'b0;
      begun_d  = 1'b0;
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      active_q  <= 1'b0;
      begun_q   <= 1'b0;
      offered_q <= 1'b0;
    end else begin
      active_q  <= active_d;
      begun_q   <= begun_d;
      offered_q <= strip_valid_o & ~fire & ~flush_i;
    end
  end

  always_ff @(posedge clk_i) begin
    strip_q      <= strip_d;
    weight_q     <= weight_d;
    end_q        <= end_d;
    group_left_q <= group_left_d;
    row_left_q   <= row_left_d;
    quad_q       <= quad_d;
    last_group_q <= last_group_d;
    last_row_q   <= last_row_d;
    if (take) begin
      groups_q  <= head_groups;
      vectors_q <= head_vectors;
      tight_q   <= head_tight;
    end
  end

  assign strip_weight_o  = weight_q;
  assign strip_vectors_o = vectors_q;
  assign strip_tight_o   = tight_q;

  assign release_o   = step_ends;
  assign streaming_o = begun_q | fire;

  logic unused;
  assign unused = ^level;

  // Exactly one reason a port and idle cycle, the first that applies.
  always_comb begin
    no_data_o        = '0;
    no_activations_o = '0;
    no_room_o        = '0;
    lock_step_o      = '0;
    if (!fire) begin
      no_data_o = ~fifo_valid_i;
      if (!ready_to_feed) no_activations_o = fifo_valid_i;
      else if (no_room_i) no_room_o = fifo_valid_i;
      else                lock_step_o = fifo_valid_i;
    end
  end

`ifndef SYNTHESIS
  // The flags say what the counts do.
  a_last : assert property (@(posedge clk_i) disable iff (!rst_ni)
      active_q |-> last_group_q == (group_left_q == 16'd1) && last_row_q == (row_left_q == 16'd1));
  // The four units are ready in the same cycles.
  a_lock_step : assert property (@(posedge clk_i) disable iff (!rst_ni)
      strip_valid_o |-> strip_ready_i == '0 || strip_ready_i == '1);
  // A strip that is offered stays offered until it is taken or flushed.
  a_strip_stable : assert property (@(posedge clk_i) disable iff (!rst_ni || flush_i)
      strip_valid_o && !strip_ready_i[0] |=> flush_i || strip_valid_o);
`endif

endmodule
