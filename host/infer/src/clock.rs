//! What the PS's work costs a device that keeps time.

use macromac_driver::{Accelerator, DriverError};

use crate::kernels::time::{Charge, Kernel, PsTime};

/// A kernel that was charged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spent {
    /// What ran.
    pub kernel: Kernel,
    /// On how many vectors.
    pub vectors: usize,
    /// What it cost.
    pub charge: Charge,
    /// How often the device had been told of time before: its cost is part of the next [`Accelerator::elapse`].
    pub told: usize,
}

/// Adds up what kernels cost until the device is told; without a model of the PS it costs nothing.
#[derive(Debug)]
pub struct Clock<'a> {
    ps: Option<&'a PsTime>,
    due: Charge,
    /// All that was charged so far.
    spent: Charge,
    told: usize,
    /// Every kernel, where somebody wants to know.
    log: Option<Vec<Spent>>,
}

impl<'a> Clock<'a> {
    /// A clock that charges by `ps`.
    pub fn new(ps: Option<&'a PsTime>) -> Self {
        Clock {
            ps,
            due: Charge::default(),
            spent: Charge::default(),
            told: 0,
            log: None,
        }
    }

    /// Charges a kernel on a batch of `vectors`.
    pub fn charge(&mut self, kernel: Kernel, vectors: usize) {
        if let Some(ps) = self.ps {
            let charge = ps.charge(kernel, vectors);
            self.due += charge;
            self.spent += charge;
            let told = self.told;
            self.log.iter_mut().for_each(|log| {
                log.push(Spent {
                    kernel,
                    vectors,
                    charge,
                    told,
                });
            });
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
        self.told += 1;
        device.elapse(due.time, due.ddr_bytes)
    }

    /// From now on every kernel is noted; counting of [`Spent::told`] begins anew. What was noted before is returned.
    pub fn log(&mut self) -> Vec<Spent> {
        self.told = 0;
        self.log.replace(Vec::new()).unwrap_or_default()
    }

    /// All that was charged so far.
    pub fn spent(&self) -> Charge {
        self.spent
    }
}
