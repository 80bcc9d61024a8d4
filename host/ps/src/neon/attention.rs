//! Attention of up to four query heads that share a key-value head; see [`crate::attention`].

use std::arch::aarch64::*;

use super::cache::{F16Rows, F32Rows, Q8Rows, Rows};
use super::math::exp as exp16;
use crate::attention::PART;
use crate::cache::View;
use crate::math::exp;
use crate::vector::fold_long;
use crate::{LANES, LONG};

/// Positions whose values stay in the first-level cache (32 KiB) while all columns of them are summed.
const BLOCK: usize = 64;

/// As the portable `part`; `d` is a multiple of 16.
pub fn part(q: &[f32], d: usize, keys: View, values: View, positions: usize, out: &mut [f32]) {
    let heads = q.len() / d;
    assert!(heads <= PART && d % 16 == 0 && out.len() == q.len());
    let mut p = vec![0f32; heads * positions];
    // SAFETY: the views hold at least `positions` rows of d numbers, which `attend` checked; q, p and out have
    // their `heads` rows.
    unsafe {
        match keys {
            View::F32(k) => scores_of(heads, q, F32Rows { at: k.as_ptr(), d }, positions, &mut p),
            View::F16(k) => scores_of(heads, q, F16Rows { at: k.as_ptr(), d }, positions, &mut p),
            View::Q8(k, s) => {
                let rows = Q8Rows {
                    at: k.as_ptr(),
                    scales: s.as_ptr(),
                    d,
                };
                scores_of(heads, q, rows, positions, &mut p);
            }
        }
        let mut sums = [0f32; PART];
        for (sum, p) in sums.iter_mut().zip(p.chunks_exact_mut(positions)) {
            *sum = softmax(p);
        }
        out.fill(0.0);
        match values {
            View::F32(v) => sums_of(heads, &p, F32Rows { at: v.as_ptr(), d }, positions, out),
            View::F16(v) => sums_of(heads, &p, F16Rows { at: v.as_ptr(), d }, positions, out),
            View::Q8(v, s) => {
                let rows = Q8Rows {
                    at: v.as_ptr(),
                    scales: s.as_ptr(),
                    d,
                };
                sums_of(heads, &p, rows, positions, out);
            }
        }
        for (out, sum) in out.chunks_exact_mut(d).zip(sums) {
            for o in out.as_chunks_mut::<LANES>().0 {
                let v = vdivq_f32(vld1q_f32(o.as_ptr()), vdupq_n_f32(sum));
                vst1q_f32(o.as_mut_ptr(), v);
            }
        }
    }
}

/// Chooses the form for so many heads.
///
/// # Safety
/// As [`scores`].
unsafe fn scores_of<R: Rows>(heads: usize, q: &[f32], keys: R, positions: usize, p: &mut [f32]) {
    // SAFETY: as the caller says.
    unsafe {
        match heads {
            1 => scores::<R, 1>(q, keys, positions, p),
            2 => scores::<R, 2>(q, keys, positions, p),
            3 => scores::<R, 3>(q, keys, positions, p),
            _ => scores::<R, 4>(q, keys, positions, p),
        }
    }
}

/// As [`scores_of`].
///
/// # Safety
/// As [`weighted_sums`].
unsafe fn sums_of<R: Rows>(heads: usize, p: &[f32], values: R, positions: usize, out: &mut [f32]) {
    // SAFETY: as the caller says.
    unsafe {
        match heads {
            1 => weighted_sums::<R, 1>(p, values, positions, out),
            2 => weighted_sums::<R, 2>(p, values, positions, out),
            3 => weighted_sums::<R, 3>(p, values, positions, out),
            _ => weighted_sums::<R, 4>(p, values, positions, out),
        }
    }
}

/// `p[h][j] = q[h] . keys[j] / sqrt(d)`: four positions at a time, so that 4 H sums are in flight.
///
/// # Safety
/// `keys` must have `positions` rows of `q.len() / H` numbers, a multiple of 16.
#[inline(never)]
unsafe fn scores<R: Rows, const H: usize>(q: &[f32], keys: R, positions: usize, p: &mut [f32]) {
    let d = q.len() / H;
    let scale = 1.0 / (d as f32).sqrt();
    for first in (0..positions).step_by(LANES) {
        // Beyond the last position the last one again; its score is not stored.
        let at: [usize; LANES] = std::array::from_fn(|l| (first + l).min(positions - 1));
        let mut sums = [[vdupq_n_f32(0.0); LANES]; H];
        for i in (0..d).step_by(8) {
            // SAFETY: rows at[..] exist, and i + 8 <= d.
            unsafe {
                let k = at.map(|j| keys.load8(j, i));
                for half in 0..2 {
                    for h in 0..H {
                        let q = vld1q_f32(q.as_ptr().add(h * d + i + 4 * half));
                        for l in 0..LANES {
                            sums[h][l] = vfmaq_f32(sums[h][l], k[l][half], q);
                        }
                    }
                }
            }
        }
        for (h, s) in sums.into_iter().enumerate() {
            // Two pairwise additions are the fold (s0 + s1) + (s2 + s3) of four sums.
            let folded = vpaddq_f32(vpaddq_f32(s[0], s[1]), vpaddq_f32(s[2], s[3]));
            let scaled = vmulq_n_f32(folded, scale);
            let row = &mut p[h * positions + first..(h + 1) * positions];
            match row.first_chunk_mut::<LANES>() {
                // SAFETY: the array has four places.
                Some(row) => unsafe { vst1q_f32(row.as_mut_ptr(), scaled) },
                None => {
                    let mut lanes = [0f32; LANES];
                    // SAFETY: the array has four places.
                    unsafe { vst1q_f32(lanes.as_mut_ptr(), scaled) };
                    row.copy_from_slice(&lanes[..row.len()]);
                }
            }
        }
    }
}

