//! A quantized matrix, to and from the four segments of its pass.

use half::f16;

use crate::block::{self, Block, BlockError, GROUP, TILE};
use crate::layout::{Layout, PORTS};

/// A matrix [N out, K in] in INT4 with a scale and a zero for each output channel and group.
#[derive(Debug, Clone, PartialEq)]
pub struct QuantMatrix {
    /// Output channels.
    pub n: usize,
    /// Input channels.
    pub k: usize,
    /// Weights 0..=15, [N, K] row after row.
    pub q: Vec<u8>,
    /// Scales, [N, ceil(K / 64)].
    pub scales: Vec<f16>,
    /// Zeros 0..=15, [N, ceil(K / 64)].
    pub zeros: Vec<u8>,
}

impl QuantMatrix {
    /// Groups of a row.
    pub fn groups(&self) -> usize {
        self.k.div_ceil(GROUP)
    }

    /// Packs the matrix into one segment a port. Padding holds weights with q = z and scale 0:
    /// they add nothing to any sum.
    ///
    /// # Panics
    /// If the vectors do not have the lengths that `n` and `k` demand.
    pub fn to_segments(&self) -> [Vec<u8>; PORTS] {
        assert_eq!(
            self.q.len(),
            self.n * self.k,
            "weights of [{}, {}]",
            self.n,
            self.k
        );
        assert_eq!(self.scales.len(), self.n * self.groups(), "scales");
        assert_eq!(self.zeros.len(), self.n * self.groups(), "zeros");
        let layout = Layout::new(self.n, self.k);
        let mut out: [Vec<u8>; PORTS] =
            std::array::from_fn(|_| Vec::with_capacity(layout.segment_bytes()));
        for tile in 0..layout.tiles() {
            for group in 0..layout.groups() {
                out[tile % PORTS].extend_from_slice(&self.block(tile, group).encode());
            }
        }
        out
    }

    /// The block of a tile and a group, padded where it reaches over the edge of the matrix.
    fn block(&self, tile: usize, group: usize) -> Block {
        let mut b = Block {
            scales: [f16::ZERO; TILE],
            zeros: [0; TILE],
            q: [[0; TILE]; GROUP],
        };
        let from = group * GROUP;
        let to = (from + GROUP).min(self.k);
        for c in 0..TILE.min(self.n.saturating_sub(tile * TILE)) {
            let row = tile * TILE + c;
            let zero = self.zeros[row * self.groups() + group];
            b.scales[c] = self.scales[row * self.groups() + group];
            b.zeros[c] = zero;
            let weights = &self.q[row * self.k + from..row * self.k + to];
            for (k, slot) in b.q.iter_mut().enumerate() {
                slot[c] = weights.get(k).copied().unwrap_or(zero);
            }
        }
        b
    }

    /// Unpacks the segments (format 1) of a pass of `n` x `k` weights; padding is cut.
    ///
    /// # Errors
    /// [`BlockError`] if a segment has the wrong length or a block a reserved bit set.
    pub fn from_segments(n: usize, k: usize, segments: [&[u8]; PORTS]) -> Result<Self, BlockError> {
        let layout = Layout::new(n, k);
        for s in segments {
            if s.len() != layout.segment_bytes() {
                return Err(BlockError::Length { found: s.len() });
            }
        }
        let groups = layout.groups();
        let mut m = QuantMatrix {
            n,
            k,
            q: vec![0; n * k],
            scales: vec![f16::ZERO; n * groups],
            zeros: vec![0; n * groups],
        };
        for tile in 0..n.div_ceil(TILE) {
            for group in 0..groups {
                let b = Block::decode(&layout.block(segments, tile, group))?;
                for c in 0..TILE.min(n - tile * TILE) {
                    let row = tile * TILE + c;
                    m.scales[row * groups + group] = b.scales[c];
                    m.zeros[row * groups + group] = b.zeros[c];
                    for i in 0..GROUP.min(k - group * GROUP) {
                        m.q[row * k + group * GROUP + i] = b.q[i][c];
                    }
                }
            }
        }
        Ok(m)
    }

    /// The value of weight (row, column): `(q - z) * scale`, exact in FP32.
    pub fn weight(&self, row: usize, column: usize) -> f32 {
        let at = row * self.groups() + column / GROUP;
        let q = i32::from(self.q[row * self.k + column]) - i32::from(self.zeros[at]);
        q as f32 * self.scales[at].to_f32()
    }
}

