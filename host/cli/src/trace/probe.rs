//! What can be seen of a device without disturbing it.

use macromac_driver::{Accelerator, DriverError};
use macromac_timing::ModelDevice;

/// Beats of a port that followed each other without a longer pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Cycle of the first beat.
    pub first: u64,
    /// Cycle of the last beat.
    pub last: u64,
    /// Beats of 16 bytes.
    pub beats: u64,
}

/// Traffic of the ports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Read by weight port 0..=3 and by the data port.
    pub read: [Vec<Run>; 5],
    /// Results written by the data port.
    pub written: Vec<Run>,
}

/// A device with a clock that can be looked at.
pub trait Probe: Accelerator {
    /// The cycle of the PL; looking takes none.
    ///
    /// # Errors
    /// If the device fails.
    fn cycle(&mut self) -> Result<u64, DriverError>;

    /// Begins to note the traffic of the ports.
    fn watch(&mut self);

    /// The traffic since then; `None` where there are no ports.
    fn traffic(&mut self) -> Option<Traffic>;

    /// Beats that the weight ports have read.
    fn weight_beats(&self) -> [u64; 4];
}

impl Probe for ModelDevice {
    fn cycle(&mut self) -> Result<u64, DriverError> {
        Ok(ModelDevice::cycle(self))
    }

    fn watch(&mut self) {}

    fn traffic(&mut self) -> Option<Traffic> {
        None
    }

    fn weight_beats(&self) -> [u64; 4] {
        [0; 4]
    }
}

#[cfg(feature = "rtl")]
mod rtl {
    use macromac_board::Board;
    use macromac_driver::{Device, DriverError};

    use super::{Probe, Run, Traffic};

    impl Probe for Device<Board> {
        fn cycle(&mut self) -> Result<u64, DriverError> {
            Ok(self.platform().cycle())
        }

        fn watch(&mut self) {
            self.platform_mut().watch();
        }

        fn traffic(&mut self) -> Option<Traffic> {
            let runs = |runs: Vec<macromac_board::Run>| {
                let run = |r: macromac_board::Run| Run {
                    first: r.first,
                    last: r.last,
                    beats: r.beats,
                };
                runs.into_iter().map(run).collect()
            };
            let traffic = self.platform_mut().watched()?;
            Some(Traffic {
                read: traffic.read.map(runs),
                written: runs(traffic.written),
            })
        }

        fn weight_beats(&self) -> [u64; 4] {
            let (read, _) = self.platform().beats();
            std::array::from_fn(|port| read[port])
        }
    }
}
