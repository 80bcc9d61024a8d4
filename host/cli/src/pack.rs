//! `macromac pack`.

use std::path::Path;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use macromac_format::{Head, Packing};
use macromac_infer::{Calibration, Checkpoint, PackOptions, Source, Tokenizer, pack_with};

use crate::args::{Method, PackArgs, QuantizerArgs};
use crate::output;

/// Tokens of a calibration window.
const WINDOW: usize = 256;

/// Packs a checkpoint into an image.
pub fn pack(args: &PackArgs) -> Result<()> {
    if let Some(threads) = args.threads {
        macromac_infer::set_threads(threads.into())?;
    }
    let checkpoint = open(args)?;
    let mut options = options(&args.quantizer, args.head.map(Head::from), &checkpoint)?;
    options.packing = args.format.into();
    output::print(&format!("method: {}\n", options.describe(&checkpoint)))?;
    let bytes = with_bar(&checkpoint, &args.output, &options)?;
    output::print(&format!(
        "wrote {}: model.bin {bytes} bytes\n",
        args.output.display()
    ))?;
    Ok(())
}

/// What the options ask for; refused where the checkpoint does not allow it, before anything is read or written.
pub fn options(
    args: &QuantizerArgs,
    head: Option<Head>,
    checkpoint: &Checkpoint,
) -> Result<PackOptions> {
    let mut options = PackOptions {
        head,
        group_size: args.group_size(),
        calibration: None,
        packing: Packing::default(),
    };
    options.check(checkpoint)?;
    options.calibration = calibration(args, checkpoint)?;
    Ok(options)
}

/// Packs under a progress bar; returns the length of `model.bin`.
pub fn with_bar(checkpoint: &Checkpoint, out: &Path, options: &PackOptions) -> Result<u64> {
    // Draws on standard error, and only if that is a terminal.
    let bar = ProgressBar::new(0);
    let style = "{bar:40} {pos}/{len} {msg} {elapsed}";
    bar.set_style(ProgressStyle::with_template(style).expect("a valid template"));
    let result = pack_with(checkpoint, out, options, |p| {
        bar.set_length(p.total as u64);
        bar.set_position(p.done as u64);
        bar.set_message(p.next.to_owned());
    });
    bar.finish_and_clear();
    Ok(result?)
}

fn open(args: &PackArgs) -> Result<Checkpoint> {
    match Source::open(&args.checkpoint)? {
        Source::Checkpoint(c) => Ok(c),
        Source::Image(_) => anyhow::bail!(
            "{}: expected a checkpoint, found an image, which is packed already",
            args.checkpoint.display()
        ),
    }
}

/// Tokens of the calibration text; `None` where weights are rounded to nearest.
fn calibration(args: &QuantizerArgs, checkpoint: &Checkpoint) -> Result<Option<Calibration>> {
    let path = match (args.method, &args.calib) {
        (Some(Method::Rtn), _) | (None, None) => return Ok(None),
        (_, Some(path)) => path,
        (Some(Method::Awq), None) => anyhow::bail!(
            "--method awq: expected a calibration text, found none; give one with --calib FILE"
        ),
    };
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("{}: cannot read the calibration text", path.display()))?;
    let tokens = Tokenizer::open(checkpoint.dir())?.encode(&text)?;
    let arch = checkpoint.architecture();
    if let Some(bad) = tokens.iter().find(|t| **t as usize >= arch.vocab_size) {
        anyhow::bail!(
            "{}: token {bad}: expected ids below the vocabulary size {}; do tokenizer and model \
             belong together?",
            path.display(),
            arch.vocab_size
        );
    }
    let window = WINDOW.min(arch.max_position_embeddings);
    Ok(Some(Calibration { tokens, window }))
}
