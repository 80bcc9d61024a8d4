//! A step as a driver would program it, for the tests of both ways.

use macromac_format::descriptor::{Descriptor, FLAG_INTERRUPT};
use macromac_format::regs;

/// Places in a window of 64 KiB, from its first byte on.
pub const BYTES: u64 = 0x10000;
pub const RECORD: u64 = 0;
pub const RING: u64 = 0x1000;
pub const X: u64 = 0x2000;
pub const Y: u64 = 0x3000;
pub const WEIGHTS: u64 = 0x4000;

/// A step of one group and one tile row: weights c + p, activations all 2. The weights of port 3 lie at `last`, all else in the
/// window that begins at `first`. Writes to memory by `write`; gives the stores to registers, in the driver's order.
pub fn program(first: u64, last: u64, mut write: impl FnMut(u64, &[u8])) -> [(u32, u32); 7] {
    let mut weights = [0, 0x1000, 0x2000, 0x3000].map(|at| first + WEIGHTS + at);
    for (port, address) in weights.iter().enumerate() {
        let mut block = [0; 288];
        block[..16].copy_from_slice(&[0x00, 0x3C].repeat(8));
        let word: u32 = (0..8).map(|c| (c + port as u32) << (4 * c)).sum();
        block[32..].copy_from_slice(&word.to_le_bytes().repeat(64));
        write(*address, &block);
    }
    weights[3] = last;
    write(first + X, &2f32.to_le_bytes().repeat(64));
    let descriptor = Descriptor {
        macro_strips: 18,
        flags: FLAG_INTERRUPT,
        groups: 1,
        tile_rows: 1,
        report_tile_rows: 0,
        vectors: 1,
        activations: first + X,
        results: first + Y,
        weights,
    };
    write(first + RING, &descriptor.encode());
    write(first + RECORD, &[0; 16]);
    [
        (regs::RING_BASE_LO, (first + RING) as u32),
        (regs::RING_STEPS, 1),
        (regs::COMPLETION_LO, (first + RECORD) as u32),
        (regs::AXI_ATTR, 0x2F23),
        (regs::IRQ_ENABLE, 3),
        (regs::CTRL, regs::CTRL_START_MASK),
        (regs::DOORBELL, 1),
    ]
}

/// What result `row` of the step must be.
pub fn expected(row: u64) -> f32 {
    ((row % 8 + row / 8) * 128) as f32
}
