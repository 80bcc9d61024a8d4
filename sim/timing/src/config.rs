//! What the model has to know of a device and its memory.

use macromac_driver::Profile;

/// Cycles that a step costs besides its strips, estimated from the stages of the RTL; docs/bench.md says how far the sum is off.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Overhead {
    /// From the doorbell to the first beat of activations in the device.
    pub load: f64,
    /// From a group's last beat of activations to the first strip that may use it.
    pub convert: f64,
    /// From the last strip of a tile row to its results in memory.
    pub store: f64,
    /// From results in memory to the completion record that tells so.
    pub record: f64,
}

/// A device for [`ModelDevice`](crate::ModelDevice).
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
    /// Arithmetic; decides how strips, activations and results move.
    pub profile: Profile,
    /// PL clock, Hz.
    pub clock_hz: u64,
    /// Vectors that a pass may share, 1..=255.
    pub batch: usize,
    /// Strips (16 bytes) that the prefetch FIFO of a port holds.
    pub fifo_strips: usize,
    /// Bytes a PL cycle that memory moves in all for eager masters, long-term: peak less refresh, turnaround and row misses.
    pub memory_bytes: f64,
    /// What steps cost besides.
    pub overhead: Overhead,
}

impl ModelConfig {
    /// Batch and prefetch strips a port of a profile's device, as `mm_top` has them by default.
    pub fn size(profile: Profile) -> (usize, usize) {
        match profile {
            Profile::Paper => (1, 2048),
            Profile::Kv260 => (8, 24_576),
        }
    }

    /// The device of a profile on a KV260 whose memory runs at `mts` million transfers a second.
    pub fn kv260(profile: Profile, clock_hz: u64, mts: u32) -> Self {
        let (batch, fifo_strips) = Self::size(profile);
        let peak = f64::from(mts) * 8e6 / clock_hz as f64;
        ModelConfig {
            profile,
            clock_hz,
            batch,
            fifo_strips,
            memory_bytes: peak * STREAM_SHARE,
            overhead: match profile {
                Profile::Paper => Overhead {
                    load: 70.0,
                    convert: 3.0,
                    store: 40.0,
                    record: 60.0,
                },
                Profile::Kv260 => Overhead {
                    load: 100.0,
                    convert: 40.0,
                    store: 80.0,
                    record: 80.0,
                },
            },
        }
    }
}

/// Share of the memory's peak that the four ports get while they fill their FIFOs: chosen so that a token of Qwen2.5-0.5B takes what
/// the RTL takes on the DDR4 model. Streams in lock step would get 0.947 (docs/memory.md); the readers run free, so they drift
/// apart and meet in banks.
const STREAM_SHARE: f64 = 0.877;
