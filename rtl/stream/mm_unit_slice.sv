// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Register slice before a unit of exact group sums: its strip and the activations of all vectors. mm_skid, but the activations move only with strips of
// weights, and only those of vectors that the step has.
//
// Latency:    1 cycle.
// Throughput: a strip a cycle.
// Stalls:     in_ready_o and out_valid_o come from registers. Holds two strips.

module mm_unit_slice
#(
  /// Activation vectors that share a pass, 1..16.
  parameter int unsigned Batch     = 8,
  /// Width of a strip and what goes with it, bits.
  parameter int unsigned StripBits = 136
) (
  /// Clock, rising edge.
  input  logic                 clk_i,
  /// Reset, synchronous, active low.
  input  logic                 rst_ni,
  /// Forget everything.
  input  logic                 flush_i,
  /// A strip comes.
  input  logic                 in_valid_i,
  /// It is taken; registered.
  output logic                 in_ready_o,
  /// The strip and what goes with each.
  input  logic [StripBits-1:0] in_strip_i,
  /// It holds weights.
  input  logic                 in_weight_i,
  /// Its step has vector v: bit v.
  input  logic [Batch-1:0]     in_active_i,
  /// Activations and exponent of vector v at bits 72v; only with weights.
  input  logic [Batch*72-1:0]  in_acts_i,
  /// Vectors that hold a NaN or an infinity; only with weights.
  input  logic [Batch-1:0]     in_nan_i,
  /// A strip is there; registered.
  output logic                 out_valid_o,
  /// It is taken.
  input  logic                 out_ready_i,
  /// The strip and what goes with each.
  output logic [StripBits-1:0] out_strip_o,
  /// Activations and exponents; those of a vector that the step does not have stay as they are.
  output logic [Batch*72-1:0]  out_acts_o,
  /// Vectors that hold a NaN or an infinity.
  output logic [Batch-1:0]     out_nan_o
);

  logic                 out_valid_q, skid_valid_q, in_fire, out_free;
  logic                 skid_weight_q;
  logic [StripBits-1:0] out_strip_q, skid_strip_q;
  logic [Batch-1:0]     out_nan_q, skid_nan_q;

  assign in_fire  = in_valid_i & in_ready_o;
  assign out_free = ~out_valid_q | out_ready_i;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || flush_i) begin
      out_valid_q  <= 1'b0;
      skid_valid_q <= 1'b0;
    end else begin
      out_valid_q  <= out_free ? skid_valid_q | in_fire : 1'b1;
      skid_valid_q <= ~out_free & (skid_valid_q | in_fire);
    end
  end

  always_ff @(posedge clk_i) begin
    if (out_free && (skid_valid_q || in_fire)) begin
      out_strip_q <= skid_valid_q ? skid_strip_q : in_strip_i;
      out_nan_q   <= skid_valid_q ? skid_nan_q : in_nan_i;
    end
    if (in_fire && !out_free) begin
      skid_strip_q  <= in_strip_i;
      skid_weight_q <= in_weight_i;
      skid_nan_q    <= in_nan_i;
    end
  end

  for (genvar v = 0; v < Batch; v++) begin : gen_vector
    logic [71:0] out_q, skid_q;

    // A parked strip is of the same step or the one before: its vector's bits are only wanted if either has it.
    always_ff @(posedge clk_i) begin
      if (out_free && skid_valid_q && skid_weight_q) out_q <= skid_q;
      else if (out_free && !skid_valid_q && in_fire && in_weight_i && in_active_i[v]) begin
        out_q <= in_acts_i[72*v +: 72];
      end
      if (in_fire && !out_free && in_weight_i && in_active_i[v]) skid_q <= in_acts_i[72*v +: 72];
    end

    assign out_acts_o[72*v +: 72] = out_q;
  end

  assign in_ready_o  = ~skid_valid_q;
  assign out_valid_o = out_valid_q;
  assign out_strip_o = out_strip_q;
  assign out_nan_o   = out_nan_q;

`ifndef SYNTHESIS
  // A strip that is offered to the unit stays offered and unchanged until it is taken or flushed.
  a_out_stable : assert property (@(posedge clk_i) disable iff (!rst_ni || flush_i)
      out_valid_o && !out_ready_i |=> flush_i || (out_valid_o && $stable(out_strip_o) && $stable(out_acts_o)));
  // The second register is only ever filled behind the first.
  a_skid_behind_out : assert property (@(posedge clk_i) disable iff (!rst_ni || flush_i)
      skid_valid_q |-> out_valid_q);
`endif

endmodule
