// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// MACRO_MAC, `kv260` profile: a stream of AWQ_MACRO strips times the block floating point activations of up
// to Batch vectors, 8 output channels at a time. Strips -> unpacker -> per vector exact group sums -> per two
// vectors a term lane with 16 accumulators -> results.
//
// Latency:    LATENCY cycles from the last strip of a tile to its first result_valid_o: 59.
// Throughput: 1 strip a cycle, from macro to macro and from tile to tile, if a tile has 8 groups or more (at
//             Batch vectors; with fewer vectors fewer) and each result is taken within 4 cycles.
// Stalls:     a rigid pipeline behind the input: nothing in it ever waits. strip_ready_o depends on
//             registers, on flush_i and, for weight strips, on act_valid_i: never on strip_valid_i.
//             act_ready_o also depends on strip_valid_i. The last strip of a tile waits while the results
//             of the two tiles before it have not left the memories.
// Numerics:   docs/arithmetic.md, exact group sums, bit for bit.
//
//   cycle  0      strip, mantissas, exponents accepted
//          1      32 weights, 8 zeros, mantissas in registers
//          8      sums of four rows (mm_group_slice); 9 accumulated; 10 group sums kept
//          10     slot 0 of 16 (odd vector, channel): sum chosen; 11 in its lane; 12 operand of the term
//          21     term; accumulator read (mm_group_lane)
//          32     sum of both: written to the accumulator, or also to the results
//          48     the tile's last one (slot 15)
//
// Where a group needs what came with its strips later (scales, exponents, first or last of its tile), it is
// copied from stage to stage as the group reaches it: groups are 17 cycles apart or more, so each copy stands
// long enough for the 16 slots.
//
// A vector that takes no part has its enable low: nothing toggles, and a simulator passes by. The enable
// stays 64 cycles or more after the vector's last strip, longer than the way to the results.

