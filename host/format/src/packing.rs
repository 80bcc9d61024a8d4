//! How the macros of a tile lie one behind the other: the two weight formats.

use crate::block::{self, BlockError, MACRO_BYTES, STRIP_BYTES, STRIPS};

/// Macros that share a zeros strip in format 2.
pub const QUAD: usize = 4;

/// Layout of a tile's macros; the format version of an image is its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Packing {
    /// Format 1: scales, zeros and 16 weight strips a macro, 18 strips, 4.5 bits a weight.
    #[default]
    Single,
    /// Format 2: four macros of a tile share one zeros strip, which comes first (macro j's zeros at bits 32j..32j+31; those of
    /// macros that a last, shorter quad lacks are zero), then 17 strips a macro: 4.3125 bits a weight.
    Quad,
}

impl Packing {
    /// Both, in the order of their versions.
    pub const ALL: [Packing; 2] = [Packing::Single, Packing::Quad];

    /// Format version of an image.
    pub fn version(self) -> u32 {
        match self {
            Packing::Single => 1,
            Packing::Quad => 2,
        }
    }

    /// The packing of a format version; `None` if there is no such version.
    pub fn of_version(version: u64) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|p| u64::from(p.version()) == version)
    }

    /// Strips of a macro without what it shares: `macro_strips` of a descriptor.
    pub fn macro_strips(self) -> usize {
        match self {
            Packing::Single => STRIPS,
            Packing::Quad => STRIPS - 1,
        }
    }

    /// Bytes of a macro without what it shares: `macro_stride` of an image.
    pub fn macro_stride(self) -> usize {
        self.macro_strips() * STRIP_BYTES
    }

    /// Strips of a tile of `groups` macros.
    pub fn tile_strips(self, groups: usize) -> usize {
        match self {
            Packing::Single => STRIPS * groups,
            Packing::Quad => groups.div_ceil(QUAD) + (STRIPS - 1) * groups,
        }
    }

    /// Bytes of a tile of `groups` macros.
    pub fn tile_bytes(self, groups: usize) -> usize {
        STRIP_BYTES * self.tile_strips(groups)
    }

    /// Byte offsets of a macro's scales, its four bytes of zeros and its weights in a tile.
    fn places(self, group: usize) -> [usize; 3] {
        let strips = match self {
            Packing::Single => [STRIPS * group, STRIPS * group + 1, STRIPS * group + 2],
            Packing::Quad => {
                let zeros = group / QUAD * (1 + QUAD * (STRIPS - 1));
                let scales = zeros + 1 + group % QUAD * (STRIPS - 1);
                [scales, zeros, scales + 1]
            }
        };
        let [scales, zeros, weights] = strips.map(|strip| STRIP_BYTES * strip);
        match self {
            Packing::Single => [scales, zeros, weights],
            Packing::Quad => [scales, zeros + 4 * (group % QUAD), weights],
        }
    }

    /// Macro `group` of a tile as format 1 holds it.
    ///
    /// # Panics
    /// If the tile ends before the macro does.
    pub fn block(self, tile: &[u8], group: usize) -> [u8; MACRO_BYTES] {
        let [scales, zeros, weights] = self.places(group);
        let mut block = [0; MACRO_BYTES];
        block[..STRIP_BYTES].copy_from_slice(&tile[scales..][..STRIP_BYTES]);
        let zeros_bytes = if self == Packing::Single {
            STRIP_BYTES
        } else {
            4
        };
        block[STRIP_BYTES..][..zeros_bytes].copy_from_slice(&tile[zeros..][..zeros_bytes]);
        block[2 * STRIP_BYTES..].copy_from_slice(&tile[weights..][..MACRO_BYTES - 2 * STRIP_BYTES]);
        block
    }

    /// A segment in format 1, whose tiles have `groups` macros, in this format.
    ///
    /// # Panics
    /// If it is not whole tiles.
    pub fn pack(self, segment: &[u8], groups: usize) -> Vec<u8> {
        assert_eq!(segment.len() % (groups * MACRO_BYTES), 0, "whole tiles");
        let mut out = Vec::with_capacity(segment.len());
        for tile in segment.chunks_exact(groups * MACRO_BYTES) {
            let from = out.len();
            out.resize(from + self.tile_bytes(groups), 0);
            let to = &mut out[from..];
            for (group, block) in tile.chunks_exact(MACRO_BYTES).enumerate() {
                let [scales, zeros, weights] = self.places(group);
                to[scales..][..STRIP_BYTES].copy_from_slice(&block[..STRIP_BYTES]);
                to[zeros..][..4].copy_from_slice(&block[STRIP_BYTES..][..4]);
                to[weights..][..MACRO_BYTES - 2 * STRIP_BYTES]
                    .copy_from_slice(&block[2 * STRIP_BYTES..]);
            }
        }
        out
    }

    /// A segment of this format in format 1.
    ///
    /// # Panics
    /// If it is not whole tiles.
    pub fn unpack(self, segment: &[u8], groups: usize) -> Vec<u8> {
        let bytes = self.tile_bytes(groups);
        assert_eq!(segment.len() % bytes, 0, "whole tiles");
        let tiles = segment.chunks_exact(bytes);
        tiles
            .flat_map(|tile| (0..groups).flat_map(|g| self.block(tile, g)))
            .collect()
    }

    /// Checks the reserved bits of a tile's zeros strips.
    ///
    /// # Errors
    /// The macro (in format 2 the first of its quad) and [`BlockError::Reserved`].
    pub fn check_reserved(self, tile: &[u8], groups: usize) -> Result<(), (usize, BlockError)> {
        let step = if self == Packing::Single { 1 } else { QUAD };
        for group in (0..groups).step_by(step) {
            let used = 4 * step.min(groups - group);
            let strip = &tile[self.places(group)[1]..][..STRIP_BYTES];
            block::check_zeros_strip(strip, used).map_err(|e| (group, e))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Format 1 bytes that count on, reserved bits zero.
    fn segment(tiles: usize, groups: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..tiles * groups * MACRO_BYTES)
            .map(|i| (i * 7 + i / 251) as u8)
            .collect();
        for block in bytes.chunks_exact_mut(MACRO_BYTES) {
            block[STRIP_BYTES + 4..2 * STRIP_BYTES].fill(0);
        }
        bytes
    }

    #[test]
    fn both_formats_hold_the_same_blocks() {
        for groups in 1..10 {
            let single = segment(3, groups);
            assert_eq!(Packing::Single.pack(&single, groups), single);
            let quad = Packing::Quad.pack(&single, groups);
            assert_eq!(quad.len(), 3 * Packing::Quad.tile_bytes(groups));
            assert_eq!(Packing::Quad.unpack(&quad, groups), single);
            for tile in quad.chunks_exact(Packing::Quad.tile_bytes(groups)) {
                assert_eq!(Packing::Quad.check_reserved(tile, groups), Ok(()));
            }
        }
    }

    /// Strip by strip, as docs/formats.md says.
    #[test]
    fn a_tile_of_five_groups() {
        let single = segment(1, 5);
        let quad = Packing::Quad.pack(&single, 5);
        let strip = |bytes: &[u8], at: usize| bytes[STRIP_BYTES * at..][..STRIP_BYTES].to_vec();
        assert_eq!(quad.len(), (2 + 5 * 17) * STRIP_BYTES);
        for j in 0..4 {
            assert_eq!(
                strip(&quad, 0)[4 * j..][..4],
                strip(&single, 18 * j + 1)[..4]
            );
            assert_eq!(strip(&quad, 1 + 17 * j), strip(&single, 18 * j));
            for i in 0..16 {
                assert_eq!(strip(&quad, 2 + 17 * j + i), strip(&single, 18 * j + 2 + i));
            }
        }
        // The second quad has one macro; its zeros strip is the 69th.
        assert_eq!(strip(&quad, 69), strip(&single, 4 * 18 + 1));
        assert_eq!(strip(&quad, 70), strip(&single, 4 * 18));
        assert_eq!(strip(&quad, 86), strip(&single, 5 * 18 - 1));
    }

    #[test]
    fn reserved_bits_are_those_that_no_macro_uses() {
        let mut quad = Packing::Quad.pack(&segment(1, 5), 5);
        quad[69 * STRIP_BYTES + 4] = 8;
        let error = BlockError::Reserved { byte: 4, value: 8 };
        assert_eq!(Packing::Quad.check_reserved(&quad, 5), Err((4, error)));
        let mut single = segment(1, 5);
        single[MACRO_BYTES + STRIP_BYTES + 15] = 1;
        let error = BlockError::Reserved { byte: 15, value: 1 };
        assert_eq!(Packing::Single.check_reserved(&single, 5), Err((1, error)));
    }

    #[test]
    fn the_bits_a_weight() {
        let bits = |p: Packing, groups| p.tile_bytes(groups) as f64 * 8.0 / (groups * 512) as f64;
        assert_eq!(bits(Packing::Single, 14), 4.5);
        assert_eq!(bits(Packing::Quad, 16), 4.3125);
        assert_eq!(Packing::of_version(2), Some(Packing::Quad));
        assert_eq!(Packing::of_version(3), None);
    }
}
