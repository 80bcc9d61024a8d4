//! Checkpoint in, image out.

use std::path::Path;

use macromac_format::manifest::SIDE_FILES;
use macromac_format::{GROUP, Head, ImageWriter, Quantization};

use crate::checkpoint::Checkpoint;
use crate::config::read_eos;
use crate::quant::quantize;
use crate::{InferError, Tokenizer};

/// What the packer does, in a line for the user.
pub const METHOD: &str = "round-to-nearest INT4, asymmetric, group size 64, FP16 scales, INT4 head";

/// How far the packer is.
#[derive(Debug, Clone, Copy)]
pub struct PackProgress<'a> {
    /// Passes done.
    pub done: usize,
    /// Passes in all.
    pub total: usize,
    /// Name of the pass that comes next, empty at the end.
    pub next: &'a str,
}

/// Quantizes a checkpoint by rounding to nearest and writes the image folder `out`; returns the
/// length of `model.bin`. An older image there is replaced in one step; after an error nothing is
/// left of the new one.
///
/// # Errors
/// [`InferError`] if a weight cannot be quantized, the tokenizer is unusable, or the image cannot
/// be written.
pub fn pack(
    checkpoint: &Checkpoint,
    out: &Path,
    mut progress: impl FnMut(PackProgress),
) -> Result<u64, InferError> {
    let arch = checkpoint.architecture();
    let mut writer = ImageWriter::create(out)?;
    for name in SIDE_FILES {
        let path = checkpoint.dir().join(name);
        match std::fs::read(&path) {
            Ok(bytes) => writer.add_file(name, &bytes)?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(InferError::io(&path, "read")(e)),
        }
    }
    if !checkpoint.dir().join("generation_config.json").exists() {
        // An image has no config.json, where such a checkpoint may name its end tokens.
        let eos = serde_json::json!({ "eos_token_id": read_eos(checkpoint.dir())? });
        writer.add_file("generation_config.json", eos.to_string().as_bytes())?;
    }
    if checkpoint.dir().join("tokenizer.json").exists() {
        // A broken one is better found now than on the board.
        Tokenizer::open(checkpoint.dir())?;
    }
    let passes = arch.passes(Head::Int4);
    let total = passes.len();
    for (done, p) in passes.iter().enumerate() {
        progress(PackProgress {
            done,
            total,
            next: &p.name,
        });
        let matrix = quantize(p.n, p.k, |row, out| checkpoint.pass_row(done, row, out))
            .map_err(|e| InferError::checkpoint(checkpoint.dir(), format!("{}: {e}", p.name)))?;
        writer.add_pass(&p.name, p.n, p.k, &matrix.to_segments())?;
    }
    for t in arch.tensors(Head::Int4) {
        let (dtype, bytes) = checkpoint.tensor(&t.name)?;
        writer.add_tensor(&t.name, dtype, &t.shape, &bytes)?;
    }
    let quantization = Quantization {
        method: "rtn".into(),
        bits: 4,
        group_size: GROUP,
        head: Head::Int4,
    };
    let bytes = writer.finish(arch.clone(), quantization)?;
    progress(PackProgress {
        done: total,
        total,
        next: "",
    });
    Ok(bytes)
}
