// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Step issue: holds the steps that were fetched, and lets the next one go when the doorbell has released it: to the
// activation loader, to the stream (activation reader and lock step) and to the result collector, all in one cycle.
//
// Latency:    2 cycles through the queue; then 0 from the doorbell's register to the sinks (Staged: 1).
// Throughput: a step a cycle (Staged: in 2 cycles).
// Stalls:     waits for the doorbell and for all sinks. Their ready bits come from registers, so valid may depend on
//             them; one cycle for all means that no sink can run ahead of the loader.

module mm_step_issue
  import mm_pkg::*;
#(
  /// Steps fetched ahead, >= 2.
  parameter int unsigned StepsAhead = 8,
  /// Whether a step is released is known a cycle later, so that the clock may be fast.
  parameter bit          Staged     = 1'b0
) (
  /// Clock, rising edge.
  input  logic        clk_i,
  /// Reset, synchronous, active low.
  input  logic        rst_ni,
  /// Forget all steps; the sequence number is 0 again.
  input  logic        flush_i,
  /// 0: let nothing go.
  input  logic        enable_i,

  /// A fetched step.
  input  logic        in_valid_i,
  /// It is taken; registered.
  output logic        in_ready_o,
  /// The step.
  input  step_t       in_step_i,

  /// Sequence number of the first step that must wait.
  input  logic [31:0] released_i,
  /// Sequence number of the next step to go = steps gone since start.
  output logic [31:0] issued_o,

  /// A step goes now, to all sinks.
  output logic        out_valid_o,
  /// All sinks have room; from registers.
  input  logic        out_ready_i,
  /// The step.
  output step_t       out_step_o
);

  localparam int unsigned LevelBits = $clog2(StepsAhead + 1);

  logic                 head_valid;
  logic [31:0]          seq_q, ahead;
  logic                 released;
  logic [LevelBits-1:0] level;

  mm_fifo #(
    .WidthBits($bits(step_t)),
    .Depth    (StepsAhead)
  ) u_steps (
    .clk_i,
    .rst_ni,
    .flush_i,
    .in_valid_i,
    .in_ready_o,
    .in_data_i  (in_step_i),
    .out_valid_o(head_valid),
    .out_ready_i(out_valid_o),
    .out_data_o (out_step_o),
    .level_o    (level)
  );

  // Signed difference: sequence numbers wrap at 2^32.
  assign ahead       = released_i - seq_q;
  assign out_valid_o = head_valid & out_ready_i & enable_i & released;
  assign issued_o    = seq_q;

  if (Staged) begin : gen_released
    // Never of the step that goes now.
    logic released_q;
    always_ff @(posedge clk_i) released_q <= enable_i & ~out_valid_o & ~ahead[31] & (ahead != '0);
    assign released = released_q;
  end else begin : gen_released
    assign released = ~ahead[31] & (ahead != '0);
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) seq_q <= '0;
    else if (flush_i) seq_q <= '0;
    else if (out_valid_o) seq_q <= seq_q + 32'd1;
  end

  logic unused;
  assign unused = ^level;

`ifndef SYNTHESIS
  // No step goes before it is released.
  a_released : assert property (@(posedge clk_i) disable iff (!rst_ni)
      out_valid_o |-> $signed(released_i - seq_q) > 0);
`endif

endmodule
