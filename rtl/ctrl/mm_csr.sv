// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Registers: the generated block (rtl/regs) with plain signals around it, the capability values, and the interrupt line.
//
// Latency:    a write takes effect 2 cycles after its address and data are accepted.
// Throughput: one access every two cycles.
// Stalls:     none; every access is answered, unknown addresses read 0.

module mm_csr
  import mm_pkg::*;
#(
  /// Arithmetic of the units: PAPER or KV260.
  parameter int unsigned Arithmetic     = PAPER,
  /// Activation vectors that share a pass, 1..16.
  parameter int unsigned Batch          = 1,
  /// Depth of each prefetch FIFO, strips.
  parameter int unsigned FifoStrips     = 2048,
  /// Longest burst, beats.
  parameter int unsigned BurstBeats     = 64,
  /// Bursts in flight a port.
  parameter int unsigned MaxOutstanding = 8,
  /// As mm_core.
  parameter int unsigned MaxLead        = 4,
  /// Largest number of groups a step may have.
  parameter int unsigned MaxGroups      = 128
) (
  /// Clock, rising edge.
  input  logic                     clk_i,
  /// Reset, synchronous, active low.
  input  logic                     rst_ni,

  /// AXI4-Lite: what the master drives.
  input  axil_req_t                axil_req_i,
  /// AXI4-Lite: what we drive.
  output axil_rsp_t                axil_rsp_o,

  /// CTRL.start; pulse.
  output logic                     start_o,
  /// CTRL.stop; pulse.
  output logic                     stop_o,
  /// CTRL.soft_reset; pulse.
  output logic                     soft_reset_o,
  /// RING_BASE
  output logic [63:0]              ring_base_o,
  /// RING_STEPS
  output logic [15:0]              ring_steps_o,
  /// COMPLETION, bits 39..0
  output addr_t                    completion_o,
  /// AXI_ATTR, weight ports
  output axi_attr_t                weight_attr_o,
  /// AXI_ATTR, data port
  output axi_attr_t                data_attr_o,
  /// WATCHDOG
  output logic [31:0]              watchdog_o,
  /// DOORBELL
  output logic [31:0]              doorbell_o,

  /// DOORBELL becomes 0; pulse.
  input  logic                     doorbell_clear_i,
  /// STATUS.idle
  input  logic                     idle_i,
  /// STATUS.running
  input  logic                     running_i,
  /// STATUS.draining
  input  logic                     draining_i,
  /// STATUS.faulted
  input  logic                     faulted_i,
  /// STATUS.nan_in
  input  logic                     nan_in_i,
  /// Sets IRQ_STATUS.step_done; pulse.
  input  logic                     irq_step_i,
  /// Sets IRQ_STATUS.fault; pulse.
  input  logic                     irq_fault_i,
  /// ERR_CAUSE.cause
  input  cause_e                   err_cause_i,
  /// ERR_CAUSE.port
  input  logic [3:0]               err_port_i,
  /// ERR_CAUSE.step
  input  logic [15:0]              err_step_i,
  /// ERR_ADDR
  input  addr_t                    err_addr_i,
  /// STEPS_DONE
  input  logic [31:0]              steps_done_i,

  /// CYCLES
  input  logic [63:0]              cycles_i,
  /// STREAM_CYCLES
  input  logic [63:0]              stream_cycles_i,
  /// STEPS
  input  logic [63:0]              steps_i,
  /// PORT[p]
  input  port_counts_t [PORTS-1:0] port_counts_i,

  /// Interrupt, level, high.
  output logic                     irq_o
);

  localparam logic [31:0] ConfigHash =
      config_hash(Arithmetic, Batch, FifoStrips, MaxGroups, BurstBeats, MaxOutstanding, MaxLead);

  mm_regs_pkg::macromac__in_t  hwif_in;
  mm_regs_pkg::macromac__out_t hwif_out;

  mm_regs u_regs (
    .clk(clk_i),
    .rst_n(rst_ni),
    .s_axil_awready (axil_rsp_o.awready),
    .s_axil_awvalid (axil_req_i.awvalid),
    .s_axil_awaddr  (axil_req_i.awaddr),
    .s_axil_awprot  (axil_req_i.awprot),
    .s_axil_wready  (axil_rsp_o.wready),
    .s_axil_wvalid  (axil_req_i.wvalid),
    .s_axil_wdata   (axil_req_i.wdata),
    .s_axil_wstrb   (axil_req_i.wstrb),
    .s_axil_bready  (axil_req_i.bready),
    .s_axil_bvalid  (axil_rsp_o.bvalid),
    .s_axil_bresp   (axil_rsp_o.bresp),
    .s_axil_arready (axil_rsp_o.arready),
    .s_axil_arvalid (axil_req_i.arvalid),
    .s_axil_araddr  (axil_req_i.araddr),
    .s_axil_arprot  (axil_req_i.arprot),
    .s_axil_rready  (axil_req_i.rready),
    .s_axil_rvalid  (axil_rsp_o.rvalid),
    .s_axil_rdata   (axil_rsp_o.rdata),
    .s_axil_rresp   (axil_rsp_o.rresp),
    .hwif_in,
    .hwif_out
  );

  // ---- from the registers ----

  assign start_o       = hwif_out.CTRL.start.value;
  assign stop_o        = hwif_out.CTRL.stop.value;
  assign soft_reset_o  = hwif_out.CTRL.soft_reset.value;
  assign ring_base_o   = {hwif_out.RING_BASE_HI.addr.value, hwif_out.RING_BASE_LO.addr.value};
  assign ring_steps_o  = hwif_out.RING_STEPS.steps.value;
  assign completion_o  = {hwif_out.COMPLETION_HI.addr.value[ADDR_BITS-33:0],
                          hwif_out.COMPLETION_LO.addr.value};
  assign weight_attr_o = {hwif_out.AXI_ATTR.weight_cache.value, hwif_out.AXI_ATTR.weight_prot.value};
  assign data_attr_o   = {hwif_out.AXI_ATTR.data_cache.value, hwif_out.AXI_ATTR.data_prot.value};
  assign watchdog_o    = hwif_out.WATCHDOG.limit.value;
  assign doorbell_o    = hwif_out.DOORBELL.steps_ready.value;

  // ---- to the registers ----

  assign hwif_in.CAP0.ports.next        = 4'(PORTS);
  assign hwif_in.CAP0.arithmetic.next   = 4'(Arithmetic);
  assign hwif_in.CAP0.batch.next        = 8'(Batch);
  assign hwif_in.CAP0.group_size.next   = 8'(GROUP_SIZE);
  assign hwif_in.CAP0.macro_strips.next = 8'(MACRO_STRIPS);
  assign hwif_in.CAP1.fifo_strips.next  = 32'(FifoStrips);
  assign hwif_in.CAP2.max_groups.next   = 16'(MaxGroups);
  assign hwif_in.CAP2.addr_bits.next    = 8'(ADDR_BITS);
  assign hwif_in.CONFIG_HASH.hash.next  = ConfigHash;

  assign hwif_in.STATUS.idle.next           = idle_i;
  assign hwif_in.STATUS.running.next        = running_i;
  assign hwif_in.STATUS.draining.next       = draining_i;
  assign hwif_in.STATUS.faulted.next        = faulted_i;
  assign hwif_in.STATUS.nan_in.next         = nan_in_i;
  assign hwif_in.IRQ_STATUS.step_done.hwset = irq_step_i;
  assign hwif_in.IRQ_STATUS.fault.hwset     = irq_fault_i;
  assign hwif_in.ERR_CAUSE.cause.next       = err_cause_i;
  assign hwif_in.ERR_CAUSE.port.next        = err_port_i;
  assign hwif_in.ERR_CAUSE.step.next        = err_step_i;
  assign hwif_in.ERR_ADDR_LO.addr.next      = err_addr_i[31:0];
  assign hwif_in.ERR_ADDR_HI.addr.next      = 32'(err_addr_i[ADDR_BITS-1:32]);
  assign hwif_in.DOORBELL.steps_ready.next  = '0;
  assign hwif_in.DOORBELL.steps_ready.we    = doorbell_clear_i;
  assign hwif_in.STEPS_DONE.steps.next      = steps_done_i;

  assign hwif_in.CYCLES.LO.value.next        = cycles_i[31:0];
  assign hwif_in.CYCLES.HI.value.next        = cycles_i[63:32];
  assign hwif_in.STREAM_CYCLES.LO.value.next = stream_cycles_i[31:0];
  assign hwif_in.STREAM_CYCLES.HI.value.next = stream_cycles_i[63:32];
  assign hwif_in.STEPS.LO.value.next         = steps_i[31:0];
  assign hwif_in.STEPS.HI.value.next         = steps_i[63:32];
  for (genvar p = 0; p < PORTS; p++) begin : gen_port
    assign hwif_in.PORT[p].BEATS.LO.value.next          = port_counts_i[p].beats[31:0];
    assign hwif_in.PORT[p].BEATS.HI.value.next          = port_counts_i[p].beats[63:32];
    assign hwif_in.PORT[p].STRIPS.LO.value.next         = port_counts_i[p].strips[31:0];
    assign hwif_in.PORT[p].STRIPS.HI.value.next         = port_counts_i[p].strips[63:32];
    assign hwif_in.PORT[p].NO_DATA.LO.value.next        = port_counts_i[p].no_data[31:0];
    assign hwif_in.PORT[p].NO_DATA.HI.value.next        = port_counts_i[p].no_data[63:32];
    assign hwif_in.PORT[p].NO_ACTIVATIONS.LO.value.next = port_counts_i[p].no_activations[31:0];
    assign hwif_in.PORT[p].NO_ACTIVATIONS.HI.value.next = port_counts_i[p].no_activations[63:32];
    assign hwif_in.PORT[p].NO_ROOM.LO.value.next        = port_counts_i[p].no_room[31:0];
    assign hwif_in.PORT[p].NO_ROOM.HI.value.next        = port_counts_i[p].no_room[63:32];
    assign hwif_in.PORT[p].LOCK_STEP.LO.value.next      = port_counts_i[p].lock_step[31:0];
    assign hwif_in.PORT[p].LOCK_STEP.HI.value.next      = port_counts_i[p].lock_step[63:32];
  end

  // ---- interrupt ----

  logic irq_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) irq_q <= 1'b0;
    else irq_q <= (hwif_out.IRQ_STATUS.step_done.value & hwif_out.IRQ_ENABLE.step_done.value) |
                  (hwif_out.IRQ_STATUS.fault.value & hwif_out.IRQ_ENABLE.fault.value);
  end

  assign irq_o = irq_q;

  // Addresses end at bit 39; the rest of COMPLETION_HI is kept and read back, but not used.
  logic unused;
  assign unused = ^hwif_out.COMPLETION_HI.addr.value[31:ADDR_BITS-32];

endmodule
