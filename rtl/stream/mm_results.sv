// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Results: collects them, writes them to memory, then the completion record about them.
//
// Latency:    as its parts, mm_result_collector, mm_completion and mm_axi_writer.
// Throughput: as its parts.
// Stalls:     as its parts.

module mm_results
  import mm_pkg::*;
#(
  /// Activation vectors that share a pass, 1..16.
  parameter int unsigned Batch          = 1,
  /// Depth of the FIFO in beats; holds at least a longest burst and one row more, >= 40.
  parameter int unsigned FifoBeats      = 512,
  /// Bursts without a response at most, >= 1.
  parameter int unsigned MaxOutstanding = 8
) (
  /// Clock, rising edge.
  input  logic                  clk_i,
  /// Reset, synchronous, active low.
  input  logic                  rst_ni,
  /// Forget everything.
  input  logic                  flush_i,
  /// 0: begin no burst, and the counts stay as they are (fault, drain, not running).
  input  logic                  enable_i,
  /// Nothing is done yet: a program starts, or everything is forgotten; pulse.
  input  logic                  clear_i,
  /// Descriptors in the ring.
  input  logic [15:0]           ring_steps_i,
  /// Low half of the cycle counter.
  input  logic [31:0]           stamp_i,
  /// Address of the completion record.
  input  logic [ADDR_BITS-1:0]  record_addr_i,
  /// Write the record of a fault; held until fault_ready_o.
  input  logic                  fault_valid_i,
  /// It is with the writer.
  output logic                  fault_ready_o,
  /// Its cause.
  input  logic [7:0]            fault_cause_i,
  /// A step's results will come.
  input  logic                  step_valid_i,
  /// It is taken; registered.
  output logic                  step_ready_o,
  /// Where they go (4 KiB page).
  input  logic [27:0]           step_page_i,
  /// How many tile rows, >= 1; only with Batch 1.
  input  logic [15:0]           step_tile_rows_i,
  /// How many rows of results, tile rows * vectors; not with Batch 1.
  input  rows_count_t           step_rows_i,
  /// How many vectors, 1..Batch; not with Batch 1.
  input  vectors_t              step_vectors_i,
  /// Report when at least so many tile rows more are in memory; 0: only at the end.
  input  logic [15:0]           step_report_i,
  /// The step asks for the interrupt.
  input  logic                  step_irq_i,
  /// Each unit has its 8 results.
  input  logic [PORTS-1:0]      res_valid_i,
  /// All units: taken.
  output logic                  res_ready_o,
  /// Unit p's 8 FP32 at bits 256p .. 256p+255.
  input  logic [PORTS*256-1:0]  res_data_i,
  /// Results wait and the FIFO is full.
  output logic                  blocked_o,
  /// No burst is under way and no response is missing.
  output logic                  idle_o,
  /// A response came; pulse.
  output logic                  rsp_valid_o,
  /// It is bad.
  output logic                  rsp_err_o,
  /// Address of its burst.
  output logic [ADDR_BITS-1:0]  rsp_addr_o,
  /// Steps complete since start.
  output logic [31:0]           steps_done_o,
  /// Ring index of the step that is not complete yet.
  output logic [15:0]           ring_index_o,
  /// A step is complete; pulse.
  output logic                  step_done_o,
  /// The interrupt's condition: the record of a step that asks for it is in memory; pulse.
  output logic                  irq_o,
  /// A report waits for the writer.
  output logic                  pending_o,
  /// A beat went to memory; pulse.
  output logic                  beat_o,
  /// AXI4 AW channel: address.
  output logic [ADDR_BITS-1:0]  m_axi_awaddr,
  /// AXI4 AW channel: beats - 1.
  output logic [7:0]            m_axi_awlen,
  /// AXI4 AW channel: valid.
  output logic                  m_axi_awvalid,
  /// AXI4 AW channel: ready.
  input  logic                  m_axi_awready,
  /// AXI4 W channel: data.
  output logic [STRIP_BITS-1:0] m_axi_wdata,
  /// AXI4 W channel: last beat of a burst.
  output logic                  m_axi_wlast,
  /// AXI4 W channel: valid.
  output logic                  m_axi_wvalid,
  /// AXI4 W channel: ready.
  input  logic                  m_axi_wready,
  /// AXI4 B channel: response; bit 1 means error.
  input  logic [1:0]            m_axi_bresp,
  /// AXI4 B channel: valid.
  input  logic                  m_axi_bvalid,
  /// AXI4 B channel: ready.
  output logic                  m_axi_bready
);

  logic                  cmd_valid, cmd_ready, out_valid, out_ready;
  logic [ADDR_BITS-1:0]  cmd_addr, rec_addr;
  logic [7:0]            cmd_len;
  rows_t                 cmd_rows, rsp_rows;
  logic [STRIP_BITS-1:0] out_data, rec_data;
  logic                  rec_valid, rec_ready, rec_irq, rsp_rec;

  mm_result_collector #(
    .Batch    (Batch),
    .FifoBeats(FifoBeats)
  ) u_collector (
    .clk_i,
    .rst_ni,
    .flush_i,
    .enable_i,
    .step_valid_i,
    .step_ready_o,
    .step_page_i,
    .step_tile_rows_i,
    .step_rows_i,
    .step_vectors_i,
    .step_report_i,
    .step_irq_i,
    .res_valid_i,
    .res_ready_o,
    .res_data_i,
    .blocked_o,
    .cmd_valid_o(cmd_valid),
    .cmd_ready_i(cmd_ready),
    .cmd_addr_o (cmd_addr),
    .cmd_len_o  (cmd_len),
    .cmd_rows_o (cmd_rows),
    .out_valid_o(out_valid),
    .out_ready_i(out_ready),
    .out_data_o (out_data)
  );

  mm_completion u_completion (
    .clk_i,
    .rst_ni,
    .clear_i,
    .enable_i,
    .ring_steps_i,
    .stamp_i,
    .addr_i       (record_addr_i),
    .fault_valid_i,
    .fault_ready_o,
    .fault_cause_i(cause_e'(fault_cause_i)),
    .rsp_valid_i  (rsp_valid_o),
    .rsp_err_i    (rsp_err_o),
    .rsp_rec_i    (rsp_rec),
    .rsp_rows_i   (rsp_rows),
    .rec_valid_o  (rec_valid),
    .rec_ready_i  (rec_ready),
    .rec_addr_o   (rec_addr),
    .rec_data_o   (rec_data),
    .rec_irq_o    (rec_irq),
    .steps_done_o,
    .ring_index_o,
    .step_done_o,
    .irq_o,
    .pending_o
  );

  mm_axi_writer #(
    .MaxOutstanding(MaxOutstanding),
    .Queued        (Batch > 1)
  ) u_writer (
    .clk_i,
    .rst_ni,
    .idle_o,
    .res_cmd_valid_i(cmd_valid),
    .res_cmd_ready_o(cmd_ready),
    .res_cmd_addr_i (cmd_addr),
    .res_cmd_len_i  (cmd_len),
    .res_cmd_rows_i (cmd_rows),
    .res_valid_i    (out_valid),
    .res_ready_o    (out_ready),
    .res_data_i     (out_data),
    .rec_valid_i    (rec_valid),
    .rec_ready_o    (rec_ready),
    .rec_addr_i     (rec_addr),
    .rec_data_i     (rec_data),
    .rec_irq_i      (rec_irq),
    .rsp_valid_o,
    .rsp_err_o,
    .rsp_addr_o,
    .rsp_rec_o      (rsp_rec),
    .rsp_rows_o     (rsp_rows),
    .beat_o,
    .m_axi_awaddr,
    .m_axi_awlen,
    .m_axi_awvalid,
    .m_axi_awready,
    .m_axi_wdata,
    .m_axi_wlast,
    .m_axi_wvalid,
    .m_axi_wready,
    .m_axi_bresp,
    .m_axi_bvalid,
    .m_axi_bready
  );

endmodule
