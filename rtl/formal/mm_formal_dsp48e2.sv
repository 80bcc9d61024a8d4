// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// What UG579 says the primitive DSP48E2 does, as far as mm_dsp_mac2 uses it: one register on A and D, two on B, pre-adder, multiplier, and
// an adder of product and cascade. The controls are inputs and are decoded as the manual's tables say, so a wrong one shows. A setting that
// is not modelled does not elaborate; a control that is not modelled breaks a_modelled.
//
//   D ---[D]--(+/-)--[AD]--.
//   A ---[A2]---'          (x)--[M]--.
//   B ---[B1]---[B2]-------'         (+)--[P]--> P, PCOUT
//   PCIN, P, C ----------------------'

module DSP48E2 #(
  parameter int ACASCREG      = 1,
  parameter int ADREG         = 1,
  parameter int ALUMODEREG    = 1,
  parameter     AMULTSEL      = "A",
  parameter int AREG          = 1,
  parameter     A_INPUT       = "DIRECT",
  parameter int BCASCREG      = 1,
  parameter     BMULTSEL      = "B",
  parameter int BREG          = 1,
  parameter     B_INPUT       = "DIRECT",
  parameter int CARRYINREG    = 1,
  parameter int CARRYINSELREG = 1,
  parameter int CREG          = 1,
  parameter int DREG          = 1,
  parameter int INMODEREG     = 1,
  parameter int MREG          = 1,
  parameter int OPMODEREG     = 1,
  parameter     PREADDINSEL   = "A",
  parameter int PREG          = 1,
  parameter     USE_MULT      = "MULTIPLY",
  parameter     USE_SIMD      = "ONE48"
) (
  output logic [29:0] ACOUT,
  output logic [17:0] BCOUT,
  output logic        CARRYCASCOUT,
  output logic [3:0]  CARRYOUT,
  output logic        MULTSIGNOUT,
  output logic        OVERFLOW,
  output logic [47:0] P,
  output logic        PATTERNBDETECT,
  output logic        PATTERNDETECT,
  output logic [47:0] PCOUT,
  output logic        UNDERFLOW,
  output logic [7:0]  XOROUT,
  input  logic [29:0] A,
  input  logic [29:0] ACIN,
  input  logic [3:0]  ALUMODE,
  input  logic [17:0] B,
  input  logic [17:0] BCIN,
  input  logic [47:0] C,
  input  logic        CARRYCASCIN,
  input  logic        CARRYIN,
  input  logic [2:0]  CARRYINSEL,
  input  logic        CEA1,
  input  logic        CEA2,
  input  logic        CEAD,
  input  logic        CEALUMODE,
  input  logic        CEB1,
  input  logic        CEB2,
  input  logic        CEC,
  input  logic        CECARRYIN,
  input  logic        CECTRL,
  input  logic        CED,
  input  logic        CEINMODE,
  input  logic        CEM,
  input  logic        CEP,
  input  logic        CLK,
  input  logic [26:0] D,
  input  logic [4:0]  INMODE,
  input  logic        MULTSIGNIN,
  input  logic [8:0]  OPMODE,
  input  logic [47:0] PCIN,
  input  logic        RSTA,
  input  logic        RSTALLCARRYIN,
  input  logic        RSTALUMODE,
  input  logic        RSTB,
  input  logic        RSTC,
  input  logic        RSTCTRL,
  input  logic        RSTD,
  input  logic        RSTINMODE,
  input  logic        RSTM,
  input  logic        RSTP
);

  if (ADREG != 1 || AREG != 1 || BREG != 2 || DREG != 1 || MREG != 1 || PREG != 1 || ALUMODEREG != 0 || CARRYINREG != 0 ||
      CARRYINSELREG != 0 || INMODEREG != 0 || OPMODEREG != 0 || AMULTSEL != "AD" || BMULTSEL != "B" || PREADDINSEL != "A" ||
      A_INPUT != "DIRECT" || B_INPUT != "DIRECT" || USE_MULT != "MULTIPLY" || USE_SIMD != "ONE48") begin : gen_not_modelled
    $fatal(1, "%m: this setting of DSP48E2 is not modelled");
  end

  logic        [29:0] a_q;
  logic        [26:0] d_q, ad_q, pre_a, pre_d;
  logic        [17:0] b_q, b_q2;
  logic signed [44:0] m_q;
  logic        [47:0] p_q, w, x, y, z;

  // INMODE[1] makes the pre-adder's A zero, INMODE[2] lets D in, INMODE[3] subtracts A. INMODE[0] and [4] choose A1 and B1.
  assign pre_a = INMODE[1] ? 27'd0 : a_q[26:0];
  assign pre_d = INMODE[2] ? d_q : 27'd0;

  // X and Y take the two halves of the product together (01); Z: 0, PCIN, P or C; W: 0 or P.
  assign x = OPMODE[1:0] == 2'b01 ? 48'(m_q) : 48'd0;
  assign y = 48'd0;
  assign w = OPMODE[8:7] == 2'b01 ? p_q : 48'd0;

  always_comb begin
    unique case (OPMODE[6:4])
      3'b000:  z = 48'd0;
      3'b001:  z = PCIN;
      3'b010:  z = p_q;
      default: z = C;
    endcase
  end

  always_ff @(posedge CLK) begin
    if (RSTA) a_q <= '0;
    else if (CEA2) a_q <= A;
    if (RSTD) d_q <= '0;
    else if (CED) d_q <= D;
    if (RSTD) ad_q <= '0;
    else if (CEAD) ad_q <= INMODE[3] ? pre_d - pre_a : pre_d + pre_a;
    if (RSTB) b_q <= '0;
    else if (CEB1) b_q <= B;
    if (RSTB) b_q2 <= '0;
    else if (CEB2) b_q2 <= b_q;
    if (RSTM) m_q <= '0;
    else if (CEM) m_q <= 45'(signed'(ad_q)) * 45'(signed'(b_q2));
    if (RSTP) p_q <= '0;
    else if (CEP) p_q <= z + w + x + y + 48'(CARRYIN);
  end

  assign P     = p_q;
  assign PCOUT = p_q;

  // Where the model ends.
  always_comb begin
    a_modelled: assert (INMODE[0] == 1'b0 && INMODE[4] == 1'b0 && OPMODE[3:0] == 4'b0101 && OPMODE[6:4] <= 3'b011 && !OPMODE[8] &&
                        ALUMODE == 4'b0000 && CARRYINSEL == 3'b000);
  end

  assign {ACOUT, BCOUT, CARRYCASCOUT, CARRYOUT, MULTSIGNOUT, OVERFLOW, PATTERNBDETECT, PATTERNDETECT, UNDERFLOW, XOROUT} = '0;

endmodule
