//! Attention of the query heads that share a key-value head; see [`crate::attention`].
//!
//! A step of four takes seven or eight loads of left factors, four to eight of cached numbers, and 56 or 64 multiply-adds whose sums
//! all stay in registers: loads come in batches before them, since the A53 finishes in order.

use std::ops::Range;

use super::intrinsics::*;

use super::cache::{F16s, F32s, Numbers, Q8Keys, Q8Values};
use super::math::exp as exp_side_by_side;
use crate::LANES;
use crate::attention::{PART, PerHead};
use crate::cache::{BLOCK, PIECE, VALUES, View};
use crate::math::exp;
use crate::vector::fold;

/// Sums of H heads with a piece of eight.
type Sums<const H: usize> = [[float32x4_t; 2]; H];

/// Calls the function for as many heads.
macro_rules! by_heads {
    ($heads:expr, $f:ident, [$($t:ty)?], $($arg:expr),*) => {
        match $heads {
            1 => $f::<$($t,)? 1>($($arg),*),
            2 => $f::<$($t,)? 2>($($arg),*),
            3 => $f::<$($t,)? 3>($($arg),*),
            4 => $f::<$($t,)? 4>($($arg),*),
            5 => $f::<$($t,)? 5>($($arg),*),
            6 => $f::<$($t,)? 6>($($arg),*),
            7 => $f::<$($t,)? 7>($($arg),*),
            _ => $f::<$($t,)? 8>($($arg),*),
        }
    };
}

/// As [`crate::attention`]'s.
///
/// # Panics
/// If a slice is too short.
pub fn scores(q: &[f32], keys: View, d: usize, at: Range<usize>, scale: f32, p: &mut [f32]) {
    let (first, tiles) = (at.start / PIECE, at.len().div_ceil(PIECE));
    let heads = q.len() / d;
    assert!((1..=PART).contains(&heads) && d % PIECE == 0 && q.len() == heads * d);
    let p = &mut p[..tiles * heads * PIECE];
    let numbers = first * d * PIECE..(first + tiles) * d * PIECE;
    // SAFETY: q, p and the tiles have their lengths, as just checked or sliced.
    unsafe {
        match keys {
            View::F32(k) => {
                let k = F32s {
                    at: k[numbers].as_ptr(),
                };
                by_heads!(heads, score_tiles, [F32s], q, k, d, tiles, scale, p);
            }
            View::F16(k) => {
                let k = F16s {
                    at: k[numbers].as_ptr(),
                };
                by_heads!(heads, score_tiles, [F16s], q, k, d, tiles, scale, p);
            }
            View::Q8(k, s) => {
                let n = d.div_ceil(BLOCK) * PIECE;
                let k = Q8Keys {
                    at: k[numbers].as_ptr(),
                    scales: s[first * n..(first + tiles) * n].as_ptr(),
                };
                by_heads!(heads, score_tiles, [Q8Keys], q, k, d, tiles, scale, p);
            }
        }
    }
}

/// As [`crate::attention`]'s.
///
/// # Panics
/// If a slice is too short.
pub fn columns(
    p: &[f32],
    heads: usize,
    values: View,
    d: usize,
    at: Range<usize>,
    sums: &mut [f32],
) {
    let (block, within, n) = (at.start / VALUES, at.start % VALUES, at.len());
    assert!((1..=PART).contains(&heads) && d % PIECE == 0 && sums.len() == heads * d);
    assert!(within + n <= VALUES && p.len() >= n.next_multiple_of(LANES) * heads);
    let numbers = block * d * VALUES..(block + 1) * d * VALUES;
    // SAFETY: the block, p and sums have their lengths, as just checked or sliced.
    unsafe {
        match values {
            View::F32(v) => {
                let v = F32s {
                    at: v[numbers].as_ptr().add(within * PIECE),
                };
                by_heads!(heads, value_columns, [F32s], p, v, d, n, sums);
            }
            View::F16(v) => {
                let v = F16s {
                    at: v[numbers].as_ptr().add(within * PIECE),
                };
                by_heads!(heads, value_columns, [F16s], p, v, d, n, sums);
            }
            View::Q8(v, s) => {
                let scales = d.div_ceil(BLOCK) * VALUES;
                let v = Q8Values {
                    at: v[numbers].as_ptr().add(within * PIECE),
                    scales: s[block * scales..(block + 1) * scales].as_ptr().add(within),
                };
                by_heads!(heads, value_columns, [Q8Values], p, v, d, n, sums);
            }
        }
    }
}

