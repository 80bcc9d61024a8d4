//! Where the blocks of a matrix lie: tiles striped over four ports.
//!
//! Tile t (output channels 8t..8t+7) belongs to port t mod 4. A segment, the bytes of one pass on
//! one port, is its tiles in rising order, each tile its groups in rising order. N is padded to a
//! multiple of 32 and K to a multiple of 64, so the four segments of a pass have equal length.

use crate::block::{GROUP, MACRO_BYTES, TILE};

/// AXI read ports for weights.
pub const PORTS: usize = 4;

/// The placement of a matrix [N out, K in].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Output channels before padding.
    pub n: usize,
    /// Input channels before padding.
    pub k: usize,
}

impl Layout {
    /// The layout of a matrix of `n` output and `k` input channels, both at least 1.
    ///
    /// # Panics
    /// If one of them is 0.
    pub fn new(n: usize, k: usize) -> Self {
        assert!(n > 0 && k > 0, "a matrix [{n}, {k}] has no weights");
        Layout { n, k }
    }

    /// Output channels with padding, a multiple of 32.
    pub fn n_padded(&self) -> usize {
        self.n.next_multiple_of(TILE * PORTS)
    }

    /// Input channels with padding, a multiple of 64.
    pub fn k_padded(&self) -> usize {
        self.k.next_multiple_of(GROUP)
    }

    /// Tiles of all ports together.
    pub fn tiles(&self) -> usize {
        self.n_padded() / TILE
    }

    /// Tiles of one port.
    pub fn tile_rows(&self) -> usize {
        self.tiles() / PORTS
    }

    /// Groups of a tile.
    pub fn groups(&self) -> usize {
        self.k_padded() / GROUP
    }

    /// Bytes of one segment; the four are equal.
    pub fn segment_bytes(&self) -> usize {
        self.tile_rows() * self.groups() * MACRO_BYTES
    }

    /// Port and byte offset within its segment of the block (tile, group).
    pub fn block_at(&self, tile: usize, group: usize) -> (usize, usize) {
        debug_assert!(tile < self.tiles() && group < self.groups());
        (
            tile % PORTS,
            (tile / PORTS * self.groups() + group) * MACRO_BYTES,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_and_striping() {
        let l = Layout::new(40, 100);
        assert_eq!(
            (l.n_padded(), l.k_padded(), l.tile_rows(), l.groups()),
            (64, 128, 2, 2)
        );
        assert_eq!(l.segment_bytes(), 2 * 2 * 288);
        assert_eq!(l.block_at(0, 1), (0, 288));
        assert_eq!(l.block_at(5, 0), (1, 576));
    }

    #[test]
    fn blocks_cover_each_segment_once() {
        let l = Layout::new(129, 65);
        let mut seen = vec![vec![false; l.segment_bytes() / MACRO_BYTES]; PORTS];
        for tile in 0..l.tiles() {
            for group in 0..l.groups() {
                let (port, offset) = l.block_at(tile, group);
                let slot = &mut seen[port][offset / MACRO_BYTES];
                assert!(!*slot);
                *slot = true;
            }
        }
        assert!(seen.iter().flatten().all(|s| *s));
    }
}
