// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Proof of mm_prefetch_fifo.
//
// Assumed:  nothing but a reset in the first cycle. Reset and flush may come at any time; the sender need not hold its word.
// Proven:   no word is lost, doubled, changed or overtaken between flushes (mm_formal_track); an offered word stays as it is until it
//           is taken or flushed; never more than Depth words; a word is refused only by a flush, or with Depth or Depth - 1 words
//           held, with Depth - 1 for one cycle at most; neither memory is overrun, so the read pipeline never has to stop; after a flush nothing is left; while words are
//           held and none is offered, one is within ReadCycles + 4 cycles.
// Method:   k-induction. The ghost follows the tracked word from stage to stage; the counts of the stages add up at every step. Words are
//           tracked at depth 5 (4 bits, with ReadCycles 4 as it is built, and the ends of its range, 1 and 13); counts, handshakes, room
//           and latency are proven at depth 24576, as it is built (Data = 0), where the small FIFO can fill. Tracked words in a memory that deep are
//           beyond the solver; what a word carries does not depend on the depth.

module mm_formal_prefetch_fifo #(
  parameter int unsigned WidthBits  = 16,
  parameter int unsigned Depth      = 5,
  parameter int unsigned ReadCycles = 4,
  // 0: nothing is tracked; what is left are the counts and the handshakes.
  parameter bit          Data       = 1'b1
) (
  input logic                 clk_i,
  input logic                 rst_ni,
  input logic                 flush_i,
  input logic                 mark_i,
  input logic                 in_valid_i,
  input logic [WidthBits-1:0] in_data_i,
  input logic                 out_ready_i
);

  // Wide enough for every sum below.
  typedef logic [17:0] level_t;

  localparam int unsigned TrackBits = $clog2(Depth + 1) + 1;

  typedef enum logic [2:0] { None, Entry, Memory, Pipe, Small, Out } stage_e;

  logic                 in_ready, out_valid, live, stalled_q, flushed_q, short_q;
  logic [WidthBits-1:0] out_data, out_data_q, data;
  logic [TrackBits-1:0] track_level, track_ahead;
  level_t               level, ahead;

  logic started_q = 1'b0;
  always_ff @(posedge clk_i) started_q <= 1'b1;
  always_comb if (!started_q) assume (!rst_ni);

  mm_prefetch_fifo #(.WidthBits(WidthBits), .Depth(Depth), .ReadCycles(ReadCycles)) dut (
    .clk_i, .rst_ni, .flush_i, .in_valid_i, .in_ready_o(in_ready), .in_data_i,
    .out_valid_o(out_valid), .out_ready_i, .out_data_o(out_data)
  );

  mm_formal_track #(.WidthBits(WidthBits), .Depth(Depth)) u_track (
    .clk_i, .clear_i(!rst_ni || flush_i), .mark_i(Data && mark_i), .in_fire_i(in_valid_i && in_ready), .in_data_i,
    .out_valid_i(out_valid), .out_fire_i(out_valid && out_ready_i), .out_data_i(Data ? out_data : data),
    .level_o(track_level), .live_o(live), .ahead_o(track_ahead), .data_o(data)
  );
  assign level = level_t'(track_level);
  assign ahead = level_t'(track_ahead);

  // ---- where the tracked word is ----

  stage_e                   stage_q;
  logic [3:0]               cycle_q;  // Pipe: its register
  logic [$clog2(Depth)-1:0] slot_q;   // Memory: its slot
  logic [3:0]               small_q;  // Small: its slot

  always_ff @(posedge clk_i) begin
    cycle_q <= cycle_q + 4'd1;
    if (!rst_ni || flush_i) begin
      stage_q <= None;
    end else begin
      unique case (stage_q)
        None: if (Data && mark_i && in_valid_i && in_ready) stage_q <= Entry;
        Entry: begin
          stage_q <= Memory;
          slot_q  <= dut.wptr_q;
        end
        Memory: if (dut.read && dut.rptr_q == slot_q) begin
          stage_q <= Pipe;
          cycle_q <= '0;
        end
        Pipe: if (cycle_q == 4'(ReadCycles - 1)) begin
          stage_q <= Small;
          small_q <= dut.small_wptr_q;
        end
        Small: if (dut.small_read && dut.small_rptr_q == small_q) stage_q <= Out;
        default: if (out_ready_i) stage_q <= None;
      endcase
    end
  end

  // ---- counts of the stages ----

  level_t     piped, pipe_before;  // words in the read pipeline; of these before the tracked one
  level_t     memory_ahead;
  logic [3:0] small_ahead;
  logic [5:0] held_q;         // cycles with words held and none offered

  always_comb begin
    piped  = '0;
    pipe_before = '0;
    for (int k = 0; k < int'(ReadCycles); k++) begin
      piped += level_t'(dut.read_valid_q[k]);
      if (k > int'(cycle_q)) pipe_before += level_t'(dut.read_valid_q[k]);
    end
    memory_ahead = level_t'(slot_q) - level_t'(dut.rptr_q);
    if (slot_q < dut.rptr_q) memory_ahead += level_t'(Depth);
    small_ahead  = small_q - dut.small_rptr_q;
  end

  function automatic level_t slot(level_t off);
    level_t sum;
    sum = level_t'(dut.rptr_q) + off;
    return sum >= level_t'(Depth) ? sum - level_t'(Depth) : sum;
  endfunction

  always_ff @(posedge clk_i) begin
    stalled_q  <= rst_ni && !flush_i && out_valid && !out_ready_i;
    flushed_q  <= rst_ni && flush_i;
    short_q    <= rst_ni && !flush_i && !in_ready && level == level_t'(Depth - 1);
    out_data_q <= out_data;
    held_q     <= (!rst_ni || flush_i || out_valid || level == '0) ? '0 : held_q + 6'd1;
  end

  // Cycles until the oldest word is offered.
  logic [5:0] distance;

  always_comb begin
    distance = 6'd0;
    if (dut.in_valid_q) distance = 6'(ReadCycles + 3);
    if (dut.stored_q != '0) distance = 6'(ReadCycles + 2);
    for (int k = 0; k < int'(ReadCycles); k++) begin
      if (dut.read_valid_q[k]) distance = 6'(int'(ReadCycles) - k + 1);
    end
    if (dut.small_level_q != '0) distance = 6'd1;
  end

  level_t in_small;
  assign in_small = level_t'(dut.small_level_q);

  always_comb begin
    if (started_q && rst_ni) begin
      a_stable: assert (!stalled_q || (out_valid && (!Data || out_data == out_data_q)));
      a_refused: assert (in_ready || flush_i || level == level_t'(Depth) || (level == level_t'(Depth - 1) && !short_q));
      a_flushed: assert (!flushed_q || (!out_valid && level == '0));
      a_latency: assert (held_q < 6'(ReadCycles + 4));
      a_small_room: assert (!dut.small_fill || dut.small_level_q < 5'd16);
      a_distance: assert (out_valid || level == '0 || (distance != '0 && held_q + distance < 6'(ReadCycles + 4)));
      // The counts of the block, and that its stages hold what they say.
      a_level: assert (level_t'(dut.level_q) == level);
      a_room: assert (!dut.room_q || level < level_t'(Depth));
      a_stored: assert (level_t'(dut.stored_q) <= level_t'(Depth) && dut.stored_some_q == (dut.stored_q != '0));
      a_small: assert (dut.small_level_q <= 5'd16);
      a_claimed: assert (dut.claimed_q <= 5'd16 &&
                         6'(dut.claimed_q) == 6'(out_valid) + 6'(dut.small_level_q) + 6'($countones(dut.read_valid_q)));
      a_sum: assert (level == level_t'(dut.in_valid_q) + level_t'(dut.stored_q) + piped + in_small + level_t'(out_valid));
      a_slots: assert (level_t'(dut.rptr_q) < level_t'(Depth));
      a_wptr: assert (level_t'(dut.wptr_q) == slot(level_t'(dut.stored_q)));
      a_small_wptr: assert (dut.small_wptr_q == 4'(dut.small_rptr_q + 4'(dut.small_level_q)));
      // Where the tracked word is, and what is before it.
      a_untracked: assert (Data || !live);
      a_live: assert (live == (stage_q != None));
      a_stage: assert (stage_q <= Out);
      a_entry: assert (stage_q != Entry ||
                       (dut.in_valid_q && (!Data || dut.in_data_q == data) && ahead == level_t'(dut.stored_q) + piped + in_small + level_t'(out_valid)));
      a_memory: assert (stage_q != Memory ||
                        (level_t'(slot_q) < level_t'(Depth) && memory_ahead < level_t'(dut.stored_q) && (!Data || dut.mem_q[slot_q] == data) &&
                         ahead == memory_ahead + piped + in_small + level_t'(out_valid)));
      a_pipe: assert (stage_q != Pipe ||
                      (cycle_q < 4'(ReadCycles) && dut.read_valid_q[cycle_q] && (!Data || dut.read_q[cycle_q] == data) &&
                       ahead == pipe_before + in_small + level_t'(out_valid)));
      a_small_word: assert (stage_q != Small ||
                            (5'(small_ahead) < dut.small_level_q && (!Data || dut.small_q[small_q] == data) &&
                             ahead == level_t'(small_ahead) + level_t'(out_valid)));
      a_out: assert (stage_q != Out || (out_valid && ahead == '0));

      c_leaves_last: cover (stage_q == Out && out_ready_i && level == level_t'(1));
      c_flush: cover (flush_i && stage_q == Memory);
      if (Depth <= 8) begin
        c_full: cover (!in_ready && !flush_i && level == level_t'(Depth) && stage_q == Small);
      end
    end
  end

endmodule
