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
  /// Depth of each prefetch FIFO, strips.
  parameter int unsigned FifoStrips     = 2048,
  /// Longest burst, beats.
  parameter int unsigned BurstBeats     = 64,
  /// Bursts in flight a port.
  parameter int unsigned MaxOutstanding = 8,
  /// Largest number of groups a step may have.
  parameter int unsigned MaxGroups      = 128
) (
  /// Clock, rising edge.
  input  logic                clk_i,
  /// Reset, synchronous, active low.
  input  logic                rst_ni,

  /// AXI4-Lite AW channel: address.
  input  logic [12:0]         s_axil_awaddr,
  /// AXI4-Lite AW channel: protection, not used.
  input  logic [2:0]          s_axil_awprot,
  /// AXI4-Lite AW channel: valid.
  input  logic                s_axil_awvalid,
  /// AXI4-Lite AW channel: ready.
  output logic                s_axil_awready,
  /// AXI4-Lite W channel: data.
  input  logic [31:0]         s_axil_wdata,
  /// AXI4-Lite W channel: byte enables.
  input  logic [3:0]          s_axil_wstrb,
  /// AXI4-Lite W channel: valid.
  input  logic                s_axil_wvalid,
  /// AXI4-Lite W channel: ready.
  output logic                s_axil_wready,
  /// AXI4-Lite B channel: response.
  output logic [1:0]          s_axil_bresp,
  /// AXI4-Lite B channel: valid.
  output logic                s_axil_bvalid,
  /// AXI4-Lite B channel: ready.
  input  logic                s_axil_bready,
  /// AXI4-Lite AR channel: address.
  input  logic [12:0]         s_axil_araddr,
  /// AXI4-Lite AR channel: protection, not used.
  input  logic [2:0]          s_axil_arprot,
  /// AXI4-Lite AR channel: valid.
  input  logic                s_axil_arvalid,
  /// AXI4-Lite AR channel: ready.
  output logic                s_axil_arready,
  /// AXI4-Lite R channel: data.
  output logic [31:0]         s_axil_rdata,
  /// AXI4-Lite R channel: response.
  output logic [1:0]          s_axil_rresp,
  /// AXI4-Lite R channel: valid.
  output logic                s_axil_rvalid,
  /// AXI4-Lite R channel: ready.
  input  logic                s_axil_rready,

  /// CTRL.start; pulse.
  output logic                start_o,
  /// CTRL.stop; pulse.
  output logic                stop_o,
  /// CTRL.soft_reset; pulse.
  output logic                soft_reset_o,
  /// RING_BASE
  output logic [63:0]         ring_base_o,
  /// RING_STEPS
  output logic [15:0]         ring_steps_o,
  /// COMPLETION, bits 39..0
  output addr_t               completion_o,
  /// AXI_ATTR.weight_cache
  output logic [3:0]          weight_cache_o,
  /// AXI_ATTR.weight_prot
  output logic [2:0]          weight_prot_o,
  /// AXI_ATTR.data_cache
  output logic [3:0]          data_cache_o,
  /// AXI_ATTR.data_prot
  output logic [2:0]          data_prot_o,
  /// WATCHDOG
  output logic [31:0]         watchdog_o,
  /// DOORBELL
  output logic [31:0]         doorbell_o,

  /// DOORBELL becomes 0; pulse.
  input  logic                doorbell_clear_i,
  /// STATUS.idle
  input  logic                idle_i,
  /// STATUS.running
  input  logic                running_i,
  /// STATUS.draining
  input  logic                draining_i,
  /// STATUS.faulted
  input  logic                faulted_i,
  /// Sets IRQ_STATUS.step_done; pulse.
  input  logic                irq_step_i,
  /// Sets IRQ_STATUS.fault; pulse.
  input  logic                irq_fault_i,
  /// ERR_CAUSE.cause
  input  cause_e              err_cause_i,
  /// ERR_CAUSE.port
  input  logic [3:0]          err_port_i,
  /// ERR_CAUSE.step
  input  logic [15:0]         err_step_i,
  /// ERR_ADDR
  input  addr_t               err_addr_i,
  /// STEPS_DONE
  input  logic [31:0]         steps_done_i,

  /// CYCLES
  input  logic [63:0]         cycles_i,
  /// STREAM_CYCLES
  input  logic [63:0]         stream_cycles_i,
  /// STEPS
  input  logic [63:0]         steps_i,
  /// PORT[p].BEATS at bits 64p .. 64p+63; the next five likewise.
  input  logic [PORTS*64-1:0] beats_i,
  /// PORT[p].STRIPS
  input  logic [PORTS*64-1:0] strips_i,
  /// PORT[p].NO_DATA
  input  logic [PORTS*64-1:0] no_data_i,
  /// PORT[p].NO_ACTIVATIONS
  input  logic [PORTS*64-1:0] no_activations_i,
  /// PORT[p].NO_ROOM
  input  logic [PORTS*64-1:0] no_room_i,
  /// PORT[p].LOCK_STEP
  input  logic [PORTS*64-1:0] lock_step_i,

  /// Interrupt, level, high.
  output logic                irq_o
);

  localparam logic [31:0] ConfigHash =
      config_hash(FifoStrips, MaxGroups, BurstBeats, MaxOutstanding);

  mm_regs_pkg::macromac__in_t  hwif_in;
  mm_regs_pkg::macromac__out_t hwif_out;

  mm_regs u_regs (
    .clk(clk_i),
    .rst_n(rst_ni),
    .s_axil_awready,
    .s_axil_awvalid,
    .s_axil_awaddr,
    .s_axil_awprot,
    .s_axil_wready,
    .s_axil_wvalid,
    .s_axil_wdata,
    .s_axil_wstrb,
    .s_axil_bready,
    .s_axil_bvalid,
    .s_axil_bresp,
    .s_axil_arready,
    .s_axil_arvalid,
    .s_axil_araddr,
    .s_axil_arprot,
    .s_axil_rready,
    .s_axil_rvalid,
    .s_axil_rdata,
    .s_axil_rresp,
    .hwif_in,
    .hwif_out
  );

  // ---- from the registers ----

  assign start_o        = hwif_out.CTRL.start.value;
  assign stop_o         = hwif_out.CTRL.stop.value;
  assign soft_reset_o   = hwif_out.CTRL.soft_reset.value;
  assign ring_base_o    = {hwif_out.RING_BASE_HI.addr.value, hwif_out.RING_BASE_LO.addr.value};
  assign ring_steps_o   = hwif_out.RING_STEPS.steps.value;
  assign completion_o   = {hwif_out.COMPLETION_HI.addr.value[ADDR_BITS-33:0],
                           hwif_out.COMPLETION_LO.addr.value};
  assign weight_cache_o = hwif_out.AXI_ATTR.weight_cache.value;
  assign weight_prot_o  = hwif_out.AXI_ATTR.weight_prot.value;
  assign data_cache_o   = hwif_out.AXI_ATTR.data_cache.value;
  assign data_prot_o    = hwif_out.AXI_ATTR.data_prot.value;
  assign watchdog_o     = hwif_out.WATCHDOG.limit.value;
  assign doorbell_o     = hwif_out.DOORBELL.steps_ready.value;

  // ---- to the registers ----

  assign hwif_in.CAP0.ports.next        = 4'(PORTS);
  assign hwif_in.CAP0.arithmetic.next   = 4'(ARITHMETIC);
  assign hwif_in.CAP0.batch.next        = 8'(BATCH);
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
    assign hwif_in.PORT[p].BEATS.LO.value.next          = beats_i[64*p +: 32];
    assign hwif_in.PORT[p].BEATS.HI.value.next          = beats_i[64*p+32 +: 32];
    assign hwif_in.PORT[p].STRIPS.LO.value.next         = strips_i[64*p +: 32];
    assign hwif_in.PORT[p].STRIPS.HI.value.next         = strips_i[64*p+32 +: 32];
    assign hwif_in.PORT[p].NO_DATA.LO.value.next        = no_data_i[64*p +: 32];
    assign hwif_in.PORT[p].NO_DATA.HI.value.next        = no_data_i[64*p+32 +: 32];
    assign hwif_in.PORT[p].NO_ACTIVATIONS.LO.value.next = no_activations_i[64*p +: 32];
    assign hwif_in.PORT[p].NO_ACTIVATIONS.HI.value.next = no_activations_i[64*p+32 +: 32];
    assign hwif_in.PORT[p].NO_ROOM.LO.value.next        = no_room_i[64*p +: 32];
    assign hwif_in.PORT[p].NO_ROOM.HI.value.next        = no_room_i[64*p+32 +: 32];
    assign hwif_in.PORT[p].LOCK_STEP.LO.value.next      = lock_step_i[64*p +: 32];
    assign hwif_in.PORT[p].LOCK_STEP.HI.value.next      = lock_step_i[64*p+32 +: 32];
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
