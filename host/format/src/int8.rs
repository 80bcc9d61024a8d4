//! INT8 weights as two INT4 blocks over a repeated activation: how a device that knows INT4 alone computes an INT8
//! head.
//!
//! With q = 16 qh + ql and z = 16 zh + zl, all four halves in 0..=15:
//!
//! ```text
//! (q - z) * s  =  (qh - zh) * 16s  +  (ql - zl) * s
//! ```
//!
//! 16s is s with another exponent, so both products are exact as long as 16s is finite in FP16 ([`MAX_SCALE`]). A group of
//! 64 input channels becomes two groups, the high halves and then the low ones, and its activations are given twice.

use half::f16;

use crate::block::GROUP;
use crate::layout::{Layout, PORTS};
use crate::matrix::{self, QuantMatrix};

/// The largest scale: 4094, for 16 x 4094 = 65504 is the largest FP16.
pub const MAX_SCALE: f16 = f16::from_bits(0x6bff);

/// A matrix [N out, K in] in INT8 with a scale and a zero for each output channel and group of 64.
#[derive(Debug, Clone, PartialEq)]
pub struct Int8Matrix {
    /// Output channels.
    pub n: usize,
    /// Input channels.
    pub k: usize,
    /// Weights 0..=255, [N, K] row after row.
    pub q: Vec<u8>,
    /// Scales, [N, ceil(K / 64)], at most [`MAX_SCALE`].
    pub scales: Vec<f16>,
    /// Zeros 0..=255, [N, ceil(K / 64)].
    pub zeros: Vec<u8>,
}

impl Int8Matrix {
    /// The INT4 matrix [N, [`doubled`] K] that is worth the same under [`repeated`] activations.
    ///
    /// # Panics
    /// If the vectors do not have the lengths that `n` and `k` demand, or a scale exceeds [`MAX_SCALE`]: the
    /// quantizer that made it is wrong.
    pub fn split(&self) -> QuantMatrix {
        let groups = self.k.div_ceil(GROUP);
        assert_eq!(self.q.len(), self.n * self.k, "weights");
        assert_eq!(self.scales.len(), self.n * groups, "scales");
        assert_eq!(self.zeros.len(), self.n * groups, "zeros");
        let k = doubled(self.k);
        let mut m = QuantMatrix {
            n: self.n,
            k,
            q: Vec::with_capacity(self.n * k),
            scales: Vec::with_capacity(self.n * 2 * groups),
            zeros: Vec::with_capacity(self.n * 2 * groups),
        };
        for (row, weights) in self.q.chunks_exact(self.k).enumerate() {
            for (group, weights) in weights.chunks(GROUP).enumerate() {
                let (scale, zero) = (
                    self.scales[row * groups + group],
                    self.zeros[row * groups + group],
                );
                let high = f16::from_f32(16.0 * scale.to_f32());
                assert!(high.is_finite(), "scale {scale} exceeds {MAX_SCALE}");
                m.scales.extend([high, scale]);
                m.zeros.extend([zero >> 4, zero & 15]);
                // What lies beyond K has q = z, as padding everywhere.
                let padding = std::iter::repeat_n(zero, GROUP - weights.len());
                let padded = weights.iter().copied().chain(padding);
                m.q.extend(padded.clone().map(|q| q >> 4));
                m.q.extend(padded.map(|q| q & 15));
            }
        }
        m
    }
}

/// Input channels of the INT4 pass of an INT8 matrix with `k` of them: twice `k` padded to 64.
pub fn doubled(k: usize) -> usize {
    2 * k.next_multiple_of(GROUP)
}

/// Activations for such a pass: each group of 64 twice, the last one padded with +0. `out` is overwritten.
pub fn repeated(x: &[f32], out: &mut Vec<f32>) {
    out.clear();
    for group in x.chunks(GROUP) {
        for _ in 0..2 {
            out.extend_from_slice(group);
            out.resize(out.len() + GROUP - group.len(), 0.0);
        }
    }
}

