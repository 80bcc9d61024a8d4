//! Kernels over one vector; see [`crate::vector`].

use super::intrinsics::*;

use macromac_format::TILE;

use super::math::{SIDE, V4, sigmoid};
use crate::vector::{Peak, fold, fold_long, silu};
use crate::{LANES, LONG};

/// Loads sixteen numbers.
#[inline(always)]
fn load(x: &[f32; LONG]) -> V4 {
    // SAFETY: the array has room for the four loads.
    unsafe { [0, 1, 2, 3].map(|i| vld1q_f32(x.as_ptr().add(LANES * i))) }
}

/// Stores sixteen numbers.
#[inline(always)]
fn store(x: &mut [f32; LONG], v: V4) {
    for (i, v) in v.into_iter().enumerate() {
        // SAFETY: the array has room for the four stores.
        unsafe { vst1q_f32(x.as_mut_ptr().add(LANES * i), v) }
    }
}

/// Pieces of sixteen, and what is left.
#[inline(always)]
fn pieces(x: &[f32]) -> (&[[f32; LONG]], &[f32]) {
    x.as_chunks()
}

/// As [`crate::vector::sum_squares`].
#[inline(never)]
pub fn sum_squares(x: &[f32]) -> f32 {
    let mut sums = [vdupq_n_f32(0.0); SIDE];
    let (whole, tail) = pieces(x);
    for x in whole {
        let x = load(x);
        for i in 0..SIDE {
            sums[i] = vfmaq_f32(sums[i], x[i], x[i]);
        }
    }
    let mut p = [0f32; LONG];
    store(&mut p, sums);
    for (p, x) in p.iter_mut().zip(tail) {
        *p = x.mul_add(*x, *p);
    }
    fold_long(p)
}

/// As [`crate::vector::scale_weighted`].
#[inline(never)]
pub fn scale_weighted(x: &[f32], scale: f32, weight: &[f32], y: &mut [f32]) {
    let n = y.len();
    let (x, weight) = (&x[..n], &weight[..n]);
    let ((x, xt), (w, wt)) = (pieces(x), pieces(weight));
    let (y, yt) = y.as_chunks_mut();
    for ((y, x), w) in y.iter_mut().zip(x).zip(w) {
        let (x, w) = (load(x), load(w));
        store(
            y,
            [0, 1, 2, 3].map(|i| vmulq_f32(vmulq_n_f32(x[i], scale), w[i])),
        );
    }
    for ((y, x), w) in yt.iter_mut().zip(xt).zip(wt) {
        *y = (x * scale) * w;
    }
}

/// As [`crate::vector::add`].
#[inline(never)]
pub fn add(y: &mut [f32], x: &[f32]) {
    let (x, xt) = pieces(&x[..y.len()]);
    let (y, yt) = y.as_chunks_mut();
    for (y, x) in y.iter_mut().zip(x) {
        let (a, b) = (load(y), load(x));
        store(y, [0, 1, 2, 3].map(|i| vaddq_f32(a[i], b[i])));
    }
    for (y, x) in yt.iter_mut().zip(xt) {
        *y += x;
    }
}

/// As [`crate::vector::silu_product`]: two tiles at a time.
#[inline(never)]
pub fn silu_product(gate_up: &[f32], h: &mut [f32]) {
    let (pairs, _) = gate_up.as_chunks::<{ 2 * LONG }>();
    let (whole, tail) = h.as_chunks_mut::<LONG>();
    for (h, gu) in whole.iter_mut().zip(pairs) {
        // Gate tile, up tile, gate tile, up tile: four numbers a vector.
        // SAFETY: the array has room for the eight loads.
        let at = |i: usize| unsafe { vld1q_f32(gu.as_ptr().add(LANES * i)) };
        let (g, u) = ([at(0), at(1), at(4), at(5)], [at(2), at(3), at(6), at(7)]);
        let s = sigmoid(g);
        store(
            h,
            [0, 1, 2, 3].map(|i| vmulq_f32(vmulq_f32(g[i], s[i]), u[i])),
        );
    }
    let rest = &gate_up[whole.len() * 2 * LONG..];
    silu(rest, tail);
}