/// `out[h] += sum over j of p[h][j] values[j]`: sixteen columns at a time, so that 4 H sums are in flight.
///
/// # Safety
/// `values` must have `positions` rows of `out.len() / H` numbers, a multiple of 16.
unsafe fn weighted_sums<R: Rows, const H: usize>(
    p: &[f32],
    values: R,
    positions: usize,
    out: &mut [f32],
) {
    let d = out.len() / H;
    for first in (0..positions).step_by(BLOCK) {
        let n = BLOCK.min(positions - first);
        for column in (0..d).step_by(16) {
            // SAFETY: as the caller says; column + 16 <= d.
            unsafe { columns::<R, H>(p, values, positions, first, n, column, out) };
        }
    }
}

/// Sixteen columns of [`weighted_sums`], positions `first .. first + n`.
///
/// # Safety
/// As there, and the columns and positions must exist.
#[inline(never)]
unsafe fn columns<R: Rows, const H: usize>(
    p: &[f32],
    values: R,
    positions: usize,
    first: usize,
    n: usize,
    column: usize,
    out: &mut [f32],
) {
    let d = out.len() / H;
    let mut sums = [[vdupq_n_f32(0.0); 4]; H];
    // SAFETY: p has H rows of `positions` numbers, out H rows of d; the columns and positions exist.
    unsafe {
        for h in 0..H {
            for c in 0..4 {
                sums[h][c] = vld1q_f32(out.as_ptr().add(h * d + column + 4 * c));
            }
        }
        let rows: [*const f32; H] = std::array::from_fn(|h| p.as_ptr().add(h * positions + first));
        for j in 0..n {
            let [v0, v1] = values.load8(first + j, column);
            let [v2, v3] = values.load8(first + j, column + 8);
            for h in 0..H {
                let p = *rows[h].add(j);
                for (c, v) in [v0, v1, v2, v3].into_iter().enumerate() {
                    sums[h][c] = vfmaq_n_f32(sums[h][c], v, p);
                }
            }
        }
        for h in 0..H {
            for c in 0..4 {
                vst1q_f32(out.as_mut_ptr().add(h * d + column + 4 * c), sums[h][c]);
            }
        }
    }
}

/// As [`crate::attention::softmax`].
pub fn softmax(x: &mut [f32]) -> f32 {
    let max = largest(x);
    exponentials(x, max)
}

/// The largest of x.
#[inline(never)]
fn largest(x: &[f32]) -> f32 {
    let (whole, tail) = x.as_chunks::<LONG>();
    let mut best = [vdupq_n_f32(f32::NEG_INFINITY); 4];
    for x in whole {
        for i in 0..4 {
            // SAFETY: the array has sixteen numbers.
            best[i] = vmaxnmq_f32(best[i], unsafe { vld1q_f32(x.as_ptr().add(4 * i)) });
        }
    }
    let best = vmaxnmq_f32(vmaxnmq_f32(best[0], best[1]), vmaxnmq_f32(best[2], best[3]));
    tail.iter().fold(vmaxnmvq_f32(best), |m, v| m.max(*v))
}

/// Each x becomes `e^(x - max)`; returns their sum in sixteen partial sums.
#[inline(never)]
fn exponentials(x: &mut [f32], max: f32) -> f32 {
    let (whole, tail) = x.as_chunks_mut::<LONG>();
    let max4 = vdupq_n_f32(max);
    let mut sums = [vdupq_n_f32(0.0); 4];
    for x in whole {
        // SAFETY: the array has sixteen numbers.
        unsafe {
            let v = [0, 1, 2, 3].map(|i| vsubq_f32(vld1q_f32(x.as_ptr().add(4 * i)), max4));
            for (i, v) in exp16(v).into_iter().enumerate() {
                vst1q_f32(x.as_mut_ptr().add(4 * i), v);
                sums[i] = vaddq_f32(sums[i], v);
            }
        }
    }
    let mut p = [0f32; LONG];
    for (i, s) in sums.into_iter().enumerate() {
        // SAFETY: the array has sixteen places.
        unsafe { vst1q_f32(p.as_mut_ptr().add(4 * i), s) };
    }
    for (p, x) in p.iter_mut().zip(tail) {
        *x = exp(*x - max);
        *p += *x;
    }
    fold_long(p)
}
