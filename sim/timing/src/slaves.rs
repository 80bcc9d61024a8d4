//! The memory's side of the AXI channels, as the simulated board's slaves are (`sim/board/src/axi`), without data and checks.

use std::collections::VecDeque;

use macromac_ddr::timing::{Channel, MemoryTiming};

use crate::chip::{Burst, Record, Write};

/// Bursts that a slave takes before it says wait.
const QUEUE: usize = 32;
/// Beats that it takes ahead of their address.
const AHEAD: u32 = 8;

/// One read port.
#[derive(Debug, Default)]
pub(crate) struct ReadSlave {
    port: usize,
    /// Beats left of each burst.
    queue: VecDeque<u32>,
    /// ARREADY
    pub ar_ready: bool,
    /// RVALID, and RLAST.
    pub r: Option<bool>,
}

impl ReadSlave {
    pub fn new(port: usize) -> Self {
        ReadSlave {
            port,
            ..Self::default()
        }
    }

    /// Nothing is under way, and an address would be taken.
    #[inline]
    pub fn quiet(&self) -> bool {
        self.queue.is_empty() && self.ar_ready
    }

    /// One cycle.
    #[inline]
    pub fn cycle<M: MemoryTiming + ?Sized>(
        &mut self,
        ar: Option<Burst>,
        cycle: u64,
        timing: &mut M,
    ) {
        if ar.is_none() && self.quiet() {
            return;
        }
        if let Some(last) = self.r.take() {
            if last {
                self.queue.pop_front();
            }
        }
        if let (Some(burst), true) = (ar, self.ar_ready) {
            timing.read(self.port, cycle, burst.address, burst.beats);
            self.queue.push_back(burst.beats);
        }
        if let Some(left) = self.queue.front_mut() {
            if timing.read_beat(self.port, cycle + 1) {
                *left -= 1;
                self.r = Some(*left == 0);
            }
        }
        self.ar_ready = self.queue.len() < QUEUE && timing.ready(self.port, Channel::ReadAddress);
    }
}

/// The write port.
#[derive(Debug, Default)]
pub(crate) struct WriteSlave {
    port: usize,
    bursts: VecDeque<(Write, u32)>,
    complete: usize,
    unmatched: u32,
    /// AWREADY, WREADY, BVALID
    pub aw_ready: bool,
    pub w_ready: bool,
    pub b: bool,
    /// The record in memory, and how many were written.
    pub record: Record,
    pub records: u64,
}

impl WriteSlave {
    pub fn new(port: usize) -> Self {
        WriteSlave {
            port,
            ..Self::default()
        }
    }

    /// Nothing is under way, and anything would be taken.
    #[inline]
    pub fn quiet(&self) -> bool {
        self.bursts.is_empty() && !self.b && self.aw_ready && self.w_ready
    }

    /// One cycle.
    #[inline]
    pub fn cycle<M: MemoryTiming + ?Sized>(
        &mut self,
        aw: Option<Write>,
        w: bool,
        cycle: u64,
        timing: &mut M,
    ) {
        if aw.is_none() && !w && self.quiet() {
            return;
        }
        self.b = false;
        if let (Some(write), true) = (aw, self.aw_ready) {
            self.bursts.push_back((write, 0));
        }
        self.unmatched += u32::from(w && self.w_ready);
        while self.unmatched != 0 {
            let Some((write, filled)) = self.bursts.get_mut(self.complete) else {
                break;
            };
            *filled += 1;
            self.unmatched -= 1;
            let Burst { address, beats } = write.burst;
            if *filled == beats {
                timing.write(self.port, cycle, address, beats);
                self.complete += 1;
            }
        }
        if self.complete != 0 && timing.write_response(self.port, cycle + 1) {
            if let Some((write, _)) = self.bursts.pop_front() {
                if let Some(record) = write.record {
                    self.record = record;
                    self.records += 1;
                }
            }
            self.complete -= 1;
            self.b = true;
        }
        self.aw_ready = self.bursts.len() < QUEUE && timing.ready(self.port, Channel::WriteAddress);
        self.w_ready = self.unmatched < AHEAD && timing.ready(self.port, Channel::WriteData);
    }
}
