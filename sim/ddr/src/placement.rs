//! Where four segments should begin so that their streams do not meet in a bank, by the model.

use super::map::{BANK_SPACE, ROW_BYTES};
use super::replay::{self, Stream};
use super::{DdrConfig, DdrRate};

pub use macromac_format::placement::PHASES;

/// FIFO of a weight port in beats (`FifoStrips`), longest burst, bursts under way: the accelerator's (docs/architecture.md).
const FIFO: u64 = 2048;
const BURST: u32 = 64;
const OUTSTANDING: u32 = 8;
/// Bytes of a segment in the search: five turns through the banks, as in the published sweep.
const SEARCH_BYTES: u64 = 320 << 10;

/// Segments of `bytes` each in regions of their own, `phases` bytes from each other modulo 64 KiB.
fn streams(phases: [usize; 4], bytes: u64) -> [Stream; 4] {
    let region = bytes.next_multiple_of(BANK_SPACE) + BANK_SPACE;
    std::array::from_fn(|port| Stream {
        port,
        base: (1 << 35) + port as u64 * region + phases[port] as u64,
        bytes,
        start: 0,
        burst: BURST,
        outstanding: OUTSTANDING,
        results: None,
    })
}

/// PL cycles for four segments of `bytes`, read in lock step.
pub fn cycles(rate: DdrRate, pl_hz: u64, phases: [usize; 4], bytes: u64) -> u64 {
    let config = DdrConfig::new(rate, pl_hz);
    replay::run(config, &streams(phases, bytes), Some(FIFO), None).cycles
}

/// Share of the memory's peak that long segments reach.
pub fn share_of_peak(rate: DdrRate, pl_hz: u64, phases: [usize; 4]) -> f64 {
    const BYTES: u64 = 4 << 20;
    let seconds = cycles(rate, pl_hz, phases, BYTES) as f64 / pl_hz as f64;
    4.0 * BYTES as f64 / seconds / rate.peak() as f64
}

/// All placements by rows of 8 KiB, best first: cycles, and distances in KiB.
pub fn search(rate: DdrRate, pl_hz: u64) -> Vec<(u64, [u64; 4])> {
    let mut found: Vec<(u64, [u64; 4])> = (0..512)
        .map(|n| {
            let rows = [0, n / 64, n / 8 % 8, n % 8];
            let phases = rows.map(|row| (row * ROW_BYTES) as usize);
            let kib = phases.map(|phase| phase as u64 >> 10);
            (cycles(rate, pl_hz, phases, SEARCH_BYTES), kib)
        })
        .collect();
    found.sort_unstable();
    found
}
