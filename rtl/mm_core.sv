// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// The accelerator behind its pins: registers, sequencer, descriptor fetch, four weight ports, activations, four MACRO_MAC
// units in lock step, results, data port, counters of the device. docs/architecture.md, section 1, is its drawing.
//
// Latency:    see docs/architecture.md, section 8.
// Throughput: four strips a cycle.
// Stalls:     never drops or duplicates: a full result FIFO holds the units, the units hold the FIFOs, and a reader only
//             asks for what its FIFO has room for.
//
// This file only connects; what it keeps is the AXI attributes, sampled at start, because the address channels
// must not change while software writes the register, and the flag that NaN came in.

module mm_core
  import mm_pkg::*;
#(
  /// Arithmetic of the units: PAPER or KV260.
  parameter int unsigned Arithmetic     = PAPER,
  /// Activation vectors that share a pass, 1..16; 1 for PAPER.
  parameter int unsigned Batch          = 1,
  /// Depth of each prefetch FIFO, strips of 128 bits, >= BurstBeats.
  parameter int unsigned FifoStrips     = 2048,
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
  input  logic                    clk_i,
  /// Reset of everything, synchronous, active low.
  input  logic                    rst_ni,
  /// AXI4-Lite slave: what the master drives.
  input  axil_req_t               axil_req_i,
  /// AXI4-Lite slave: what we drive.
  output axil_rsp_t               axil_rsp_o,
  /// Weight port p, AR and R: what we drive.
  output axi_rd_req_t [PORTS-1:0] weight_req_o,
  /// Weight port p, AR and R: what memory drives.
  input  axi_rd_rsp_t [PORTS-1:0] weight_rsp_i,
  /// Attributes of all bursts of the weight ports.
  output axi_attr_t               weight_attr_o,
  /// Data port, AR and R: what we drive.
  output axi_rd_req_t             data_rd_req_o,
  /// Data port, AR and R: what memory drives.
  input  axi_rd_rsp_t             data_rd_rsp_i,
  /// Data port, AW, W and B: what we drive.
  output axi_wr_req_t             data_wr_req_o,
  /// Data port, AW, W and B: what memory drives.
  input  axi_wr_rsp_t             data_wr_rsp_i,
  /// Attributes of all bursts of the data port.
  output axi_attr_t               data_attr_o,
  /// Interrupt, level, high: IRQ_STATUS & IRQ_ENABLE.
  output logic                    irq_o
);

  localparam int unsigned ResultFifoBeats = 512;
  localparam int unsigned WritesInFlight  = 8;
  localparam int unsigned StepsAhead      = 8;

  if (MaxGroups < 1 || MaxGroups > 8192) begin : gen_bad_groups
    $fatal(1, "%m: MaxGroups must be 1..8192");
  end
  if (Arithmetic != PAPER && Arithmetic != KV260) begin : gen_bad_arithmetic
    $fatal(1, "%m: Arithmetic must be 0 (paper) or 1 (kv260)");
  end
  if (Batch < 1 || Batch > MAX_BATCH || (Arithmetic == PAPER && Batch != 1)) begin : gen_bad_batch
    $fatal(1, "%m: Batch must be 1..16, and 1 for paper");
  end

  // ---- registers ----

  logic                     start_wish, stop_wish, soft_reset_wish;
  logic [63:0]              ring_base;
  logic [15:0]              ring_steps;
  addr_t                    completion_addr;
  axi_attr_t                weight_attr, data_attr;
  logic [31:0]              watchdog, doorbell;

  logic                     start, enable, drain, flush, clear, idle, draining, faulted, fault_irq, step_irq;
  cause_e                   cause;
  logic [3:0]               err_port;
  logic [15:0]              err_step;
  addr_t                    err_addr;
  logic [31:0]              steps_done;

  logic                     nan_seen, nan_in_q;

  logic [63:0]              count_cycles, count_stream, count_steps;
  port_counts_t [PORTS-1:0] port_counts;

  mm_csr #(
    .Arithmetic    (Arithmetic),
    .Batch         (Batch),
    .FifoStrips    (FifoStrips),
    .BurstBeats    (BurstBeats),
    .MaxOutstanding(MaxOutstanding),
    .MaxLead       (MaxLead),
    .MaxGroups     (MaxGroups)
  ) u_csr (
    .clk_i,
    .rst_ni,
    .axil_req_i,
    .axil_rsp_o,
    .start_o         (start_wish),
    .stop_o          (stop_wish),
    .soft_reset_o    (soft_reset_wish),
    .ring_base_o     (ring_base),
    .ring_steps_o    (ring_steps),
    .completion_o    (completion_addr),
    .weight_attr_o   (weight_attr),
    .data_attr_o     (data_attr),
    .watchdog_o      (watchdog),
    .doorbell_o      (doorbell),
    .doorbell_clear_i(start | clear),
    .idle_i          (idle),
    .running_i       (enable),
    .draining_i      (draining),
    .faulted_i       (faulted),
    .nan_in_i        (nan_in_q),
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
    .port_counts_i   (port_counts),
    .irq_o
  );

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      weight_attr_o <= '0;
      data_attr_o   <= '0;
      nan_in_q      <= 1'b0;
    end else begin
      nan_in_q <= (nan_in_q | nan_seen) & ~clear;
      if (start) begin
        weight_attr_o <= weight_attr;
        data_attr_o   <= data_attr;
      end
    end
  end

  // ---- sequencer ----

  logic [31:0]                released;
  logic [15:0]                ring_index;
  logic                       report_pending;
  logic [PORTS-1:0]           reader_idle, rd_beat, rd_err, reserved_err;
  logic [PORTS*ADDR_BITS-1:0] rd_err_addr;
  logic                       data_idle, writer_idle, data_rd_beat, wr_beat, pop;
  logic                       data_err, wr_rsp_valid, wr_rsp_err, desc_err;
  addr_t                      data_err_addr, wr_rsp_addr;
  logic [15:0]                desc_err_index;
  logic                       fault_rec_valid, fault_rec_ready;

  mm_sequencer u_sequencer (
    .clk_i,
    .rst_ni,
    .start_i        (start_wish),
    .stop_i         (stop_wish),
    .soft_reset_i   (soft_reset_wish),
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
    .wr_err_i       (wr_rsp_valid & wr_rsp_err),
    .wr_err_addr_i  (wr_rsp_addr),
    .desc_err_i     (desc_err),
    .desc_index_i   (desc_err_index),
    .reserved_err_i (reserved_err),
    .progress_i     (pop | (|rd_beat) | data_rd_beat | wr_beat),
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

  logic                       desc_rd_valid, desc_rd_ready, desc_beat;
  addr_t                      desc_rd_addr;
  logic [STRIP_BITS-1:0]      data_beat;
  logic                       seg_valid;
  logic [PORTS-1:0]           seg_ready;
  logic [PORTS*ADDR_BITS-1:0] seg_addr;
  beats_t                     seg_beats;
  logic                       fetched_valid, fetched_ready;
  step_t                      fetched, issued;
  logic                       issue, activations_ready, stream_ready, results_ready;
  logic [31:0]                issued_count;

  mm_desc_fetch #(
    .Arithmetic(Arithmetic),
    .Batch     (Batch),
    .MaxGroups (MaxGroups)
  ) u_desc_fetch (
    .clk_i,
    .rst_ni,
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
    .StepsAhead(StepsAhead),
    .Staged    (Arithmetic == KV260)
  ) u_step_issue (
    .clk_i,
    .rst_ni,
    .flush_i    (flush),
    .enable_i   (enable),
    .in_valid_i (fetched_valid),
    .in_ready_o (fetched_ready),
    .in_step_i  (fetched),
    .released_i (released),
    .issued_o   (issued_count),
    .out_valid_o(issue),
    .out_ready_i(activations_ready & stream_ready & results_ready),
    .out_step_o (issued)
  );

  // ---- weight ports, in lock step ----

  logic [PORTS-1:0]            fifo_valid, strip_ready, res_valid;
  logic [PORTS*STRIP_BITS-1:0] fifo_data;
  logic                        strip_valid, strip_last, strip_weight, strip_tight;
  vectors_t                    strip_vectors;
  logic                        act_valid, act_pop, bank_release;
  logic                        res_ready, res_blocked, streaming;
  logic [PORTS*256-1:0]        res_data;
  logic [PORTS-1:0]            no_data, no_activations, no_room, lock_step;

  mm_stream_ctrl #(
    .Arithmetic(Arithmetic)
  ) u_stream_ctrl (
    .clk_i,
    .rst_ni,
    .flush_i         (flush),
    .enable_i        (enable),
    .step_valid_i    (issue),
    .step_ready_o    (stream_ready),
    .step_groups_i   (issued.groups),
    .step_tile_rows_i(issued.tile_rows),
    .step_vectors_i  (issued.vectors),
    .step_tight_i    (issued.tight),
    .fifo_valid_i    (fifo_valid),
    .pop_o           (pop),
    .strip_valid_o   (strip_valid),
    .strip_ready_i   (strip_ready),
    .strip_last_o    (strip_last),
    .strip_weight_o  (strip_weight),
    .strip_vectors_o (strip_vectors),
    .strip_tight_o   (strip_tight),
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

  logic [PORTS-1:0] rd_go, rd_issue;

  mm_lead_limiter #(
    .MaxLead(MaxLead)
  ) u_lead_limiter (
    .clk_i,
    .rst_ni,
    .clear_i(drain),
    .issue_i(rd_issue),
    .go_o   (rd_go)
  );

  for (genvar p = 0; p < PORTS; p++) begin : gen_port
    mm_weight_port #(
      .Fast          (Arithmetic == KV260),
      .FifoStrips    (FifoStrips),
      .BurstBeats    (BurstBeats),
      .MaxOutstanding(MaxOutstanding),
      .QueueDepth    (StepsAhead)
    ) u_weight_port (
      .clk_i,
      .rst_ni,
      .drain_i         (drain),
      .flush_i         (flush),
      .idle_o          (reader_idle[p]),
      .seg_valid_i     (seg_valid),
      .seg_ready_o     (seg_ready[p]),
      .seg_addr_i      (seg_addr[p*ADDR_BITS +: ADDR_BITS]),
      .seg_beats_i     (seg_beats),
      .go_i            (rd_go[p]),
      .issue_o         (rd_issue[p]),
      .axi_req_o       (weight_req_o[p]),
      .axi_rsp_i       (weight_rsp_i[p]),
      .strip_valid_o   (fifo_valid[p]),
      .strip_data_o    (fifo_data[p*STRIP_BITS +: STRIP_BITS]),
      .pop_i           (pop),
      .beat_o          (rd_beat[p]),
      .err_valid_o     (rd_err[p]),
      .err_addr_o      (rd_err_addr[p*ADDR_BITS +: ADDR_BITS]),
      .clear_i         (clear),
      .running_i       (enable),
      .no_data_i       (no_data[p]),
      .no_activations_i(no_activations[p]),
      .no_room_i       (no_room[p]),
      .lock_step_i     (lock_step[p]),
      .counts_o        (port_counts[p])
    );

  end

  // ---- activations, units, results ----

  logic        act_rd_valid, act_rd_ready, act_beat, step_done;
  addr_t       act_rd_addr;
  beats_t      act_rd_beats;

  if (Arithmetic == PAPER) begin : gen_paper
    mm_paper_engine #(
      .MaxGroups(MaxGroups)
    ) u_engine (
      .clk_i,
      .rst_ni,
      .flush_i       (flush),
      .step_valid_i  (issue),
      .step_ready_o  (activations_ready),
      .step_i        (issued),
      .rd_valid_o    (act_rd_valid),
      .rd_ready_i    (act_rd_ready),
      .rd_addr_o     (act_rd_addr),
      .rd_beats_o    (act_rd_beats),
      .beat_i        (act_beat),
      .beat_data_i   (data_beat),
      .release_i     (bank_release),
      .act_valid_o   (act_valid),
      .act_pop_i     (act_pop),
      .strip_valid_i (strip_valid),
      .strip_ready_o (strip_ready),
      .strip_data_i  (fifo_data),
      .strip_last_i  (strip_last),
      .res_valid_o   (res_valid),
      .res_ready_i   (res_ready),
      .res_data_o    (res_data),
      .err_reserved_o(reserved_err)
    );

    // One vector, one format, and what comes in is what the sums say.
    assign nan_seen = 1'b0;

    logic unused;
    assign unused = ^{strip_weight, strip_vectors, strip_tight};
  end else begin : gen_kv260
    mm_group_engine #(
      .Batch    (Batch),
      .MaxGroups(MaxGroups)
    ) u_engine (
      .clk_i,
      .rst_ni,
      .flush_i        (flush),
      .step_valid_i   (issue),
      .step_ready_o   (activations_ready),
      .step_i         (issued),
      .rd_valid_o     (act_rd_valid),
      .rd_ready_i     (act_rd_ready),
      .rd_addr_o      (act_rd_addr),
      .rd_beats_o     (act_rd_beats),
      .beat_i         (act_beat),
      .beat_data_i    (data_beat),
      .release_i      (bank_release),
      .act_valid_o    (act_valid),
      .act_pop_i      (act_pop),
      .strip_valid_i  (strip_valid),
      .strip_ready_o  (strip_ready),
      .strip_data_i   (fifo_data),
      .strip_last_i   (strip_last),
      .strip_weight_i (strip_weight),
      .strip_vectors_i(strip_vectors),
      .strip_tight_i  (strip_tight),
      .res_valid_o    (res_valid),
      .res_ready_i    (res_ready),
      .res_data_o     (res_data),
      .err_reserved_o (reserved_err),
      .nan_seen_o     (nan_seen)
    );
  end

  mm_results #(
    .Batch         (Batch),
    .FifoBeats     (ResultFifoBeats),
    .MaxOutstanding(WritesInFlight)
  ) u_results (
    .clk_i,
    .rst_ni,
    .flush_i         (flush),
    .enable_i        (enable),
    .clear_i         (start | clear),
    .ring_steps_i    (ring_steps),
    .stamp_i         (count_cycles[31:0]),
    .record_addr_i   (completion_addr),
    .fault_valid_i   (fault_rec_valid),
    .fault_ready_o   (fault_rec_ready),
    .fault_cause_i   (cause),
    .step_valid_i    (issue),
    .step_ready_o    (results_ready),
    .step_page_i     (issued.results),
    .step_tile_rows_i(issued.tile_rows),
    .step_rows_i     (issued.result_rows),
    .step_vectors_i  (issued.vectors),
    .step_report_i   (issued.report_rows),
    .step_irq_i      (issued.irq),
    .res_valid_i     (res_valid),
    .res_ready_o     (res_ready),
    .res_data_i      (res_data),
    .blocked_o       (res_blocked),
    .idle_o          (writer_idle),
    .rsp_valid_o     (wr_rsp_valid),
    .rsp_err_o       (wr_rsp_err),
    .rsp_addr_o      (wr_rsp_addr),
    .steps_done_o    (steps_done),
    .ring_index_o    (ring_index),
    .step_done_o     (step_done),
    .irq_o           (step_irq),
    .pending_o       (report_pending),
    .beat_o          (wr_beat),
    .m_axi_awaddr    (data_wr_req_o.awaddr),
    .m_axi_awlen     (data_wr_req_o.awlen),
    .m_axi_awvalid   (data_wr_req_o.awvalid),
    .m_axi_awready   (data_wr_rsp_i.awready),
    .m_axi_wdata     (data_wr_req_o.wdata),
    .m_axi_wlast     (data_wr_req_o.wlast),
    .m_axi_wvalid    (data_wr_req_o.wvalid),
    .m_axi_wready    (data_wr_rsp_i.wready),
    .m_axi_bresp     (data_wr_rsp_i.bresp),
    .m_axi_bvalid    (data_wr_rsp_i.bvalid),
    .m_axi_bready    (data_wr_req_o.bready)
  );

  // ---- reads of the data port: descriptors, activations ----

  mm_data_read #(
    .Staged        (Arithmetic == KV260),
    .BurstBeats    (BurstBeats),
    .MaxOutstanding(MaxOutstanding)
  ) u_data_read (
    .clk_i,
    .rst_ni,
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
    .m_axi_araddr (data_rd_req_o.araddr),
    .m_axi_arlen  (data_rd_req_o.arlen),
    .m_axi_arvalid(data_rd_req_o.arvalid),
    .m_axi_arready(data_rd_rsp_i.arready),
    .m_axi_rdata  (data_rd_rsp_i.rdata),
    .m_axi_rresp  (data_rd_rsp_i.rresp),
    .m_axi_rlast  (data_rd_rsp_i.rlast),
    .m_axi_rvalid (data_rd_rsp_i.rvalid),
    .m_axi_rready (data_rd_req_o.rready)
  );

  // ---- counters of the device ----

  mm_counter u_cycles (.clk_i, .rst_ni, .clear_i(clear), .event_i(1'b1), .count_o(count_cycles));
  mm_counter u_stream_cycles (.clk_i, .rst_ni, .clear_i(clear), .event_i(enable & streaming), .count_o(count_stream));
  mm_counter u_steps (.clk_i, .rst_ni, .clear_i(clear), .event_i(step_done), .count_o(count_steps));

  logic unused;
  assign unused = ^issued_count;

endmodule
