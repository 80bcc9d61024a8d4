//! Kernels over one vector, and the FP32 matrix product of the `cpu` backend.

use macromac_format::TILE;

use super::math::sigmoid;
use super::team;
use super::{LANES, LONG, fused};
#[cfg(target_arch = "aarch64")]
use crate::neon;

/// Numbers from which [`silu_product`] is shared out to threads; below it, starting them costs more.
pub const SILU_SHARED_FROM: usize = 512;
/// Logits from which [`peak`] is shared out.
pub const PEAK_SHARED_FROM: usize = 8192;
/// Parts of a vector that is shared out: one for each of the board's cores.
const SHARES: usize = 4;

/// Folds four partial sums.
#[inline(always)]
pub(crate) fn fold(s: [f32; LANES]) -> f32 {
    (s[0] + s[1]) + (s[2] + s[3])
}

/// Folds sixteen partial sums.
#[inline(always)]
pub(crate) fn fold_long(p: [f32; LONG]) -> f32 {
    fold(std::array::from_fn(|l| {
        (p[l] + p[l + 4]) + (p[l + 8] + p[l + 12])
    }))
}

/// Sum of a[i] x b[i], in the order of the crate.
#[inline(always)]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut s = [0f32; LANES];
    let (a4, b4) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let tail = a4.remainder().iter().zip(b4.remainder());
    for (a, b) in a4.zip(b4) {
        for l in 0..LANES {
            s[l] = a[l].mul_add(b[l], s[l]);
        }
    }
    for (l, (a, b)) in tail.enumerate() {
        s[l] = a.mul_add(*b, s[l]);
    }
    fold(s)
}

fused! {
    /// Sum of x[i]^2 in sixteen partial sums.
    pub fn sum_squares(x: &[f32]) -> f32 {
        let mut p = [0f32; LONG];
        let whole = x.chunks_exact(LONG);
        let tail = whole.remainder();
        for x in whole {
            for l in 0..LONG {
                p[l] = x[l].mul_add(x[l], p[l]);
            }
        }
        for (p, x) in p.iter_mut().zip(tail) {
            *p = x.mul_add(*x, *p);
        }
        fold_long(p)
    }
    neon { neon::vector::sum_squares(x) }
}

/// RMSNorm: `y = (x / sqrt(mean(x^2) + eps)) * weight`. All three have the same length.
pub fn rms_norm(x: &[f32], weight: &[f32], eps: f32, y: &mut [f32]) {
    let mean = sum_squares(x) / x.len() as f32;
    // Quotient and square root are exact IEEE operations everywhere, once a vector; a polynomial for
    // the reciprocal root would only be less accurate.
    scale_weighted(x, 1.0 / (mean + eps).sqrt(), weight, y);
}

fused! {
    /// `y = (x * scale) * weight`. All three have the same length.
    pub fn scale_weighted(x: &[f32], scale: f32, weight: &[f32], y: &mut [f32]) {
        for ((y, x), w) in y.iter_mut().zip(x).zip(weight) {
            *y = (x * scale) * w;
        }
    }
    neon { neon::vector::scale_weighted(x, scale, weight, y) }
}

fused! {
    /// `y += x`, for residuals and biases.
    pub fn add(y: &mut [f32], x: &[f32]) {
        for (y, x) in y.iter_mut().zip(x) {
            *y += x;
        }
    }
    neon { neon::vector::add(y, x) }
}

/// Rows of gate and up for index `i` of the feed-forward layer in the results of the pass `gate_up`, which
/// alternates the two tile by tile.
pub fn gate_up_rows(i: usize) -> (usize, usize) {
    let gate = i / TILE * 2 * TILE + i % TILE;
    (gate, gate + TILE)
}

#[inline(always)]
pub(crate) fn silu(gate_up: &[f32], h: &mut [f32]) {
    for (tile, h) in h.chunks_mut(TILE).enumerate() {
        let (gate, up) = gate_up_rows(tile * TILE);
        let (gate, up) = (&gate_up[gate..], &gate_up[up..]);
        for ((h, g), u) in h.iter_mut().zip(gate).zip(up) {
            *h = g * sigmoid(*g) * u;
        }
    }
}

