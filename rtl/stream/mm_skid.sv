// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Register slice (skid buffer): cuts every combinational path of a valid/ready stream.
//
// Latency:    1 cycle from an accepted word to out_valid_o.
// Throughput: 1 word a cycle, also while the receiver stalls now and then.
// Stalls:     in_ready_o and out_valid_o come straight from registers; no combinational path from any
//             input to any output. Holds two words: one at the output, one that was under way when
//             the receiver stalled.

module mm_skid #(
  /// Width of the payload, bits, >= 1.
  parameter int unsigned WidthBits = 32
) (
  /// Clock, rising edge.
  input  logic                 clk_i,
  /// Reset, synchronous, active low.
  input  logic                 rst_ni,
  /// Sender offers a word.
  input  logic                 in_valid_i,
  /// This slice takes a word; registered.
  output logic                 in_ready_o,
  /// Word offered.
  input  logic [WidthBits-1:0] in_data_i,
  /// A word is offered to the receiver; registered.
  output logic                 out_valid_o,
  /// Receiver takes the word.
  input  logic                 out_ready_i,
  /// Word offered to the receiver; registered, stable while stalled.
  output logic [WidthBits-1:0] out_data_o
);

  if (WidthBits < 1) begin : gen_bad_width
    $fatal(1, "%m: WidthBits must be >= 1");
  end

  logic                 out_valid_d, out_valid_q;
  logic                 skid_valid_d, skid_valid_q;
  logic [WidthBits-1:0] out_data_q, skid_data_q;
  logic                 in_fire, out_free;

  assign in_fire  = in_valid_i & in_ready_o;
  assign out_free = ~out_valid_q | out_ready_i;

  always_comb begin
    out_valid_d  = out_valid_q;
    skid_valid_d = skid_valid_q;
    if (out_free) begin
      // A parked word goes first; while one is parked in_ready_o is low, so nothing can overtake it.
      out_valid_d  = skid_valid_q | in_fire;
      skid_valid_d = 1'b0;
    end else if (in_fire) begin
      skid_valid_d = 1'b1;
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      out_valid_q  <= 1'b0;
      skid_valid_q <= 1'b0;
    end else begin
      out_valid_q  <= out_valid_d;
      skid_valid_q <= skid_valid_d;
    end
  end

  // Payload carries no meaning without its valid bit, so it needs no reset.
  always_ff @(posedge clk_i) begin
    if (out_free) out_data_q <= skid_valid_q ? skid_data_q : in_data_i;
    if (in_ready_o) skid_data_q <= in_data_i;
  end

  assign in_ready_o  = ~skid_valid_q;
  assign out_valid_o = out_valid_q;
  assign out_data_o  = out_data_q;

`ifndef SYNTHESIS
  // A word that the sender offers stays offered and unchanged until it is taken.
  a_in_stable : assert property (@(posedge clk_i) disable iff (!rst_ni)
      in_valid_i && !in_ready_o |=> in_valid_i && $stable(in_data_i));
  // A word that is offered to the receiver stays offered and unchanged until it is taken.
  a_out_stable : assert property (@(posedge clk_i) disable iff (!rst_ni)
      out_valid_o && !out_ready_i |=> out_valid_o && $stable(out_data_o));
  // The second register is only ever filled behind the first.
  a_skid_behind_out : assert property (@(posedge clk_i) disable iff (!rst_ni)
      skid_valid_q |-> out_valid_q);
`endif

endmodule
