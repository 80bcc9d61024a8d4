// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Counts the 16 slots (odd vector, channel) of a group through one stage of the term lanes.
//
// Latency:    slot 0 in the cycle after start_i.
// Throughput: a group every 16 cycles.
// Stalls:     none.

module mm_group_slots (
  /// Clock, rising edge.
  input  logic       clk_i,
  /// Reset, synchronous, active low.
  input  logic       rst_ni,
  /// Forget the group under way.
  input  logic       flush_i,
  /// The group's first slot is due in the next cycle.
  input  logic       start_i,
  /// slot_o is under way.
  output logic       valid_o,
  /// Slot: {odd, channel}.
  output logic [3:0] slot_o,
  /// The group's last slot is under way; 0 unless valid_o.
  output logic       last_o
);

  logic       valid_d, valid_q;
  logic [3:0] slot_d, slot_q;

  always_comb begin
    valid_d = valid_q;
    slot_d  = slot_q;
    if (valid_q) begin
      slot_d = slot_q + 4'd1;
      if (last_o) valid_d = 1'b0;
    end
    if (start_i) begin
      valid_d = 1'b1;
      slot_d  = 4'd0;
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni || flush_i) begin
      valid_q <= 1'b0;
      slot_q  <= 4'd0;
    end else begin
      valid_q <= valid_d;
      slot_q  <= slot_d;
    end
  end

  assign valid_o = valid_q;
  assign slot_o  = slot_q;
  assign last_o  = valid_q & (slot_q == 4'd15);

`ifndef SYNTHESIS
  // A group never overtakes the one before.
  a_no_overlap : assert property (@(posedge clk_i) disable iff (!rst_ni)
      start_i |-> !valid_q || last_o);
`endif

endmodule