/// Dequantizes one output channel of a packed pass into `out` (length K, padding cut):
/// `(q - z) * scale`, exact in FP32. Reserved bits are not looked at; [`crate::Image`] checks them.
///
/// # Panics
/// If the segments do not fit the layout, or `out` is not K long.
pub fn dequant_row(layout: &Layout, segments: [&[u8]; PORTS], row: usize, out: &mut [f32]) {
    assert_eq!(out.len(), layout.k, "length of a row");
    let c = row % TILE;
    for (group, chunk) in out.chunks_mut(GROUP).enumerate() {
        let raw = &layout.block(segments, row / TILE, group);
        let scale = block::scales(raw)[c].to_f32();
        let zero = i32::from(block::zeros(raw)[c]);
        for (k, slot) in chunk.iter_mut().enumerate() {
            let q = (block::word(raw, k) >> (4 * c) & 15) as i32;
            *slot = (q - zero) as f32 * scale;
        }
    }
}

/// Dequantizes the eight output channels of a tile into `out`, [8, K padded] row after row.
///
/// # Panics
/// If the segments do not fit the layout, or `out` is not 8 x K padded long.
pub fn dequant_tile(layout: &Layout, segments: [&[u8]; PORTS], tile: usize, out: &mut [f32]) {
    let k_padded = layout.k_padded();
    assert_eq!(out.len(), TILE * k_padded, "length of a tile");
    for group in 0..layout.groups() {
        let raw = &layout.block(segments, tile, group);
        let scales = block::scales(raw).map(|s| s.to_f32());
        let zeros = block::zeros(raw).map(i32::from);
        for c in 0..TILE {
            let row = &mut out[c * k_padded + group * GROUP..][..GROUP];
            for (k, slot) in row.iter_mut().enumerate() {
                let q = (block::word(raw, k) >> (4 * c) & 15) as i32;
                *slot = (q - zeros[c]) as f32 * scales[c];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_matrix() -> impl Strategy<Value = QuantMatrix> {
        (1usize..80, 1usize..200).prop_flat_map(|(n, k)| {
            let groups = k.div_ceil(GROUP);
            (
                prop::collection::vec(0u8..16, n * k),
                prop::collection::vec(0u16..0x7c00, n * groups),
                prop::collection::vec(0u8..16, n * groups),
            )
                .prop_map(move |(q, s, zeros)| QuantMatrix {
                    n,
                    k,
                    q,
                    scales: s.into_iter().map(f16::from_bits).collect(),
                    zeros,
                })
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn segments_hold_the_matrix(m in any_matrix()) {
            let segments = m.to_segments();
            let layout = Layout::new(m.n, m.k);
            let refs: [&[u8]; PORTS] = std::array::from_fn(|p| &segments[p][..]);
            for s in &segments {
                prop_assert_eq!(s.len(), layout.segment_bytes());
            }
            prop_assert_eq!(&QuantMatrix::from_segments(m.n, m.k, refs).unwrap(), &m);
            let mut row = vec![0.0; m.k];
            let mut tile = vec![0.0; TILE * layout.k_padded()];
            for n in 0..m.n {
                dequant_row(&layout, refs, n, &mut row);
                dequant_tile(&layout, refs, n / TILE, &mut tile);
                for k in 0..m.k {
                    prop_assert_eq!(row[k], m.weight(n, k));
                    prop_assert_eq!(tile[n % TILE * layout.k_padded() + k], m.weight(n, k));
                }
                for k in m.k..layout.k_padded() {
                    prop_assert_eq!(tile[n % TILE * layout.k_padded() + k], 0.0);
                }
            }
        }
    }

    #[test]
    fn a_short_segment_is_refused() {
        let m = QuantMatrix {
            n: 1,
            k: 1,
            q: vec![3],
            scales: vec![f16::ONE],
            zeros: vec![1],
        };
        let s = m.to_segments();
        let r = QuantMatrix::from_segments(1, 1, [&s[0], &s[1], &s[2][..287], &s[3]]);
        assert_eq!(r, Err(BlockError::Length { found: 287 }));
    }
}
