//! AXI4 slaves over the board's memory and the AXI4-Lite master, with the rules of the protocol checked in every cycle.
//!
//! A cycle has one order everywhere: outputs of the device are sampled after they settled, the handshakes of the cycle are
//! taken with what the slave drove in it, and the slave decides what it drives in the next one.

mod check;
mod lite;
mod read;
mod write;

pub use check::{Attributes, Held, Limits};
pub use lite::{LiteMaster, LiteMasterPins, LiteRequest, LiteSlavePins};
pub use read::{ReadBeat, ReadMaster, ReadSlave};
pub use write::{WriteBeat, WriteMaster, WriteSlave};

use crate::inject::Injector;
use crate::space::Space;
use macromac_ddr::timing::MemoryTiming;

/// What a master says on AR or AW.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Address {
    /// First byte.
    pub address: u64,
    /// Beats less one.
    pub len: u8,
    /// log2 of the bytes of a beat.
    pub size: u8,
    /// 1 is INCR.
    pub burst: u8,
    /// AxCACHE.
    pub cache: u8,
    /// AxPROT.
    pub prot: u8,
}

impl Address {
    /// Beats of the burst.
    pub fn beats(&self) -> u32 {
        u32::from(self.len) + 1
    }
}

/// What the slaves work on, lent for a cycle.
pub struct World<'a> {
    /// The cycle that is being looked at.
    pub cycle: u64,
    /// Where bursts go.
    pub space: &'a mut dyn Space,
    /// When things happen.
    pub timing: &'a mut dyn MemoryTiming,
    /// Errors on purpose.
    pub injector: &'a mut Injector,
}
