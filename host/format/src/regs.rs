// Generated from rtl/regs/macromac.rdl by scripts/generate; do not edit.

//! Register map: byte offsets of the registers, masks and shifts of their fields.

/// Counters of one weight port: byte offset of element 0; its registers' offsets count from here.
pub const PORT_BASE: u32 = 0x1100;
/// Bytes from one element of `PORT` to the next.
pub const PORT_STRIDE: u32 = 0x40;
/// Elements of `PORT`.
pub const PORT_COUNT: u32 = 4;

/// Identification.
pub const ID: u32 = 0x0000;
/// Value of `ID` after reset.
pub const ID_RESET: u32 = 0x4d4d4143;

/// Interface version.
pub const VERSION: u32 = 0x0004;
/// Mask of bits 15:0: Compatible additions.
pub const VERSION_MINOR_MASK: u32 = 0x0000ffff;
/// Lowest bit of `VERSION_MINOR_MASK`.
pub const VERSION_MINOR_SHIFT: u32 = 0;
/// Mask of bits 31:16: Incompatible changes.
pub const VERSION_MAJOR_MASK: u32 = 0xffff0000;
/// Lowest bit of `VERSION_MAJOR_MASK`.
pub const VERSION_MAJOR_SHIFT: u32 = 16;
/// Value of `VERSION` after reset.
pub const VERSION_RESET: u32 = 0x00010000;

/// Capabilities 0.
pub const CAP0: u32 = 0x0008;
/// Mask of bits 3:0: Weight ports = MACRO_MAC units.
pub const CAP0_PORTS_MASK: u32 = 0x0000000f;
/// Lowest bit of `CAP0_PORTS_MASK`.
pub const CAP0_PORTS_SHIFT: u32 = 0;
/// Mask of bits 7:4: Arithmetic: 0 = paper (FP32 PEs), 1 = kv260 (exact group sums).
pub const CAP0_ARITHMETIC_MASK: u32 = 0x000000f0;
/// Lowest bit of `CAP0_ARITHMETIC_MASK`.
pub const CAP0_ARITHMETIC_SHIFT: u32 = 4;
/// Mask of bits 15:8: Activation vectors that share a pass.
pub const CAP0_BATCH_MASK: u32 = 0x0000ff00;
/// Lowest bit of `CAP0_BATCH_MASK`.
pub const CAP0_BATCH_SHIFT: u32 = 8;
/// Mask of bits 23:16: Input channels a quantization group.
pub const CAP0_GROUP_SIZE_MASK: u32 = 0x00ff0000;
/// Lowest bit of `CAP0_GROUP_SIZE_MASK`.
pub const CAP0_GROUP_SIZE_SHIFT: u32 = 16;
/// Mask of bits 31:24: Strips (128 bit) a macro of format 1; kv260 also takes format 2 (17).
pub const CAP0_MACRO_STRIPS_MASK: u32 = 0xff000000;
/// Lowest bit of `CAP0_MACRO_STRIPS_MASK`.
pub const CAP0_MACRO_STRIPS_SHIFT: u32 = 24;

/// Capabilities 1.
pub const CAP1: u32 = 0x000c;

/// Capabilities 2.
pub const CAP2: u32 = 0x0010;
/// Mask of bits 15:0: Largest number of groups a pass may have (K / 64).
pub const CAP2_MAX_GROUPS_MASK: u32 = 0x0000ffff;
/// Lowest bit of `CAP2_MAX_GROUPS_MASK`.
pub const CAP2_MAX_GROUPS_SHIFT: u32 = 0;
/// Mask of bits 23:16: Width of DMA addresses in bits.
pub const CAP2_ADDR_BITS_MASK: u32 = 0x00ff0000;
/// Lowest bit of `CAP2_ADDR_BITS_MASK`.
pub const CAP2_ADDR_BITS_SHIFT: u32 = 16;

