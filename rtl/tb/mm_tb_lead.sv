// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Testbench only: four mm_axi_readers with FIFOs behind mm_lead_limiter, connected as in mm_core; the FIFOs are emptied in lock step.
//
// Latency: as mm_axi_reader and mm_fifo. Throughput: a beat of each port a cycle. Stalls: as mm_axi_reader.

module mm_tb_lead
  import mm_pkg::*;
#(
  /// As mm_axi_reader.
  parameter int unsigned Staged         = 0,
  /// As mm_lead_limiter.
  parameter int unsigned MaxLead        = 4,
  /// As mm_axi_reader.
  parameter int unsigned BurstBeats     = 64,
  /// As mm_axi_reader.
  parameter int unsigned MaxOutstanding = 8,
  /// Depth of the FIFOs, beats.
  parameter int unsigned FifoStrips     = 1024
) (
  /// Clock, rising edge.
  input  logic                        clk_i,
  /// Reset, synchronous, active low.
  input  logic                        rst_ni,
  /// As mm_axi_reader, all ports.
  input  logic                        drain_i,
  /// Empties the FIFOs; only while drained.
  input  logic                        flush_i,
  /// Port p is idle.
  output logic [PORTS-1:0]            idle_o,
  /// A segment for every port.
  input  logic                        cmd_valid_i,
  /// All ports take it.
  output logic                        cmd_ready_o,
  /// Where it begins for port 0; each port's is 2^32 bytes behind the one before.
  input  logic [31:0]                 cmd_addr_i,
  /// Its beats, a port.
  input  logic [BEATS_BITS-1:0]       cmd_beats_i,
  /// As mm_axi_reader, port p at its bits.
  output logic [PORTS*64-1:0]         araddr_o,
  /// As mm_axi_reader.
  output logic [PORTS*8-1:0]          arlen_o,
  /// As mm_axi_reader.
  output logic [PORTS-1:0]            arvalid_o,
  /// As mm_axi_reader.
  input  logic [PORTS-1:0]            arready_i,
  /// As mm_axi_reader.
  input  logic [PORTS*STRIP_BITS-1:0] rdata_i,
  /// As mm_axi_reader, bit 1 of the response.
  input  logic [PORTS-1:0]            rbad_i,
  /// As mm_axi_reader.
  input  logic [PORTS-1:0]            rlast_i,
  /// As mm_axi_reader.
  input  logic [PORTS-1:0]            rvalid_i,
  /// As mm_axi_reader.
  output logic [PORTS-1:0]            rready_o,
  /// A beat of every port.
  output logic                        out_valid_o,
  /// It is taken.
  input  logic                        out_ready_i,
  /// The beats.
  output logic [PORTS*STRIP_BITS-1:0] out_data_o,
  /// As mm_axi_reader.
  output logic [PORTS-1:0]            err_valid_o
);

  logic [PORTS-1:0] go, issue, cmd_ready, fifo_valid;
  logic             cmd_fire;

  assign cmd_ready_o = &cmd_ready;
  assign cmd_fire    = cmd_valid_i & cmd_ready_o;
  assign out_valid_o = &fifo_valid;

  mm_lead_limiter #(
    .MaxLead(MaxLead)
  ) u_lead_limiter (
    .clk_i,
    .rst_ni,
    .clear_i(drain_i),
    .issue_i(issue),
    .go_o   (go)
  );

  for (genvar p = 0; p < PORTS; p++) begin : gen_port
    logic                            mid_valid, mid_ready, mid_tag, beat;
    logic [STRIP_BITS-1:0]           mid_data;
    logic [ADDR_BITS-1:0]            araddr, err_addr;
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
      .idle_o       (idle_o[p]),
      .cmd_valid_i  (cmd_fire),
      .cmd_ready_o  (cmd_ready[p]),
      .cmd_addr_i   ({8'(p), cmd_addr_i}),
      .cmd_beats_i,
      .cmd_tag_i    (1'b0),
      .m_axi_araddr (araddr),
      .m_axi_arlen  (arlen_o[8*p +: 8]),
      .m_axi_arvalid(arvalid_o[p]),
      .m_axi_arready(arready_i[p]),
      .m_axi_rdata  (rdata_i[STRIP_BITS*p +: STRIP_BITS]),
      .m_axi_rresp  ({rbad_i[p], 1'b0}),
      .m_axi_rlast  (rlast_i[p]),
      .m_axi_rvalid (rvalid_i[p]),
      .m_axi_rready (rready_o[p]),
      .out_valid_o  (mid_valid),
      .out_ready_i  (1'b1),
      .out_data_o   (mid_data),
      .out_tag_o    (mid_tag),
      .pop_i        (out_valid_o & out_ready_i),
      .go_i         (go[p]),
      .issue_o      (issue[p]),
      .beat_o       (beat),
      .err_valid_o  (err_valid_o[p]),
      .err_addr_o   (err_addr)
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
      .out_valid_o(fifo_valid[p]),
      .out_ready_i(out_valid_o & out_ready_i),
      .out_data_o (out_data_o[STRIP_BITS*p +: STRIP_BITS]),
      .level_o    (level)
    );

    assign araddr_o[64*p +: 64] = 64'(araddr);

    logic unused;
    assign unused = ^{mid_tag, level, beat, err_addr};

    // A beat that was asked for always finds room.
    a_room : assert property (@(posedge clk_i) disable iff (!rst_ni)
        mid_valid && !flush_i |-> mid_ready);
  end

endmodule
