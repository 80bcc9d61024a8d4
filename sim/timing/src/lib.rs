//! How long the accelerator takes, without computing anything: a model of its stream that answers in microseconds.
//!
//! [`ModelDevice`] is an [`Accelerator`](macromac_driver::Accelerator) whose results are zeros and whose clock is a formula, so that
//! the code which drives the real device drives it too. How far it is from the RTL stands in docs/bench.md; `macromac bench --backend rtl` and
//! its tests (host/cli/tests/bench.rs) compare the two.

mod config;
mod device;
mod stream;

pub use config::{ModelConfig, Overhead};
pub use device::ModelDevice;
