// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Proof of mm_csr with the generated block mm_regs: the rules of AXI4-Lite, and that commands and one register do what was written.
//
// Assumed:  reset in the first cycle; the master holds VALID and payload until READY (AXI4-Lite).
// Proven:   BVALID, BRESP, RVALID, RDATA, RRESP stay until READY; no response without its address (and data), one for each, in order of
//           acceptance a kind; never more than four of a kind are waiting; a master that is always ready has its answer within 8 cycles;
//           every response is OKAY; start, stop and soft reset are pulses of a cycle, each of them only after a write of that bit to CTRL
//           with its strobe (and once more when CTRL is then written without it at once); WATCHDOG is what was last written, byte by byte.
// Method:   k-induction.

module mm_formal_csr
  import mm_pkg::*;
(
  input logic                     clk_i,
  input logic                     rst_ni,
  input axil_req_t                req_i,
  input logic                     doorbell_clear_i,
  input logic [4:0]               status_i,
  input logic [1:0]               irq_i,
  input cause_e                   err_cause_i,
  input logic [3:0]               err_port_i,
  input logic [15:0]              err_step_i,
  input addr_t                    err_addr_i,
  input logic [31:0]              steps_done_i,
  input logic [63:0]              cycles_i,
  input logic [63:0]              stream_cycles_i,
  input logic [63:0]              steps_i,
  input port_counts_t [PORTS-1:0] port_counts_i
);

  typedef logic [3:0] count_t;

  axil_rsp_t   rsp;
  logic        start, stop, soft_reset, irq;
  logic [63:0] ring_base;
  logic [15:0] ring_steps;
  addr_t       completion;
  axi_attr_t   weight_attr, data_attr;
  logic [31:0] watchdog, doorbell;

  logic started_q = 1'b0;
  always_ff @(posedge clk_i) started_q <= 1'b1;

  mm_csr dut (
    .clk_i, .rst_ni, .axil_req_i(req_i), .axil_rsp_o(rsp), .start_o(start), .stop_o(stop), .soft_reset_o(soft_reset),
    .ring_base_o(ring_base), .ring_steps_o(ring_steps), .completion_o(completion), .weight_attr_o(weight_attr), .data_attr_o(data_attr),
    .watchdog_o(watchdog), .doorbell_o(doorbell), .doorbell_clear_i, .idle_i(status_i[0]), .running_i(status_i[1]),
    .draining_i(status_i[2]), .faulted_i(status_i[3]), .nan_in_i(status_i[4]), .irq_step_i(irq_i[0]), .irq_fault_i(irq_i[1]),
    .err_cause_i, .err_port_i, .err_step_i, .err_addr_i, .steps_done_i, .cycles_i, .stream_cycles_i, .steps_i, .port_counts_i, .irq_o(irq)
  );

  // ---- what is under way ----

  count_t      ar_q, aw_q, w_q;  // accepted, not answered
  axil_req_t   req_q;
  axil_rsp_t   rsp_q;
  logic        held_ar_q, held_aw_q, held_w_q, held_b_q, held_r_q;
  logic [3:0]  wait_ar_q, wait_w_q;

  always_ff @(posedge clk_i) begin
    req_q     <= req_i;
    rsp_q     <= rsp;
    held_ar_q <= rst_ni && req_i.arvalid && !rsp.arready;
    held_aw_q <= rst_ni && req_i.awvalid && !rsp.awready;
    held_w_q  <= rst_ni && req_i.wvalid && !rsp.wready;
    held_b_q  <= rst_ni && rsp.bvalid && !req_i.bready;
    held_r_q  <= rst_ni && rsp.rvalid && !req_i.rready;
    if (!rst_ni) begin
      ar_q <= '0;
      aw_q <= '0;
      w_q  <= '0;
    end else begin
      ar_q <= ar_q + count_t'(req_i.arvalid & rsp.arready) - count_t'(rsp.rvalid & req_i.rready);
      aw_q <= aw_q + count_t'(req_i.awvalid & rsp.awready) - count_t'(rsp.bvalid & req_i.bready);
      w_q  <= w_q + count_t'(req_i.wvalid & rsp.wready) - count_t'(rsp.bvalid & req_i.bready);
    end
    wait_ar_q <= (rst_ni && req_i.rready && req_i.bready && ar_q != '0 && !rsp.rvalid) ? wait_ar_q + 4'd1 : '0;
    wait_w_q  <= (rst_ni && req_i.rready && req_i.bready && aw_q != '0 && w_q != '0 && !rsp.bvalid) ? wait_w_q + 4'd1 : '0;
  end

  always_comb begin
    if (!started_q) assume (!rst_ni);
    if (held_ar_q) assume (req_i.arvalid && req_i.araddr == req_q.araddr);
    if (held_aw_q) assume (req_i.awvalid && req_i.awaddr == req_q.awaddr);
    if (held_w_q) assume (req_i.wvalid && req_i.wdata == req_q.wdata && req_i.wstrb == req_q.wstrb);
  end

  // ---- what the registers are to do ----

  logic        writes;  // a write takes effect at the next edge
  logic [12:0] at;
  logic [31:0] data, watchdog_q;
  logic [3:0]  strobe;
  logic [2:0]  command_q;

  assign writes = dut.u_regs.axil_aw_accept;
  assign at     = dut.u_regs.axil_awaddr;
  assign data   = dut.u_regs.axil_wdata;
  assign strobe = dut.u_regs.axil_wstrb;

  always_ff @(posedge clk_i) begin
    // The generated block repeats a pulse when CTRL is written without its strobe in the cycle of the pulse. Nobody writes so, and
    // it would do nothing: mm_sequencer takes a start only when idle, and stop and reset twice are once.
    if (rst_ni && writes && at[12:2] == 11'h008) command_q <= strobe[0] ? data[2:0] : command_q;
    else command_q <= '0;
    if (!rst_ni) begin
      watchdog_q <= 32'd0;
    end else if (writes && at[12:2] == 11'h013) begin
      for (int k = 0; k < 4; k++) if (strobe[k]) watchdog_q[8*k +: 8] <= data[8*k +: 8];
    end
  end

  logic settled_q;
  always_ff @(posedge clk_i) settled_q <= rst_ni && started_q;

  // ---- how it lies in the response buffer ----

  logic [2:0] wptr, rptr, held, reads, slot;
  logic       reading;

  assign wptr    = dut.u_regs.axil_resp_wptr;
  assign rptr    = dut.u_regs.axil_resp_rptr;
  assign held    = 3'(wptr[1:0]) - 3'(rptr[1:0]) + (wptr[2] != rptr[2] ? 3'd3 : 3'd0);
  assign reading = dut.u_regs.readback_done_rt;

  logic err_ok;
  always_comb begin
    reads  = '0;
    err_ok = 1'b1;
    for (int k = 0; k < 3; k++) begin
      slot = 3'(rptr[1:0]) + 3'(k);
      if (slot >= 3'd3) slot -= 3'd3;
      if (3'(k) < held && !dut.u_regs.axil_resp_buffer_is_wr[slot[1:0]]) reads += 3'd1;
      if (3'(k) < held && dut.u_regs.axil_resp_buffer_err[slot[1:0]]) err_ok = 1'b0;
    end
  end

  always_comb begin
    if (started_q && rst_ni) begin
      a_b_stable: assert (!held_b_q || (rsp.bvalid && rsp.bresp == rsp_q.bresp));
      a_r_stable: assert (!held_r_q || (rsp.rvalid && rsp.rdata == rsp_q.rdata && rsp.rresp == rsp_q.rresp));
      a_b_expected: assert (!rsp.bvalid || (aw_q != '0 && w_q != '0));
      a_r_expected: assert (!rsp.rvalid || ar_q != '0);
      a_bound: assert (ar_q <= 4'd4 && aw_q <= 4'd4 && w_q <= 4'd4);
      a_okay: assert (!(rsp.bvalid && rsp.bresp != 2'b00) && !(rsp.rvalid && rsp.rresp != 2'b00));
      a_answer_read: assert (wait_ar_q < 4'd8);
      a_answer_write: assert (wait_w_q < 4'd8);
      a_command: assert (!settled_q || {soft_reset, stop, start} == command_q);
      a_watchdog: assert (!settled_q || watchdog == watchdog_q);

      a_pointers: assert (wptr[1:0] != 2'd3 && rptr[1:0] != 2'd3 && held <= 3'd3);
      a_flight: assert (count_t'(dut.u_regs.axil_n_in_flight) == count_t'(held) + count_t'(reading));
      a_reads: assert (ar_q == count_t'(dut.u_regs.axil_arvalid) + count_t'(reads) + count_t'(reading));
      a_writes: assert (aw_q == count_t'(dut.u_regs.axil_awvalid) + count_t'(held - reads) &&
                        w_q == count_t'(dut.u_regs.axil_wvalid) + count_t'(held - reads));
      a_errors: assert (err_ok && !dut.u_regs.readback_err_rt);
      a_stall: assert (dut.u_regs.cpuif_req_stall_sr == 1'b0 || reading);

      c_both: cover (ar_q == 4'd2 && aw_q == 4'd2 && w_q == 4'd3);
      c_start: cover (start);
      c_watchdog: cover (settled_q && watchdog_q == 32'h0000_1200);
      c_full: cover (held == 3'd3 && held_b_q && ar_q != '0);
    end
  end

endmodule
