// Copyright MacroMac contributors.
// SPDX-License-Identifier: Apache-2.0
//
// Sequencer: whether a program runs, and how it ends: start, stop, soft reset, fault.
//
// Latency:    a fault halts the device (enable_o low) in the cycle after its report.
// Throughput: -
// Stalls:     draining waits for the bus as long as the bus takes.
//
//            start                 stop: all released steps complete
//   Idle ----------------> Run -----------------------------------------+
//    ^                      |  fault or soft reset                      |
//    |                      +---------------------> Drain <-------------+
//    |      stop or soft reset                        | nothing outstanding on any port
//    +---------------------------------------------- Flush
//                                                     | fault (bus write: straight to Halt)
//    Drain <---- soft reset ---- Halt <---- Record <--+
//
// Errors: of reports in one cycle the write error wins (its data is lost), then read errors by port, then a bad
// descriptor, reserved bits, the watchdog. Reports are listened to only in Run: afterwards nothing is delivered.

module mm_sequencer
  import mm_pkg::*;
(
  /// Clock, rising edge.
  input  logic                       clk_i,
  /// Reset, synchronous, active low.
  input  logic                       rst_ni,

  /// Software wants: start; pulse.
  input  logic                       start_i,
  /// Software wants: stop; pulse.
  input  logic                       stop_i,
  /// Software wants: soft reset; pulse.
  input  logic                       soft_reset_i,
  /// Doorbell: steps released.
  input  logic [31:0]                doorbell_i,
  /// Doorbell as the steps see it: it stays as it was when stop came.
  output logic [31:0]                released_o,
  /// Steps complete.
  input  logic [31:0]                steps_done_i,
  /// Ring index of the step that is not complete yet.
  input  logic [15:0]                ring_index_i,
  /// A report waits to be written.
  input  logic                       pending_i,

  /// All four weight readers are idle.
  input  logic                       readers_idle_i,
  /// The data port's reader is idle.
  input  logic                       data_idle_i,
  /// The data port's writer is idle.
  input  logic                       writer_idle_i,

  /// A program starts; pulse.
  output logic                       start_o,
  /// The program runs: blocks may begin new work.
  output logic                       enable_o,
  /// Readers: ask for nothing, drop what comes.
  output logic                       drain_o,
  /// Forget everything; pulse, only when nothing is outstanding.
  output logic                       flush_o,
  /// Clear the counters (soft reset); pulse.
  output logic                       clear_o,

  /// Weight port p: read error now.
  input  logic [PORTS-1:0]           rd_err_i,
  /// Weight port p: address of the bad burst, bits 40p .. 40p+39.
  input  logic [PORTS*ADDR_BITS-1:0] rd_err_addr_i,
  /// Data port: read error now.
  input  logic                       data_err_i,
  /// Data port: address of the bad burst.
  input  logic [ADDR_BITS-1:0]       data_err_addr_i,
  /// Data port: write error now.
  input  logic                       wr_err_i,
  /// Data port: address of the bad burst.
  input  logic [ADDR_BITS-1:0]       wr_err_addr_i,
  /// A bad descriptor now.
  input  logic                       desc_err_i,
  /// Its ring index.
  input  logic [15:0]                desc_index_i,
  /// Unit p: reserved bits set now.
  input  logic [PORTS-1:0]           reserved_err_i,
  /// A strip was taken or a beat moved.
  input  logic                       progress_i,
  /// Watchdog: cycles; 0 = off.
  input  logic [31:0]                watchdog_i,

  /// Write the record of a fault; held until it is taken.
  output logic                       rec_valid_o,
  /// It is taken.
  input  logic                       rec_ready_i,

  /// STATUS.idle
  output logic                       idle_o,
  /// STATUS.draining
  output logic                       draining_o,
  /// STATUS.faulted
  output logic                       faulted_o,
  /// The device has halted by a fault and said so; pulse.
  output logic                       fault_irq_o,
  /// ERR_CAUSE.cause
  output cause_e                     cause_o,
  /// ERR_CAUSE.port
  output logic [3:0]                 port_o,
  /// ERR_CAUSE.step
  output logic [15:0]                step_o,
  /// ERR_ADDR
  output logic [ADDR_BITS-1:0]       addr_o
);

  typedef enum logic [2:0] {
    StIdle, StRun, StDrain, StFlush, StRecord, StHalt
  } state_e;

  typedef struct packed {
    cause_e      cause;
    logic [3:0]  port;
    logic [15:0] step;
    addr_t       addr;
  } fault_t;

  state_e      state_d, state_q;
  logic        stop_d, stop_q;      // stop came: finish what is released
  logic        reset_d, reset_q;    // soft reset came and is not done
  logic        rec_sent_d, rec_sent_q;
  logic [31:0] snapshot_q;
  fault_t      fault_d, fault_q;
  fault_t      report;
  logic        finished, busy, busy_q, expired, any_report, halted_q;
  logic [31:0] left;

  // ---- doorbell ----

  assign released_o = stop_q ? snapshot_q : doorbell_i;
  assign left       = released_o - steps_done_i;
  assign busy       = (state_q == StRun) & ~left[31] & (left != '0);
  // By the count of a cycle ago: after a stop it only falls.
  assign finished   = stop_q & ~busy_q & ~pending_i & writer_idle_i;

  mm_watchdog u_watchdog (
    .clk_i,
    .rst_ni,
    .busy_i    (busy_q),
    .progress_i,
    .limit_i   (watchdog_i),
    .expired_o (expired)
  );

  // ---- the first report of a fault ----

  always_comb begin
    report = '{cause: CauseNone, port: '0, step: ring_index_i, addr: '0};
    if (expired) report.cause = CauseWatchdog;
    for (int p = int'(PORTS) - 1; p >= 0; p--) begin
      if (reserved_err_i[p]) begin
        report.cause = CauseReserved;
        report.port  = 4'(p);
      end
    end
    if (desc_err_i) begin
      report = '{cause: CauseDescriptor, port: PORT_DATA, step: desc_index_i, addr: '0};
    end
    if (data_err_i) begin
      report = '{cause: CauseBusRead, port: PORT_DATA, step: ring_index_i, addr: data_err_addr_i};
    end
    for (int p = int'(PORTS) - 1; p >= 0; p--) begin
      if (rd_err_i[p]) begin
        report = '{cause: CauseBusRead, port: 4'(p), step: ring_index_i,
                   addr: rd_err_addr_i[p*ADDR_BITS +: ADDR_BITS]};
      end
    end
    if (wr_err_i) begin
      report = '{cause: CauseBusWrite, port: PORT_DATA, step: ring_index_i, addr: wr_err_addr_i};
    end
  end

  assign any_report = expired | (|reserved_err_i) | desc_err_i | data_err_i | (|rd_err_i) | wr_err_i;

  // ---- state ----

  always_comb begin
    state_d     = state_q;
    stop_d      = stop_q | (stop_i & (state_q == StRun));
    reset_d     = reset_q | soft_reset_i;
    rec_sent_d  = rec_sent_q;
    fault_d     = fault_q;
    unique case (state_q)
      StIdle: begin
        if (reset_d) begin
          state_d = StDrain;
        end else if (start_o) begin
          state_d = StRun;
        end
      end
      StRun: begin
        if (any_report && !reset_d) fault_d = report;
        if (reset_d || any_report || finished) state_d = StDrain;
      end
      StDrain: begin
        if (readers_idle_i && data_idle_i && writer_idle_i) state_d = StFlush;
      end
      StFlush: begin
        stop_d     = 1'b0;
        rec_sent_d = 1'b0;
        if (reset_d) begin
          reset_d = 1'b0;
          fault_d = '0;
          state_d = StIdle;
        end else if (fault_q.cause == CauseBusWrite) begin
          state_d = StHalt;
        end else if (fault_q.cause != CauseNone) begin
          state_d = StRecord;
        end else begin
          state_d = StIdle;
        end
      end
      StRecord: begin
        // The writer is idle here, so it takes the record at once; then its response is awaited.
        if (rec_ready_i) rec_sent_d = 1'b1;
        if (rec_sent_q && writer_idle_i) state_d = StHalt;
      end
      StHalt: begin
        if (reset_d) state_d = StDrain;
      end
      default: state_d = StDrain;
    endcase
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q    <= StIdle;
      stop_q     <= 1'b0;
      reset_q    <= 1'b0;
      rec_sent_q <= 1'b0;
      fault_q    <= '0;
      busy_q     <= 1'b0;
      halted_q   <= 1'b0;
    end else begin
      busy_q     <= busy;
      halted_q   <= state_q == StHalt;
      state_q    <= state_d;
      stop_q     <= stop_d;
      reset_q    <= reset_d;
      rec_sent_q <= rec_sent_d;
      fault_q    <= fault_d;
    end
  end

  always_ff @(posedge clk_i) begin
    if (stop_i && !stop_q) snapshot_q <= doorbell_i;
  end

  assign start_o     = (state_q == StIdle) & start_i & ~soft_reset_i;
  assign clear_o     = (state_q == StFlush) & (reset_q | soft_reset_i);
  assign fault_irq_o = (state_q == StHalt) & ~halted_q;
  assign rec_valid_o = (state_q == StRecord) & ~rec_sent_q;

  assign enable_o   = state_q == StRun;
  assign drain_o    = ~enable_o;
  assign flush_o    = state_q == StFlush;
  assign idle_o     = state_q == StIdle;
  assign draining_o = (state_q inside {StDrain, StFlush, StRecord}) | (enable_o & stop_q);
  assign faulted_o  = fault_q.cause != CauseNone;
  assign cause_o    = fault_q.cause;
  assign port_o     = fault_q.port;
  assign step_o     = fault_q.step;
  assign addr_o     = fault_q.addr;

`ifndef SYNTHESIS
  // Nothing is forgotten while something is outstanding.
  a_flush_idle : assert property (@(posedge clk_i) disable iff (!rst_ni)
      flush_o |-> readers_idle_i && data_idle_i && writer_idle_i);
  // A fault stays until a soft reset.
  a_sticky : assert property (@(posedge clk_i) disable iff (!rst_ni)
      faulted_o && !clear_o |=> faulted_o && $stable(cause_o) && $stable(addr_o));
`endif

endmodule
