//! Rules that several channels share.

use std::fmt::Debug;

use super::{Address, World};
use crate::buffers::Owner;
use crate::inject::{Direction, Verdict};
use crate::memory::Cursor;
use crate::space::Found;
use crate::violation::{Checked, Interface, Rule, Violation};

/// AxCACHE and AxPROT of one interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes {
    /// AxCACHE.
    pub cache: u8,
    /// AxPROT.
    pub prot: u8,
}

/// What the contract allows a master on one interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest burst in beats.
    pub burst_beats: u32,
    /// Most bursts in flight.
    pub outstanding: usize,
    /// What it must drive on AxCACHE and AxPROT.
    pub attributes: Attributes,
}

/// VALID that waits for READY: it must stay, and so must its payload.
#[derive(Debug)]
pub struct Held<T> {
    waiting: Option<T>,
}

impl<T> Default for Held<T> {
    fn default() -> Self {
        Self { waiting: None }
    }
}

impl<T: Copy + PartialEq + Debug> Held<T> {
    /// Looks at a cycle of the channel.
    #[inline]
    pub fn check(&mut self, now: Option<T>, ready: bool, at: At) -> Checked {
        if let Some(before) = self.waiting {
            if now != Some(before) {
                return Err(match now {
                    None => at.broken(Rule::ValidDropped, format!("it fell under {before:x?}")),
                    Some(now) => {
                        at.broken(Rule::PayloadChanged, format!("{before:x?} became {now:x?}"))
                    }
                });
            }
        }
        self.waiting = if ready { None } else { now };
        Ok(())
    }
}

/// Where and when a check is made.
#[derive(Debug, Clone, Copy)]
pub struct At {
    /// Interface.
    pub interface: Interface,
    /// Channel or register.
    pub what: &'static str,
    /// Cycle.
    pub cycle: u64,
}

impl At {
    /// A broken rule here.
    #[cold]
    pub fn broken(self, rule: Rule, found: String) -> Box<Violation> {
        let Self {
            interface,
            what,
            cycle,
        } = self;
        Box::new(Violation {
            interface,
            what,
            rule,
            cycle,
            found,
        })
    }
}

/// What becomes of an accepted burst.
pub struct Accepted {
    /// Its place in memory; not to be used where the verdict is an error.
    pub cursor: Cursor,
    /// Whose memory that is; `None` if it may not go there.
    pub owner: Option<Owner>,
    /// How it is answered.
    pub verdict: Verdict,
}

/// A direction of a memory port.
pub struct Way<'a> {
    /// Memory port: 0..=3 weights, 4 data.
    pub port: usize,
    /// Direction.
    pub direction: Direction,
    /// What the contract allows there.
    pub limits: &'a Limits,
    /// Whose memory may be touched.
    pub allowed: &'a [Owner],
}

/// Checks an accepted burst; gives its place in memory and the answer that is planned for it.
pub fn burst(at: At, burst: &Address, way: &Way<'_>, world: &mut World<'_>) -> Checked<Accepted> {
    let Address {
        address,
        size,
        burst: kind,
        cache,
        prot,
        ..
    } = *burst;
    let beats = burst.beats();
    let bytes = 16 * u64::from(beats);
    let broken =
        |rule, found: String| Err(at.broken(rule, format!("address {address:#x}, {found}")));
    if kind != 1 {
        return broken(Rule::BurstType, format!("burst type {kind}"));
    }
    if size != 4 {
        return broken(Rule::BeatSize, format!("{} bytes a beat", 1 << size));
    }
    if address % 16 != 0 {
        return broken(Rule::Alignment, format!("remainder {}", address % 16));
    }
    if beats > way.limits.burst_beats {
        return broken(
            Rule::BurstLength,
            format!("{beats} beats, limit {}", way.limits.burst_beats),
        );
    }
    if address % 4096 + bytes > 4096 {
        return broken(Rule::Crosses4K, format!("{beats} beats"));
    }
    if (Attributes { cache, prot }) != way.limits.attributes {
        let Attributes { cache: c, prot: p } = way.limits.attributes;
        return broken(
            Rule::Attributes,
            format!("cache {cache:#x} prot {prot:#x}, expected {c:#x} and {p:#x}"),
        );
    }
    let (port, direction) = (way.port, way.direction);
    let verdict = world.injector.judge(port, direction, address, beats);
    match world
        .space
        .find(port, direction, way.allowed, address, bytes)
    {
        Found::At(cursor, owner) => Ok(Accepted {
            cursor,
            owner: Some(owner),
            verdict,
        }),
        Found::Refused => Ok(Accepted {
            cursor: Cursor::default(),
            owner: None,
            verdict: Verdict::refused(beats),
        }),
        Found::Stray(what) => broken(Rule::StrayAddress, format!("{bytes} bytes: {what}")),
    }
}