/// Configuration hash. FNV-1a (32 bit) over all hardware parameters, so that a figure names the machine it was measured on.
pub const CONFIG_HASH: u32 = 0x0014;

/// Control. Writing one starts the action; reads give zero.
pub const CTRL: u32 = 0x0020;
/// Mask of bits 0: Start the program ring from its first step; sequence numbers, doorbell and completion restart at 0. Ignored unless idle..
pub const CTRL_START_MASK: u32 = 0x00000001;
/// Lowest bit of `CTRL_START_MASK`.
pub const CTRL_START_SHIFT: u32 = 0;
/// Mask of bits 1: Finish the steps that the doorbell has released, drain the bus, flush the prefetch, become idle..
pub const CTRL_STOP_MASK: u32 = 0x00000002;
/// Lowest bit of `CTRL_STOP_MASK`.
pub const CTRL_STOP_SHIFT: u32 = 1;
/// Mask of bits 2: Drain the bus, forget everything, clear the error, become idle..
pub const CTRL_SOFT_RESET_MASK: u32 = 0x00000004;
/// Lowest bit of `CTRL_SOFT_RESET_MASK`.
pub const CTRL_SOFT_RESET_SHIFT: u32 = 2;

/// Status.
pub const STATUS: u32 = 0x0024;
/// Mask of bits 0: Nothing runs and nothing is outstanding on any port.
pub const STATUS_IDLE_MASK: u32 = 0x00000001;
/// Lowest bit of `STATUS_IDLE_MASK`.
pub const STATUS_IDLE_SHIFT: u32 = 0;
/// Mask of bits 1: A program is running.
pub const STATUS_RUNNING_MASK: u32 = 0x00000002;
/// Lowest bit of `STATUS_RUNNING_MASK`.
pub const STATUS_RUNNING_SHIFT: u32 = 1;
/// Mask of bits 2: Stopping, resetting or halting: the bus is draining.
pub const STATUS_DRAINING_MASK: u32 = 0x00000004;
/// Lowest bit of `STATUS_DRAINING_MASK`.
pub const STATUS_DRAINING_SHIFT: u32 = 2;
/// Mask of bits 3: Halted by an error (sticky until soft reset).
pub const STATUS_FAULTED_MASK: u32 = 0x00000008;
/// Lowest bit of `STATUS_FAULTED_MASK`.
pub const STATUS_FAULTED_SHIFT: u32 = 3;
/// Mask of bits 4: A NaN or infinity was among the activations (kv260; sticky until soft reset): every result of that vector is NaN.
pub const STATUS_NAN_IN_MASK: u32 = 0x00000010;
/// Lowest bit of `STATUS_NAN_IN_MASK`.
pub const STATUS_NAN_IN_SHIFT: u32 = 4;

/// Interrupt status.
pub const IRQ_STATUS: u32 = 0x0028;
/// Mask of bits 0: A step with its interrupt flag set is complete.
pub const IRQ_STATUS_STEP_DONE_MASK: u32 = 0x00000001;
/// Lowest bit of `IRQ_STATUS_STEP_DONE_MASK`.
pub const IRQ_STATUS_STEP_DONE_SHIFT: u32 = 0;
/// Mask of bits 1: The device halted on an error.
pub const IRQ_STATUS_FAULT_MASK: u32 = 0x00000002;
/// Lowest bit of `IRQ_STATUS_FAULT_MASK`.
pub const IRQ_STATUS_FAULT_SHIFT: u32 = 1;

/// Interrupt enable.
pub const IRQ_ENABLE: u32 = 0x002c;
/// Mask of bits 0: Enable step_done.
pub const IRQ_ENABLE_STEP_DONE_MASK: u32 = 0x00000001;
/// Lowest bit of `IRQ_ENABLE_STEP_DONE_MASK`.
pub const IRQ_ENABLE_STEP_DONE_SHIFT: u32 = 0;
/// Mask of bits 1: Enable fault.
pub const IRQ_ENABLE_FAULT_MASK: u32 = 0x00000002;
/// Lowest bit of `IRQ_ENABLE_FAULT_MASK`.
pub const IRQ_ENABLE_FAULT_SHIFT: u32 = 1;

