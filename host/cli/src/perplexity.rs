//! `macromac perplexity`.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use macromac_infer::eval::perplexity::{self as measure, Options, Perplexity, Scored};
use serde::Serialize;

use crate::args::{Json, ModelArgs};
use crate::load::{self, Loaded};
use crate::progress::Progress;
use crate::{device, output};

/// A text, and how it is cut and scored. Names as in llama-perplexity.
#[derive(clap::Args)]
pub struct TextArgs {
    /// Text to predict
    #[arg(short, long, value_name = "TEXT")]
    pub file: PathBuf,
    /// Tokens of a window; windows do not overlap, an incomplete last one is dropped
    #[arg(short, long, value_name = "N", default_value_t = 512)]
    pub ctx_size: usize,
    /// Windows at most [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub chunks: Option<u32>,
    /// Score only the second half of each window, as llama-perplexity does, not all but its first token
    #[arg(long)]
    pub second_half: bool,
}

impl TextArgs {
    /// Its bytes as UTF-8.
    pub fn read(&self) -> Result<String> {
        let path = self.file.display();
        let bytes = std::fs::read(&self.file).with_context(|| format!("{path}: cannot read"))?;
        String::from_utf8(bytes).map_err(|e| {
            let at = e.utf8_error().valid_up_to();
            anyhow::anyhow!("{path}: expected UTF-8 text, found another byte at offset {at}")
        })
    }

    /// How it is scored.
    pub fn options(&self) -> Options {
        Options {
            context: self.ctx_size,
            chunks: self.chunks.map(|n| n as usize),
            scored: if self.second_half {
                Scored::SecondHalf
            } else {
                Scored::AllButFirst
            },
        }
    }

    /// The windows of its tokens; says how many there are.
    pub fn windows<'a>(&self, loaded: &Loaded, tokens: &'a [u32]) -> Result<Vec<&'a [u32]>> {
        let path = self.file.display();
        let windows = self
            .options()
            .windows(&loaded.model, tokens)
            .with_context(|| path.to_string())?;
        output::note(&format!(
            "{path}: {} tokens; {} windows of {} ({} tokens unused)",
            tokens.len(),
            windows.len(),
            self.ctx_size,
            tokens.len() - windows.len() * self.ctx_size
        ));
        Ok(windows)
    }
}

#[derive(clap::Args)]
pub struct PerplexityArgs {
    #[command(flatten)]
    pub model: ModelArgs,
    #[command(flatten)]
    pub text: TextArgs,
    /// Print one JSON object instead of the line
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub output: Option<Json>,
}

#[derive(Serialize)]
struct Printed {
    ppl: f64,
    /// Null for a single token.
    stderr: f64,
    nll: f64,
    tokens_scored: usize,
    windows: usize,
    ctx_size: usize,
    second_half: bool,
    backend: String,
    /// Null where products are plain FP32.
    profile: Option<&'static str>,
}

/// Measures the perplexity of a text.
pub fn perplexity(args: &PerplexityArgs) -> Result<()> {
    let text = args.text.read()?;
    let loaded = load::load(&args.model)?;
    // As a whole, so that the windows do not depend on where lines end.
    let tokens = loaded.tokenizer()?.encode(&text)?;
    let windows = args.text.windows(&loaded, &tokens)?;
    let figure = figure(&args.model, &loaded, &windows, &args.text.options())?;
    if args.output.is_none() {
        return Ok(output::print(&format!(
            "Final estimate: PPL = {:.4} +/- {:.5}\n",
            figure.ppl, figure.stderr
        ))?);
    }
    let printed = Printed {
        ppl: figure.ppl,
        stderr: figure.stderr,
        nll: figure.nll,
        tokens_scored: figure.tokens_scored,
        windows: windows.len(),
        ctx_size: args.text.ctx_size,
        second_half: args.text.second_half,
        backend: device::name(args.model.backend),
        profile: device::profile(&args.model),
    };
    Ok(output::print(&(serde_json::to_string(&printed)? + "\n"))?)
}

/// Scores windows on the backend of `args`, with progress and speed on standard error.
pub fn figure(
    args: &ModelArgs,
    loaded: &Loaded,
    windows: &[&[u32]],
    options: &Options,
) -> Result<Perplexity> {
    let progress = Progress::new("windows", windows.len());
    let started = Instant::now();
    let figure = measure::perplexity(
        &loaded.model,
        windows,
        options,
        device::side_by_side(args),
        || device::device(args, loaded),
        |done, running| progress.at(done, &format!("PPL = {:.4}", running.ppl)),
    );
    progress.finish();
    let (figure, seconds) = (figure?, started.elapsed().as_secs_f64());
    let used = windows.len() * options.context;
    output::note(&format!(
        "{used} tokens in {seconds:.2} s: {:.0} tokens a second on this machine",
        used as f64 / seconds
    ));
    Ok(figure)
}
