//! What the model has to know of a device and its memory.

use macromac_ddr::timing::{MemoryTiming, PORTS, PortConfig, SimpleTiming};
use macromac_ddr::{Ddr4, DdrConfig, DdrRate};
use macromac_driver::Profile;

/// Which memory answers the ports.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ModelMemory {
    /// Latency and gaps by chance, each port by itself, from a seed.
    Simple([PortConfig; PORTS], u64),
    /// The board's DDR4, bank by bank.
    Ddr4(DdrConfig),
}

/// A device for [`ModelDevice`](crate::ModelDevice): the parameters of `mm_top`, a clock, a memory.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
    /// Arithmetic; decides how strips, activations and results move.
    pub profile: Profile,
    /// PL clock, Hz.
    pub clock_hz: u64,
    /// Vectors that a pass may share, 1..=16; 1 for `paper`.
    pub batch: usize,
    /// Strips (16 bytes) that the prefetch FIFO of a port holds.
    pub fifo_strips: usize,
    /// Longest read burst, beats; a power of two.
    pub burst_beats: u32,
    /// Read bursts in flight a port.
    pub outstanding: usize,
    /// Bursts that a weight port may be ahead of the slowest one; `None`: they run free.
    pub max_lead: Option<u32>,
    /// The control path has the register stages that its clock needs: issue of steps and result bursts (`kv260`), loads of registers.
    pub staged: bool,
    /// The memory.
    pub memory: ModelMemory,
}

impl ModelConfig {
    /// Batch and prefetch strips a port of a profile's device, as `mm_top` has them by default.
    pub fn size(profile: Profile) -> (usize, usize) {
        match profile {
            Profile::Paper => (1, 2048),
            Profile::Kv260 => (8, 24_576),
        }
    }

    /// The device of a profile with this memory, all else as `mm_top` has it by default.
    pub fn new(profile: Profile, clock_hz: u64, memory: ModelMemory) -> Self {
        let (batch, fifo_strips) = Self::size(profile);
        ModelConfig {
            profile,
            clock_hz,
            batch,
            fifo_strips,
            burst_beats: 64,
            outstanding: 8,
            max_lead: Some(4),
            staged: true,
            memory,
        }
    }

    /// The device of a profile on a KV260 whose memory runs at `mts` million transfers a second: 2400, or else 2133.
    pub fn kv260(profile: Profile, clock_hz: u64, mts: u32) -> Self {
        let rate = match mts {
            2400 => DdrRate::Mt2400,
            _ => DdrRate::Mt2133,
        };
        Self::new(
            profile,
            clock_hz,
            ModelMemory::Ddr4(DdrConfig::new(rate, clock_hz)),
        )
    }

    /// The same with memory of a fixed latency and no gaps: what the accelerator itself costs.
    pub fn with_ideal_memory(self) -> Self {
        ModelConfig {
            memory: ModelMemory::Simple([PortConfig::IDEAL; PORTS], 1),
            ..self
        }
    }
}

impl ModelMemory {
    pub(crate) fn build(self) -> Box<dyn MemoryTiming> {
        match self {
            ModelMemory::Simple(ports, seed) => Box::new(SimpleTiming::new(ports, seed)),
            ModelMemory::Ddr4(config) => Box::new(Ddr4::new(config)),
        }
    }
}
