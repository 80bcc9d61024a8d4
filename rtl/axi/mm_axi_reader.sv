// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// AXI4 read master: takes segments (address, beats) and delivers their beats in order.
//
// Latency:    4 cycles from an accepted command of an idle reader to arvalid (2 of them the command queue; Staged: 7);
//             0 from R to the output.
// Throughput: a beat a cycle as long as memory delivers; bursts of following commands are asked for without a gap.
// Stalls:     m_axi_rready = out_ready_i or drain. A burst is only asked for when there is room for all of it
//             (credits), so out_ready_i of a sink with CreditBeats of room is never low when a beat comes.
// Errors:     reported at once, with the beat itself, not when the beat would be consumed: err_valid_o with the
//             address of its burst. The bad beat is delivered too; whoever sees the error stops.
// Go:         no burst is asked for while go_i is low, which is how readers are kept together (mm_lead_limiter).
// Drain:      no new burst; an arvalid that is up stays until it is taken (AXI), every beat asked for is taken
//             and dropped; commands are forgotten; credits are full again afterwards, so the sink is flushed
//             before drain ends.
//
// A burst ends at the next multiple of BurstBeats, so with BurstBeats a power of two <= 256 none crosses a
// 4 KiB line:
//
//   command:        |------------------------------------------|
//   lines of 1 KiB: |       |       |       |       |       |
//   bursts:         |-------|-------|-------|-------|--|

module mm_axi_reader
  import mm_pkg::*;
