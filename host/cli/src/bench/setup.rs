//! What is measured: weights, and the board that they run on.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use macromac_driver::{PassShape, Profile};
#[cfg(feature = "rtl")]
use macromac_format::Image;
use macromac_format::{Architecture, Head, Layout, Packing};
use macromac_infer::Source;
use macromac_infer::kernels::cache::CacheType;
use macromac_infer::kernels::time::{Coherency, PsTime};
use macromac_infer::{Model, Settings};

use super::{BenchArgs, Timer};
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

    /// How sequences are run, the PS at `factor`.
    fn settings(&self, factor: f64) -> Settings {
        Settings {
            cache: self.cache,
            ps_time: self.ps(factor),
        }
    }
}

/// A model: weights of a shape, packed, or the shape alone, which is all that the model of the device needs.
pub struct Weights {
    image: Option<Arc<Source>>,
    architecture: Architecture,
    head: Head,
    packing: Packing,
    /// Shapes of the passes.
    pub shapes: Vec<PassShape>,
    /// What the rows say of the model.
    pub name: String,
    /// Kept until the end: the image lies in it.
    _temp: tempfile::TempDir,
}

impl Weights {
    /// The image that the command line names, or random weights; of these only the shape where no RTL runs.
    pub fn new(args: &BenchArgs) -> Result<Self> {
        Self::with_head(args, args.head)
    }

    /// The same with another output matrix.
    pub fn with_head(args: &BenchArgs, head: HeadArg) -> Result<Self> {
        let temp = demo::temp_dir()?;
        let name = args.model_config.file_name().unwrap_or_default();
        let (dir, name): (PathBuf, String) = match &args.model {
            Some(dir) => (dir.clone(), dir.display().to_string()),
            None if args.backend == Timer::Model => {
                let architecture = synth::architecture(&args.model_config, temp.path())?;
                let name = name.to_string_lossy().into_owned();
                let packing = args.format_version.into();
                return Ok(Self::of_shape(
                    architecture,
                    head.into(),
                    packing,
                    name,
                    temp,
                ));
            }
            None => {
                output::note("packing random weights into a temporary image (TMPDIR says where)");
                let packing = args.format_version.into();
                let image = synth::image(&args.model_config, temp.path(), head.into(), packing)?;
                (image, name.to_string_lossy().into_owned())
            }
        };
        let source = Source::open(&dir)?;
        let Source::Image(image) = &source else {
            anyhow::bail!(
                "{}: expected an image, found a checkpoint; pack it first",
                dir.display()
            );
        };
        let packing = image.packing();
        let architecture = source.architecture().clone();
        let mut weights = Self::of_shape(architecture, source.head(), packing, name, temp);
        weights.image = Some(Arc::new(source));
        Ok(weights)
    }

    fn of_shape(
        architecture: Architecture,
        head: Head,
        packing: Packing,
        name: String,
        temp: tempfile::TempDir,
    ) -> Self {
        let passes = architecture.passes(head);
        let shape = |p: &macromac_format::model::PassShape| PassShape { n: p.n, k: p.k };
        Weights {
            shapes: passes.iter().map(shape).collect(),
            image: None,
            architecture,
            head,
            packing,
            name,
            _temp: temp,
        }
    }

    /// The image; `None` where only the shape is needed.
    #[cfg(feature = "rtl")]
    pub fn image(&self) -> Option<&Image> {
        match self.image.as_deref() {
            Some(Source::Image(image)) => Some(image),
            _ => None,
        }
    }

    /// Layout of the passes.
    pub fn packing(&self) -> Packing {
        self.packing
    }

    /// Passes as packed.
    pub fn layouts(&self) -> Vec<Layout> {
        let layout = |shape: &PassShape| Layout::new(shape.n, shape.k).packed(self.packing);
        self.shapes.iter().map(layout).collect()
    }

    /// Where the output matrix is computed.
    pub fn head(&self) -> Head {
        self.head
    }

    /// The model's shape.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// The PS side, charged as `setup` says, times `factor`; without arithmetic, which takes no part in time.
    pub fn shape_model(&self, setup: &Setup, factor: f64) -> Model {
        let mut model = Model::of_shape(self.architecture.clone(), self.head);
        model.settings = setup.settings(factor);
        model
    }

    /// The PS side, charged as `setup` says, times `factor`.
    pub fn model(&self, setup: &Setup, factor: f64) -> Result<Model> {
        let Some(image) = &self.image else {
            return Ok(self.shape_model(setup, factor));
        };
        let mut model = Model::load(image.clone())?;
        model.settings = setup.settings(factor);
        Ok(model)
    }
}
