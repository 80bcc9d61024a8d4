//! Bytes of a model by part: of a checkpoint or an image that is there. [`super::layouts`] computes the
//! same for layouts that are not.

use std::path::Path;

use macromac_format::{Architecture, DType, GROUP, Head, Image, Packing, TILE};
use serde::Serialize;

use crate::InferError;
use crate::config::read_architecture;
use crate::fused::PassKind;
use crate::store::TensorStore;

/// Bytes in a decimal megabyte.
pub const MB: f64 = 1e6;
/// Bytes in a binary megabyte, which some tools call "MB" too.
pub const MIB: f64 = 1_048_576.0;

/// Parts of a model; every byte of a file belongs to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Parts {
    /// Embedding and output matrix; stored once where they are tied.
    pub embedding_and_head: u64,
    /// Query projections.
    pub q_proj: u64,
    /// Key projections.
    pub k_proj: u64,
    /// Value projections.
    pub v_proj: u64,
    /// Output projections of attention.
    pub o_proj: u64,
    /// Gate projections.
    pub gate_proj: u64,
    /// Up projections.
    pub up_proj: u64,
    /// Down projections.
    pub down_proj: u64,
    /// Weights of RMSNorm.
    pub norms: u64,
    /// Biases of q, k and v.
    pub biases: u64,
    /// Headers of files, padding of matrices and to pages.
    pub structure: u64,
}

/// The same bytes by what they hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Contents {
    /// Numbers in 16 or 32 bits.
    pub full_precision: u64,
    /// Quantized weights, INT4 and INT8.
    pub quantized: u64,
    /// Scales of groups.
    pub scales: u64,
    /// Zeros of groups.
    pub zeros: u64,
    /// Headers, padding, reserved bits of blocks.
    pub overhead: u64,
}

impl Contents {
    /// All bytes.
    pub fn total(&self) -> u64 {
        self.full_precision + self.quantized + self.scales + self.zeros + self.overhead
    }
}

impl Parts {
    /// Names and bytes, in the order in which they are shown.
    pub fn list(&self) -> [(&'static str, u64); 11] {
        [
            ("embedding and head", self.embedding_and_head),
            ("q_proj", self.q_proj),
            ("k_proj", self.k_proj),
            ("v_proj", self.v_proj),
            ("o_proj", self.o_proj),
            ("gate_proj", self.gate_proj),
            ("up_proj", self.up_proj),
            ("down_proj", self.down_proj),
            ("norms", self.norms),
            ("biases", self.biases),
            ("headers, padding", self.structure),
        ]
    }

    /// All bytes.
    pub fn total(&self) -> u64 {
        self.list().iter().map(|(_, bytes)| bytes).sum()
    }

    /// The part that a tensor of a checkpoint belongs to.
    pub(super) fn of(&mut self, name: &str) -> &mut u64 {
        if name.ends_with(".bias") {
            return &mut self.biases;
        }
        for word in name.split('.') {
            return match word {
                "q_proj" => &mut self.q_proj,
                "k_proj" => &mut self.k_proj,
                "v_proj" => &mut self.v_proj,
                "o_proj" => &mut self.o_proj,
                "gate_proj" => &mut self.gate_proj,
                "up_proj" => &mut self.up_proj,
                "down_proj" => &mut self.down_proj,
                "embed_tokens" | "lm_head" => &mut self.embedding_and_head,
                _ => continue,
            };
        }
        // Of a Qwen2 model only norms are left.
        &mut self.norms
    }
}

/// Bytes of a file or layout.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sizes {
    /// Short name: `file`, `bf16`, `autoawq-g64`, `macro-int4`, ...
    pub name: String,
    /// What it is, in a line.
    pub what: String,
    /// By part.
    pub parts: Parts,
    /// By content.
    pub contents: Contents,
}

impl Sizes {
    /// Nothing yet.
    pub(super) fn new(name: &str, what: &str) -> Self {
        Sizes {
            name: name.into(),
            what: what.into(),
            parts: Parts::default(),
            contents: Contents::default(),
        }
    }

    /// All bytes.
    pub fn bytes(&self) -> u64 {
        self.parts.total()
    }

    /// Adds a tensor of a checkpoint; those of AutoAWQ are known by their names.
    pub(super) fn add_tensor(&mut self, name: &str, bytes: u64) {
        *self.parts.of(name) += bytes;
        let kind = match name.rsplit_once('.').map_or(name, |(_, last)| last) {
            "qweight" => &mut self.contents.quantized,
            "qzeros" => &mut self.contents.zeros,
            "scales" => &mut self.contents.scales,
            _ => &mut self.contents.full_precision,
        };
        *kind += bytes;
    }

