// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// One weight port: the reader that streams a unit's segments from memory, the prefetch FIFO behind it, and its counters.
//
// Latency:    as mm_axi_reader and mm_fifo.
// Throughput: a strip a cycle.
// Stalls:     pop_i is the only ready path and ends at the FIFO; rready is always high, for the reader asks only for
//             what the FIFO has room for.

module mm_weight_port
  import mm_pkg::*;
#(
  /// For a fast clock: a staged reader, and as prefetch FIFO mm_prefetch_fifo (UltraRAM), not mm_fifo (block memory).
  parameter bit          Fast           = 1'b0,
  /// Depth of the prefetch FIFO, strips of 128 bits, >= BurstBeats.
  parameter int unsigned FifoStrips     = 2048,
  /// Longest burst, beats; a power of two, 1..256.
  parameter int unsigned BurstBeats     = 64,
  /// Bursts in flight, >= 1.
  parameter int unsigned MaxOutstanding = 8,
  /// Segments that wait, >= 2.
  parameter int unsigned QueueDepth     = 8
) (
  /// Clock, rising edge.
  input  logic                  clk_i,
  /// Reset, synchronous, active low.
  input  logic                  rst_ni,
  /// Drain mode of mm_axi_reader; a level.
  input  logic                  drain_i,
  /// Forget the strips in the FIFO.
  input  logic                  flush_i,
  /// Nothing is wanted and nothing is outstanding; registered state only.
  output logic                  idle_o,

  /// A segment is wanted.
  input  logic                  seg_valid_i,
  /// It is taken into the queue.
  output logic                  seg_ready_o,
  /// Its first byte; 16-byte aligned.
  input  logic [ADDR_BITS-1:0]  seg_addr_i,
  /// Its length, beats of 16 bytes, >= 1.
  input  logic [BEATS_BITS-1:0] seg_beats_i,

  /// A burst may be asked for (mm_lead_limiter).
  input  logic                  go_i,
  /// A burst is asked for; pulse.
  output logic                  issue_o,

  /// AXI4 AR and R: what we drive.
  output axi_rd_req_t           axi_req_o,
  /// AXI4 AR and R: what memory drives.
  input  axi_rd_rsp_t           axi_rsp_i,

  /// The next strip is there.
  output logic                  strip_valid_o,
  /// The next strip.
  output logic [STRIP_BITS-1:0] strip_data_o,
  /// The unit takes it; never without valid.
  input  logic                  pop_i,

  /// A beat came from memory; pulse.
  output logic                  beat_o,
  /// The beat that comes now is bad; pulse, never in drain mode.
  output logic                  err_valid_o,
  /// Address of the burst that the bad beat belongs to.
  output logic [ADDR_BITS-1:0]  err_addr_o,

  /// All counts are 0 again.
  input  logic                  clear_i,
  /// A program runs; otherwise nothing counts.
  input  logic                  running_i,
  /// No strip is taken: the FIFO is empty.
  input  logic                  no_data_i,
  /// No strip is taken: no loaded step.
  input  logic                  no_activations_i,
  /// No strip is taken: results cannot leave.
  input  logic                  no_room_i,
  /// No strip is taken: another port has no data, or it is not this strip's phase.
  input  logic                  lock_step_i,
  /// What was counted.
  output port_counts_t          counts_o
);

  if (FifoStrips < BurstBeats) begin : gen_bad_fifo
    $fatal(1, "%m: FifoStrips must be >= BurstBeats, or no burst ever finds room");
  end

  logic                  out_valid, out_ready, out_tag;
  logic [STRIP_BITS-1:0] out_data;

  mm_axi_reader #(
    .Staged        (Fast),
    .BurstBeats    (BurstBeats),
    .MaxOutstanding(MaxOutstanding),
    .CreditBeats   (FifoStrips),
    .QueueDepth    (QueueDepth),
    .TagBits       (1)
  ) u_reader (
    .clk_i,
    .rst_ni,
    .drain_i,
    .idle_o,
    .cmd_valid_i  (seg_valid_i),
    .cmd_ready_o  (seg_ready_o),
    .cmd_addr_i   (seg_addr_i),
    .cmd_beats_i  (seg_beats_i),
    .cmd_tag_i    (1'b0),
    .m_axi_araddr (axi_req_o.araddr),
    .m_axi_arlen  (axi_req_o.arlen),
    .m_axi_arvalid(axi_req_o.arvalid),
    .m_axi_arready(axi_rsp_i.arready),
    .m_axi_rdata  (axi_rsp_i.rdata),
    .m_axi_rresp  (axi_rsp_i.rresp),
    .m_axi_rlast  (axi_rsp_i.rlast),
    .m_axi_rvalid (axi_rsp_i.rvalid),
    .m_axi_rready (axi_req_o.rready),
    .out_valid_o  (out_valid),
    .out_ready_i  (1'b1),
    .out_data_o   (out_data),
    .out_tag_o    (out_tag),
    .pop_i,
    .go_i,
    .issue_o,
    .beat_o,
    .err_valid_o,
    .err_addr_o
  );

  if (Fast) begin : gen_fifo
    mm_prefetch_fifo #(
      .WidthBits(STRIP_BITS),
      .Depth    (FifoStrips)
    ) u_fifo (
      .clk_i,
      .rst_ni,
      .flush_i,
      .in_valid_i (out_valid),
      .in_ready_o (out_ready),
      .in_data_i  (out_data),
      .out_valid_o(strip_valid_o),
      .out_ready_i(pop_i),
      .out_data_o (strip_data_o)
    );
  end else begin : gen_fifo
    logic [$clog2(FifoStrips + 1)-1:0] level;

    mm_fifo #(
      .WidthBits(STRIP_BITS),
      .Depth    (FifoStrips)
    ) u_fifo (
      .clk_i,
      .rst_ni,
      .flush_i,
      .in_valid_i (out_valid),
      .in_ready_o (out_ready),
      .in_data_i  (out_data),
      .out_valid_o(strip_valid_o),
      .out_ready_i(pop_i),
      .out_data_o (strip_data_o),
      .level_o    (level)
    );

    logic unused_level;
    assign unused_level = ^level;
  end

  mm_port_counters u_counters (
    .clk_i,
    .rst_ni,
    .clear_i,
    .running_i,
    .beat_i          (beat_o),
    .strip_i         (pop_i),
    .no_data_i,
    .no_activations_i,
    .no_room_i,
    .lock_step_i,
    .beats_o         (counts_o.beats),
    .strips_o        (counts_o.strips),
    .no_data_o       (counts_o.no_data),
    .no_activations_o(counts_o.no_activations),
    .no_room_o       (counts_o.no_room),
    .lock_step_o     (counts_o.lock_step)
  );

  logic unused;
  assign unused = ^{out_tag, out_ready};

`ifndef SYNTHESIS
  // A beat that was asked for always finds room.
  a_room : assert property (@(posedge clk_i) disable iff (!rst_ni)
      out_valid && !flush_i |-> out_ready);
  // Nothing is taken from an empty FIFO: each pop gives the reader a credit.
  a_pop : assert property (@(posedge clk_i) disable iff (!rst_ni || flush_i)
      pop_i |-> strip_valid_o);
`endif

endmodule
