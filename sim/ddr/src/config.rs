//! What of the memory can be chosen, and what was fitted.

use super::jedec::DdrRate;

/// A memory and the clock of the logic in front of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DdrConfig {
    /// Data rate.
    pub rate: DdrRate,
    /// Clock of the programmable logic in Hertz.
    pub pl_hz: u64,
    /// Queue and ports.
    pub queue: QueueConfig,
}

impl DdrConfig {
    /// A KV260's memory behind logic at `pl_hz`.
    pub const fn new(rate: DdrRate, pl_hz: u64) -> Self {
        Self {
            rate,
            pl_hz,
            queue: QueueConfig::FITTED,
        }
    }
}

/// Queue and ports of the controller: the only parameters that are fitted. Times are in memory clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueConfig {
    /// Read lines that the scheduler chooses from.
    pub read_lines: u32,
    /// Write lines that it holds.
    pub write_lines: u32,
    /// Read lines of an AXI port between the arbiter and the way back; HP1 and HP2 share twice as many.
    pub port_lines: u32,
    /// Lines that a controller port may send in a row while others wait.
    pub arbiter_run: u32,
    /// Lines that HP1 or HP2 may send in a row over the controller port that they share while the other waits.
    pub source_run: u32,
    /// A read that has waited so long goes before row hits.
    pub read_age: u64,
    /// Hits that a row may serve past an older request for another row of its bank, until it is closed.
    pub row_hits: u32,
    /// A write that has waited so long turns the bus, even while reads wait.
    pub write_age: u64,
    /// So many waiting writes turn the bus.
    pub write_high: u32,
    /// Read bursts that an AXI port takes before it says wait.
    pub read_bursts: u32,
    /// Write bursts likewise.
    pub write_bursts: u32,
    /// From an accepted AXI burst to the port arbiter.
    pub request: u64,
    /// From the memory's data lines to the AXI port.
    pub read_return: u64,
    /// From the memory's data lines to a core.
    pub ps_return: u64,
    /// Lines that a core has under way when it reads a stream.
    pub ps_lines: u32,
}

impl QueueConfig {
    /// Fitted to published measurements: `docs/memory.md`, `cargo run --release -p macromac-ddr --example ddr`.
    pub const FITTED: Self = Self {
        read_lines: 48,
        write_lines: 64,
        port_lines: 28,
        arbiter_run: 1,
        source_run: 16,
        read_age: 4096,
        row_hits: 64,
        write_age: 8,
        write_high: 48,
        read_bursts: 8,
        write_bursts: 8,
        request: 100,
        read_return: 160,
        ps_return: 40,
        ps_lines: 12,
    };
}
