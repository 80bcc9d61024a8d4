// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// The accelerator: registers, sequencer, descriptor fetch, four weight readers with their FIFOs, activation buffer, four
// MACRO_MAC units in lock step, result collector, completion, counters. docs/architecture.md is its contract with software.
//
// Latency:    see docs/architecture.md, section 8.
// Throughput: four strips a cycle.
// Stalls:     never drops or duplicates: a full result FIFO holds the units, the units hold the FIFOs, and a reader only
//             asks for what its FIFO has room for.
//
// This file only connects; the one thing it keeps is the AXI attributes, sampled at start, because the address channels
// must not change while software writes the register.

module mm_top
  import mm_pkg::*;
#(
  /// Depth of each prefetch FIFO, strips of 128 bits, >= BurstBeats.
  parameter int unsigned FifoStrips     = 2048,
  /// Longest read burst, beats; a power of two, 1..256.
  parameter int unsigned BurstBeats     = 64,
  /// Read bursts in flight a port, >= 1.
  parameter int unsigned MaxOutstanding = 8,
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

  localparam logic [2:0]  AXI_SIZE_16     = 3'b100;
  localparam logic [1:0]  AXI_INCR        = 2'b01;
  localparam int unsigned ResultFifoBeats = 512;
  localparam int unsigned WritesInFlight  = 8;
  localparam int unsigned StepsAhead      = 8;
  localparam int unsigned WordBits        = $clog2(MaxGroups * ACT_BEATS);

  if (FifoStrips < BurstBeats) begin : gen_bad_fifo
    $fatal(1, "%m: FifoStrips must be >= BurstBeats, or no burst ever finds room");
  end
  if (MaxGroups < 1 || MaxGroups > 8192) begin : gen_bad_groups
    $fatal(1, "%m: MaxGroups must be 1..8192");
  end

  // ---- registers ----

  logic        reg_start, reg_stop, reg_soft_reset;
  logic [63:0] ring_base;
  logic [15:0] ring_steps;
  addr_t       completion_addr;
  logic [3:0]  weight_cache, data_cache, weight_cache_q, data_cache_q;
  logic [2:0]  weight_prot, data_prot, weight_prot_q, data_prot_q;
  logic [31:0] watchdog, doorbell;

  logic        start, enable, drain, flush, clear, idle, draining, faulted, fault_irq, step_irq;
  cause_e      cause;
  logic [3:0]  err_port;
  logic [15:0] err_step;
  addr_t       err_addr;
  logic [31:0] steps_done;

  logic [63:0]         count_cycles, count_stream, count_steps;
  logic [PORTS*64-1:0] count_beats, count_strips, count_no_data, count_no_activations,
                       count_no_room, count_lock_step;

  mm_csr #(
    .FifoStrips    (FifoStrips),
    .BurstBeats    (BurstBeats),
    .MaxOutstanding(MaxOutstanding),
    .MaxGroups     (MaxGroups)
  ) u_csr (
    .clk_i           (aclk),
    .rst_ni          (aresetn),
    .s_axil_awaddr,
    .s_axil_awprot,
    .s_axil_awvalid,
    .s_axil_awready,
    .s_axil_wdata,
    .s_axil_wstrb,
    .s_axil_wvalid,
    .s_axil_wready,
    .s_axil_bresp,
    .s_axil_bvalid,
    .s_axil_bready,
    .s_axil_araddr,
    .s_axil_arprot,
    .s_axil_arvalid,
    .s_axil_arready,
    .s_axil_rdata,
    .s_axil_rresp,
    .s_axil_rvalid,
    .s_axil_rready,
    .start_o         (reg_start),
    .stop_o          (reg_stop),
    .soft_reset_o    (reg_soft_reset),
    .ring_base_o     (ring_base),
    .ring_steps_o    (ring_steps),
    .completion_o    (completion_addr),
    .weight_cache_o  (weight_cache),
    .weight_prot_o   (weight_prot),
    .data_cache_o    (data_cache),
    .data_prot_o     (data_prot),
    .watchdog_o      (watchdog),
    .doorbell_o      (doorbell),
    .doorbell_clear_i(start | clear),
    .idle_i          (idle),
    .running_i       (enable),
    .draining_i      (draining),
    .faulted_i       (faulted),
    .irq_step_i      (step_irq),
    .irq_fault_i     (fault_irq),
    .err_cause_i     (cause),
    .err_port_i      (err_port),
    .err_step_i      (err_step),
    .err_addr_i      (err_addr),
    .steps_done_i    (steps_done),
    .cycles_i        (count_cycles),
    .stream_cycles_i (count_stream),
    .steps_i         (count_steps),
    .beats_i         (count_beats),
    .strips_i        (count_strips),
    .no_data_i       (count_no_data),
    .no_activations_i(count_no_activations),
    .no_room_i       (count_no_room),
    .lock_step_i     (count_lock_step),
    .irq_o           (irq)
  );

  always_ff @(posedge aclk) begin
    if (!aresetn) begin
      weight_cache_q <= '0;
      weight_prot_q  <= '0;
      data_cache_q   <= '0;
      data_prot_q    <= '0;
    end else if (start) begin
      weight_cache_q <= weight_cache;
      weight_prot_q  <= weight_prot;
      data_cache_q   <= data_cache;
      data_prot_q    <= data_prot;
    end
  end

  // ---- sequencer ----

  logic [31:0]                released;
  logic [15:0]                ring_index;
  logic                       report_pending;
  logic [PORTS-1:0]           reader_idle, rd_err, reserved_err;
  logic [PORTS*ADDR_BITS-1:0] rd_err_addr;
  logic                       data_idle, writer_idle, data_err, wr_err, desc_err, progress;
  addr_t                      data_err_addr, wr_err_addr;
  logic [15:0]                desc_err_index;
  logic                       fault_rec_valid, fault_rec_ready;

  mm_sequencer u_sequencer (
    .clk_i          (aclk),
    .rst_ni         (aresetn),
    .start_i        (reg_start),
    .stop_i         (reg_stop),
    .soft_reset_i   (reg_soft_reset),
    .doorbell_i     (doorbell),
    .released_o     (released),
    .steps_done_i   (steps_done),
    .ring_index_i   (ring_index),
    .pending_i      (report_pending),
    .readers_idle_i (&reader_idle),
    .data_idle_i    (data_idle),
    .writer_idle_i  (writer_idle),
    .start_o        (start),
    .enable_o       (enable),
    .drain_o        (drain),
    .flush_o        (flush),
    .clear_o        (clear),
    .rd_err_i       (rd_err),
    .rd_err_addr_i  (rd_err_addr),
    .data_err_i     (data_err),
    .data_err_addr_i(data_err_addr),
    .wr_err_i       (wr_err),
    .wr_err_addr_i  (wr_err_addr),
    .desc_err_i     (desc_err),
    .desc_index_i   (desc_err_index),
    .reserved_err_i (reserved_err),
    .progress_i     (progress),
    .watchdog_i     (watchdog),
    .rec_valid_o    (fault_rec_valid),
    .rec_ready_i    (fault_rec_ready),
    .idle_o         (idle),
    .draining_o     (draining),
    .faulted_o      (faulted),
    .fault_irq_o    (fault_irq),
    .cause_o        (cause),
    .port_o         (err_port),
    .step_o         (err_step),
    .addr_o         (err_addr)
  );

  // ---- steps: descriptor fetch, issue ----

  logic                       desc_rd_valid, desc_rd_ready, desc_beat, act_rd_valid, act_rd_ready, act_beat;
  addr_t                      desc_rd_addr, act_rd_addr;
  beats_t                     act_rd_beats, seg_beats;
  logic [STRIP_BITS-1:0]      data_beat;
  logic                       seg_valid;
  logic [PORTS-1:0]           seg_ready;
  logic [PORTS*ADDR_BITS-1:0] seg_addr;
  logic                       fetched_valid, fetched_ready;
  step_t                      fetched, issued;
  logic                       issue, loader_ready, act_reader_ready, stream_ready, collector_ready;
  logic [31:0]                issued_count;

  mm_desc_fetch #(
    .MaxGroups(MaxGroups)
  ) u_desc_fetch (
    .clk_i       (aclk),
    .rst_ni      (aresetn),
    .flush_i     (flush),
    .start_i     (start),
    .enable_i    (enable),
    .ring_base_i (ring_base),
    .ring_steps_i(ring_steps),
    .rd_valid_o  (desc_rd_valid),
    .rd_ready_i  (desc_rd_ready),
    .rd_addr_o   (desc_rd_addr),
    .beat_i      (desc_beat),
    .beat_data_i (data_beat),
    .seg_valid_o (seg_valid),
    .seg_ready_i (seg_ready),
    .seg_addr_o  (seg_addr),
    .seg_beats_o (seg_beats),
    .step_valid_o(fetched_valid),
    .step_ready_i(fetched_ready),
    .step_o      (fetched),
    .err_valid_o (desc_err),
    .err_index_o (desc_err_index)
  );

  mm_step_issue #(
    .StepsAhead(StepsAhead)
  ) u_step_issue (
    .clk_i      (aclk),
    .rst_ni     (aresetn),
    .flush_i    (flush),
    .enable_i   (enable),
    .in_valid_i (fetched_valid),
    .in_ready_o (fetched_ready),
    .in_step_i  (fetched),
    .released_i (released),
    .issued_o   (issued_count),
    .out_valid_o(issue),
    .out_ready_i(loader_ready & act_reader_ready & stream_ready & collector_ready),
    .out_step_o (issued)
  );

  // ---- weights: readers and FIFOs ----

  logic [PORTS*ADDR_BITS-1:0]  ar_addr;
  logic [PORTS*8-1:0]          ar_len;
  logic [PORTS-1:0]            ar_valid, ar_ready, r_last, r_valid, r_ready, rd_beat;
  logic [PORTS*STRIP_BITS-1:0] r_data;
  logic [PORTS*2-1:0]          r_resp;
  logic [PORTS-1:0]            fifo_valid;
  logic [PORTS*STRIP_BITS-1:0] fifo_data;
  logic                        pop;

  assign m_axi_hp0_araddr  = ar_addr[0*ADDR_BITS +: ADDR_BITS];
  assign m_axi_hp0_arlen   = ar_len[0*8 +: 8];
  assign m_axi_hp0_arsize  = AXI_SIZE_16;
  assign m_axi_hp0_arburst = AXI_INCR;
  assign m_axi_hp0_arcache = weight_cache_q;
  assign m_axi_hp0_arprot  = weight_prot_q;
  assign m_axi_hp0_arvalid = ar_valid[0];
  assign m_axi_hp0_rready  = r_ready[0];

  assign m_axi_hp1_araddr  = ar_addr[1*ADDR_BITS +: ADDR_BITS];
  assign m_axi_hp1_arlen   = ar_len[1*8 +: 8];
  assign m_axi_hp1_arsize  = AXI_SIZE_16;
  assign m_axi_hp1_arburst = AXI_INCR;
  assign m_axi_hp1_arcache = weight_cache_q;
  assign m_axi_hp1_arprot  = weight_prot_q;
  assign m_axi_hp1_arvalid = ar_valid[1];
  assign m_axi_hp1_rready  = r_ready[1];

  assign m_axi_hp2_araddr  = ar_addr[2*ADDR_BITS +: ADDR_BITS];
  assign m_axi_hp2_arlen   = ar_len[2*8 +: 8];
  assign m_axi_hp2_arsize  = AXI_SIZE_16;
  assign m_axi_hp2_arburst = AXI_INCR;
  assign m_axi_hp2_arcache = weight_cache_q;
  assign m_axi_hp2_arprot  = weight_prot_q;
  assign m_axi_hp2_arvalid = ar_valid[2];
  assign m_axi_hp2_rready  = r_ready[2];

  assign m_axi_hp3_araddr  = ar_addr[3*ADDR_BITS +: ADDR_BITS];
  assign m_axi_hp3_arlen   = ar_len[3*8 +: 8];
  assign m_axi_hp3_arsize  = AXI_SIZE_16;
  assign m_axi_hp3_arburst = AXI_INCR;
  assign m_axi_hp3_arcache = weight_cache_q;
  assign m_axi_hp3_arprot  = weight_prot_q;
  assign m_axi_hp3_arvalid = ar_valid[3];
  assign m_axi_hp3_rready  = r_ready[3];

  assign ar_ready = {m_axi_hp3_arready, m_axi_hp2_arready, m_axi_hp1_arready, m_axi_hp0_arready};
  assign r_data   = {m_axi_hp3_rdata, m_axi_hp2_rdata, m_axi_hp1_rdata, m_axi_hp0_rdata};
  assign r_resp   = {m_axi_hp3_rresp, m_axi_hp2_rresp, m_axi_hp1_rresp, m_axi_hp0_rresp};
  assign r_last   = {m_axi_hp3_rlast, m_axi_hp2_rlast, m_axi_hp1_rlast, m_axi_hp0_rlast};
  assign r_valid  = {m_axi_hp3_rvalid, m_axi_hp2_rvalid, m_axi_hp1_rvalid, m_axi_hp0_rvalid};

  for (genvar p = 0; p < PORTS; p++) begin : gen_reader
    logic                              out_valid, out_ready, out_tag;
    logic [STRIP_BITS-1:0]             out_data;
    logic [$clog2(FifoStrips + 1)-1:0] level;

    mm_axi_reader #(
      .BurstBeats    (BurstBeats),
      .MaxOutstanding(MaxOutstanding),
      .CreditBeats   (FifoStrips),
      .QueueDepth    (StepsAhead),
      .TagBits       (1)
    ) u_reader (
      .clk_i        (aclk),
      .rst_ni       (aresetn),
      .drain_i      (drain),
      .idle_o       (reader_idle[p]),
      .cmd_valid_i  (seg_valid),
      .cmd_ready_o  (seg_ready[p]),
      .cmd_addr_i   (seg_addr[p*ADDR_BITS +: ADDR_BITS]),
      .cmd_beats_i  (seg_beats),
      .cmd_tag_i    (1'b0),
      .m_axi_araddr (ar_addr[p*ADDR_BITS +: ADDR_BITS]),
      .m_axi_arlen  (ar_len[p*8 +: 8]),
      .m_axi_arvalid(ar_valid[p]),
      .m_axi_arready(ar_ready[p]),
      .m_axi_rdata  (r_data[p*STRIP_BITS +: STRIP_BITS]),
      .m_axi_rresp  (r_resp[p*2 +: 2]),
      .m_axi_rlast  (r_last[p]),
      .m_axi_rvalid (r_valid[p]),
      .m_axi_rready (r_ready[p]),
      .out_valid_o  (out_valid),
      .out_ready_i  (out_ready),
      .out_data_o   (out_data),
      .out_tag_o    (out_tag),
      .pop_i        (pop),
      .beat_o       (rd_beat[p]),
      .err_valid_o  (rd_err[p]),
      .err_addr_o   (rd_err_addr[p*ADDR_BITS +: ADDR_BITS])
    );

    mm_fifo #(
      .WidthBits(STRIP_BITS),
      .Depth    (FifoStrips)
    ) u_fifo (
      .clk_i      (aclk),
      .rst_ni     (aresetn),
      .flush_i    (flush),
      .in_valid_i (out_valid),
      .in_ready_o (out_ready),
      .in_data_i  (out_data),
      .out_valid_o(fifo_valid[p]),
      .out_ready_i(pop),
      .out_data_o (fifo_data[p*STRIP_BITS +: STRIP_BITS]),
      .level_o    (level)
    );

    logic unused;
    assign unused = ^{out_tag, level};

