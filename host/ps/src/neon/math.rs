//! The exponential of four vectors at a time; see [`crate::math::exp`].

use super::intrinsics::*;

use crate::math::{LN2_HIGH, LN2_LOW, ROUND};

/// Vectors that are computed side by side: what hides the latency of a fused multiply-add.
pub const SIDE: usize = 4;

/// Four vectors.
pub type V4 = [float32x4_t; SIDE];

/// One step for all four.
#[inline(always)]
fn each(f: impl Fn(usize) -> float32x4_t) -> V4 {
    [f(0), f(1), f(2), f(3)]
}

/// e^x of sixteen numbers.
#[inline(always)]
pub fn exp(x: V4) -> V4 {
    let round = vdupq_n_f32(ROUND);
    let (low, high) = (vdupq_n_f32(-105.0), vdupq_n_f32(90.0));
    let x = each(|i| vminq_f32(vmaxq_f32(x[i], low), high));
    let log2e = vdupq_n_f32(std::f32::consts::LOG2_E);
    let shifted = each(|i| vfmaq_f32(round, x[i], log2e));
    let n = each(|i| vsubq_f32(shifted[i], round));
    let r = each(|i| vfmsq_f32(x[i], n[i], vdupq_n_f32(LN2_HIGH)));
    let r = each(|i| vfmsq_f32(r[i], n[i], vdupq_n_f32(LN2_LOW)));
    let mut p = [vdupq_n_f32(1.0 / 5040.0); SIDE];
    for c in [
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    ] {
        p = each(|i| vfmaq_f32(vdupq_n_f32(c), p[i], r[i]));
    }
    // The portable form clamps n for the sake of NaN alone, and p is NaN then whatever n is.
    let bits = vdupq_n_s32(ROUND.to_bits() as i32);
    let bias = vdupq_n_s32(127);
    each(|i| {
        let n = vsubq_s32(vreinterpretq_s32_f32(shifted[i]), bits);
        let half = vshrq_n_s32::<1>(n);
        let rest = vsubq_s32(n, half);
        let power = |n| vreinterpretq_f32_s32(vshlq_n_s32::<23>(vaddq_s32(n, bias)));
        vmulq_f32(vmulq_f32(p[i], power(half)), power(rest))
    })
}