/// SwiGLU: `h[i] = (g * sigmoid(g)) * u`, gate g and up u alternating tile by tile in `gate_up`.
pub fn silu_product(gate_up: &[f32], h: &mut [f32]) {
    if h.len() < SILU_SHARED_FROM {
        return silu_part(gate_up, h);
    }
    // Whole tiles, two at a time, so that every part but the last is a multiple of what the kernel takes.
    let part = h.len().div_ceil(SHARES).next_multiple_of(2 * TILE);
    let parts = h.chunks_mut(part).zip(gate_up.chunks(2 * part));
    team::each(parts, |(h, gate_up)| silu_part(gate_up, h));
}

fused! {
    /// One thread's part of [`silu_product`].
    fn silu_part(gate_up: &[f32], h: &mut [f32]) {
        silu(gate_up, h);
    }
    neon { neon::vector::silu_product(gate_up, h) }
}

fused! {
    /// Products of the eight rows of `tile`, [8, K] row after row, with `x`, K long.
    pub fn tile_product(tile: &[f32], x: &[f32]) -> [f32; TILE] {
        let k = x.len();
        let rows: [&[f32]; TILE] = std::array::from_fn(|r| &tile[r * k..][..k]);
        let mut s = [[0f32; LANES]; TILE];
        for (i, x) in x.chunks_exact(LANES).enumerate() {
            for (s, row) in s.iter_mut().zip(rows) {
                let row = &row[i * LANES..][..LANES];
                for l in 0..LANES {
                    s[l] = row[l].mul_add(x[l], s[l]);
                }
            }
        }
        // K is padded to a multiple of 64, so there is no tail.
        s.map(fold)
    }
    neon { neon::vector::tile_product(tile, x) }
}

/// Where a vector is largest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peak {
    /// Index of the largest value, the lowest of several.
    pub at: usize,
    /// Whether every value is a finite number; if not, `at` says nothing.
    pub finite: bool,
}

impl Peak {
    /// Takes in what was found in a part of `x` that begins at `first`, behind all that was looked at before.
    pub fn join(&mut self, x: &[f32], first: usize, part: Peak) {
        self.finite &= part.finite;
        // The earlier of equals stays.
        if x[first + part.at] > x[self.at] {
            self.at = first + part.at;
        }
    }
}

/// Finds the largest of `x` (not empty), and whether all are finite, in one reading.
pub fn peak(x: &[f32]) -> Peak {
    if x.len() < PEAK_SHARED_FROM {
        return peak_part(x);
    }
    let part = x.len().div_ceil(SHARES).next_multiple_of(LONG);
    let peaks = team::map(x.chunks(part), peak_part);
    let mut peak = peaks[0];
    for (i, p) in peaks.iter().enumerate().skip(1) {
        peak.join(x, i * part, *p);
    }
    peak
}

fused! {
    /// One thread's part of [`peak`].
    fn peak_part(x: &[f32]) -> Peak {
        let mut peak = Peak { at: 0, finite: true };
        let mut best = f32::NEG_INFINITY;
        for (i, v) in x.iter().enumerate() {
            peak.finite &= v.is_finite();
            if *v > best {
                best = *v;
                peak.at = i;
            }
        }
        peak
    }
    neon { neon::vector::peak(x) }
}

#[cfg(test)]
mod tests {
    use super::super::portable::both;
    use super::*;
    use proptest::prelude::*;

    fn bits(v: &[f32]) -> Vec<u32> {
        v.iter().map(|v| v.to_bits()).collect()
    }

