//! Where the blocks of a matrix lie: tiles striped over four ports.
//!
//! Tile t (output channels 8t..8t+7) belongs to port t mod 4. A segment, the bytes of one pass on
//! one port, is its tiles in rising order, each tile its groups in rising order. N is padded to a
//! multiple of 32 and K to a multiple of 64, so the four segments of a pass have equal length.

use crate::block::{GROUP, MACRO_BYTES, TILE};
use crate::packing::Packing;

/// AXI read ports for weights.
pub const PORTS: usize = 4;

/// The placement of a matrix [N out, K in].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Output channels before padding.
    pub n: usize,
    /// Input channels before padding.
    pub k: usize,
    /// How the blocks of a tile lie one behind the other.
    pub packing: Packing,
}

impl Layout {
    /// The layout of a matrix of `n` output and `k` input channels, both at least 1, in format 1.
    ///
    /// # Panics
    /// If one of them is 0.
    pub fn new(n: usize, k: usize) -> Self {
        assert!(n > 0 && k > 0, "a matrix [{n}, {k}] has no weights");
        let packing = Packing::Single;
        Layout { n, k, packing }
    }

    /// The same matrix in another format.
    pub fn packed(self, packing: Packing) -> Self {
        Layout { packing, ..self }
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
        self.tile_rows() * self.packing.tile_bytes(self.groups())
    }

    /// The block (tile, group) of a matrix with these segments, as format 1 holds it.
    ///
    /// # Panics
    /// If the segments do not fit the layout.
    pub fn block(&self, segments: [&[u8]; PORTS], tile: usize, group: usize) -> [u8; MACRO_BYTES] {
        debug_assert!(tile < self.tiles() && group < self.groups());
        let bytes = self.packing.tile_bytes(self.groups());
        let tile_bytes = &segments[tile % PORTS][tile / PORTS * bytes..][..bytes];
        self.packing.block(tile_bytes, group)
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
        // A tile: one zeros strip and two times 17 strips.
        assert_eq!(l.packed(Packing::Quad).segment_bytes(), 2 * 35 * 16);
    }

    /// Each block is found where the format says: block b of a segment begins with number b.
    #[test]
    fn blocks_cover_each_segment_once() {
        let l = Layout::new(129, 65);
        let segments: [Vec<u8>; PORTS] = std::array::from_fn(|port| {
            let mut bytes = vec![0; l.segment_bytes()];
            for (b, block) in bytes.chunks_exact_mut(MACRO_BYTES).enumerate() {
                block[0] = b as u8;
                block[1] = port as u8;
            }
            bytes
        });
        let refs = segments.each_ref().map(Vec::as_slice);
        for tile in 0..l.tiles() {
            for group in 0..l.groups() {
                let block = l.block(refs, tile, group);
                let at = tile / PORTS * l.groups() + group;
                assert_eq!(block[..2], [at as u8, (tile % PORTS) as u8]);
            }
        }
        assert_eq!(l.tile_rows() * l.groups() * MACRO_BYTES, l.segment_bytes());
    }
}
