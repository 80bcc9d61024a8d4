// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Testbench only: mm_result_collector, mm_completion and mm_axi_writer, connected as in mm_top.
//
// Latency: as its parts. Throughput: as its parts. Stalls: as its parts.

module mm_tb_results
  import mm_pkg::*;
#(
  /// As mm_result_collector.
  parameter int unsigned FifoBeats      = 64,
  /// As mm_axi_writer.
  parameter int unsigned MaxOutstanding = 4
) (
  /// Clock, rising edge.
  input  logic                  clk_i,
  /// Reset, synchronous, active low.
  input  logic                  rst_ni,
  /// As in its parts.
  input  logic                  flush_i,
  /// As in its parts.
  input  logic                  enable_i,
  /// As mm_completion.
  input  logic                  clear_i,
  /// As mm_completion.
  input  logic [15:0]           ring_steps_i,
  /// As mm_completion.
  input  logic [31:0]           stamp_i,
  /// Address of the completion record.
  input  logic [ADDR_BITS-1:0]  record_addr_i,
  /// As mm_completion.
  input  logic                  fault_valid_i,
  /// As mm_completion.
  output logic                  fault_ready_o,
  /// As mm_completion.
  input  logic [7:0]            fault_cause_i,
  /// As mm_result_collector.
  input  logic                  step_valid_i,
  /// As mm_result_collector.
  output logic                  step_ready_o,
  /// As mm_result_collector.
  input  logic [27:0]           step_page_i,
  /// As mm_result_collector.
  input  logic [15:0]           step_tile_rows_i,
  /// As mm_result_collector.
  input  logic [15:0]           step_report_i,
  /// As mm_result_collector.
  input  logic                  step_irq_i,
  /// As mm_result_collector.
  input  logic [PORTS-1:0]      res_valid_i,
  /// As mm_result_collector.
  output logic                  res_ready_o,
  /// As mm_result_collector.
  input  logic [PORTS*256-1:0]  res_data_i,
  /// As mm_result_collector.
  output logic                  blocked_o,
  /// As mm_axi_writer.
  output logic                  idle_o,
  /// As mm_axi_writer.
  output logic                  rsp_valid_o,
  /// As mm_axi_writer.
  output logic                  rsp_err_o,
  /// As mm_axi_writer.
  output logic [ADDR_BITS-1:0]  rsp_addr_o,
  /// As mm_completion.
  output logic [31:0]           steps_done_o,
  /// As mm_completion.
  output logic [15:0]           ring_index_o,
  /// As mm_completion.
  output logic                  step_done_o,
  /// As mm_completion.
  output logic                  irq_o,
  /// As mm_completion.
  output logic                  pending_o,
  /// As mm_axi_writer.
  output logic                  beat_o,
  /// As mm_axi_writer.
  output logic [ADDR_BITS-1:0]  m_axi_awaddr,
  /// As mm_axi_writer.
  output logic [7:0]            m_axi_awlen,
  /// As mm_axi_writer.
  output logic                  m_axi_awvalid,
  /// As mm_axi_writer.
  input  logic                  m_axi_awready,
  /// As mm_axi_writer.
  output logic [STRIP_BITS-1:0] m_axi_wdata,
  /// As mm_axi_writer.
  output logic                  m_axi_wlast,
  /// As mm_axi_writer.
  output logic                  m_axi_wvalid,
  /// As mm_axi_writer.
  input  logic                  m_axi_wready,
  /// As mm_axi_writer.
  input  logic [1:0]            m_axi_bresp,
  /// As mm_axi_writer.
  input  logic                  m_axi_bvalid,
  /// As mm_axi_writer.
  output logic                  m_axi_bready
);

  logic                  cmd_valid, cmd_ready, out_valid, out_ready;
  logic [ADDR_BITS-1:0]  cmd_addr, rec_addr;
  logic [7:0]            cmd_len;
  rows_t                 cmd_rows, rsp_rows;
  logic [STRIP_BITS-1:0] out_data, rec_data;
  logic                  rec_valid, rec_ready, rec_irq, rsp_rec;

  mm_result_collector #(
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
    .MaxOutstanding(MaxOutstanding)
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
