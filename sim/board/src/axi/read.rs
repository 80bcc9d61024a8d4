//! The slave side of AR and R.

use std::collections::VecDeque;

use super::check::{self, At, Held, Limits, Way};
use super::{Address, Attributes, World};
use crate::buffers::Owner;
use crate::inject::{Direction, Verdict, response};
use crate::memory::{Beat, Cursor};
use crate::violation::{Checked, Interface, Rule};
use macromac_ddr::timing::Channel;

/// Bursts the slave takes before it lowers ARREADY.
const QUEUE: usize = 32;

/// What the device drives.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReadMaster {
    /// AR with ARVALID.
    pub ar: Option<Address>,
    /// RREADY.
    pub r_ready: bool,
}

/// A beat on R.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadBeat {
    /// RDATA.
    pub data: Beat,
    /// RRESP.
    pub response: u8,
    /// RLAST.
    pub last: bool,
}

/// The slave of one read port.
pub struct ReadSlave {
    port: usize,
    interface: Interface,
    limits: Limits,
    allowed: &'static [Owner],
    queue: VecDeque<Burst>,
    held: Held<Address>,
    /// ARREADY.
    pub ar_ready: bool,
    /// R with RVALID.
    pub r: Option<ReadBeat>,
    /// Beats delivered.
    pub beats: u64,
}

struct Burst {
    cursor: Cursor,
    next: u32,
    beats: u32,
    verdict: Verdict,
}

impl ReadSlave {
    /// A slave for memory port `port` from which `allowed` may be read.
    pub fn new(port: usize, limits: Limits, allowed: &'static [Owner]) -> Self {
        Self {
            port,
            interface: Interface::of_port(port),
            limits,
            allowed,
            queue: VecDeque::with_capacity(QUEUE + 1),
            held: Held::default(),
            ar_ready: false,
            r: None,
            beats: 0,
        }
    }

    /// Expects other AxCACHE and AxPROT from the next burst on.
    pub fn set_attributes(&mut self, attributes: Attributes) {
        self.limits.attributes = attributes;
    }

    /// Bursts in flight.
    pub fn outstanding(&self) -> usize {
        self.queue.len()
    }

    /// One cycle.
    #[inline]
    pub fn cycle(&mut self, master: ReadMaster, world: &mut World<'_>) -> Checked {
        // Most cycles of most ports: nothing asked for, nothing under way.
        if master.ar.is_none() && self.queue.is_empty() && self.ar_ready {
            return self.held.check(None, true, self.at(world.cycle));
        }
        self.active(master, world)
    }

    fn at(&self, cycle: u64) -> At {
        At {
            interface: self.interface,
            what: "AR",
            cycle,
        }
    }

    fn active(&mut self, master: ReadMaster, world: &mut World<'_>) -> Checked {
        self.held
            .check(master.ar, self.ar_ready, self.at(world.cycle))?;
        if let Some(beat) = self.r {
            if master.r_ready {
                self.r = None;
                self.beats += 1;
                if beat.last {
                    self.queue.pop_front();
                }
            }
        }
        if let (Some(address), true) = (master.ar, self.ar_ready) {
            self.accept(&address, world)?;
        }
        if self.r.is_none() {
            self.deliver(world);
        }
        self.ar_ready =
            self.queue.len() < QUEUE && world.timing.ready(self.port, Channel::ReadAddress);
        Ok(())
    }

    fn accept(&mut self, address: &Address, world: &mut World<'_>) -> Checked {
        let at = self.at(world.cycle);
        let way = Way {
            port: self.port,
            direction: Direction::Read,
            limits: &self.limits,
            allowed: self.allowed,
        };
        let accepted = check::burst(at, address, &way, world)?;
        if self.queue.len() >= self.limits.outstanding {
            let found = format!(
                "{} were in flight at {:#x}",
                self.queue.len(),
                address.address
            );
            return Err(at.broken(Rule::Outstanding, found));
        }
        let beats = address.beats();
        world
            .timing
            .read(self.port, world.cycle, address.address, beats);
        self.queue.push_back(Burst {
            cursor: accepted.cursor,
            next: 0,
            beats,
            verdict: accepted.verdict,
        });
        Ok(())
    }

    /// Drives the next beat if it is time.
    fn deliver(&mut self, world: &mut World<'_>) {
        let Some(burst) = self.queue.front_mut() else {
            return;
        };
        if burst.verdict.hang && world.injector.hangs(self.port, Direction::Read) {
            return;
        }
        if !world.timing.read_beat(self.port, world.cycle + 1) {
            return;
        }
        let code = burst.verdict.response(burst.next);
        let data = match code {
            response::OKAY => world.space.beat(burst.cursor),
            // What comes with an error must not be used; a pattern that would show.
            _ => [0xDEAD_BEEF; 4],
        };
        burst.cursor.advance();
        burst.next += 1;
        self.r = Some(ReadBeat {
            data,
            response: code,
            last: burst.next == burst.beats,
        });
    }
}
