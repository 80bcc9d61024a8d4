// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Lead limiter: keeps readers together that fill FIFOs at their own pace, so that their streams meet the memory's banks in the
// order for which their segments were placed (docs/memory.md). None may ask for its next burst when it is MaxLead bursts
// ahead of the one that has asked for the fewest.
//
// Latency:    a burst that is asked for counts in the next cycle, for the others in the one after.
// Throughput: a burst a cycle on every port.
// Stalls:     go_o comes from a register, and falls only by a burst of its own port.
//
// All ports get the same number of bursts (equal segments, all 4 KiB aligned), so the last one always has something to ask
// for while another waits for it. Each port keeps its lead in unary; a cycle in which all have some takes one from each:
//
//   port 0  1 1 0 0     port 1  1 1 1 1 (may not go)     port 2  1 0 0 0     port 3  0 0 0 0 (the last)

module mm_lead_limiter
  import mm_pkg::*;
#(
  /// Bursts by which a port may be ahead, >= 1.
  parameter int unsigned MaxLead = 4
) (
  /// Clock, rising edge.
  input  logic             clk_i,
  /// Reset, synchronous, active low.
  input  logic             rst_ni,
  /// Nobody is ahead any more: the readers drain; a level.
  input  logic             clear_i,
  /// Port p asks for a burst now; never without go_o.
  input  logic [PORTS-1:0] issue_i,
  /// Port p may ask for a burst.
  output logic [PORTS-1:0] go_o
);

  if (MaxLead < 1) begin : gen_bad_lead
    $fatal(1, "%m: MaxLead must be >= 1");
  end

  logic [PORTS-1:0][MaxLead-1:0] lead_q;
  logic [PORTS-1:0]              some;
  logic                          all_ahead;

  for (genvar p = 0; p < PORTS; p++) begin : gen_port
    assign some[p] = lead_q[p][0];
    assign go_o[p] = ~lead_q[p][MaxLead-1];

    always_ff @(posedge clk_i) begin
      if (!rst_ni || clear_i) begin
        lead_q[p] <= '0;
      end else if (issue_i[p] && !all_ahead) begin
        lead_q[p] <= MaxLead'({lead_q[p], 1'b1});
      end else if (!issue_i[p] && all_ahead) begin
        lead_q[p] <= lead_q[p] >> 1;
      end
    end
  end

  assign all_ahead = &some;

`ifndef SYNTHESIS
  // Counted apart from the above: bursts asked for by each port since the last clear.
  logic [PORTS-1:0][31:0] count_q;

  for (genvar p = 0; p < PORTS; p++) begin : gen_count
    always_ff @(posedge clk_i) begin
      if (!rst_ni || clear_i) count_q[p] <= '0;
      else count_q[p] <= count_q[p] + 32'(issue_i[p]);
    end

    for (genvar other = 0; other < PORTS; other++) begin : gen_other
      // No port is more than MaxLead bursts ahead of another.
      a_lead : assert property (@(posedge clk_i) disable iff (!rst_ni)
          count_q[p] - count_q[other] <= 32'(MaxLead) || count_q[other] - count_q[p] < 32'h8000_0000);
    end

    // A port asks only when it may.
    a_may : assert property (@(posedge clk_i) disable iff (!rst_ni)
        issue_i[p] && !clear_i |-> go_o[p]);
  end
  // A port that waits, waits for another: the last one may go, now or in the next cycle.
  a_last_goes : assert property (@(posedge clk_i) disable iff (!rst_ni)
      (|go_o) || all_ahead);
`endif

endmodule
