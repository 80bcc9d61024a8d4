//! How software talks to the MacroMac device.
//!
//! Inference sees [`Accelerator`]: matrix products by pass number, nothing else. [`Platform`] is what a device's
//! operating environment must offer (buffers by handle, a program ring, a doorbell, a completion record); no physical
//! address and no control register appears in either. [`Device`] is the queue code between the two: the same
//! code runs on the board (Linux) and in every co-simulation.

mod accelerator;
mod device;
mod error;
mod platform;
mod ring;
mod upload;

pub use accelerator::{Accelerator, Counters, PassShape, PortStalls, Profile, Ticket};
pub use device::Device;
pub use error::{DeviceFault, DriverError};
pub use platform::{
    BufferId, BufferUse, Capabilities, Completion, DeviceStatus, Platform, SegmentRef, Step,
};
pub use upload::PassWeights;
