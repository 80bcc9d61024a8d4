//! What inference sees of a device that multiplies matrices.

use std::ops::Range;
use std::time::Duration;

use crate::{DriverError, Results};

/// Which arithmetic a device computes in (docs/arithmetic.md); results are FP32 in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// FP32 processing elements at 200 MHz: the paper's accelerator.
    Paper,
    /// Exact group sums at 300 MHz, several vectors a pass.
    Kv260,
}

impl Profile {
    /// Name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Profile::Paper => "paper",
            Profile::Kv260 => "kv260",
        }
    }

    /// PL clock of the profile in Hz.
    pub fn clock_hz(self) -> u64 {
        match self {
            Profile::Paper => 200_000_000,
            Profile::Kv260 => 300_000_000,
        }
    }
}

/// A submitted step, to wait for it and to read its results.
///
/// Its results can be read until the second submission after it; a program set anew forgets all tickets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket(u64);

impl Ticket {
    /// A ticket; devices number theirs so that none ever comes twice.
    pub fn new(number: u64) -> Self {
        Ticket(number)
    }

    /// Its number.
    pub fn number(self) -> u64 {
        self.0
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

/// System calls since the program was loaded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SystemCalls {
    /// To wait for the device.
    pub waits: u64,
    /// To clean or invalidate caches, where the device is not coherent.
    pub syncs: u64,
    /// For anything else.
    pub others: u64,
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
    /// System calls of the program that ran: all, and those of them that waited for the device; 0 in a simulator.
    pub system_calls: SystemCalls,
    /// Wall-clock nanoseconds that a simulator spent on `cycles`; 0 on hardware.
    pub sim_wall_ns: u64,
}

/// A device (or its stand-in) that holds a model's weight matrices and multiplies activations with them.
///
/// Passes are numbered as in the image's pass table. A *program* is the order in which a token consumes passes; it is
/// a ring: after its last step comes its first again, so a device may prefetch across the token boundary. A step multiplies
/// one matrix with up to as many vectors as the program was set for; no vector's results depend on the others.
pub trait Accelerator {
    /// Arithmetic of this device; `None` where products are plain FP32 on the CPU.
    fn profile(&self) -> Option<Profile>;

    /// Vectors that a pass may share, at least 1.
    fn batch(&self) -> usize;

    /// Shapes of all passes, by pass number.
    fn passes(&self) -> &[PassShape];

    /// Makes `program` (pass numbers) the ring, each step for up to `vectors` vectors; the next [`submit`](Self::submit) is its
    /// first step. Setting the program that is already there, between two rounds, costs nothing.
    ///
    /// # Errors
    /// If a pass number does not exist, the program is empty, `vectors` is not 1 to [`batch`](Self::batch), or the device failed.
    fn set_program(&mut self, program: &[usize], vectors: usize) -> Result<(), DriverError>;

    /// Hands over the activations of the next step: `x` has K values (FP32) for each of 1 to the program's number of vectors, vector
    /// after vector. The vectors that are not given are zeros to the device; their results cannot be read.
    ///
    /// Two steps may be in flight: a third submission waits for the first of them.
    ///
    /// # Errors
    /// If `x` has the wrong length or the device failed.
    fn submit(&mut self, x: &[f32]) -> Result<Ticket, DriverError>;

    /// Waits until at least `rows` results of each vector of a submitted step are finished; returns how many are.
    ///
    /// # Errors
    /// If the ticket has expired, there are not so many rows, the device reports a fault, or the wait times out.
    fn wait_rows(&mut self, ticket: Ticket, rows: usize) -> Result<usize, DriverError>;

    /// Finished results of a submitted step: output channels `rows` of every vector that it was given.
    ///
    /// # Errors
    /// If the ticket has expired, or the rows are out of range or not finished.
    fn results(&mut self, ticket: Ticket, rows: Range<usize>) -> Result<Results<'_>, DriverError>;

    /// Copies finished results `first .. first + out.len()` of vector `vector` of a submitted step.
    ///
    /// # Errors
    /// As [`results`](Self::results), or if the vector was not given.
    fn read_rows(
        &mut self,
        ticket: Ticket,
        vector: usize,
        first: usize,
        out: &mut [f32],
    ) -> Result<(), DriverError> {
        let results = self.results(ticket, first..first.saturating_add(out.len()))?;
        if vector >= results.vectors() {
            return Err(DriverError::Shape {
                what: "vectors of the submitted step, to read the last of".into(),
                expected: results.vectors(),
                found: vector.saturating_add(1),
            });
        }
        results.read(vector, out);
        Ok(())
    }

    /// Waits for a submitted step and reads it whole: `y` has N values for each vector that was given, vector after vector; it may
    /// end after any of them.
    ///
    /// # Errors
    /// As [`wait_rows`](Self::wait_rows) and [`read_rows`](Self::read_rows).
    fn finish(&mut self, ticket: Ticket, n: usize, y: &mut [f32]) -> Result<(), DriverError> {
        self.wait_rows(ticket, n)?;
        for (vector, y) in y.chunks_mut(n.max(1)).enumerate() {
            self.read_rows(ticket, vector, 0, y)?;
        }
        Ok(())
    }

    /// One whole step of one vector: submit, wait for all rows, read them.
    ///
    /// # Errors
    /// As the calls it makes.
    fn run_step(&mut self, x: &[f32], y: &mut [f32]) -> Result<(), DriverError> {
        let ticket = self.submit(x)?;
        self.finish(ticket, y.len(), y)
    }

    /// Charges time that the PS spends computing, and the bytes that it moves from and to memory meanwhile. The simulated board
    /// lets its PL clock run on; a real device ignores it, since real time passes by itself.
    ///
    /// # Errors
    /// If the device reports a fault meanwhile.
    fn elapse(&mut self, ps: Duration, bytes: u64) -> Result<(), DriverError>;

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
