// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Activation loader for exact group sums: fetches the activations of a step, has them converted, writes the words into the next bank of the
// buffers, vector after vector of each group, and says how many groups are there for all vectors.
//
// Latency:    1 cycle from an accepted step to rd_valid_o; a group is announced 2 cycles after its last word.
// Throughput: a word a cycle.
// Stalls:     a step is taken when the last load is complete and a bank is free; beats and words are always taken.
//
// Banks are used in turn. used_q counts those that are loading, loaded or being read.

module mm_group_loader
  import mm_pkg::*;
#(
  /// Activation vectors that share a pass, 1..16.
  parameter  int unsigned Batch     = 8,
  /// Groups that a bank holds, >= 1.
  parameter  int unsigned MaxGroups = 128,
  /// Derived; do not set. Address of a word within a bank.
  localparam int unsigned WordBits  = $clog2(MaxGroups * ACT_BEATS),
  /// Derived; do not set. Holds 0..MaxGroups.
  localparam int unsigned GroupBits = $clog2(MaxGroups + 1)
) (
  /// Clock, rising edge.
  input  logic                  clk_i,
  /// Reset, synchronous, active low.
  input  logic                  rst_ni,
  /// Forget everything: both banks are free.
  input  logic                  flush_i,

  /// A step's activations are to be loaded.
  input  logic                  cmd_valid_i,
  /// The step is taken; registered.
  output logic                  cmd_ready_o,
  /// Where they lie (4 KiB page).
  input  page_t                 cmd_page_i,
  /// How many groups, 1..MaxGroups.
  input  logic [15:0]           cmd_groups_i,
  /// How many vectors, 1..Batch.
  input  vectors_t              cmd_vectors_i,
  /// Their product.
  input  slices_t               cmd_slices_i,

  /// A read is wanted.
  output logic                  rd_valid_o,
  /// It is taken.
  input  logic                  rd_ready_i,
  /// Its address.
  output logic [ADDR_BITS-1:0]  rd_addr_o,
  /// Its length, beats.
  output logic [BEATS_BITS-1:0] rd_beats_o,

  /// A converted word comes now (it goes to the buffers directly).
  input  logic                  word_valid_i,
  /// It is the last of its slice.
  input  logic                  word_last_i,
  /// Its slice holds a NaN or an infinity.
  input  logic                  word_nan_i,
  /// Write it into the buffer of vector v: bit v.
  output logic [Batch-1:0]      wr_en_o,
  /// Into this bank.
  output logic                  wr_bank_o,
  /// At this place.
  output logic [WordBits-1:0]   wr_word_o,

  /// The oldest bank in use is free again; pulse.
  input  logic                  release_i,
  /// Bank of the latest load; every other bank in use is complete.
  output logic                  fill_bank_o,
  /// Groups of that load that can be read.
  output logic [GroupBits-1:0]  fill_groups_o,
  /// Vectors of either bank that hold a NaN or an infinity: bank b at bits b * Batch; complete when the bank is.
  output logic [2*Batch-1:0]    nan_o,
  /// A NaN or an infinity has come; pulse.
  output logic                  nan_seen_o
);

  if (Batch < 1 || Batch > MAX_BATCH) begin : gen_bad_batch
    $fatal(1, "%m: Batch must be 1..16");
  end
  if (MaxGroups < 1) begin : gen_bad_groups
    $fatal(1, "%m: MaxGroups must be >= 1");
  end

  logic                      busy_d, busy_q;
  logic                      want_d, want_q;
  logic                      bank_d, bank_q;
  logic [1:0]                used_d, used_q;
  logic [Batch-1:0]          vector_d, vector_q;  // one bit: the vector whose slice comes
  vectors_t                  vector_left_d, vector_left_q;
  logic [WordBits-1:0]       word_d, word_q;      // first word of the group and number of the word in it
  logic [GroupBits-1:0]      groups_d, groups_q;
  logic [GroupBits-1:0]      total_q;
  vectors_t                  vectors_q;
  logic [1:0][Batch-1:0]     nan_d, nan_q;
  logic                      group_done_q;
  page_t                     page_q;
  slices_t                   slices_q;
  logic                      take, slice_ends, group_ends;

  assign cmd_ready_o = ~busy_q & (used_q != 2'd2);
  assign take        = cmd_valid_i & cmd_ready_o;
  assign slice_ends  = word_valid_i & word_last_i;
  assign group_ends  = slice_ends & (vector_left_q == vectors_t'(1));

  always_comb begin
    busy_d        = busy_q;
    want_d        = want_q & ~rd_ready_i;
    bank_d        = bank_q;
    used_d        = used_q + 2'(take) - 2'(release_i);
    vector_d      = vector_q;
    vector_left_d = vector_left_q;
    word_d        = word_q;
    groups_d      = groups_q;
    nan_d         = nan_q;
    if (word_valid_i) begin
      word_d = word_q + WordBits'(1);
      if (word_nan_i) nan_d[bank_q] = nan_q[bank_q] | vector_q;
    end
    if (slice_ends) begin
      // The next vector's slice goes to the same places of its own buffer.
      word_d        = {word_q[WordBits-1:4], 4'd0};
      vector_d      = vector_q << 1;
      vector_left_d = vector_left_q - vectors_t'(1);
    end
    if (group_ends) begin
      word_d        = word_q + WordBits'(1);
      vector_d      = Batch'(1);
      vector_left_d = vectors_q;
    end
    if (group_done_q) begin
      groups_d = groups_q + GroupBits'(1);
      if (groups_d == total_q) busy_d = 1'b0;
    end
    if (take) begin
      busy_d        = 1'b1;
      want_d        = 1'b1;
      bank_d        = ~bank_q;
      vector_d      = Batch'(1);
      vector_left_d = cmd_vectors_i;
      word_d        = '0;
      groups_d      = '0;
      nan_d[bank_d] = '0;
    end
    if (flush_i) begin
      busy_d   = 1'b0;
      want_d   = 1'b0;
      bank_d   = 1'b1;
      used_d   = '0;
      groups_d = '0;
    end
  end

  // The bank starts at 1, so that the first step gets bank 0.
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      busy_q       <= 1'b0;
      want_q       <= 1'b0;
      bank_q       <= 1'b1;
      used_q       <= '0;
      groups_q     <= '0;
      group_done_q <= 1'b0;
    end else begin
      busy_q       <= busy_d;
      want_q       <= want_d;
      bank_q       <= bank_d;
      used_q       <= used_d;
      groups_q     <= groups_d;
      group_done_q <= group_ends & ~flush_i;
    end
  end

  always_ff @(posedge clk_i) begin
    vector_q      <= vector_d;
    vector_left_q <= vector_left_d;
    word_q        <= word_d;
    nan_q         <= nan_d;
    if (take) begin
      page_q    <= cmd_page_i;
      slices_q  <= cmd_slices_i;
      vectors_q <= cmd_vectors_i;
      total_q   <= GroupBits'(cmd_groups_i);
    end
  end

  assign rd_valid_o    = want_q;
  assign rd_addr_o     = {page_q, PAGE_BITS'(0)};
  assign rd_beats_o    = BEATS_BITS'({slices_q, 4'd0});
  assign wr_en_o       = word_valid_i ? vector_q : '0;
  assign wr_bank_o     = bank_q;
  assign wr_word_o     = word_q;
  assign fill_bank_o   = bank_q;
  assign fill_groups_o = groups_q;
  assign nan_o         = nan_q;
  assign nan_seen_o    = word_valid_i & word_nan_i;

  if (ACT_BEATS != 16) begin : gen_bad_beats
    $fatal(1, "%m: a slice has 16 beats");
  end

`ifndef SYNTHESIS
  // A word comes only while a load is under way.
  a_word_expected : assert property (@(posedge clk_i) disable iff (!rst_ni || flush_i)
      word_valid_i |-> busy_q);
  // A step fits into a bank, and its slices are its groups times its vectors.
  a_fits : assert property (@(posedge clk_i) disable iff (!rst_ni)
      take |-> cmd_groups_i != '0 && cmd_groups_i <= 16'(MaxGroups) && cmd_vectors_i != '0 &&
               cmd_vectors_i <= vectors_t'(Batch) &&
               cmd_slices_i == slices_t'(cmd_groups_i) * slices_t'(cmd_vectors_i));
  // Only a bank in use is freed.
  a_release : assert property (@(posedge clk_i) disable iff (!rst_ni)
      release_i |-> used_q != '0);
`endif

endmodule
