//! What lies behind the memory ports: the board's own memory with its buffers, or the memory of a machine that the device is
//! plugged into.

use crate::buffers::{Buffers, Owner};
use crate::inject::Direction;
use crate::memory::{Beat, Cursor, Memory};

/// Where a burst goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Here.
    At(Cursor, Owner),
    /// Where the device must not go; the space has taken note, and the burst is answered with DECERR.
    Refused,
    /// Where the device must not go, for this reason; it ends the simulation.
    Stray(String),
}

/// Memory as the slaves of the ports see it.
pub trait Space {
    /// Looks a burst of `bytes` up, which lies within a page of 4 KiB; its owner should be one of `allowed`.
    fn find(
        &mut self,
        port: usize,
        direction: Direction,
        allowed: &[Owner],
        address: u64,
        bytes: u64,
    ) -> Found;

    /// The beat under a cursor that [`find`](Self::find) gave.
    fn beat(&self, cursor: Cursor) -> Beat;

    /// Stores the bytes of a beat whose strobe bit is set.
    fn store(&mut self, cursor: Cursor, beat: &Beat, strobe: u16);
}

/// The board's own memory, and who owns what of it.
pub struct Own {
    /// The data.
    pub memory: Memory,
    /// Who owns which addresses.
    pub buffers: Buffers,
}

impl Own {
    /// Memory of `bytes` at physical address `base`, nothing of it allocated.
    pub fn new(base: u64, bytes: u64) -> Self {
        Self {
            memory: Memory::new(base, bytes),
            buffers: Buffers::new(base, bytes),
        }
    }
}

impl Space for Own {
    fn find(
        &mut self,
        _port: usize,
        _direction: Direction,
        allowed: &[Owner],
        address: u64,
        bytes: u64,
    ) -> Found {
        let owner = self.buffers.owner(address, bytes);
        match (
            owner.filter(|owner| allowed.contains(owner)),
            self.memory.cursor(address),
        ) {
            (Some(owner), Some(cursor)) => Found::At(cursor, owner),
            _ => Found::Stray(owner.map_or("no buffer holds it".into(), |o| {
                format!("it belongs to: {o}")
            })),
        }
    }

    fn beat(&self, cursor: Cursor) -> Beat {
        self.memory.beat(cursor)
    }

    fn store(&mut self, cursor: Cursor, beat: &Beat, strobe: u16) {
        self.memory.store(cursor, beat, strobe);
    }
}
