// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Testbench only: a sender that breaks the stream rule on purpose, in front of a register slice whose
// assertion must notice. Proves that a violated assertion fails a run; see tests/tests/harness_skid_fifo.rs.
//
// Latency: as mm_skid. Throughput: as mm_skid. Stalls: as mm_skid.

module mm_tb_violation (
  /// Clock, rising edge.
  input  logic       clk_i,
  /// Reset, synchronous, active low.
  input  logic       rst_ni,
  /// 1: change the payload in the middle of a stall (the planted violation).
  input  logic       break_payload_i,
  /// 1: call $fatal at the next edge.
  input  logic       call_fatal_i,
  /// Receiver takes the word.
  input  logic       out_ready_i,
  /// A word is offered.
  output logic       out_valid_o,
  /// Word offered.
  output logic [7:0] out_data_o
);

  logic       in_ready;
  logic [7:0] data_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) data_q <= '0;
    else if (in_ready || break_payload_i) data_q <= data_q + 8'd1;
  end

  mm_skid #(
    .WidthBits(8)
  ) u_skid (
    .clk_i,
    .rst_ni,
    .in_valid_i (1'b1),
    .in_ready_o (in_ready),
    .in_data_i  (data_q),
    .out_valid_o,
    .out_ready_i,
    .out_data_o
  );

  // A fatal error in the RTL must end the test, not the process.
  always_ff @(posedge clk_i) begin
    if (rst_ni && call_fatal_i) $fatal(1, "planted fatal error");
  end

endmodule
