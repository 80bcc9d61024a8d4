//! What an operating environment offers to the queue code: Linux on the board, or the simulated board.

use std::time::Duration;

use macromac_format::Packing;

use crate::{Counters, DriverError, Profile, View};

/// Handle of a DMA buffer; meaningless outside the platform that gave it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BufferId(pub u32);

/// What a buffer is for; decides its cache rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BufferUse {
    /// Written once by the CPU, read by the device.
    Weights,
    /// Written by the CPU, read by the device, every step.
    Activations,
    /// Written by the device, read by the CPU, every step.
    Results,
}

impl BufferUse {
    /// Its name in messages.
    pub fn name(self) -> &'static str {
        match self {
            BufferUse::Weights => "weights",
            BufferUse::Activations => "activations",
            BufferUse::Results => "results",
        }
    }
}

/// Hardware parameters as read from the capability registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Arithmetic profile.
    pub profile: Profile,
    /// Weight ports (= units).
    pub ports: u32,
    /// Activation vectors that can share a pass.
    pub batch: u32,
    /// Input channels a quantization group has.
    pub group_size: u32,
    /// Strips (16 bytes) an AWQ_MACRO of format 1 has.
    pub macro_strips: u32,
    /// Strips (16 bytes) each prefetch FIFO holds.
    pub fifo_strips: u32,
    /// Largest number of input channels a pass may have.
    pub max_k: u32,
    /// Hash over all hardware parameters.
    pub config_hash: u32,
}

/// Where one port's part of a weight matrix lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentRef {
    /// Buffer that holds it.
    pub buffer: BufferId,
    /// Byte offset in the buffer; a multiple of 4096.
    pub offset: u64,
}

/// One step of a program: which weights, which activations, where the results go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Quantization groups: padded K / 64.
    pub groups: u16,
    /// Tile rows: padded N / 32 (each port streams one tile of 8 channels a tile row).
    pub tile_rows: u16,
    /// Report progress each time so many tile rows are finished; 0: only at the end.
    pub report_tile_rows: u16,
    /// Activation vectors that share the pass, 1 to `Capabilities::batch`.
    pub vectors: u8,
    /// Layout of the weights.
    pub packing: Packing,
    /// The four segments, [`Step::segment_bytes`] each.
    pub weights: [SegmentRef; 4],
    /// Activations: 64 FP32 values a group and vector, group g of vector v at byte `(g * vectors + v) * 256`; offset a
    /// multiple of 4096.
    pub activations: SegmentRef,
    /// Results: 32 FP32 values a tile row and vector, tile row r of vector v at byte `(r * vectors + v) * 128`; offset a
    /// multiple of 4096.
    pub results: SegmentRef,
}

impl Step {
    /// Bytes of each of the four segments.
    pub fn segment_bytes(&self) -> u64 {
        (self.packing.tile_bytes(self.groups.into()) * usize::from(self.tile_rows)) as u64
    }

    /// Bytes of the activations, all vectors.
    pub fn activation_bytes(&self) -> u64 {
        u64::from(self.groups) * u64::from(self.vectors) * 256
    }

    /// Bytes of the results, all vectors.
    pub fn result_bytes(&self) -> u64 {
        u64::from(self.tile_rows) * u64::from(self.vectors) * 128
    }
}

/// What the device is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceStatus {
    /// Nothing wrong.
    Ok,
    /// Halted by a fault; see the error that `wait` gives.
    Faulted,
}

/// The completion record, as the device last wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Completion {
    /// Steps completed since the program was loaded (wraps at 2^32).
    pub steps_done: u32,
    /// Rows finished of the step in progress (a multiple of 32; counts padding).
    pub rows_done: u32,
    /// Health of the device.
    pub status: DeviceStatus,
}

/// One device and the memory it can reach.
pub trait Platform {
    /// Hardware parameters.
    fn capabilities(&self) -> Capabilities;

    /// Allocates `bytes` of DMA memory, zero-filled, 4 KiB aligned.
    ///
    /// # Errors
    /// [`DriverError::OutOfMemory`] with what was asked for and what is left.
    fn alloc(&mut self, bytes: usize, usage: BufferUse) -> Result<BufferId, DriverError>;

    /// Gives a buffer back.
    ///
    /// # Errors
    /// If the handle is unknown or the buffer belongs to the loaded program.
    fn free(&mut self, buffer: BufferId) -> Result<(), DriverError>;

    /// Writes into a buffer (and makes it visible to the device).
    ///
    /// # Errors
    /// If the handle is unknown or the range is outside the buffer.
    fn write(&mut self, buffer: BufferId, offset: u64, data: &[u8]) -> Result<(), DriverError>;

    /// Lets `f` write into a piece of a buffer, and makes that visible to the device. What the piece holds before is not said, and a platform that keeps no
    /// bytes does not call `f`.
    ///
    /// # Errors
    /// If the handle is unknown or the range is outside the buffer.
    fn fill(
        &mut self,
        buffer: BufferId,
        offset: u64,
        bytes: usize,
        f: &dyn Fn(&mut [u8]),
    ) -> Result<(), DriverError>;

    /// Makes a piece of a buffer (what the device wrote) ready to be read, by several threads if need be.
    ///
    /// # Errors
    /// If the handle is unknown or the range is outside the buffer.
    fn view(
        &mut self,
        buffer: BufferId,
        offset: u64,
        bytes: usize,
    ) -> Result<View<'_>, DriverError>;

    /// Reads from a buffer.
    ///
    /// # Errors
    /// As [`view`](Self::view).
    fn read(&mut self, buffer: BufferId, offset: u64, out: &mut [u8]) -> Result<(), DriverError> {
        let View { memory, at } = self.view(buffer, offset, out.len())?;
        memory.copy(at, out);
        Ok(())
    }

    /// Validates every step, encodes the descriptors, stops and drains a running program, and starts this one as a ring. Step
    /// sequence numbers start again from 0.
    ///
    /// # Errors
    /// [`DriverError::BadStep`] naming the step and the rule it breaks; device faults.
    fn load_program(&mut self, steps: &[Step]) -> Result<(), DriverError>;

    /// Says that the activations of all steps with sequence number below `steps_ready` are in memory. A release barrier, then one store.
    ///
    /// # Errors
    /// If no program is loaded.
    fn doorbell(&mut self, steps_ready: u32) -> Result<(), DriverError>;

    /// The completion record (an acquire load; no register is read).
    fn completion(&mut self) -> Completion;

    /// Waits until `steps_done` has reached `steps` (modulo 2^32), or is one less with at least `rows` rows done (`u32::MAX`: the
    /// whole step); at most `timeout`
    /// (of the platform's own clock: simulated time on the simulated board).
    ///
    /// # Errors
    /// [`DriverError::Timeout`], or [`DriverError::Fault`] with the cause the device names.
    fn wait(&mut self, steps: u32, rows: u32, timeout: Duration)
    -> Result<Completion, DriverError>;

    /// Soft reset: drains the bus, clears errors and the program.
    ///
    /// # Errors
    /// If the device does not become idle.
    fn reset(&mut self) -> Result<(), DriverError>;

    /// Charges PS time to the simulated clock, and `bytes` of the PS's traffic to the simulated memory; nothing on real hardware.
    ///
    /// # Errors
    /// If the simulation failed meanwhile.
    fn elapse(&mut self, ps: Duration, bytes: u64) -> Result<(), DriverError>;

    /// Performance counters.
    ///
    /// # Errors
    /// If they cannot be read.
    fn counters(&mut self) -> Result<Counters, DriverError>;
}
