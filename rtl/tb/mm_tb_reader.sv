// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Testbench only: mm_axi_reader with its prefetch FIFO, connected as in mm_weight_port.
//
// Latency: as mm_axi_reader and mm_fifo. Throughput: a beat a cycle. Stalls: as mm_axi_reader.

module mm_tb_reader
  import mm_pkg::*;
#(
  /// As mm_axi_reader.
  parameter int unsigned Staged         = 0,
  /// As mm_axi_reader.
  parameter int unsigned BurstBeats     = 64,
  /// As mm_axi_reader.
  parameter int unsigned MaxOutstanding = 8,
  /// Depth of the FIFO, beats.
  parameter int unsigned FifoStrips     = 256
) (
  /// Clock, rising edge.
  input  logic                  clk_i,
  /// Reset, synchronous, active low.
  input  logic                  rst_ni,
  /// As mm_axi_reader.
  input  logic                  drain_i,
  /// Empties the FIFO; only while drained.
  input  logic                  flush_i,
  /// As mm_axi_reader.
  output logic                  idle_o,
  /// As mm_axi_reader.
  input  logic                  cmd_valid_i,
  /// As mm_axi_reader.
  output logic                  cmd_ready_o,
  /// As mm_axi_reader.
  input  logic [ADDR_BITS-1:0]  cmd_addr_i,
  /// As mm_axi_reader.
  input  logic [BEATS_BITS-1:0] cmd_beats_i,
  /// As mm_axi_reader.
  output logic [ADDR_BITS-1:0]  m_axi_araddr,
  /// As mm_axi_reader.
  output logic [7:0]            m_axi_arlen,
  /// As mm_axi_reader.
  output logic                  m_axi_arvalid,
  /// As mm_axi_reader.
  input  logic                  m_axi_arready,
  /// As mm_axi_reader.
  input  logic [STRIP_BITS-1:0] m_axi_rdata,
  /// As mm_axi_reader.
  input  logic [1:0]            m_axi_rresp,
  /// As mm_axi_reader.
  input  logic                  m_axi_rlast,
  /// As mm_axi_reader.
  input  logic                  m_axi_rvalid,
  /// As mm_axi_reader.
  output logic                  m_axi_rready,
  /// A beat from the FIFO.
  output logic                  out_valid_o,
  /// It is taken.
  input  logic                  out_ready_i,
  /// The beat.
  output logic [STRIP_BITS-1:0] out_data_o,
  /// As mm_axi_reader.
  output logic                  beat_o,
  /// As mm_axi_reader.
  output logic                  err_valid_o,
  /// As mm_axi_reader.
  output logic [ADDR_BITS-1:0]  err_addr_o
);

  logic                            mid_valid, mid_ready, mid_tag, issue;
  logic [STRIP_BITS-1:0]           mid_data;
  logic [$clog2(FifoStrips+1)-1:0] level;

  mm_axi_reader #(
    .Staged        (Staged != 0),
    .BurstBeats    (BurstBeats),
    .MaxOutstanding(MaxOutstanding),
    .CreditBeats   (FifoStrips)
  ) u_reader (
    .clk_i,
    .rst_ni,
    .drain_i,
    .idle_o,
    .cmd_valid_i,
    .cmd_ready_o,
    .cmd_addr_i,
    .cmd_beats_i,
    .cmd_tag_i    (1'b0),
    .m_axi_araddr,
    .m_axi_arlen,
    .m_axi_arvalid,
    .m_axi_arready,
    .m_axi_rdata,
    .m_axi_rresp,
    .m_axi_rlast,
    .m_axi_rvalid,
    .m_axi_rready,
    .out_valid_o  (mid_valid),
    .out_ready_i  (mid_ready),
    .out_data_o   (mid_data),
    .out_tag_o    (mid_tag),
    .pop_i        (out_valid_o & out_ready_i),
    .go_i         (1'b1),
    .issue_o      (issue),
    .beat_o,
    .err_valid_o,
    .err_addr_o
  );

  mm_fifo #(
    .WidthBits(STRIP_BITS),
    .Depth    (FifoStrips)
  ) u_fifo (
    .clk_i,
    .rst_ni,
    .flush_i,
    .in_valid_i (mid_valid),
    .in_ready_o (mid_ready),
    .in_data_i  (mid_data),
    .out_valid_o,
    .out_ready_i,
    .out_data_o,
    .level_o    (level)
  );

  logic unused;
  assign unused = ^{mid_tag, level, issue};

  // A beat that was asked for always finds room.
  a_room : assert property (@(posedge clk_i) disable iff (!rst_ni)
      mid_valid && !flush_i |-> mid_ready);

endmodule
