//! Kernels over one vector, and the FP32 matrix product of the `cpu` backend.

use macromac_format::TILE;

use super::math::exp;
use super::{LANES, fused};
use crate::fused::gate_up_rows;

/// Folds four partial sums.
#[inline(always)]
pub(super) fn fold(s: [f32; LANES]) -> f32 {
    (s[0] + s[1]) + (s[2] + s[3])
}

/// Sum of a[i] x b[i], in the order of the module.
#[inline(always)]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
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
    /// RMSNorm: `y = (x / sqrt(mean(x^2) + eps)) * weight`. All three have the same length.
    pub fn rms_norm(x: &[f32], weight: &[f32], eps: f32, y: &mut [f32]) {
        let mean = dot(x, x) / x.len() as f32;
        // Quotient and square root are exact IEEE operations everywhere; a polynomial for the
        // reciprocal root would only be less accurate.
        let scale = 1.0 / (mean + eps).sqrt();
        for ((y, x), w) in y.iter_mut().zip(x).zip(weight) {
            *y = (x * scale) * w;
        }
    }
}

fused! {
    /// `y += x`, for residuals and biases.
    pub fn add(y: &mut [f32], x: &[f32]) {
        for (y, x) in y.iter_mut().zip(x) {
            *y += x;
        }
    }
}

fused! {
    /// SwiGLU: `h[i] = g / (1 + e^-g) * u`, gate g and up u alternating tile by tile in `gate_up`.
    pub fn silu_product(gate_up: &[f32], h: &mut [f32]) {
        for (tile, h) in h.chunks_mut(TILE).enumerate() {
            let (gate, up) = gate_up_rows(tile * TILE);
            let (gate, up) = (&gate_up[gate..], &gate_up[up..]);
            for ((h, g), u) in h.iter_mut().zip(gate).zip(up) {
                *h = g / (1.0 + exp(-g)) * u;
            }
        }
    }
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
    fn silu_of_extremes_is_finite() {
        let mut gate_up = vec![1.0; 16];
        gate_up[0] = 200.0;
        gate_up[1] = -200.0;
        let mut h = vec![0.0; 8];
        silu_product(&gate_up, &mut h);
        assert_eq!((h[0], h[1]), (200.0, 0.0));
    }
}
