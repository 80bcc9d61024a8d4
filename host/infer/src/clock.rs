//! What the PS's work costs a device that keeps time.

use std::time::Duration;

use macromac_driver::{Accelerator, DriverError};

use crate::kernels::time::{Kernel, PsTime};

/// Adds up what kernels cost until the device is told; without a model of the PS it costs nothing.
#[derive(Debug)]
pub struct Clock<'a> {
    ps: Option<&'a PsTime>,
    due: Duration,
}

impl<'a> Clock<'a> {
    /// A clock that charges by `ps`.
    pub fn new(ps: Option<&'a PsTime>) -> Self {
        Clock {
            ps,
            due: Duration::ZERO,
        }
    }

    /// Charges a kernel on a batch of `vectors`.
    pub fn charge(&mut self, kernel: Kernel, vectors: usize) {
        if let Some(ps) = self.ps {
            self.due += ps.charge(kernel, vectors).time;
        }
    }

    /// Lets the device's time run on by what is due.
    ///
    /// # Errors
    /// If the device reports a fault meanwhile.
    pub fn tell(&mut self, device: &mut dyn Accelerator) -> Result<(), DriverError> {
        match std::mem::take(&mut self.due) {
            Duration::ZERO => Ok(()),
            due => device.elapse(due),
        }
    }
}
