//! Attention of up to four query heads that share a key-value head; see [`crate::attention`].

use super::intrinsics::*;

use super::cache::{F16Rows, F32Rows, Q8Rows, Rows};
use super::math::exp as exp16;
use crate::LONG;
use crate::attention::PART;
use crate::cache::View;
use crate::math::exp;
use crate::vector::fold_long;

/// Positions whose values stay in the first-level cache (32 KiB) while all columns of them are summed.
const BLOCK: usize = 64;
/// Positions whose scores are computed together.
const PAIR: usize = 2;

/// Widths of heads that have a NEON form: those of Qwen2 and Qwen2.5. Known to the compiler, a row is one
/// straight piece of code.
pub fn has_width(d: usize) -> bool {
    [64, 128].contains(&d)
}

/// As the portable `part`.
///
/// # Panics
/// If the width is not one of [`has_width`].
pub fn part(q: &[f32], d: usize, keys: View, values: View, positions: usize, out: &mut [f32]) {
    match d {
        64 => wide::<64>(q, keys, values, positions, out),
        128 => wide::<128>(q, keys, values, positions, out),
        _ => panic!("heads of width {d} have no NEON form"),
    }
}

fn wide<const D: usize>(q: &[f32], keys: View, values: View, positions: usize, out: &mut [f32]) {
    let heads = q.len() / D;
    assert!(heads <= PART && q.len() == heads * D && out.len() == q.len());
    // Scores are stored in pairs, the last perhaps beyond the last position.
    let stride = positions.next_multiple_of(PAIR);
    let mut p = vec![0f32; heads * stride];
    let mut sums = [0f32; PART];
    // SAFETY: the views hold at least `positions` rows of D numbers, which `attend` checked; p and out have
    // their `heads` rows.
    unsafe {
        match keys {
            View::F32(k) => {
                scores_of::<_, D>(heads, q, F32Rows { at: k.as_ptr() }, positions, &mut p)
            }
            View::F16(k) => {
                scores_of::<_, D>(heads, q, F16Rows { at: k.as_ptr() }, positions, &mut p)
            }
            View::Q8(k, s) => {
                let rows = Q8Rows {
                    at: k.as_ptr(),
                    scales: s.as_ptr(),
                };
                scores_of::<_, D>(heads, q, rows, positions, &mut p);
            }
        }
        for (sum, p) in sums.iter_mut().zip(p.chunks_exact_mut(stride)) {
            *sum = softmax(&mut p[..positions]);
        }
        out.fill(0.0);
        match values {
            View::F32(v) => sums_of::<_, D>(heads, &p, F32Rows { at: v.as_ptr() }, positions, out),
            View::F16(v) => sums_of::<_, D>(heads, &p, F16Rows { at: v.as_ptr() }, positions, out),
            View::Q8(v, s) => {
                let rows = Q8Rows {
                    at: v.as_ptr(),
                    scales: s.as_ptr(),
                };
                sums_of::<_, D>(heads, &p, rows, positions, out);
            }
        }
    }
    for (out, sum) in out.chunks_exact_mut(D).zip(sums) {
        divide(out, sum);
    }
}

/// Each of `x`, a multiple of 16 numbers, divided by `sum`.
#[inline(never)]
fn divide(x: &mut [f32], sum: f32) {
    let sum = vdupq_n_f32(sum);
    for x in x.as_chunks_mut::<LONG>().0 {
        // SAFETY: the array has sixteen numbers.
        unsafe {
            let v = [0, 1, 2, 3].map(|i| vld1q_f32(x.as_ptr().add(4 * i)));
            for (i, v) in v.into_iter().enumerate() {
                vst1q_f32(x.as_mut_ptr().add(4 * i), vdivq_f32(v, sum));
            }
        }
    }
}

/// Chooses the form for so many heads.
///
/// # Safety
/// As [`scores`].
unsafe fn scores_of<R: Rows, const D: usize>(
    heads: usize,
    q: &[f32],
    keys: R,
    positions: usize,
    p: &mut [f32],
) {
    // SAFETY: as the caller says.
    unsafe {
        match heads {
            1 => scores::<R, D, 1>(q, keys, positions, p),
            2 => scores::<R, D, 2>(q, keys, positions, p),
            3 => scores::<R, D, 3>(q, keys, positions, p),
            _ => scores::<R, D, 4>(q, keys, positions, p),
        }
    }
}

