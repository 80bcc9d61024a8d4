//! How long the accelerator takes, without computing anything and without its RTL.
//!
//! [`ModelDevice`] is an [`Accelerator`](macromac_driver::Accelerator) whose results are zeros: the driver's queue code on a
//! [`ModelBoard`], which steps every register of the device that decides when something happens (`chip`) on the simulated board's own
//! memory model (`macromac-ddr`). So its cycles are the RTL's; `tests/against_rtl.rs` compares the two.

mod board;
mod chip;
mod config;
mod device;
mod jump;
mod skip;
mod slaves;

pub use board::ModelBoard;
pub use chip::PassTimes;
pub use config::{ModelConfig, ModelMemory};
pub use device::ModelDevice;
