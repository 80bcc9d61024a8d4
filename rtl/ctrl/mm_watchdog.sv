// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Watchdog: counts cycles in which released work is left and nothing moves.
//
// Latency:    expired_o comes 2 cycles after the limit-th such cycle in a row.
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

  // What moved is known late in a cycle, so it is looked at in the next one.
  logic        moved_q, armed_q, expired_q;
  logic [31:0] count_q, last_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      moved_q   <= 1'b1;
      armed_q   <= 1'b0;
      count_q   <= '0;
      expired_q <= 1'b0;
    end else begin
      moved_q   <= ~busy_i | progress_i;
      armed_q   <= limit_i != '0;
      count_q   <= moved_q ? '0 : count_q + 32'd1;
      expired_q <= armed_q & ~moved_q & (count_q >= last_q);
    end
  end

  always_ff @(posedge clk_i) last_q <= limit_i - 32'd1;

  assign expired_o = expired_q;

endmodule
