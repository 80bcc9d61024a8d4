//! Rules that several channels share.

use std::fmt::Debug;

use super::{Address, World};
use crate::buffers::Owner;
use crate::memory::Cursor;
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

/// Checks an accepted burst; gives its place in memory.
pub fn burst(
    at: At,
    burst: &Address,
    limits: &Limits,
    allowed: &[Owner],
    world: &World<'_>,
) -> Checked<(Cursor, Owner)> {
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
    if beats > limits.burst_beats {
        return broken(
            Rule::BurstLength,
            format!("{beats} beats, limit {}", limits.burst_beats),
        );
    }
    if address % 4096 + bytes > 4096 {
        return broken(Rule::Crosses4K, format!("{beats} beats"));
    }
    if (Attributes { cache, prot }) != limits.attributes {
        let Attributes { cache: c, prot: p } = limits.attributes;
        return broken(
            Rule::Attributes,
            format!("cache {cache:#x} prot {prot:#x}, expected {c:#x} and {p:#x}"),
        );
    }
    let owner = world.buffers.owner(address, bytes);
    match (
        owner.filter(|owner| allowed.contains(owner)),
        world.memory.cursor(address),
    ) {
        (Some(owner), Some(cursor)) => Ok((cursor, owner)),
        _ => {
            let what = owner.map_or("no buffer holds it".into(), |o| {
                format!("it belongs to: {o}")
            });
            broken(Rule::StrayAddress, format!("{bytes} bytes: {what}"))
        }
    }
}
