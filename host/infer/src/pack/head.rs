//! The output matrix, which is quantized by itself and can be exchanged.

use std::path::Path;

use half::f16;
use macromac_format::model::{PASSES_PER_LAYER, TensorShape};
use macromac_format::{DType, Head, Image, QuantMatrix, Quantization};

use super::add_side_files;
use crate::InferError;
use crate::checkpoint::Checkpoint;
use crate::export::{self, Format, Output};
use crate::quant::{QuantError, quantize, quantize_int8};

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
    let mut writer = export::image(out, image.packing())?;
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
            add_head_tensor(&mut writer, checkpoint, head, Format::Image, &t)?;
        } else {
            let same = image.tensor(&t.name);
            let same = same.expect("Image::open checked that all tensors are there");
            writer.add_tensor(&t.name, same.dtype, &t.shape, same.bytes)?;
        }
    }
    writer.finish(arch.clone(), quantization)
}

/// The pass that is the output matrix, if the head is one.
pub(super) fn head_pass(checkpoint: &Checkpoint) -> usize {
    checkpoint.architecture().num_hidden_layers * PASSES_PER_LAYER
}

/// Whether a tensor depends on the head.
pub(super) fn of_head(name: &str) -> bool {
    ["embedding", "lm_head"].contains(&name)
}

/// The output matrix of a head in the accelerator, rounded to nearest: the INT4 matrix of its pass.
pub(super) fn rounded_head(
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
pub(super) fn add_head_tensor(
    writer: &mut Output,
    checkpoint: &Checkpoint,
    head: Head,
    format: Format,
    t: &TensorShape,
) -> Result<(), InferError> {
    // A checkpoint's writer rounds everything to FP16 itself, the head too.
    let on_the_ps = head == Head::Fp16 && t.name == checkpoint.architecture().head_tensor();
    if on_the_ps && format == Format::Image {
        let bytes = fp16_head(checkpoint)?;
        writer.add_tensor(&t.name, DType::F16, &t.shape, &bytes)?;
    } else {
        let (dtype, bytes) = checkpoint.tensor(&t.name)?;
        writer.add_tensor(&t.name, dtype, &t.shape, &bytes)?;
    }
    Ok(())
}

pub(super) fn named(checkpoint: &Checkpoint, matrix: &str, e: QuantError) -> InferError {
    InferError::checkpoint(checkpoint.dir(), format!("{matrix}: {e}"))
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
