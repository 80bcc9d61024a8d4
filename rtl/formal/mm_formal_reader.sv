// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Proof of mm_axi_reader, with the queue of commands in it.
//
// Assumed:  reset in the first cycle (and at any time); a segment has a beat; the sink takes room back only for a beat it holds or gets; drain
//           ends when the reader is idle and the sink is empty (mm_sequencer: StDrain, StFlush). Memory sends only beats of bursts it has
//           accepted: at least one beat a burst, RLAST with the last of all when one burst is left. That is weaker than AXI.
// Proven:   ARVALID, ARADDR and ARLEN stay until ARREADY, also when draining begins; no burst crosses a line of BurstBeats, so none
//           crosses 4 KiB; a segment (any one, chosen by the solver) is asked for exactly once: its bursts follow each other without
//           gap, overlap or remainder, in the order of the commands; at most MaxOutstanding bursts in flight; a beat that memory sends
//           always finds room in a sink of CreditBeats, so RREADY is high whenever RVALID is; no burst without go_i or while draining; tag and error
//           address are those of the beat's burst; idle_o only when nothing is wanted or owed, and while draining as soon as nothing is owed;
//           with all credits home and nothing in the way the next burst is asked for within 4 cycles.
// Method:   k-induction, both kinds (Staged), with the parameters of the weight ports (64, 8, 2048, 8) and of the data port (64, 8, 512, 4). The covers
//           use small parameters, so that they reach the end of the credits.

module mm_formal_reader
  import mm_pkg::*;