module mm_group_mac #(
  /// Vectors that share the weights, 1..16.
  parameter int unsigned  Batch   = 8,
  /// Width of vectors_i; follows from Batch.
  localparam int unsigned VecBits = $clog2(Batch + 1)
) (
  /// Clock, rising edge.
  input  logic                clk_i,
  /// Reset, synchronous, active low.
  input  logic                rst_ni,
  /// Forget everything in flight and expect the first strip of a tile; no strip is accepted in this cycle.
  input  logic                flush_i,

  /// A strip is offered.
  input  logic                strip_valid_i,
  /// The strip is taken at this edge if it is offered.
  output logic                strip_ready_o,
  /// Strip, layout as in docs/formats.md.
  input  logic [127:0]        strip_data_i,
  /// The macro under way is the last one of its tile; constant over the macro's strips.
  input  logic                strip_last_i,
  /// Format 2 (four macros share a zeros strip); constant over a tile.
  input  logic                shared_zeros_i,
  /// Vectors of the step, 1..Batch; constant over a tile.
  input  logic [VecBits-1:0]  vectors_i,
  /// The vector holds a NaN or an infinity; looked at with the tile's last strip.
  input  logic [Batch-1:0]    nan_i,

  /// Activations for the weight strip under way are offered.
  input  logic                act_valid_i,
  /// They are taken, together with the weight strip.
  output logic                act_ready_o,
  /// 4 signed mantissas a vector, row r of the strip and vector v at bits 64v + 16r.
  input  logic [Batch*64-1:0] act_data_i,
  /// Biased exponent of the strip's group, vector v at bits 8v; constant over a macro's weight strips.
  input  logic [Batch*8-1:0]  act_exp_i,

  /// The results of a tile are offered, one vector a transfer, vectors in rising order.
  output logic                result_valid_o,
  /// They are taken at this edge.
  input  logic                result_ready_i,
  /// 8 FP32 results, output channel c at bits 32c.
  output logic [255:0]        result_data_o,

  /// One pulse, two cycles after a strip was taken with which it is certain that reserved bits are set.
  output logic                err_reserved_o
);

  localparam int unsigned Lanes = (Batch + 1) / 2;
  // Cycles: weights in registers -> sums of four rows; kept sums -> accumulator read -> adder's output.
  localparam int unsigned SumCycles  = 7;
  localparam int unsigned ReadCycles = 10;
  localparam int unsigned AddCycles  = 12;

  if (Batch < 1 || Batch > 16) begin : gen_bad_batch
    $fatal(1, "%m: Batch must be 1..16");
  end

  // ---- input ----
  logic         weight_fire, macro_end, tile_end, result_free;
  logic         weights_valid, weights_first, weights_last, tile_first, tile_last;
  logic [127:0] weights, scales;
  logic [31:0]  zeros;

  mm_group_unpacker u_unpacker (
    .clk_i,
    .rst_ni,
    .flush_i,
    .strip_valid_i,
    .strip_ready_o,
    .strip_data_i,
    .strip_last_i,
    .shared_zeros_i,
    .act_valid_i,
    .weight_fire_o   (weight_fire),
    .macro_end_o     (macro_end),
    .tile_end_o      (tile_end),
    .result_free_i   (result_free),
    .weights_o       (weights),
    .zeros_o         (zeros),
    .weights_valid_o (weights_valid),
    .weights_first_o (weights_first),
    .weights_last_o  (weights_last),
    .scales_o        (scales),
    .tile_first_o    (tile_first),
    .tile_last_o     (tile_last),
    .err_reserved_o
  );

  assign act_ready_o = weight_fire;

  // ---- which vectors are alive: set by a strip, forgotten in the second tick after the last one ----
  logic [Batch-1:0] load, recent_q, fading_q, alive;
  logic [5:0]       tick_q;
  logic             tick;

  always_comb begin
    for (int v = 0; v < int'(Batch); v++) begin
      load[v] = weight_fire & (VecBits'(v) < vectors_i);
    end
  end

  assign tick  = tick_q == '0;
  assign alive = recent_q | fading_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      tick_q   <= '0;
      recent_q <= '0;
      fading_q <= '0;
    end else begin
      tick_q   <= tick_q + 6'd1;
      recent_q <= (recent_q & {Batch{~tick}}) | load;
      if (tick) fading_q <= recent_q;
    end
  end

  // Vector 0 takes part in everything.
  logic busy;

  assign busy = alive[0];

  // ---- rows: row r works r cycles after row 0 ----
  logic [31:0]  weights1_q, weights2_q, weights2_q2, weights3_q, weights3_q2, weights3_q3;
  logic [31:0]  zeros_q, zeros_q2, zeros_q3;
  logic [127:0] row_weights, row_zeros;

  always_ff @(posedge clk_i) begin
    if (busy) begin
      weights1_q  <= weights[63:32];
      weights2_q  <= weights[95:64];
      weights2_q2 <= weights2_q;
      weights3_q  <= weights[127:96];
      weights3_q2 <= weights3_q;
      weights3_q3 <= weights3_q2;
      zeros_q     <= zeros;
      zeros_q2    <= zeros_q;
      zeros_q3    <= zeros_q2;
    end
  end

  assign row_weights = {weights3_q3, weights2_q2, weights1_q, weights[31:0]};
  assign row_zeros   = {zeros_q3, zeros_q2, zeros_q, zeros};

  // ---- what the sums are, travelling beside them ----
  logic [SumCycles-1:0]            valid_q, first_q;
  logic [SumCycles:0]              last_q;
  logic [ReadCycles+AddCycles-1:0] start_q;
  logic                            capture;

  assign capture = last_q[SumCycles];

  always_ff @(posedge clk_i) begin
    if (!rst_ni || flush_i) begin
      valid_q <= '0;
      last_q  <= '0;
      start_q <= '0;
    end else begin
      valid_q <= {valid_q[SumCycles-2:0], weights_valid};
      last_q  <= {last_q[SumCycles-1:0], weights_last};
      start_q <= {start_q[ReadCycles+AddCycles-2:0], capture};
    end
    first_q <= {first_q[SumCycles-2:0], weights_first};
  end

  // ---- group sums ----
  logic [Batch*26-1:0] sums;
  logic [3:0]          slot, read_slot, write_slot;
  logic                slot_valid, read_valid, write_valid, write_end;

  for (genvar v = 0; v < Batch; v++) begin : gen_slice
    mm_group_slice u_slice (
      .clk_i,
      .en_i      (alive[v]),
      .load_i    (load[v]),
      .mant_i    (act_data_i[64*v+:64]),
      .weights_i (row_weights),
      .zeros_i   (row_zeros),
      .acc_en_i  (valid_q[SumCycles-1]),
      .first_i   (first_q[SumCycles-1]),
      .capture_i (capture),
      .channel_i (slot[2:0]),
      .sum_o     (sums[26*v+:26])
    );
  end

  // ---- slots: of the sums, of the accumulators that are read, of those that are written ----
  logic last_unused;

  mm_group_slots u_slots (
    .clk_i,
    .rst_ni,
    .flush_i,
    .start_i (capture),
    .valid_o (slot_valid),
    .slot_o  (slot),
    .last_o  (last_unused)
  );

  logic read_last_unused;

  mm_group_slots u_read_slots (
    .clk_i,
    .rst_ni,
    .flush_i,
    .start_i (start_q[ReadCycles-1]),
    .valid_o (read_valid),
    .slot_o  (read_slot),
    .last_o  (read_last_unused)
  );

  mm_group_slots u_write_slots (
    .clk_i,
    .rst_ni,
    .flush_i,
    .start_i (start_q[ReadCycles+AddCycles-1]),
    .valid_o (write_valid),
    .slot_o  (write_slot),
    .last_o  (write_end)
  );

  // ---- what belongs to a group: held by the unpacker, copied with the sums, then with its slots ----
  logic [Batch*8-1:0] held_exp_q, exp_q;
  logic [127:0]       scales_q;
  logic               group_first_q, group_last_q, read_first_q, read_last_q, write_last_q;

  always_ff @(posedge clk_i) begin
    if (macro_end) held_exp_q <= act_exp_i;
    if (capture) begin
      exp_q         <= held_exp_q;
      scales_q      <= scales;
      group_first_q <= tile_first;
      group_last_q  <= tile_last;
    end
    if (start_q[ReadCycles-1]) begin
      read_first_q <= group_first_q;
      read_last_q  <= group_last_q;
    end
    if (start_q[ReadCycles+AddCycles-1]) write_last_q <= read_last_q;
  end

  // ---- the scale of the channel, one for all lanes ----
  logic        odd_q;
  logic [15:0] half_q;
  logic [31:0] single;
  logic [18:0] scale_q;

  mm_fp16_to_fp32 u_to_fp32 (
    .half_i   (half_q),
    .single_o (single)
  );

  always_ff @(posedge clk_i) begin
    if (busy) begin
      odd_q   <= slot[3];
      half_q  <= scales_q[16*slot[2:0]+:16];
      scale_q <= single[31:13];
    end
  end

  // ---- term lanes ----
  logic [Lanes*32-1:0] rd_data;
  logic [Lanes-1:0]    rd_en;
  logic [4:0]          rd_addr;
  logic                wr_bank, result_write;

  assign result_write = write_valid & write_last_q;

  for (genvar l = 0; l < Lanes; l++) begin : gen_lane
    // With an odd Batch the last lane serves one vector only.
    localparam int unsigned Even = 2 * l;
    localparam int unsigned Odd  = (2 * l + 1 < Batch) ? 2 * l + 1 : 2 * l;

    mm_group_lane u_lane (
      .clk_i,
      .en_i        (alive[Even]),
      .sum_even_i  (sums[26*Even+:26]),
      .sum_odd_i   (sums[26*Odd+:26]),
      .exp_even_i  (exp_q[8*Even+:8]),
      .exp_odd_i   (exp_q[8*Odd+:8]),
      .odd_i       (odd_q),
      .scale_i     (scale_q),
      .acc_slot_i  (read_slot),
      .acc_first_i (read_first_q),
      .wr_en_i     (write_valid),
      .wr_slot_i   (write_slot),
      .res_en_i    (result_write),
      .res_bank_i  (wr_bank),
      .rd_en_i     (rd_en[l]),
      .rd_addr_i   (rd_addr),
      .rd_data_o   (rd_data[32*l+:32])
    );
  end

  // ---- results ----
  mm_group_results #(
    .Batch (Batch)
  ) u_results (
    .clk_i,
    .rst_ni,
    .flush_i,
    .tile_end_i  (tile_end),
    .vectors_i,
    .nan_i,
    .free_o      (result_free),
    .tile_done_i (write_end & write_last_q),
    .wr_bank_o   (wr_bank),
    .rd_en_o     (rd_en),
    .rd_addr_o   (rd_addr),
    .rd_data_i   (rd_data),
    .result_valid_o,
    .result_ready_i,
    .result_data_o
  );

  logic unused;
  assign unused = &{1'b0, single[12:0], slot_valid, read_valid, last_unused, read_last_unused};

`ifndef SYNTHESIS
  // Offered activations stay offered and unchanged until they are taken or flushed.
  a_act_stable : assert property (@(posedge clk_i) disable iff (!rst_ni || flush_i)
      act_valid_i && !act_ready_o |=> flush_i || (act_valid_i && $stable(act_data_i)));
  // At least one vector, and no more than there are.
  a_vectors : assert property (@(posedge clk_i) disable iff (!rst_ni)
      weight_fire |-> vectors_i != '0 && vectors_i <= VecBits'(Batch));
  // What is on its way finds its vectors' enables set.
  a_alive : assert property (@(posedge clk_i) disable iff (!rst_ni)
      (|valid_q) || (|last_q) || (|start_q) || slot_valid || read_valid || write_valid |-> busy);
`endif

endmodule
