//! How software talks to the MacroMac device.
//!
//! Inference sees [`Accelerator`]: matrix products by pass number, nothing else. [`Platform`] is what a device's
//! operating environment must offer (buffers by handle, a program ring, a doorbell, a completion record); no physical
//! address and no control register appears in either. [`Device`] is the queue code between the two: the same
//! code runs on the board ([`LinuxPlatform`], over the kernel module's `/dev/macromac0`) and in every co-simulation.

mod accelerator;
mod device;
mod error;
#[cfg(target_os = "linux")]
mod linux;
mod platform;
mod results;
mod ring;
pub mod rules;
mod upload;

pub use accelerator::{Accelerator, Counters, PassShape, PortStalls, Profile, SystemCalls, Ticket};
pub use device::{Device, Share};
pub use error::{DeviceFault, DriverError};
#[cfg(target_os = "linux")]
pub use linux::{DEFAULT_DEVICE, LinuxPlatform};
pub use platform::{
    BufferId, BufferUse, Capabilities, Completion, DeviceStatus, Platform, SegmentRef, Step,
};
pub use results::{Memory, Results, View};
pub use upload::PassWeights;
