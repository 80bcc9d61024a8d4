// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Activations and units of the `kv260` profile: mm_group_activations and four mm_group_mac in lock step, with register slices between
// them, so that a unit may lie anywhere on the chip.
//
// Latency:    as its parts; 1 cycle to a unit, 1 cycle from it.
// Throughput: four strips a cycle, for all vectors of the step.
// Stalls:     as its parts; strip_ready_o comes from registers.

module mm_group_engine
  import mm_pkg::*;
#(
  /// Activation vectors that share a pass, 1..16.
  parameter int unsigned Batch     = 8,
  /// Groups of 64 input channels that a step may have, >= 1.
  parameter int unsigned MaxGroups = 128
) (
  /// Clock, rising edge.
  input  logic                        clk_i,
  /// Reset, synchronous, active low.
  input  logic                        rst_ni,
  /// Forget everything.
  input  logic                        flush_i,
  /// A step begins.
  input  logic                        step_valid_i,
  /// It is taken.
  output logic                        step_ready_o,
  /// The step.
  input  step_t                       step_i,
  /// A read of activations is wanted.
  output logic                        rd_valid_o,
  /// It is taken.
  input  logic                        rd_ready_i,
  /// Its address.
  output addr_t                       rd_addr_o,
  /// Its length, beats.
  output beats_t                      rd_beats_o,
  /// A beat of it comes now.
  input  logic                        beat_i,
  /// The beat.
  input  logic [STRIP_BITS-1:0]       beat_data_i,
  /// The oldest step's activations are used up; pulse.
  input  logic                        release_i,
  /// Activations for the next strip of weights are there.
  output logic                        act_valid_o,
  /// They are used now.
  input  logic                        act_pop_i,
  /// Each unit is offered a strip.
  input  logic                        strip_valid_i,
  /// Unit p would take it: bit p; registered.
  output logic [PORTS-1:0]            strip_ready_o,
  /// Strip of unit p at bits 128p.
  input  logic [PORTS*STRIP_BITS-1:0] strip_data_i,
  /// The macro under way is the last of its output channels.
  input  logic                        strip_last_i,
  /// The strip holds weights.
  input  logic                        strip_weight_i,
  /// Vectors of the step.
  input  vectors_t                    strip_vectors_i,
  /// The step's weights are in format 2.
  input  logic                        strip_tight_i,
  /// Unit p has 8 results of a vector.
  output logic [PORTS-1:0]            res_valid_o,
  /// All units: they are taken.
  input  logic                        res_ready_i,
  /// Results of unit p at bits 256p, FP32.
  output logic [PORTS*256-1:0]        res_data_o,
  /// Unit p has met reserved bits; pulse.
  output logic [PORTS-1:0]            err_reserved_o,
  /// A NaN or an infinity is among the activations; pulse.
  output logic                        nan_seen_o
);

  localparam int unsigned VecBits = $clog2(Batch + 1);

  logic [Batch*64-1:0] act_data;
  logic [Batch*8-1:0]  act_exp;
  logic [Batch*72-1:0] acts;
  logic [Batch-1:0]    act_nan, active;

  mm_group_activations #(
    .Batch    (Batch),
    .MaxGroups(MaxGroups)
  ) u_activations (
    .clk_i,
    .rst_ni,
    .flush_i,
    .step_valid_i,
    .step_ready_o,
    .step_page_i     (step_i.activations),
    .step_groups_i   (step_i.groups),
    .step_tile_rows_i(step_i.tile_rows),
    .step_vectors_i  (step_i.vectors),
    .step_slices_i   (step_i.slices),
    .rd_valid_o,
    .rd_ready_i,
    .rd_addr_o,
    .rd_beats_o,
    .beat_i,
    .beat_data_i,
    .release_i,
    .act_valid_o,
    .act_pop_i,
    .act_data_o      (act_data),
    .act_exp_o       (act_exp),
    .act_nan_o       (act_nan),
    .nan_seen_o
  );

  for (genvar v = 0; v < Batch; v++) begin : gen_vector
    assign acts[72*v +: 72] = {act_exp[8*v +: 8], act_data[64*v +: 64]};
    assign active[v]        = vectors_t'(v) < strip_vectors_i;
  end

  logic [PORTS-1:0] unit_act_ready, unit_fire_weight;

  for (genvar p = 0; p < PORTS; p++) begin : gen_unit
    logic                  valid, ready, last, weight, tight, res_valid, res_ready;
    logic [STRIP_BITS-1:0] strip;
    logic [VecBits-1:0]    vectors;
    logic [Batch*72-1:0]   unit_acts;
    logic [Batch*64-1:0]   unit_data;
    logic [Batch*8-1:0]    unit_exp;
    logic [Batch-1:0]      unit_nan;
    logic [255:0]          res_data;

    mm_unit_slice #(
      .Batch    (Batch),
      .StripBits(STRIP_BITS + 3 + VecBits)
    ) u_in (
      .clk_i,
      .rst_ni,
      .flush_i,
      .in_valid_i (strip_valid_i),
      .in_ready_o (strip_ready_o[p]),
      .in_strip_i ({strip_data_i[p*STRIP_BITS +: STRIP_BITS], strip_last_i, strip_weight_i, strip_tight_i,
                    VecBits'(strip_vectors_i)}),
      .in_weight_i(strip_weight_i),
      .in_active_i(active),
      .in_acts_i  (acts),
      .in_nan_i   (act_nan),
      .out_valid_o(valid),
      .out_ready_i(ready),
      .out_strip_o({strip, last, weight, tight, vectors}),
      .out_acts_o (unit_acts),
      .out_nan_o  (unit_nan)
    );

    for (genvar v = 0; v < Batch; v++) begin : gen_act
      assign unit_data[64*v +: 64] = unit_acts[72*v +: 64];
      assign unit_exp[8*v +: 8]    = unit_acts[72*v + 64 +: 8];
    end

    mm_group_mac #(
      .Batch(Batch)
    ) u_group_mac (
      .clk_i,
      .rst_ni,
      .flush_i,
      .strip_valid_i (valid),
      .strip_ready_o (ready),
      .strip_data_i  (strip),
      .strip_last_i  (last),
      .shared_zeros_i(tight),
      .act_valid_i   (valid & weight),
      .act_ready_o   (unit_act_ready[p]),
      .act_data_i    (unit_data),
      .act_exp_i     (unit_exp),
      .vectors_i     (vectors),
      .nan_i         (unit_nan),
      .result_valid_o(res_valid),
      .result_ready_i(res_ready),
      .result_data_o (res_data),
      .err_reserved_o(err_reserved_o[p])
    );

    assign unit_fire_weight[p] = valid & ready & weight;

    // Reset does what a flush has to: nothing is in the slice afterwards.
    mm_skid #(
      .WidthBits(256)
    ) u_out (
      .clk_i,
      .rst_ni     (rst_ni & ~flush_i),
      .in_valid_i (res_valid),
      .in_ready_o (res_ready),
      .in_data_i  (res_data),
      .out_valid_o(res_valid_o[p]),
      .out_ready_i(res_ready_i),
      .out_data_o (res_data_o[p*256 +: 256])
    );
  end

  // Of a step only what activations need is used here.
  logic unused;
  assign unused = ^{step_i, unit_act_ready, unit_fire_weight};

`ifndef SYNTHESIS
  // The units take activations exactly with their strips of weights.
  a_act_ready : assert property (@(posedge clk_i) disable iff (!rst_ni || flush_i)
      unit_act_ready == unit_fire_weight);
`endif

endmodule
