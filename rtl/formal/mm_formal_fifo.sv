// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Proof of mm_fifo.
//
// Assumed:  nothing but a reset in the first cycle. Reset and flush may come at any time; the sender need not hold its word.
// Proven:   no word is lost, doubled, changed or overtaken between flushes (mm_formal_track); an offered word stays as it is until it
//           is taken or flushed; level_o counts; a word is refused only by a full FIFO or a flush; after a flush nothing is left;
//           a word in an otherwise empty FIFO is offered after 2 cycles.
// Method:   k-induction, for the depths that are built: 2 (steps), 4 and 8 (commands), 2048 (prefetch), and 5, whose
//           pointers wrap before all of their bits are used. No bit of a word is treated unlike another.

module mm_formal_fifo #(
  parameter int unsigned WidthBits = 16,
  parameter int unsigned Depth     = 5
) (
  input logic                 clk_i,
  input logic                 rst_ni,
  input logic                 flush_i,
  input logic                 mark_i,
  input logic                 in_valid_i,
  input logic [WidthBits-1:0] in_data_i,
  input logic                 out_ready_i
);

  localparam int unsigned LevelBits = $clog2(Depth + 1) + 1;

  logic                       in_ready, out_valid, live, stalled_q, flushed_q, waits_q;
  logic [WidthBits-1:0]       out_data, out_data_q, data;
  logic [LevelBits-1:0]       level, ahead;
  logic [$clog2(Depth+1)-1:0] level_o;

  logic started_q = 1'b0;
  always_ff @(posedge clk_i) started_q <= 1'b1;
  always_comb if (!started_q) assume (!rst_ni);

  mm_fifo #(.WidthBits(WidthBits), .Depth(Depth)) dut (
    .clk_i, .rst_ni, .flush_i, .in_valid_i, .in_ready_o(in_ready), .in_data_i,
    .out_valid_o(out_valid), .out_ready_i, .out_data_o(out_data), .level_o(level_o)
  );

  mm_formal_track #(.WidthBits(WidthBits), .Depth(Depth)) u_track (
    .clk_i, .clear_i(!rst_ni || flush_i), .mark_i, .in_fire_i(in_valid_i && in_ready), .in_data_i,
    .out_valid_i(out_valid), .out_fire_i(out_valid && out_ready_i), .out_data_i(out_data),
    .level_o(level), .live_o(live), .ahead_o(ahead), .data_o(data)
  );

  always_ff @(posedge clk_i) begin
    stalled_q  <= rst_ni && !flush_i && out_valid && !out_ready_i;
    flushed_q  <= rst_ni && flush_i;
    waits_q    <= rst_ni && !flush_i && level != '0 && !out_valid;
    out_data_q <= out_data;
  end

  // The slot that is `off` behind the read pointer.
  function automatic logic [LevelBits-1:0] slot(logic [LevelBits-1:0] off);
    logic [LevelBits-1:0] sum;
    sum = LevelBits'(dut.rptr_q) + off;
    return sum >= LevelBits'(Depth) ? sum - LevelBits'(Depth) : sum;
  endfunction

  logic [LevelBits-1:0] stored, at;
  assign stored = level - LevelBits'(out_valid);
  assign at     = slot(ahead - LevelBits'(out_valid));

  always_comb begin
    if (started_q && rst_ni) begin
      a_stable: assert (!stalled_q || (out_valid && out_data == out_data_q));
      a_ready: assert (in_ready == (level != LevelBits'(Depth) && !flush_i));
      a_level: assert (level == LevelBits'(level_o));
      a_flushed: assert (!flushed_q || (!out_valid && level_o == '0));
      a_latency: assert (!waits_q || out_valid);
      // How the ghost lies in the registers.
      a_slots: assert (LevelBits'(dut.rptr_q) < LevelBits'(Depth));
      a_wptr: assert (LevelBits'(dut.wptr_q) == slot(stored));
      a_counted: assert (!out_valid || level != '0);
      a_bound: assert (level <= LevelBits'(Depth));
      a_stored: assert (!(live && ahead >= LevelBits'(out_valid)) || dut.mem_q[$clog2(Depth)'(at)] == data);

      if (Depth <= 8) begin
        c_full: cover (level == LevelBits'(Depth) && live && ahead == LevelBits'(Depth - 1));
        c_last_leaves: cover (live && ahead == '0 && out_valid && out_ready_i && level == LevelBits'(1));
      end
      c_flush: cover (flush_i && live && out_valid);
      c_wrapped: cover (live && out_valid && out_ready_i && ahead == '0 && at != '0);
    end
  end

endmodule
