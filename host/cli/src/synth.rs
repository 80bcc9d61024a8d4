//! `macromac synth-checkpoint`.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use flate2::read::GzDecoder;
use indicatif::{ProgressBar, ProgressStyle};
use macromac_format::manifest::SIDE_FILES;
use macromac_format::{Architecture, Head, Packing};
use macromac_infer::autoawq::read_quantization;
use macromac_infer::config::read_config;
use macromac_infer::synth::synthesize;
use macromac_infer::{Checkpoint, PackOptions, pack_with};

use crate::args::SynthArgs;
use crate::output;

/// Name of the model that the program carries along.
const BUILT_IN: &str = "qwen2.5-0.5b";
/// Files of Qwen2.5-0.5B; `models/qwen2.5-0.5b/README.md` has source and licence.
const CONFIG: &[u8] = include_bytes!("../../../models/qwen2.5-0.5b/config.json");
const GENERATION_CONFIG: &[u8] =
    include_bytes!("../../../models/qwen2.5-0.5b/generation_config.json");
const TOKENIZER_CONFIG: &[u8] =
    include_bytes!("../../../models/qwen2.5-0.5b/tokenizer_config.json");
const TOKENIZER_GZ: &[u8] = include_bytes!("../../../models/qwen2.5-0.5b/tokenizer.json.gz");

/// Writes a checkpoint with random weights.
pub fn synth(args: &SynthArgs) -> Result<()> {
    if let Some(threads) = args.threads {
        macromac_infer::set_threads(threads.into())?;
    }
    let files = files(&args.config)?;
    let files: Vec<(&str, &[u8])> = files
        .iter()
        .map(|(name, bytes)| (*name, bytes.as_slice()))
        .collect();
    let bar = ProgressBar::new(0);
    let style = "{bar:40} {bytes}/{total_bytes} {msg} {eta}";
    bar.set_style(ProgressStyle::with_template(style).expect("a valid template"));
    let result = synthesize(&args.output, &files, args.seed, |p| {
        bar.set_length(p.total);
        bar.set_position(p.done);
        bar.set_message(p.tensor.to_owned());
    });
    bar.finish_and_clear();
    let bytes = result?;
    output::print(&format!(
        "wrote {}: model.safetensors {bytes} bytes, random weights of seed {}\n",
        args.output.display(),
        args.seed
    ))?;
    Ok(())
}

/// Packs random weights of a shape into an image in the folder `place`; returns the image.
pub fn image(model: &Path, place: &Path, head: Head, packing: Packing) -> Result<PathBuf> {
    let files = files(model)?;
    let files: Vec<(&str, &[u8])> = files
        .iter()
        .map(|(name, bytes)| (*name, bytes.as_slice()))
        .collect();
    let (checkpoint, image) = (place.join("checkpoint"), place.join("image"));
    synthesize(&checkpoint, &files, 0, |_| {})?;
    let options = PackOptions {
        head: Some(head),
        packing,
        ..PackOptions::default()
    };
    pack_with(&Checkpoint::open(&checkpoint)?, &image, &options, |_| {})?;
    std::fs::remove_dir_all(&checkpoint)
        .with_context(|| format!("{}: cannot remove", checkpoint.display()))?;
    Ok(image)
}

/// The shape that `model` names, as [`image`] takes it; `place` is a folder to work in.
pub fn architecture(model: &Path, place: &Path) -> Result<Architecture> {
    if model != Path::new(BUILT_IN) {
        check(model)?;
        return Ok(read_config(&model.join("config.json"))?);
    }
    let config = place.join("config.json");
    std::fs::write(&config, CONFIG)
        .with_context(|| format!("{}: cannot write", config.display()))?;
    Ok(read_config(&config)?)
}

/// `model` is a folder with the shape of a model in full precision.
fn check(model: &Path) -> Result<()> {
    let shown = model.display();
    anyhow::ensure!(
        model.join("config.json").is_file(),
        "--config {shown}: expected {BUILT_IN} or a folder with config.json, found neither"
    );
    anyhow::ensure!(
        read_quantization(model)?.is_none(),
        "{shown}/config.json: expected a model in full precision, found quantization_config; remove it"
    );
    Ok(())
}

/// `config.json` and what goes beside it: of the model that the program carries along, or of a folder.
fn files(model: &Path) -> Result<Vec<(&'static str, Vec<u8>)>> {
    if model == Path::new(BUILT_IN) {
        return Ok(vec![
            ("config.json", CONFIG.to_vec()),
            ("generation_config.json", GENERATION_CONFIG.to_vec()),
            ("tokenizer_config.json", TOKENIZER_CONFIG.to_vec()),
            ("tokenizer.json", tokenizer()?),
        ]);
    }
    check(model)?;
    let mut files = Vec::new();
    for name in ["config.json"].iter().chain(&SIDE_FILES) {
        let path = model.join(name);
        match std::fs::read(&path) {
            Ok(bytes) => files.push((*name, bytes)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(e).with_context(|| format!("{}: cannot read", path.display())),
        }
    }
    Ok(files)
}

fn tokenizer() -> Result<Vec<u8>> {
    let mut json = Vec::new();
    GzDecoder::new(TOKENIZER_GZ)
        .read_to_end(&mut json)
        .context("the built-in tokenizer: cannot unpack it; the program is damaged")?;
    Ok(json)
}

#[cfg(test)]
mod tests {
    use super::*;
    use macromac_infer::Tokenizer;

    #[test]
    fn the_tokenizer_is_the_real_one() {
        let json = tokenizer().unwrap();
        assert_eq!(json.len(), 11_421_896);
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("tokenizer.json"), json).unwrap();
        let t = Tokenizer::open(dir.path()).unwrap();
        let text = "Hello world<|im_end|>";
        assert_eq!(t.encode(text).unwrap(), [9707, 1879, 151_645]);
    }
}
