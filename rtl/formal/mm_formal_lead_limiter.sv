// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Proof of mm_lead_limiter.
//
// Assumed:  reset in the first cycle; a port asks only while it may (mm_formal_reader proves it of mm_axi_reader).
// Proven:   no port is ever more than MaxLead bursts ahead of another since the last clear; the port that has asked for the fewest may
//           ask, at the latest in the next cycle, so the four cannot lock each other up; go_o falls only by a burst of its own port.
// Method:   k-induction, MaxLead 4 as it is built, and 1.

module mm_formal_lead_limiter
  import mm_pkg::*;
#(
  parameter int unsigned MaxLead = 4
) (
  input logic             clk_i,
  input logic             rst_ni,
  input logic             clear_i,
  input logic [PORTS-1:0] issue_i
);

  logic [PORTS-1:0] go, go_q, issue_q;
  logic             clear_q;

  logic started_q = 1'b0;
  always_ff @(posedge clk_i) started_q <= 1'b1;
  always_comb begin
    if (!started_q) assume (!rst_ni);
    if (!clear_i) assume ((issue_i & ~go) == '0);
  end

  mm_lead_limiter #(.MaxLead(MaxLead)) dut (.clk_i, .rst_ni, .clear_i, .issue_i, .go_o(go));

  // Bursts of each port since the last clear, and how many cycles all were ahead.
  logic [PORTS-1:0][4:0] count_q;
  logic [4:0]            base_q;

  always_ff @(posedge clk_i) begin
    go_q    <= go;
    issue_q <= issue_i;
    clear_q <= !rst_ni || clear_i;
    if (!rst_ni || clear_i) begin
      count_q <= '0;
      base_q  <= '0;
    end else begin
      for (int p = 0; p < int'(PORTS); p++) count_q[p] <= count_q[p] + 5'(issue_i[p]);
      base_q <= base_q + 5'(dut.all_ahead);
    end
  end

  logic apart_ok, last_ok, unary_ok, sum_ok, all_least;
  logic [PORTS-1:0] least;

  always_comb begin
    apart_ok = 1'b1;
    unary_ok = 1'b1;
    sum_ok   = 1'b1;
    least    = '1;
    for (int p = 0; p < int'(PORTS); p++) begin
      // A lead in unary has no hole.
      if (((dut.lead_q[p] + MaxLead'(1)) & dut.lead_q[p]) != '0) unary_ok = 1'b0;
      if (count_q[p] != base_q + 5'($countones(dut.lead_q[p]))) sum_ok = 1'b0;
      for (int o = 0; o < int'(PORTS); o++) begin
        // As signed differences: a count moves by one a cycle, so five bits tell them.
        if (5'(count_q[p] - count_q[o]) > 5'(MaxLead) && 5'(count_q[o] - count_q[p]) > 5'(MaxLead)) apart_ok = 1'b0;
        if (5'(count_q[p] - count_q[o]) != '0 && 5'(count_q[p] - count_q[o]) <= 5'(MaxLead)) least[p] = 1'b0;
      end
    end
    last_ok   = (least & ~go) == '0 || dut.all_ahead;
    all_least = least == '1;
  end

  always_comb begin
    if (started_q && rst_ni) begin
      a_apart: assert (apart_ok);
      a_last_goes: assert (last_ok);
      a_falls: assert (clear_q || (go_q & ~go & ~issue_q) == '0);
      a_unary: assert (unary_ok);
      a_sum: assert (sum_ok);

      c_apart: cover (!go[0] && count_q[0] == count_q[1] + 5'(MaxLead) && count_q[2] == count_q[1] + 5'd1);
      c_together: cover (all_least && count_q[0] == 5'd2);
    end
  end

endmodule
