// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// AXI4 write master of the data port, shared by results (bursts) and completion records (one beat each). It has
// no IDs, so responses come in order; a small ring remembers whose they are.
//
// Latency:    1 cycle from an accepted command to awvalid and wvalid (Queued: 2 for results).
// Throughput: a beat a cycle, without a gap between bursts (Queued: of 2 beats or more).
// Stalls:     a command is taken when the previous burst's address is gone and its last beat leaves, and fewer than
//             MaxOutstanding responses are missing. AW and W do not wait for each other (AXI forbids it).
//             A begun burst is always finished: the sender of results offers a burst only when all its beats are in
//             its FIFO. bready is always high.

module mm_axi_writer
  import mm_pkg::*;
#(
  /// Bursts without a response at most, >= 1.
  parameter int unsigned MaxOutstanding = 8,
  /// A burst of results waits in a register of its own, so that the clock may be fast.
  parameter bit          Queued         = 1'b0
) (
  /// Clock, rising edge.
  input  logic                  clk_i,
  /// Reset, synchronous, active low.
  input  logic                  rst_ni,
  /// No burst is under way and no response is missing.
  output logic                  idle_o,

  /// A burst of results is wanted; all of it can be read from res_data_i without a pause of the sender's own making.
  input  logic                  res_cmd_valid_i,
  /// It is taken.
  output logic                  res_cmd_ready_o,
  /// Its address, 16-byte aligned; the burst stays within 4 KiB.
  input  logic [ADDR_BITS-1:0]  res_cmd_addr_i,
  /// Its length - 1, beats.
  input  logic [7:0]            res_cmd_len_i,
  /// What its response tells.
  input  rows_t                 res_cmd_rows_i,
  /// A beat of results is there.
  input  logic                  res_valid_i,
  /// It is taken.
  output logic                  res_ready_o,
  /// The beat.
  input  logic [STRIP_BITS-1:0] res_data_i,

  /// A completion record is to be written.
  input  logic                  rec_valid_i,
  /// It is taken, with its data.
  output logic                  rec_ready_o,
  /// Its address, 16-byte aligned.
  input  logic [ADDR_BITS-1:0]  rec_addr_i,
  /// Its 16 bytes.
  input  logic [STRIP_BITS-1:0] rec_data_i,
  /// Raise the interrupt when it is in memory.
  input  logic                  rec_irq_i,

  /// A response came; pulse.
  output logic                  rsp_valid_o,
  /// It is bad.
  output logic                  rsp_err_o,
  /// Address of its burst.
  output logic [ADDR_BITS-1:0]  rsp_addr_o,
  /// 1: of a completion record; 0: of results.
  output logic                  rsp_rec_o,
  /// As in its command; for a record only `irq` means something.
  output rows_t                 rsp_rows_o,
  /// A beat went to memory; pulse.
  output logic                  beat_o,

  /// AXI4 AW channel: address.
  output logic [ADDR_BITS-1:0]  m_axi_awaddr,
  /// AXI4 AW channel: beats - 1.
  output logic [7:0]            m_axi_awlen,
  /// AXI4 AW channel: valid.
  output logic                  m_axi_awvalid,
  /// AXI4 AW channel: ready.
  input  logic                  m_axi_awready,
  /// AXI4 W channel: data.
  output logic [STRIP_BITS-1:0] m_axi_wdata,
  /// AXI4 W channel: last beat of a burst.
  output logic                  m_axi_wlast,
  /// AXI4 W channel: valid.
  output logic                  m_axi_wvalid,
  /// AXI4 W channel: ready.
  input  logic                  m_axi_wready,
  /// AXI4 B channel: response; bit 1 means error.
  input  logic [1:0]            m_axi_bresp,
  /// AXI4 B channel: valid.
  input  logic                  m_axi_bvalid,
  /// AXI4 B channel: ready.
  output logic                  m_axi_bready
);

  localparam int unsigned CountBits = $clog2(MaxOutstanding + 1);
  localparam int unsigned PtrBits   = (MaxOutstanding > 1) ? $clog2(MaxOutstanding) : 1;

  if (MaxOutstanding < 1) begin : gen_bad_outstanding
    $fatal(1, "%m: MaxOutstanding must be >= 1");
  end

  typedef struct packed {
    logic [ADDR_BITS-5:0] addr;
    logic                 rec;
    rows_t                rows;
  } burst_t;

  logic                  aw_valid_d, aw_valid_q;
  logic [ADDR_BITS-5:0]  aw_addr_q;
  logic [7:0]            aw_len_q;
  logic                  w_active_d, w_active_q;
  logic                  w_rec_q;
  logic [7:0]            w_left_d, w_left_q;
  logic                  w_last_d, w_last_q;  // w_left_q = 0, known a cycle ahead
  logic [STRIP_BITS-1:0] rec_data_q;
  logic [CountBits-1:0]  count_q;
  logic [PtrBits-1:0]    wptr_q, rptr_q;
  burst_t                burst_q [MaxOutstanding];
  burst_t                cmd, rsp;

  logic can_take, take, w_fire, w_ends, b_fire;

  logic                 res_valid, res_take, res_waits;
  logic [ADDR_BITS-1:0] res_addr;
  logic [7:0]           res_len;
  rows_t                res_rows;

  assign w_fire   = m_axi_wvalid & m_axi_wready;
  assign w_ends   = w_fire & w_last_q;
  assign b_fire   = m_axi_bvalid & m_axi_bready;
  assign can_take = (~aw_valid_q | m_axi_awready) & (~w_active_q | w_ends) &
                    (count_q != CountBits'(MaxOutstanding));

  // A record goes first: software waits for it, and it is one beat.
  assign rec_ready_o     = can_take;
  assign take            = can_take & (rec_valid_i | res_valid);
  assign res_take        = can_take & ~rec_valid_i;

  if (Queued) begin : gen_cmd
    // One burst waits in a register, so that whoever plans the next one is not held up by the bus of this cycle.
    logic                 valid_q;
    logic [ADDR_BITS-1:0] addr_q;
    logic [7:0]           len_q;
    rows_t                rows_q;

    always_ff @(posedge clk_i) begin
      if (!rst_ni) valid_q <= 1'b0;
      else valid_q <= valid_q ? ~res_take : res_cmd_valid_i;
    end

    always_ff @(posedge clk_i) begin
      if (!valid_q) begin
        addr_q <= res_cmd_addr_i;
        len_q  <= res_cmd_len_i;
        rows_q <= res_cmd_rows_i;
      end
    end

    assign res_cmd_ready_o = ~valid_q;
    assign res_valid       = valid_q;
    assign res_waits       = valid_q;
    assign res_addr        = addr_q;
    assign res_len         = len_q;
    assign res_rows        = rows_q;
  end else begin : gen_cmd
    assign res_cmd_ready_o = res_take;
    assign res_valid       = res_cmd_valid_i;
    assign res_waits       = 1'b0;
    assign res_addr        = res_cmd_addr_i;
    assign res_len         = res_cmd_len_i;
    assign res_rows        = res_cmd_rows_i;
  end

  always_comb begin
    cmd.rec  = rec_valid_i;
    cmd.addr = rec_valid_i ? rec_addr_i[ADDR_BITS-1:4] : res_addr[ADDR_BITS-1:4];
    cmd.rows = res_rows;
    if (rec_valid_i) begin
      cmd.rows     = '0;
      cmd.rows.irq = rec_irq_i;
    end
  end

  always_comb begin
    aw_valid_d = aw_valid_q & ~m_axi_awready;
    w_active_d = w_active_q & ~w_ends;
    w_left_d   = w_left_q;
    w_last_d   = w_last_q;
    if (w_fire) begin
      w_left_d = w_left_q - 8'd1;
      w_last_d = w_left_q == 8'd1;
    end
    if (take) begin
      aw_valid_d = 1'b1;
      w_active_d = 1'b1;
      w_left_d   = rec_valid_i ? 8'd0 : res_len;
      w_last_d   = rec_valid_i | (res_len == 8'd0);
    end
  end

  function automatic logic [PtrBits-1:0] next_slot(logic [PtrBits-1:0] ptr);
    return (ptr == PtrBits'(MaxOutstanding - 1)) ? '0 : ptr + PtrBits'(1);
  endfunction

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      aw_valid_q <= 1'b0;
      w_active_q <= 1'b0;
      count_q    <= '0;
      wptr_q     <= '0;
      rptr_q     <= '0;
    end else begin
      aw_valid_q <= aw_valid_d;
      w_active_q <= w_active_d;
      count_q    <= count_q + CountBits'(take) - CountBits'(b_fire);
      if (take) wptr_q <= next_slot(wptr_q);
      if (b_fire) rptr_q <= next_slot(rptr_q);
    end
  end

  always_ff @(posedge clk_i) begin
    w_left_q <= w_left_d;
    w_last_q <= w_last_d;
    if (take) begin
      aw_addr_q       <= cmd.addr;
      aw_len_q        <= rec_valid_i ? 8'd0 : res_len;
      w_rec_q         <= rec_valid_i;
      burst_q[wptr_q] <= cmd;
    end
    if (take && rec_valid_i) rec_data_q <= rec_data_i;
  end

  assign m_axi_awaddr  = {aw_addr_q, 4'd0};
  assign m_axi_awlen   = aw_len_q;
  assign m_axi_awvalid = aw_valid_q;
  assign m_axi_wvalid  = w_active_q & (w_rec_q | res_valid_i);
  assign m_axi_wdata   = w_rec_q ? rec_data_q : res_data_i;
  assign m_axi_wlast   = w_last_q;
  assign m_axi_bready  = 1'b1;

  assign res_ready_o = w_active_q & ~w_rec_q & m_axi_wready;
  assign beat_o      = w_fire;
  assign idle_o      = ~res_waits & ~aw_valid_q & ~w_active_q & (count_q == '0);

  assign rsp         = burst_q[rptr_q];
  assign rsp_valid_o = b_fire;
  assign rsp_err_o   = m_axi_bresp[1];
  assign rsp_addr_o  = {rsp.addr, 4'd0};
  assign rsp_rec_o   = rsp.rec;
  assign rsp_rows_o  = rsp.rows;

  // Only bit 1 of the response and bits 39..4 of an address carry meaning here.
  logic unused;
  assign unused = ^{m_axi_bresp[0], rec_addr_i[3:0], res_addr[3:0]};

`ifndef SYNTHESIS
  // Address and length of a burst stay as they are until it is taken.
  a_aw_stable : assert property (@(posedge clk_i) disable iff (!rst_ni)
      m_axi_awvalid && !m_axi_awready |=>
      m_axi_awvalid && $stable(m_axi_awaddr) && $stable(m_axi_awlen));
  // A beat stays as it is until it is taken.
  a_w_stable : assert property (@(posedge clk_i) disable iff (!rst_ni)
      m_axi_wvalid && !m_axi_wready |=>
      m_axi_wvalid && $stable(m_axi_wdata) && $stable(m_axi_wlast));
  // No burst crosses a 4 KiB line.
  a_page : assert property (@(posedge clk_i) disable iff (!rst_ni)
      m_axi_awvalid |-> 13'(m_axi_awaddr[11:4]) + 13'(m_axi_awlen) < 13'd256);
  // No response comes that was not asked for.
  a_expected : assert property (@(posedge clk_i) disable iff (!rst_ni)
      m_axi_bvalid |-> count_q != '0);
`endif

endmodule
