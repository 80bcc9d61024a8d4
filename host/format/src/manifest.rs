//! `model.json`: what lies where in an image, and the checksums of all of it.

use half::f16;
use half::slice::HalfFloatSliceExt;
use serde::{Deserialize, Serialize};

use crate::layout::PORTS;
use crate::model::{Architecture, Head};
use crate::packing::Packing;

/// First field of every `model.json` of an image.
pub const MAGIC: &str = "macromac-image";
/// Alignment of everything in `model.bin`, bytes: a page, so that a segment can be mapped alone.
pub const ALIGN: u64 = 4096;
/// Name of the manifest file.
pub const MANIFEST_FILE: &str = "model.json";
/// Name of the data file.
pub const BIN_FILE: &str = "model.bin";
/// Files of a checkpoint that an image carries along.
pub const SIDE_FILES: [&str; 3] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "generation_config.json",
];

/// A CRC-32C (Castagnoli), written as eight hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Crc(pub u32);

impl Crc {
    /// The checksum of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Crc(crc32c::crc32c(bytes))
    }
}

impl std::fmt::Display for Crc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl From<Crc> for String {
    fn from(crc: Crc) -> String {
        crc.to_string()
    }
}

impl TryFrom<String> for Crc {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        // from_str_radix alone would take a sign.
        if text.len() == 8 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            if let Ok(value) = u32::from_str_radix(&text, 16) {
                return Ok(Crc(value));
            }
        }
        Err(format!(
            "expected a CRC-32C as eight hexadecimal digits, found \"{text}\""
        ))
    }
}

/// Number format of a tensor; little endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DType {
    /// Upper half of an FP32.
    Bf16,
    /// IEEE 754 binary16.
    F16,
    /// IEEE 754 binary32.
    F32,
}

/// Numbers that [`DType::widen`] takes at a time.
const F16_PIECE: usize = 64;

impl DType {
    /// Bytes of one number.
    pub fn bytes(self) -> usize {
        match self {
            DType::Bf16 | DType::F16 => 2,
            DType::F32 => 4,
        }
    }

    /// Widens little-endian numbers to FP32, exactly.
    ///
    /// # Panics
    /// If `bytes` does not hold exactly as many numbers as `out`.
    pub fn widen(self, bytes: &[u8], out: &mut [f32]) {
        assert_eq!(bytes.len(), out.len() * self.bytes(), "bytes of {self:?}");
        match self {
            DType::Bf16 => {
                for (o, b) in out.iter_mut().zip(bytes.chunks_exact(2)) {
                    *o = f32::from_bits(u32::from(u16::from_le_bytes([b[0], b[1]])) << 16);
                }
            }
            DType::F16 => {
                // In pieces through a buffer: the bytes may lie unaligned, and the slice conversion
                // uses the processor's instruction where it has one.
                let mut half = [f16::ZERO; F16_PIECE];
                for (o, b) in out.chunks_mut(F16_PIECE).zip(bytes.chunks(2 * F16_PIECE)) {
                    let half = &mut half[..o.len()];
                    for (h, b) in half.iter_mut().zip(b.chunks_exact(2)) {
                        *h = f16::from_bits(u16::from_le_bytes([b[0], b[1]]));
                    }
                    half.convert_to_f32_slice(o);
                }
            }
            DType::F32 => {
                for (o, b) in out.iter_mut().zip(bytes.chunks_exact(4)) {
                    *o = f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
                }
            }
        }
    }
}

/// How the weights were quantized.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quantization {
    /// `rtn`: each weight rounded to the nearest step of its group; `awq`: by activation-aware
    /// quantization, as an AutoAWQ checkpoint carries it.
    pub method: String,
    /// Bits of a weight of the layers: 4.
    pub bits: u32,
    /// Input channels that share a scale and a zero: 64, or 128 as two blocks with equal ones.
    pub group_size: usize,
    /// Where the output matrix is computed, and in which precision.
    pub head: Head,
}

/// The bytes of a pass on one port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentEntry {
    /// Offset in `model.bin`, a multiple of 4096.
    pub offset: u64,
    /// Length.
    pub bytes: u64,
    /// Checksum of the bytes.
    pub crc32c: Crc,
}

/// A pass: one matrix in blocks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PassEntry {
    /// `layers.3.qkv`.
    pub name: String,
    /// [N, K] of the matrix.
    pub shape: [usize; 2],
    /// [N, K] with padding: what the blocks hold.
    pub padded: [usize; 2],
    /// One segment a port.
    pub segments: [SegmentEntry; PORTS],
}

/// A tensor that the PS keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TensorEntry {
    /// `layers.3.input_norm`.
    pub name: String,
    /// Number format.
    pub dtype: DType,
    /// Dimensions, outermost first.
    pub shape: Vec<usize>,
    /// Offset in `model.bin`, a multiple of 4096.
    pub offset: u64,
    /// Length.
    pub bytes: u64,
    /// Checksum of the bytes.
    pub crc32c: Crc,
}

/// A file beside `model.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Its name, one of [`SIDE_FILES`].
    pub name: String,
    /// Length.
    pub bytes: u64,
    /// Checksum of the bytes.
    pub crc32c: Crc,
}

/// The content of `model.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`MAGIC`].
    pub format: String,
    /// Format version: the [`Packing`] of the passes.
    pub version: u32,
    /// CRC-32C of this manifest: see [`Manifest::own_crc`].
    pub crc32c: Crc,
    /// Bytes from one block to the next: [`Packing::macro_stride`].
    pub macro_stride: usize,
    /// The model.
    pub architecture: Architecture,
    /// How its weights were quantized.
    pub quantization: Quantization,
    /// Length of `model.bin`.
    pub bin_bytes: u64,
    /// The passes in the order of the program.
    pub passes: Vec<PassEntry>,
    /// The tensors of the PS.
    pub tensors: Vec<TensorEntry>,
    /// The files that lie beside.
    pub files: Vec<FileEntry>,
}

impl Manifest {
    /// How the passes are laid out. [`crate::Image::open`] refuses versions that do not exist.
    pub fn packing(&self) -> Packing {
        Packing::of_version(self.version.into()).unwrap_or_default()
    }

    /// Checksum over the manifest written as compact JSON with `crc32c` = "00000000".
    pub fn own_crc(&self) -> Crc {
        let plain = Manifest {
            crc32c: Crc(0),
            ..self.clone()
        };
        Crc::of(&serde_json::to_vec(&plain).expect("a manifest has no map keys that JSON refuses"))
    }
}
