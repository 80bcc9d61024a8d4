//! `macromac pack`.

use std::path::Path;

use anyhow::Result;
use macromac_format::{Head, Packing};
use macromac_infer::{Calibration, Checkpoint, Format, PackOptions, Source, Tokenizer, pack_with};

use crate::args::{FormatArg, Method, PackArgs, QuantizerArgs, VersionArg};
use crate::{output, packing, text};

/// Tokens of a calibration window.
const WINDOW: usize = 256;

/// Packs a checkpoint into an image, or into an AutoAWQ checkpoint.
pub fn pack(args: &PackArgs) -> Result<()> {
    if let Some(threads) = args.threads {
        macromac_infer::set_threads(threads.into())?;
    }
    anyhow::ensure!(
        args.format == FormatArg::Image || args.format_version == VersionArg::Single,
        "--format-version 2: expected --format image, for only images have a format version; leave it out"
    );
    let checkpoint = open(args)?;
    let mut options = options(
        &args.quantizer,
        args.format.into(),
        args.head.map(Head::from),
        &checkpoint,
    )?;
    options.packing = args.format_version.into();
    output::print(&format!("method: {}\n", options.describe(&checkpoint)))?;
    let bytes = with_bar(&checkpoint, &args.output, &options)?;
    let weights = match options.format {
        Format::Image => "model.bin",
        Format::AutoAwq => "AutoAWQ checkpoint, safetensors",
    };
    output::print(&format!(
        "wrote {}: {weights} {bytes} bytes\n",
        args.output.display()
    ))?;
    Ok(())
}

/// What the options ask for; refused where the checkpoint does not allow it, before anything is read or written.
pub fn options(
    args: &QuantizerArgs,
    format: Format,
    head: Option<Head>,
    checkpoint: &Checkpoint,
) -> Result<PackOptions> {
    let mut options = PackOptions {
        head,
        format,
        group_size: args.group_size(),
        calibration: None,
        packing: Packing::default(),
    };
    options.check(checkpoint)?;
    options.calibration = calibration(args, checkpoint)?;
    Ok(options)
}

/// Packs under a progress bar; returns the bytes of the weights.
pub fn with_bar(checkpoint: &Checkpoint, out: &Path, options: &PackOptions) -> Result<u64> {
    let mut progress = packing::Progress::new();
    let result = pack_with(checkpoint, out, options, |p| progress.at(p));
    progress.finish();
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
    let text = text::read(path)?;
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
    let most = args.calib_tokens.unwrap_or(tokens.len());
    let tokens = spread(&tokens, window, most / window);
    Ok(Some(Calibration { tokens, window }))
}

/// At most `most` whole windows of a text, evenly spread over it; the whole text where it has no more.
fn spread(tokens: &[u32], window: usize, most: usize) -> Vec<u32> {
    let windows = tokens.len() / window;
    if windows <= most {
        return tokens.to_vec();
    }
    (0..most)
        .flat_map(|i| &tokens[i * windows / most * window..][..window])
        .copied()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_whole_and_evenly_spread() {
        let text: Vec<u32> = (0..11).collect();
        assert_eq!(spread(&text, 2, 3), [0, 1, 2, 3, 6, 7]);
        assert_eq!(spread(&text, 2, 5), text);
        assert!(spread(&text, 2, 0).is_empty());
    }
}
