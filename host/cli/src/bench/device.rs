//! The devices that a benchmark runs on.

use anyhow::Result;
use macromac_driver::{Accelerator, PassShape, Profile};
use macromac_format::Image;
use macromac_infer::Source;
use macromac_infer::cpu::pass_shapes;
use macromac_timing::{ModelConfig, ModelDevice};

use super::BenchArgs;
use crate::args::Ddr;

/// A device whose time can be measured.
pub trait Timed {
    /// The device.
    fn accelerator(&mut self) -> &mut dyn Accelerator;

    /// Seconds that its simulation took on this machine; 0 for the model.
    fn wall(&mut self) -> Result<f64> {
        let counters = self.accelerator().counters()?;
        Ok(counters.map_or(0.0, |c| c.sim_wall_ns as f64 / 1e9))
    }
}

impl Timed for ModelDevice {
    fn accelerator(&mut self) -> &mut dyn Accelerator {
        self
    }
}

/// A board, and what it holds.
pub struct Board<'a> {
    image: &'a Image,
    shapes: Vec<PassShape>,
    ddr: Ddr,
    /// Clock of the PL, Hz.
    pub clock_hz: u64,
    /// Arithmetic.
    pub profile: Profile,
    /// Vectors that share a pass.
    pub batch: usize,
    /// Strips that the prefetch FIFO of a port holds.
    pub fifo_strips: usize,
    /// Hash of the hardware's parameters; `None` without the simulated board.
    pub config_hash: Option<u32>,
}

impl<'a> Board<'a> {
    /// The board that `args` describe.
    pub fn new(args: &BenchArgs, source: &'a Source, image: &'a Image) -> Result<Self> {
        let profile = Profile::from(args.profile);
        let clock_hz = args
            .clock
            .map_or(profile.clock_hz(), |mhz| u64::from(mhz) * 1_000_000);
        let (batch, fifo_strips) = ModelConfig::size(profile);
        let mut board = Board {
            image,
            shapes: pass_shapes(source),
            ddr: args.ddr,
            clock_hz,
            profile,
            batch,
            fifo_strips,
            config_hash: None,
        };
        board.read_capabilities()?;
        Ok(board)
    }

    /// The model of the device and its memory.
    pub fn model(&self) -> Result<ModelDevice> {
        let config = ModelConfig::kv260(self.profile, self.clock_hz, self.mts());
        let device = ModelDevice::new(config, &self.shapes, self.image.packing())?;
        Ok(device.shortened())
    }

    /// Data rate of the memory, MT/s.
    pub fn mts(&self) -> u32 {
        match self.ddr {
            Ddr::Mt2133 => 2133,
            Ddr::Mt2400 => 2400,
        }
    }

    /// Peak of the memory, bytes a second.
    pub fn peak(&self) -> f64 {
        f64::from(self.mts()) * 8e6
    }

    /// Bytes that the accelerator moves for a step of the program with `vectors` vectors, summed over the passes that a unit
    /// runs.
    pub fn bytes(&self, with_head: bool, vectors: usize) -> u64 {
        let passes = self.shapes.len() - usize::from(!with_head && self.has_head());
        (0..passes)
            .map(|pass| {
                let layout = self.image.layout(pass);
                let weights: usize = self.image.segments(pass).iter().map(|s| s.len()).sum();
                let vector = 4 * (layout.k_padded() + layout.n_padded());
                (weights + vectors * vector) as u64
            })
            .sum()
    }

    fn has_head(&self) -> bool {
        self.image.manifest().quantization.head != macromac_format::Head::Fp16
    }
}

#[cfg(feature = "rtl")]
mod rtl {
    use anyhow::Result;
    use macromac_board::{Board as Simulated, BoardConfig, DdrRate};
    use macromac_driver::{Accelerator, Device, PassWeights, Platform};

    use super::{Board, Timed};
    use crate::args::Ddr;

    impl Timed for Device<Simulated> {
        fn accelerator(&mut self) -> &mut dyn Accelerator {
            self
        }
    }

    impl Board<'_> {
        fn config(&self) -> BoardConfig {
            let rate = match self.ddr {
                Ddr::Mt2133 => DdrRate::Mt2133,
                Ddr::Mt2400 => DdrRate::Mt2400,
            };
            BoardConfig::ddr4(rate, 1)
                .with_profile(self.profile)
                .with_clock(self.clock_hz)
        }

        pub(super) fn read_capabilities(&mut self) -> Result<()> {
            let caps = Simulated::new(self.config())?.capabilities();
            self.batch = caps.batch as usize;
            self.fifo_strips = caps.fifo_strips as usize;
            self.config_hash = Some(caps.config_hash);
            Ok(())
        }

        /// The verilated device on the simulated board.
        pub fn rtl(&self) -> Result<impl Timed> {
            let passes: Vec<PassWeights> = self
                .shapes
                .iter()
                .enumerate()
                .map(|(pass, shape)| PassWeights {
                    shape: *shape,
                    packing: self.image.packing(),
                    segments: self.image.segments(pass),
                })
                .collect();
            Ok(Device::new(Simulated::new(self.config())?, &passes)?)
        }
    }
}

#[cfg(not(feature = "rtl"))]
impl Board<'_> {
    fn read_capabilities(&mut self) -> Result<()> {
        Ok(())
    }

    /// Built without Verilator.
    pub fn rtl(&self) -> Result<ModelDevice> {
        anyhow::bail!(
            "--backend rtl: expected a program with the simulated board, found one that was built \
             without it; build with `cargo build --release --features rtl` (needs Verilator)"
        )
    }
}
