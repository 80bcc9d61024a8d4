//! What `pack` can write: an image, or a checkpoint that AutoAWQ and what reads its files understand.
//!
//! Both get the same passes and tensors, in the same order, under an image's names. [`autoawq`] takes them apart into the
//! matrices of a checkpoint; quantized weights, zeros and scales go through unchanged, and everything else is rounded
//! to FP16.

pub mod autoawq;
mod folder;
pub(crate) mod layout;

use std::path::Path;

use macromac_format::{Architecture, DType, ImageWriter, PORTS, Packing, Quantization};

use self::autoawq::AutoAwqWriter;
use crate::InferError;

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// A model image.
    #[default]
    Image,
    /// An AutoAWQ GEMM checkpoint.
    AutoAwq,
}

/// A folder in the making; dropped before [`Output::finish`], it leaves nothing behind.
#[derive(Debug)]
pub(crate) enum Output {
    Image(Box<ImageWriter>),
    AutoAwq(Box<AutoAwqWriter>),
}

impl Output {
    /// Puts a file beside the weights.
    pub fn add_file(&mut self, name: &str, data: &[u8]) -> Result<(), InferError> {
        match self {
            Output::Image(w) => Ok(w.add_file(name, data)?),
            Output::AutoAwq(w) => w.add_file(name, data),
        }
    }

    /// Takes the next pass, in the order of [`Architecture::passes`].
    pub fn add_pass(
        &mut self,
        name: &str,
        n: usize,
        k: usize,
        segments: &[impl AsRef<[u8]>; PORTS],
    ) -> Result<(), InferError> {
        match self {
            Output::Image(w) => Ok(w.add_pass(name, n, k, segments)?),
            Output::AutoAwq(w) => w.add_pass(n, k, segments),
        }
    }

    /// Takes the next tensor, in the order of [`Architecture::tensors`].
    pub fn add_tensor(
        &mut self,
        name: &str,
        dtype: DType,
        shape: &[usize],
        data: &[u8],
    ) -> Result<(), InferError> {
        match self {
            Output::Image(w) => Ok(w.add_tensor(name, dtype, shape, data)?),
            Output::AutoAwq(w) => w.add_tensor(name, dtype, data),
        }
    }

    /// Moves the finished folder to its destination; returns the bytes of its weights (`model.bin`, or the safetensors).
    pub fn finish(
        self,
        architecture: Architecture,
        quantization: Quantization,
    ) -> Result<u64, InferError> {
        match self {
            Output::Image(w) => Ok(w.finish(architecture, quantization)?),
            Output::AutoAwq(w) => w.finish(),
        }
    }

    /// Whether the folder will hold a `config.json`.
    pub fn has_config(&self) -> bool {
        matches!(self, Output::AutoAwq(_))
    }
}

/// Begins an image of a format version that will be the folder `out`.
pub(crate) fn image(out: &Path, packing: Packing) -> Result<Output, InferError> {
    Ok(Output::Image(Box::new(
        ImageWriter::create(out)?.packing(packing),
    )))
}
