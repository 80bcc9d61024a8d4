// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Proof of mm_completion.
//
// Assumed:  reset in the first cycle; a clear comes only while the device is not running (mm_sequencer); the record of a fault is
//           asked for only while the device has halted, and held until it is taken.
// Proven:   a record speaks of exactly those steps and rows whose good response has come since the clear, no more and no fewer
//           (mm_formal_writer: responses belong to their bursts); no record without a reason: a report or a fault; a report that came is
//           in a record, the next one; the interrupt follows a record that counts a step with the flag, and no such step goes
//           without; a bad response, or one that comes while the device does not run, counts nothing; the ring index is the count of steps
//           modulo the ring.
// Method:   k-induction.

module mm_formal_completion
  import mm_pkg::*;
(
  input logic                  clk_i,
  input logic                  rst_ni,
  input logic                  clear_i,
  input logic                  enable_i,
  input logic [15:0]           ring_steps_i,
  input logic [31:0]           stamp_i,
  input logic [ADDR_BITS-1:0]  addr_i,
  input logic                  fault_valid_i,
  input cause_e                fault_cause_i,
  input logic                  rsp_valid_i,
  input logic                  rsp_err_i,
  input logic                  rsp_rec_i,
  input rows_t                 rsp_rows_i,
  input logic                  rec_ready_i
);

  logic                  fault_ready, rec_valid, rec_irq, step_done, irq, pending;
  logic [ADDR_BITS-1:0]  rec_addr;
  logic [STRIP_BITS-1:0] rec_data;
  logic [31:0]           steps;
  logic [15:0]           index, ring_q;

  logic started_q = 1'b0;
  always_ff @(posedge clk_i) started_q <= 1'b1;

  mm_completion dut (
    .clk_i, .rst_ni, .clear_i, .enable_i, .ring_steps_i, .stamp_i, .addr_i,
    .fault_valid_i, .fault_ready_o(fault_ready), .fault_cause_i, .rsp_valid_i, .rsp_err_i, .rsp_rec_i, .rsp_rows_i,
    .rec_valid_o(rec_valid), .rec_ready_i, .rec_addr_o(rec_addr), .rec_data_o(rec_data), .rec_irq_o(rec_irq),
    .steps_done_o(steps), .ring_index_o(index), .step_done_o(step_done), .irq_o(irq), .pending_o(pending)
  );

  // What good responses told, counted here.
  logic        good, told_q, wants_q;  // reports, and a step with the flag, that no record has spoken of
  logic [31:0] steps_q;
  logic [15:0] rows_q, index_q;

  assign good = rsp_valid_i && !rsp_rec_i && !rsp_err_i && enable_i;

  always_ff @(posedge clk_i) begin
    ring_q <= ring_steps_i;
    if (!rst_ni || clear_i) begin
      steps_q <= '0;
      rows_q  <= '0;
      index_q <= '0;
    end else if (good) begin
      steps_q <= steps_q + 32'(rsp_rows_i.last);
      rows_q  <= rsp_rows_i.last ? '0 : rows_q + 16'(rsp_rows_i.rows);
      if (rsp_rows_i.last) index_q <= (index_q + 16'd1 == ring_steps_i) ? '0 : index_q + 16'd1;
    end
    if (!rst_ni || !enable_i) begin
      told_q  <= 1'b0;
      wants_q <= 1'b0;
    end else begin
      told_q  <= (good && rsp_rows_i.report) || (told_q && !(rec_valid && rec_ready_i));
      wants_q <= (good && rsp_rows_i.last && rsp_rows_i.irq) || (wants_q && !(rec_valid && rec_ready_i));
    end
  end

  always_comb begin
    if (!started_q) assume (!rst_ni);
    if (clear_i) assume (!enable_i);
    if (fault_valid_i) assume (!enable_i);
    // The ring does not change while a program runs, and no index lies beyond it.
    if (rst_ni) assume (ring_steps_i != '0 && (clear_i || ring_steps_i == ring_q));
  end

  always_comb begin
    if (started_q && rst_ni) begin
      a_record: assert (rec_data[31:0] == steps_q && rec_data[63:32] == {11'd0, rows_q, 5'd0} && rec_data[127:96] == stamp_i);
      a_status: assert (rec_data[95:64] == (fault_valid_i ? {16'd0, fault_cause_i, 8'd1} : 32'd0) && rec_addr == addr_i);
      a_reason: assert (rec_valid == ((told_q && enable_i) || fault_valid_i) && pending == told_q);
      a_fault: assert (fault_ready == (fault_valid_i && rec_ready_i));
      a_irq: assert (rec_irq == (wants_q && !fault_valid_i));
      a_irq_out: assert (irq == (rsp_valid_i && rsp_rec_i && !rsp_err_i && rsp_rows_i.irq && enable_i));
      a_steps: assert (steps == steps_q && step_done == (good && rsp_rows_i.last));
      a_index: assert (index == index_q && (index_q < ring_q || index_q == '0));
      a_rows: assert (dut.rows_q == rows_q);

      c_merged: cover (told_q && good && rsp_rows_i.report && !rec_ready_i && steps_q == 32'd1);
      c_irq: cover (rec_valid && rec_ready_i && rec_irq && steps_q == 32'd2 && rows_q == 16'd3);
      c_fault: cover (fault_ready && steps_q == 32'd1);
      c_ring: cover (index_q == '0 && steps_q == 32'd2);
    end
  end

endmodule
