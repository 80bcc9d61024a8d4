//! Bit-exact reference of the accelerator's arithmetic: what the RTL must equal, without time.
//!
//! `docs/arithmetic.md` is the binding description. Everything here follows it operator by operator
//! and addition by addition:
//!
//! - [`fp`]: the four FP32 operators, twice: in integer arithmetic ([`fp::exact`], the definition)
//!   and on native `f32` (the same bits, fast);
//! - [`macro_block`]: what the 288 bytes of an AWQ_MACRO mean;
//! - [`block`]: PE, adder tree, sliding window and one output-channel tile, in the shape in which
//!   the unit testbenches drive the RTL;
//! - [`pass`]: a whole weight matrix, multi-threaded and vectorized;
//! - [`group`]: the same for the other profile, `kv260`: exact group sums, several vectors a pass.
//!
//! The crate depends neither on the packer nor on the RTL, so that a common mistake cannot hide.

pub mod block;
pub mod fp;
pub mod group;
pub mod macro_block;
pub mod pass;

pub use pass::{GoldenError, PassDims, run_pass};
