//! How a simulated board is set up.

use std::path::PathBuf;

use macromac_driver::Profile;

use crate::axi::Attributes;
use macromac_ddr::timing::{MemoryTiming, PORTS, PortConfig, SimpleTiming};
use macromac_ddr::{Ddr4, DdrConfig, DdrRate};

/// Which memory answers the ports.
pub enum MemoryModel {
    /// Latency and gaps by chance, each port by itself.
    Simple([PortConfig; PORTS]),
    /// The board's DDR4, bank by bank.
    Ddr4(DdrConfig),
    /// A model of your own.
    Custom(Box<dyn MemoryTiming>),
}

/// A board.
pub struct BoardConfig {
    /// Arithmetic of the device in its programmable logic.
    pub profile: Profile,
    /// Activation vectors that share a pass: 1 for `paper`; 1, 8 or 16 for `kv260`.
    pub batch: u32,
    /// PL clock in Hz.
    pub clock_hz: u64,
    /// Seed of everything random: the memory's pauses and the registers of the RTL that reset leaves alone.
    pub seed: u64,
    /// Timing of the memory.
    pub memory: MemoryModel,
    /// First physical address of the DMA memory; a multiple of 4096.
    pub dma_base: u64,
    /// Bytes of DMA memory.
    pub dma_bytes: u64,
    /// AxCACHE and AxPROT of the weight ports.
    pub weight_attributes: Attributes,
    /// AxCACHE and AxPROT of the data port.
    pub data_attributes: Attributes,
    /// The device's watchdog in cycles; 0 switches it off.
    pub watchdog: u32,
    /// Cycles that a stop or reset may take, besides the steps it has to finish, before it counts as failed.
    pub drain_cycles: u64,
    /// Let every step raise the interrupt; otherwise only faults do.
    pub step_interrupts: bool,
    /// Cycles by which the processor takes each answer of a register late.
    pub register_hold: u32,
    /// Waveform of the whole run (FST); set by the environment variable `MACROMAC_WAVES`.
    pub waves: Option<PathBuf>,
}

impl BoardConfig {
    /// The upper memory of the board: 2 GB from here on.
    pub const HIGH_BASE: u64 = 0x8_0000_0000;
    /// A place in the lower memory that Linux would reserve.
    pub const LOW_BASE: u64 = 0x4000_0000;

    /// A board with this memory, all else as on a KV260.
    pub fn new(seed: u64, memory: MemoryModel) -> Self {
        let profile = Profile::Paper;
        Self {
            profile,
            batch: 1,
            clock_hz: profile.clock_hz(),
            seed,
            memory,
            dma_base: Self::HIGH_BASE,
            dma_bytes: 2 << 30,
            weight_attributes: Attributes {
                cache: 0x3,
                prot: 0,
            },
            data_attributes: Attributes {
                cache: 0xF,
                prot: 0,
            },
            watchdog: 1_000_000,
            drain_cycles: 200_000,
            step_interrupts: false,
            register_hold: 0,
            waves: waves_from_environment(seed),
        }
    }

    /// The same with the device of a profile, at its batch and clock.
    pub fn with_profile(self, profile: Profile) -> Self {
        let batch = match profile {
            Profile::Paper => 1,
            Profile::Kv260 => 8,
        };
        Self {
            profile,
            batch,
            ..self
        }
        .with_clock(profile.clock_hz())
    }

    /// The same with another clock of the logic, Hz; the memory keeps its own.
    pub fn with_clock(mut self, clock_hz: u64) -> Self {
        self.clock_hz = clock_hz;
        if let MemoryModel::Ddr4(ddr) = &mut self.memory {
            ddr.pl_hz = clock_hz;
        }
        self
    }

    /// Memory with a fixed latency and no gaps: what the accelerator itself costs.
    pub fn ideal() -> Self {
        Self::new(1, MemoryModel::Simple([PortConfig::IDEAL; PORTS]))
    }

    /// Latency like a lightly loaded board's, with a pause now and then.
    pub fn typical(seed: u64) -> Self {
        Self::new(seed, MemoryModel::Simple([PortConfig::TYPICAL; PORTS]))
    }

    /// The board's own memory, at the clock of the `paper` profile. Nothing in it is random: `seed` is for the rest of the board.
    pub fn ddr4(rate: DdrRate, seed: u64) -> Self {
        let config = DdrConfig::new(rate, Profile::Paper.clock_hz());
        Self::new(seed, MemoryModel::Ddr4(config))
    }

    /// Every port slow in a way of its own, decided by the seed: for tests.
    pub fn random(seed: u64) -> Self {
        let ports = std::array::from_fn(|port| PortConfig::random(seed, port as u64));
        let register_hold = (seed % 3) as u32;
        Self {
            register_hold,
            ..Self::new(seed, MemoryModel::Simple(ports))
        }
    }
}

impl MemoryModel {
    pub(crate) fn build(self, seed: u64) -> Box<dyn MemoryTiming> {
        match self {
            MemoryModel::Simple(ports) => Box::new(SimpleTiming::new(ports, seed)),
            MemoryModel::Ddr4(config) => Box::new(Ddr4::new(config)),
            MemoryModel::Custom(timing) => timing,
        }
    }
}

/// `MACROMAC_WAVES`: unset, empty or 0 is none, 1 a file by the seed, anything else the file itself.
fn waves_from_environment(seed: u64) -> Option<PathBuf> {
    match std::env::var("MACROMAC_WAVES").as_deref() {
        Err(_) | Ok("" | "0") => None,
        Ok("1") => {
            let target = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/waves");
            Some(PathBuf::from(target).join(format!("board-{seed}.fst")))
        }
        Ok(path) => Some(PathBuf::from(path)),
    }
}
