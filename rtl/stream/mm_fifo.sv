// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Synchronous FIFO over a block memory, first word falls through.
//
// Latency:    2 cycles from an accepted word to out_valid_o of an empty FIFO (one to write the
//             memory, one to read it).
// Throughput: 1 word in and 1 word out a cycle.
// Stalls:     in_ready_o depends on registers and flush_i only; out_valid_o comes from a register.
//             out_ready_i reaches the memory's read enable combinationally.
//
// The read register of the memory is the output register, so a block RAM needs nothing around it:
//
//   in --> [ mem, Depth words ] --read--> [ out register ] --> out
//           `------- level_o counts the words in both -------'

module mm_fifo #(
  /// Width of a word, bits, >= 1.
  parameter  int unsigned WidthBits  = 128,
  /// Words held at most (memory and output register together), >= 2.
  parameter  int unsigned Depth      = 512,
  /// Derived; do not set. Width of level_o.
  localparam int unsigned LevelWidth = $clog2(Depth + 1)
) (
  /// Clock, rising edge.
  input  logic                  clk_i,
  /// Reset, synchronous, active low.
  input  logic                  rst_ni,
  /// Forget all words at the next edge; nothing is accepted in this cycle.
  input  logic                  flush_i,
  /// Sender offers a word.
  input  logic                  in_valid_i,
  /// There is room, and no flush.
  output logic                  in_ready_o,
  /// Word offered.
  input  logic [WidthBits-1:0]  in_data_i,
  /// A word is offered to the receiver; registered.
  output logic                  out_valid_o,
  /// Receiver takes the word.
  input  logic                  out_ready_i,
  /// Word offered to the receiver; stable while stalled.
  output logic [WidthBits-1:0]  out_data_o,
  /// Words held now, 0..Depth; registered.
  output logic [LevelWidth-1:0] level_o
);

  localparam int unsigned PtrWidth = $clog2(Depth);

  if (WidthBits < 1) begin : gen_bad_width
    $fatal(1, "%m: WidthBits must be >= 1");
  end
  if (Depth < 2) begin : gen_bad_depth
    $fatal(1, "%m: Depth must be >= 2");
  end

  logic [WidthBits-1:0]  mem_q [Depth];
  logic [WidthBits-1:0]  out_data_q;
  logic                  out_valid_d, out_valid_q;
  logic [PtrWidth-1:0]   wptr_d, wptr_q, rptr_d, rptr_q;
  logic [LevelWidth-1:0] level_d, level_q;
  logic                  in_fire, out_fire, mem_filled, mem_read;

  // Depth may be any number, so a pointer wraps by comparison.
  function automatic logic [PtrWidth-1:0] next_ptr(logic [PtrWidth-1:0] ptr);
    return (ptr == PtrWidth'(Depth - 1)) ? '0 : ptr + PtrWidth'(1);
  endfunction

  assign in_fire    = in_valid_i & in_ready_o;
  assign out_fire   = out_valid_q & out_ready_i;
  assign mem_filled = level_q != LevelWidth'(out_valid_q);
  assign mem_read   = mem_filled & (~out_valid_q | out_ready_i);

  always_comb begin
    out_valid_d = out_valid_q;
    wptr_d      = wptr_q;
    rptr_d      = rptr_q;
    level_d     = level_q + LevelWidth'(in_fire) - LevelWidth'(out_fire);
    if (in_fire) wptr_d = next_ptr(wptr_q);
    if (mem_read) begin
      rptr_d      = next_ptr(rptr_q);
      out_valid_d = 1'b1;
    end else if (out_fire) begin
      out_valid_d = 1'b0;
    end
    if (flush_i) begin
      out_valid_d = 1'b0;
      wptr_d      = '0;
      rptr_d      = '0;
      level_d     = '0;
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      out_valid_q <= 1'b0;
      wptr_q      <= '0;
      rptr_q      <= '0;
      level_q     <= '0;
    end else begin
      out_valid_q <= out_valid_d;
      wptr_q      <= wptr_d;
      rptr_q      <= rptr_d;
      level_q     <= level_d;
    end
  end

  // No reset here: with one neither the memory nor its read register becomes a block RAM.
  always_ff @(posedge clk_i) begin
    if (in_fire) mem_q[wptr_q] <= in_data_i;
    if (mem_read) out_data_q <= mem_q[rptr_q];
  end

  assign in_ready_o  = (level_q != LevelWidth'(Depth)) & ~flush_i;
  assign out_valid_o = out_valid_q;
  assign out_data_o  = out_data_q;
  assign level_o     = level_q;

`ifndef SYNTHESIS
  // A word that the sender offers stays offered and unchanged until it is taken or flushed.
  a_in_stable : assert property (@(posedge clk_i) disable iff (!rst_ni || flush_i)
      in_valid_i && !in_ready_o |=> in_valid_i && $stable(in_data_i));
  // A word that is offered to the receiver stays offered and unchanged until it is taken or flushed.
  a_out_stable : assert property (@(posedge clk_i) disable iff (!rst_ni || flush_i)
      out_valid_o && !out_ready_i |=> flush_i || $past(flush_i) ||
                                      (out_valid_o && $stable(out_data_o)));
  // The level never exceeds what the FIFO can hold.
  a_level_bound : assert property (@(posedge clk_i) disable iff (!rst_ni)
      level_q <= LevelWidth'(Depth));
  // A word at the output is counted.
  a_level_counts_out : assert property (@(posedge clk_i) disable iff (!rst_ni)
      out_valid_q |-> level_q != '0);
`endif

endmodule