/// Program ring, address bits 31..0.
pub const RING_BASE_LO: u32 = 0x0030;

/// Program ring, address bits 63..32.
pub const RING_BASE_HI: u32 = 0x0034;

/// Program ring, number of steps.
pub const RING_STEPS: u32 = 0x0038;
/// Mask of bits 15:0: Descriptors in the ring, at least 1.
pub const RING_STEPS_STEPS_MASK: u32 = 0x0000ffff;
/// Lowest bit of `RING_STEPS_STEPS_MASK`.
pub const RING_STEPS_STEPS_SHIFT: u32 = 0;

/// Completion record, address bits 31..0.
pub const COMPLETION_LO: u32 = 0x0040;

/// Completion record, address bits 63..32.
pub const COMPLETION_HI: u32 = 0x0044;

/// AXI attributes. Driven on AxCACHE and AxPROT; the driver sets them after it has probed coherency.
pub const AXI_ATTR: u32 = 0x0048;
/// Mask of bits 3:0: ARCACHE of the weight ports.
pub const AXI_ATTR_WEIGHT_CACHE_MASK: u32 = 0x0000000f;
/// Lowest bit of `AXI_ATTR_WEIGHT_CACHE_MASK`.
pub const AXI_ATTR_WEIGHT_CACHE_SHIFT: u32 = 0;
/// Mask of bits 6:4: ARPROT of the weight ports.
pub const AXI_ATTR_WEIGHT_PROT_MASK: u32 = 0x00000070;
/// Lowest bit of `AXI_ATTR_WEIGHT_PROT_MASK`.
pub const AXI_ATTR_WEIGHT_PROT_SHIFT: u32 = 4;
/// Mask of bits 11:8: AxCACHE of the data port.
pub const AXI_ATTR_DATA_CACHE_MASK: u32 = 0x00000f00;
/// Lowest bit of `AXI_ATTR_DATA_CACHE_MASK`.
pub const AXI_ATTR_DATA_CACHE_SHIFT: u32 = 8;
/// Mask of bits 14:12: AxPROT of the data port.
pub const AXI_ATTR_DATA_PROT_MASK: u32 = 0x00007000;
/// Lowest bit of `AXI_ATTR_DATA_PROT_MASK`.
pub const AXI_ATTR_DATA_PROT_SHIFT: u32 = 12;
/// Value of `AXI_ATTR` after reset.
pub const AXI_ATTR_RESET: u32 = 0x00000f03;

/// Watchdog.
pub const WATCHDOG: u32 = 0x004c;

/// Error cause.
pub const ERR_CAUSE: u32 = 0x0050;
/// Mask of bits 7:0: 0 none, 1 bus read, 2 bus write, 3 bad descriptor, 4 reserved bits set in a zeros strip, 5 watchdog.
pub const ERR_CAUSE_CAUSE_MASK: u32 = 0x000000ff;
/// Lowest bit of `ERR_CAUSE_CAUSE_MASK`.
pub const ERR_CAUSE_CAUSE_SHIFT: u32 = 0;
/// Mask of bits 11:8: Port: 0..3 weights, 4 data.
pub const ERR_CAUSE_PORT_MASK: u32 = 0x00000f00;
/// Lowest bit of `ERR_CAUSE_PORT_MASK`.
pub const ERR_CAUSE_PORT_SHIFT: u32 = 8;
/// Mask of bits 31:16: Ring index of the step concerned (cause 3: of the descriptor).
pub const ERR_CAUSE_STEP_MASK: u32 = 0xffff0000;
/// Lowest bit of `ERR_CAUSE_STEP_MASK`.
pub const ERR_CAUSE_STEP_SHIFT: u32 = 16;

