// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Proof of mm_dsp_mac2: two sums of products in one cascade are exact.
//
// Assumed:  that the multiplier multiplies. Its output is cut open: in each row it may be any X1 * 2^22 + X0 with |X0|, |X1| <= 15 * 32768. That is
//           what (D1 * 2^22 + D0) * M is for integers, in 45 bits, which hold every product of 27 by 18.
// Proven:   for every weight, zero and mantissa the multiplier's inputs are D1 * 2^22 + D0, with D = weight - zero, and M of the same cycle, sign
//           extended; in a column of four rows (the deepest there is) the fields of the sum, read as the header says (low: bits 21..0, signed;
//           high: bits 43..22 plus bit 21), are the two sums of the rows' own products, without overflow; en_i = 0 holds everything.
// Method:   k-induction, the same for both sources of the module: the twin that is simulated, and the instance of DSP48E2 that is synthesized, with
//           the primitive as UG579 describes it (mm_formal_dsp48e2). So the two are equal, as far as the manual was read rightly.

// The registers of a row: in the primitive's model, or in the twin.
`ifdef SYNTHESIS
`define ROW dut.u_dsp
`else
`define ROW dut
`endif

module mm_formal_mac2 (
  input logic               clk_i,
  input logic               en_i,
  input logic [3:0][7:0]    weights_i,
  input logic [3:0][7:0]    zeros_i,
  input logic [3:0][15:0]   mant_i,
  input logic [3:0][20:0]   x0_i,
  input logic [3:0][20:0]   x1_i
);

  localparam logic signed [20:0] Most = 21'sd491520;  // 15 * 32768

  logic started_q = 1'b0;
  always_ff @(posedge clk_i) started_q <= 1'b1;

  logic [4:0][47:0] cascade;
  logic [3:0][47:0] sum;
  assign cascade[0] = 48'd0;

  for (genvar r = 0; r < 4; r++) begin : gen_row
    mm_dsp_mac2 #(.Cascade(r != 0)) dut (
      .clk_i, .en_i, .weights_i(weights_i[r]), .zeros_i(zeros_i[r]), .mant_i(mant_i[r]), .pc_i(cascade[r]), .pc_o(cascade[r+1]), .p_o(sum[r])
    );

    // ---- up to the multiplier: the same inputs, a cycle later in each stage ----

    logic [7:0]         weights_q, zeros_q;
    logic signed [15:0] mant_q, mant_q2;
    logic signed [4:0]  d0_q, d1_q;
    logic [1:0]         filled_q = 2'd0;

    always_ff @(posedge clk_i) begin
      if (en_i) begin
        filled_q  <= {filled_q[0], 1'b1};
        weights_q <= weights_i[r];
        zeros_q   <= zeros_i[r];
        mant_q    <= mant_i[r];
        d0_q      <= 5'({1'b0, weights_q[3:0]}) - 5'({1'b0, zeros_q[3:0]});
        d1_q      <= 5'({1'b0, weights_q[7:4]}) - 5'({1'b0, zeros_q[7:4]});
        mant_q2   <= mant_q;
      end
    end

    always_comb begin
      if (started_q) begin
        a_packed: assert (!filled_q[0] || (`ROW.d_q == {1'b0, weights_q[7:4], 18'b0, weights_q[3:0]} &&
                                           `ROW.a_q == {1'b0, zeros_q[7:4], 18'b0, zeros_q[3:0]} && `ROW.b_q == 18'(mant_q)));
        a_order: assert (filled_q != 2'b10);
        a_operands: assert (!filled_q[1] || (`ROW.ad_q == (27'(d1_q) <<< 22) + 27'(d0_q) && `ROW.b_q2 == 18'(mant_q2)));
      end
    end

    // ---- behind the multiplier ----

    logic signed [20:0] x0, x1;      // products of the row

    assign x0 = x0_i[r];
    assign x1 = x1_i[r];

    always_comb begin
      assume (x0 <= Most && x0 >= -Most && x1 <= Most && x1 >= -Most);
      assume (`ROW.m_q == (45'(x1) <<< 22) + 45'(x0));
    end
  end

  // The first row adds nothing; each of the others adds its products to the row before.
  logic [3:0][23:0] s0_q, s1_q;
  logic [3:0]       full_q = 4'd0;
  logic [3:0]       fields_ok, bounds_ok;
  logic signed [21:0] low;
  logic [21:0]        high;

  always_ff @(posedge clk_i) begin
    if (en_i) begin
      for (int r = 0; r < 4; r++) begin
        full_q[r] <= r == 0 || full_q[r == 0 ? 0 : r-1];
        s0_q[r]   <= 24'(signed'(x0_i[r])) + (r == 0 ? 24'd0 : s0_q[r == 0 ? 0 : r-1]);
        s1_q[r]   <= 24'(signed'(x1_i[r])) + (r == 0 ? 24'd0 : s1_q[r == 0 ? 0 : r-1]);
      end
    end
  end

  always_comb begin
    for (int r = 0; r < 4; r++) begin
      low  = sum[r][21:0];
      high = sum[r][43:22] + 22'(sum[r][21]);
      fields_ok[r] = !full_q[r] || (24'(low) == s0_q[r] && 24'(signed'(high)) == s1_q[r]);
      bounds_ok[r] = !full_q[r] || (signed'(s0_q[r]) <= 24'sd491520 * 24'(r + 1) && signed'(s0_q[r]) >= -24'sd491520 * 24'(r + 1) &&
                                    signed'(s1_q[r]) <= 24'sd491520 * 24'(r + 1) && signed'(s1_q[r]) >= -24'sd491520 * 24'(r + 1) &&
                                    signed'(sum[r]) == (48'(signed'(s1_q[r])) <<< 22) + 48'(signed'(s0_q[r])));
    end
    if (started_q) begin
      a_fields: assert (fields_ok == '1);
      a_bounds: assert (bounds_ok == '1);

      c_lowest: cover (full_q[3] && s0_q[3] == 24'(-24'sd1966080) && s1_q[3] == 24'sd1966080);
      c_held: cover (full_q[3] && !en_i);
    end
  end

endmodule
