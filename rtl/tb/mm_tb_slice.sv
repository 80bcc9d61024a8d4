// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Testbench top: a slice as it is built and its twin of the simulation, side by side on the same inputs,
// their sums of four rows compared in every cycle.
//
// Latency, Throughput, Stalls: as mm_group_slice.

module mm_tb_slice (
  /// Clock, rising edge.
  input  logic         clk_i,
  /// As mm_group_slice.
  input  logic         en_i,
  input  logic         load_i,
  input  logic [63:0]  mant_i,
  input  logic [127:0] weights_i,
  input  logic [127:0] zeros_i,
  input  logic         acc_en_i,
  input  logic         first_i,
  input  logic         capture_i,
  input  logic [2:0]   channel_i,
  /// Of the DSP cascade.
  output logic [25:0]  dsp_sum_o,
  /// Of the twin.
  output logic [25:0]  twin_sum_o,
  /// Packed sums of four rows, column pair j at bits 48j.
  output logic [191:0] dsp_pairs_o,
  output logic [191:0] twin_pairs_o
);

  mm_group_slice #(
    .Structural (1'b1)
  ) u_dsp (
    .sum_o (dsp_sum_o),
    .*
  );

  mm_group_slice #(
    .Structural (1'b0)
  ) u_twin (
    .sum_o (twin_sum_o),
    .*
  );

  for (genvar j = 0; j < 4; j++) begin : gen_pair
    assign dsp_pairs_o[48*j+:48]  = u_dsp.pair[j];
    assign twin_pairs_o[48*j+:48] = u_twin.pair[j];
  end

endmodule
