//! Where the four segments of a pass go, so that four streams do not meet in a bank of the memory.
//!
//! The KV260's memory has its banks in address bits 13..15 (`docs/memory.md`): two streams whose addresses are equal modulo 64 KiB
//! are in the same bank all the time and close each other's rows. The ports advance together, so what their segments' beginnings
//! are to each other modulo 64 KiB decides for the whole pass.

use crate::PORTS;

/// Bytes after which the banks of the memory repeat.
pub const BANK_SPACE: usize = 64 * 1024;

/// Where each port's segment begins, modulo [`BANK_SPACE`], relative to port 0's. Found by a search with the memory model of the
/// simulated board, which also tests it (`sim/ddr/tests/placement.rs`).
pub const PHASES: [usize; PORTS] = [0, 40 * 1024, 48 * 1024, 56 * 1024];

/// Offsets of four segments of `bytes` each in one buffer: in the order of the ports, disjoint, multiples of 4096, with the
/// distances of [`PHASES`] modulo [`BANK_SPACE`]. The buffer needs `offsets[3] + bytes` bytes and may begin at any multiple of 4096.
pub fn place_segments(bytes: usize) -> [usize; PORTS] {
    let mut end = 0;
    PHASES.map(|phase| {
        let behind = end.max(phase) - phase;
        let offset = behind.next_multiple_of(BANK_SPACE) + phase;
        end = offset + bytes;
        offset
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_disjoint_and_in_phase() {
        for bytes in [288, 4096, 16_384, 65_536, 327_680, 1_000_224] {
            let offsets = place_segments(bytes);
            for (port, offset) in offsets.iter().enumerate() {
                assert_eq!(offset % BANK_SPACE, PHASES[port]);
                assert_eq!(offset % 4096, 0);
            }
            for pair in offsets.windows(2) {
                assert!(pair[0] + bytes <= pair[1], "{bytes}: {offsets:?}");
                assert!(
                    pair[1] - pair[0] - bytes < 2 * BANK_SPACE,
                    "{bytes}: {offsets:?}"
                );
            }
        }
    }
}
