//! The bytes that MacroMac's rooms exchange: AWQ_MACRO blocks, their striping over four ports and
//! the model image. `docs/formats.md` describes every bit, with a worked example.
//!
//! * [`block`]: one AWQ_MACRO, 64 input channels x 8 output channels in 288 bytes;
//! * [`packing`]: how the blocks of a tile lie one behind the other, in format 1 and 2;
//! * [`layout`]: where the block of a tile and a group lies in the four segments of a pass;
//! * [`matrix`]: a quantized matrix, to and from segments; [`int8`]: an INT8 one as INT4 blocks;
//! * [`model`]: the architecture and the passes and tensors an image of it must hold;
//! * [`manifest`]: what `model.json` says;
//! * [`descriptor`]: the 64-byte step descriptor that the device fetches;
//! * [`regs`]: the register map, generated from `rtl/regs/macromac.rdl`;
//! * [`image`]: opening an image, with every check; [`writer`]: writing one, atomically.
#![warn(missing_docs)]

pub mod block;
pub mod descriptor;
pub mod error;
pub mod image;
pub mod int8;
pub mod layout;
pub mod manifest;
pub mod matrix;
pub mod model;
pub mod packing;
pub mod regs;
pub mod writer;

pub use block::{Block, BlockError, GROUP, MACRO_BYTES, STRIP_BYTES, STRIPS, TILE};
pub use error::ImageError;
pub use image::{Image, TensorView};
pub use int8::Int8Matrix;
pub use layout::{Layout, PORTS};
pub use manifest::{DType, Manifest, PassEntry, Quantization, SegmentEntry, TensorEntry};
pub use matrix::QuantMatrix;
pub use model::{Architecture, Head};
pub use packing::Packing;
pub use writer::ImageWriter;
