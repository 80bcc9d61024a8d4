//! Rotary position embedding: its frequencies, and its application.
//!
//! As transformers computes it in FP32: frequency i of a head of width d is `1 / theta^(2i/d)`,
//! power and quotient rounded to FP32; the angle `position x frequency` is rounded to FP32; then sine and
//! cosine. Element i is turned against element i + d/2 (halves, not neighbours).
//!
//! Power, sine and cosine are computed from FP64 additions, multiplications and divisions alone
//! and rounded to FP32 once.

use super::fused;
use super::math::{exp64, ln};

/// pi/2 in three parts of which the first two have 33 bits (as in fdlibm).
const PIO2: [f64; 3] = [
    1.570_796_326_734_125_6,
    6.077_100_506_303_966e-11,
    2.022_266_248_795_950_6e-21,
];

/// Frequencies of a head of width `head_dim`: `head_dim / 2` values in radians a position.
pub fn frequencies(head_dim: usize, theta: f64) -> Vec<f32> {
    let ln_theta = ln(theta);
    (0..head_dim / 2)
        .map(|i| {
            // transformers divides in FP32 before it takes the power.
            let exponent = (2 * i) as f32 / head_dim as f32;
            1.0 / (exp64(f64::from(exponent) * ln_theta) as f32)
        })
        .collect()
}

/// Cosines and sines of one position, appended to `cos` and `sin`.
pub fn angles(position: usize, frequencies: &[f32], cos: &mut Vec<f32>, sin: &mut Vec<f32>) {
    for f in frequencies {
        let (s, c) = sin_cos(f64::from(position as f32 * f));
        cos.push(c as f32);
        sin.push(s as f32);
    }
}

fused! {
    /// Turns one head in place: `x` has d values, `cos` and `sin` d/2.
    pub fn rotate(x: &mut [f32], cos: &[f32], sin: &[f32]) {
        let (low, high) = x.split_at_mut(cos.len());
        turn(low, high, cos, sin);
    }
    neon { crate::neon::vector::rotate(x, cos, sin) }
}

/// Turns each of `low` against its partner in `high`.
#[inline(always)]
pub(crate) fn turn(low: &mut [f32], high: &mut [f32], cos: &[f32], sin: &[f32]) {
    for (((a, b), c), s) in low.iter_mut().zip(high).zip(cos).zip(sin) {
        let (x0, x1) = (*a, *b);
        *a = x0.mul_add(*c, -(x1 * s));
        *b = x1.mul_add(*c, x0 * s);
    }
}

/// Sine and cosine of 0 <= x < 2^20: x less the nearest multiple of pi/2, then Taylor series to
/// degree 17, |r| <= 0.7854.
fn sin_cos(x: f64) -> (f64, f64) {
    let n = (x * std::f64::consts::FRAC_2_PI + 0.5) as u32;
    let nf = f64::from(n);
    let r = ((x - nf * PIO2[0]) - nf * PIO2[1]) - nf * PIO2[2];
    let r2 = r * r;
    let (mut s, mut c) = (1.0, 1.0);
    for i in (1..=8).rev() {
        let i = f64::from(2 * i);
        s = 1.0 - s * r2 / (i * (i + 1.0));
        c = 1.0 - c * r2 / (i * (i - 1.0));
    }
    s *= r;
    match n % 4 {
        0 => (s, c),
        1 => (c, -s),
        2 => (-s, -c),
        _ => (-c, s),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_agree_with_the_library() {
        for i in 0..20_000 {
            let x = f64::from(i) * 1.634;
            let (s, c) = sin_cos(x);
            assert!(
                (s - x.sin()).abs() < 1e-14 && (c - x.cos()).abs() < 1e-14,
                "{x}"
            );
        }
    }

    #[test]
    fn halves_are_paired() {
        let mut x = [1.0, 2.0, 3.0, 4.0];
        rotate(&mut x, &[0.0, 1.0], &[1.0, 0.0]);
        assert_eq!(x, [-3.0, 2.0, 1.0, 4.0]);
    }

    #[test]
    fn frequency_zero_is_one_and_they_fall() {
        let f = frequencies(64, 1e6);
        assert_eq!((f.len(), f[0]), (32, 1.0));
        assert!(f.windows(2).all(|w| w[1] < w[0]));
        assert!((f64::from(f[31]) * 1e6f64.powf(62.0 / 64.0) - 1.0).abs() < 1e-6);
    }
}
