//! What the PS's work costs a device that keeps time.

use macromac_driver::{Accelerator, DriverError};

use crate::kernels::time::{Charge, Kernel, PsTime};

/// Adds up what kernels cost until the device is told; without a model of the PS it costs nothing.
#[derive(Debug)]
pub struct Clock<'a> {
    ps: Option<&'a PsTime>,
    due: Charge,
    /// All that was charged so far.
    spent: Charge,
}

impl<'a> Clock<'a> {
    /// A clock that charges by `ps`.
    pub fn new(ps: Option<&'a PsTime>) -> Self {
        Clock {
            ps,
            due: Charge::default(),
            spent: Charge::default(),
        }
    }

    /// Charges a kernel on a batch of `vectors`.
    pub fn charge(&mut self, kernel: Kernel, vectors: usize) {
        if let Some(ps) = self.ps {
            let charge = ps.charge(kernel, vectors);
            self.due += charge;
            self.spent += charge;
        }
    }

    /// Lets the device's time run on by what is due.
    ///
    /// # Errors
    /// If the device reports a fault meanwhile.
    pub fn tell(&mut self, device: &mut dyn Accelerator) -> Result<(), DriverError> {
        let due = std::mem::take(&mut self.due);
        if due == Charge::default() {
            return Ok(());
        }
        device.elapse(due.time, due.ddr_bytes)
    }

    /// All that was charged so far.
    pub fn spent(&self) -> Charge {
        self.spent
    }
}