/// `sums[h] += a[h] b` for `4 fours` steps.
///
/// # Safety
/// `a` must have 4 H numbers for each four steps, `b` the steps.
#[inline(always)]
unsafe fn product<N: Numbers, const H: usize>(
    a: *const f32,
    b: N,
    fours: usize,
    mut sums: Sums<H>,
) -> Sums<H> {
    for four in 0..fours {
        // SAFETY: as the caller says.
        let (b, a): (_, [float32x4_t; H]) = unsafe {
            let b = b.four(four);
            (
                b,
                std::array::from_fn(|h| vld1q_f32(a.add(LANES * (four * H + h)))),
            )
        };
        macro_rules! step {
            ($k:literal) => {
                for h in 0..H {
                    for l in 0..2 {
                        sums[h][l] = vfmaq_laneq_f32::<$k>(sums[h][l], b[$k][l], a[h]);
                    }
                }
            };
        }
        step!(0);
        step!(1);
        step!(2);
        step!(3);
    }
    sums
}

/// Scores of `tiles` tiles of eight positions.
///
/// # Safety
/// The tiles must be there.
#[inline(never)]
unsafe fn score_tiles<N: Numbers, const H: usize>(
    q: &[f32],
    keys: N,
    d: usize,
    tiles: usize,
    scale: f32,
    p: &mut [f32],
) {
    for tile in 0..tiles {
        // SAFETY: q has H rows of d numbers, and p H times eight for each tile.
        unsafe {
            let keys = keys.tile(tile, d);
            let zero = [[vdupq_n_f32(0.0); 2]; H];
            let sums = product::<N, H>(q.as_ptr(), keys, d / LANES, zero);
            for l in 0..2 {
                for h in 0..H {
                    let out = p.as_mut_ptr().add(((2 * tile + l) * H + h) * LANES);
                    vst1q_f32(out, vmulq_n_f32(sums[h][l], scale));
                }
            }
        }
    }
}

/// Adds `n` positions, at most a block, to all columns.
///
/// # Safety
/// The positions must be there.
#[inline(never)]
unsafe fn value_columns<N: Numbers, const H: usize>(
    p: &[f32],
    values: N,
    d: usize,
    n: usize,
    out: &mut [f32],
) {
    let fours = n / LANES;
    for piece in 0..d / PIECE {
        // SAFETY: p has H numbers for each position, and out H times eight for each piece.
        unsafe {
            let values = values.piece(piece);
            let out = out.as_mut_ptr().add(piece * H * PIECE);
            let at = |h: usize, l: usize| out.add(h * PIECE + l * LANES);
            let mut sums: Sums<H> =
                std::array::from_fn(|h| [vld1q_f32(at(h, 0)), vld1q_f32(at(h, 1))]);
            sums = product::<N, H>(p.as_ptr(), values, fours, sums);
            for h in 0..H {
                for l in 0..2 {
                    vst1q_f32(at(h, l), sums[h][l]);
                }
            }
        }
    }
    if n % LANES > 0 {
        // SAFETY: as above.
        unsafe { last_columns::<N, H>(p, values, d, n, out) }
    }
}

/// Of these positions those that fill no four.
///
/// # Safety
/// As [`value_columns`].
#[inline(never)]
unsafe fn last_columns<N: Numbers, const H: usize>(
    p: &[f32],
    values: N,
    d: usize,
    n: usize,
    out: &mut [f32],
) {
    let fours = n / LANES;
    for piece in 0..d / PIECE {
        // SAFETY: as there.
        unsafe {
            let values = values.piece(piece);
            let out = out.as_mut_ptr().add(piece * H * PIECE);
            for k in LANES * fours..n {
                let v = values.one(k);
                for h in 0..H {
                    let p = *p.as_ptr().add((fours * H + h) * LANES + k % LANES);
                    for l in 0..2 {
                        let at = out.add(h * PIECE + l * LANES);
                        vst1q_f32(at, vfmaq_n_f32(vld1q_f32(at), v[l], p));
                    }
                }
            }
        }
    }
}