/// Dequantizes one output channel of such a pass into `out` (length K, without the doubling): `(q - z) * scale`, exact in
/// FP32, for a product of 9 and 11 bits needs 20. `layout` is that of the pass.
///
/// # Panics
/// If the segments do not fit the layout, or the layout is not that of `out.len()` doubled.
pub fn dequant_row(layout: &Layout, segments: [&[u8]; PORTS], row: usize, out: &mut [f32]) {
    assert_eq!(layout.k, doubled(out.len()), "width of an INT8 pass");
    let mut halves = vec![0.0; layout.k];
    matrix::dequant_row(layout, segments, row, &mut halves);
    for (out, halves) in out.chunks_mut(GROUP).zip(halves.chunks_exact(2 * GROUP)) {
        let (high, low) = halves.split_at(GROUP);
        for (out, (high, low)) in out.iter_mut().zip(high.iter().zip(low)) {
            *out = high + low;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::TILE;
    use proptest::prelude::*;

    fn any_matrix() -> impl Strategy<Value = Int8Matrix> {
        (1usize..40, 1usize..200).prop_flat_map(|(n, k)| {
            let groups = k.div_ceil(GROUP);
            (
                prop::collection::vec(any::<u8>(), n * k),
                prop::collection::vec(0u16..=MAX_SCALE.to_bits(), n * groups),
                prop::collection::vec(any::<u8>(), n * groups),
            )
                .prop_map(move |(q, s, zeros)| Int8Matrix {
                    n,
                    k,
                    q,
                    scales: s.into_iter().map(f16::from_bits).collect(),
                    zeros,
                })
        })
    }

    fn value(q: u8, z: u8, s: f16) -> f32 {
        (i32::from(q) - i32::from(z)) as f32 * s.to_f32()
    }

    #[test]
    fn the_largest_scale_is_the_largest() {
        assert_eq!(MAX_SCALE.to_f32(), 4094.0);
        assert_eq!(f16::from_f32(16.0 * 4094.0), f16::MAX);
        let next = f16::from_bits(MAX_SCALE.to_bits() + 1);
        assert!(!f16::from_f32(16.0 * next.to_f32()).is_finite());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// Every q and every z, for scales over the whole range, subnormal ones too.
        #[test]
        fn two_halves_are_worth_the_whole(s in 0u16..=MAX_SCALE.to_bits(), negative: bool) {
            let s = f16::from_bits(s | u16::from(negative) << 15);
            let high = f16::from_f32(16.0 * s.to_f32());
            prop_assert_eq!(high.to_f64(), 16.0 * s.to_f64(), "16s is exact");
            for q in 0..=255u8 {
                for z in 0..=255u8 {
                    let sum = value(q >> 4, z >> 4, high) + value(q & 15, z & 15, s);
                    let want = (f64::from(q) - f64::from(z)) * s.to_f64();
                    prop_assert_eq!(f64::from(sum), want, "q {} z {} s {}", q, z, s);
                }
            }
        }

        /// Through blocks and back; and a product with repeated activations is the product.
        #[test]
        fn segments_hold_the_matrix(m in any_matrix()) {
            let split = m.split();
            prop_assert_eq!(split.k, doubled(m.k));
            let segments = split.to_segments();
            let layout = Layout::new(split.n, split.k);
            let refs: [&[u8]; PORTS] = std::array::from_fn(|p| &segments[p][..]);
            // -1, 0, 1: FP64 sums are exact, whatever their order.
            let x: Vec<f32> = (0..m.k).map(|i| (i % 3) as f32 - 1.0).collect();
            let mut twice = Vec::new();
            repeated(&x, &mut twice);
            prop_assert_eq!(twice.len(), split.k);
            let mut row = vec![0.0; m.k];
            let groups = m.k.div_ceil(GROUP);
            let mut tile = vec![0.0; TILE * layout.k_padded()];
            for n in 0..m.n {
                dequant_row(&layout, refs, n, &mut row);
                matrix::dequant_tile(&layout, refs, n / TILE, &mut tile);
                let halves = &tile[n % TILE * layout.k_padded()..][..split.k];
                let dot = |w: &[f32], x: &[f32]| -> f64 {
                    w.iter().zip(x).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum()
                };
                prop_assert_eq!(dot(halves, &twice), dot(&row, &x));
                for k in 0..m.k {
                    let g = n * groups + k / GROUP;
                    prop_assert_eq!(row[k], value(m.q[n * m.k + k], m.zeros[g], m.scales[g]));
                }
            }
        }
    }

    #[test]
    fn activations_are_given_twice_by_groups() {
        let x: Vec<f32> = (0..70).map(|i| i as f32).collect();
        let mut out = vec![9.0; 3];
        repeated(&x, &mut out);
        assert_eq!(out.len(), doubled(70));
        assert_eq!(out[..64], x[..64]);
        assert_eq!(out[64..128], x[..64]);
        for at in [128, 192] {
            assert_eq!(out[at..at + 6], x[64..]);
            assert!(out[at + 6..at + 64].iter().all(|v| v.to_bits() == 0));
        }
    }

    #[test]
    #[should_panic(expected = "exceeds 4094")]
    fn a_scale_beyond_is_a_bug() {
        let m = Int8Matrix {
            n: 1,
            k: 1,
            q: vec![3],
            scales: vec![f16::from_f32(4096.0)],
            zeros: vec![1],
        };
        m.split();
    }
}
