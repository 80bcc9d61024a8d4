// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// One 64-bit event counter.
//
// Latency:    1 cycle from an event to the count.
// Throughput: an event a cycle.
// Stalls:     none.

module mm_counter (
  /// Clock, rising edge.
  input  logic        clk_i,
  /// Reset, synchronous, active low.
  input  logic        rst_ni,
  /// Count is 0 again; wins over an event.
  input  logic        clear_i,
  /// An event in this cycle.
  input  logic        event_i,
  /// Events since reset or clear.
  output logic [63:0] count_o
);

  logic [63:0] count_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear_i) count_q <= '0;
    else if (event_i) count_q <= count_q + 64'd1;
  end

  assign count_o = count_q;

endmodule
