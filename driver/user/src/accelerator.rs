//! What inference sees of a device that multiplies matrices.

use std::time::Duration;

use crate::DriverError;

/// Which arithmetic a device computes in (docs/arithmetic.md); results are FP32 in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// FP32 processing elements at 200 MHz: the paper's accelerator.
    Paper,
}

impl Profile {
    /// Name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Profile::Paper => "paper",
        }
    }

    /// PL clock of the profile in Hz.
    pub fn clock_hz(self) -> u64 {
        match self {
            Profile::Paper => 200_000_000,
        }
    }
}

/// Shape of one pass, real (unpadded): `y[n] = sum over k of w[n][k] * x[k]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassShape {
    /// Output channels (rows of the weight matrix).
    pub n: usize,
    /// Input channels.
    pub k: usize,
}

/// Cycles in which one weight port did not deliver a strip to its unit while a pass was running, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PortStalls {
    /// The prefetch FIFO was empty: DDR did not keep up.
    pub no_data: u64,
    /// The activations of the step were not there yet.
    pub no_activations: u64,
    /// The result collector had no room.
    pub no_room: u64,
    /// Data waited for another port or for the unit's own slot pattern (all units advance in lock step).
    pub lock_step: u64,
}

/// What a device counted since it was loaded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// PL clock cycles.
    pub cycles: u64,
    /// Bytes of weights streamed, all ports.
    pub weight_bytes: u64,
    /// Strips consumed by each unit.
    pub strips: [u64; 4],
    /// Stall reasons of each port.
    pub stalls: [PortStalls; 4],
    /// Cycles between the first and the last strip of each pass, summed over the passes.
    pub stream_cycles: u64,
    /// Steps completed.
    pub steps: u64,
    /// Wall-clock nanoseconds that a simulator spent on `cycles`; 0 on hardware.
    pub sim_wall_ns: u64,
}

/// A device (or its stand-in) that holds a model's weight matrices and multiplies activations with them.
///
/// Passes are numbered as in the image's pass table. A *program* is the order in which a token consumes passes; it is
/// a ring: after its last step comes its first again, so a device may prefetch across the token boundary.
pub trait Accelerator {
    /// Arithmetic of this device; `None` where products are plain FP32 on the CPU.
    fn profile(&self) -> Option<Profile>;

    /// Shapes of all passes, by pass number.
    fn passes(&self) -> &[PassShape];

    /// Makes `program` (pass numbers) the ring; the next [`submit`](Self::submit) is its first step. Setting the program that is
    /// already there, between two rounds, costs nothing.
    ///
    /// # Errors
    /// If a pass number does not exist, the program is empty, or the device failed.
    fn set_program(&mut self, program: &[usize]) -> Result<(), DriverError>;

    /// Hands over the activations of the next step: `x` has the pass's K values (FP32).
    ///
    /// # Errors
    /// If `x` has the wrong length or the device failed.
    fn submit(&mut self, x: &[f32]) -> Result<(), DriverError>;

    /// Waits until at least `rows` results of the submitted step are finished; returns how many are.
    ///
    /// # Errors
    /// If the device reports a fault or the wait times out.
    fn wait_rows(&mut self, rows: usize) -> Result<usize, DriverError>;

    /// Copies finished results `first .. first + out.len()` of the submitted step.
    ///
    /// # Errors
    /// If the rows are out of range or not finished.
    fn read_rows(&mut self, first: usize, out: &mut [f32]) -> Result<(), DriverError>;

    /// One whole step: submit, wait for all rows, read them.
    ///
    /// # Errors
    /// As the three calls it makes.
    fn run_step(&mut self, x: &[f32], y: &mut [f32]) -> Result<(), DriverError> {
        self.submit(x)?;
        self.wait_rows(y.len())?;
        self.read_rows(0, y)
    }

    /// Charges time that the PS spends computing. The simulated board lets its PL clock run on meanwhile; a real device ignores it,
    /// since real time passes by itself.
    ///
    /// # Errors
    /// If the device reports a fault meanwhile.
    fn elapse(&mut self, ps: Duration) -> Result<(), DriverError>;

    /// Brings a device back after a fault: everything in flight is dropped, the program must be set again.
    ///
    /// # Errors
    /// If the device does not come back.
    fn reset(&mut self) -> Result<(), DriverError>;

    /// The device's counters; `None` where nothing is counted.
    ///
    /// # Errors
    /// If they cannot be read.
    fn counters(&mut self) -> Result<Option<Counters>, DriverError>;
}