/// As [`crate::attention`]'s.
///
/// # Panics
/// If `p` is too short.
pub fn largest(p: &[f32], heads: usize, n: usize) -> PerHead {
    assert!(p.len() >= n.next_multiple_of(LANES) * heads);
    by_heads!(heads, largest_of, [], p, n)
}

#[inline(never)]
fn largest_of<const H: usize>(p: &[f32], n: usize) -> PerHead {
    let mut best = [vdupq_n_f32(f32::NEG_INFINITY); H];
    for j in 0..n / LANES {
        for h in 0..H {
            // SAFETY: p has n H numbers.
            best[h] = vmaxnmq_f32(best[h], unsafe {
                vld1q_f32(p.as_ptr().add((j * H + h) * LANES))
            });
        }
    }
    let mut out = [f32::NEG_INFINITY; PART];
    for h in 0..H {
        out[h] = vmaxnmvq_f32(best[h]);
        for l in 0..n % LANES {
            out[h] = out[h].max(p[(n / LANES * H + h) * LANES + l]);
        }
    }
    out
}

/// As [`crate::attention`]'s.
///
/// # Panics
/// If `p` is too short.
pub fn exponentials(p: &mut [f32], heads: usize, n: usize, max: &PerHead) -> PerHead {
    assert!(p.len() >= n.next_multiple_of(LANES) * heads);
    by_heads!(heads, exponentials_of, [], p, n, max)
}

#[inline(never)]
fn exponentials_of<const H: usize>(p: &mut [f32], n: usize, max: &PerHead) -> PerHead {
    let maxima: [float32x4_t; H] = std::array::from_fn(|h| vdupq_n_f32(max[h]));
    let mut sums = [vdupq_n_f32(0.0); H];
    for j in 0..n / LANES {
        // SAFETY: p has n H numbers.
        unsafe {
            let at = p.as_mut_ptr().add(j * H * LANES);
            let x = std::array::from_fn(|h| vsubq_f32(vld1q_f32(at.add(h * LANES)), maxima[h]));
            let e = exp_side_by_side::<H>(x);
            for h in 0..H {
                vst1q_f32(at.add(h * LANES), e[h]);
            }
            for h in 0..H {
                sums[h] = vaddq_f32(sums[h], e[h]);
            }
        }
    }
    let mut out = [0.0; PART];
    for h in 0..H {
        let mut lanes = [0f32; LANES];
        // SAFETY: the array has four places.
        unsafe { vst1q_f32(lanes.as_mut_ptr(), sums[h]) };
        for l in 0..n % LANES {
            let p = &mut p[(n / LANES * H + h) * LANES + l];
            *p = exp(*p - max[h]);
            lanes[l] += *p;
        }
        out[h] = fold(lanes);
    }
    out
}

/// As [`crate::attention`]'s.
///
/// # Panics
/// If a or b is too short.
#[inline(never)]
pub fn weigh(a: &[f32], b: &[f32], stride: usize, w: [f32; 2], out: &mut [f32]) {
    let (pieces, tail) = out.as_chunks_mut::<PIECE>();
    if let Some(last) = pieces.len().checked_sub(1) {
        assert!(
            a.len().min(b.len()) >= last * stride + PIECE,
            "pieces to weigh"
        );
    }
    let (w0, w1) = (vdupq_n_f32(w[0]), vdupq_n_f32(w[1]));
    for (i, out) in pieces.iter_mut().enumerate() {
        // SAFETY: piece i is there, as just checked, and the array has eight places.
        unsafe {
            let (a, b, out) = (
                a.as_ptr().add(i * stride),
                b.as_ptr().add(i * stride),
                out.as_mut_ptr(),
            );
            let (a0, a1) = (vld1q_f32(a), vld1q_f32(a.add(4)));
            let (b0, b1) = (vld1q_f32(b), vld1q_f32(b.add(4)));
            let (s0, s1) = (vmulq_f32(a0, w0), vmulq_f32(a1, w0));
            vst1q_f32(out, vfmaq_f32(s0, b0, w1));
            vst1q_f32(out.add(4), vfmaq_f32(s1, b1, w1));
        }
    }
    let rest = pieces.len() * stride;
    for (l, o) in tail.iter_mut().enumerate() {
        *o = b[rest + l].mul_add(w[1], a[rest + l] * w[0]);
    }
}
