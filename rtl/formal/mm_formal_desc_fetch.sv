// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Proof of mm_desc_fetch.
//
// Assumed:  reset in the first cycle; a start comes only to an idle fetch; ring registers stay as they are while it runs (and are set a cycle
//           before the start); four beats come for each request (mm_formal_data_read), none later than a flush.
// Proven:   one request at a time, at RING_BASE + 64 * index, index 0 .. RING_STEPS - 1 and round again; it stays until it is taken, unless the
//           device halts; nothing is asked for or handed on while it may not; a descriptor is handed on once, whole, to all five queues in
//           one cycle or to none, and exactly as it was in memory; it is reported instead, with its index, exactly if it breaks a rule of
//           docs/architecture.md section 3; a bad ring is reported at the start. Of the products the factors are proven, and
//           that they are those of this descriptor; that `*` multiplies is taken for granted.
// Method:   k-induction, both profiles.

module mm_formal_desc_fetch
  import mm_pkg::*;
#(
  parameter int unsigned Arithmetic = PAPER,
  parameter int unsigned Batch      = 1,
  parameter int unsigned MaxGroups  = 128
) (
  input logic                  clk_i,
  input logic                  rst_ni,
  input logic                  flush_i,
  input logic                  start_i,
  input logic                  enable_i,
  input logic [63:0]           ring_base_i,
  input logic [15:0]           ring_steps_i,
  input logic                  rd_ready_i,
  input logic                  beat_i,
  input logic [STRIP_BITS-1:0] beat_data_i,
  input logic [PORTS-1:0]      seg_ready_i,
  input logic                  step_ready_i
);

  logic                       rd_valid, seg_valid, step_valid, err_valid;
  logic [ADDR_BITS-1:0]       rd_addr, rd_addr_q;
  logic [PORTS*ADDR_BITS-1:0] seg_addr;
  logic [BEATS_BITS-1:0]      seg_beats;
  step_t                      step;
  logic [15:0]                err_index;

  logic started_q = 1'b0;
  always_ff @(posedge clk_i) started_q <= 1'b1;

  mm_desc_fetch #(.Arithmetic(Arithmetic), .Batch(Batch), .MaxGroups(MaxGroups)) dut (
    .clk_i, .rst_ni, .flush_i, .start_i, .enable_i, .ring_base_i, .ring_steps_i, .rd_valid_o(rd_valid), .rd_ready_i, .rd_addr_o(rd_addr),
    .beat_i, .beat_data_i, .seg_valid_o(seg_valid), .seg_ready_i, .seg_addr_o(seg_addr), .seg_beats_o(seg_beats),
    .step_valid_o(step_valid), .step_ready_i, .step_o(step), .err_valid_o(err_valid), .err_index_o(err_index)
  );

  // ---- the descriptor as it came, and where in the ring it is ----

  typedef enum logic [2:0] { Idle, Ring, Ask, Beats, Check, Hand, Bad } phase_e;  // as it should be

  phase_e             phase_q;
  logic [3:0][127:0]  word_q;
  logic [1:0]         beat_q;
  logic [15:0]        index_q, ring_steps_q;
  logic [63:0]        ring_base_q;
  logic               bad, bad_ring, push;

  assign push     = seg_valid;
  assign bad_ring = ring_base_i[5:0] != '0 || ring_base_i[63:40] != '0 || ring_steps_i == '0;

  always_ff @(posedge clk_i) begin
    ring_base_q  <= ring_base_i;
    ring_steps_q <= ring_steps_i;
    if (beat_i) begin
      word_q[beat_q] <= beat_data_i;
      beat_q         <= beat_q + 2'd1;
    end
    unique case (phase_q)
      Ring:    phase_q <= bad_ring ? Bad : Ask;
      Ask:     if (rd_valid && rd_ready_i) phase_q <= Beats;
      Beats:   if (beat_i && beat_q == 2'd3) phase_q <= Check;
      Check:   phase_q <= bad ? Bad : Hand;
      Hand:    if (push) begin
        phase_q <= Ask;
        index_q <= (index_q + 16'd1 == ring_steps_i) ? '0 : index_q + 16'd1;
      end
      default: ;
    endcase
    if (phase_q == Ask) beat_q <= '0;
    if (start_i) begin
      phase_q <= Ring;
      index_q <= '0;
    end
    if (!rst_ni || flush_i) phase_q <= Idle;
  end

  logic live_q;
  always_ff @(posedge clk_i) live_q <= rst_ni;

  always_comb begin
    if (!started_q) assume (!rst_ni);
    if (start_i) assume (phase_q == Idle && live_q && rst_ni && !flush_i);
    if (beat_i) assume (phase_q == Beats);
    if (live_q && (phase_q != Idle || start_i)) assume (ring_base_i == ring_base_q && ring_steps_i == ring_steps_q);
  end

  // ---- the rules, from the table of fields; of the beats that have come ----

  logic [3:0] came;
  logic       tight;
  logic [15:0] groups, tile_rows;
  logic [7:0]  vectors;
  logic [17:0] strips;

  always_comb begin
    came = 4'b1111;
    if (phase_q == Beats) came = 4'b1111 >> (3'd4 - 3'(beat_q));
    tight     = word_q[0][15:8] == 8'd17;
    groups    = word_q[0][47:32];
    tile_rows = word_q[0][63:48];
    vectors   = word_q[0][87:80];
    strips    = tight ? 18'd17 * 18'(groups) + ((18'(groups) + 18'd3) >> 2) : 18'd18 * 18'(groups);
    bad       = 1'b0;
    if (came[0]) begin
      if (word_q[0][7:0] != 8'd1) bad = 1'b1;
      if (word_q[0][15:8] != 8'd18 && !(Arithmetic == KV260 && tight)) bad = 1'b1;
      if (word_q[0][31:17] != '0 || word_q[0][127:88] != '0) bad = 1'b1;
      if (groups == '0 || 32'(groups) > MaxGroups || tile_rows == '0 || vectors == '0 || 32'(vectors) > Batch) bad = 1'b1;
    end
    for (int k = 1; k < 4; k++) begin
      for (int h = 0; h < 2; h++) begin
        if (came[k] && (word_q[k][64*h +: 12] != '0 || word_q[k][64*h+40 +: 24] != '0)) bad = 1'b1;
      end
    end
  end

  // Factors of the products, as many cycles ago as the products are old.
  logic [17:0] strips_q1, strips_q2;
  logic [15:0] rows_q1, rows_q2, groups_q1;
  vectors_t    vectors_q1;
  beats_t      product_q1, product_q2;

  always_ff @(posedge clk_i) begin
    strips_q1  <= dut.row_strips_q;
    strips_q2  <= strips_q1;
    rows_q1    <= dut.tile_rows_q;
    rows_q2    <= rows_q1;
    groups_q1  <= dut.groups_q;
    vectors_q1 <= dut.vectors_q;
    product_q1 <= BEATS_BITS'(dut.row_strips_q) * BEATS_BITS'(dut.tile_rows_q);
    product_q2 <= product_q1;
  end

  logic rd_held_q, checked;
  assign checked = phase_q == Check || phase_q == Hand;

  always_ff @(posedge clk_i) begin
    rd_held_q <= rst_ni && !flush_i && rd_valid && !rd_ready_i;
    rd_addr_q <= rd_addr;
  end

  logic [PORTS-1:0][ADDR_BITS-1:0] segments;
  assign segments = seg_addr;

  always_comb begin
    if (started_q && rst_ni) begin
      a_request: assert (!rd_valid || (rd_addr == 40'(ring_base_i + {42'd0, index_q, 6'd0}) && (index_q < ring_steps_i)));
      a_request_when: assert (rd_valid == (phase_q == Ask && enable_i));
      a_request_stable: assert (!rd_held_q || !enable_i || (rd_valid && rd_addr == rd_addr_q));
      a_push: assert (seg_valid == (phase_q == Hand && enable_i && (&seg_ready_i) && step_ready_i) && step_valid == seg_valid);
      a_error: assert (err_valid == ((phase_q == Ring && bad_ring) || (phase_q == Check && bad)) && (!err_valid || err_index == index_q));
      a_good: assert (phase_q != Hand || !bad);
      a_fields: assert (!push || (step.groups == groups && step.tile_rows == tile_rows && step.report_rows == word_q[0][79:64] &&
                                  8'(step.vectors) == vectors && step.tight == tight && step.irq == word_q[0][16] &&
                                  {step.activations, 12'd0} == word_q[1][39:0] && {step.results, 12'd0} == word_q[1][103:64]));
      a_segments: assert (!push || (segments[0] == word_q[2][39:0] && segments[1] == word_q[2][103:64] &&
                                    segments[2] == word_q[3][39:0] && segments[3] == word_q[3][103:64]));
      a_length: assert (!push || (seg_beats == product_q2 && strips_q2 == strips && rows_q2 == tile_rows));
      if (Batch == 1) a_slices: assert (!push || (step.slices == 18'(groups) && step.result_rows == 20'(tile_rows)));
      else a_factors: assert (!push || (groups_q1 == groups && 8'(vectors_q1) == vectors && rows_q1 == tile_rows));

      // How it lies in the registers.
      a_phase: assert (dut.state_q == phase_q && phase_q <= Bad && (phase_q == Idle || dut.index_q == index_q));
      a_index: assert (phase_q == Idle || phase_q == Ring || phase_q == Bad || (index_q < ring_steps_i));
      a_beat: assert (phase_q != Beats || dut.beat_q == beat_q);
      a_product: assert (dut.product_q == product_q1 && dut.seg_beats_q == product_q2);
      a_bad_ring: assert (phase_q != Ring || dut.bad_ring_q == bad_ring);
      a_good_ring: assert (phase_q == Idle || phase_q == Ring || phase_q == Bad || !bad_ring);
      a_bad_now: assert (!(phase_q == Beats || phase_q == Check) || dut.bad_now == bad);
      a_parts: assert (phase_q == Idle || phase_q == Beats || phase_q == Check || dut.parts_q == '0);
      a_first: assert (!(checked || (phase_q == Beats && beat_q >= 2'd1)) ||
                       (dut.groups_q == groups && dut.tile_rows_q == tile_rows && dut.report_rows_q == word_q[0][79:64] &&
                        dut.vectors_q == vectors[VECTOR_BITS-1:0] && dut.tight_q == tight && dut.irq_q == word_q[0][16]));
      a_second: assert (!(checked || (phase_q == Beats && beat_q >= 2'd2)) ||
                        (dut.activations_q == word_q[1][39:12] && dut.results_q == word_q[1][103:76]));
      a_third: assert (!(checked || (phase_q == Beats && beat_q == 2'd3)) ||
                       (dut.weights_q[0] == word_q[2][39:12] && dut.weights_q[1] == word_q[2][103:76]));
      a_fourth: assert (!checked || (dut.weights_q[2] == word_q[3][39:12] && dut.weights_q[3] == word_q[3][103:76]));
      // Only the lower 14 bits of the groups are used; what is above is bad.
      a_strips: assert (!(checked || (phase_q == Beats && beat_q >= 2'd2)) || bad ||
                        (dut.row_strips_q == strips && groups_q1 == groups && vectors_q1 == vectors[VECTOR_BITS-1:0] && rows_q1 == tile_rows));
      a_strips1: assert (!(checked || (phase_q == Beats && beat_q == 2'd3)) || bad || (strips_q1 == strips && rows_q1 == tile_rows));
      a_strips2: assert (!checked || bad || (strips_q2 == strips && rows_q2 == tile_rows));

      c_around: cover (push && index_q == '0 && ring_steps_i == 16'd1 && enable_i);
      c_second: cover (rd_valid && index_q == 16'd1);
      c_bad: cover (err_valid && phase_q == Check);
      if (Arithmetic == KV260) c_tight: cover (push && tight && vectors == 8'd8 && groups == 16'd5);
    end
  end

endmodule
