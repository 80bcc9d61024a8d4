//! A model's weights, wherever they come from: a checkpoint as it is, or an image dequantized.

use std::path::Path;

use macromac_format::{Architecture, DType, Head, Image, TILE, int8, matrix};

use crate::InferError;
use crate::checkpoint::Checkpoint;

/// Weights of a model.
#[derive(Debug)]
pub enum Source {
    /// In the precision of the checkpoint.
    Checkpoint(Checkpoint),
    /// INT4, worth `(q - z) * scale`.
    Image(Image),
}

impl Source {
    /// Opens folder `dir`, which is an image or a checkpoint.
    ///
    /// # Errors
    /// [`InferError`] if it is neither, or damaged.
    pub fn open(dir: &Path) -> Result<Self, InferError> {
        if !dir.is_dir() {
            let found = if dir.exists() { "a file" } else { "nothing" };
            return Err(InferError::checkpoint(
                dir,
                format!(
                    "expected a checkpoint folder or an image folder, found {found}; \
                     give the folder that holds config.json or model.json"
                ),
            ));
        }
        if dir.join("model.json").exists() {
            return Ok(Source::Image(Image::open(dir)?));
        }
        if !dir.join("config.json").exists() {
            return Err(InferError::checkpoint(
                dir,
                "expected a checkpoint (config.json) or an image (model.json), found neither; \
                 give a Hugging Face checkpoint folder or the output of `macromac pack`",
            ));
        }
        Ok(Source::Checkpoint(Checkpoint::open(dir)?))
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        match self {
            Source::Checkpoint(c) => c.dir(),
            Source::Image(i) => i.dir(),
        }
    }

    /// The model's shape.
    pub fn architecture(&self) -> &Architecture {
        match self {
            Source::Checkpoint(c) => c.architecture(),
            Source::Image(i) => i.architecture(),
        }
    }

    /// Where the output matrix is computed.
    pub fn head(&self) -> Head {
        match self {
            Source::Checkpoint(c) => c.default_head(),
            Source::Image(i) => i.manifest().quantization.head,
        }
    }

    /// Fills `out`, [8, `stride`] row after row, with the weights of a tile of pass `pass`, whose
    /// shape is `n` x `k`; what lies outside the matrix is zero. `stride` is K padded to 64.
    pub(crate) fn tile(&self, pass: usize, n: usize, k: usize, tile: usize, out: &mut [f32]) {
        match self {
            Source::Image(i) => {
                matrix::dequant_tile(&i.layout(pass), i.segments(pass), tile, out);
            }
            Source::Checkpoint(c) => {
                let stride = out.len() / TILE;
                for (r, out) in out.chunks_exact_mut(stride).enumerate() {
                    let (row, padding) = out.split_at_mut(k);
                    padding.fill(0.0);
                    match tile * TILE + r {
                        at if at < n => c.pass_row(pass, at, row),
                        _ => row.fill(0.0),
                    }
                }
            }
        }
    }

    /// Number format and bytes of an output matrix that the PS computes, [vocabulary, hidden];
    /// `None` if it is a pass ([`Source::head`]).
    pub fn ps_head(&self) -> Option<(DType, &[u8])> {
        match (self, self.head()) {
            (_, Head::Int4 | Head::Int8) => None,
            (Source::Checkpoint(c), Head::Fp16) => Some(c.head()),
            (Source::Image(i), Head::Fp16) => {
                let t = i
                    .tensor(i.architecture().head_tensor())
                    .expect("Image::open checked that all tensors are there");
                Some((t.dtype, t.bytes))
            }
        }
    }

    /// The embedding of a token in FP32.
    ///
    /// # Panics
    /// If the token is outside the vocabulary, or `out` is not `hidden_size` long.
    pub fn embedding_row(&self, token: usize, out: &mut [f32]) {
        match self {
            Source::Checkpoint(c) => c.embedding_row(token, out),
            Source::Image(i) => match i.tensor("embedding") {
                Some(t) => {
                    let bytes = out.len() * t.dtype.bytes();
                    t.dtype.widen(&t.bytes[token * bytes..][..bytes], out);
                }
                // A tied embedding is stored once, as the blocks of the output matrix.
                None => {
                    let pass = i.passes().len() - 1;
                    let (layout, segments) = (i.layout(pass), i.segments(pass));
                    match self.head() {
                        Head::Int8 => int8::dequant_row(&layout, segments, token, out),
                        _ => matrix::dequant_row(&layout, segments, token, out),
                    }
                }
            },
        }
    }

    /// A tensor of the PS in FP32, by its name in [`Architecture::tensors`].
    ///
    /// # Errors
    /// [`InferError`] if it is not there.
    pub fn tensor(&self, name: &str) -> Result<Vec<f32>, InferError> {
        let widen = |dtype: DType, bytes: &[u8]| {
            let mut out = vec![0.0; bytes.len() / dtype.bytes()];
            dtype.widen(bytes, &mut out);
            out
        };
        match self {
            Source::Checkpoint(c) => c.tensor(name).map(|(dtype, bytes)| widen(dtype, &bytes)),
            Source::Image(i) => {
                let t = i
                    .tensor(name)
                    .expect("Image::open checked that all tensors are there");
                Ok(widen(t.dtype, t.bytes))
            }
        }
    }
}
