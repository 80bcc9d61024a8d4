// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Deep synchronous FIFO over UltraRAM: registers on both sides of the memory, as its columns need them, and a small FIFO behind it that
// takes up what is under way when the receiver stalls.
//
// Latency:    ReadCycles + 4 cycles from an accepted word to out_valid_o of an empty FIFO.
// Throughput: 1 word in and 1 word out a cycle.
// Stalls:     a word that leaves the full FIFO makes room a cycle later. in_ready_o depends on a register and flush_i only; out_valid_o comes from a register. out_ready_i ends at the
//             small FIFO: nothing of the deep memory hangs on it, so its read pipeline never stops.
//
//   in -> [register] -> [ mem, Depth words ] -read-> [register] x ReadCycles -> [small FIFO] -> [out register] -> out
//                        `-- stored_q counts --'      `----------- claimed_q counts, read to taken ----------'

module mm_prefetch_fifo #(
  /// Width of a word, bits, >= 1.
  parameter int unsigned WidthBits  = 128,
  /// Words held at most, >= 2.
  parameter int unsigned Depth      = 24576,
  /// Cycles from a read of the memory to its word, 1..13: its own register and more for its cascades.
  parameter int unsigned ReadCycles = 4
) (
  /// Clock, rising edge.
  input  logic                 clk_i,
  /// Reset, synchronous, active low.
  input  logic                 rst_ni,
  /// Forget all words at the next edge; nothing is accepted in this cycle.
  input  logic                 flush_i,
  /// Sender offers a word.
  input  logic                 in_valid_i,
  /// There is room, and no flush.
  output logic                 in_ready_o,
  /// Word offered.
  input  logic [WidthBits-1:0] in_data_i,
  /// A word is offered to the receiver; registered.
  output logic                 out_valid_o,
  /// Receiver takes the word.
  input  logic                 out_ready_i,
  /// Word offered to the receiver; registered, stable while stalled.
  output logic [WidthBits-1:0] out_data_o
);

  // Words read and not yet taken: as many as a read takes to come back, plus the registers around, so that a word leaves every cycle.
  localparam int unsigned SmallDepth = 16;
  localparam int unsigned SmallBits  = $clog2(SmallDepth);
  localparam int unsigned PtrBits    = $clog2(Depth);
  localparam int unsigned LevelBits  = $clog2(Depth + 1);

  if (WidthBits < 1) begin : gen_bad_width
    $fatal(1, "%m: WidthBits must be >= 1");
  end
  if (Depth < 2) begin : gen_bad_depth
    $fatal(1, "%m: Depth must be >= 2");
  end
  if (ReadCycles < 1 || ReadCycles + 3 > SmallDepth) begin : gen_bad_cycles
    $fatal(1, "%m: ReadCycles must be 1..13");
  end

  (* ram_style = "ultra" *)
  logic [WidthBits-1:0] mem_q [Depth];
  logic [WidthBits-1:0] in_data_q;
  logic [WidthBits-1:0] read_q [ReadCycles];
  (* ram_style = "distributed" *)
  logic [WidthBits-1:0] small_q [SmallDepth];
  logic [WidthBits-1:0] out_data_q;

  logic                  in_fire, out_fire, read, small_fill, small_read;
  logic                  room_d, room_q;
  logic [LevelBits-1:0]  level_d, level_q;      // words held in all
  logic                  in_valid_q;
  logic [PtrBits-1:0]    wptr_q, rptr_q;
  logic [LevelBits-1:0]  stored_q;              // words in the memory that no read has claimed
  logic                  stored_some_q;
  logic [SmallBits:0]    claimed_q;
  logic [ReadCycles-1:0] read_valid_q;
  logic [SmallBits-1:0]  small_wptr_q, small_rptr_q;
  logic [SmallBits:0]    small_level_q;
  logic                  out_valid_q;

  function automatic logic [PtrBits-1:0] next_ptr(logic [PtrBits-1:0] ptr);
    return (ptr == PtrBits'(Depth - 1)) ? '0 : ptr + PtrBits'(1);
  endfunction

  assign in_ready_o  = room_q & ~flush_i;
  assign in_fire     = in_valid_i & in_ready_o;
  assign out_fire    = out_valid_q & out_ready_i;
  assign read        = stored_some_q & (claimed_q != (SmallBits + 1)'(SmallDepth));
  assign small_fill  = read_valid_q[ReadCycles-1];
  assign small_read  = (small_level_q != '0) & (~out_valid_q | out_ready_i);
  assign out_valid_o = out_valid_q;
  assign out_data_o  = out_data_q;

  assign level_d = level_q + LevelBits'(in_fire) - LevelBits'(out_fire);
  // A word that leaves now makes room a cycle later.
  assign room_d  = (level_q != LevelBits'(Depth)) & ~(in_fire & (level_q == LevelBits'(Depth - 1)));

  logic [LevelBits-1:0] stored_d;

  assign stored_d = stored_q + LevelBits'(in_valid_q) - LevelBits'(read);

  always_ff @(posedge clk_i) begin
    if (!rst_ni || flush_i) begin
      room_q        <= 1'b1;
      level_q       <= '0;
      in_valid_q    <= 1'b0;
      wptr_q        <= '0;
      rptr_q        <= '0;
      stored_q      <= '0;
      stored_some_q <= 1'b0;
      claimed_q     <= '0;
      read_valid_q  <= '0;
      small_wptr_q  <= '0;
      small_rptr_q  <= '0;
      small_level_q <= '0;
      out_valid_q   <= 1'b0;
    end else begin
      room_q        <= room_d;
      level_q       <= level_d;
      in_valid_q    <= in_fire;
      stored_q      <= stored_d;
      stored_some_q <= stored_d != '0;
      claimed_q     <= claimed_q + (SmallBits + 1)'(read) - (SmallBits + 1)'(out_fire);
      read_valid_q  <= ReadCycles'({read_valid_q, read});
      small_level_q <= small_level_q + (SmallBits + 1)'(small_fill) - (SmallBits + 1)'(small_read);
      out_valid_q   <= small_read | (out_valid_q & ~out_ready_i);
      if (in_valid_q) wptr_q <= next_ptr(wptr_q);
      if (read) rptr_q <= next_ptr(rptr_q);
      if (small_fill) small_wptr_q <= small_wptr_q + SmallBits'(1);
      if (small_read) small_rptr_q <= small_rptr_q + SmallBits'(1);
    end
  end

  // No reset here: with one neither memory becomes what it is to be.
  always_ff @(posedge clk_i) begin
    if (in_fire) in_data_q <= in_data_i;
    if (in_valid_q) mem_q[wptr_q] <= in_data_q;
    if (read) read_q[0] <= mem_q[rptr_q];
    for (int k = 1; k < int'(ReadCycles); k++) begin
      if (read_valid_q[k-1]) read_q[k] <= read_q[k-1];
    end
    if (small_fill) small_q[small_wptr_q] <= read_q[ReadCycles-1];
    if (small_read) out_data_q <= small_q[small_rptr_q];
  end

`ifndef SYNTHESIS
  // A word that the sender offers stays offered and unchanged until it is taken or flushed.
  a_in_stable : assert property (@(posedge clk_i) disable iff (!rst_ni || flush_i)
      in_valid_i && !in_ready_o |=> in_valid_i && $stable(in_data_i));
  // A word that is offered to the receiver stays offered and unchanged until it is taken or flushed.
  a_out_stable : assert property (@(posedge clk_i) disable iff (!rst_ni || flush_i)
      out_valid_o && !out_ready_i |=> flush_i || $past(flush_i) ||
                                      (out_valid_o && $stable(out_data_o)));
  // The small FIFO never gets a word that it has no room for.
  a_small_room : assert property (@(posedge clk_i) disable iff (!rst_ni || flush_i)
      small_fill |-> small_level_q < (SmallBits + 1)'(SmallDepth) || small_read);
  // The memory never holds more than it can.
  a_level_bound : assert property (@(posedge clk_i) disable iff (!rst_ni)
      level_q <= LevelBits'(Depth) && stored_q <= level_q);
`endif

endmodule
