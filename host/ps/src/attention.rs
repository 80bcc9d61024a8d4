//! Causal attention of one position against the cache.

use rayon::prelude::*;

use super::cache::{HeadCache, View};
use super::math::exp;
use super::vector::{dot, fold_long};
use super::{LONG, fused};

/// Multiply-adds above which parts are spread over threads; below it, starting them costs more.
const PARALLEL_FROM: usize = 1 << 16;
/// Query heads of a part at most: each cached row is read and widened once for all of them.
pub const PART: usize = 4;
/// Positions whose rows are widened at a time.
const WIDENED: usize = 32;

/// Sizes of the parts in which `group` query heads of one key-value head are computed: as few as possible,
/// as even as possible.
pub fn parts(group: usize) -> impl Iterator<Item = usize> {
    let n = group.div_ceil(PART);
    (0..n).map(move |i| group / n + usize::from(i < group % n))
}

/// Whether attention of queries of `width` numbers over `positions` is shared out to threads.
pub fn is_shared_out(width: usize, positions: usize) -> bool {
    2 * width * positions >= PARALLEL_FROM
}

/// Attention of one position: `q` and `out` are [heads, d]; `keys` and `values` have the rows of each key-value head, of
/// which the first `positions` count, the last of them being the query's own.
///
/// # Panics
/// If the shapes do not fit, or the cache has fewer rows.
pub fn attend(
    q: &[f32],
    keys: &[HeadCache],
    values: &[HeadCache],
    positions: usize,
    out: &mut [f32],
) {
    let d = keys[0].width();
    let group = q.len() / d / keys.len();
    assert_eq!(q.len(), group * d * keys.len(), "numbers of the query");
    assert_eq!(q.len(), out.len(), "numbers of the result");
    let shared_out = is_shared_out(q.len(), positions);
    // The parts: query, key-value head, result.
    let mut tasks = Vec::new();
    let (mut q, mut out) = (q, out);
    for (keys, values) in keys.iter().zip(values) {
        assert!(
            keys.len().min(values.len()) >= positions,
            "{positions} positions of {}",
            keys.len()
        );
        for heads in parts(group) {
            let (q_part, q_rest) = q.split_at(heads * d);
            let (out_part, out_rest) = out.split_at_mut(heads * d);
            tasks.push((q_part, keys, values, out_part));
            (q, out) = (q_rest, out_rest);
        }
    }
    let one = |(q, keys, values, out): (&[f32], &HeadCache, &HeadCache, &mut [f32])| {
        part(q, d, keys.view(), values.view(), positions, out);
    };
    if shared_out {
        tasks.into_par_iter().for_each(one);
    } else {
        tasks.into_iter().for_each(one);
    }
}

fused! {
    /// Some heads: `softmax(q K^T / sqrt(d)) V`, with `q` and `out` [heads, d].
    fn part(q: &[f32], d: usize, keys: View, values: View, positions: usize, out: &mut [f32]) {
        let scale = 1.0 / (d as f32).sqrt();
        // Loops, not iterator chains: a closure handed to `collect` is compiled without the features of
        // this function, and then each fused multiply-add is a call.
        let mut p = vec![0f32; q.len() / d * positions];
        let mut widened = vec![0f32; WIDENED.min(positions) * d];
        let mut first = 0;
        while first < positions {
            let n = WIDENED.min(positions - first);
            let rows = keys.rows(d, first, &mut widened[..n * d]);
            for (q, p) in q.chunks_exact(d).zip(p.chunks_exact_mut(positions)) {
                for (p, k) in p[first..].iter_mut().zip(rows.chunks_exact(d)) {
                    *p = dot(q, k) * scale;
                }
            }
            first += n;
        }
        out.fill(0.0);
        let mut sums = [0f32; PART];
        for (sum, p) in sums.iter_mut().zip(p.chunks_exact_mut(positions)) {
            *sum = softmax_body(p);
        }
        first = 0;
        while first < positions {
            let n = WIDENED.min(positions - first);
            let rows = values.rows(d, first, &mut widened[..n * d]);
            for (out, p) in out.chunks_exact_mut(d).zip(p.chunks_exact(positions)) {
                for (p, v) in p[first..].iter().zip(rows.chunks_exact(d)) {
                    for (o, v) in out.iter_mut().zip(v) {
                        *o = p.mul_add(*v, *o);
                    }
                }
            }
            first += n;
        }
        for (out, sum) in out.chunks_exact_mut(d).zip(sums) {
            for o in out {
                *o /= sum;
            }
        }
    }
    neon {
        // Widths that no Qwen2 model has take the portable form.
        if crate::neon::attention::has_width(d) {
            crate::neon::attention::part(q, d, keys, values, positions, out)
        } else {
            body(q, d, keys, values, positions, out)
        }
    }
}

fused! {
    /// Softmax but for its division, in place: each x becomes `e^(x - max)`; returns their sum.
    pub fn softmax(x: &mut [f32]) -> f32 {
        softmax_body(x)
    }
    neon { crate::neon::attention::softmax(x) }
}

