// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Hands the results of a tile out, one vector a transfer. Two tiles fit into the lanes' result memories:
// while one is read, the next is computed.
//
// Latency:    12 cycles from tile_done_i to result_valid_o.
// Throughput: a vector every 8 cycles, if results are taken within 4 cycles; a cycle more from tile to tile.
// Stalls:     free_o = 0 while both halves are in use; depends on registers only. result_valid_o and
//             result_data_o come from registers.
// Numerics:   a vector marked at the end of its tile has 7FC00000 everywhere.
//
//   lanes --[rd_data]--[1 of Lanes, mark]--[ 8 words ]--[ output register ]-->

module mm_group_results #(
  /// Vectors, 1..16.
  parameter int unsigned  Batch   = 8,
  localparam int unsigned VecBits = $clog2(Batch + 1),
  localparam int unsigned Lanes   = (Batch + 1) / 2
) (
  /// Clock, rising edge.
  input  logic                clk_i,
  /// Reset, synchronous, active low.
  input  logic                rst_ni,
  /// Forget everything.
  input  logic                flush_i,

  /// The last strip of a tile is taken; only while free_o.
  input  logic                tile_end_i,
  /// Its vectors, 1..Batch.
  input  logic [VecBits-1:0]  vectors_i,
  /// Its marks, one a vector.
  input  logic [Batch-1:0]    nan_i,
  /// A half is free.
  output logic                free_o,
  /// The results of the oldest tile under way are all in the memories; pulse.
  input  logic                tile_done_i,
  /// Half in which they were written.
  output logic                wr_bank_o,

  /// Read the lanes' memories.
  output logic [Lanes-1:0]    rd_en_o,
  /// Place: {bank, odd, channel}.
  output logic [4:0]          rd_addr_o,
  /// What was read, lane l at bits 32l, the cycle after.
  input  logic [Lanes*32-1:0] rd_data_i,

  /// The results of a vector are offered.
  output logic                result_valid_o,
  /// They are taken at this edge.
  input  logic                result_ready_i,
  /// 8 FP32 results, output channel c at bits 32c.
  output logic [255:0]        result_data_o
);

  // ---- halves: begun in order, done in order, read in order ----
  logic [1:0]         used_d, used_q, done_d, done_q;
  logic               begin_q, write_q, read_q;
  logic [VecBits-1:0] vectors_q [2];
  logic [Batch-1:0]   nan_q [2];
  logic               read_end;

  always_comb begin
    used_d = used_q;
    done_d = done_q;
    if (read_end) begin
      used_d[read_q] = 1'b0;
      done_d[read_q] = 1'b0;
    end
    if (tile_end_i) used_d[begin_q] = 1'b1;
    if (tile_done_i) done_d[write_q] = 1'b1;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni || flush_i) begin
      used_q  <= 2'b00;
      done_q  <= 2'b00;
      begin_q <= 1'b0;
      write_q <= 1'b0;
      read_q  <= 1'b0;
    end else begin
      used_q  <= used_d;
      done_q  <= done_d;
      begin_q <= begin_q ^ tile_end_i;
      write_q <= write_q ^ tile_done_i;
      read_q  <= read_q ^ read_end;
    end
  end

  always_ff @(posedge clk_i) begin
    if (tile_end_i) begin
      vectors_q[begin_q] <= vectors_i;
      nan_q[begin_q]     <= nan_i;
    end
  end

  assign free_o    = ~used_q[begin_q];
  assign wr_bank_o = write_q;

  // ---- read: 8 words a vector; at most two vectors between here and the receiver ----
  logic               busy_d, busy_q;
  logic [2:0]         channel_q;
  logic [VecBits-1:0] vector_d, vector_q;
  logic [1:0]         ahead_d, ahead_q;
  logic               begin_vector, vector_end, taken;

  assign taken        = result_valid_o & result_ready_i;
  // The vector before the last one must have gone, then there is room for this one when it comes.
  assign begin_vector = done_q[read_q] & (~busy_q | (vector_end & ~read_end)) & ~ahead_q[1];
  assign vector_end   = busy_q & (channel_q == 3'd7);
  assign read_end     = vector_end & (vector_d == vectors_q[read_q]);

  always_comb begin
    busy_d   = busy_q;
    vector_d = vector_q + VecBits'(1);
    ahead_d  = ahead_q - 2'(taken);
    if (vector_end) busy_d = 1'b0;
    if (begin_vector) begin
      busy_d  = 1'b1;
      ahead_d = ahead_q + 2'd1 - 2'(taken);
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni || flush_i) begin
      busy_q    <= 1'b0;
      channel_q <= 3'd0;
      vector_q  <= '0;
      ahead_q   <= 2'd0;
    end else begin
      busy_q  <= busy_d;
      ahead_q <= ahead_d;
      if (busy_q) channel_q <= channel_q + 3'd1;
      if (vector_end) vector_q <= read_end ? '0 : vector_d;
    end
  end

  // The vector counted in lanes and parity; for Batch 1 there is neither.
  logic [4:0] vector;

  assign vector    = 5'(vector_q);
  assign rd_addr_o = {read_q, vector[0], channel_q};

  always_comb begin
    rd_en_o = '0;
    for (int l = 0; l < int'(Lanes); l++) begin
      rd_en_o[l] = busy_q && (vector[4:1] == 4'(l));
    end
  end

  // ---- one cycle later: the word; 8 of them are a transfer ----
  logic         word_q, word_end_q, marked, marked_q, full_q;
  logic [3:0]   lane_q;
  logic [31:0]  word;
  logic [255:0] words_q, result_q;
  logic         result_valid_q;

  always_comb begin
    marked = 1'b0;
    for (int v = 0; v < int'(Batch); v++) begin
      if (vector_q == VecBits'(v)) marked = nan_q[read_q][v];
    end
  end

  always_comb begin
    word = '0;
    for (int l = 0; l < int'(Lanes); l++) begin
      if (lane_q == 4'(l)) word = word | rd_data_i[32*l+:32];
    end
    if (marked_q) word = 32'h7fc0_0000;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni || flush_i) begin
      word_q         <= 1'b0;
      word_end_q     <= 1'b0;
      full_q         <= 1'b0;
      result_valid_q <= 1'b0;
    end else begin
      word_q         <= busy_q;
      word_end_q     <= vector_end;
      full_q         <= word_end_q | (full_q & result_valid_q & ~result_ready_i);
      result_valid_q <= full_q | (result_valid_q & ~result_ready_i);
    end
  end

  always_ff @(posedge clk_i) begin
    if (busy_q) begin
      lane_q   <= vector[4:1];
      marked_q <= marked;
    end
    if (word_q) words_q <= {word, words_q[255:32]};
    if (full_q && (!result_valid_q || result_ready_i)) result_q <= words_q;
  end

  assign result_valid_o = result_valid_q;
  assign result_data_o  = result_q;

`ifndef SYNTHESIS
  // A result that is offered stays offered and unchanged until it is taken or flushed.
  a_result_stable : assert property (@(posedge clk_i) disable iff (!rst_ni)
      result_valid_o && !result_ready_i && !flush_i |=> result_valid_o && $stable(result_data_o));
  // A tile begins only in a free half.
  a_half_free : assert property (@(posedge clk_i) disable iff (!rst_ni)
      tile_end_i |-> free_o);
  // A tile is done only after it has begun.
  a_done_begun : assert property (@(posedge clk_i) disable iff (!rst_ni)
      tile_done_i |-> used_q[write_q] && !done_q[write_q]);
  // Eight words that wait for the output register are not pushed out by the next ones.
  a_words_kept : assert property (@(posedge clk_i) disable iff (!rst_ni)
      full_q && result_valid_q && !result_ready_i |-> !word_q);
`endif

endmodule
