// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Group sums of one activation vector: 4 column pairs x 4 rows of mm_dsp_mac2, split, accumulation over
// the 16 strips of a group, and the finished sums one channel at a time.
//
// Latency:    mantissas are loaded at the edge at which the strip is taken (cycle 0). Cycle 8: sum of the
//             strip's four rows, acc_en_i. Cycle 9: accumulated, capture_i. Cycle 10: channel_i.
//             Cycle 11: sum_o.
// Throughput: 1 strip a cycle.
// Stalls:     none; en_i = 0 holds everything but the mantissas.
// Numerics:   exact, 26 bits signed: 64 * 15 * 32767 < 2^25.
//
// Row r works r cycles after row 0; weights and zeros come so delayed (one delay serves all vectors),
// mantissas are delayed here.
//
//   cycle       1     2    3    4    5    6    7    8     9       10    11
//   row 0   mant_q    A    AD   M    P
//   row 1             .    A    AD   M    P
//   row 2                  .    A    AD   M    P
//   row 3                       .    A    AD   M    P --> acc --> cap --> sum
//
// An idle vector has en_i = 0: nothing toggles, and a simulator passes by. For its sake the sums of the
// rows are computed by a twin in simulation, one multiply-add a DSP and cycle instead of all the
// registers of mm_dsp_mac2; tests prove it equal to the cascade in every cycle.

module mm_group_slice #(
  /// Build the DSP cascade; else its twin.
`ifdef SYNTHESIS
  parameter bit Structural = 1'b1
`else
  parameter bit Structural = 1'b0
`endif
) (
  /// Clock, rising edge.
  input  logic         clk_i,
  /// The vector is alive: from the cycle after its first strip until its last sum has left.
  input  logic         en_i      /*verilator public_flat_rd*/,

  /// A strip for this vector is taken: load its mantissas.
  input  logic         load_i    /*verilator public_flat_rd*/,
  /// 4 mantissas, signed, row r at bits 16r.
  input  logic [63:0]  mant_i    /*verilator public_flat_rd*/,
  /// 32 weights, row r at bits 32r, r cycles late; channel c at nibble c of a row.
  input  logic [127:0] weights_i /*verilator public_flat_rd*/,
  /// 8 zeros for each row, r cycles late: row r at bits 32r, channel c at nibble c.
  input  logic [127:0] zeros_i   /*verilator public_flat_rd*/,

  /// The cascade holds the sums of a strip: accumulate.
  input  logic         acc_en_i  /*verilator public_flat_rd*/,
  /// It is the first strip of its group.
  input  logic         first_i   /*verilator public_flat_rd*/,
  /// The sums of a group are complete: keep them.
  input  logic         capture_i /*verilator public_flat_rd*/,
  /// Output channel of the kept sums that leaves.
  input  logic [2:0]   channel_i /*verilator public_flat_rd*/,
  /// Its sum, signed, of the cycle before.
  output logic [25:0]  sum_o     /*verilator public_flat_rd*/
);
  /*verilator no_inline_module*/

  logic [63:0] mant_q;

  always_ff @(posedge clk_i) begin
    if (load_i) mant_q <= mant_i;
  end

  // Row r of the mantissas, r cycles late.
  logic [15:0] mant1_q, mant2_q, mant2_q2, mant3_q, mant3_q2, mant3_q3;

  always_ff @(posedge clk_i) begin
    if (en_i) begin
      mant1_q  <= mant_q[31:16];
      mant2_q  <= mant_q[47:32];
      mant2_q2 <= mant2_q;
      mant3_q  <= mant_q[63:48];
      mant3_q2 <= mant3_q;
      mant3_q3 <= mant3_q2;
    end
  end

  logic [63:0] mant;

  assign mant = {mant3_q3, mant2_q2, mant1_q, mant_q[15:0]};

  // ---- sums of four rows, two channels packed, column pair j at bits 48j ----
  logic [47:0] pair [4];

  if (Structural) begin : gen_dsp
    for (genvar j = 0; j < 4; j++) begin : gen_pair
      logic [47:0] sum [4];
      logic [47:0] cascade [4];

      for (genvar r = 0; r < 4; r++) begin : gen_row
        mm_dsp_mac2 #(
          .Cascade (r != 0)
        ) u_mac2 (
          .clk_i,
          .en_i,
          .weights_i (weights_i[32*r+8*j+:8]),
          .zeros_i   (zeros_i[32*r+8*j+:8]),
          .mant_i    (mant[16*r+:16]),
          .pc_i      ((r == 0) ? 48'b0 : cascade[(r == 0) ? 0 : r - 1]),
          .pc_o      (cascade[r]),
          .p_o       (sum[r])
        );
      end

      assign pair[j] = sum[3];

      logic unused;
      assign unused = &{1'b0, sum[0], sum[1], sum[2], cascade[3]};
    end
  end else begin : gen_twin
    logic signed [47:0] part_q [3][4];
    logic signed [47:0] late_q [4][4];

    always_ff @(posedge clk_i) begin
      automatic logic signed [47:0] product, q_packed, z_packed;
      if (en_i) begin
        for (int r = 0; r < 4; r++) begin
          for (int j = 0; j < 4; j++) begin
            q_packed = {22'b0, weights_i[32*r+8*j+4+:4], 18'b0, weights_i[32*r+8*j+:4]};
            z_packed = {22'b0, zeros_i[32*r+8*j+4+:4], 18'b0, zeros_i[32*r+8*j+:4]};
            product  = (q_packed - z_packed) * 48'(signed'(mant[16*r+:16]));
            if (r == 0)      part_q[0][j] <= product;
            else if (r == 3) late_q[0][j] <= part_q[2][j] + product;
            else             part_q[r][j] <= part_q[r-1][j] + product;
          end
        end
        for (int j = 0; j < 4; j++) begin
          late_q[1][j] <= late_q[0][j];
          late_q[2][j] <= late_q[1][j];
          late_q[3][j] <= late_q[2][j];
        end
      end
    end

    for (genvar j = 0; j < 4; j++) begin : gen_pair
      assign pair[j] = late_q[3][j];
    end
  end

  // ---- split, accumulate, keep, hand out ----
  logic [25:0] acc_q [8];
  logic [25:0] keep_q [8];
  logic [25:0] sum_q;

  always_ff @(posedge clk_i) begin
    automatic logic [25:0] low, high;
    if (en_i) begin
      if (acc_en_i) begin
        for (int j = 0; j < 4; j++) begin
          low  = {{4{pair[j][21]}}, pair[j][21:0]};
          high = {{4{pair[j][43]}}, pair[j][43:22]};
          acc_q[2*j]   <= low + (acc_q[2*j] & {26{~first_i}});
          acc_q[2*j+1] <= high + (acc_q[2*j+1] & {26{~first_i}}) + 26'(pair[j][21]);
        end
      end
      if (capture_i) keep_q <= acc_q;
      sum_q <= keep_q[channel_i];
    end
  end

  assign sum_o = sum_q;

  for (genvar j = 0; j < 4; j++) begin : gen_unused
    logic unused;
    assign unused = &{1'b0, pair[j][47:44]};
  end

endmodule