#[inline(always)]
fn softmax_body(x: &mut [f32]) -> f32 {
    let mut max = f32::NEG_INFINITY;
    for v in x.iter() {
        max = max.max(*v);
    }
    for v in x.iter_mut() {
        *v = exp(*v - max);
    }
    let mut p = [0f32; LONG];
    for chunk in x.chunks(LONG) {
        for (p, v) in p.iter_mut().zip(chunk) {
            *p += v;
        }
    }
    fold_long(p)
}

#[cfg(test)]
mod tests {
    use super::super::cache::CacheType;
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

    /// Cache of `kv` heads with `positions` rows of noise.
    fn cache(t: CacheType, kv: usize, d: usize, positions: usize, seed: u32) -> Vec<HeadCache> {
        (0..kv)
            .map(|h| {
                let mut c = HeadCache::new(t, d);
                noise(positions * d, seed + h as u32)
                    .chunks(d)
                    .for_each(|r| c.push(r));
                c
            })
            .collect()
    }

    fn bits(v: &[f32]) -> Vec<u32> {
        v.iter().map(|v| v.to_bits()).collect()
    }

    #[test]
    fn parts_are_even_and_complete() {
        let of = |g| parts(g).collect::<Vec<_>>();
        assert_eq!((of(7), of(1), of(4)), (vec![4, 3], vec![1], vec![4]));
        for g in 1..40 {
            assert_eq!(parts(g).sum::<usize>(), g);
            assert!(parts(g).all(|p| (1..=PART).contains(&p)));
        }
    }

    #[test]
    fn same_bits_in_both_forms_and_for_any_number_of_threads() {
        for (d, heads, kv, positions) in [
            (64, 14, 2, 300),
            (64, 2, 2, 1),
            (16, 3, 1, 67),
            (8, 4, 2, 33),
            (128, 8, 1, 130),
        ] {
            for t in CacheType::ALL {
                let q = noise(heads * d, 1);
                // One row more than counts.
                let k = cache(t, kv, d, positions + 1, 2);
                let v = cache(t, kv, d, positions + 1, 90);
                let run = || {
                    let mut out = vec![f32::NAN; heads * d];
                    attend(&q, &k, &v, positions, &mut out);
                    bits(&out)
                };
                let h = parts(heads / kv).next().unwrap();
                let (fast, slow) = both(|| {
                    let mut out = vec![0.0; h * d];
                    part(
                        &q[..h * d],
                        d,
                        k[0].view(),
                        v[0].view(),
                        positions,
                        &mut out,
                    );
                    bits(&out)
                });
                assert_eq!(fast, slow, "{t:?} {d} {positions}");
                let want = run();
                assert_eq!(want[..h * d], fast);
                for threads in [1, 3] {
                    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
                    let pool = pool.build().unwrap();
                    assert_eq!(pool.install(run), want, "{threads} threads");
                }
            }
        }
    }

    #[test]
    fn the_order_is_the_written_one() {
        let (d, positions) = (16, 37);
        let (q, k, v) = (
            noise(d, 1),
            noise(d * positions, 2),
            noise(d * positions, 3),
        );
        let fill = |rows: &[f32]| {
            let mut c = HeadCache::new(CacheType::F32, d);
            rows.chunks(d).for_each(|r| c.push(r));
            [c]
        };
        let mut got = vec![0.0; d];
        attend(&q, &fill(&k), &fill(&v), positions, &mut got);
        let mut p: Vec<f32> = k.chunks(d).map(|k| dot(&q, k) * 0.25).collect();
        let max = p.iter().fold(f32::NEG_INFINITY, |m, v| m.max(*v));
        p.iter_mut().for_each(|p| *p = exp(*p - max));
        let mut s = [0f32; 16];
        p.iter().enumerate().for_each(|(i, p)| s[i % 16] += p);
        for i in 0..d {
            let sum = (0..positions).fold(0f32, |o, j| p[j].mul_add(v[j * d + i], o));
            assert_eq!(got[i].to_bits(), (sum / fold_long(s)).to_bits());
        }
    }

    #[test]
    fn cache_formats_are_close_to_each_other() {
        let (d, heads, kv, positions) = (64, 14, 2, 200);
        let q = noise(heads * d, 1);
        let run = |t| {
            let mut out = vec![0.0; heads * d];
            attend(
                &q,
                &cache(t, kv, d, positions, 2),
                &cache(t, kv, d, positions, 90),
                positions,
                &mut out,
            );
            out
        };
        let want = run(CacheType::F32);
        for (t, error) in [(CacheType::F16, 2e-4), (CacheType::Q8, 4e-3)] {
            for (a, b) in run(t).iter().zip(&want) {
                assert!((a - b).abs() < error, "{t:?}: {a}, expected {b}");
            }
        }
    }

    #[test]
    fn softmax_knows_large_numbers_and_every_length() {
        let mut x = vec![1e30, 1e30, -1e30];
        assert_eq!(softmax(&mut x), 2.0);
        assert_eq!(x, [1.0, 1.0, 0.0]);
        for n in 1..70 {
            let x: Vec<f32> = noise(n, 5).iter().map(|v| v * 20.0).collect();
            let (a, b) = both(|| {
                let mut x = x.clone();
                let sum = softmax(&mut x);
                (sum.to_bits(), bits(&x))
            });
            assert_eq!(a, b, "{n}");
        }
    }
}
