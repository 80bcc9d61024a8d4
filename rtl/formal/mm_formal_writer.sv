// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Proof of mm_axi_writer.
//
// Assumed:  reset in the first cycle (and at any time); the senders hold what they offer until it is taken; a burst of results stays within
//           4 KiB (mm_result_collector: rows of 128 bytes in bursts of 1, 2 or 4, from a 4 KiB line on). Memory answers only bursts whose
//           address and last beat it has taken.
// Proven:   AW and W stay as they are until they are taken; no burst crosses 4 KiB; every burst has exactly AWLEN + 1 beats, WLAST with the last and
//           no other; its beats are the sender's results in their order, none twice, or the record as it was when it was taken;
//           neither channel waits for the other (covers: each may be done first); at most MaxOutstanding bursts without a response;
//           each response brings the address, kind and rows of its own burst, in the order of the bursts (any one, chosen by the solver);
//           idle_o only when nothing is wanted, under way or unanswered. Strobes are constant ones in mm_top.
// Method:   k-induction, both kinds (Queued), MaxOutstanding 8 as it is built.

module mm_formal_writer
  import mm_pkg::*;
#(
  parameter int unsigned MaxOutstanding = 8,
  parameter bit          Queued         = 1'b0
) (
  input logic                  clk_i,
  input logic                  rst_ni,
  input logic                  mark_i,
  input logic                  res_cmd_valid_i,
  input logic [ADDR_BITS-1:0]  res_cmd_addr_i,
  input logic [7:0]            res_cmd_len_i,
  input rows_t                 res_cmd_rows_i,
  input logic                  res_valid_i,
  input logic [STRIP_BITS-1:0] res_data_i,
  input logic                  rec_valid_i,
  input logic [ADDR_BITS-1:0]  rec_addr_i,
  input logic [STRIP_BITS-1:0] rec_data_i,
  input logic                  rec_irq_i,
  input logic                  awready_i,
  input logic                  wready_i,
  input logic [1:0]            bresp_i,
  input logic                  bvalid_i
);

  typedef logic [5:0] bursts_t;

  logic                  idle, res_cmd_ready, res_ready, rec_ready, rsp_valid, rsp_err, rsp_rec, beat;
  logic                  awvalid, wlast, wvalid, bready;
  logic [ADDR_BITS-1:0]  rsp_addr, awaddr;
  rows_t                 rsp_rows;
  logic [7:0]            awlen;
  logic [STRIP_BITS-1:0] wdata;

  logic started_q = 1'b0;
  always_ff @(posedge clk_i) started_q <= 1'b1;
  always_comb if (!started_q) assume (!rst_ni);

  mm_axi_writer #(.MaxOutstanding(MaxOutstanding), .Queued(Queued)) dut (
    .clk_i, .rst_ni, .idle_o(idle),
    .res_cmd_valid_i, .res_cmd_ready_o(res_cmd_ready), .res_cmd_addr_i, .res_cmd_len_i, .res_cmd_rows_i,
    .res_valid_i, .res_ready_o(res_ready), .res_data_i,
    .rec_valid_i, .rec_ready_o(rec_ready), .rec_addr_i, .rec_data_i, .rec_irq_i,
    .rsp_valid_o(rsp_valid), .rsp_err_o(rsp_err), .rsp_addr_o(rsp_addr), .rsp_rec_o(rsp_rec), .rsp_rows_o(rsp_rows), .beat_o(beat),
    .m_axi_awaddr(awaddr), .m_axi_awlen(awlen), .m_axi_awvalid(awvalid), .m_axi_awready(awready_i),
    .m_axi_wdata(wdata), .m_axi_wlast(wlast), .m_axi_wvalid(wvalid), .m_axi_wready(wready_i),
    .m_axi_bresp(bresp_i), .m_axi_bvalid(bvalid_i), .m_axi_bready(bready)
  );

  // ---- what comes in ----

  logic                  cmd_held_q, res_held_q, rec_taken;
  logic [ADDR_BITS-1:0]  cmd_addr_q;
  logic [7:0]            cmd_len_q;
  rows_t                 cmd_rows_q;
  logic [STRIP_BITS-1:0] res_data_q, aw_wdata_q;

  assign rec_taken = rec_valid_i && rec_ready;

  always_ff @(posedge clk_i) begin
    cmd_held_q <= rst_ni && res_cmd_valid_i && !res_cmd_ready;
    res_held_q <= rst_ni && res_valid_i && !res_ready;
    cmd_addr_q <= res_cmd_addr_i;
    cmd_len_q  <= res_cmd_len_i;
    cmd_rows_q <= res_cmd_rows_i;
    res_data_q <= res_data_i;
  end

  always_comb begin
    if (cmd_held_q) assume (res_cmd_valid_i && res_cmd_addr_i == cmd_addr_q && res_cmd_len_i == cmd_len_q && res_cmd_rows_i == cmd_rows_q);
    if (res_held_q) assume (res_valid_i && res_data_i == res_data_q);
    if (res_cmd_valid_i) assume (9'(res_cmd_addr_i[11:4]) + 9'(res_cmd_len_i) < 9'd256);
  end

  // ---- the burst that is next: a record goes first; with Queued results wait in a register, in front of which a record may pass ----

  logic                 wait_q;  // Queued: a burst of results has been taken and not begun
  logic [ADDR_BITS-1:0] wait_addr_q;
  logic [7:0]           wait_len_q;
  rows_t                wait_rows_q;
  logic                 begins;  // a burst begins: AW and W of it are up from the next cycle
  logic                 b_rec;
  logic [ADDR_BITS-1:0] b_addr;
  logic [7:0]           b_len;
  rows_t                b_rows;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) wait_q <= 1'b0;
    else if (Queued && res_cmd_valid_i && res_cmd_ready) wait_q <= 1'b1;
    else if (begins && !b_rec) wait_q <= 1'b0;
    if (res_cmd_valid_i && res_cmd_ready) begin
      wait_addr_q <= res_cmd_addr_i;
      wait_len_q  <= res_cmd_len_i;
      wait_rows_q <= res_cmd_rows_i;
    end
  end

  always_comb begin
    b_rec  = rec_taken;
    b_len  = 8'd0;
    b_addr = rec_addr_i;
    b_rows = '0;
    b_rows.irq = rec_irq_i;
    if (!rec_taken) begin
      b_len  = Queued ? wait_len_q : res_cmd_len_i;
      b_addr = Queued ? wait_addr_q : res_cmd_addr_i;
      b_rows = Queued ? wait_rows_q : res_cmd_rows_i;
    end
    // rec_ready says that a burst may begin.
    begins = rec_ready && (rec_valid_i || (Queued ? wait_q : res_cmd_valid_i));
  end

  // ---- bursts that have begun ----

  logic                  begun_q, w_rec_q, open_q;  // AW shows a new burst; its beats are a record's; beats are left
  logic [ADDR_BITS-1:0]  addr_q;
  logic [7:0]            len_q, beats_q;            // of the burst on W: beats sent
  logic [STRIP_BITS-1:0] rec_data_q;
  bursts_t               unanswered_q, answerable;
  logic                  aw_fire, w_fire, b_fire;

  assign aw_fire    = awvalid & awready_i;
  assign w_fire     = wvalid & wready_i;
  assign b_fire     = bvalid_i & bready;
  // One burst at most is under way on AW or W.
  assign answerable = unanswered_q - bursts_t'(awvalid | open_q);

  always_ff @(posedge clk_i) begin
    begun_q <= rst_ni && begins;
    if (begins) begin
      addr_q     <= b_addr;
      len_q      <= b_len;
      w_rec_q    <= b_rec;
      rec_data_q <= rec_data_i;
      beats_q    <= '0;
    end else if (w_fire) begin
      beats_q <= beats_q + 8'd1;
    end
    if (!rst_ni) begin
      open_q       <= 1'b0;
      unanswered_q <= '0;
    end else begin
      open_q       <= begins | (open_q & ~(w_fire & (beats_q == len_q)));
      unanswered_q <= unanswered_q + bursts_t'(begins) - bursts_t'(b_fire);
    end
  end

  always_comb if (bvalid_i) assume (answerable != '0);

  // ---- the tracked burst: from its begin to its response ----

  logic                 live_q, t_rec_q;
  bursts_t              ahead_q;
  logic [ADDR_BITS-1:0] t_addr_q;
  rows_t                t_rows_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      live_q <= 1'b0;
    end else if (!live_q) begin
      live_q   <= begins & mark_i;
      ahead_q  <= unanswered_q - bursts_t'(b_fire);
      t_addr_q <= {b_addr[ADDR_BITS-1:4], 4'd0};
      t_rec_q  <= b_rec;
      t_rows_q <= b_rows;
    end else if (b_fire) begin
      live_q  <= ahead_q != '0;
      ahead_q <= ahead_q - bursts_t'(1);
    end
  end

  // ---- properties ----

  function automatic bursts_t slot(bursts_t off);
    bursts_t sum;
    sum = bursts_t'(dut.rptr_q) + off;
    return sum >= bursts_t'(MaxOutstanding) ? sum - bursts_t'(MaxOutstanding) : sum;
  endfunction

  logic                  aw_stalled_q, w_stalled_q, wlast_q;
  logic [ADDR_BITS-1:0]  awaddr_q;
  logic [7:0]            awlen_q;
  bursts_t               t_at;

  assign t_at = slot(ahead_q);

  always_ff @(posedge clk_i) begin
    aw_stalled_q <= rst_ni && awvalid && !awready_i;
    w_stalled_q  <= rst_ni && wvalid && !wready_i;
    awaddr_q     <= awaddr;
    awlen_q      <= awlen;
    wlast_q      <= wlast;
    aw_wdata_q   <= wdata;
  end

  always_comb begin
    if (started_q && rst_ni) begin
      a_aw_stable: assert (!aw_stalled_q || (awvalid && awaddr == awaddr_q && awlen == awlen_q));
      a_w_stable: assert (!w_stalled_q || (wvalid && wlast == wlast_q && wdata == aw_wdata_q));
      a_page: assert (!awvalid || 9'(awaddr[11:4]) + 9'(awlen) < 9'd256);
      a_address: assert (!begun_q || (awvalid && awaddr == {addr_q[ADDR_BITS-1:4], 4'd0} && awlen == len_q));
      a_aw_only_begun: assert (!awvalid || begun_q || aw_stalled_q);
      a_w_only_open: assert (!wvalid || open_q);
      a_w_offered: assert (!open_q || wvalid == (w_rec_q || res_valid_i));
      a_wlast: assert (!wvalid || wlast == (beats_q == len_q));
      a_record: assert (!(wvalid && w_rec_q) || wdata == rec_data_q);
      a_results: assert (!(wvalid && !w_rec_q) || (res_valid_i && wdata == res_data_i));
      a_taken: assert ((res_valid_i && res_ready) == (w_fire && !w_rec_q));
      a_one_burst: assert (!begins || ((!awvalid || awready_i) && (!open_q || (w_fire && beats_q == len_q))));
      a_outstanding: assert (unanswered_q <= bursts_t'(MaxOutstanding));
      a_bready: assert (bready);
      a_idle: assert (idle == (!wait_q && unanswered_q == '0));
      a_response: assert (rsp_valid == b_fire && rsp_err == bresp_i[1] && beat == w_fire);
      a_whose: assert (!(live_q && ahead_q == '0 && b_fire) || (rsp_addr == t_addr_q && rsp_rec == t_rec_q && rsp_rows == t_rows_q));
      a_accepted: assert (!(res_cmd_valid_i && res_cmd_ready) || (Queued ? !wait_q : begins && !b_rec));

      // How the ghosts lie in the registers.
      a_open: assert (dut.w_active_q == open_q && (!open_q || (dut.w_rec_q == w_rec_q && dut.w_left_q == len_q - beats_q)));
      a_beats: assert (!open_q || (beats_q <= len_q && dut.w_last_q == (beats_q == len_q) && (!w_rec_q || len_q == '0)));
      a_rec_data: assert (!(open_q && w_rec_q) || dut.rec_data_q == rec_data_q);
      a_aw: assert (!awvalid || (dut.aw_addr_q == addr_q[ADDR_BITS-1:4] && dut.aw_len_q == len_q && 9'(addr_q[11:4]) + 9'(len_q) < 9'd256));
      a_count: assert (bursts_t'(dut.count_q) == unanswered_q && (!(awvalid || open_q) || unanswered_q != '0));
      a_slots: assert (bursts_t'(dut.rptr_q) < bursts_t'(MaxOutstanding) && bursts_t'(dut.wptr_q) == slot(unanswered_q));
      a_ahead: assert (!live_q || ahead_q < unanswered_q);
      a_stored: assert (!live_q || dut.burst_q[$clog2(MaxOutstanding)'(t_at)] == {t_addr_q[ADDR_BITS-1:4], t_rec_q, t_rows_q});
      a_t_addr: assert (!live_q || t_addr_q[3:0] == '0);
      a_wait_page: assert (!wait_q || 9'(wait_addr_q[11:4]) + 9'(wait_len_q) < 9'd256);

      c_aw_first: cover (open_q && !awvalid && beats_q == 8'd1 && wlast && w_stalled_q);
      c_w_first: cover (aw_stalled_q && !open_q);
      c_back_to_back: cover (begins && wlast && w_fire && len_q == 8'd1);
      c_record_answered: cover (live_q && ahead_q == '0 && b_fire && rsp_rec && unanswered_q == bursts_t'(2));
      c_full: cover (unanswered_q == bursts_t'(MaxOutstanding));
    end
  end

  if (Queued) begin : gen_wait
    always_comb begin
      if (started_q && rst_ni) begin
        a_wait: assert (dut.gen_cmd.valid_q == wait_q &&
                        (!wait_q || (dut.gen_cmd.addr_q == wait_addr_q && dut.gen_cmd.len_q == wait_len_q && dut.gen_cmd.rows_q == wait_rows_q)));
      end
    end
  end else begin : gen_no_wait
    always_comb if (started_q && rst_ni) a_no_wait: assert (!wait_q);
  end

endmodule
