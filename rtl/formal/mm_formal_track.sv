// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Ghost of a queue: follows one word, chosen freely by the solver, from where it goes in to where it comes out. What holds for any
// one word holds for every word, so: nothing is lost, doubled, changed or overtaken.
//
//   in --> [ .. level_o words .. , tracked word (live_o), ahead_o words before it ] --> out
//
// The harness adds what ties the ghost to the registers of the block; without that no induction would close.

module mm_formal_track #(
  /// Width of a word, bits.
  parameter int unsigned WidthBits = 8,
  /// Words that the block may hold, at most.
  parameter int unsigned Depth     = 4,
  /// Derived; do not set.
  localparam int unsigned LevelBits = $clog2(Depth + 1) + 1
) (
  /// Clock, rising edge.
  input  logic                 clk_i,
  /// All words are forgotten: reset or flush.
  input  logic                 clear_i,
  /// Free: follow the word that goes in now.
  input  logic                 mark_i,
  /// A word goes in.
  input  logic                 in_fire_i,
  /// The word.
  input  logic [WidthBits-1:0] in_data_i,
  /// A word is offered at the output.
  input  logic                 out_valid_i,
  /// It is taken.
  input  logic                 out_fire_i,
  /// The word.
  input  logic [WidthBits-1:0] out_data_i,
  /// Words inside.
  output logic [LevelBits-1:0] level_o,
  /// The tracked word is inside.
  output logic                 live_o,
  /// Words before it.
  output logic [LevelBits-1:0] ahead_o,
  /// The tracked word.
  output logic [WidthBits-1:0] data_o
);

  logic started_q = 1'b0;
  always_ff @(posedge clk_i) started_q <= 1'b1;

  always_ff @(posedge clk_i) begin
    if (clear_i) begin
      level_o <= '0;
      live_o  <= 1'b0;
    end else begin
      level_o <= level_o + LevelBits'(in_fire_i) - LevelBits'(out_fire_i);
      if (!live_o) begin
        live_o  <= mark_i & in_fire_i;
        ahead_o <= level_o - LevelBits'(out_fire_i);
        data_o  <= in_data_i;
      end else if (out_fire_i) begin
        live_o  <= ahead_o != '0;
        ahead_o <= ahead_o - LevelBits'(1);
      end
    end
  end

  always_comb begin
    if (started_q && !clear_i) begin
      // Never more words than there is room for; none comes out that did not go in.
      a_level: assert (level_o <= LevelBits'(Depth));
      a_none_invented: assert (!out_valid_i || level_o != '0);
      // The tracked word is one of those inside, and comes out as it went in, in its turn.
      a_inside: assert (!live_o || ahead_o < level_o);
      a_same: assert (!(live_o && ahead_o == '0 && out_valid_i) || out_data_i == data_o);
    end
  end

endmodule