/// As [`crate::vector::tile_product`]: the eight sums are what is in flight.
#[inline(never)]
pub fn tile_product(tile: &[f32], x: &[f32]) -> [f32; TILE] {
    let k = x.len();
    let rows: [&[[f32; LANES]]; TILE] = std::array::from_fn(|r| tile[r * k..][..k].as_chunks().0);
    let mut s = [vdupq_n_f32(0.0); TILE];
    for (i, x) in x.as_chunks::<LANES>().0.iter().enumerate() {
        // SAFETY: every row has as many chunks of four numbers as x; the slices above are K long.
        unsafe {
            let x = vld1q_f32(x.as_ptr());
            for r in 0..TILE {
                s[r] = vfmaq_f32(s[r], vld1q_f32(rows[r].get_unchecked(i).as_ptr()), x);
            }
        }
    }
    s.map(|s| {
        let mut lanes = [0f32; LANES];
        // SAFETY: the array has four places.
        unsafe { vst1q_f32(lanes.as_mut_ptr(), s) };
        fold(lanes)
    })
}

/// As [`crate::vector::peak`]: sixteen candidates, each the first of its kind.
#[inline(never)]
pub fn peak(x: &[f32]) -> Peak {
    let (whole, tail) = pieces(x);
    let mut best = [vdupq_n_f32(f32::NEG_INFINITY); SIDE];
    let mut piece_of = [vdupq_n_u32(0); SIDE];
    let mut fine = [vdupq_n_u32(u32::MAX); SIDE];
    let mut piece = vdupq_n_u32(0);
    let limit = vdupq_n_f32(f32::MAX);
    for x in whole {
        let x = load(x);
        for i in 0..SIDE {
            // False for NaN as for infinities.
            fine[i] = vandq_u32(fine[i], vcaleq_f32(x[i], limit));
            let above = vcgtq_f32(x[i], best[i]);
            best[i] = vbslq_f32(above, x[i], best[i]);
            piece_of[i] = vbslq_u32(above, piece, piece_of[i]);
        }
        piece = vaddq_u32(piece, vdupq_n_u32(1));
    }
    let (mut values, mut pieces) = ([0f32; LONG], [0u32; LONG]);
    store(&mut values, best);
    let mut peak = Peak {
        at: 0,
        finite: true,
    };
    for i in 0..SIDE {
        // SAFETY: the array has sixteen places.
        unsafe { vst1q_u32(pieces.as_mut_ptr().add(LANES * i), piece_of[i]) };
        peak.finite &= vminvq_u32(fine[i]) != 0;
    }
    let mut largest = f32::NEG_INFINITY;
    for (l, v) in values.into_iter().enumerate() {
        let at = pieces[l] as usize * LONG + l;
        if v > largest || (v == largest && at < peak.at) {
            (largest, peak.at) = (v, at);
        }
    }
    for (i, v) in tail.iter().enumerate() {
        peak.finite &= v.is_finite();
        if *v > largest {
            (largest, peak.at) = (*v, whole.len() * LONG + i);
        }
    }
    peak
}

/// As [`crate::rotary::rotate`].
#[inline(never)]
pub fn rotate(x: &mut [f32], cos: &[f32], sin: &[f32]) {
    let half = cos.len();
    let (low, high) = x.split_at_mut(half);
    let (low, lt) = low.as_chunks_mut::<LONG>();
    let (high, ht) = high[..half].as_chunks_mut::<LONG>();
    let (c, ct) = pieces(cos);
    let (s, st) = pieces(&sin[..half]);
    for (((a, b), c), s) in low.iter_mut().zip(high).zip(c).zip(s) {
        let (x0, x1, c, s) = (load(a), load(b), load(c), load(s));
        let down = [0, 1, 2, 3].map(|i| vnegq_f32(vmulq_f32(x1[i], s[i])));
        let up = [0, 1, 2, 3].map(|i| vmulq_f32(x0[i], s[i]));
        store(a, [0, 1, 2, 3].map(|i| vfmaq_f32(down[i], x0[i], c[i])));
        store(b, [0, 1, 2, 3].map(|i| vfmaq_f32(up[i], x1[i], c[i])));
    }
    crate::rotary::turn(lt, ht, ct, st);
}
