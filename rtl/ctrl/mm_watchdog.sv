// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Watchdog: counts cycles in which released work is left and nothing moves.
//
// Latency:    expired_o comes in the limit-th such cycle in a row.
// Throughput: -
// Stalls:     none.

module mm_watchdog (
  /// Clock, rising edge.
  input  logic        clk_i,
  /// Reset, synchronous, active low.
  input  logic        rst_ni,
  /// Released steps are not complete.
  input  logic        busy_i,
  /// A strip was taken or a beat moved on any port.
  input  logic        progress_i,
  /// Cycles allowed; 0 = off.
  input  logic [31:0] limit_i,
  /// The limit is reached.
  output logic        expired_o
);

  logic [31:0] count_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) count_q <= '0;
    else if (!busy_i || progress_i) count_q <= '0;
    else count_q <= count_q + 32'd1;
  end

  assign expired_o = busy_i & ~progress_i & (limit_i != '0) & (count_q >= limit_i - 32'd1);

endmodule
