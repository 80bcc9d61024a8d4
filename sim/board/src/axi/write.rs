//! The slave side of AW, W and B.

use std::collections::VecDeque;

use super::check::{self, At, Held, Limits, Way};
use super::{Address, Attributes, World};
use crate::buffers::Owner;
use crate::inject::{Direction, Verdict, response};
use crate::memory::{Beat, Cursor};
use crate::violation::{Checked, Interface, Rule};
use macromac_ddr::timing::Channel;

/// Bursts the slave takes before it lowers AWREADY.
const QUEUE: usize = 32;
/// Beats the slave takes ahead of their address.
const AHEAD: usize = 8;

/// What the device drives.
#[derive(Debug, Clone, Copy, Default)]
pub struct WriteMaster {
    /// AW with AWVALID.
    pub aw: Option<Address>,
    /// W with WVALID.
    pub w: Option<WriteBeat>,
    /// BREADY.
    pub b_ready: bool,
}

/// A beat on W.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteBeat {
    /// WDATA.
    pub data: Beat,
    /// WSTRB.
    pub strobe: u16,
    /// WLAST.
    pub last: bool,
}

/// The slave of the write port. Data is in memory from the cycle in which its response is driven: software that relies on data
/// whose response has not come yet reads what was there before.
pub struct WriteSlave {
    port: usize,
    interface: Interface,
    limits: Limits,
    allowed: &'static [Owner],
    /// Accepted addresses without response, oldest first.
    bursts: VecDeque<Burst>,
    /// Bursts of these whose data is complete.
    complete: usize,
    /// Beats that have found their burst, in order, then beats that have not.
    data: VecDeque<WriteBeat>,
    /// Beats in `data` that have found their burst.
    matched: usize,
    held_aw: Held<Address>,
    held_w: Held<WriteBeat>,
    /// AWREADY.
    pub aw_ready: bool,
    /// WREADY.
    pub w_ready: bool,
    /// B with BVALID.
    pub b: Option<u8>,
    /// Beats taken.
    pub beats: u64,
    /// Of these, results that have found their burst.
    pub results: u64,
    /// Bursts to the completion record that are in memory.
    pub records: u64,
}

struct Burst {
    cursor: Cursor,
    address: u64,
    owner: Option<Owner>,
    filled: u32,
    beats: u32,
    verdict: Verdict,
}

impl WriteSlave {
    /// A slave for memory port `port` through which `allowed` may be written.
    pub fn new(port: usize, limits: Limits, allowed: &'static [Owner]) -> Self {
        Self {
            port,
            interface: Interface::of_port(port),
            limits,
            allowed,
            bursts: VecDeque::with_capacity(QUEUE + 1),
            complete: 0,
            data: VecDeque::with_capacity(1024),
            matched: 0,
            held_aw: Held::default(),
            held_w: Held::default(),
            aw_ready: false,
            w_ready: false,
            b: None,
            beats: 0,
            results: 0,
            records: 0,
        }
    }

    /// Expects other AxCACHE and AxPROT from the next burst on.
    pub fn set_attributes(&mut self, attributes: Attributes) {
        self.limits.attributes = attributes;
    }

    /// Bursts in flight, a response that was not taken included.
    pub fn outstanding(&self) -> usize {
        self.bursts.len() + usize::from(self.b.is_some())
    }

    /// Beats that wait for an address.
    pub fn unmatched(&self) -> usize {
        self.data.len() - self.matched
    }

    /// One cycle.
    #[inline]
    pub fn cycle(&mut self, master: WriteMaster, world: &mut World<'_>) -> Checked {
        let quiet = master.aw.is_none() && master.w.is_none() && self.outstanding() == 0;
        if quiet && self.aw_ready && self.w_ready {
            self.held_aw.check(None, true, self.at("AW", world.cycle))?;
            return self.held_w.check(None, true, self.at("W", world.cycle));
        }
        self.active(master, world)
    }

    fn at(&self, what: &'static str, cycle: u64) -> At {
        At {
            interface: self.interface,
            what,
            cycle,
        }
    }

