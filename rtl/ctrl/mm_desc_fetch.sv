// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Descriptor fetch: walks the ring, checks every rule of architecture.md section 3, and hands the segments to the
// four readers and the rest of the step to the step queue, as far ahead as those queues have room.
//
// Latency:    own 5 cycles a descriptor beyond memory latency and its four beats.
// Throughput: one descriptor at a time; a step has at least 18 strips, and the queues behind hold several.
// Stalls:     waits for room in all five queues, then pushes into all of them in one cycle. Their ready bits come from
//             registers, so valid may depend on them here.
// Errors:     a bad descriptor is reported when it is fetched, ahead of its turn; nothing of it is handed on and
//             the fetch stops until it is flushed.

module mm_desc_fetch
  import mm_pkg::*;
#(
  /// Arithmetic of the units: KV260 takes both weight formats, PAPER only format 1.
  parameter int unsigned Arithmetic = PAPER,
  /// Activation vectors a step may have, 1..16.
  parameter int unsigned Batch      = 1,
  /// Largest number of groups a step may have.
  parameter int unsigned MaxGroups  = 128
) (
  /// Clock, rising edge.
  input  logic                       clk_i,
  /// Reset, synchronous, active low.
  input  logic                       rst_ni,
  /// Forget everything and stop.
  input  logic                       flush_i,
  /// Begin with the ring's first descriptor; pulse.
  input  logic                       start_i,
  /// 0: ask for nothing and hand on nothing.
  input  logic                       enable_i,
  /// Address of the ring.
  input  logic [63:0]                ring_base_i,
  /// Descriptors in it.
  input  logic [15:0]                ring_steps_i,

  /// A descriptor is wanted.
  output logic                       rd_valid_o,
  /// The request is taken.
  input  logic                       rd_ready_i,
  /// Its address.
  output logic [ADDR_BITS-1:0]       rd_addr_o,
  /// A beat of it comes now.
  input  logic                       beat_i,
  /// The beat.
  input  logic [STRIP_BITS-1:0]      beat_data_i,

  /// Segment p of a step for reader p; all four at once.
  output logic                       seg_valid_o,
  /// Each reader has room.
  input  logic [PORTS-1:0]           seg_ready_i,
  /// Segment p's address at bits 40p .. 40p+39.
  output logic [PORTS*ADDR_BITS-1:0] seg_addr_o,
  /// Length of each segment, strips.
  output logic [BEATS_BITS-1:0]      seg_beats_o,
  /// The rest of the step; in the same cycle as its segments.
  output logic                       step_valid_o,
  /// The step queue has room.
  input  logic                       step_ready_i,
  /// The step.
  output step_t                      step_o,

  /// A descriptor (or the ring itself) breaks a rule; pulse.
  output logic                       err_valid_o,
  /// Its ring index.
  output logic [15:0]                err_index_o
);

  // Strips of a tile row of one port: 18 * 8192 < 2^18.
  localparam int unsigned RowBits = 18;

  typedef enum logic [2:0] {
    StIdle, StRing, StRequest, StBeats, StMultiply, StPush, StBad
  } state_e;

  state_e               state_d, state_q;
  logic [15:0]          index_d, index_q;
  logic [1:0]           beat_q;
  logic                 bad_d, bad_q, bad_ring_q;
  logic [3:0]           parts_q;  // rules that the last beat broke
  page_t                activations_q, results_q;
  logic [15:0]          groups_q, tile_rows_q, report_rows_q;
  vectors_t             vectors_q;
  logic                 irq_q, tight_q;
  page_t                weights_q [PORTS];
  logic [RowBits-1:0]   row_strips_q;
  beats_t               product_q, seg_beats_q;
  slices_t              slices;
  rows_count_t          result_rows;
  logic                 push, last_index;

  assign last_index = (17'(index_q) + 17'd1) >= 17'(ring_steps_i);
  assign push       = (state_q == StPush) & enable_i & (&seg_ready_i) & step_ready_i;

  // ---- the rules ----

  logic bad_now;

  // Each beat is looked at in parts, which come together in the next cycle.
  always_ff @(posedge clk_i) begin
    parts_q <= '0;
    if (beat_i && beat_q == 2'd0) begin
      parts_q[0] <= (beat_data_i[7:0] != 8'(DESC_VERSION)) |
                    (beat_data_i[15:8] != 8'(MACRO_STRIPS) &&
                     (Arithmetic != KV260 || beat_data_i[15:8] != 8'(TIGHT_STRIPS)));
      parts_q[1] <= (beat_data_i[31:17] != '0) |                               // flags but bit 0
                    (beat_data_i[47:32] == '0);                                // groups
      parts_q[2] <= (beat_data_i[47:32] > 16'(MaxGroups)) |
                    (beat_data_i[63:48] == '0);                                // tile rows
      parts_q[3] <= (beat_data_i[87:80] == '0) |                               // vectors
                    (beat_data_i[87:80] > 8'(Batch)) | (beat_data_i[127:88] != '0);
    end else if (beat_i) begin
      // An address is 4 KiB aligned and has 40 bits; a beat holds two.
      parts_q[0] <= beat_data_i[PAGE_BITS-1:0] != '0;
      parts_q[1] <= beat_data_i[63:ADDR_BITS] != '0;
      parts_q[2] <= beat_data_i[64+PAGE_BITS-1:64] != '0;
      parts_q[3] <= beat_data_i[127:64+ADDR_BITS] != '0;
    end
    // The registers stand long before the start.
    bad_ring_q <= (ring_base_i[5:0] != '0) | (ring_base_i[63:ADDR_BITS] != '0) | (ring_steps_i == '0);
  end

  assign bad_now = bad_q | (|parts_q);

  // ---- state ----

  always_comb begin
    state_d     = state_q;
    index_d     = index_q;
    bad_d       = bad_q;
    unique case (state_q)
      StRing: begin
        state_d = bad_ring_q ? StBad : StRequest;
      end
      StRequest: begin
        bad_d = 1'b0;
        if (rd_valid_o && rd_ready_i) state_d = StBeats;
      end
      StBeats: begin
        if (beat_i) begin
          if (beat_q == 2'd3) state_d = StMultiply;
        end
        bad_d = bad_now;
      end
      StMultiply: begin
        state_d = bad_now ? StBad : StPush;
      end
      StPush: begin
        if (push) begin
          state_d = StRequest;
          index_d = last_index ? '0 : index_q + 16'd1;
        end
      end
      default: ;  // StIdle, StBad: nothing until start or flush
    endcase
    if (start_i) begin
      state_d = StRing;
      index_d = '0;
    end
    if (flush_i) state_d = StIdle;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q <= StIdle;
      index_q <= '0;
      beat_q  <= '0;
      bad_q   <= 1'b0;
    end else begin
      state_q <= state_d;
      index_q <= index_d;
      bad_q   <= bad_d;
      if (state_q == StRequest) beat_q <= '0;
      else if (beat_i) beat_q <= beat_q + 2'd1;
    end
  end

  // Fields are kept as their beats pass by; the whole descriptor is never stored.
  always_ff @(posedge clk_i) begin
    if (beat_i) begin
      unique case (beat_q)
        2'd0: begin
          tight_q       <= beat_data_i[15:8] == 8'(TIGHT_STRIPS);
          irq_q         <= beat_data_i[16];
          groups_q      <= beat_data_i[47:32];
          tile_rows_q   <= beat_data_i[63:48];
          report_rows_q <= beat_data_i[79:64];
          vectors_q     <= beat_data_i[80 +: VECTOR_BITS];
        end
        2'd1: begin
          activations_q <= beat_data_i[ADDR_BITS-1:PAGE_BITS];
          results_q     <= beat_data_i[64+ADDR_BITS-1:64+PAGE_BITS];
        end
        2'd2: begin
          weights_q[0] <= beat_data_i[ADDR_BITS-1:PAGE_BITS];
          weights_q[1] <= beat_data_i[64+ADDR_BITS-1:64+PAGE_BITS];
        end
        2'd3: begin
          weights_q[2] <= beat_data_i[ADDR_BITS-1:PAGE_BITS];
          weights_q[3] <= beat_data_i[64+ADDR_BITS-1:64+PAGE_BITS];
        end
      endcase
    end
  end

  // ---- products of the fields, a stage a cycle: they come with the first of four beats, so all is there in StPush ----

  if (Arithmetic == KV260) begin : gen_row_strips
    // Format 2: a strip of zeros for every four macros that are begun.
    always_ff @(posedge clk_i) begin
      row_strips_q <= {groups_q[RowBits-5:0], 4'd0} +
                      (tight_q ? RowBits'(groups_q) + RowBits'((17'(groups_q) + 17'd3) >> 2) :
                                 RowBits'({groups_q, 1'b0}));
    end
  end else begin : gen_row_strips
    always_ff @(posedge clk_i) row_strips_q <= {groups_q[RowBits-5:0], 4'd0} + RowBits'({groups_q, 1'b0});
  end

  always_ff @(posedge clk_i) begin
    product_q   <= BEATS_BITS'(row_strips_q) * BEATS_BITS'(tile_rows_q);
    seg_beats_q <= product_q;
  end

  if (Batch == 1) begin : gen_vectors
    assign slices      = slices_t'(groups_q);
    assign result_rows = rows_count_t'(tile_rows_q);
  end else begin : gen_vectors
    slices_t     slices_q;
    rows_count_t result_rows_q;
    always_ff @(posedge clk_i) begin
      slices_q      <= slices_t'(groups_q) * slices_t'(vectors_q);
      result_rows_q <= rows_count_t'(tile_rows_q) * rows_count_t'(vectors_q);
    end
    assign slices      = slices_q;
    assign result_rows = result_rows_q;
  end

  assign rd_valid_o = (state_q == StRequest) & enable_i;
  assign rd_addr_o  = ring_base_i[ADDR_BITS-1:0] + {18'd0, index_q, 6'd0};

  assign seg_valid_o  = push;
  assign step_valid_o = push;
  assign step_o       = '{
    activations: activations_q,
    results:     results_q,
    groups:      groups_q,
    tile_rows:   tile_rows_q,
    report_rows: report_rows_q,
    vectors:     vectors_q,
    tight:       tight_q,
    slices:      slices,
    result_rows: result_rows,
    irq:         irq_q
  };
  assign seg_beats_o  = seg_beats_q;
  for (genvar p = 0; p < PORTS; p++) begin : gen_segment
    assign seg_addr_o[p*ADDR_BITS +: ADDR_BITS] = {weights_q[p], PAGE_BITS'(0)};
  end

  assign err_valid_o = (state_q == StRing && bad_ring_q) || (state_q == StMultiply && bad_now);
  assign err_index_o = index_q;

  if (MaxGroups < 1 || MaxGroups > 8192) begin : gen_bad_groups
    $fatal(1, "%m: MaxGroups must be 1..8192");
  end
  if (Batch < 1 || Batch > MAX_BATCH) begin : gen_bad_batch
    $fatal(1, "%m: Batch must be 1..16");
  end
  if (MACRO_STRIPS != 18 || TIGHT_STRIPS != 17) begin : gen_bad_strips
    $fatal(1, "%m: the length of a segment is computed for 18 or 17 strips a macro");
  end

`ifndef SYNTHESIS
  // A beat comes only while a descriptor is awaited.
  a_beat_expected : assert property (@(posedge clk_i) disable iff (!rst_ni || flush_i)
      beat_i |-> state_q == StBeats);
  // A request that is up stays until it is taken, unless the device halts.
  a_request_stable : assert property (@(posedge clk_i) disable iff (!rst_ni || flush_i || start_i)
      rd_valid_o && !rd_ready_i |=> !enable_i || (rd_valid_o && $stable(rd_addr_o)));
`endif

endmodule