    proptest! {
        #[test]
        fn same_bits_without_fma_instructions(
            x in prop::collection::vec(-30f32..30.0, 1..300),
            w in prop::collection::vec(-3f32..3.0, 300),
        ) {
            let n = x.len();
            let (a, b) = both(|| {
                let mut y = vec![0.0; n];
                rms_norm(&x, &w[..n], 1e-6, &mut y);
                add(&mut y, &w[..n]);
                bits(&y)
            });
            prop_assert_eq!(a, b);
            let gate_up: Vec<f32> = x.iter().chain(&w).copied().cycle().take(304).collect();
            let (a, b) = both(|| {
                let mut h = vec![0.0; 150];
                silu_product(&gate_up, &mut h);
                bits(&h)
            });
            prop_assert_eq!(a, b);
            let (a, b) = both(|| sum_squares(&x).to_bits());
            prop_assert_eq!(a, b);
            let tied: Vec<f32> = x.iter().map(|v| v.round()).collect();
            let (a, b) = both(|| peak(&tied));
            prop_assert_eq!(a, b);
            let largest = tied.iter().fold(f32::NEG_INFINITY, |m, v| m.max(*v));
            prop_assert_eq!(Some(a.at), tied.iter().position(|v| *v == largest));
            let tile: Vec<f32> = w.iter().copied().cycle().take(8 * 64).collect();
            let x64: Vec<f32> = x.iter().copied().cycle().take(64).collect();
            let (a, b) = both(|| bits(&tile_product(&tile, &x64)));
            prop_assert_eq!(a, b);
        }
    }

    #[test]
    fn the_order_is_the_written_one() {
        let x: Vec<f32> = (0..64).map(|i| (i as f32 * 0.37).sin() * 1e3).collect();
        let tile: Vec<f32> = (0..512).map(|i| (i as f32 * 0.11).cos()).collect();
        let mut s = [0f32; 4];
        for i in 0..64 {
            s[i % 4] = tile[64 + i].mul_add(x[i], s[i % 4]);
        }
        let want = (s[0] + s[1]) + (s[2] + s[3]);
        assert_eq!(tile_product(&tile, &x)[1].to_bits(), want.to_bits());
        assert_eq!(dot(&tile[64..128], &x).to_bits(), want.to_bits());
    }

    #[test]
    fn a_long_sum_has_sixteen_partial_sums() {
        let x: Vec<f32> = (0..75).map(|i| (i as f32 * 0.37).sin() * 1e3).collect();
        let mut p = [0f32; 16];
        for i in 0..75 {
            p[i % 16] = x[i].mul_add(x[i], p[i % 16]);
        }
        let s: [f32; 4] = std::array::from_fn(|l| (p[l] + p[l + 4]) + (p[l + 8] + p[l + 12]));
        let want = (s[0] + s[1]) + (s[2] + s[3]);
        assert_eq!(sum_squares(&x).to_bits(), want.to_bits());
    }

    #[test]
    fn one_value_that_is_no_number_shows_wherever_it_stands() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for at in 0..37 {
                let mut x = vec![1.0; 37];
                assert_eq!(
                    peak(&x),
                    Peak {
                        at: 0,
                        finite: true
                    }
                );
                x[at] = bad;
                assert!(!peak(&x).finite, "{bad} at {at}");
            }
        }
    }

    #[test]
    fn sharing_out_changes_nothing() {
        let x: Vec<f32> = (0..40_000)
            .map(|i| ((i * 7919) % 9973) as f32 - 5e3)
            .collect();
        assert_eq!(peak(&x), peak_part(&x));
        let mut bad = x.clone();
        bad[39_999] = f32::NAN;
        assert!(!peak(&bad).finite);
        let n = 4864;
        let gate_up: Vec<f32> = x[..2 * n].iter().map(|v| v / 500.0).collect();
        let (mut whole, mut shared) = (vec![0.0; n], vec![0.0; n]);
        silu_part(&gate_up, &mut whole);
        silu_product(&gate_up, &mut shared);
        assert_eq!(bits(&whole), bits(&shared));
    }

    #[test]
    fn silu_of_extremes_is_finite() {
        let mut gate_up = vec![1.0; 16];
        gate_up[0] = 200.0;
        gate_up[1] = -200.0;
        let mut h = vec![0.0; 8];
        silu_product(&gate_up, &mut h);
        assert!((h[0] - 200.0).abs() < 1e-4 && h[1].abs() < 1e-35, "{h:?}");
    }
}
