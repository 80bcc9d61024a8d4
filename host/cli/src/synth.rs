//! `macromac synth-checkpoint`.

use std::io::Read;

use anyhow::{Context, Result};
use flate2::read::GzDecoder;
use indicatif::{ProgressBar, ProgressStyle};
use macromac_infer::synth::synthesize;

use crate::args::{SynthArgs, SynthConfig};
use crate::output;

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
    let SynthConfig::Qwen25Half = args.config;
    let tokenizer = tokenizer()?;
    let files: [(&str, &[u8]); 4] = [
        ("config.json", CONFIG),
        ("generation_config.json", GENERATION_CONFIG),
        ("tokenizer_config.json", TOKENIZER_CONFIG),
        ("tokenizer.json", &tokenizer),
    ];
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
