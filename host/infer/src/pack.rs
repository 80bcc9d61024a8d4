//! Checkpoint in, image out.

use std::path::{Path, PathBuf};

use half::f16;
use macromac_format::manifest::{ALIGN, SIDE_FILES};
use macromac_format::model::PASSES_PER_LAYER;
use macromac_format::writer::resolve;
use macromac_format::{DType, GROUP, Head, ImageWriter, Layout, QuantMatrix, Quantization};

use crate::awq::Awq;
use crate::awq::state::{Found, State};
use crate::checkpoint::Checkpoint;
use crate::config::read_eos;
use crate::quant::quantize;
use crate::room::check_room;
use crate::scan::check_finite;
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
    /// Something that the user should read.
    pub note: Option<&'a str>,
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
/// replaced in one step; after an error nothing is left of the new one. AWQ keeps each finished layer in a folder
/// beside it (`NAME.partial`), so that the same call goes on after an interruption, to the same image.
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
    let partial = partial(out)?;
    check_room(
        partial.parent().unwrap_or(Path::new("/")),
        out,
        needed_bytes(checkpoint, options).saturating_sub(State::present(&partial)),
    )?;
    let weights = check_finite(checkpoint)?;
    if let Some(awq) = &mut awq {
        if let Some(note) = note(&partial, &awq.keep_state(&partial, weights)?) {
            progress(PackProgress {
                done: 0,
                total: 1,
                next: "",
                share: 0.0,
                note: Some(&note),
            });
        }
    }
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
                note: None,
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
    if let Some(awq) = awq {
        awq.finish()?;
    }
    progress(PackProgress {
        done: total,
        total,
        next: "",
        share: 1.0,
        note: None,
    });
    Ok(bytes)
}

/// The folder beside an image where AWQ keeps its layers.
fn partial(out: &Path) -> Result<PathBuf, InferError> {
    let mut name = resolve(out)?.into_os_string();
    name.push(".partial");
    Ok(name.into())
}

/// Bytes that packing takes on the disk, at most.
fn needed_bytes(checkpoint: &Checkpoint, options: &PackOptions) -> u64 {
    let arch = checkpoint.architecture();
    let head = options.head(checkpoint);
    let passes = arch.passes(head);
    let matrices = passes
        .iter()
        .map(|p| 4 * Layout::new(p.n, p.k).segment_bytes() as u64);
    let tensors = arch.tensors(head).into_iter().map(|t| {
        let numbers = t.shape.iter().product::<usize>() as u64;
        // Vectors may become FP32; matrices stay as they are, FP16 at least.
        let bytes = match t.shape.len() {
            1 => 4,
            _ => checkpoint.head().0.bytes() as u64,
        };
        (numbers * bytes).next_multiple_of(ALIGN)
    });
    let side_files = SIDE_FILES.iter().map(|name| {
        let meta = std::fs::metadata(checkpoint.dir().join(name));
        meta.map_or(0, |m| m.len())
    });
    // A manifest is a few hundred kilobytes.
    let image = matrices.sum::<u64>() + tensors.sum::<u64>() + side_files.sum::<u64>() + (1 << 20);
    let state = options.calibration.as_ref().map_or(0, |c| {
        let layers = &passes[..arch.num_hidden_layers * PASSES_PER_LAYER];
        let weights = layers.iter().map(|p| (p.n * p.k) as u64).sum();
        State::bytes(weights, (c.tokens.len() * arch.hidden_size) as u64)
    });
    image + state
}

/// What the user should know of the state that was found.
fn note(partial: &Path, found: &Found) -> Option<String> {
    let partial = partial.display();
    match found {
        Found::Nothing => None,
        Found::Layers(n) => Some(format!("{partial}: resuming at layer {n}")),
        Found::Other(what) => Some(format!(
            "{partial}: expected what an interrupted run of the same command left, found another's (other {}): removed, \
             starting anew",
            what.join(", ")
        )),
    }
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
