// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Two products in one DSP48E2: two differences weight - zero, packed 22 bits apart by the pre-adder,
// times one mantissa, plus the sum of the row before it in the cascade.
//
// Latency:    4 cycles from weights, zeros and mantissa; 1 cycle from pc_i.
// Throughput: two products a cycle while en_i is set.
// Stalls:     none; en_i = 0 holds every register.
// Numerics:   exact. p = p' + ((q1 - z1) * 2^22 + (q0 - z0)) * m. Four rows stay below
//             4 * 15 * 32767 < 2^21 in magnitude, so the low field is bits 21..0 as a signed number and
//             the high field is bits 43..22 plus bit 21, what the low field borrowed.
//
//   weights --[ D ]--(-)--[ AD ]--.
//   zeros   --[ A ]---'           (x)--[ M ]--(+)--[ P ]--> p_o, pc_o
//   mant    --[ B1 ]------[ B2 ]--'    pc_i ---'
//
// Synthesis gets the primitive with all of its registers, because no tool infers pre-adder, cascade and
// registers together reliably; simulation gets the twin below.

module mm_dsp_mac2 #(
  /// pc_i is added. 0 for the first row, which then needs no cascade input.
  parameter bit Cascade = 1'b1
) (
  /// Clock, rising edge.
  input  logic        clk_i,
  /// Clock enable of every register.
  input  logic        en_i,
  /// Two weights, 0..15: q0 at bits 3..0, q1 at bits 7..4.
  input  logic [7:0]  weights_i,
  /// Their zeros, 0..15, in the same places.
  input  logic [7:0]  zeros_i,
  /// Mantissa, signed.
  input  logic [15:0] mant_i,
  /// Sum of the rows before: pc_o of the DSP below in the column.
  input  logic [47:0] pc_i,
  /// Sum, for the cascade: a wire between neighbours that no logic can read.
  output logic [47:0] pc_o,
  /// Sum, for the fabric.
  output logic [47:0] p_o
);

  logic [26:0] q_packed, z_packed;

  assign q_packed = {1'b0, weights_i[7:4], 18'b0, weights_i[3:0]};
  assign z_packed = {1'b0, zeros_i[7:4], 18'b0, zeros_i[3:0]};

`ifdef SYNTHESIS
  // OPMODE: W = 0, Z = PCIN or 0, Y and X = M. INMODE: D - A2, B2. CEA2/CEB2: see UG579, one A register,
  // two B registers, so that B arrives with AD.
  DSP48E2 #(
    .A_INPUT   ("DIRECT"),
    .AMULTSEL  ("AD"),
    .BMULTSEL  ("B"),
    .B_INPUT   ("DIRECT"),
    .PREADDINSEL("A"),
    .USE_MULT  ("MULTIPLY"),
    .USE_SIMD  ("ONE48"),
    .ACASCREG  (1),
    .ADREG     (1),
    .ALUMODEREG(0),
    .AREG      (1),
    .BCASCREG  (2),
    .BREG      (2),
    .CARRYINREG(0),
    .CARRYINSELREG(0),
    .CREG      (1),
    .DREG      (1),
    .INMODEREG (0),
    .MREG      (1),
    .OPMODEREG (0),
    .PREG      (1)
  ) u_dsp (
    .CLK          (clk_i),
    .A            ({3'b0, z_packed}),
    .ACIN         (30'b0),
    .ALUMODE      (4'b0000),
    .B            ({{2{mant_i[15]}}, mant_i}),
    .BCIN         (18'b0),
    .C            (48'b0),
    .CARRYCASCIN  (1'b0),
    .CARRYIN      (1'b0),
    .CARRYINSEL   (3'b000),
    .CEA1         (1'b0),
    .CEA2         (en_i),
    .CEAD         (en_i),
    .CEALUMODE    (1'b0),
    .CEB1         (en_i),
    .CEB2         (en_i),
    .CEC          (1'b0),
    .CECARRYIN    (1'b0),
    .CECTRL       (1'b0),
    .CED          (en_i),
    .CEINMODE     (1'b0),
    .CEM          (en_i),
    .CEP          (en_i),
    .D            (q_packed),
    .INMODE       (5'b01100),
    .MULTSIGNIN   (1'b0),
    .OPMODE       ({4'b0000, Cascade, 4'b0101}),
    .PCIN         (pc_i),
    .RSTA         (1'b0),
    .RSTALLCARRYIN(1'b0),
    .RSTALUMODE   (1'b0),
    .RSTB         (1'b0),
    .RSTC         (1'b0),
    .RSTCTRL      (1'b0),
    .RSTD         (1'b0),
    .RSTINMODE    (1'b0),
    .RSTM         (1'b0),
    .RSTP         (1'b0),
    .ACOUT        (),
    .BCOUT        (),
    .CARRYCASCOUT (),
    .CARRYOUT     (),
    .MULTSIGNOUT  (),
    .OVERFLOW     (),
    .P            (p_o),
    .PATTERNBDETECT(),
    .PATTERNDETECT(),
    .PCOUT        (pc_o),
    .UNDERFLOW    (),
    .XOROUT       ()
  );
`else
  logic signed [26:0] a_q, d_q, ad_q;
  logic signed [17:0] b_q, b_q2;
  logic signed [44:0] m_q;
  logic        [47:0] p_q;

  always_ff @(posedge clk_i) begin
    if (en_i) begin
      a_q  <= signed'(z_packed);
      d_q  <= signed'(q_packed);
      b_q  <= 18'(signed'(mant_i));
      ad_q <= d_q - a_q;
      b_q2 <= b_q;
      m_q  <= 45'(ad_q) * 45'(b_q2);
      p_q  <= (Cascade ? pc_i : 48'b0) + 48'(m_q);
    end
  end

  assign p_o  = p_q;
  assign pc_o = p_q;
`endif

endmodule
