// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Proof of mm_stream_ctrl, with its queue of steps (mm_formal_fifo).
//
// Assumed:  reset in the first cycle; a step has groups, tile rows, and vectors, format 2 only in kv260; the four units are ready in the
//           same cycles (asserted in the RTL, the units are alike and get the same); a strip that a FIFO offers it offers until it is taken.
// Proven:   a strip is taken from all four FIFOs or from none, never from an empty one, never unless the units take it, and with
//           weights never without activations; a strip that is offered is offered until it is taken or flushed, also when the device
//           halts; nothing new is offered while it does not run; every step takes exactly tile rows x strips of a tile (format 1: 18 a
//           group; format 2: one strip of zeros for every four groups that are begun, 17 others each); strip_weight_o, strip_last_o and
//           release_o come with the strips they belong to; each port has in each cycle a strip or exactly one reason.
// Method:   k-induction, both profiles. The order of the stream is counted anew here: tile row, group, strip.

module mm_formal_stream_ctrl
  import mm_pkg::*;
#(
  parameter int unsigned Arithmetic = PAPER
) (
  input logic             clk_i,
  input logic             rst_ni,
  input logic             flush_i,
  input logic             enable_i,
  input logic             step_valid_i,
  input logic [15:0]      step_groups_i,
  input logic [15:0]      step_tile_rows_i,
  input vectors_t         step_vectors_i,
  input logic             step_tight_i,
  input logic [PORTS-1:0] fifo_valid_i,
  input logic             ready_i,
  input logic             act_valid_i,
  input logic             no_room_i
);

  logic             step_ready, pop, strip_valid, strip_last, strip_weight, strip_tight, act_pop, free_bank, streaming;
  vectors_t         vectors;
  logic [PORTS-1:0] no_data, no_activations, no_room, lock_step;

  logic started_q = 1'b0;
  always_ff @(posedge clk_i) started_q <= 1'b1;

  mm_stream_ctrl #(.Arithmetic(Arithmetic)) dut (
    .clk_i, .rst_ni, .flush_i, .enable_i, .step_valid_i, .step_ready_o(step_ready), .step_groups_i, .step_tile_rows_i, .step_vectors_i,
    .step_tight_i, .fifo_valid_i, .pop_o(pop), .strip_valid_o(strip_valid), .strip_ready_i({PORTS{ready_i}}), .strip_last_o(strip_last),
    .strip_weight_o(strip_weight), .strip_vectors_o(vectors), .strip_tight_o(strip_tight), .act_valid_i, .act_pop_o(act_pop),
    .no_room_i, .release_o(free_bank), .streaming_o(streaming), .no_data_o(no_data), .no_activations_o(no_activations),
    .no_room_o(no_room), .lock_step_o(lock_step)
  );

  // ---- the stream, counted upwards ----

  logic        active_q, begun_q;
  logic [15:0] groups_q, rows_q, group_q, row_q;  // of the step; place of the strip
  logic [4:0]  strip_q;                           // format 1: 0 scales, 1 zeros; format 2: 0 zeros, 1 scales; 2..17 weights
  logic        tight_q, begins, ends_macro, ends_row, ends_step;
  vectors_t    vectors_q;

  assign begins     = dut.head_valid & dut.head_ready;
  assign ends_macro = strip_q == 5'd17;
  assign ends_row   = ends_macro && group_q + 16'd1 == groups_q;
  assign ends_step  = ends_row && row_q + 16'd1 == rows_q;

  always_ff @(posedge clk_i) begin
    if (pop) begin
      strip_q <= strip_q + 5'd1;
      if (ends_macro) begin
        // Format 2: no strip of zeros but for every fourth group of a tile.
        strip_q <= (tight_q && !ends_row && group_q[1:0] != 2'd3) ? 5'd1 : 5'd0;
        group_q <= ends_row ? '0 : group_q + 16'd1;
      end
      if (ends_row) row_q <= row_q + 16'd1;
    end
    if (!rst_ni || flush_i) begin
      active_q <= 1'b0;
      begun_q  <= 1'b0;
    end else begin
      if (pop) begun_q <= !ends_step;
      if (pop && ends_step) active_q <= 1'b0;
      if (begins) begin
        active_q <= 1'b1;
        {groups_q, rows_q, vectors_q, tight_q} <= {dut.head_groups, dut.head_tile_rows, dut.head_vectors, dut.head_tight};
        strip_q  <= '0;
        group_q  <= '0;
        row_q    <= '0;
      end
    end
  end

  logic             offered_q, flush_q, step_ok;
  logic [PORTS-1:0] fifo_held_q;

  always_ff @(posedge clk_i) begin
    offered_q   <= rst_ni && strip_valid && !ready_i;
    flush_q     <= flush_i;
    fifo_held_q <= (rst_ni && !flush_i && !pop) ? fifo_valid_i : '0;
  end

  // Every word in the queue of steps is a step.
  function automatic logic good(logic [15:0] groups, logic [15:0] rows, logic tight);
    return groups != '0 && rows != '0 && (Arithmetic == KV260 || !tight);
  endfunction

  localparam int unsigned Bits = 32 + VECTOR_BITS + 1;
  logic [1:0] held;
  logic       queue_ok;

  assign held = dut.u_steps.level_q - 2'(dut.u_steps.out_valid_q);

  always_comb begin
    queue_ok = dut.u_steps.level_q <= 2'd2 && (!dut.u_steps.out_valid_q || dut.u_steps.level_q != '0) &&
               dut.u_steps.wptr_q == dut.u_steps.rptr_q + held[0];
    if (dut.head_valid && !good(dut.head_groups, dut.head_tile_rows, dut.head_tight)) queue_ok = 1'b0;
    for (int k = 0; k < 2; k++) begin
      if ((held == 2'd2 || (held == 2'd1 && dut.u_steps.rptr_q == 1'(k))) &&
          !good(dut.u_steps.mem_q[k][Bits-1-:16], dut.u_steps.mem_q[k][Bits-17-:16], dut.u_steps.mem_q[k][0])) queue_ok = 1'b0;
    end
  end

  logic act_held_q;
  always_ff @(posedge clk_i) act_held_q <= rst_ni && !flush_i && act_valid_i && !act_pop && !free_bank;

  always_comb begin
    if (!started_q) assume (!rst_ni);
    if (step_valid_i) assume (good(step_groups_i, step_tile_rows_i, step_tight_i));
    assume ((fifo_held_q & ~fifo_valid_i) == '0);
    // Activations that are there stay there until they are used.
    if (act_held_q) assume (act_valid_i);
  end

  logic [PORTS-1:0] one_reason;

  always_comb begin
    for (int p = 0; p < int'(PORTS); p++) begin
      one_reason[p] = $onehot({pop, no_data[p], no_activations[p], no_room[p], lock_step[p]});
    end
  end

  always_comb begin
    if (started_q && rst_ni) begin
      a_all: assert (!pop || (&fifo_valid_i && ready_i && strip_valid && active_q));
      a_offer: assert (!strip_valid || (&fifo_valid_i && active_q && (!strip_weight || act_valid_i)));
      a_taken: assert (pop == (strip_valid && ready_i));
      a_stable: assert (!(offered_q && !flush_q) || strip_valid);
      a_halted: assert (enable_i || !strip_valid || offered_q);
      a_weight: assert (!strip_valid || strip_weight == (strip_q >= 5'd2));
      a_last: assert (!strip_valid || strip_last == (group_q + 16'd1 == groups_q));
      a_step: assert (!strip_valid || (vectors == vectors_q && strip_tight == tight_q));
      a_activations: assert (act_pop == (pop && strip_q >= 5'd2));
      a_first: assert (!pop || begun_q || act_valid_i);
      a_release: assert (free_bank == (pop && ends_step));
      a_next: assert (!begins || !active_q || free_bank);
      a_streaming: assert (streaming == (begun_q || pop));
      a_one_reason: assert (one_reason == '1);
      a_no_data: assert (pop || no_data == ~fifo_valid_i);

      // How the count lies in the registers.
      a_active: assert (dut.active_q == active_q && dut.begun_q == begun_q && (!begun_q || active_q));
      a_place: assert (!active_q || (dut.strip_q == strip_q && strip_q <= 5'd17 && dut.group_left_q == groups_q - group_q &&
                                     dut.row_left_q == rows_q - row_q && group_q < groups_q && row_q < rows_q));
      a_flags: assert (!active_q || (dut.weight_q == (strip_q >= 5'd2) && dut.end_q == ends_macro &&
                                     dut.last_group_q == (group_q + 16'd1 == groups_q) && dut.last_row_q == (row_q + 16'd1 == rows_q)));
      a_kept: assert (!active_q || (dut.groups_q == groups_q && dut.tight_q == tight_q && dut.vectors_q == vectors_q &&
                                    (Arithmetic == KV260 || !tight_q)));
      a_quad: assert (!active_q || dut.quad_q == group_q[1:0]);
      a_offered: assert (dut.offered_q == (offered_q && !flush_q) && (!dut.offered_q || active_q));
      a_begin: assert (begun_q || !active_q || strip_q == '0);
      a_queue: assert (queue_ok);

      c_row: cover (pop && ends_row && !ends_step);
      c_release: cover (free_bank && begins);
      c_halt: cover (offered_q && !enable_i && strip_valid && !ready_i);
      if (Arithmetic == KV260) c_tight: cover (pop && tight_q && group_q == 16'd1 && strip_q == 5'd1);
    end
  end

endmodule
