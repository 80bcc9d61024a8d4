// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Proof of mm_counter, mm_port_counters and mm_watchdog.
//
// Assumed:  reset in the first cycle; for the sum: every cycle has a strip or exactly one reason (mm_formal_stream_ctrl proves it); for
//           the watchdog: its limit is set once, before there is work, as registers that may not change while a program runs.
// Proven:   mm_counter counts every event since reset or clear, modulo 2^64 and without saturation, clear wins over an event.
//           mm_port_counters: each count grows by its own event of a running cycle, two cycles later, and by nothing else; so strips and
//           the four reasons add up to the running cycles since a clear.
//           mm_watchdog: expires exactly 2 cycles after the limit-th cycle in a row with work and no progress, never with limit 0,
//           and not again before another such row (up to 2^32 - 1 cycles, after which its count wraps).
// Method:   k-induction.

module mm_formal_counters (
  input logic        clk_i,
  input logic        rst_ni,
  input logic        clear_i,
  input logic        event_i,
  input logic        running_i,
  input logic        beat_i,
  input logic        strip_i,
  input logic        no_data_i,
  input logic        no_activations_i,
  input logic        no_room_i,
  input logic        lock_step_i,
  input logic        busy_i,
  input logic        progress_i,
  input logic [31:0] limit_i
);

  logic started_q = 1'b0;
  always_ff @(posedge clk_i) started_q <= 1'b1;
  always_comb if (!started_q) assume (!rst_ni);

  // ---- one counter ----

  logic [63:0] count, count_q;

  mm_counter dut_counter (.clk_i, .rst_ni, .clear_i, .event_i, .count_o(count));

  logic event_q, clear_q;
  always_ff @(posedge clk_i) begin
    count_q <= count;
    event_q <= event_i;
    clear_q <= clear_i || !rst_ni;
  end

  // ---- the counters of a port ----

  logic [63:0] beats, strips, no_data, no_activations, no_room, lock_step;

  mm_port_counters dut_port (
    .clk_i, .rst_ni, .clear_i, .running_i, .beat_i, .strip_i, .no_data_i, .no_activations_i, .no_room_i, .lock_step_i,
    .beats_o(beats), .strips_o(strips), .no_data_o(no_data), .no_activations_o(no_activations), .no_room_o(no_room), .lock_step_o(lock_step)
  );

  always_comb if (running_i) assume ($onehot({strip_i, no_data_i, no_activations_i, no_room_i, lock_step_i}));

  // What happened a cycle ago, and the counts then.
  logic             port_clear_q, steps_ok;
  logic [5:0]       events_q, late_q;
  logic [5:0][63:0] counts, counts_q;

  assign counts = {lock_step, no_room, no_activations, no_data, strips, beats};

  always_ff @(posedge clk_i) begin
    port_clear_q <= !rst_ni || clear_i;
    counts_q     <= counts;
    events_q     <= {lock_step_i, no_room_i, no_activations_i, no_data_i, strip_i, beat_i} & {6{running_i && rst_ni && !clear_i}};
    late_q       <= events_q;
  end

  always_comb begin
    steps_ok = 1'b1;
    for (int k = 0; k < 6; k++) begin
      if (counts[k] != (port_clear_q ? '0 : counts_q[k] + 64'(late_q[k]))) steps_ok = 1'b0;
    end
  end

  // ---- the watchdog ----

  logic        expired, settled_q, hit_q, hit_q2;
  logic [31:0] limit_q, stuck_q, stuck_q2;  // cycles in a row without progress, up to the last one, and the one before

  mm_watchdog dut_watchdog (.clk_i, .rst_ni, .busy_i, .progress_i, .limit_i, .expired_o(expired));

  always_ff @(posedge clk_i) begin
    limit_q  <= limit_i;
    stuck_q2 <= rst_ni ? stuck_q : '0;
    hit_q2   <= rst_ni && hit_q;
    if (!rst_ni || !busy_i || progress_i) begin
      stuck_q <= '0;
      hit_q   <= 1'b0;
    end else begin
      stuck_q <= stuck_q + 32'd1;
      hit_q   <= limit_i != '0 && stuck_q + 32'd1 >= limit_i;
    end
    settled_q <= rst_ni;
  end

  always_comb begin
    assume (!rst_ni || !started_q || limit_i == limit_q);
    assume (stuck_q != '1);
    if (started_q && rst_ni) begin
      a_counts: assert (count == (clear_q ? '0 : count_q + 64'(event_q)));
      // With an event of the five reasons in every running cycle, this is the sum, too.
      a_steps: assert (steps_ok);
      a_events: assert (dut_port.events_q == events_q);

      a_expires: assert (expired == hit_q2);
      a_stuck: assert (dut_watchdog.count_q == stuck_q2 && dut_watchdog.moved_q == (stuck_q == '0));
      a_row: assert (stuck_q == '0 || stuck_q == stuck_q2 + 32'd1);
      a_limit: assert (!settled_q || (dut_watchdog.last_q == limit_q - 32'd1 && dut_watchdog.armed_q == (limit_q != '0)));
      a_hit: assert (hit_q == (stuck_q != '0 && limit_q != '0 && stuck_q >= limit_q));

      c_expires: cover (expired && limit_i == 32'd3);
      c_never: cover (limit_i == '0 && stuck_q == 32'd6);
      c_sum: cover (strips == 64'd1 && no_room == 64'd1 && lock_step == 64'd1);
    end
  end

endmodule