#(
  parameter bit          Staged         = 1'b0,
  parameter int unsigned BurstBeats     = 64,
  parameter int unsigned MaxOutstanding = 8,
  parameter int unsigned CreditBeats    = 2048,
  parameter int unsigned QueueDepth     = 8
) (
  input logic                  clk_i,
  input logic                  rst_ni,
  input logic                  drain_i,
  input logic                  mark_cmd_i,
  input logic                  mark_burst_i,
  input logic                  cmd_valid_i,
  input logic [ADDR_BITS-1:0]  cmd_addr_i,
  input logic [BEATS_BITS-1:0] cmd_beats_i,
  input logic                  cmd_tag_i,
  input logic                  arready_i,
  input logic [STRIP_BITS-1:0] rdata_i,
  input logic [1:0]            rresp_i,
  input logic                  rlast_i,
  input logic                  rvalid_i,
  input logic                  pop_i,
  input logic                  flush_i,
  input logic                  go_i
);

  localparam int unsigned BeatAddr = ADDR_BITS - 4;
  localparam int unsigned CmdBits  = BeatAddr + BEATS_BITS + 1;

  typedef logic [19:0] sum_t;  // wide enough for every sum of beats below
  typedef logic [5:0]  bursts_t;

  logic                  idle, cmd_ready, arvalid, rready, out_valid, out_tag, issue, beat, err_valid;
  logic [ADDR_BITS-1:0]  araddr, err_addr;
  logic [7:0]            arlen;
  logic [STRIP_BITS-1:0] out_data;
  sum_t                  sink_q;

  logic started_q = 1'b0;
  always_ff @(posedge clk_i) started_q <= 1'b1;
  always_comb if (!started_q) assume (!rst_ni);

  mm_axi_reader #(
    .Staged(Staged), .BurstBeats(BurstBeats), .MaxOutstanding(MaxOutstanding), .CreditBeats(CreditBeats),
    .QueueDepth(QueueDepth), .TagBits(1)
  ) dut (
    .clk_i, .rst_ni, .drain_i, .idle_o(idle),
    .cmd_valid_i, .cmd_ready_o(cmd_ready), .cmd_addr_i, .cmd_beats_i, .cmd_tag_i,
    .m_axi_araddr(araddr), .m_axi_arlen(arlen), .m_axi_arvalid(arvalid), .m_axi_arready(arready_i),
    .m_axi_rdata(rdata_i), .m_axi_rresp(rresp_i), .m_axi_rlast(rlast_i), .m_axi_rvalid(rvalid_i), .m_axi_rready(rready),
    .out_valid_o(out_valid), .out_ready_i(sink_q != sum_t'(CreditBeats)), .out_data_o(out_data), .out_tag_o(out_tag),
    .pop_i, .go_i, .issue_o(issue), .beat_o(beat), .err_valid_o(err_valid), .err_addr_o(err_addr)
  );

  // ---- memory and sink ----

  sum_t    owed_q;    // beats of accepted bursts that have not come
  bursts_t bursts_q;  // accepted bursts that have not ended
  sum_t    asked;     // beats of the burst on AR
  logic    ar_fire, r_fire, drain_q, idle_q;

  assign ar_fire = arvalid & arready_i;
  assign r_fire  = rvalid_i & rready;
  assign asked   = arvalid ? sum_t'(arlen) + sum_t'(1) : '0;

  always_ff @(posedge clk_i) begin
    drain_q <= rst_ni & drain_i;
    idle_q  <= idle;
    if (!rst_ni) begin
      owed_q   <= '0;
      bursts_q <= '0;
      sink_q   <= '0;
    end else begin
      owed_q   <= owed_q + (ar_fire ? asked : '0) - sum_t'(r_fire);
      bursts_q <= bursts_q + bursts_t'(ar_fire) - bursts_t'(r_fire & rlast_i);
      if (drain_i && flush_i) sink_q <= '0;
      else sink_q <= sink_q + sum_t'(out_valid & rready) - sum_t'(pop_i);
    end
  end

  always_comb begin
    if (cmd_valid_i) assume (cmd_beats_i != '0);
    if (pop_i) assume (sink_q != '0 || (out_valid && rready));
    if (drain_q && !drain_i) assume (idle_q && sink_q == '0);
    if (rvalid_i) begin
      assume (bursts_q != '0);
      if (!rlast_i) assume (owed_q > sum_t'(bursts_q));
      else assume (bursts_q != bursts_t'(1) || owed_q == sum_t'(1));
    end
  end

  // ---- the tracked command: in the queue, then the segment that bursts are asked for ----

  logic               act_q, ours_q;  // the segment is the tracked one; AR shows a new burst of it
  logic               live;
  logic [CmdBits-1:0] data;
  logic [$clog2(QueueDepth+1):0] level, ahead, stored, at;

  mm_formal_track #(.WidthBits(CmdBits), .Depth(QueueDepth)) u_track (
    .clk_i, .clear_i(!rst_ni || drain_i), .mark_i(mark_cmd_i && !act_q), .in_fire_i(cmd_valid_i && cmd_ready),
    .in_data_i({cmd_addr_i[ADDR_BITS-1:4], cmd_beats_i, cmd_tag_i}),
    .out_valid_i(dut.head_valid), .out_fire_i(dut.head_valid && dut.head_ready),
    .out_data_i({dut.head_addr, dut.head_beats, dut.head_tag}),
    .level_o(level), .live_o(live), .ahead_o(ahead), .data_o(data)
  );

  logic [BeatAddr-1:0]   addr_q, addr_now;
  logic [BEATS_BITS-1:0] left_q, left_now;
  logic                  tag_q;

  assign addr_now = addr_q + (ours_q ? BeatAddr'(arlen) + BeatAddr'(1) : '0);
  assign left_now = left_q - (ours_q ? BEATS_BITS'(arlen) + BEATS_BITS'(1) : '0);

  always_ff @(posedge clk_i) begin
    if (!rst_ni || drain_i) begin
      act_q  <= 1'b0;
      ours_q <= 1'b0;
    end else begin
      ours_q <= act_q && left_now != '0 && issue;
      addr_q <= addr_now;
      left_q <= left_now;
      if (act_q && left_now == '0) act_q <= 1'b0;
      if (live && ahead == '0 && dut.head_valid && dut.head_ready) begin
        act_q                   <= 1'b1;
        {addr_q, left_q, tag_q} <= data;
      end
    end
  end

  // ---- the tracked burst: from the issue to its last beat ----

  logic                b_live_q, b_tag_q;
  bursts_t             b_ahead_q;
  logic [BeatAddr-1:0] b_addr_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      b_live_q <= 1'b0;
    end else if (!b_live_q) begin
      b_live_q  <= issue & mark_burst_i;
      b_addr_q  <= dut.seg_addr_q;
      b_tag_q   <= dut.seg_tag_q;
      b_ahead_q <= bursts_q + bursts_t'(arvalid) - bursts_t'(r_fire & rlast_i);
    end else if (r_fire && rlast_i) begin
      b_live_q  <= b_ahead_q != '0;
      b_ahead_q <= b_ahead_q - bursts_t'(1);
    end
  end

  // ---- properties ----

  function automatic bursts_t slot(bursts_t off);
    bursts_t sum;
    sum = bursts_t'(dut.rptr_q) + off;
    return sum >= bursts_t'(MaxOutstanding) ? sum - bursts_t'(MaxOutstanding) : sum;
  endfunction

  logic                 ar_stalled_q, issue_q, ar_seen_q;
  logic [ADDR_BITS-1:0] araddr_q;
  logic [7:0]           arlen_q;
  logic [BeatAddr-1:0]  seg_addr_q;
  logic [2:0]           patience_q;
  logic [8:0]           offset;
  bursts_t              b_at;

  assign offset = 9'(araddr[11:4] & 8'(BurstBeats - 1));
  assign stored = level - ($clog2(QueueDepth+1) + 1)'(dut.head_valid);
  assign b_at   = slot(b_ahead_q);

  always_comb begin
    at = ($clog2(QueueDepth+1) + 1)'(dut.u_queue.rptr_q) + ahead - ($clog2(QueueDepth+1) + 1)'(dut.head_valid);
    if (at >= ($clog2(QueueDepth+1) + 1)'(QueueDepth)) at -= ($clog2(QueueDepth+1) + 1)'(QueueDepth);
  end

  logic [$clog2(QueueDepth+1):0] queue_end;
  always_comb begin
    queue_end = ($clog2(QueueDepth+1) + 1)'(dut.u_queue.rptr_q) + stored;
    if (queue_end >= ($clog2(QueueDepth+1) + 1)'(QueueDepth)) queue_end -= ($clog2(QueueDepth+1) + 1)'(QueueDepth);
  end

  // No command without a beat waits anywhere in the queue.
  logic                          beats_ok;
  logic [$clog2(QueueDepth+1):0] from;

  always_comb begin
    beats_ok = 1'b1;
    for (int k = 0; k < int'(QueueDepth); k++) begin
      from = ($clog2(QueueDepth+1) + 1)'(k) - ($clog2(QueueDepth+1) + 1)'(dut.u_queue.rptr_q);
      if (k < int'(dut.u_queue.rptr_q)) from += ($clog2(QueueDepth+1) + 1)'(QueueDepth);
      if (from < stored && dut.u_queue.mem_q[k][BEATS_BITS:1] == '0) beats_ok = 1'b0;
    end
  end

  always_ff @(posedge clk_i) begin
    ar_stalled_q <= rst_ni && arvalid && !arready_i;
    ar_seen_q    <= rst_ni && arvalid;
    issue_q      <= rst_ni && issue;
    araddr_q     <= araddr;
    arlen_q      <= arlen;
    seg_addr_q   <= dut.seg_addr_q;
    if (rst_ni && !drain_i && dut.seg_valid_q && !arvalid && bursts_q == '0 && sink_q == '0 && go_i) patience_q <= patience_q + 3'd1;
    else patience_q <= '0;
  end

  always_comb begin
    if (started_q && rst_ni) begin
      a_ar_stable: assert (!ar_stalled_q || (arvalid && araddr == araddr_q && arlen == arlen_q));
      a_line: assert (!arvalid || (offset + 9'(arlen) < 9'(BurstBeats) && araddr[3:0] == '0));
      a_ar_only_issued: assert (!arvalid || ar_stalled_q || issue_q);
      a_issue: assert (!issue || (go_i && !drain_i && dut.seg_valid_q));
      a_outstanding: assert (bursts_q + bursts_t'(arvalid) <= bursts_t'(MaxOutstanding));
      a_room: assert (!rvalid_i || rready);
      a_sink: assert (!out_valid || sink_q < sum_t'(CreditBeats));
      a_dropped: assert (!(drain_i && out_valid));
      a_idle: assert (!idle || (owed_q == '0 && !arvalid && !live && !(act_q && left_now != '0)));
      a_drained: assert (!(drain_q && drain_i && owed_q == '0 && !arvalid) || idle);
      a_progress: assert (patience_q < 3'd5);
      // The tracked command: each of its bursts begins where the last one ended and none goes beyond its end.
      a_exact: assert (!ours_q || (arvalid && araddr[ADDR_BITS-1:4] == addr_q && BEATS_BITS'(arlen) < left_q));
      a_segment: assert (!act_q || left_now == '0 ||
                         (dut.seg_valid_q && dut.seg_addr_q == addr_now && dut.seg_left_q == left_now && dut.seg_tag_q == tag_q));
      // The tracked burst: tag and error address of its beats.
      a_burst: assert (!(b_live_q && b_ahead_q == '0 && rvalid_i) || (out_tag == b_tag_q && err_addr == {b_addr_q, 4'd0}));
      a_asked: assert (!issue_q || araddr[ADDR_BITS-1:4] == seg_addr_q);

      // How the ghosts lie in the registers.
      a_memory: assert (bursts_q <= bursts_t'(MaxOutstanding) && sum_t'(bursts_q) <= owed_q && (bursts_q == '0) == (owed_q == '0));
      a_count: assert (bursts_t'(dut.count_q) == bursts_q + bursts_t'(arvalid));
      a_owed: assert (owed_q <= sum_t'(CreditBeats) && sink_q <= sum_t'(CreditBeats) && owed_q + asked + sink_q <= sum_t'(CreditBeats));
      a_credit: assert (drain_i || sum_t'(dut.credit_q) + owed_q + asked + sink_q == sum_t'(CreditBeats));
      a_credit_drain: assert (!drain_q || sum_t'(dut.credit_q) == sum_t'(CreditBeats));
      a_idle_drain: assert (!(drain_q && idle_q) || idle);
      a_drain_seg: assert (!drain_q || (!dut.seg_valid_q && level == '0));
      a_left: assert (!dut.seg_valid_q || dut.seg_left_q != '0);
      a_one: assert (!(live && act_q));
      a_live: assert (!live || data[BEATS_BITS:1] != '0);
      a_level: assert (level == ($clog2(QueueDepth+1) + 1)'(dut.queue_level));
      a_head: assert (!dut.head_valid || (level != '0 && dut.head_beats != '0));
      a_queue: assert (dut.u_queue.rptr_q < QueueDepth && ($clog2(QueueDepth+1) + 1)'(dut.u_queue.wptr_q) == queue_end);
      a_stored: assert (!(live && (ahead != '0 || !dut.head_valid)) || dut.u_queue.mem_q[$clog2(QueueDepth)'(at)] == data);
      a_slots: assert (bursts_t'(dut.rptr_q) < bursts_t'(MaxOutstanding) && bursts_t'(dut.wptr_q) == slot(bursts_t'(dut.count_q)));
      a_b_ahead: assert (!b_live_q || b_ahead_q < bursts_t'(dut.count_q));
      a_b_stored: assert (!b_live_q || (dut.burst_addr_q[$clog2(MaxOutstanding)'(b_at)] == b_addr_q &&
                                        dut.burst_tag_q[$clog2(MaxOutstanding)'(b_at)] == b_tag_q));
      a_beats: assert (beats_ok);

      c_second: cover (act_q && ours_q && left_now != '0 && bursts_q == bursts_t'(1));
      c_ends: cover (ours_q && left_now == '0 && arlen == 8'd1);
      c_beat: cover (b_live_q && b_ahead_q == '0 && rvalid_i && rlast_i && err_valid);
      c_no_credit: cover (dut.seg_valid_q && dut.credit_q == '0 && sink_q == sum_t'(CreditBeats));
      c_drain: cover (drain_q && drain_i && r_fire && rlast_i && owed_q == sum_t'(1));
      c_again: cover (drain_q && !drain_i && cmd_valid_i && cmd_ready);
    end
  end

  if (!Staged) begin : gen_direct
    always_comb if (started_q && rst_ni) a_patience: assert (patience_q == '0 || (patience_q == 3'd1 && issue_q));
  end else begin : gen_plan
    // The plan is that of the segment as it is.
    logic [8:0] line_room;
    assign line_room = 9'(BurstBeats) - 9'(dut.seg_addr_q[7:0] & 8'(BurstBeats - 1));

    always_comb begin
      if (started_q && rst_ni) begin
        a_chain: assert (!(dut.gen_plan.planned_q[2] && !dut.gen_plan.planned_q[1]) &&
                         !(dut.gen_plan.planned_q[1] && !dut.gen_plan.planned_q[0]));
        a_line_room: assert (!dut.gen_plan.planned_q[0] || (dut.seg_valid_q && 9'(dut.gen_plan.line_room_q) == line_room));
        a_len: assert (!dut.gen_plan.planned_q[1] ||
                       (dut.gen_plan.ends_q == (dut.seg_left_q <= BEATS_BITS'(line_room)) &&
                        BEATS_BITS'(dut.gen_plan.len_q) == (dut.gen_plan.ends_q ? dut.seg_left_q : BEATS_BITS'(line_room))));
        a_patience: assert (patience_q == '0 || issue_q ||
                            (patience_q <= 3'd3 && dut.gen_plan.planned_q[2'(patience_q - 3'd1)] &&
                             (patience_q != 3'd3 || dut.gen_plan.room_q)));
        a_fits: assert (!(dut.gen_plan.planned_q[2] && dut.gen_plan.room_q) || drain_i ||
                        sum_t'(dut.credit_q) >= sum_t'(dut.gen_plan.len_q));
      end
    end
  end

endmodule