    /// Adds bytes that belong to no tensor.
    pub(super) fn add_structure(&mut self, bytes: u64) {
        self.parts.structure += bytes;
        self.contents.overhead += bytes;
    }

    /// Adds a pass in blocks: `bytes` for `k` input channels and the rows of its matrices; further rows are padding.
    pub(super) fn add_pass(
        &mut self,
        arch: &Architecture,
        head: Head,
        id: usize,
        k: usize,
        packing: Packing,
        bytes: u64,
    ) {
        let (kind, layer) = PassKind::of(arch, id);
        // Nibbles of a row that are the model's: an INT8 weight has two, however far K was padded before it was doubled.
        let nibbles = match (kind, head) {
            (PassKind::LmHead, Head::Int8) => 2 * arch.hidden_size,
            _ => k,
        };
        let groups = k.div_ceil(GROUP) as u64;
        let row_bytes = (packing.tile_bytes(k.div_ceil(GROUP)) / TILE) as u64;
        let mut rest = bytes;
        for (name, rows) in kind.parts(arch, layer) {
            let rows = rows as u64;
            *self.parts.of(&name) += rows * row_bytes;
            rest -= rows * row_bytes;
            let (weights, scales, zeros) = (
                rows * nibbles.div_ceil(2) as u64,
                rows * groups * 2,
                (rows * groups).div_ceil(2),
            );
            self.contents.quantized += weights;
            self.contents.scales += scales;
            self.contents.zeros += zeros;
            self.contents.overhead += rows * row_bytes - weights - scales - zeros;
        }
        self.add_structure(rest);
    }
}

/// What is known of a model before any layout is computed.
#[derive(Debug, Clone, PartialEq)]
pub struct Subject {
    /// Its shape.
    pub architecture: Architecture,
    /// Bytes of a number that is not quantized, in the checkpoint.
    pub number_bytes: u64,
    /// The bytes that are there; `None` for a configuration alone.
    pub file: Option<Sizes>,
}

impl Subject {
    /// A checkpoint's `config.json` alone.
    ///
    /// # Errors
    /// [`InferError`] if it is missing, or no Qwen2 model.
    pub fn of_config(path: &Path) -> Result<Self, InferError> {
        let (architecture, number_bytes) = read_architecture(path)?;
        Ok(Subject {
            architecture,
            number_bytes,
            file: None,
        })
    }

    /// A checkpoint folder (AutoAWQ's too) or an image folder.
    ///
    /// # Errors
    /// [`InferError`] if it is neither, or damaged.
    pub fn of_dir(dir: &Path) -> Result<Self, InferError> {
        if dir.join("model.json").exists() {
            return Ok(Self::of_image(&Image::open(dir)?));
        }
        let subject = Self::of_config(&dir.join("config.json"))?;
        let store = TensorStore::open(dir)?;
        let mut file = Sizes::new("file", "the safetensors files");
        let mut tensors = 0;
        for (name, bytes) in store.sizes() {
            file.add_tensor(name, bytes);
            tensors += bytes;
        }
        file.add_structure(store.file_bytes() - tensors);
        Ok(Subject {
            file: Some(file),
            ..subject
        })
    }

    fn of_image(image: &Image) -> Self {
        let (arch, manifest) = (image.architecture(), image.manifest());
        let mut file = Sizes::new("file", "model.bin of the image");
        for (id, pass) in manifest.passes.iter().enumerate() {
            let bytes = pass.segments.iter().map(|s| s.bytes).sum();
            let head = manifest.quantization.head;
            file.add_pass(arch, head, id, pass.shape[1], image.packing(), bytes);
        }
        let mut widest = 2;
        for t in &manifest.tensors {
            // Names of `Architecture::tensors`.
            let part = match t.name.rsplit_once('.').map_or(&*t.name, |(_, last)| last) {
                "embedding" => "embed_tokens",
                "qkv_bias" => "q_proj.bias",
                other => other,
            };
            file.add_tensor(part, t.bytes);
            if t.dtype == DType::F32 {
                widest = 4;
            }
        }
        file.add_structure(manifest.bin_bytes - file.bytes());
        Subject {
            architecture: arch.clone(),
            number_bytes: widest,
            file: Some(file),
        }
    }
}
