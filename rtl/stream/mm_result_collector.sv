// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Result collector: turns the results of the four units into beats in the order of output channels, and the beats into wide
// write bursts of whole rows. A row is 32 results of one vector, 128 bytes; a tile row is a row of each vector.
//
// Latency:    4 cycles for a row, 2 through the FIFO; a burst is offered in the cycle after its last result went in
//             (Batch > 1: and at least 5 cycles after the burst before it).
// Throughput: in: a row in 4 cycles, so a unit is rid of its results before it has the next (a word of the FIFO is
//             one unit's 8 results); out: a beat, half a word, a cycle.
// Stalls:     the units hold their results until the fourth word is in the FIFO; res_ready_o depends on registers and on
//             res_valid_i of all units (lock step). blocked_o tells when a full FIFO is what stops them.
//
// A row (output channel 32r + 8p + c is column c of port p); tile row r of vector v is row r * vectors + v:
//
//   beat   0         1         2         3         4         5         6         7
//        | p0 c0-3 | p0 c4-7 | p1 c0-3 | p1 c4-7 | p2 c0-3 | p2 c4-7 | p3 c0-3 | p3 c4-7 |
//
// Bursts: 4 rows (32 beats), or fewer where reports are wanted after fewer rows (1 or 2) and at the end of a step. Steps
// begin at a 4 KiB line and 1, 2 and 4 divide its 32 rows, so no burst crosses one.

module mm_result_collector
  import mm_pkg::*;
