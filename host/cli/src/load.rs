//! From `-m` and `--backend` to a model that is ready to run.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use macromac_infer::kernels::cache::CacheType;
use macromac_infer::kernels::time::{Coherency, PsTime};
use macromac_infer::{Model, PackOptions, Settings, Source, Tokenizer, pack};

use crate::args::{Backend, ModelArgs};
use crate::{demo, output};

/// A model and what belongs to it.
pub struct Loaded {
    /// Weights, for the device.
    pub source: Arc<Source>,
    /// The PS side.
    pub model: Arc<Model>,
    /// Absent where the model's folder has none.
    tokenizer: Option<Arc<Tokenizer>>,
}

impl Loaded {
    /// The tokenizer, or an error that says where it should be.
    pub fn tokenizer(&self) -> Result<&Arc<Tokenizer>> {
        self.tokenizer.as_ref().with_context(|| {
            format!(
                "{}: expected tokenizer.json, found none; copy it from the model's checkpoint",
                self.source.dir().display()
            )
        })
    }
}

/// Opens the model. The accelerator's backends need blocks: a checkpoint is packed for them into
/// a temporary image.
pub fn load(args: &ModelArgs) -> Result<Loaded> {
    if let Some(threads) = args.threads {
        macromac_infer::set_threads(threads.into())?;
    }
    // Files stay readable through their mappings after the folders are removed at the end of
    // this function, so that nothing is left behind however the program ends.
    let built_in = if args.model.is_none() {
        Some(demo::extract()?)
    } else {
        None
    };
    let dir = match (&args.model, &built_in) {
        (Some(dir), _) => dir.as_path(),
        (None, Some(temp)) => temp.path(),
        (None, None) => unreachable!("without -m the built-in model is extracted"),
    };
    let source = Source::open(dir)?;
    let tokenizer = if dir.join("tokenizer.json").exists() {
        Some(Tokenizer::open(dir)?)
    } else {
        None
    };
    match source {
        Source::Checkpoint(checkpoint) if args.backend != Backend::Cpu => {
            let what = match &args.model {
                Some(dir) => format!("{} is a checkpoint", dir.display()),
                None => "using the built-in demonstration model".into(),
            };
            output::note(&format!(
                "note: {what}; packing it into a temporary image ({})",
                PackOptions::default().describe(&checkpoint)
            ));
            let temp = demo::temp_dir()?;
            let image = temp.path().join("image");
            pack(&checkpoint, &image, |_| {})
                .context("packing the checkpoint into a temporary image (TMPDIR says where)")?;
            ready(args, Source::open(&image)?, tokenizer)
        }
        source => ready(args, source, tokenizer),
    }
}

/// A model from its weights: the PS side is read.
pub fn ready(args: &ModelArgs, source: Source, tokenizer: Option<Tokenizer>) -> Result<Loaded> {
    anyhow::ensure!(
        args.ps_factor.is_finite() && args.ps_factor >= 0.0,
        "--ps-factor: expected a number of at least 0, found {}",
        args.ps_factor
    );
    let source = Arc::new(source);
    let mut model = Model::load(source.clone())?;
    let profile = match args.backend {
        // The others keep no time.
        Backend::Golden | Backend::Device | Backend::Cpu => None,
        Backend::Rtl => args.ps_time.profile(),
    };
    model.settings = Settings {
        cache: args.cache_type.unwrap_or(match args.backend {
            Backend::Cpu => CacheType::F32,
            Backend::Golden | Backend::Rtl | Backend::Device => CacheType::F16,
        }),
        ps_time: profile.map(|p| PsTime::new(p, Coherency::Coherent).times(args.ps_factor)),
    };
    Ok(Loaded {
        source,
        model: Arc::new(model),
        tokenizer: tokenizer.map(Arc::new),
    })
}

/// The tokenizer of a model folder, or of the built-in model.
pub fn tokenizer(dir: Option<&Path>) -> Result<Tokenizer> {
    match dir {
        Some(dir) => Ok(Tokenizer::open(dir)?),
        None => Ok(Tokenizer::open(demo::extract()?.path())?),
    }
}
