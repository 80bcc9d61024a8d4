//! Exact group sums: the arithmetic of the `kv260` profile (`docs/arithmetic.md` section 5).
//!
//! - [`convert`]: a group of FP32 activations as block floating point;
//! - [`term`]: an exact group sum times its scale, rounded once, in integers: the definition;
//! - [`tile`]: one output-channel tile for several vectors, in the words of the page: what a unit
//!   testbench compares with;
//! - [`run_pass`]: a whole weight matrix, multi-threaded and vectorized; tests hold it against the tile.

mod convert;
mod fast;
mod pass;
mod term;
mod tile;
mod view;

pub use convert::{Group, convert};
pub use pass::{GroupDims, run_pass};
pub use term::term;
pub use tile::{Vector, tile};
pub use view::Format;