#(
  /// Activation vectors that share a pass, 1..16.
  parameter int unsigned Batch     = 1,
  /// Depth of the FIFO in beats; holds at least a longest burst and one row more, >= 40.
  parameter int unsigned FifoBeats = 512
) (
  /// Clock, rising edge.
  input  logic                      clk_i,
  /// Reset, synchronous, active low.
  input  logic                      rst_ni,
  /// Forget everything.
  input  logic                      flush_i,
  /// 0: begin no burst (fault, drain, not running).
  input  logic                      enable_i,

  /// A step's results will come.
  input  logic                      step_valid_i,
  /// It is taken; registered.
  output logic                      step_ready_o,
  /// Where they go (4 KiB page).
  input  page_t                     step_page_i,
  /// How many tile rows, >= 1; only with Batch 1.
  input  logic [15:0]               step_tile_rows_i,
  /// How many rows, tile rows * vectors; not with Batch 1.
  input  rows_count_t               step_rows_i,
  /// How many vectors, 1..Batch; not with Batch 1.
  input  vectors_t                  step_vectors_i,
  /// Report when at least so many tile rows more are in memory; 0: only at the end.
  input  logic [15:0]               step_report_i,
  /// The step asks for the interrupt.
  input  logic                      step_irq_i,

  /// Each unit has its 8 results.
  input  logic [PORTS-1:0]          res_valid_i,
  /// All units: taken.
  output logic                      res_ready_o,
  /// Unit p's 8 FP32 at bits 256p .. 256p+255.
  input  logic [PORTS*256-1:0]      res_data_i,
  /// Results wait and the FIFO is full.
  output logic                      blocked_o,

  /// A burst is wanted; all its beats are in the FIFO.
  output logic                      cmd_valid_o,
  /// It is taken.
  input  logic                      cmd_ready_i,
  /// Its address.
  output logic [ADDR_BITS-1:0]      cmd_addr_o,
  /// Its length - 1, beats.
  output logic [7:0]                cmd_len_o,
  /// What its response will tell.
  output rows_t                     cmd_rows_o,
  /// A beat is there.
  output logic                      out_valid_o,
  /// It is taken.
  input  logic                      out_ready_i,
  /// The beat.
  output logic [STRIP_BITS-1:0]     out_data_o
);

  localparam int unsigned MaxRows   = 4;  // rows a burst
  localparam int unsigned WordBits  = $clog2(PORTS);
  localparam int unsigned FifoWords = FifoBeats / 2;
  localparam int unsigned LevelBits = $clog2(FifoWords + 1);
  localparam int unsigned StepsHeld = 4;

  if (FifoBeats < (MaxRows + 1) * TILE_ROW_BEATS) begin : gen_bad_fifo
    $fatal(1, "%m: FifoBeats must hold a longest burst and one row more");
  end

  // ---- results to words, words to beats ----

  logic [WordBits-1:0]  word_q;
  logic                 half_q;
  logic                 all_valid, in_ready, in_fire, row_in, out_fire;
  logic [LevelBits-1:0] level;
  logic [255:0]         out_word;

  assign all_valid   = &res_valid_i;
  assign in_fire     = all_valid & in_ready;
  assign row_in      = in_fire & (word_q == WordBits'(PORTS - 1));
  assign res_ready_o = row_in;
  assign blocked_o   = all_valid & ~in_ready;

  mm_fifo #(
    .WidthBits(256),
    .Depth    (FifoWords)
  ) u_fifo (
    .clk_i,
    .rst_ni,
    .flush_i,
    .in_valid_i (all_valid),
    .in_ready_o (in_ready),
    .in_data_i  (res_data_i[32'(word_q)*256 +: 256]),
    .out_valid_o,
    .out_ready_i(out_ready_i & half_q),
    .out_data_o (out_word),
    .level_o    (level)
  );

  assign out_fire   = out_valid_o & out_ready_i;
  assign out_data_o = half_q ? out_word[255:128] : out_word[127:0];

  // ---- the step that the next burst belongs to ----

  typedef struct packed {
    page_t       page;
    rows_count_t rows;
    vectors_t    vectors;
    logic [15:0] report_rows;
    logic        irq;
  } res_step_t;

  // Of a single vector the rows are the tile rows.
  rows_count_t step_rows;
  vectors_t    step_vectors;

  assign step_rows    = (Batch == 1) ? rows_count_t'(step_tile_rows_i) : step_rows_i;
  assign step_vectors = (Batch == 1) ? vectors_t'(1) : step_vectors_i;

  logic      head_valid, head_ready;
  res_step_t head;
  logic [$clog2(StepsHeld+1)-1:0] steps_level;

  mm_fifo #(
    .WidthBits($bits(res_step_t)),
    .Depth    (StepsHeld)
  ) u_steps (
    .clk_i,
    .rst_ni,
    .flush_i,
    .in_valid_i (step_valid_i),
    .in_ready_o (step_ready_o),
    .in_data_i  ({step_page_i, step_rows, step_vectors, step_report_i, step_irq_i}),
    .out_valid_o(head_valid),
    .out_ready_i(head_ready),
    .out_data_o (head),
    .level_o    (steps_level)
  );

  // ---- beats to bursts ----

  localparam int unsigned RowsBits = LevelBits - WordBits + 1;

  logic                 step_valid_d, step_valid_q;
  logic [ADDR_BITS-8:0] addr_d, addr_q;          // in rows of 128 bytes
  rows_count_t          rows_left_d, rows_left_q;
  logic [15:0]          since_d, since_q;        // tile rows since the last report
  logic [15:0]          report_q;
  logic                 irq_q;
  logic [2:0]           burst_rows_q, need, tile_rows;
  logic [RowsBits-1:0]  avail_d, avail_q;        // whole rows that no burst has claimed
  logic                 fire, last, due, planned, enough;

  if (Batch == 1) begin : gen_plan
    assign last      = rows_left_q <= rows_count_t'(burst_rows_q);
    assign need      = last ? rows_left_q[2:0] : burst_rows_q;
    assign tile_rows = need;
    assign due       = (report_q != '0) & (17'(since_q) + 17'(need) >= 17'(report_q));
    assign planned   = 1'b1;
    // For the smaller of both; neither waits for the other's comparison.
    assign enough    = (avail_q >= RowsBits'(burst_rows_q)) | (rows_count_t'(avail_q) >= rows_left_q);
  end else begin : gen_plan
    // The next burst is planned while the present one leaves, a stage a cycle: its rows, how many tile rows end in it,
    // whether it reaches the mark. A burst takes 8 cycles at least, so no cycle is lost.
    logic [3:0] planned_q;
    logic       last_q, due_q;
    logic [2:0] need_q, tile_rows_q;
    vectors_t   vectors_q, at_q, at_next_q, sum_q;  // vector of the next row; of the one after the burst; before wrapping
    logic [3:0][6:0] mark_q;                        // 1 to 4 times the vectors
    logic [3:0] past;

    for (genvar k = 0; k < 4; k++) begin : gen_past
      assign past[k] = 7'(sum_q) >= mark_q[k];
    end

    always_ff @(posedge clk_i) begin
      if (!rst_ni || flush_i || (head_valid && head_ready) || fire) planned_q <= '0;
      else planned_q <= {planned_q[2:0], step_valid_q};
    end

    always_ff @(posedge clk_i) begin
      last_q      <= rows_left_q <= rows_count_t'(burst_rows_q);
      need_q      <= (rows_left_q <= rows_count_t'(burst_rows_q)) ? rows_left_q[2:0] : burst_rows_q;
      sum_q       <= at_q + vectors_t'(need_q);
      tile_rows_q <= 3'(past[0]) + 3'(past[1]) + 3'(past[2]) + 3'(past[3]);
      at_next_q   <= vectors_t'(7'(sum_q) - (past[3] ? mark_q[3] : past[2] ? mark_q[2] :
                                             past[1] ? mark_q[1] : past[0] ? mark_q[0] : 7'd0));
      due_q       <= (report_q != '0) & (17'(since_q) + 17'(tile_rows_q) >= 17'(report_q));
      for (int k = 0; k < 4; k++) mark_q[k] <= 7'(k + 1) * 7'(vectors_q);
      if (fire) at_q <= at_next_q;
      if (head_valid && head_ready) begin
        vectors_q <= head.vectors;
        at_q      <= '0;
      end
    end

    assign last      = last_q;
    assign need      = need_q;
    assign tile_rows = tile_rows_q;
    assign due       = due_q;
    assign planned   = planned_q[3];
    assign enough    = avail_q >= RowsBits'(need);
  end

  assign cmd_valid_o = step_valid_q & planned & enough & enable_i;
  assign cmd_addr_o  = {addr_q, 7'd0};
  assign cmd_len_o   = {2'b00, need, 3'b000} - 8'd1;
  assign cmd_rows_o  = '{rows: tile_rows, report: due | last, last: last, irq: irq_q};
  assign fire        = cmd_valid_o & cmd_ready_i;
  assign head_ready  = ~step_valid_q | (fire & last);

  always_comb begin
    step_valid_d = step_valid_q;
    addr_d       = addr_q;
    rows_left_d  = rows_left_q;
    since_d      = since_q;
    avail_d      = avail_q + RowsBits'(row_in) - (fire ? RowsBits'(need) : '0);
    if (fire) begin
      step_valid_d = ~last;
      addr_d       = addr_q + (ADDR_BITS - 7)'(need);
      rows_left_d  = rows_left_q - rows_count_t'(need);
      since_d      = due ? '0 : since_q + 16'(tile_rows);
    end
    if (head_valid && head_ready) begin
      step_valid_d = 1'b1;
      addr_d       = {head.page, 5'd0};
      rows_left_d  = head.rows;
      since_d      = '0;
    end
    if (flush_i) begin
      step_valid_d = 1'b0;
      avail_d      = '0;
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      word_q       <= '0;
      half_q       <= 1'b0;
      step_valid_q <= 1'b0;
      avail_q      <= '0;
    end else begin
      word_q       <= flush_i ? '0 : word_q + WordBits'(in_fire);
      half_q       <= ~flush_i & (half_q ^ out_fire);
      step_valid_q <= step_valid_d;
      avail_q      <= avail_d;
    end
  end

  always_ff @(posedge clk_i) begin
    addr_q      <= addr_d;
    rows_left_q <= rows_left_d;
    since_q     <= since_d;
    if (head_valid && head_ready) begin
      report_q <= head.report_rows;
      irq_q    <= head.irq;
      if (head.report_rows == 16'd1 && head.vectors == vectors_t'(1)) burst_rows_q <= 3'd1;
      else if (head.report_rows != '0 && head.report_rows <= 16'd3 && head.vectors == vectors_t'(1) ||
               head.report_rows == 16'd1 && head.vectors <= vectors_t'(3)) burst_rows_q <= 3'd2;
      else burst_rows_q <= 3'(MaxRows);
    end
  end

  logic unused;
  assign unused = ^{level, steps_level};

`ifndef SYNTHESIS
  // The four units have their results in the same cycles.
  a_lock_step : assert property (@(posedge clk_i) disable iff (!rst_ni)
      enable_i |-> res_valid_i == '0 || res_valid_i == '1);
  // A burst never finds fewer words in the FIFO than it needs.
  a_beats_there : assert property (@(posedge clk_i) disable iff (!rst_ni)
      fire |-> level >= LevelBits'({need, 2'b00}));
`endif

endmodule