    fn active(&mut self, master: WriteMaster, world: &mut World<'_>) -> Checked {
        self.held_aw
            .check(master.aw, self.aw_ready, self.at("AW", world.cycle))?;
        self.held_w
            .check(master.w, self.w_ready, self.at("W", world.cycle))?;
        if master.b_ready {
            self.b = None;
        }
        if let (Some(address), true) = (master.aw, self.aw_ready) {
            self.accept(&address, world)?;
        }
        if let (Some(beat), true) = (master.w, self.w_ready) {
            if beat.strobe != 0xFFFF {
                let found = format!("strobe {:#06x}", beat.strobe);
                return Err(self.at("W", world.cycle).broken(Rule::Strobe, found));
            }
            self.beats += 1;
            self.data.push_back(beat);
        }
        self.assign(world)?;
        if self.b.is_none() {
            self.respond(world);
        }
        let timing = &mut *world.timing;
        self.aw_ready = self.bursts.len() < QUEUE && timing.ready(self.port, Channel::WriteAddress);
        let room = self.data.len() - self.matched < AHEAD;
        self.w_ready = room && timing.ready(self.port, Channel::WriteData);
        Ok(())
    }

    fn accept(&mut self, address: &Address, world: &mut World<'_>) -> Checked {
        let at = self.at("AW", world.cycle);
        let way = Way {
            port: self.port,
            direction: Direction::Write,
            limits: &self.limits,
            allowed: self.allowed,
        };
        let accepted = check::burst(at, address, &way, world)?;
        if self.outstanding() >= self.limits.outstanding {
            let found = format!(
                "{} were in flight at {:#x}",
                self.outstanding(),
                address.address
            );
            return Err(at.broken(Rule::Outstanding, found));
        }
        let beats = address.beats();
        let address = address.address;
        self.bursts.push_back(Burst {
            cursor: accepted.cursor,
            address,
            owner: accepted.owner,
            filled: 0,
            beats,
            verdict: accepted.verdict,
        });
        Ok(())
    }

    /// Gives waiting beats to the oldest burst that is not full.
    fn assign(&mut self, world: &mut World<'_>) -> Checked {
        while let Some(beat) = self.data.get(self.matched) {
            let Some(burst) = self.bursts.get_mut(self.complete) else {
                break;
            };
            burst.filled += 1;
            self.matched += 1;
            self.results += u64::from(burst.owner != Some(Owner::Completion));
            let full = burst.filled == burst.beats;
            if beat.last != full {
                let (beats, filled, address) = (burst.beats, burst.filled, burst.address);
                let what = if beat.last { "early" } else { "missing" };
                let found = format!(
                    "it is {what} on beat {filled} of {beats} of the burst at {address:#x}"
                );
                return Err(self.at("W", world.cycle).broken(Rule::WriteLast, found));
            }
            if full {
                world
                    .timing
                    .write(self.port, world.cycle, burst.address, burst.beats);
                self.complete += 1;
            }
        }
        Ok(())
    }

    /// Answers the oldest complete burst if it is time, and puts its data into memory.
    fn respond(&mut self, world: &mut World<'_>) {
        if self.complete == 0 {
            return;
        }
        let hangs = self.bursts.front().is_some_and(|burst| burst.verdict.hang);
        if hangs && world.injector.hangs(self.port, Direction::Write) {
            return;
        }
        if !world.timing.write_response(self.port, world.cycle + 1) {
            return;
        }
        let Some(mut burst) = self.bursts.pop_front() else {
            return;
        };
        self.complete -= 1;
        let code = burst.verdict.response(burst.verdict.bad.0);
        for _ in 0..burst.beats {
            let Some(beat) = self.data.pop_front() else {
                break;
            };
            self.matched -= 1;
            if code == response::OKAY {
                world.space.store(burst.cursor, &beat.data, beat.strobe);
                burst.cursor.advance();
            }
        }
        if code == response::OKAY && burst.owner == Some(Owner::Completion) {
            self.records += 1;
        }
        self.b = Some(code);
    }
}
