//! What is measured: weights, and the board that they run on.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use macromac_driver::{PassShape, Profile};
use macromac_format::{Architecture, Head, Image, Layout, Packing};
use macromac_infer::Source;
use macromac_infer::cpu::pass_shapes;
use macromac_infer::kernels::cache::CacheType;
use macromac_infer::kernels::time::{Coherency, PsTime};
use macromac_infer::{Model, Settings};

use super::BenchArgs;
use crate::args::{Ddr, HeadArg, PsTimeArg, clock_hz};
use crate::{demo, output, synth};

/// A board and how it is used.
#[derive(Debug, Clone, PartialEq)]
pub struct Setup {
    /// Arithmetic.
    pub profile: Profile,
    /// Clock of the PL, Hz.
    pub clock_hz: u64,
    /// Data rate of the memory, MT/s.
    pub mts: u32,
    /// Vectors that share a pass; `None`: the profile's.
    pub batch: Option<usize>,
    /// Strips that the prefetch FIFO of a port holds; `None`: the profile's.
    pub fifo_strips: Option<usize>,
    /// Whether the caches of PS and PL are coherent.
    pub coherent: bool,
    /// What the PS is charged by.
    pub ps_time: PsTimeArg,
    /// Factor on it.
    pub ps_factor: f64,
    /// Format of the key-value cache.
    pub cache: CacheType,
}

impl Setup {
    /// What the command line says.
    pub fn new(args: &BenchArgs) -> Result<Self> {
        let profile = Profile::from(args.profile);
        anyhow::ensure!(
            profile == Profile::Kv260 || args.batch.is_none_or(|b| b == 1),
            "--batch: profile paper has one vector a pass, found {}; use --profile kv260",
            args.batch.unwrap_or_default()
        );
        Ok(Setup {
            profile,
            clock_hz: clock_hz(args.clock, profile),
            mts: match args.ddr {
                Ddr::Mt2133 => 2133,
                Ddr::Mt2400 => 2400,
            },
            batch: args.batch.map(|b| b as usize),
            // 16 bytes a strip, four ports.
            fifo_strips: args.fifo_kib.map(|kib| kib as usize * 1024 / 64),
            coherent: !args.non_coherent,
            ps_time: args.ps_time,
            ps_factor: args.ps_factor,
            cache: args.cache_type,
        })
    }

    /// The PS's cost model, times `factor`; `None` charges nothing.
    pub fn ps(&self, factor: f64) -> Option<PsTime> {
        let coherency = if self.coherent {
            Coherency::Coherent
        } else {
            Coherency::NonCoherent
        };
        let profile = self.ps_time.profile()?;
        Some(PsTime::new(profile, coherency).times(self.ps_factor * factor))
    }
}

/// Weights of a shape, packed.
pub struct Weights {
    source: Arc<Source>,
    /// Shapes of the passes.
    pub shapes: Vec<PassShape>,
    /// What the rows say of the model.
    pub name: String,
    /// Kept until the end: the image lies in it.
    _temp: tempfile::TempDir,
}

impl Weights {
    /// The image that the command line names, or random weights.
    pub fn new(args: &BenchArgs) -> Result<Self> {
        Self::with_head(args, args.head)
    }

    /// The same with another output matrix.
    pub fn with_head(args: &BenchArgs, head: HeadArg) -> Result<Self> {
        let temp = demo::temp_dir()?;
        let (dir, name): (PathBuf, String) = match &args.model {
            Some(dir) => (dir.clone(), dir.display().to_string()),
            None => {
                output::note("packing random weights into a temporary image (TMPDIR says where)");
                let packing = args.format_version.into();
                let image = synth::image(&args.model_config, temp.path(), head.into(), packing)?;
                let name = args.model_config.file_name().unwrap_or_default();
                (image, name.to_string_lossy().into_owned())
            }
        };
        let source = Source::open(&dir)?;
        anyhow::ensure!(
            matches!(source, Source::Image(_)),
            "{}: expected an image, found a checkpoint; pack it first",
            dir.display()
        );
        Ok(Weights {
            shapes: pass_shapes(&source),
            source: Arc::new(source),
            name,
            _temp: temp,
        })
    }

    /// The image.
    pub fn image(&self) -> &Image {
        match &*self.source {
            Source::Image(image) => image,
            Source::Checkpoint(_) => unreachable!("a checkpoint was refused"),
        }
    }

    /// Layout of the passes.
    pub fn packing(&self) -> Packing {
        self.image().packing()
    }

    /// Passes as packed.
    pub fn layouts(&self) -> Vec<Layout> {
        (0..self.shapes.len())
            .map(|pass| self.image().layout(pass))
            .collect()
    }

    /// Where the output matrix is computed.
    pub fn head(&self) -> Head {
        self.source.head()
    }

    /// The model's shape.
    pub fn architecture(&self) -> &Architecture {
        self.source.architecture()
    }

    /// The PS side, charged as `setup` says, times `factor`.
    pub fn model(&self, setup: &Setup, factor: f64) -> Result<Model> {
        let mut model = Model::load(self.source.clone())?;
        model.settings = Settings {
            cache: setup.cache,
            ps_time: setup.ps(factor),
        };
        Ok(model)
    }
}
