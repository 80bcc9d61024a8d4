// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Sliding-window accumulators of 8 columns: joins the two halves of each step, accumulates the
// steps of an output channel in two partial sums that take turns, and folds them.
//
// Latency:    13 cycles from hi_valid_i of a channel's last step to result_valid_o.
// Throughput: 1 step every two cycles. A channel's first halves follow the other's last ones after
//             at least two cycles without any (the scale and zero strips of the next macro).
// Stalls:     none; any number of whole two-cycle periods may pass between halves and between
//             steps.
// Numerics:   docs/arithmetic.md section 3: S = lo + hi; w0 takes S_0, w1 takes S_1, then
//             w(j mod 2) += S_j; y = w0 + w1.
//
// One adder a column serves all three. Halves "hi" arrive in one phase of a two-cycle period,
// always the same. With h the cycle of a step's hi:
//
//   h       lo + hi goes into the adder (level 3 alone uses the slots of this phase)
//   h + 4   S leaves the adder
//   h + 5   step 0 or 1: window <- S; else window + S goes in (the other phase: accumulate, fold)
//   h + 9   the accumulated sum leaves: it is at once the operand of the step after next, if that
//           is here (hi at h + 4), else it waits in the window
//   h + 9   after the last step: w0 + (what leaves) goes in: the fold. The slot is free: the next
//           channel's first hi comes at h + 4 at the earliest and is taken, not added, at h + 9.
//           w0 is read in the same cycle in which that step overwrites it.
//   h + 13  y leaves
//
// The window is written through the register behind the adder: taken steps at h + 5, sums at
// h + 10.

module mm_window_acc (
  /// Clock, rising edge.
  input  logic         clk_i,
  /// Reset, synchronous, active low.
  input  logic         rst_ni,
  /// Forget everything in flight.
  input  logic         flush_i,
  /// Outputs of the 8 adder trees, FP32, column c at bits 32c.
  input  logic [255:0] sums_i,
  /// sums_i are first halves of a step (rows 0..3).
  input  logic         lo_valid_i,
  /// sums_i are second halves of a step (rows 4..7).
  input  logic         hi_valid_i,
  /// With hi_valid_i: the step's number in its output channel is odd.
  input  logic         odd_i,
  /// With hi_valid_i: the step is number 0 or 1 of its output channel.
  input  logic         take_i,
  /// With hi_valid_i: the step is the last of its output channel (its number is odd); 0 otherwise.
  input  logic         last_i,
  /// results_o are the results of an output-channel tile.
  output logic         result_valid_o,
  /// 8 FP32 results, column c at bits 32c; meaningful in this cycle only.
  output logic [255:0] results_o
);

  localparam int unsigned AddCycles = 4;
  // Cycle, after hi, of the accumulate slot, of the sum's write to the window, and of the fold
  // slot.
  localparam int unsigned AccAt   = AddCycles + 1;
  localparam int unsigned WriteAt = AccAt + AddCycles + 1;
  localparam int unsigned FoldAt  = AccAt + AddCycles;
  localparam int unsigned DoneAt  = FoldAt + AddCycles;

  // Bit n: what it says happened n cycles ago (bit 0 is now).
  logic [AccAt:0]   take;
  logic [WriteAt:0] acc, odd;
  logic [DoneAt:0]  last;
  logic [AccAt-1:0]   take_q;
  logic [WriteAt-1:0] acc_q, odd_q;
  logic [DoneAt-1:0]  last_q;

  assign take = {take_q, hi_valid_i & take_i};
  assign acc  = {acc_q, hi_valid_i & ~take_i};
  assign odd  = {odd_q, odd_i};
  assign last = {last_q, last_i};

  always_ff @(posedge clk_i) begin
    if (!rst_ni || flush_i) begin
      take_q <= '0;
      acc_q  <= '0;
      odd_q  <= '0;
      last_q <= '0;
    end else begin
      take_q <= take[AccAt-1:0];
      acc_q  <= acc[WriteAt-1:0];
      odd_q  <= odd[WriteAt-1:0];
      last_q <= last[DoneAt-1:0];
    end
  end

  // ---- steering, the same for all columns ----
  logic       acc_slot, fold_slot, w0_en, w1_en;
  logic [1:0] x_sel, y_sel;

  assign acc_slot  = acc[AccAt];
  assign fold_slot = last[FoldAt];

  always_comb begin
    x_sel = 2'd0;
    y_sel = 2'd0;
    if (acc_slot) begin
      // The sum this step needs leaves the adder right now, or it is in the window already.
      if (acc[FoldAt] && odd[FoldAt] == odd[AccAt]) x_sel = 2'd3;
      else                                          x_sel = odd[AccAt] ? 2'd2 : 2'd1;
      y_sel = 2'd1;
    end
    if (fold_slot) begin
      x_sel = 2'd1;
      y_sel = 2'd2;
    end
    w0_en = (take[AccAt] & ~odd[AccAt]) | (acc[WriteAt] & ~odd[WriteAt]);
    w1_en = (take[AccAt] &  odd[AccAt]) | (acc[WriteAt] &  odd[WriteAt]);
  end

  for (genvar c = 0; c < 8; c++) begin : gen_lane
    mm_window_lane u_lane (
      .clk_i,
      .sum_i   (sums_i[32*c+:32]),
      .lo_en_i (lo_valid_i),
      .x_sel_i (x_sel),
      .y_sel_i (y_sel),
      .w0_en_i (w0_en),
      .w1_en_i (w1_en),
      .out_o   (results_o[32*c+:32])
    );
  end

  assign result_valid_o = last[DoneAt];

`ifndef SYNTHESIS
  // The adder is asked for one thing at a time: level 3, accumulate or fold.
  a_slot_exclusive : assert property (@(posedge clk_i) disable iff (!rst_ni)
      $onehot0({hi_valid_i, acc_slot, fold_slot}));
  // A taken step and a sum never want to write the window in the same cycle.
  a_write_exclusive : assert property (@(posedge clk_i) disable iff (!rst_ni)
      $onehot0({take[AccAt], acc[WriteAt]}));
  // When the fold reads window place 0, its last sum has been written.
  a_fold_after_write : assert property (@(posedge clk_i) disable iff (!rst_ni)
      fold_slot |-> !(acc[WriteAt] && !odd[WriteAt]));
  // The fold's second operand is the last step's sum, leaving the adder in the same cycle.
  a_fold_operand : assert property (@(posedge clk_i) disable iff (!rst_ni)
      fold_slot |-> acc[FoldAt] && odd[FoldAt]);
  // A second half is there only after its first half, and never in the same cycle.
  a_halves_apart : assert property (@(posedge clk_i) disable iff (!rst_ni)
      !(lo_valid_i && hi_valid_i));
  // Only a second half ends an output channel.
  a_last_with_hi : assert property (@(posedge clk_i) disable iff (!rst_ni)
      last_i |-> hi_valid_i && odd_i && !take_i);
`endif

endmodule