`ifndef SYNTHESIS
    // A beat that was asked for always finds room.
    a_room : assert property (@(posedge aclk) disable iff (!aresetn)
        out_valid && !flush |-> out_ready);
`endif
  end

  // ---- activations ----

  logic                  act_wr_en, act_wr_bank, act_rd_en, act_rd_bank, act_valid, act_pop;
  logic [WordBits-1:0]   act_wr_word, act_rd_word;
  logic                  fill_bank, bank_release;
  logic [WordBits:0]     fill_words;
  logic [STRIP_BITS-1:0] act_data;

  mm_act_loader #(
    .MaxGroups(MaxGroups)
  ) u_act_loader (
    .clk_i       (aclk),
    .rst_ni      (aresetn),
    .flush_i     (flush),
    .cmd_valid_i (issue),
    .cmd_ready_o (loader_ready),
    .cmd_page_i  (issued.activations),
    .cmd_groups_i(issued.groups),
    .rd_valid_o  (act_rd_valid),
    .rd_ready_i  (act_rd_ready),
    .rd_addr_o   (act_rd_addr),
    .rd_beats_o  (act_rd_beats),
    .beat_i      (act_beat),
    .wr_en_o     (act_wr_en),
    .wr_bank_o   (act_wr_bank),
    .wr_word_o   (act_wr_word),
    .release_i   (bank_release),
    .fill_bank_o (fill_bank),
    .fill_words_o(fill_words)
  );

  mm_act_buffer #(
    .MaxGroups(MaxGroups)
  ) u_act_buffer (
    .clk_i    (aclk),
    .wr_en_i  (act_wr_en),
    .wr_bank_i(act_wr_bank),
    .wr_word_i(act_wr_word),
    .wr_data_i(data_beat),
    .rd_en_i  (act_rd_en),
    .rd_bank_i(act_rd_bank),
    .rd_word_i(act_rd_word),
    .rd_data_o(act_data)
  );

  mm_act_reader #(
    .MaxGroups(MaxGroups)
  ) u_act_reader (
    .clk_i           (aclk),
    .rst_ni          (aresetn),
    .flush_i         (flush),
    .step_valid_i    (issue),
    .step_ready_o    (act_reader_ready),
    .step_groups_i   (issued.groups),
    .step_tile_rows_i(issued.tile_rows),
    .fill_bank_i     (fill_bank),
    .fill_words_i    (fill_words),
    .rd_en_o         (act_rd_en),
    .rd_bank_o       (act_rd_bank),
    .rd_word_o       (act_rd_word),
    .act_valid_o     (act_valid),
    .act_pop_i       (act_pop)
  );

  // ---- units in lock step ----

  logic [PORTS-1:0]     strip_ready, act_ready, res_valid;
  logic                 strip_valid, strip_last, res_ready, res_blocked, streaming;
  logic [PORTS*256-1:0] res_data;
  logic [PORTS-1:0]     no_data, no_activations, no_room, lock_step;

  mm_stream_ctrl u_stream_ctrl (
    .clk_i           (aclk),
    .rst_ni          (aresetn),
    .flush_i         (flush),
    .enable_i        (enable),
    .step_valid_i    (issue),
    .step_ready_o    (stream_ready),
    .step_groups_i   (issued.groups),
    .step_tile_rows_i(issued.tile_rows),
    .fifo_valid_i    (fifo_valid),
    .pop_o           (pop),
    .strip_valid_o   (strip_valid),
    .strip_ready_i   (strip_ready),
    .strip_last_o    (strip_last),
    .act_valid_i     (act_valid),
    .act_pop_o       (act_pop),
    .no_room_i       (res_blocked),
    .release_o       (bank_release),
    .streaming_o     (streaming),
    .no_data_o       (no_data),
    .no_activations_o(no_activations),
    .no_room_o       (no_room),
    .lock_step_o     (lock_step)
  );

  for (genvar p = 0; p < PORTS; p++) begin : gen_unit
    mm_macro_mac u_macro_mac (
      .clk_i         (aclk),
      .rst_ni        (aresetn),
      .flush_i       (flush),
      .strip_valid_i (strip_valid),
      .strip_ready_o (strip_ready[p]),
      .strip_data_i  (fifo_data[p*STRIP_BITS +: STRIP_BITS]),
      .strip_last_i  (strip_last),
      .act_valid_i   (act_valid),
      .act_ready_o   (act_ready[p]),
      .act_data_i    (act_data),
      .result_valid_o(res_valid[p]),
      .result_ready_i(res_ready),
      .result_data_o (res_data[p*256 +: 256]),
      .err_reserved_o(reserved_err[p])
    );
  end

  // ---- results and completion ----

  logic                  res_cmd_valid, res_cmd_ready, wr_valid, wr_ready;
  addr_t                 res_cmd_addr, rec_addr, rsp_addr;
  logic [7:0]            res_cmd_len;
  rows_t                 res_cmd_rows, rsp_rows;
  logic [STRIP_BITS-1:0] wr_data, rec_data;
  logic                  rec_valid, rec_ready, rec_irq, rsp_valid, rsp_err, rsp_rec, wr_beat, data_rd_beat, step_done;

  mm_result_collector #(
    .FifoBeats(ResultFifoBeats)
  ) u_collector (
    .clk_i           (aclk),
    .rst_ni          (aresetn),
    .flush_i         (flush),
    .enable_i        (enable),
    .step_valid_i    (issue),
    .step_ready_o    (collector_ready),
    .step_page_i     (issued.results),
    .step_tile_rows_i(issued.tile_rows),
    .step_report_i   (issued.report_rows),
    .step_irq_i      (issued.irq),
    .res_valid_i     (res_valid),
    .res_ready_o     (res_ready),
    .res_data_i      (res_data),
    .blocked_o       (res_blocked),
    .cmd_valid_o     (res_cmd_valid),
    .cmd_ready_i     (res_cmd_ready),
    .cmd_addr_o      (res_cmd_addr),
    .cmd_len_o       (res_cmd_len),
    .cmd_rows_o      (res_cmd_rows),
    .out_valid_o     (wr_valid),
    .out_ready_i     (wr_ready),
    .out_data_o      (wr_data)
  );

  mm_completion u_completion (
    .clk_i        (aclk),
    .rst_ni       (aresetn),
    .clear_i      (start | clear),
    .enable_i     (enable),
    .ring_steps_i (ring_steps),
    .stamp_i      (count_cycles[31:0]),
    .addr_i       (completion_addr),
    .fault_valid_i(fault_rec_valid),
    .fault_ready_o(fault_rec_ready),
    .fault_cause_i(cause),
    .rsp_valid_i  (rsp_valid),
    .rsp_err_i    (rsp_err),
    .rsp_rec_i    (rsp_rec),
    .rsp_rows_i   (rsp_rows),
    .rec_valid_o  (rec_valid),
    .rec_ready_i  (rec_ready),
    .rec_addr_o   (rec_addr),
    .rec_data_o   (rec_data),
    .rec_irq_o    (rec_irq),
    .steps_done_o (steps_done),
    .ring_index_o (ring_index),
    .step_done_o  (step_done),
    .irq_o        (step_irq),
    .pending_o    (report_pending)
  );

  // ---- data port ----

  mm_data_read #(
    .BurstBeats    (BurstBeats),
    .MaxOutstanding(MaxOutstanding)
  ) u_data_read (
    .clk_i        (aclk),
    .rst_ni       (aresetn),
    .drain_i      (drain),
    .idle_o       (data_idle),
    .desc_valid_i (desc_rd_valid),
    .desc_ready_o (desc_rd_ready),
    .desc_addr_i  (desc_rd_addr),
    .desc_beat_o  (desc_beat),
    .act_valid_i  (act_rd_valid),
    .act_ready_o  (act_rd_ready),
    .act_addr_i   (act_rd_addr),
    .act_beats_i  (act_rd_beats),
    .act_beat_o   (act_beat),
    .beat_data_o  (data_beat),
    .beat_o       (data_rd_beat),
    .err_valid_o  (data_err),
    .err_addr_o   (data_err_addr),
    .m_axi_araddr (m_axi_hpc0_araddr),
    .m_axi_arlen  (m_axi_hpc0_arlen),
    .m_axi_arvalid(m_axi_hpc0_arvalid),
    .m_axi_arready(m_axi_hpc0_arready),
    .m_axi_rdata  (m_axi_hpc0_rdata),
    .m_axi_rresp  (m_axi_hpc0_rresp),
    .m_axi_rlast  (m_axi_hpc0_rlast),
    .m_axi_rvalid (m_axi_hpc0_rvalid),
    .m_axi_rready (m_axi_hpc0_rready)
  );

  mm_axi_writer #(
    .MaxOutstanding(WritesInFlight)
  ) u_writer (
    .clk_i          (aclk),
    .rst_ni         (aresetn),
    .idle_o         (writer_idle),
    .res_cmd_valid_i(res_cmd_valid),
    .res_cmd_ready_o(res_cmd_ready),
    .res_cmd_addr_i (res_cmd_addr),
    .res_cmd_len_i  (res_cmd_len),
    .res_cmd_rows_i (res_cmd_rows),
    .res_valid_i    (wr_valid),
    .res_ready_o    (wr_ready),
    .res_data_i     (wr_data),
    .rec_valid_i    (rec_valid),
    .rec_ready_o    (rec_ready),
    .rec_addr_i     (rec_addr),
    .rec_data_i     (rec_data),
    .rec_irq_i      (rec_irq),
    .rsp_valid_o    (rsp_valid),
    .rsp_err_o      (rsp_err),
    .rsp_addr_o     (rsp_addr),
    .rsp_rec_o      (rsp_rec),
    .rsp_rows_o     (rsp_rows),
    .beat_o         (wr_beat),
    .m_axi_awaddr   (m_axi_hpc0_awaddr),
    .m_axi_awlen    (m_axi_hpc0_awlen),
    .m_axi_awvalid  (m_axi_hpc0_awvalid),
    .m_axi_awready  (m_axi_hpc0_awready),
    .m_axi_wdata    (m_axi_hpc0_wdata),
    .m_axi_wlast    (m_axi_hpc0_wlast),
    .m_axi_wvalid   (m_axi_hpc0_wvalid),
    .m_axi_wready   (m_axi_hpc0_wready),
    .m_axi_bresp    (m_axi_hpc0_bresp),
    .m_axi_bvalid   (m_axi_hpc0_bvalid),
    .m_axi_bready   (m_axi_hpc0_bready)
  );

  assign m_axi_hpc0_arsize  = AXI_SIZE_16;
  assign m_axi_hpc0_arburst = AXI_INCR;
  assign m_axi_hpc0_arcache = data_cache_q;
  assign m_axi_hpc0_arprot  = data_prot_q;
  assign m_axi_hpc0_awsize  = AXI_SIZE_16;
  assign m_axi_hpc0_awburst = AXI_INCR;
  assign m_axi_hpc0_awcache = data_cache_q;
  assign m_axi_hpc0_awprot  = data_prot_q;
  assign m_axi_hpc0_wstrb   = '1;

  assign wr_err      = rsp_valid & rsp_err;
  assign wr_err_addr = rsp_addr;
  assign progress    = pop | (|rd_beat) | data_rd_beat | wr_beat;

  // ---- counters ----

  mm_counter u_cycles (
    .clk_i(aclk), .rst_ni(aresetn), .clear_i(clear), .event_i(1'b1), .count_o(count_cycles)
  );
  mm_counter u_stream_cycles (
    .clk_i(aclk), .rst_ni(aresetn), .clear_i(clear), .event_i(enable & streaming), .count_o(count_stream)
  );
  mm_counter u_steps (
    .clk_i(aclk), .rst_ni(aresetn), .clear_i(clear), .event_i(step_done), .count_o(count_steps)
  );

  for (genvar p = 0; p < PORTS; p++) begin : gen_counters
    mm_port_counters u_port (
      .clk_i           (aclk),
      .rst_ni          (aresetn),
      .clear_i         (clear),
      .running_i       (enable),
      .beat_i          (rd_beat[p]),
      .strip_i         (pop),
      .no_data_i       (no_data[p]),
      .no_activations_i(no_activations[p]),
      .no_room_i       (no_room[p]),
      .lock_step_i     (lock_step[p]),
      .beats_o         (count_beats[p*64 +: 64]),
      .strips_o        (count_strips[p*64 +: 64]),
      .no_data_o       (count_no_data[p*64 +: 64]),
      .no_activations_o(count_no_activations[p*64 +: 64]),
      .no_room_o       (count_no_room[p*64 +: 64]),
      .lock_step_o     (count_lock_step[p*64 +: 64])
    );
  end

  logic unused;
  assign unused = ^issued_count;

`ifndef SYNTHESIS
  // The units take the activations exactly when the stream control thinks so.
  a_act_pop : assert property (@(posedge aclk) disable iff (!aresetn || flush)
      act_ready == {PORTS{act_pop}});
`endif

endmodule
