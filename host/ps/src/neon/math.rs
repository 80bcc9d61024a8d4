//! The exponential and the sigmoid of several vectors at a time; see [`crate::math`].

use super::intrinsics::*;

use crate::math::{EXP, EXP_LIMIT, LN2_HIGH, LN2_LOW, RECIPROCAL, ROUND_BIASED};

/// Vectors that are computed side by side: what hides the latency of a fused multiply-add.
pub const SIDE: usize = 4;

/// Four vectors.
pub type V4 = [float32x4_t; SIDE];

/// One step for all.
#[inline(always)]
fn each<const N: usize>(f: impl Fn(usize) -> float32x4_t) -> [float32x4_t; N] {
    std::array::from_fn(f)
}

/// e^x of N vectors.
#[inline(always)]
pub fn exp<const N: usize>(x: [float32x4_t; N]) -> [float32x4_t; N] {
    let c = |c| vdupq_n_f32(c);
    let x = each::<N>(|i| vmaxq_f32(x[i], c(-EXP_LIMIT)));
    let x = each::<N>(|i| vminq_f32(x[i], c(EXP_LIMIT)));
    let log2e = c(std::f32::consts::LOG2_E);
    let shifted = each::<N>(|i| vfmaq_f32(c(ROUND_BIASED), x[i], log2e));
    let n = each::<N>(|i| vsubq_f32(shifted[i], c(ROUND_BIASED)));
    let r = each::<N>(|i| vfmsq_f32(x[i], n[i], c(LN2_HIGH)));
    let r = each::<N>(|i| vfmsq_f32(r[i], n[i], c(LN2_LOW)));
    let r2 = each::<N>(|i| vmulq_f32(r[i], r[i]));
    let high = each::<N>(|i| vfmaq_f32(c(EXP[2]), r[i], c(EXP[3])));
    let low = each::<N>(|i| vfmaq_f32(c(EXP[0]), r[i], c(EXP[1])));
    let high = each::<N>(|i| vfmaq_f32(high[i], r2[i], c(EXP[4])));
    let low = each::<N>(|i| vfmaq_f32(low[i], r2[i], high[i]));
    let t = each::<N>(|i| vfmaq_f32(r[i], r2[i], low[i]));
    let bits = |i: usize| vreinterpretq_s32_f32(shifted[i]);
    let power = each::<N>(|i| vreinterpretq_f32_s32(vshlq_n_s32::<23>(bits(i))));
    each::<N>(|i| vfmaq_f32(power[i], power[i], t[i]))
}

/// 1 / (1 + e^-x) of N vectors.
#[inline(always)]
pub fn sigmoid<const N: usize>(x: [float32x4_t; N]) -> [float32x4_t; N] {
    let e = exp(each::<N>(|i| vnegq_f32(x[i])));
    let d = each::<N>(|i| vaddq_f32(e[i], vdupq_n_f32(1.0)));
    let magic = vdupq_n_s32(RECIPROCAL as i32);
    let bits = |i: usize| vreinterpretq_s32_f32(d[i]);
    let mut y = each::<N>(|i| vreinterpretq_f32_s32(vsubq_s32(magic, bits(i))));
    for _ in 0..3 {
        // 2 - d y, rounded once.
        let s = each::<N>(|i| vrecpsq_f32(d[i], y[i]));
        y = each::<N>(|i| vmulq_f32(y[i], s[i]));
    }
    y
}
