// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Check of mm_data_read, with mm_axi_reader in it: two clients on one reader.
//
// Assumed:  reset in the first cycle, none after it; each client has one request under way at most, descriptors are 64-byte aligned
//           (mm_desc_fetch, loaders); what is offered is held until it is taken; drain ends when the reader is idle. Memory sends the beats of accepted bursts in order, RLAST
//           with the last.
// Proven:   the bursts asked for are exactly those of the requests, in the order in which they were taken, the descriptor first of two; each
//           beat goes to the client that asked for it, none while draining; memory never waits; idle_o only when all has come.
// Method:   k-induction for how the reader is connected (a_taken to a_sink), without the assumption of short requests; the
//           rest bounded: every run of up to 10 cycles after reset, requests of up to 7 beats, bursts of 4. That is as long as a descriptor and activations of two bursts, one behind
//           the other, take at least (the covers). What holds for ever about bursts, credits and tags is proven of the reader itself (mm_formal_reader).

module mm_formal_data_read
  import mm_pkg::*;
#(
  parameter bit Staged = 1'b0,
  // 1: requests and beats, bounded; 0: how the reader is connected, for ever.
  parameter bit Whole  = 1'b1
) (
  input logic                  clk_i,
  input logic                  rst_ni,
  input logic                  drain_i,
  input logic                  desc_valid_i,
  input logic [ADDR_BITS-1:0]  desc_addr_i,
  input logic                  act_valid_i,
  input logic [ADDR_BITS-1:0]  act_addr_i,
  input logic [BEATS_BITS-1:0] act_beats_i,
  input logic                  arready_i,
  input logic [STRIP_BITS-1:0] rdata_i,
  input logic [1:0]            rresp_i,
  input logic                  rlast_i,
  input logic                  rvalid_i
);

  localparam int unsigned BurstBeats = 4;

  logic                  idle, desc_ready, desc_beat, act_ready, act_beat, beat, err_valid, arvalid, rready;
  logic [STRIP_BITS-1:0] beat_data;
  logic [ADDR_BITS-1:0]  err_addr, araddr;
  logic [7:0]            arlen;

  logic started_q = 1'b0;
  always_ff @(posedge clk_i) started_q <= 1'b1;

  mm_data_read #(.Staged(Staged), .BurstBeats(BurstBeats), .MaxOutstanding(4)) dut (
    .clk_i, .rst_ni, .drain_i, .idle_o(idle), .desc_valid_i, .desc_ready_o(desc_ready), .desc_addr_i, .desc_beat_o(desc_beat),
    .act_valid_i, .act_ready_o(act_ready), .act_addr_i, .act_beats_i, .act_beat_o(act_beat), .beat_data_o(beat_data), .beat_o(beat),
    .err_valid_o(err_valid), .err_addr_o(err_addr), .m_axi_araddr(araddr), .m_axi_arlen(arlen), .m_axi_arvalid(arvalid),
    .m_axi_arready(arready_i), .m_axi_rdata(rdata_i), .m_axi_rresp(rresp_i), .m_axi_rlast(rlast_i), .m_axi_rvalid(rvalid_i),
    .m_axi_rready(rready)
  );

  // ---- requests under way: what is still to be asked for (ask) and to come (left) of each client ----

  logic                  first_act_q;      // of two requests the one for activations was taken first
  logic [ADDR_BITS-5:0]  desc_at_q, act_at_q;
  logic [BEATS_BITS-1:0] desc_ask_q, act_ask_q, desc_left_q, act_left_q;
  logic                  drain_q, idle_q, ar_stalled_q, new_ar, is_act;
  logic                  desc_fire, act_fire;

  assign desc_fire = desc_valid_i & desc_ready;
  assign act_fire  = act_valid_i & act_ready;
  // A burst shows when it is not the one that was stalled.
  assign new_ar    = arvalid & ~ar_stalled_q;
  assign is_act    = act_ask_q != '0 && (desc_ask_q == '0 || first_act_q);

  always_ff @(posedge clk_i) begin
    drain_q      <= drain_i;
    idle_q       <= idle;
    ar_stalled_q <= rst_ni & arvalid & ~arready_i;
    if (!rst_ni || drain_i) begin
      desc_ask_q  <= '0;
      act_ask_q   <= '0;
      desc_left_q <= '0;
      act_left_q  <= '0;
    end else begin
      if (new_ar && is_act) begin
        act_at_q  <= act_at_q + (ADDR_BITS - 4)'(arlen) + (ADDR_BITS - 4)'(1);
        act_ask_q <= act_ask_q - BEATS_BITS'(arlen) - BEATS_BITS'(1);
      end else if (new_ar) begin
        desc_at_q  <= desc_at_q + (ADDR_BITS - 4)'(arlen) + (ADDR_BITS - 4)'(1);
        desc_ask_q <= desc_ask_q - BEATS_BITS'(arlen) - BEATS_BITS'(1);
      end
      desc_left_q <= desc_left_q - BEATS_BITS'(desc_beat);
      act_left_q  <= act_left_q - BEATS_BITS'(act_beat);
      if (desc_fire) begin
        desc_at_q   <= desc_addr_i[ADDR_BITS-1:4];
        desc_ask_q  <= BEATS_BITS'(4);
        desc_left_q <= BEATS_BITS'(4);
        first_act_q <= 1'b1;
      end
      if (act_fire) begin
        act_at_q    <= act_addr_i[ADDR_BITS-1:4];
        act_ask_q   <= act_beats_i;
        act_left_q  <= act_beats_i;
        first_act_q <= 1'b0;
      end
    end
  end

  // ---- memory: accepted bursts, and whose they are ----

  logic [3:0] burst_act_q;        // of the oldest to the youngest
  logic [3:0][7:0] burst_len_q;
  logic [2:0] bursts_q;
  logic [7:0] sent_q;             // beats of the oldest
  logic       ar_act_q, ar_act, ar_fire, r_fire;

  assign ar_act  = new_ar ? is_act : ar_act_q;
  assign ar_fire = arvalid & arready_i;
  assign r_fire  = rvalid_i & rready;

  logic [2:0] place;
  assign place = bursts_q - 3'(r_fire & rlast_i);

  always_ff @(posedge clk_i) begin
    ar_act_q <= ar_act;
    if (!rst_ni) begin
      bursts_q <= '0;
      sent_q   <= '0;
    end else begin
      bursts_q <= place + 3'(ar_fire);
      if (r_fire) sent_q <= rlast_i ? '0 : sent_q + 8'd1;
      if (r_fire && rlast_i) begin
        burst_act_q <= burst_act_q >> 1;
        burst_len_q <= burst_len_q >> 8;
      end
      if (ar_fire) begin
        burst_act_q[place[1:0]] <= ar_act;
        burst_len_q[place[1:0]] <= arlen;
      end
    end
  end

  logic [1:0]            seen_q;  // beats of each client have come
  logic                  desc_held_q, act_held_q;
  logic [ADDR_BITS-1:0]  desc_addr_q, act_addr_q;
  logic [BEATS_BITS-1:0] act_beats_q;

  always_ff @(posedge clk_i) begin
    desc_held_q <= rst_ni && !drain_i && desc_valid_i && !desc_ready;
    act_held_q  <= rst_ni && !drain_i && act_valid_i && !act_ready;
    seen_q      <= rst_ni ? seen_q | {act_beat, desc_beat} : 2'b00;
    desc_addr_q <= desc_addr_i;
    act_addr_q  <= act_addr_i;
    act_beats_q <= act_beats_i;
  end

  always_comb begin
    assume (rst_ni == started_q);
    if (desc_valid_i) assume (desc_left_q == '0 && desc_addr_i[5:0] == '0 && !drain_i);
    if (act_valid_i) assume (act_left_q == '0 && act_addr_i[3:0] == '0 && act_beats_i != '0 && !drain_i);
    // Short requests in low memory, so that the solver gets far; mm_formal_reader has no such limit.
    if (Whole && act_valid_i) assume (act_beats_i < BEATS_BITS'(8) && act_addr_i[ADDR_BITS-1:12] == '0);
    if (Whole && desc_valid_i) assume (desc_addr_i[ADDR_BITS-1:12] == '0);
    if (desc_held_q && !drain_i) assume (desc_valid_i && desc_addr_i == desc_addr_q);
    if (act_held_q && !drain_i) assume (act_valid_i && act_addr_i == act_addr_q && act_beats_i == act_beats_q);
    if (drain_q && !drain_i) assume (idle_q);
    if (rvalid_i) assume (bursts_q != '0 && rlast_i == (sent_q == burst_len_q[0]));
  end

  // The reader's own proof needs these and does the rest.
  always_comb begin
    if (started_q) begin
      a_taken: assert ((desc_fire || act_fire) == (dut.u_reader.cmd_valid_i && dut.u_reader.cmd_ready_o));
      a_order: assert (!(desc_fire && act_fire));
      a_request: assert ((!desc_fire || (dut.u_reader.cmd_addr_i == desc_addr_i && dut.u_reader.cmd_beats_i == BEATS_BITS'(4) &&
                                         dut.u_reader.cmd_tag_i == 1'b0)) &&
                         (!act_fire || (dut.u_reader.cmd_addr_i == act_addr_i && dut.u_reader.cmd_beats_i == act_beats_i &&
                                        dut.u_reader.cmd_tag_i == 1'b1)));
      a_delivered: assert (desc_beat == (dut.u_reader.out_valid_o && !dut.u_reader.out_tag_o) &&
                           act_beat == (dut.u_reader.out_valid_o && dut.u_reader.out_tag_o));
      a_data: assert (!(desc_beat || act_beat) || beat_data == rdata_i);
      a_sink: assert (dut.u_reader.out_ready_i && dut.u_reader.pop_i == dut.u_reader.out_valid_o && rready);
      c_beat: cover (act_beat && err_valid);
    end
  end

  if (Whole) begin : gen_whole
    always_comb begin
      if (started_q) begin
        a_expected: assert (!new_ar || drain_q || desc_ask_q != '0 || act_ask_q != '0 || drain_i);
        a_address: assert (!new_ar || drain_q ||
                           (is_act ? araddr == {act_at_q, 4'd0} && BEATS_BITS'(arlen) < act_ask_q
                                   : araddr == {desc_at_q, 4'd0} && arlen == 8'd3 && desc_ask_q == BEATS_BITS'(4)));
        a_none_draining: assert (!(new_ar && drain_q));
        a_room: assert (!rvalid_i || rready);
        a_whose: assert (drain_i || (act_beat == (rvalid_i && burst_act_q[0]) && desc_beat == (rvalid_i && !burst_act_q[0])));
        a_dropped: assert (!drain_i || (!desc_beat && !act_beat));
        a_left: assert (!(desc_beat && desc_left_q == '0) && !(act_beat && act_left_q == '0));
        a_idle: assert (!idle || drain_i || (desc_left_q == '0 && act_left_q == '0));
        a_idle_memory: assert (!idle || (bursts_q == '0 && !arvalid));

        c_both: cover (desc_left_q == BEATS_BITS'(4) && act_left_q == BEATS_BITS'(2) && desc_valid_i == 1'b0 && act_beat);
        c_done: cover (idle && !drain_i && seen_q == 2'b11);
        c_drained: cover (drain_i && drain_q && r_fire && rlast_i && bursts_q == 3'd1);
      end
    end
  end

endmodule
