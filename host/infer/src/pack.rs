//! Checkpoint in, image out.

use std::path::Path;

use half::f16;
use macromac_format::manifest::SIDE_FILES;
use macromac_format::model::{PASSES_PER_LAYER, TensorShape};
use macromac_format::{DType, GROUP, Head, Image, ImageWriter, Packing, QuantMatrix, Quantization};

use crate::awq::Awq;
use crate::checkpoint::Checkpoint;
use crate::config::read_eos;
use crate::fused::PassKind;
use crate::quant::{QuantError, quantize, quantize_int8};
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
    /// Input channels that share a scale and a zero, 64 or 128; `None`: those of an AutoAWQ checkpoint, else 64.
    pub group_size: Option<usize>,
    /// Format of the image; only the `kv260` profile reads another than [`Packing::Single`].
    pub packing: Packing,
}

/// Names that a message lists before it only counts.
const NAMES: usize = 8;

impl PackOptions {
    /// What packing a checkpoint with these options does, in a line for the user.
    pub fn describe(&self, checkpoint: &Checkpoint) -> String {
        let head = match self.head(checkpoint) {
            Head::Int4 if checkpoint.quantization().is_some() || self.calibration.is_some() => {
                "INT4 head (round-to-nearest)"
            }
            Head::Int4 => "INT4 head",
            Head::Int8 => "INT8 head (round-to-nearest)",
            Head::Fp16 => "FP16 head on the PS",
        };
        format!("{}, {head}", self.describe_layers(checkpoint))
    }

    /// The same of the layers alone.
    pub fn describe_layers(&self, checkpoint: &Checkpoint) -> String {
        let group = self.group(checkpoint);
        match checkpoint.quantization() {
            Some(_) => format!("AutoAWQ's INT4 weights as they are, group size {group}"),
            None => match &self.calibration {
                None => {
                    format!("round-to-nearest INT4, asymmetric, group size {group}, FP16 scales")
                }
                Some(c) => format!(
                    "AWQ INT4, asymmetric, group size {group}, FP16 scales, calibrated on {} tokens \
                     in windows of {}",
                    c.tokens.len() / c.window * c.window,
                    c.window
                ),
            },
        }
    }

    fn head(&self, checkpoint: &Checkpoint) -> Head {
        self.head.unwrap_or(checkpoint.default_head())
    }

    fn group(&self, checkpoint: &Checkpoint) -> usize {
        let own = checkpoint.quantization().map(|q| q.group_size);
        self.group_size.or(own).unwrap_or(GROUP)
    }

