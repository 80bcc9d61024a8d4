//! Causal attention of one position against the cache.

use rayon::prelude::*;

use super::math::exp;
use super::vector::{dot, fold};
use super::{LANES, fused};

/// Multiply-adds above which heads are spread over threads; below it, starting them costs more.
const PARALLEL_FROM: usize = 1 << 16;

/// Attention of one position: `q` and `out` are [heads, d]; `keys(h)` and `values(h)` give the
/// [positions, d] of key-value head h, the last position being the query's own.
pub fn attend<'a>(
    q: &[f32],
    d: usize,
    kv_heads: usize,
    keys: impl Fn(usize) -> &'a [f32] + Sync,
    values: impl Fn(usize) -> &'a [f32] + Sync,
    out: &mut [f32],
) {
    let heads = q.len() / d;
    let one = |h: usize, out: &mut [f32]| {
        let kv = h / (heads / kv_heads);
        head(&q[h * d..][..d], keys(kv), values(kv), out);
    };
    if 2 * heads * keys(0).len() < PARALLEL_FROM {
        out.chunks_mut(d)
            .enumerate()
            .for_each(|(h, out)| one(h, out));
    } else {
        out.par_chunks_mut(d)
            .enumerate()
            .for_each(|(h, out)| one(h, out));
    }
}

fused! {
    /// One head: `softmax(q K^T / sqrt(d)) V`.
    fn head(q: &[f32], keys: &[f32], values: &[f32], out: &mut [f32]) {
        let d = q.len();
        let scale = 1.0 / (d as f32).sqrt();
        // Loops, not iterator chains: a closure handed to `collect` is compiled without the features of
        // this function, and then each fused multiply-add is a call.
        let mut p = vec![0f32; keys.len() / d];
        for (p, k) in p.iter_mut().zip(keys.chunks_exact(d)) {
            *p = dot(q, k) * scale;
        }
        softmax_body(&mut p);
        out.fill(0.0);
        for (p, v) in p.iter().zip(values.chunks_exact(d)) {
            for (o, v) in out.iter_mut().zip(v) {
                *o = p.mul_add(*v, *o);
            }
        }
    }
}

fused! {
    /// Softmax in place: `e^(x - max)` over its sum.
    pub fn softmax(x: &mut [f32]) {
        softmax_body(x);
    }
}

#[inline(always)]
fn softmax_body(x: &mut [f32]) {
    let max = x.iter().fold(f32::NEG_INFINITY, |m, v| m.max(*v));
    for v in x.iter_mut() {
        *v = exp(*v - max);
    }
    let mut s = [0f32; LANES];
    for chunk in x.chunks(LANES) {
        for (s, v) in s.iter_mut().zip(chunk) {
            *s += v;
        }
    }
    let sum = fold(s);
    for v in x.iter_mut() {
        *v /= sum;
    }
}

#[cfg(test)]
mod tests {
    use super::super::portable::both;
    use super::*;

    fn noise(n: usize, seed: u32) -> Vec<f32> {
        let mut s = seed;
        (0..n)
            .map(|_| {
                s = s.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (s >> 8) as f32 / (1 << 23) as f32 - 1.0
            })
            .collect()
    }

    #[test]
    fn same_bits_without_fma_instructions_and_for_any_number_of_threads() {
        let (d, heads, kv, positions) = (64, 14, 2, 300);
        let q = noise(heads * d, 1);
        let (k, v) = (noise(kv * positions * d, 2), noise(kv * positions * d, 3));
        let at = |t: &'static [f32]| move |h: usize| &t[h * positions * d..][..positions * d];
        let (k, v): (&'static [f32], &'static [f32]) = (k.leak(), v.leak());
        let run = || {
            let mut out = vec![0.0; heads * d];
            attend(&q, d, kv, at(k), at(v), &mut out);
            out.iter().map(|v| v.to_bits()).collect::<Vec<_>>()
        };
        let (fast, slow) = both(|| {
            let mut out = vec![0.0; d];
            head(&q[..d], &k[..positions * d], &v[..positions * d], &mut out);
            out.iter().map(|v| v.to_bits()).collect::<Vec<_>>()
        });
        assert_eq!(fast, slow);
        let want = run();
        assert_eq!(want[..d], fast);
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            assert_eq!(pool.install(run), want, "{threads} threads");
        }
    }

    #[test]
    fn softmax_sums_to_one_and_knows_large_numbers() {
        let mut x = vec![1e30, 1e30, -1e30];
        softmax(&mut x);
        assert_eq!(x, [0.5, 0.5, 0.0]);
    }
}
