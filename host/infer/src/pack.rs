//! Checkpoint in, image out.

use std::path::Path;

use half::f16;
use macromac_format::manifest::SIDE_FILES;
use macromac_format::{DType, GROUP, Head, ImageWriter, QuantMatrix, Quantization};

use crate::awq::Awq;
use crate::checkpoint::Checkpoint;
use crate::config::read_eos;
use crate::quant::quantize;
use crate::{InferError, Tokenizer};

/// Text for AWQ's activations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calibration {
    /// Its tokens.
    pub tokens: Vec<u32>,
    /// Tokens that see each other; an incomplete last window is dropped.
    pub window: usize,
}

/// What the caller may choose.
#[derive(Debug, Clone, Default)]
pub struct PackOptions {
    /// Quantize by AWQ with this text; `None`: round to nearest.
    pub calibration: Option<Calibration>,
    /// Where the output matrix is computed; `None`: [`Checkpoint::default_head`].
    pub head: Option<Head>,
}

impl PackOptions {
    /// What packing a checkpoint with these options does, in a line for the user.
    pub fn describe(&self, checkpoint: &Checkpoint) -> String {
        let weights = match checkpoint.quantization() {
            Some(q) => format!(
                "AutoAWQ's INT4 weights as they are, group size {}",
                q.group_size
            ),
            None => match &self.calibration {
                None => "round-to-nearest INT4, asymmetric, group size 64, FP16 scales".into(),
                Some(c) => format!(
                    "AWQ INT4, asymmetric, group size 64, FP16 scales, calibrated on {} tokens in \
                     windows of {}",
                    c.tokens.len() / c.window * c.window,
                    c.window
                ),
            },
        };
        let head = match self.head(checkpoint) {
            Head::Int4 if checkpoint.quantization().is_some() || self.calibration.is_some() => {
                "INT4 head (round-to-nearest)"
            }
            Head::Int4 => "INT4 head",
            Head::Fp16 => "FP16 head on the PS",
        };
        format!("{weights}, {head}")
    }

    fn head(&self, checkpoint: &Checkpoint) -> Head {
        self.head.unwrap_or(checkpoint.default_head())
    }
}

/// How far the packer is.
#[derive(Debug, Clone, Copy)]
pub struct PackProgress<'a> {
    /// Passes done.
    pub done: usize,
    /// Passes in all.
    pub total: usize,
    /// Name of the pass that comes next, empty at the end.
    pub next: &'a str,
    /// Share of the work that is done, 0 to 1; within a layer that is quantized by AWQ it rises by chunks of the text.
    pub share: f64,
}

/// [`pack_with`] default options.
///
/// # Errors
/// As [`pack_with`].
pub fn pack(
    checkpoint: &Checkpoint,
    out: &Path,
    progress: impl FnMut(PackProgress),
) -> Result<u64, InferError> {
    pack_with(checkpoint, out, &PackOptions::default(), progress)
}

