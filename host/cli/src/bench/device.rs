//! The devices that a benchmark runs on.

use anyhow::Result;
use macromac_driver::Accelerator;
use macromac_format::Head;
use macromac_timing::{ModelConfig, ModelDevice};

use super::setup::{Setup, Weights};
use crate::trace::Probe;

/// A device whose time can be measured.
pub trait Timed: Probe {
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
    /// The model.
    pub weights: &'a Weights,
    /// What the board is like.
    pub setup: Setup,
    /// Vectors that share a pass.
    pub batch: usize,
    /// Strips that the prefetch FIFO of a port holds.
    pub fifo_strips: usize,
    /// Hash of the hardware's parameters; `None` without the simulated board, and for hardware that only the model knows.
    pub config_hash: Option<u32>,
}

impl<'a> Board<'a> {
    /// The board of a setup.
    pub fn new(setup: Setup, weights: &'a Weights) -> Result<Self> {
        let (batch, fifo_strips) = ModelConfig::size(setup.profile);
        let mut board = Board {
            weights,
            batch: setup.batch.unwrap_or(batch),
            fifo_strips: setup.fifo_strips.unwrap_or(fifo_strips),
            config_hash: None,
            setup,
        };
        if board.setup.batch.is_none() && board.setup.fifo_strips.is_none() {
            board.read_capabilities()?;
        }
        Ok(board)
    }

    /// The model of the device and its memory, every layer of it.
    pub fn whole_model(&self) -> Result<ModelDevice> {
        let mut config =
            ModelConfig::kv260(self.setup.profile, self.setup.clock_hz, self.setup.mts);
        (config.batch, config.fifo_strips) = (self.batch, self.fifo_strips);
        let shapes = &self.weights.shapes;
        Ok(ModelDevice::new(config, shapes, self.weights.packing())?)
    }

    /// The same, fast: it leaves most of equal layers out.
    pub fn model(&self) -> Result<ModelDevice> {
        Ok(self.whole_model()?.shortened())
    }

    /// Multiply-adds of a token in the accelerator.
    pub fn macs(&self, with_head: bool) -> u64 {
        let shapes = &self.weights.shapes[..self.passes(with_head)];
        shapes.iter().map(|s| (s.n * s.k) as u64).sum()
    }

    /// Passes that a token takes.
    fn passes(&self, with_head: bool) -> usize {
        let has_head = self.weights.head() != Head::Fp16;
        self.weights.shapes.len() - usize::from(!with_head && has_head)
    }

    /// Peak of the memory, bytes a second.
    pub fn peak(&self) -> f64 {
        f64::from(self.setup.mts) * 8e6
    }

    /// Bytes that the accelerator moves for a step of the program with `vectors` vectors, summed over the passes that a unit
    /// runs.
    pub fn bytes(&self, with_head: bool, vectors: usize) -> u64 {
        self.weights.layouts()[..self.passes(with_head)]
            .iter()
            .map(|layout| {
                let vector = 4 * (layout.k_padded() + layout.n_padded());
                (4 * layout.segment_bytes() + vectors * vector) as u64
            })
            .sum()
    }
}

#[cfg(feature = "rtl")]
mod rtl {
    use anyhow::Result;
    use macromac_board::{Board as Simulated, BoardConfig, DdrRate};
    use macromac_driver::{Accelerator, Device, PassWeights, Platform};

    use super::{Board, Timed};

    impl Timed for Device<Simulated> {
        fn accelerator(&mut self) -> &mut dyn Accelerator {
            self
        }
    }

    impl Board<'_> {
        fn config(&self) -> BoardConfig {
            let rate = match self.setup.mts {
                2400 => DdrRate::Mt2400,
                _ => DdrRate::Mt2133,
            };
            let mut config = BoardConfig::ddr4(rate, 1)
                .with_profile(self.setup.profile)
                .with_clock(self.setup.clock_hz);
            config.batch = self.batch as u32;
            config
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
            let Some(image) = self.weights.image() else {
                anyhow::bail!("the RTL needs packed weights; use --backend rtl from the start");
            };
            let shapes = self.weights.shapes.iter().enumerate();
            let passes: Vec<PassWeights> = shapes
                .map(|(pass, shape)| PassWeights {
                    shape: *shape,
                    packing: image.packing(),
                    segments: image.segments(pass),
                })
                .collect();
            let board = Simulated::new(self.config())?;
            let caps = board.capabilities();
            anyhow::ensure!(
                caps.fifo_strips as usize == self.fifo_strips,
                "--fifo-kib: expected what the RTL was built with, {} KiB, found {}; leave it out, or use --backend model",
                caps.fifo_strips / 16,
                self.fifo_strips / 16
            );
            Ok(Device::new(board, &passes)?)
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