/// As [`scores_of`].
///
/// # Safety
/// As [`weighted_sums`].
unsafe fn sums_of<R: Rows, const D: usize>(
    heads: usize,
    p: &[f32],
    values: R,
    positions: usize,
    out: &mut [f32],
) {
    // SAFETY: as the caller says.
    unsafe {
        match heads {
            1 => weighted_sums::<R, D, 1>(p, values, positions, out),
            2 => weighted_sums::<R, D, 2>(p, values, positions, out),
            3 => weighted_sums::<R, D, 3>(p, values, positions, out),
            _ => weighted_sums::<R, D, 4>(p, values, positions, out),
        }
    }
}

/// `p[h][j] = q[h] . keys[j] / sqrt(D)`: two positions at a time, so that 2 H sums are in flight; more would not
/// fit the registers beside the rows.
///
/// # Safety
/// `keys` must have `positions` rows of D numbers, q H rows of them, p H rows of `positions` rounded up to pairs.
#[inline(never)]
unsafe fn scores<R: Rows, const D: usize, const H: usize>(
    q: &[f32],
    keys: R,
    positions: usize,
    p: &mut [f32],
) {
    let scale = 1.0 / (D as f32).sqrt();
    let stride = positions.next_multiple_of(PAIR);
    let (q, p) = (q.as_ptr(), p.as_mut_ptr());
    for first in (0..positions).step_by(PAIR) {
        // Beyond the last position the last one again; nobody reads its score.
        let second = (first + 1).min(positions - 1);
        let mut sums = [[vdupq_n_f32(0.0); PAIR]; H];
        for i in (0..D).step_by(8) {
            // SAFETY: both rows exist, and i + 8 <= D.
            unsafe {
                let k = [keys.load8::<D>(first, i), keys.load8::<D>(second, i)];
                for half in 0..2 {
                    for h in 0..H {
                        let q = vld1q_f32(q.add(h * D + i + 4 * half));
                        for l in 0..PAIR {
                            sums[h][l] = vfmaq_f32(sums[h][l], k[l][half], q);
                        }
                    }
                }
            }
        }
        for (h, s) in sums.into_iter().enumerate() {
            // Two pairwise additions are the fold (s0 + s1) + (s2 + s3) of both sums.
            let pairs = vpaddq_f32(s[0], s[1]);
            let scaled = vmulq_n_f32(vpaddq_f32(pairs, pairs), scale);
            // SAFETY: row h of p has room for the pair.
            unsafe { vst1_f32(p.add(h * stride + first), vget_low_f32(scaled)) };
        }
    }
}

/// `out[h] += sum over j of p[h][j] values[j]`: sixteen columns at a time, so that 4 H sums are in flight.
///
/// # Safety
/// As [`scores`], with `values` for keys and out for q.
unsafe fn weighted_sums<R: Rows, const D: usize, const H: usize>(
    p: &[f32],
    values: R,
    positions: usize,
    out: &mut [f32],
) {
    for first in (0..positions).step_by(BLOCK) {
        let n = BLOCK.min(positions - first);
        for column in (0..D).step_by(16) {
            // SAFETY: as the caller says; column + 16 <= D.
            unsafe { columns::<R, D, H>(p, values, first, n, column, out) };
        }
    }
}

/// Sixteen columns of [`weighted_sums`], positions `first .. first + n`.
///
/// # Safety
/// As there, and the columns and positions must exist.
#[inline(never)]
unsafe fn columns<R: Rows, const D: usize, const H: usize>(
    p: &[f32],
    values: R,
    first: usize,
    n: usize,
    column: usize,
    out: &mut [f32],
) {
    let stride = p.len() / H;
    let mut sums = [[vdupq_n_f32(0.0); 4]; H];
    // SAFETY: p and out have H rows; the columns and positions exist.
    unsafe {
        for h in 0..H {
            for c in 0..4 {
                sums[h][c] = vld1q_f32(out.as_ptr().add(h * D + column + 4 * c));
            }
        }
        let rows: [*const f32; H] = std::array::from_fn(|h| p.as_ptr().add(h * stride + first));
        for j in 0..n {
            let [v0, v1] = values.load8::<D>(first + j, column);
            let [v2, v3] = values.load8::<D>(first + j, column + 8);
            for h in 0..H {
                let p = *rows[h].add(j);
                for (c, v) in [v0, v1, v2, v3].into_iter().enumerate() {
                    sums[h][c] = vfmaq_n_f32(sums[h][c], v, p);
                }
            }
        }
        for h in 0..H {
            for c in 0..4 {
                vst1q_f32(out.as_mut_ptr().add(h * D + column + 4 * c), sums[h][c]);
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
