// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// The counters of one weight port (docs/architecture.md, section 7). While a program runs, every cycle counts either in STRIPS
// or in exactly one of the four reasons.
//
// Latency:    2 cycles from an event to its count.
// Throughput: -
// Stalls:     none.

module mm_port_counters (
  /// Clock, rising edge.
  input  logic        clk_i,
  /// Reset, synchronous, active low.
  input  logic        rst_ni,
  /// All counts are 0 again.
  input  logic        clear_i,
  /// A program runs; otherwise nothing counts.
  input  logic        running_i,
  /// A beat came from memory.
  input  logic        beat_i,
  /// The unit takes a strip.
  input  logic        strip_i,
  /// It does not: its FIFO is empty.
  input  logic        no_data_i,
  /// It does not: no loaded step.
  input  logic        no_activations_i,
  /// It does not: results cannot leave.
  input  logic        no_room_i,
  /// It does not: another port has no data, or it is not this strip's phase.
  input  logic        lock_step_i,
  /// Beats read.
  output logic [63:0] beats_o,
  /// Strips taken.
  output logic [63:0] strips_o,
  /// Cycles without data.
  output logic [63:0] no_data_o,
  /// Cycles without activations.
  output logic [63:0] no_activations_o,
  /// Cycles without room for results.
  output logic [63:0] no_room_o,
  /// Cycles in which lock step held the port back.
  output logic [63:0] lock_step_o
);

  // A stage before the counters: what happens in a cycle is known late in it.
  logic [5:0] events_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear_i || !running_i) events_q <= '0;
    else events_q <= {lock_step_i, no_room_i, no_activations_i, no_data_i, strip_i, beat_i};
  end

  mm_counter u_beats (
    .clk_i, .rst_ni, .clear_i, .event_i(events_q[0]), .count_o(beats_o)
  );
  mm_counter u_strips (
    .clk_i, .rst_ni, .clear_i, .event_i(events_q[1]), .count_o(strips_o)
  );
  mm_counter u_no_data (
    .clk_i, .rst_ni, .clear_i, .event_i(events_q[2]), .count_o(no_data_o)
  );
  mm_counter u_no_activations (
    .clk_i, .rst_ni, .clear_i, .event_i(events_q[3]), .count_o(no_activations_o)
  );
  mm_counter u_no_room (
    .clk_i, .rst_ni, .clear_i, .event_i(events_q[4]), .count_o(no_room_o)
  );
  mm_counter u_lock_step (
    .clk_i, .rst_ni, .clear_i, .event_i(events_q[5]), .count_o(lock_step_o)
  );

`ifndef SYNTHESIS
  // Every running cycle has exactly one of: strip taken, or one reason why not.
  a_one_reason : assert property (@(posedge clk_i) disable iff (!rst_ni)
      running_i |-> $onehot({strip_i, no_data_i, no_activations_i, no_room_i, lock_step_i}));
`endif

endmodule
