//! The way between the device and a guest: how stores and loads come, how the interrupt goes. The device, its clock, its memory
//! window and the test page are the same whatever the way is.
//!
//! * [`crate::vfio`]: messages of QEMU's vfio-user; every access traps;
//! * [`crate::polled`]: registers in a page of the guest's memory that is looked at again and again; nothing traps.

use macromac_driver::DriverError;

use crate::device::Device;
use crate::report::Transport;

/// What came of a look at the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attended {
    /// It has done something, which the device has been told.
    Something,
    /// Nothing; the device may go on.
    Nothing,
    /// There is no guest any more.
    Gone,
}

/// One guest's side. All is called from the device's thread.
pub trait Front {
    /// Which way it is.
    fn transport(&self) -> Transport;

    /// Passes on what the guest has done since; waits for something, or for a while, if the device is not awake.
    ///
    /// # Errors
    /// If the simulation fails while it is told.
    fn attend(&mut self, device: &mut Device) -> Result<Attended, DriverError>;

    /// Must the clock stop for the guest? Asked before each cycle; a reason lasts until the next [`attend`](Self::attend).
    fn calls(&self) -> bool {
        false
    }

    /// Shows the guest what has changed: the interrupt line, and registers where it cannot ask for them.
    ///
    /// # Errors
    /// If the simulation fails while it is asked.
    fn show(&mut self, device: &mut Device) -> Result<(), DriverError>;

    /// Stores that the guest has made and the device has never seen, as far as they are known of.
    fn lost_stores(&self) -> u64 {
        0
    }

    /// Stores after which the guest has waited until the device had seen them, where it does not always.
    fn awaited_stores(&self) -> Option<u32> {
        None
    }

    /// Times that the interrupt was raised towards the guest.
    fn interrupts(&self) -> u64;
}
