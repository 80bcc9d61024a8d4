// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// MACRO_MAC, `paper` profile: a stream of AWQ_MACRO strips times FP32 activations, 8 output
// channels at a time. strip -> unpacker -> PE array -> adder trees -> sliding windows -> result.
//
// Latency:    29 cycles from the last strip of an output-channel tile to result_valid_o.
// Throughput: 1 strip a cycle. Without stalls and with 128 or more input channels (and a result
//             taken within 6 cycles) no cycle is lost between macros, nor between tiles.
// Stalls:     a rigid pipeline behind the input: nothing in it ever waits. A phase bit toggles
//             every cycle from reset on; strips of even index enter in phase 0, odd ones in phase
//             1, so units that left reset together stay in step. strip_ready_o depends on
//             registers, on flush_i and, for weight strips, on act_valid_i: never on strip_valid_i.
//             act_ready_o also depends on strip_valid_i. The last strip of a tile waits until the
//             result before it has been taken.
// Numerics:   docs/arithmetic.md sections 2 and 3, bit for bit.
//
//   cycle  0     strip (and activations) accepted
//          1     unpacked: scales, zeros, 32 weights, 4 activations in registers
//          7     32 products
//          15    lo (even strip) or hi (odd strip) of a step, per column
//          19    S = lo + hi
//          24    step accumulated (bypass into the next but one)
//          28    fold
//          29    result register

module mm_macro_mac (
  /// Clock, rising edge.
  input  logic         clk_i,
  /// Reset, synchronous, active low.
  input  logic         rst_ni,
  /// Forget everything in flight and expect strip 0 of the first macro of a tile; no strip is
  /// accepted in this cycle. The phase goes on.
  input  logic         flush_i,

  /// A strip is offered.
  input  logic         strip_valid_i,
  /// The strip is taken at this edge if it is offered.
  output logic         strip_ready_o,
  /// Strip, layout as in docs/formats.md.
  input  logic [127:0] strip_data_i,
  /// The macro under way is the last one of its tile; constant over the macro's 18 strips.
  input  logic         strip_last_i,

  /// Activations for the weight strip under way are offered.
  input  logic         act_valid_i,
  /// They are taken, together with the weight strip.
  output logic         act_ready_o,
  /// 4 FP32 activations, row r of the strip at bits 32r.
  input  logic [127:0] act_data_i,

  /// The results of a tile are offered.
  output logic         result_valid_o,
  /// They are taken at this edge.
  input  logic         result_ready_i,
  /// 8 FP32 results, output channel c at bits 32c.
  output logic [255:0] result_data_o,

  /// One pulse, the cycle after a zero strip with reserved bits set was taken.
  output logic         err_reserved_o
);

  // ---- input: strips become weights with a place in the output channel ----
  logic         weights_valid, weights_hi, weights_odd, weights_take, weights_last;
  logic [127:0] weights;
  logic [255:0] scales;
  logic [31:0]  zeros;
  logic         busy_d, busy_q;

  mm_unpacker u_unpacker (
    .clk_i,
    .rst_ni,
    .flush_i,
    .strip_valid_i,
    .strip_ready_o,
    .strip_data_i,
    .strip_last_i,
    .act_valid_i,
    .act_ready_o,
    .result_free_i   (~busy_q),
    .scales_o        (scales),
    .zeros_o         (zeros),
    .weights_o       (weights),
    .weights_valid_o (weights_valid),
    .weights_hi_o    (weights_hi),
    .weights_odd_o   (weights_odd),
    .weights_take_o  (weights_take),
    .weights_last_o  (weights_last),
    .err_reserved_o
  );

  logic [127:0] acts_q;

  always_ff @(posedge clk_i) acts_q <= act_data_i;

  // ---- arithmetic ----
  logic [1023:0] products;
  logic [255:0]  sums, folded;
  logic          folded_valid;

  mm_pe_array u_pe_array (
    .clk_i,
    .acts_i     (acts_q),
    .scales_i   (scales),
    .zeros_i    (zeros),
    .weights_i  (weights),
    .products_o (products)
  );

  for (genvar c = 0; c < 8; c++) begin : gen_tree
    mm_adder_tree u_tree (
      .clk_i,
      .products_i ({products[32*(24+c)+:32], products[32*(16+c)+:32],
                    products[32*( 8+c)+:32], products[32*c+:32]}),
      .sum_o      (sums[32*c+:32])
    );
  end

  // What the sums are, travelling beside them: 6 cycles of PE array, 8 of tree.
  localparam int unsigned TagCycles = 14;

  logic [TagCycles-1:0] lo_q, hi_q, odd_q, take_q, last_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || flush_i) begin
      lo_q   <= '0;
      hi_q   <= '0;
      odd_q  <= '0;
      take_q <= '0;
      last_q <= '0;
    end else begin
      lo_q   <= {lo_q[TagCycles-2:0], weights_valid & ~weights_hi};
      hi_q   <= {hi_q[TagCycles-2:0], weights_valid & weights_hi};
      odd_q  <= {odd_q[TagCycles-2:0], weights_odd};
      take_q <= {take_q[TagCycles-2:0], weights_take};
      last_q <= {last_q[TagCycles-2:0], weights_last};
    end
  end

  mm_window_acc u_window (
    .clk_i,
    .rst_ni,
    .flush_i,
    .sums_i         (sums),
    .lo_valid_i     (lo_q[TagCycles-1]),
    .hi_valid_i     (hi_q[TagCycles-1]),
    .odd_i          (odd_q[TagCycles-1]),
    .take_i         (take_q[TagCycles-1]),
    .last_i         (last_q[TagCycles-1]),
    .result_valid_o (folded_valid),
    .results_o      (folded)
  );

  // ---- result: one register; busy from the tile's last strip until the result is taken ----
  logic         result_valid_d, result_valid_q;
  logic [255:0] result_q;

  always_comb begin
    busy_d         = busy_q;
    result_valid_d = result_valid_q;
    if (result_valid_q && result_ready_i) begin
      busy_d         = 1'b0;
      result_valid_d = 1'b0;
    end
    if (folded_valid) result_valid_d = 1'b1;
    if (weights_last) busy_d = 1'b1;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni || flush_i) begin
      busy_q         <= 1'b0;
      result_valid_q <= 1'b0;
    end else begin
      busy_q         <= busy_d;
      result_valid_q <= result_valid_d;
    end
  end

  always_ff @(posedge clk_i) begin
    if (folded_valid) result_q <= folded;
  end

  assign result_valid_o = result_valid_q;
  assign result_data_o  = result_q;

`ifndef SYNTHESIS
  // A result that is offered stays offered and unchanged until it is taken or flushed.
  a_result_stable : assert property (@(posedge clk_i) disable iff (!rst_ni)
      result_valid_o && !result_ready_i && !flush_i |=> result_valid_o && $stable(result_data_o));
  // A fold never meets a result that is still held: the last strip was not let in.
  a_result_slot_free : assert property (@(posedge clk_i) disable iff (!rst_ni)
      folded_valid |-> !result_valid_q);
  // Offered activations stay offered and unchanged until they are taken or flushed.
  a_act_stable : assert property (@(posedge clk_i) disable iff (!rst_ni || flush_i)
      act_valid_i && !act_ready_o |=> flush_i || (act_valid_i && $stable(act_data_i)));
`endif

endmodule
