// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Read half of the data port: descriptor fetch and activation load share one reader. The reader's tag remembers
// whose beats come.
//
// Latency:    as mm_axi_reader.
// Throughput: a beat a cycle.
// Stalls:     none towards memory: both clients take every beat they have asked for at once. Either client has at
//             most one command under way, so the command queue never fills.

module mm_data_read
  import mm_pkg::*;
#(
  /// As mm_axi_reader.
  parameter bit          Staged         = 1'b0,
  /// Longest burst, beats; a power of two, 1..256.
  parameter int unsigned BurstBeats     = 64,
  /// Bursts in flight at most, >= 1.
  parameter int unsigned MaxOutstanding = 8
) (
  /// Clock, rising edge.
  input  logic                  clk_i,
  /// Reset, synchronous, active low.
  input  logic                  rst_ni,
  /// Ask for nothing new, take and drop what was asked for.
  input  logic                  drain_i,
  /// Nothing is wanted and nothing is outstanding.
  output logic                  idle_o,

  /// A descriptor is wanted.
  input  logic                  desc_valid_i,
  /// The request is taken.
  output logic                  desc_ready_o,
  /// Its address; 64-byte aligned.
  input  logic [ADDR_BITS-1:0]  desc_addr_i,
  /// One beat of it comes now; pulse.
  output logic                  desc_beat_o,

  /// Activations are wanted.
  input  logic                  act_valid_i,
  /// The request is taken.
  output logic                  act_ready_o,
  /// Their address; 4 KiB aligned.
  input  logic [ADDR_BITS-1:0]  act_addr_i,
  /// Their length, beats, >= 1.
  input  logic [BEATS_BITS-1:0] act_beats_i,
  /// One beat of them comes now; pulse.
  output logic                  act_beat_o,

  /// The beat that desc_beat_o or act_beat_o announces.
  output logic [STRIP_BITS-1:0] beat_data_o,
  /// A beat came from memory; pulse.
  output logic                  beat_o,
  /// The beat that comes now is bad; pulse.
  output logic                  err_valid_o,
  /// Address of its burst.
  output logic [ADDR_BITS-1:0]  err_addr_o,

  /// AXI4 AR channel: address.
  output logic [ADDR_BITS-1:0]  m_axi_araddr,
  /// AXI4 AR channel: beats - 1.
  output logic [7:0]            m_axi_arlen,
  /// AXI4 AR channel: valid.
  output logic                  m_axi_arvalid,
  /// AXI4 AR channel: ready.
  input  logic                  m_axi_arready,
  /// AXI4 R channel: data.
  input  logic [STRIP_BITS-1:0] m_axi_rdata,
  /// AXI4 R channel: response.
  input  logic [1:0]            m_axi_rresp,
  /// AXI4 R channel: last beat of a burst.
  input  logic                  m_axi_rlast,
  /// AXI4 R channel: valid.
  input  logic                  m_axi_rvalid,
  /// AXI4 R channel: ready.
  output logic                  m_axi_rready
);

  logic cmd_ready, out_valid, out_is_act, issue;

  // The short request goes first: a descriptor that comes late costs more than four beats do.
  assign desc_ready_o = cmd_ready;
  assign act_ready_o  = cmd_ready & ~desc_valid_i;

  mm_axi_reader #(
    .Staged        (Staged),
    .BurstBeats    (BurstBeats),
    .MaxOutstanding(MaxOutstanding),
    .CreditBeats   (MaxOutstanding * BurstBeats),
    .QueueDepth    (4),
    .TagBits       (1)
  ) u_reader (
    .clk_i,
    .rst_ni,
    .drain_i,
    .idle_o,
    .cmd_valid_i(desc_valid_i | act_valid_i),
    .cmd_ready_o(cmd_ready),
    .cmd_addr_i (desc_valid_i ? desc_addr_i : act_addr_i),
    .cmd_beats_i(desc_valid_i ? BEATS_BITS'(DESC_BEATS) : act_beats_i),
    .cmd_tag_i  (~desc_valid_i),
    .m_axi_araddr,
    .m_axi_arlen,
    .m_axi_arvalid,
    .m_axi_arready,
    .m_axi_rdata,
    .m_axi_rresp,
    .m_axi_rlast,
    .m_axi_rvalid,
    .m_axi_rready,
    .out_valid_o(out_valid),
    .out_ready_i(1'b1),
    .out_data_o (beat_data_o),
    .out_tag_o  (out_is_act),
    .pop_i      (out_valid),
    .go_i       (1'b1),
    .issue_o    (issue),
    .beat_o,
    .err_valid_o,
    .err_addr_o
  );

  assign desc_beat_o = out_valid & ~out_is_act;
  assign act_beat_o  = out_valid & out_is_act;

  logic unused;
  assign unused = issue;

endmodule
