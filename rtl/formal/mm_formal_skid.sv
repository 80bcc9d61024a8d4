// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Proof of mm_skid.
//
// Assumed:  nothing but a reset in the first cycle; it may come again at any time. The sender need not hold its word.
// Proven:   no word is lost, doubled, changed or overtaken (mm_formal_track); an offered word stays as it is until it is taken;
//           the sender is refused only while two words are held; a word that goes in is offered in the next cycle.
// Method:   k-induction, so for runs of any length. Width 128; no bit is treated unlike another.

module mm_formal_skid #(
  parameter int unsigned WidthBits = 128
) (
  input logic                 clk_i,
  input logic                 rst_ni,
  input logic                 mark_i,
  input logic                 in_valid_i,
  input logic [WidthBits-1:0] in_data_i,
  input logic                 out_ready_i
);

  logic                 in_ready, out_valid, live, stalled_q, offered_q;
  logic [WidthBits-1:0] out_data, out_data_q, data;
  logic [2:0]           level, ahead;

  logic started_q = 1'b0;
  always_ff @(posedge clk_i) started_q <= 1'b1;
  always_comb if (!started_q) assume (!rst_ni);

  mm_skid #(.WidthBits(WidthBits)) dut (
    .clk_i, .rst_ni, .in_valid_i, .in_ready_o(in_ready), .in_data_i,
    .out_valid_o(out_valid), .out_ready_i, .out_data_o(out_data)
  );

  mm_formal_track #(.WidthBits(WidthBits), .Depth(2)) u_track (
    .clk_i, .clear_i(!rst_ni), .mark_i, .in_fire_i(in_valid_i && in_ready), .in_data_i,
    .out_valid_i(out_valid), .out_fire_i(out_valid && out_ready_i), .out_data_i(out_data),
    .level_o(level), .live_o(live), .ahead_o(ahead), .data_o(data)
  );

  always_ff @(posedge clk_i) begin
    stalled_q  <= rst_ni && out_valid && !out_ready_i;
    offered_q  <= rst_ni && in_valid_i && in_ready;
    out_data_q <= out_data;
  end

  always_comb begin
    if (started_q && rst_ni) begin
      a_stable: assert (!stalled_q || (out_valid && out_data == out_data_q));
      a_ready: assert (in_ready == (level != 3'd2));
      a_latency: assert (!offered_q || out_valid);
      // How the ghost lies in the registers.
      a_level: assert (level == 3'(dut.out_valid_q) + 3'(dut.skid_valid_q));
      a_order: assert (!dut.skid_valid_q || dut.out_valid_q);
      a_parked: assert (!(live && ahead == 3'd1) || dut.skid_data_q == data);

      c_parked_leaves: cover (live && ahead == 3'd1 && out_ready_i);
      c_stream: cover (offered_q && out_valid && out_ready_i && in_valid_i && in_ready);
    end
  end

endmodule