    /// Whether a checkpoint can be packed so, before any work.
    ///
    /// # Errors
    /// [`InferError`] if the group size is neither 64 nor 128, is not that of an AutoAWQ checkpoint, or does not divide
    /// the input channels of a matrix; the matrices are named as in the checkpoint.
    pub fn check(&self, checkpoint: &Checkpoint) -> Result<(), InferError> {
        let group = self.group(checkpoint);
        if ![GROUP, 2 * GROUP].contains(&group) {
            return Err(InferError::Input(format!(
                "group size: expected {GROUP} or {}, found {group}",
                2 * GROUP
            )));
        }
        if let Some(q) = checkpoint.quantization().filter(|q| q.group_size != group) {
            return Err(InferError::checkpoint(
                checkpoint.dir(),
                format!(
                    "group size: expected {}, for AutoAWQ's weights are taken as they are, found {group}; \
                     leave --group-size away",
                    q.group_size
                ),
            ));
        }
        // A row's end is padded to 64, so it need not fill a group of 64; one of 128 would reach beyond its blocks.
        if group == GROUP {
            return Ok(());
        }
        let arch = checkpoint.architecture();
        let quantized = arch.passes(self.head(checkpoint)).len();
        let mut bad = Vec::new();
        // The shapes with an INT4 head: the pass of an INT8 one has K doubled.
        for (id, pass) in arch.passes(Head::Int4)[..quantized].iter().enumerate() {
            let (kind, layer) = PassKind::of(arch, id);
            if pass.k % group != 0 {
                let parts = kind.parts(arch, layer).into_iter();
                bad.extend(parts.map(|(name, _)| format!("{name} (K = {})", pass.k)));
            }
        }
        if bad.is_empty() {
            return Ok(());
        }
        let more = match bad.len().saturating_sub(NAMES) {
            0 => String::new(),
            n => format!(" and {n} more"),
        };
        bad.truncate(NAMES);
        Err(InferError::checkpoint(
            checkpoint.dir(),
            format!(
                "group size {group}: expected input channels K in multiples of {group}, found {}{more}; \
                 use --group-size {GROUP}",
                bad.join(", ")
            ),
        ))
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
/// As [`PackOptions::check`], before any work; [`InferError`] if a weight cannot be quantized, the tokenizer is unusable, or the image cannot
/// be written.
pub fn pack_with(
    checkpoint: &Checkpoint,
    out: &Path,
    options: &PackOptions,
    mut progress: impl FnMut(PackProgress),
) -> Result<u64, InferError> {
    options.check(checkpoint)?;
    let arch = checkpoint.architecture();
    let head = options.head(checkpoint);
    let group_size = options.group(checkpoint);
    let mut awq = match &options.calibration {
        Some(c) => Some(Awq::new(checkpoint, &c.tokens, c.window, group_size)?),
        None => None,
    };
    let mut writer = ImageWriter::create(out)?.packing(options.packing);
    add_side_files(&mut writer, checkpoint.dir())?;
    let passes = arch.passes(head);
    let total = passes.len();
    for (done, p) in passes.iter().enumerate() {
        progress(PackProgress {
            done,
            total,
            next: &p.name,
        });
        let matrix = match (checkpoint.quantized(done), &mut awq) {
            (Some(m), _) => m,
            _ if done == head_pass(checkpoint) => rounded_head(checkpoint, head, group_size)?,
            (None, Some(awq)) => awq.matrix(done)?,
            (None, None) => quantize(p.n, p.k, group_size, |row, out| {
                checkpoint.pass_row(done, row, out)
            })
            .map_err(|e| named(checkpoint, &p.name, e))?,
        };
        writer.add_pass(&p.name, p.n, p.k, &matrix.to_segments())?;
    }
    for t in arch.tensors(head) {
        if of_head(&t.name) {
            add_head_tensor(&mut writer, checkpoint, head, &t)?;
        } else if let Some(norm) = awq.as_ref().and_then(|a| a.norm(&t.name)) {
            let bytes: Vec<u8> = norm.iter().flat_map(|v| v.to_le_bytes()).collect();
            writer.add_tensor(&t.name, DType::F32, &t.shape, &bytes)?;
        } else {
            let (dtype, bytes) = checkpoint.tensor(&t.name)?;
            writer.add_tensor(&t.name, dtype, &t.shape, &bytes)?;
        }
    }
    let quantization = Quantization {
        method: if checkpoint.quantization().is_some() || awq.is_some() {
            "awq"
        } else {
            "rtn"
        }
        .into(),
        bits: 4,
        group_size,
        head,
    };
    let bytes = writer.finish(arch.clone(), quantization)?;
    progress(PackProgress {
        done: total,
        total,
        next: "",
    });
    Ok(bytes)
}

/// Writes the image `out` with the layers of `image`, as they are, and another head, from the checkpoint that `image` was made
/// of; returns the length of `model.bin`. The same bytes as packing the checkpoint with that head, without quantizing its
/// layers again.
///
/// # Errors
/// [`InferError`] if the two are not of one model, a weight of the head cannot be quantized, or the image cannot be
/// written.
pub fn pack_head(
    checkpoint: &Checkpoint,
    image: &Image,
    head: Head,
    out: &Path,
) -> Result<u64, InferError> {
    let arch = checkpoint.architecture();
    if arch != image.architecture() {
        return Err(InferError::checkpoint(
            checkpoint.dir(),
            format!(
                "expected the checkpoint that {} was made of, found a model of another shape",
                image.dir().display()
            ),
        ));
    }
    let quantization = Quantization {
        head,
        ..image.manifest().quantization.clone()
    };
    let mut writer = ImageWriter::create(out)?.packing(image.packing());
    add_side_files(&mut writer, checkpoint.dir())?;
    for (id, p) in arch.passes(head).iter().enumerate() {
        if id == head_pass(checkpoint) {
            let matrix = rounded_head(checkpoint, head, quantization.group_size)?;
            writer.add_pass(&p.name, p.n, p.k, &matrix.to_segments())?;
        } else {
            writer.add_pass(&p.name, p.n, p.k, &image.single_segments(id))?;
        }
    }
    for t in arch.tensors(head) {
        if of_head(&t.name) {
            add_head_tensor(&mut writer, checkpoint, head, &t)?;
        } else {
            let same = image.tensor(&t.name);
            let same = same.expect("Image::open checked that all tensors are there");
            writer.add_tensor(&t.name, same.dtype, &t.shape, same.bytes)?;
        }
    }
    Ok(writer.finish(arch.clone(), quantization)?)
}

/// The pass that is the output matrix, if the head is one.
fn head_pass(checkpoint: &Checkpoint) -> usize {
    checkpoint.architecture().num_hidden_layers * PASSES_PER_LAYER
}

/// Whether a tensor depends on the head.
fn of_head(name: &str) -> bool {
    ["embedding", "lm_head"].contains(&name)
}

/// The output matrix of a head in the accelerator, rounded to nearest: the INT4 matrix of its pass.
fn rounded_head(
    checkpoint: &Checkpoint,
    head: Head,
    group_size: usize,
) -> Result<QuantMatrix, InferError> {
    let arch = checkpoint.architecture();
    let (n, k, pass) = (arch.vocab_size, arch.hidden_size, head_pass(checkpoint));
    let row = |row: usize, out: &mut [f32]| checkpoint.pass_row(pass, row, out);
    let matrix = match head {
        Head::Int8 => quantize_int8(n, k, group_size, row).map(|m| m.split()),
        _ => quantize(n, k, group_size, row),
    };
    matrix.map_err(|e| named(checkpoint, "lm_head", e))
}

/// Adds the embedding or an output matrix that the PS keeps.
fn add_head_tensor(
    writer: &mut ImageWriter,
    checkpoint: &Checkpoint,
    head: Head,
    t: &TensorShape,
) -> Result<(), InferError> {
    if head == Head::Fp16 && t.name == checkpoint.architecture().head_tensor() {
        let bytes = fp16_head(checkpoint)?;
        writer.add_tensor(&t.name, DType::F16, &t.shape, &bytes)?;
    } else {
        let (dtype, bytes) = checkpoint.tensor(&t.name)?;
        writer.add_tensor(&t.name, dtype, &t.shape, &bytes)?;
    }
    Ok(())
}

fn named(checkpoint: &Checkpoint, matrix: &str, e: QuantError) -> InferError {
    InferError::checkpoint(checkpoint.dir(), format!("{matrix}: {e}"))
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
