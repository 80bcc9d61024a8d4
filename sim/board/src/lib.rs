//! The KV260 in simulation: the verilated `mm_top`, its memory behind five AXI ports, the register bus, the interrupt line and
//! the processor's time, all on one clock.
//!
//! [`Board`] implements the driver's `Platform`, so the queue code that drives it is the one that drives the real board. The
//! rules of AXI and of the device contract are checked in every cycle on every port ([`Violation`]); a broken one ends the
//! simulation with an error that names port, rule and cycle.
//!
//! * [`axi`]: slaves, register master and checkers; they need no RTL and are tested with scripted masters;
//! * [`timing`]: when memory answers ([`MemoryTiming`]); the board's DDR4, bank by bank, is the crate `macromac-ddr`;
//! * [`space`]: what lies behind the memory ports; [`machine`]: the model with its buses on one clock, over any such space;
//! * [`inject`]: bad responses and hanging ports, for tests of the error paths.

pub mod axi;
mod board;
mod config;
pub mod inject;
pub mod machine;
pub mod memory;
mod pins;
mod program;
mod registers;
pub mod space;
mod violation;
mod watch;

pub use board::Board;
pub use config::{BoardConfig, MemoryModel};
pub use macromac_ddr as ddr;
pub use macromac_ddr::buffers;
pub use macromac_ddr::timing::{self, MemoryTiming, PortConfig};
pub use macromac_ddr::{DdrConfig, DdrRate, PsTraffic};
pub use violation::{Checked, Interface, Rule, Violation};
pub use watch::{Run, Traffic};
