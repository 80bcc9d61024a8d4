// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Proof of mm_fp32_round_mul: the rounding of the multipliers, against the definition of rounding, not against another circuit.
//
// Assumed:  a product is in [1, 4), and at exponent -1 (CanUnderflow) below 4 - 2^-22, as the header says; without CanUnderflow the exponent is at least 1.
// Proven:   a finite result is no farther from the product than half a unit of its last place, and even when it is just as far from two; infinity
//           comes exactly from the half unit above the largest number on; of products below 2^-126 those become 2^-126 that round to it at a
//           spacing of 2^-149, the others zero; zero, infinity, NaN by their kind, with their sign.
// Method:   bmc, two steps: one register. Widths 28 (times an integer) and 48 (times FP32).

module mm_formal_round #(
  parameter int unsigned ProductBits  = 48,
  parameter bit          CanUnderflow = 1'b1
) (
  input logic                   clk_i,
  input logic                   sign_i,
  input logic [8:0]             exp_i,
  input logic                   exp_neg_i,
  input logic [ProductBits-1:0] product_i,
  input logic [1:0]             class_i
);

  typedef logic [ProductBits+2:0] wide_t;

  logic                   sign_q, neg_q, top;
  logic [8:0]             exp_q;
  logic [9:0]             binade;  // of the product: exponent of [1, 2)
  logic [ProductBits-1:0] product_q;
  logic [1:0]             class_q;
  logic [31:0]            result;

  logic started_q = 1'b0;
  always_ff @(posedge clk_i) begin
    started_q <= 1'b1;
    sign_q    <= sign_i;
    neg_q     <= exp_neg_i;
    exp_q     <= exp_i;
    product_q <= product_i;
    class_q   <= class_i;
  end

  mm_fp32_round_mul #(.ProductBits(ProductBits), .CanUnderflow(CanUnderflow)) dut (
    .clk_i, .sign_i, .exp_i, .exp_neg_i, .product_i, .class_i, .product_o(result)
  );

  always_comb begin
    assume (product_i[ProductBits-1-:2] != 2'b00);
    assume (exp_i <= 9'd509);
    if (!CanUnderflow) assume (!exp_neg_i && exp_i != '0);
  end

  // In units of the product's last bit: the result's significand and its last place. Last place of FP32 at the product's exponent: 2^(ProductBits - 25).
  localparam int unsigned Unit = ProductBits - 25;

  wide_t      exact, rounded, error, half_unit;
  logic [1:0] up;
  logic       tiny, small_one, inf, tie;

  assign top    = product_q[ProductBits-1];
  assign binade = 10'(exp_q) + 10'(top);
  assign exact  = wide_t'(product_q);
  assign tiny   = CanUnderflow && (neg_q || binade == '0);
  // Below 2^-126, which is 2^(ProductBits - 1) at exponent 0, by half of 2^-149 at most.
  assign small_one = !neg_q && exact >= (wide_t'(1) << (ProductBits - 1)) - (wide_t'(1) << Unit);
  // 2^128 less half a unit.
  assign inf    = binade >= 10'd255 || (binade == 10'd254 && (exact << (top ? 0 : 1)) >= (wide_t'(1) << ProductBits) - (wide_t'(1) << Unit));

  always_comb begin
    up        = 2'(10'(result[30:23]) - 10'(exp_q));
    rounded   = wide_t'({1'b1, result[22:0]}) << (Unit + 32'(up));
    half_unit = wide_t'(1) << (Unit - 1 + 32'(top));
    error     = rounded > exact ? rounded - exact : exact - rounded;
    tie       = error == half_unit;
  end

  always_comb begin
    if (started_q) begin
      a_sign: assert (class_q == 2'd3 || result[31] == sign_q);
      a_nan: assert (class_q != 2'd3 || result == 32'h7fc0_0000);
      a_inf: assert (class_q != 2'd2 || result[30:0] == 31'h7f80_0000);
      a_zero: assert (class_q != 2'd1 || result[30:0] == '0);
      if (class_q == 2'd0) begin
        if (tiny) a_tiny: assert (result[30:0] == (small_one ? 31'h0080_0000 : 31'd0));
        else if (inf) a_overflow: assert (result[30:0] == 31'h7f80_0000);
        else begin
          a_exponent: assert (result[30:23] != 8'd0 && result[30:23] != 8'd255 && 10'(result[30:23]) >= binade && 10'(result[30:23]) <= binade + 10'd1);
          a_nearest: assert (error <= half_unit && (!tie || !result[0]));
        end
        c_tie: cover (!tiny && !inf && tie && top);
        c_carry: cover (!tiny && !inf && up == 2'd2);
      end
    end
  end

endmodule