/// Error address, bits 31..0.
pub const ERR_ADDR_LO: u32 = 0x0054;

/// Error address, bits 63..32.
pub const ERR_ADDR_HI: u32 = 0x0058;

/// Doorbell. Sequence number of the first step whose activations are NOT yet in memory: steps below it may run. Counts from 0 at start, wraps at 2^32.
pub const DOORBELL: u32 = 0x1000;

/// Steps done.
pub const STEPS_DONE: u32 = 0x1004;

/// Cycles (counter, bits 31..0). PL cycles since reset.
pub const CYCLES_LO: u32 = 0x1010;

/// Cycles (counter, bits 63..32). PL cycles since reset.
pub const CYCLES_HI: u32 = 0x1014;

/// Stream cycles (counter, bits 31..0). Cycles from the first strip of a pass to its last, both included, summed over the passes.
pub const STREAM_CYCLES_LO: u32 = 0x1018;

/// Stream cycles (counter, bits 63..32). Cycles from the first strip of a pass to its last, both included, summed over the passes.
pub const STREAM_CYCLES_HI: u32 = 0x101c;

/// Steps (counter, bits 31..0). Steps complete.
pub const STEPS_LO: u32 = 0x1020;

/// Steps (counter, bits 63..32). Steps complete.
pub const STEPS_HI: u32 = 0x1024;

/// Beats (counter, bits 31..0). Beats read from memory.
/// Offset in an element of `PORT`.
pub const PORT_BEATS_LO: u32 = 0x0000;

/// Beats (counter, bits 63..32). Beats read from memory.
/// Offset in an element of `PORT`.
pub const PORT_BEATS_HI: u32 = 0x0004;

/// Strips (counter, bits 31..0). Strips taken by the unit.
/// Offset in an element of `PORT`.
pub const PORT_STRIPS_LO: u32 = 0x0008;

/// Strips (counter, bits 63..32). Strips taken by the unit.
/// Offset in an element of `PORT`.
pub const PORT_STRIPS_HI: u32 = 0x000c;

/// Stall: no data (counter, bits 31..0). Running cycles without a strip: the port's FIFO was empty.
/// Offset in an element of `PORT`.
pub const PORT_NO_DATA_LO: u32 = 0x0010;

/// Stall: no data (counter, bits 63..32). Running cycles without a strip: the port's FIFO was empty.
/// Offset in an element of `PORT`.
pub const PORT_NO_DATA_HI: u32 = 0x0014;

/// Stall: no activations (counter, bits 31..0). Running cycles without a strip: no loaded step.
/// Offset in an element of `PORT`.
pub const PORT_NO_ACTIVATIONS_LO: u32 = 0x0018;

/// Stall: no activations (counter, bits 63..32). Running cycles without a strip: no loaded step.
/// Offset in an element of `PORT`.
pub const PORT_NO_ACTIVATIONS_HI: u32 = 0x001c;

/// Stall: no room (counter, bits 31..0). Running cycles without a strip: results could not leave.
/// Offset in an element of `PORT`.
pub const PORT_NO_ROOM_LO: u32 = 0x0020;

/// Stall: no room (counter, bits 63..32). Running cycles without a strip: results could not leave.
/// Offset in an element of `PORT`.
pub const PORT_NO_ROOM_HI: u32 = 0x0024;

/// Stall: lock step (counter, bits 31..0). Running cycles without a strip: another port had no data, or it was not this strip's phase.
/// Offset in an element of `PORT`.
pub const PORT_LOCK_STEP_LO: u32 = 0x0028;

/// Stall: lock step (counter, bits 63..32). Running cycles without a strip: another port had no data, or it was not this strip's phase.
/// Offset in an element of `PORT`.
pub const PORT_LOCK_STEP_HI: u32 = 0x002c;
