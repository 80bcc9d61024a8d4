// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Term lane: the group sums of two vectors x 8 channels, one after the other, become terms, are added to
// their 16 accumulators, and at the end of the tile are kept as results.
//
// Latency:    a sum that is at sum_even_i or sum_odd_i in cycle 1: operand register 2, term 11 (mm_group_term),
//             accumulator read beside it, sum of both 22 (mm_fp32_add_deep), written into accumulator and
//             results at the end of 22. rd_data_o: the cycle after rd_en_i.
// Throughput: 1 sum a cycle; the same accumulator again after 13 cycles or more (groups come every 17).
// Stalls:     none; en_i = 0 holds everything but the results.
// Numerics:   docs/arithmetic.md, exact group sums: acc = rn(acc + term), beginning with +0.
//
//   sums --[1 of 2]--[ term ]--------(+)--+--> results, two tiles of 16
//                    acc --[0 if first]--'  |
//                     ^---------------------'

module mm_group_lane (
  /// Clock, rising edge.
  input  logic        clk_i,
  /// One of the two vectors is alive.
  input  logic        en_i       /*verilator public_flat_rd*/,

  /// Sum of the even vector, signed.
  input  logic [25:0] sum_even_i /*verilator public_flat_rd*/,
  /// Sum of the odd vector.
  input  logic [25:0] sum_odd_i  /*verilator public_flat_rd*/,
  /// E of the even vector's group.
  input  logic [7:0]  exp_even_i /*verilator public_flat_rd*/,
  /// E of the odd vector's group.
  input  logic [7:0]  exp_odd_i  /*verilator public_flat_rd*/,
  /// It is the odd vector's turn.
  input  logic        odd_i      /*verilator public_flat_rd*/,
  /// Scale, upper 19 bits of FP32, a cycle after its sum.
  input  logic [18:0] scale_i    /*verilator public_flat_rd*/,

  /// Accumulator of the term of the next cycle: {odd, channel}.
  input  logic [3:0]  acc_slot_i /*verilator public_flat_rd*/,
  /// Its group is the first of its tile: begin with +0.
  input  logic        acc_first_i /*verilator public_flat_rd*/,
  /// A new accumulator value leaves the adder.
  input  logic        wr_en_i    /*verilator public_flat_rd*/,
  /// Its place: {odd, channel}.
  input  logic [3:0]  wr_slot_i  /*verilator public_flat_rd*/,
  /// It is a result.
  input  logic        res_en_i   /*verilator public_flat_rd*/,
  /// Half of the results that it goes to.
  input  logic        res_bank_i /*verilator public_flat_rd*/,

  /// Read a result.
  input  logic        rd_en_i    /*verilator public_flat_rd*/,
  /// Its place: {bank, odd, channel}.
  input  logic [4:0]  rd_addr_i  /*verilator public_flat_rd*/,
  /// Result of the read before, FP32.
  output logic [31:0] rd_data_o  /*verilator public_flat_rd*/
);
  /*verilator no_inline_module*/

  logic [25:0] sum_q;
  logic [7:0]  exp_q;
  logic [31:0] term, operand_q, total;

  always_ff @(posedge clk_i) begin
    if (en_i) begin
      sum_q <= odd_i ? sum_odd_i : sum_even_i;
      exp_q <= odd_i ? exp_odd_i : exp_even_i;
    end
  end

  mm_group_term u_term (
    .clk_i,
    .en_i,
    .sum_i   (sum_q),
    .exp_i   (exp_q),
    .scale_i,
    .term_o  (term)
  );

  // Distributed RAM: written at an edge, read between edges.
  (* ram_style = "distributed" *) logic [31:0] acc_mem [16];
  (* ram_style = "distributed" *) logic [31:0] res_mem [32];

  always_ff @(posedge clk_i) begin
    if (en_i) operand_q <= acc_mem[acc_slot_i] & {32{~acc_first_i}};
  end

  mm_fp32_add_deep u_add (
    .clk_i,
    .en_i,
    .a_i   (operand_q),
    .b_i   (term),
    .sum_o (total)
  );

  always_ff @(posedge clk_i) begin
    if (en_i && wr_en_i) acc_mem[wr_slot_i] <= total;
  end

  always_ff @(posedge clk_i) begin
    if (en_i && res_en_i) res_mem[{res_bank_i, wr_slot_i}] <= total;
  end

  logic [31:0] rd_data_q;

  always_ff @(posedge clk_i) begin
    if (rd_en_i) rd_data_q <= res_mem[rd_addr_i];
  end

  assign rd_data_o = rd_data_q;

endmodule