/// Writes the image folder `out` of a checkpoint; returns the length of `model.bin`. Weights in full
/// precision are quantized by AWQ if there is a calibration text, else rounded to nearest; AutoAWQ's
/// are taken as they are. The output matrix is rounded to nearest either way. An older image there is
/// replaced in one step; after an error nothing is left of the new one.
///
/// # Errors
/// [`InferError`] if a weight cannot be quantized, the tokenizer is unusable, or the image cannot
/// be written.
pub fn pack_with(
    checkpoint: &Checkpoint,
    out: &Path,
    options: &PackOptions,
    mut progress: impl FnMut(PackProgress),
) -> Result<u64, InferError> {
    let arch = checkpoint.architecture();
    let head = options.head(checkpoint);
    let mut awq = match &options.calibration {
        Some(c) => Some(Awq::new(checkpoint, &c.tokens, c.window)?),
        None => None,
    };
    let mut writer = ImageWriter::create(out)?;
    add_side_files(&mut writer, checkpoint.dir())?;
    let passes = arch.passes(head);
    let total = passes.len();
    for (done, p) in passes.iter().enumerate() {
        let mut at = |share| {
            progress(PackProgress {
                done,
                total,
                next: &p.name,
                share,
            });
        };
        if awq.is_none() {
            at(done as f64 / total as f64);
        }
        let matrix = match (checkpoint.quantized(done), &mut awq) {
            (Some(m), _) => m,
            (None, Some(awq)) if p.name != "lm_head" => awq.matrix(done, &mut at)?,
            (None, _) => rounded(checkpoint, done, &p.name, p.n, p.k)?,
        };
        writer.add_pass(&p.name, p.n, p.k, &matrix.to_segments())?;
    }
    for t in arch.tensors(head) {
        if head == Head::Fp16 && t.name == arch.head_tensor() {
            let bytes = fp16_head(checkpoint)?;
            writer.add_tensor(&t.name, DType::F16, &t.shape, &bytes)?;
        } else if let Some(folded) = awq.as_ref().and_then(|a| a.folded(&t.name)) {
            let bytes: Vec<u8> = folded.iter().flat_map(|v| v.to_le_bytes()).collect();
            writer.add_tensor(&t.name, DType::F32, &t.shape, &bytes)?;
        } else {
            let (dtype, bytes) = checkpoint.tensor(&t.name)?;
            writer.add_tensor(&t.name, dtype, &t.shape, &bytes)?;
        }
    }
    let quantized = checkpoint.quantization();
    let quantization = Quantization {
        method: if quantized.is_some() || awq.is_some() {
            "awq"
        } else {
            "rtn"
        }
        .into(),
        bits: 4,
        group_size: quantized.map_or(GROUP, |q| q.group_size),
        head,
    };
    let bytes = writer.finish(arch.clone(), quantization)?;
    progress(PackProgress {
        done: total,
        total,
        next: "",
        share: 1.0,
    });
    Ok(bytes)
}

/// The files of a checkpoint that an image carries along.
fn add_side_files(writer: &mut ImageWriter, dir: &Path) -> Result<(), InferError> {
    for name in SIDE_FILES {
        let path = dir.join(name);
        match std::fs::read(&path) {
            Ok(bytes) => writer.add_file(name, &bytes)?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(InferError::io(&path, "read")(e)),
        }
    }
    if !dir.join("generation_config.json").exists() {
        // An image has no config.json, where such a checkpoint may name its end tokens.
        let eos = serde_json::json!({ "eos_token_id": read_eos(dir)? });
        writer.add_file("generation_config.json", eos.to_string().as_bytes())?;
    }
    if dir.join("tokenizer.json").exists() {
        // A broken one is better found now than on the board.
        Tokenizer::open(dir)?;
    }
    Ok(())
}

/// The matrix of a pass, rounded to nearest.
fn rounded(
    checkpoint: &Checkpoint,
    pass: usize,
    name: &str,
    n: usize,
    k: usize,
) -> Result<QuantMatrix, InferError> {
    quantize(n, k, |row, out| checkpoint.pass_row(pass, row, out))
        .map_err(|e| InferError::checkpoint(checkpoint.dir(), format!("{name}: {e}")))
}

/// The output matrix in FP16: as it is, or rounded to nearest even.
fn fp16_head(checkpoint: &Checkpoint) -> Result<Vec<u8>, InferError> {
    let (dtype, bytes) = checkpoint.head();
    if dtype == DType::F16 {
        return Ok(bytes.to_vec());
    }
    let columns = checkpoint.architecture().hidden_size;
    let mut wide = vec![0.0; columns];
    let mut out = Vec::with_capacity(bytes.len() / dtype.bytes() * 2);
    for (row, bytes) in bytes.chunks_exact(columns * dtype.bytes()).enumerate() {
        dtype.widen(bytes, &mut wide);
        for (column, v) in wide.iter().enumerate() {
            let half = f16::from_f32(*v);
            if !half.is_finite() {
                return Err(InferError::checkpoint(
                    checkpoint.dir(),
                    format!(
                        "lm_head: weight [{row}, {column}]: expected a number that FP16 holds \
                         (at most 65504), found {v}; use --head int4"
                    ),
                ));
            }
            out.extend_from_slice(&half.to_le_bytes());
        }
    }
    Ok(out)
}
