// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Completion: counts what is in memory, response by response, and writes the record that software polls.
//
// Latency:    1 cycle from the response to the last results of a report to the record's offer to the writer.
// Throughput: a report a cycle comes in; reports that come faster than records can be written merge, the newest wins. The
//             end of a step is never lost by that: the record counts steps.
// Stalls:     none towards the responses.
//
// Record, 16 bytes:  | stamp | status | rows_done | steps_done |   (steps_done at bits 31..0)

module mm_completion
  import mm_pkg::*;
(
  /// Clock, rising edge.
  input  logic                  clk_i,
  /// Reset, synchronous, active low.
  input  logic                  rst_ni,
  /// Nothing is done yet: a program starts, or everything is forgotten; pulse.
  input  logic                  clear_i,
  /// 0: the counts stay as they are (fault, drain).
  input  logic                  enable_i,
  /// Descriptors in the ring.
  input  logic [15:0]           ring_steps_i,
  /// Low half of the cycle counter.
  input  logic [31:0]           stamp_i,
  /// Address of the record.
  input  logic [ADDR_BITS-1:0]  addr_i,

  /// Write the record of a fault; held until fault_ready_o.
  input  logic                  fault_valid_i,
  /// It is with the writer.
  output logic                  fault_ready_o,
  /// Its cause.
  input  cause_e                fault_cause_i,

  /// A response came from memory.
  input  logic                  rsp_valid_i,
  /// It is bad.
  input  logic                  rsp_err_i,
  /// It is a record's.
  input  logic                  rsp_rec_i,
  /// What it tells.
  input  rows_t                 rsp_rows_i,

  /// A record is to be written.
  output logic                  rec_valid_o,
  /// It is taken.
  input  logic                  rec_ready_i,
  /// Its address.
  output logic [ADDR_BITS-1:0]  rec_addr_o,
  /// Its bytes.
  output logic [STRIP_BITS-1:0] rec_data_o,
  /// Raise the interrupt when it is in memory.
  output logic                  rec_irq_o,

  /// Steps complete since start.
  output logic [31:0]           steps_done_o,
  /// Ring index of the step that is not complete yet.
  output logic [15:0]           ring_index_o,
  /// A step is complete; pulse.
  output logic                  step_done_o,
  /// The interrupt's condition: the record of a step that asks for it is in memory; pulse.
  output logic                  irq_o,
  /// A report waits for the writer.
  output logic                  pending_o
);

  logic [31:0] steps_d, steps_q;
  logic [15:0] rows_d, rows_q;
  logic [15:0] index_d, index_q;
  logic        pend_d, pend_q;
  logic        irq_d, irq_q;
  logic        rows_good;

  assign rows_good   = rsp_valid_i & ~rsp_rec_i & ~rsp_err_i & enable_i;
  assign step_done_o = rows_good & rsp_rows_i.last;

  always_comb begin
    steps_d = steps_q;
    rows_d  = rows_q;
    index_d = index_q;
    pend_d  = pend_q;
    irq_d   = irq_q;
    if (rec_valid_o && rec_ready_i) begin
      pend_d = 1'b0;
      irq_d  = 1'b0;
    end
    if (rows_good) begin
      rows_d = rows_q + 16'(rsp_rows_i.rows);
      pend_d = pend_d | rsp_rows_i.report;
    end
    if (step_done_o) begin
      steps_d = steps_q + 32'd1;
      rows_d  = '0;
      index_d = (17'(index_q) + 17'd1 >= 17'(ring_steps_i)) ? '0 : index_q + 16'd1;
      irq_d   = irq_d | rsp_rows_i.irq;
    end
    // A report that waits when the device halts is contained in the record of the fault.
    if (!enable_i) begin
      pend_d = 1'b0;
      irq_d  = 1'b0;
    end
    if (clear_i) begin
      steps_d = '0;
      rows_d  = '0;
      index_d = '0;
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      steps_q <= '0;
      rows_q  <= '0;
      index_q <= '0;
      pend_q  <= 1'b0;
      irq_q   <= 1'b0;
    end else begin
      steps_q <= steps_d;
      rows_q  <= rows_d;
      index_q <= index_d;
      pend_q  <= pend_d;
      irq_q   <= irq_d;
    end
  end

  assign rec_valid_o   = (pend_q & enable_i) | fault_valid_i;
  assign fault_ready_o = fault_valid_i & rec_ready_i;
  assign rec_addr_o    = addr_i;
  assign rec_irq_o     = irq_q & ~fault_valid_i;
  assign rec_data_o    = {stamp_i,
                          fault_valid_i ? {16'd0, fault_cause_i, 8'd1} : 32'd0,
                          11'd0, rows_q, 5'd0,
                          steps_q};

  assign steps_done_o = steps_q;
  assign ring_index_o = index_q;
  assign irq_o        = rsp_valid_i & rsp_rec_i & ~rsp_err_i & rsp_rows_i.irq & enable_i;
  assign pending_o    = pend_q;

`ifndef SYNTHESIS
  // The record of a fault is written only when the device has halted.
  a_halted : assert property (@(posedge clk_i) disable iff (!rst_ni)
      fault_valid_i |-> !enable_i);
`endif

endmodule
