// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Activations and units of the `paper` profile: mm_activations and four mm_macro_mac in lock step.
//
// Latency:    as its parts.
// Throughput: four strips a cycle.
// Stalls:     as its parts; strip_ready_o depends on registers, flush_i and act_valid_o.

module mm_paper_engine
  import mm_pkg::*;
#(
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
  /// Unit p would take it: bit p.
  output logic [PORTS-1:0]            strip_ready_o,
  /// Strip of unit p at bits 128p.
  input  logic [PORTS*STRIP_BITS-1:0] strip_data_i,
  /// The macro under way is the last of its output channels.
  input  logic                        strip_last_i,
  /// Unit p has 8 results.
  output logic [PORTS-1:0]            res_valid_o,
  /// All units: they are taken.
  input  logic                        res_ready_i,
  /// Results of unit p at bits 256p, FP32.
  output logic [PORTS*256-1:0]        res_data_o,
  /// Unit p has met reserved bits; pulse.
  output logic [PORTS-1:0]            err_reserved_o
);

  logic [STRIP_BITS-1:0] act_data;
  logic [PORTS-1:0]      act_ready;

  mm_activations #(
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
    .rd_valid_o,
    .rd_ready_i,
    .rd_addr_o,
    .rd_beats_o,
    .beat_i,
    .beat_data_i,
    .release_i,
    .act_valid_o,
    .act_pop_i,
    .act_data_o      (act_data)
  );

  for (genvar p = 0; p < PORTS; p++) begin : gen_unit
    mm_macro_mac u_macro_mac (
      .clk_i,
      .rst_ni,
      .flush_i,
      .strip_valid_i,
      .strip_ready_o (strip_ready_o[p]),
      .strip_data_i  (strip_data_i[p*STRIP_BITS +: STRIP_BITS]),
      .strip_last_i,
      .act_valid_i   (act_valid_o),
      .act_ready_o   (act_ready[p]),
      .act_data_i    (act_data),
      .result_valid_o(res_valid_o[p]),
      .result_ready_i(res_ready_i),
      .result_data_o (res_data_o[p*256 +: 256]),
      .err_reserved_o(err_reserved_o[p])
    );
  end

  // Of a step only what activations need is used here.
  logic unused;
  assign unused = ^{step_i, act_ready};

`ifndef SYNTHESIS
  // The units take the activations exactly when the stream control thinks so.
  a_act_pop : assert property (@(posedge clk_i) disable iff (!rst_ni || flush_i)
      act_ready == {PORTS{act_pop_i}});
`endif

endmodule
