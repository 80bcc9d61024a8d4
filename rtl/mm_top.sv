// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// The accelerator as a block design sees it: parameters and ports in the vendor's spelling, so that Vivado infers the
// buses. It only packs them for mm_core, where everything is; docs/architecture.md is the contract with software.
//
// Latency:    see docs/architecture.md, section 8.
// Throughput: four strips a cycle.
// Stalls:     as mm_core.

module mm_top
  import mm_pkg::*;
#(
  /// Arithmetic of the units: 0 = paper (FP32), 1 = kv260 (exact group sums).
  parameter int unsigned Arithmetic     = PAPER,
  /// Activation vectors that share a pass, 1..16; 1 for paper.
  parameter int unsigned Batch          = (Arithmetic == KV260) ? 8 : 1,
  /// Depth of each prefetch FIFO, strips of 128 bits, >= BurstBeats.
  parameter int unsigned FifoStrips     = (Arithmetic == KV260) ? 24576 : 2048,
  /// Longest read burst, beats; a power of two, 1..256.
  parameter int unsigned BurstBeats     = 64,
  /// Read bursts in flight a port, >= 1.
  parameter int unsigned MaxOutstanding = 8,
  /// Bursts by which a weight port may be ahead of another, >= 1.
  parameter int unsigned MaxLead        = 4,
  /// Largest K / 64, 1..8192.
  parameter int unsigned MaxGroups      = 128
) (
  /// Clock of everything, rising edge.
  input  logic         aclk,
  /// Reset of everything, synchronous, active low.
  input  logic         aresetn,

  /// AXI4-Lite, AW channel: address.
  input  logic [12:0]  s_axil_awaddr,
  /// AXI4-Lite, AW channel: protection, not used.
  input  logic [2:0]   s_axil_awprot,
  /// AXI4-Lite, AW channel: valid.
  input  logic         s_axil_awvalid,
  /// AXI4-Lite, AW channel: ready.
  output logic         s_axil_awready,
  /// AXI4-Lite, W channel: data.
  input  logic [31:0]  s_axil_wdata,
  /// AXI4-Lite, W channel: byte enables.
  input  logic [3:0]   s_axil_wstrb,
  /// AXI4-Lite, W channel: valid.
  input  logic         s_axil_wvalid,
  /// AXI4-Lite, W channel: ready.
  output logic         s_axil_wready,
  /// AXI4-Lite, B channel: response.
  output logic [1:0]   s_axil_bresp,
  /// AXI4-Lite, B channel: valid.
  output logic         s_axil_bvalid,
  /// AXI4-Lite, B channel: ready.
  input  logic         s_axil_bready,
  /// AXI4-Lite, AR channel: address.
  input  logic [12:0]  s_axil_araddr,
  /// AXI4-Lite, AR channel: protection, not used.
  input  logic [2:0]   s_axil_arprot,
  /// AXI4-Lite, AR channel: valid.
  input  logic         s_axil_arvalid,
  /// AXI4-Lite, AR channel: ready.
  output logic         s_axil_arready,
  /// AXI4-Lite, R channel: data.
  output logic [31:0]  s_axil_rdata,
  /// AXI4-Lite, R channel: response.
  output logic [1:0]   s_axil_rresp,
  /// AXI4-Lite, R channel: valid.
  output logic         s_axil_rvalid,
  /// AXI4-Lite, R channel: ready.
  input  logic         s_axil_rready,

  /// AXI4 weight port 0, AR channel: address.
  output logic [39:0]  m_axi_hp0_araddr,
  /// AXI4 weight port 0, AR channel: beats - 1.
  output logic [7:0]   m_axi_hp0_arlen,
  /// AXI4 weight port 0, AR channel: bytes a beat, 16.
  output logic [2:0]   m_axi_hp0_arsize,
  /// AXI4 weight port 0, AR channel: INCR.
  output logic [1:0]   m_axi_hp0_arburst,
  /// AXI4 weight port 0, AR channel: memory attributes.
  output logic [3:0]   m_axi_hp0_arcache,
  /// AXI4 weight port 0, AR channel: protection.
  output logic [2:0]   m_axi_hp0_arprot,
  /// AXI4 weight port 0, AR channel: valid.
  output logic         m_axi_hp0_arvalid,
  /// AXI4 weight port 0, AR channel: ready.
  input  logic         m_axi_hp0_arready,
  /// AXI4 weight port 0, R channel: data.
  input  logic [127:0] m_axi_hp0_rdata,
  /// AXI4 weight port 0, R channel: response.
  input  logic [1:0]   m_axi_hp0_rresp,
  /// AXI4 weight port 0, R channel: last beat of a burst.
  input  logic         m_axi_hp0_rlast,
  /// AXI4 weight port 0, R channel: valid.
  input  logic         m_axi_hp0_rvalid,
  /// AXI4 weight port 0, R channel: ready.
  output logic         m_axi_hp0_rready,

  /// AXI4 weight port 1, AR channel: address.
  output logic [39:0]  m_axi_hp1_araddr,
  /// AXI4 weight port 1, AR channel: beats - 1.
  output logic [7:0]   m_axi_hp1_arlen,
  /// AXI4 weight port 1, AR channel: bytes a beat, 16.
  output logic [2:0]   m_axi_hp1_arsize,
  /// AXI4 weight port 1, AR channel: INCR.
  output logic [1:0]   m_axi_hp1_arburst,
  /// AXI4 weight port 1, AR channel: memory attributes.
  output logic [3:0]   m_axi_hp1_arcache,
  /// AXI4 weight port 1, AR channel: protection.
  output logic [2:0]   m_axi_hp1_arprot,
  /// AXI4 weight port 1, AR channel: valid.
  output logic         m_axi_hp1_arvalid,
  /// AXI4 weight port 1, AR channel: ready.
  input  logic         m_axi_hp1_arready,
  /// AXI4 weight port 1, R channel: data.
  input  logic [127:0] m_axi_hp1_rdata,
  /// AXI4 weight port 1, R channel: response.
  input  logic [1:0]   m_axi_hp1_rresp,
  /// AXI4 weight port 1, R channel: last beat of a burst.
  input  logic         m_axi_hp1_rlast,
  /// AXI4 weight port 1, R channel: valid.
  input  logic         m_axi_hp1_rvalid,
  /// AXI4 weight port 1, R channel: ready.
  output logic         m_axi_hp1_rready,

  /// AXI4 weight port 2, AR channel: address.
  output logic [39:0]  m_axi_hp2_araddr,
  /// AXI4 weight port 2, AR channel: beats - 1.
  output logic [7:0]   m_axi_hp2_arlen,
  /// AXI4 weight port 2, AR channel: bytes a beat, 16.
  output logic [2:0]   m_axi_hp2_arsize,
  /// AXI4 weight port 2, AR channel: INCR.
  output logic [1:0]   m_axi_hp2_arburst,
  /// AXI4 weight port 2, AR channel: memory attributes.
  output logic [3:0]   m_axi_hp2_arcache,
  /// AXI4 weight port 2, AR channel: protection.
  output logic [2:0]   m_axi_hp2_arprot,
  /// AXI4 weight port 2, AR channel: valid.
  output logic         m_axi_hp2_arvalid,
  /// AXI4 weight port 2, AR channel: ready.
  input  logic         m_axi_hp2_arready,
  /// AXI4 weight port 2, R channel: data.
  input  logic [127:0] m_axi_hp2_rdata,
  /// AXI4 weight port 2, R channel: response.
  input  logic [1:0]   m_axi_hp2_rresp,
  /// AXI4 weight port 2, R channel: last beat of a burst.
  input  logic         m_axi_hp2_rlast,
  /// AXI4 weight port 2, R channel: valid.
  input  logic         m_axi_hp2_rvalid,
  /// AXI4 weight port 2, R channel: ready.
  output logic         m_axi_hp2_rready,

  /// AXI4 weight port 3, AR channel: address.
  output logic [39:0]  m_axi_hp3_araddr,
  /// AXI4 weight port 3, AR channel: beats - 1.
  output logic [7:0]   m_axi_hp3_arlen,
  /// AXI4 weight port 3, AR channel: bytes a beat, 16.
  output logic [2:0]   m_axi_hp3_arsize,
  /// AXI4 weight port 3, AR channel: INCR.
  output logic [1:0]   m_axi_hp3_arburst,
  /// AXI4 weight port 3, AR channel: memory attributes.
  output logic [3:0]   m_axi_hp3_arcache,
  /// AXI4 weight port 3, AR channel: protection.
  output logic [2:0]   m_axi_hp3_arprot,
  /// AXI4 weight port 3, AR channel: valid.
  output logic         m_axi_hp3_arvalid,
  /// AXI4 weight port 3, AR channel: ready.
  input  logic         m_axi_hp3_arready,
  /// AXI4 weight port 3, R channel: data.
  input  logic [127:0] m_axi_hp3_rdata,
  /// AXI4 weight port 3, R channel: response.
  input  logic [1:0]   m_axi_hp3_rresp,
  /// AXI4 weight port 3, R channel: last beat of a burst.
  input  logic         m_axi_hp3_rlast,
  /// AXI4 weight port 3, R channel: valid.
  input  logic         m_axi_hp3_rvalid,
  /// AXI4 weight port 3, R channel: ready.
  output logic         m_axi_hp3_rready,

  /// AXI4 data port, AR channel: address.
  output logic [39:0]  m_axi_hpc0_araddr,
  /// AXI4 data port, AR channel: beats - 1.
  output logic [7:0]   m_axi_hpc0_arlen,
  /// AXI4 data port, AR channel: bytes a beat, 16.
  output logic [2:0]   m_axi_hpc0_arsize,
  /// AXI4 data port, AR channel: INCR.
  output logic [1:0]   m_axi_hpc0_arburst,
  /// AXI4 data port, AR channel: memory attributes.
  output logic [3:0]   m_axi_hpc0_arcache,
  /// AXI4 data port, AR channel: protection.
  output logic [2:0]   m_axi_hpc0_arprot,
  /// AXI4 data port, AR channel: valid.
  output logic         m_axi_hpc0_arvalid,
  /// AXI4 data port, AR channel: ready.
  input  logic         m_axi_hpc0_arready,
  /// AXI4 data port, R channel: data.
  input  logic [127:0] m_axi_hpc0_rdata,
  /// AXI4 data port, R channel: response.
  input  logic [1:0]   m_axi_hpc0_rresp,
  /// AXI4 data port, R channel: last beat of a burst.
  input  logic         m_axi_hpc0_rlast,
  /// AXI4 data port, R channel: valid.
  input  logic         m_axi_hpc0_rvalid,
  /// AXI4 data port, R channel: ready.
  output logic         m_axi_hpc0_rready,
  /// AXI4 data port, AW channel: address.
  output logic [39:0]  m_axi_hpc0_awaddr,
  /// AXI4 data port, AW channel: beats - 1.
  output logic [7:0]   m_axi_hpc0_awlen,
  /// AXI4 data port, AW channel: bytes a beat, 16.
  output logic [2:0]   m_axi_hpc0_awsize,
  /// AXI4 data port, AW channel: INCR.
  output logic [1:0]   m_axi_hpc0_awburst,
  /// AXI4 data port, AW channel: memory attributes.
  output logic [3:0]   m_axi_hpc0_awcache,
  /// AXI4 data port, AW channel: protection.
  output logic [2:0]   m_axi_hpc0_awprot,
  /// AXI4 data port, AW channel: valid.
  output logic         m_axi_hpc0_awvalid,
  /// AXI4 data port, AW channel: ready.
  input  logic         m_axi_hpc0_awready,
  /// AXI4 data port, W channel: data.
  output logic [127:0] m_axi_hpc0_wdata,
  /// AXI4 data port, W channel: byte enables, all ones.
  output logic [15:0]  m_axi_hpc0_wstrb,
  /// AXI4 data port, W channel: last beat of a burst.
  output logic         m_axi_hpc0_wlast,
  /// AXI4 data port, W channel: valid.
  output logic         m_axi_hpc0_wvalid,
  /// AXI4 data port, W channel: ready.
  input  logic         m_axi_hpc0_wready,
  /// AXI4 data port, B channel: response.
  input  logic [1:0]   m_axi_hpc0_bresp,
  /// AXI4 data port, B channel: valid.
  input  logic         m_axi_hpc0_bvalid,
  /// AXI4 data port, B channel: ready.
  output logic         m_axi_hpc0_bready,

  /// Interrupt, level, high: IRQ_STATUS & IRQ_ENABLE.
  output logic         irq
);

  localparam logic [2:0] AXI_SIZE_16 = 3'b100;
  localparam logic [1:0] AXI_INCR    = 2'b01;

  axil_req_t             axil_req;
  axil_rsp_t               axil_rsp;
  axi_rd_req_t [PORTS-1:0] weight_req;
  axi_rd_rsp_t [PORTS-1:0] weight_rsp;
  axi_rd_req_t             data_rd_req;
  axi_rd_rsp_t             data_rd_rsp;
  axi_wr_req_t             data_wr_req;
  axi_wr_rsp_t             data_wr_rsp;
  axi_attr_t               weight_attr, data_attr;

  mm_core #(
    .Arithmetic    (Arithmetic),
    .Batch         (Batch),
    .FifoStrips    (FifoStrips),
    .BurstBeats    (BurstBeats),
    .MaxOutstanding(MaxOutstanding),
    .MaxLead       (MaxLead),
    .MaxGroups     (MaxGroups)
  ) u_core (
    .clk_i        (aclk),
    .rst_ni       (aresetn),
    .axil_req_i   (axil_req),
    .axil_rsp_o   (axil_rsp),
    .weight_req_o (weight_req),
    .weight_rsp_i (weight_rsp),
    .weight_attr_o(weight_attr),
    .data_rd_req_o(data_rd_req),
    .data_rd_rsp_i(data_rd_rsp),
    .data_wr_req_o(data_wr_req),
    .data_wr_rsp_i(data_wr_rsp),
    .data_attr_o  (data_attr),
    .irq_o        (irq)
  );

  // ---- registers ----

  assign axil_req = '{
    awaddr:  s_axil_awaddr,
    awprot:  s_axil_awprot,
    awvalid: s_axil_awvalid,
    wdata:   s_axil_wdata,
    wstrb:   s_axil_wstrb,
    wvalid:  s_axil_wvalid,
    bready:  s_axil_bready,
    araddr:  s_axil_araddr,
    arprot:  s_axil_arprot,
    arvalid: s_axil_arvalid,
    rready:  s_axil_rready
  };

  assign s_axil_awready = axil_rsp.awready;
  assign s_axil_wready  = axil_rsp.wready;
  assign s_axil_bresp   = axil_rsp.bresp;
  assign s_axil_bvalid  = axil_rsp.bvalid;
  assign s_axil_arready = axil_rsp.arready;
  assign s_axil_rdata   = axil_rsp.rdata;
  assign s_axil_rresp   = axil_rsp.rresp;
  assign s_axil_rvalid  = axil_rsp.rvalid;

  // ---- weight ports ----

  assign weight_rsp[0] = '{
    arready: m_axi_hp0_arready,
    rvalid:  m_axi_hp0_rvalid,
    rlast:   m_axi_hp0_rlast,
    rresp:   m_axi_hp0_rresp,
    rdata:   m_axi_hp0_rdata
  };
  assign m_axi_hp0_araddr  = weight_req[0].araddr;
  assign m_axi_hp0_arlen   = weight_req[0].arlen;
  assign m_axi_hp0_arsize  = AXI_SIZE_16;
  assign m_axi_hp0_arburst = AXI_INCR;
  assign m_axi_hp0_arcache = weight_attr.cache;
  assign m_axi_hp0_arprot  = weight_attr.prot;
  assign m_axi_hp0_arvalid = weight_req[0].arvalid;
  assign m_axi_hp0_rready  = weight_req[0].rready;

  assign weight_rsp[1] = '{
    arready: m_axi_hp1_arready,
    rvalid:  m_axi_hp1_rvalid,
    rlast:   m_axi_hp1_rlast,
    rresp:   m_axi_hp1_rresp,
    rdata:   m_axi_hp1_rdata
  };
  assign m_axi_hp1_araddr  = weight_req[1].araddr;
  assign m_axi_hp1_arlen   = weight_req[1].arlen;
  assign m_axi_hp1_arsize  = AXI_SIZE_16;
  assign m_axi_hp1_arburst = AXI_INCR;
  assign m_axi_hp1_arcache = weight_attr.cache;
  assign m_axi_hp1_arprot  = weight_attr.prot;
  assign m_axi_hp1_arvalid = weight_req[1].arvalid;
  assign m_axi_hp1_rready  = weight_req[1].rready;

  assign weight_rsp[2] = '{
    arready: m_axi_hp2_arready,
    rvalid:  m_axi_hp2_rvalid,
    rlast:   m_axi_hp2_rlast,
    rresp:   m_axi_hp2_rresp,
    rdata:   m_axi_hp2_rdata
  };
  assign m_axi_hp2_araddr  = weight_req[2].araddr;
  assign m_axi_hp2_arlen   = weight_req[2].arlen;
  assign m_axi_hp2_arsize  = AXI_SIZE_16;
  assign m_axi_hp2_arburst = AXI_INCR;
  assign m_axi_hp2_arcache = weight_attr.cache;
  assign m_axi_hp2_arprot  = weight_attr.prot;
  assign m_axi_hp2_arvalid = weight_req[2].arvalid;
  assign m_axi_hp2_rready  = weight_req[2].rready;

  assign weight_rsp[3] = '{
    arready: m_axi_hp3_arready,
    rvalid:  m_axi_hp3_rvalid,
    rlast:   m_axi_hp3_rlast,
    rresp:   m_axi_hp3_rresp,
    rdata:   m_axi_hp3_rdata
  };
  assign m_axi_hp3_araddr  = weight_req[3].araddr;
  assign m_axi_hp3_arlen   = weight_req[3].arlen;
  assign m_axi_hp3_arsize  = AXI_SIZE_16;
  assign m_axi_hp3_arburst = AXI_INCR;
  assign m_axi_hp3_arcache = weight_attr.cache;
  assign m_axi_hp3_arprot  = weight_attr.prot;
  assign m_axi_hp3_arvalid = weight_req[3].arvalid;
  assign m_axi_hp3_rready  = weight_req[3].rready;

  // ---- data port ----

  assign data_rd_rsp = '{
    arready: m_axi_hpc0_arready,
    rvalid:  m_axi_hpc0_rvalid,
    rlast:   m_axi_hpc0_rlast,
    rresp:   m_axi_hpc0_rresp,
    rdata:   m_axi_hpc0_rdata
  };
  assign m_axi_hpc0_araddr  = data_rd_req.araddr;
  assign m_axi_hpc0_arlen   = data_rd_req.arlen;
  assign m_axi_hpc0_arsize  = AXI_SIZE_16;
  assign m_axi_hpc0_arburst = AXI_INCR;
  assign m_axi_hpc0_arcache = data_attr.cache;
  assign m_axi_hpc0_arprot  = data_attr.prot;
  assign m_axi_hpc0_arvalid = data_rd_req.arvalid;
  assign m_axi_hpc0_rready  = data_rd_req.rready;

  assign data_wr_rsp = '{
    awready: m_axi_hpc0_awready,
    wready:  m_axi_hpc0_wready,
    bvalid:  m_axi_hpc0_bvalid,
    bresp:   m_axi_hpc0_bresp
  };
  assign m_axi_hpc0_awaddr  = data_wr_req.awaddr;
  assign m_axi_hpc0_awlen   = data_wr_req.awlen;
  assign m_axi_hpc0_awsize  = AXI_SIZE_16;
  assign m_axi_hpc0_awburst = AXI_INCR;
  assign m_axi_hpc0_awcache = data_attr.cache;
  assign m_axi_hpc0_awprot  = data_attr.prot;
  assign m_axi_hpc0_awvalid = data_wr_req.awvalid;
  assign m_axi_hpc0_wdata   = data_wr_req.wdata;
  assign m_axi_hpc0_wstrb   = '1;
  assign m_axi_hpc0_wlast   = data_wr_req.wlast;
  assign m_axi_hpc0_wvalid  = data_wr_req.wvalid;
  assign m_axi_hpc0_bready  = data_wr_req.bready;

endmodule