#(
  /// The next burst is planned in three cycles of its own, so that the clock may be fast: no cycle is lost with bursts of 4 beats
  /// or more; otherwise at once.
  parameter bit          Staged         = 1'b0,
  /// Longest burst, beats; a power of two, 1..256.
  parameter int unsigned BurstBeats     = 64,
  /// Bursts in flight at most, >= 1.
  parameter int unsigned MaxOutstanding = 8,
  /// Room of the sink, beats, >= BurstBeats.
  parameter int unsigned CreditBeats    = 2048,
  /// Commands that wait, >= 2.
  parameter int unsigned QueueDepth     = 4,
  /// Width of the tag that goes with a command, bits, >= 1.
  parameter int unsigned TagBits        = 1
) (
  /// Clock, rising edge.
  input  logic                  clk_i,
  /// Reset, synchronous, active low.
  input  logic                  rst_ni,
  /// Drain mode, see above; a level.
  input  logic                  drain_i,
  /// Nothing is wanted and nothing is outstanding; registered state only.
  output logic                  idle_o,

  /// A segment is wanted.
  input  logic                  cmd_valid_i,
  /// The segment is taken into the queue.
  output logic                  cmd_ready_o,
  /// Its first byte; 16-byte aligned (lower bits are ignored).
  input  logic [ADDR_BITS-1:0]  cmd_addr_i,
  /// Its length, beats of 16 bytes, >= 1.
  input  logic [BEATS_BITS-1:0] cmd_beats_i,
  /// Comes back with each of its beats.
  input  logic [TagBits-1:0]    cmd_tag_i,

  /// AXI4 AR channel: address of a burst.
  output logic [ADDR_BITS-1:0]  m_axi_araddr,
  /// AXI4 AR channel: beats of the burst - 1.
  output logic [7:0]            m_axi_arlen,
  /// AXI4 AR channel: a burst is wanted.
  output logic                  m_axi_arvalid,
  /// AXI4 AR channel: the burst is taken.
  input  logic                  m_axi_arready,
  /// AXI4 R channel: data.
  input  logic [STRIP_BITS-1:0] m_axi_rdata,
  /// AXI4 R channel: response; bit 1 means error.
  input  logic [1:0]            m_axi_rresp,
  /// AXI4 R channel: last beat of the burst.
  input  logic                  m_axi_rlast,
  /// AXI4 R channel: a beat is offered.
  input  logic                  m_axi_rvalid,
  /// AXI4 R channel: the beat is taken.
  output logic                  m_axi_rready,

  /// A beat for the sink.
  output logic                  out_valid_o,
  /// The sink takes it.
  input  logic                  out_ready_i,
  /// The beat.
  output logic [STRIP_BITS-1:0] out_data_o,
  /// Tag of its command.
  output logic [TagBits-1:0]    out_tag_o,
  /// A beat has left the sink: one more may be asked for.
  input  logic                  pop_i,
  /// A burst may be asked for, as far as others are concerned.
  input  logic                  go_i,
  /// A burst is asked for in the next cycle; pulse.
  output logic                  issue_o,

  /// A beat came from memory (also a dropped one); pulse.
  output logic                  beat_o,
  /// The beat that comes now is bad; pulse, never in drain mode.
  output logic                  err_valid_o,
  /// Address of the burst that the bad beat belongs to.
  output logic [ADDR_BITS-1:0]  err_addr_o
);

  localparam int unsigned BurstBits  = $clog2(BurstBeats);
  localparam int unsigned LenBits    = BurstBits + 1;
  localparam int unsigned CreditBits = $clog2(CreditBeats + 1);
  localparam int unsigned CountBits  = $clog2(MaxOutstanding + 1);
  localparam int unsigned PtrBits    = (MaxOutstanding > 1) ? $clog2(MaxOutstanding) : 1;
  localparam int unsigned BeatAddr   = ADDR_BITS - 4;
  localparam int unsigned CmdBits    = BeatAddr + BEATS_BITS + TagBits;

  if (BurstBeats < 1 || BurstBeats > 256 || (BurstBeats & (BurstBeats - 1)) != 0) begin : gen_bad_burst
    $fatal(1, "%m: BurstBeats must be a power of two, 1..256");
  end
  if (MaxOutstanding < 1) begin : gen_bad_outstanding
    $fatal(1, "%m: MaxOutstanding must be >= 1");
  end
  if (CreditBeats < BurstBeats) begin : gen_bad_credit
    $fatal(1, "%m: CreditBeats must be >= BurstBeats, or no burst ever finds room");
  end
  if (QueueDepth < 2) begin : gen_bad_queue
    $fatal(1, "%m: QueueDepth must be >= 2");
  end

  // ---- command queue ----

  logic                  head_valid, head_ready;
  logic [BeatAddr-1:0]   head_addr;
  logic [BEATS_BITS-1:0] head_beats;
  logic [TagBits-1:0]    head_tag;
  logic [$clog2(QueueDepth+1)-1:0] queue_level;

  mm_fifo #(
    .WidthBits(CmdBits),
    .Depth    (QueueDepth)
  ) u_queue (
    .clk_i,
    .rst_ni,
    .flush_i    (drain_i),
    .in_valid_i (cmd_valid_i),
    .in_ready_o (cmd_ready_o),
    .in_data_i  ({cmd_addr_i[ADDR_BITS-1:4], cmd_beats_i, cmd_tag_i}),
    .out_valid_o(head_valid),
    .out_ready_i(head_ready),
    .out_data_o ({head_addr, head_beats, head_tag}),
    .level_o    (queue_level)
  );

  // ---- address channel ----

  logic                  seg_valid_d, seg_valid_q;
  logic [BeatAddr-1:0]   seg_addr_d, seg_addr_q;
  logic [BEATS_BITS-1:0] seg_left_d, seg_left_q;
  logic [TagBits-1:0]    seg_tag_d, seg_tag_q;
  logic                  ar_valid_d, ar_valid_q;
  logic [BeatAddr-1:0]   ar_addr_q;
  logic [7:0]            ar_len_q;
  logic [CreditBits-1:0] credit_d, credit_q;
  logic [CountBits-1:0]  count_d, count_q;

  logic [LenBits-1:0]    line_room, len;
  logic                  seg_ends, room, issue, burst_done, r_fire;

  // Beats to the next multiple of BurstBeats; the mask keeps BurstBeats = 1 a special case of the same line.
  assign line_room = LenBits'(BurstBeats) - (LenBits'(seg_addr_q) & LenBits'(BurstBeats - 1));

  if (Staged) begin : gen_plan
    // Line, then length, then whether there is room for it: more can come meanwhile, never less.
    logic [2:0]         planned_q;
    logic [LenBits-1:0] line_room_q, len_q;
    logic               ends_q, room_q;

    always_ff @(posedge clk_i) begin
      if (!rst_ni || drain_i || issue || (head_valid && head_ready)) planned_q <= '0;
      else planned_q <= {planned_q[1:0], seg_valid_q};
    end

    always_ff @(posedge clk_i) begin
      line_room_q <= line_room;
      ends_q      <= seg_left_q <= BEATS_BITS'(line_room_q);
      len_q       <= (seg_left_q <= BEATS_BITS'(line_room_q)) ? LenBits'(seg_left_q) : line_room_q;
      room_q      <= credit_q >= CreditBits'(len_q);
    end

    assign seg_ends = ends_q;
    assign len      = len_q;
    assign room     = planned_q[2] & room_q;
  end else begin : gen_plan
    assign seg_ends = seg_left_q <= BEATS_BITS'(line_room);
    assign len      = seg_ends ? LenBits'(seg_left_q) : line_room;
    // For the shorter of both; neither waits for the other's comparison.
    assign room     = (credit_q >= CreditBits'(line_room)) | (BEATS_BITS'(credit_q) >= seg_left_q);
  end

  assign issue = seg_valid_q & ~drain_i & (~ar_valid_q | m_axi_arready) &
                 (count_q != CountBits'(MaxOutstanding)) & room & go_i;

  assign r_fire     = m_axi_rvalid & m_axi_rready;
  assign burst_done = r_fire & m_axi_rlast;
  assign head_ready = ~seg_valid_q | (issue & seg_ends);

  always_comb begin
    seg_valid_d = seg_valid_q;
    seg_addr_d  = seg_addr_q;
    seg_left_d  = seg_left_q;
    seg_tag_d   = seg_tag_q;
    ar_valid_d  = ar_valid_q & ~m_axi_arready;
    credit_d    = credit_q;
    count_d     = count_q + CountBits'(issue) - CountBits'(burst_done);
    if (issue) begin
      ar_valid_d  = 1'b1;
      seg_valid_d = ~seg_ends;
      seg_addr_d  = seg_addr_q + BeatAddr'(len);
      seg_left_d  = seg_left_q - BEATS_BITS'(len);
      credit_d    = credit_d - CreditBits'(len);
    end
    if (pop_i) credit_d = credit_d + CreditBits'(1);
    if (head_valid && head_ready) begin
      seg_valid_d = 1'b1;
      seg_addr_d  = head_addr;
      seg_left_d  = head_beats;
      seg_tag_d   = head_tag;
    end
    if (drain_i) begin
      seg_valid_d = 1'b0;
      credit_d    = CreditBits'(CreditBeats);
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      seg_valid_q <= 1'b0;
      ar_valid_q  <= 1'b0;
      credit_q    <= CreditBits'(CreditBeats);
      count_q     <= '0;
    end else begin
      seg_valid_q <= seg_valid_d;
      ar_valid_q  <= ar_valid_d;
      credit_q    <= credit_d;
      count_q     <= count_d;
    end
  end

  always_ff @(posedge clk_i) begin
    seg_addr_q <= seg_addr_d;
    seg_left_q <= seg_left_d;
    seg_tag_q  <= seg_tag_d;
    if (issue) begin
      ar_addr_q <= seg_addr_q;
      ar_len_q  <= 8'(len) - 8'd1;  // 256 beats: 0 - 1 = 255
    end
  end

  assign m_axi_araddr  = {ar_addr_q, 4'd0};
  assign m_axi_arlen   = ar_len_q;
  assign m_axi_arvalid = ar_valid_q;
  assign issue_o       = issue;
  assign idle_o        = ~ar_valid_q & ~seg_valid_q & (count_q == '0) & (queue_level == '0);

  // ---- bursts in flight: whose beats come next, and from where ----

  logic [BeatAddr-1:0] burst_addr_q [MaxOutstanding];
  logic [TagBits-1:0]  burst_tag_q [MaxOutstanding];
  logic [PtrBits-1:0]  wptr_q, rptr_q;

  function automatic logic [PtrBits-1:0] next_slot(logic [PtrBits-1:0] ptr);
    return (ptr == PtrBits'(MaxOutstanding - 1)) ? '0 : ptr + PtrBits'(1);
  endfunction

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      wptr_q <= '0;
      rptr_q <= '0;
    end else begin
      if (issue) wptr_q <= next_slot(wptr_q);
      if (burst_done) rptr_q <= next_slot(rptr_q);
    end
  end

  always_ff @(posedge clk_i) begin
    if (issue) begin
      burst_addr_q[wptr_q] <= seg_addr_q;
      burst_tag_q[wptr_q]  <= seg_tag_q;
    end
  end

  // ---- data channel ----

  assign m_axi_rready = out_ready_i | drain_i;
  assign out_valid_o  = m_axi_rvalid & ~drain_i;
  assign out_data_o   = m_axi_rdata;
  assign out_tag_o    = burst_tag_q[rptr_q];
  assign beat_o       = r_fire;
  assign err_valid_o  = r_fire & m_axi_rresp[1] & ~drain_i;
  assign err_addr_o   = {burst_addr_q[rptr_q], 4'd0};

  // Only bit 1 of the response and bits 39..4 of an address carry meaning here.
  logic unused;
  assign unused = ^{m_axi_rresp[0], cmd_addr_i[3:0]};

`ifndef SYNTHESIS
  // Address and length of a burst stay as they are until it is taken, also when draining begins.
  a_ar_stable : assert property (@(posedge clk_i) disable iff (!rst_ni)
      m_axi_arvalid && !m_axi_arready |=>
      m_axi_arvalid && $stable(m_axi_araddr) && $stable(m_axi_arlen));
  // No burst crosses a 4 KiB line.
  a_page : assert property (@(posedge clk_i) disable iff (!rst_ni)
      m_axi_arvalid |-> 13'(m_axi_araddr[11:4]) + 13'(m_axi_arlen) < 13'd256);
  // A burst is asked for only when it may.
  a_go : assert property (@(posedge clk_i) disable iff (!rst_ni)
      issue_o |-> go_i);
  // No beat comes that was not asked for.
  a_expected : assert property (@(posedge clk_i) disable iff (!rst_ni)
      m_axi_rvalid |-> count_q != '0);
  // The credits never exceed the room of the sink.
  a_credit : assert property (@(posedge clk_i) disable iff (!rst_ni)
      credit_q <= CreditBits'(CreditBeats));
  // A segment has at least one beat.
  a_not_empty : assert property (@(posedge clk_i) disable iff (!rst_ni)
      cmd_valid_i |-> cmd_beats_i != '0);
  // Draining ends only when nothing is outstanding.
  a_drained : assert property (@(posedge clk_i) disable iff (!rst_ni)
      $past(rst_ni) && $past(drain_i) && !drain_i |-> $past(idle_o));
`endif

endmodule
