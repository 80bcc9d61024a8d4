//! Causal attention of neighbouring positions against the cache.
//!
//! Both products are of one kind: numbers of the heads that share a key-value head, times pieces of eight cached numbers. For scores a
//! piece has eight positions and a step is a number of the query; for the sums it has eight columns and a step is a position. Each result is one
//! chain of fused multiply-adds in rising order of the steps.

use std::ops::Range;

use super::cache::{BLOCK, HeadCache, PIECE, VALUES, View};
use super::fused;
use super::math::exp;
use super::team;
use super::vector::fold;

/// Multiply-adds above which the work is shared out to threads; below it, starting them costs more.
const PARALLEL_FROM: usize = 1 << 16;
/// Query heads that are computed together at most: each cached number is widened once for all of them.
pub const PART: usize = 8;
/// Positions from which they are cut into halves.
const HALVES_FROM: usize = 64;
/// Steps whose left factors lie side by side.
const STEP: usize = 4;

/// A number for each head of a part.
pub(crate) type PerHead = [f32; PART];

/// Sizes of the parts in which `group` query heads of one key-value head are computed: as few as possible,
/// as even as possible.
pub fn parts(group: usize) -> impl Iterator<Item = usize> {
    let n = group.div_ceil(PART);
    (0..n).map(move |i| group / n + usize::from(i < group % n))
}

/// The two halves of the positions that a query sees, the second of them perhaps empty: so four cores share two key-value heads. A
/// function of the number of positions alone.
pub fn halves(positions: usize) -> [Range<usize>; 2] {
    let cut = match positions {
        n if n < HALVES_FROM => n,
        n => (n / 2).next_multiple_of(PIECE),
    };
    [0..cut, cut..positions]
}

/// Whether attention of queries of `width` numbers in all over `positions` is shared out to threads.
pub fn is_shared_out(width: usize, positions: usize) -> bool {
    2 * width * positions >= PARALLEL_FROM
}

/// Attention of neighbouring positions: `q` and `out` are [queries, heads, d]; `keys` and `values` have the rows of each key-value head. The
/// first query sees `positions` rows, the last of them being its own, each further query one more.
///
/// # Panics
/// If the shapes do not fit, or the cache has fewer rows.
pub fn attend(
    q: &[f32],
    heads: usize,
    keys: &[HeadCache],
    values: &[HeadCache],
    positions: usize,
    out: &mut [f32],
) {
    let d = keys[0].width();
    let (width, group) = (heads * d, heads / keys.len());
    let queries = q.len() / width;
    assert_eq!(q.len(), queries * width, "numbers of the queries");
    assert_eq!(q.len(), out.len(), "numbers of the result");
    assert_eq!(group * keys.len(), heads, "heads of a group");
    let mut jobs = Vec::new();
    let mut first_head = 0;
    for (keys, values) in keys.iter().zip(values) {
        let (rows, wanted) = (keys.len().min(values.len()), positions + queries - 1);
        assert!(rows >= wanted, "{wanted} positions of {rows}");
        for heads in parts(group) {
            let job = |half| Job {
                q,
                width,
                first_head,
                heads,
                keys,
                values,
                positions,
                half,
            };
            jobs.extend([job(0), job(1)]);
            first_head += heads;
        }
    }
    let done: Vec<Partial> = if is_shared_out(q.len(), positions) {
        team::map(jobs.iter(), Job::run)
    } else {
        jobs.iter().map(Job::run).collect()
    };
    for (jobs, done) in jobs.chunks_exact(2).zip(done.chunks_exact(2)) {
        let (first_head, heads) = (jobs[0].first_head, jobs[0].heads);
        for (i, out) in out.chunks_exact_mut(width).enumerate() {
            let out = &mut out[first_head * d..][..heads * d];
            let seen = halves(positions + i);
            for (h, out) in out.chunks_exact_mut(d).enumerate() {
                let w = weights(&seen, done, i, h);
                let of = |half: usize| &done[half].sums_of(i)[h * PIECE..];
                weigh(of(0), of(1), heads * PIECE, w, out);
            }
        }
    }
}

/// What the sums of both halves are multiplied with: softmax's own factor of each half over the denominator.
fn weights(seen: &[Range<usize>; 2], done: &[Partial], query: usize, head: usize) -> [f32; 2] {
    let of = |half: usize| (done[half].max[query][head], done[half].sum[query][head]);
    let ((m0, s0), (m1, s1)) = (of(0), of(1));
    if seen[1].is_empty() {
        return [1.0 / s0, 0.0];
    }
    let max = m0.max(m1);
    let (w0, w1) = (exp(m0 - max), exp(m1 - max));
    let inverse = 1.0 / w1.mul_add(s1, w0 * s0);
    [w0 * inverse, w1 * inverse]
}

/// One thread's work: some heads of one key-value head, one half of the positions, all queries.
struct Job<'a> {
    q: &'a [f32],
    /// Numbers of a query, all heads.
    width: usize,
    first_head: usize,
    heads: usize,
    keys: &'a HeadCache,
    values: &'a HeadCache,
    /// That the first query sees.
    positions: usize,
    half: usize,
}

/// What comes of a [`Job`].
struct Partial {
    /// Largest score and sum of exponentials of each query.
    max: Vec<PerHead>,
    sum: Vec<PerHead>,
    /// Weighted sums, [queries, d / 8, heads, 8].
    sums: Vec<f32>,
}

impl Partial {
    fn sums_of(&self, query: usize) -> &[f32] {
        let n = self.sums.len() / self.max.len();
        &self.sums[query * n..][..n]
    }
}

impl Job<'_> {
    fn run(&self) -> Partial {
        let (heads, d) = (self.heads, self.keys.padded());
        let queries = self.q.len() / self.width;
        let seen: Vec<Range<usize>> = (0..queries)
            .map(|i| halves(self.positions + i)[self.half].clone())
            .collect();
        let longest = seen.iter().map(ExactSizeIterator::len).max().unwrap_or(0);
        let stride = longest.next_multiple_of(PIECE) * heads;
        let mut p = vec![0f32; queries * stride];
        let scale = 1.0 / (self.keys.width() as f32).sqrt();
        // Cached numbers in FP32, where the portable form needs them apart.
        let mut wide = Vec::new();
        let mut packed = vec![0f32; heads * d * queries];
        for (q, packed) in (self.q.chunks(self.width)).zip(packed.chunks_mut(heads * d)) {
            self.pack(q, packed);
        }
        self.blocks(&seen, |i, at, n| {
            let p = &mut p[i * stride + (at - seen[i].start) * heads..];
            let q = &packed[i * heads * d..][..heads * d];
            scores(q, self.keys.view(), d, at..at + n, scale, p, &mut wide);
        });
        let mut done = Partial {
            max: vec![[f32::NEG_INFINITY; PART]; queries],
            sum: vec![[0.0; PART]; queries],
            sums: vec![0.0; queries * heads * d],
        };
        for (i, seen) in seen.iter().enumerate() {
            let p = &mut p[i * stride..];
            done.max[i] = largest(p, heads, seen.len());
            done.sum[i] = exponentials(p, heads, seen.len(), &done.max[i]);
        }
        self.blocks(&seen, |i, at, n| {
            let p = &p[i * stride + (at - seen[i].start) * heads..];
            let sums = &mut done.sums[i * heads * d..][..heads * d];
            columns(p, heads, self.values.view(), d, at..at + n, sums, &mut wide);
        });
        done
    }

    /// A query's heads as [d / 4, heads, 4], filled up with zeros.
    fn pack(&self, q: &[f32], packed: &mut [f32]) {
        let d = self.keys.width();
        let q = &q[self.first_head * d..][..self.heads * d];
        for (h, q) in q.chunks(d).enumerate() {
            for (four, q) in packed.chunks_mut(STEP * self.heads).zip(q.chunks(STEP)) {
                four[STEP * h..][..q.len()].copy_from_slice(q);
            }
        }
    }

    /// Calls `f` with a query, a position and how many from there, block after block of the cache: each is read from memory once for all
    /// queries.
    fn blocks(&self, seen: &[Range<usize>], mut f: impl FnMut(usize, usize, usize)) {
        let first = seen.iter().map(|s| s.start).min().unwrap_or(0);
        let end = seen.iter().map(|s| s.end).max().unwrap_or(0);
        for block in first / VALUES..end.div_ceil(VALUES) {
            for (i, seen) in seen.iter().enumerate() {
                let at = seen.start.max(block * VALUES);
                let end = seen.end.min((block + 1) * VALUES);
                if at < end {
                    f(i, at, end - at);
                }
            }
        }
    }
}

/// Calls the function for as many heads.
macro_rules! by_heads {
    ($heads:expr, $f:ident, $($arg:expr),*) => {
        match $heads {
            1 => $f::<1>($($arg),*),
            2 => $f::<2>($($arg),*),
            3 => $f::<3>($($arg),*),
            4 => $f::<4>($($arg),*),
            5 => $f::<5>($($arg),*),
            6 => $f::<6>($($arg),*),
            7 => $f::<7>($($arg),*),
            _ => $f::<8>($($arg),*),
        }
    };
}

/// `sums[h][l] += a[h] b[l]` for each step: `a` is [steps / 4, H, 4], `b` [steps, 8].
#[inline(always)]
fn product<const H: usize>(a: &[f32], b: &[f32], mut sums: [[f32; PIECE]; H]) -> [[f32; PIECE]; H] {
    for (a, b) in a.chunks(STEP * H).zip(b.chunks(STEP * PIECE)) {
        for (k, b) in b.chunks_exact(PIECE).enumerate() {
            for h in 0..H {
                for l in 0..PIECE {
                    sums[h][l] = a[STEP * h + k].mul_add(b[l], sums[h][l]);
                }
            }
        }
    }
    sums
}

#[inline(always)]
fn scores_body<const H: usize>(q: &[f32], keys: &[f32], d: usize, scale: f32, p: &mut [f32]) {
    for (keys, p) in keys
        .chunks_exact(d * PIECE)
        .zip(p.chunks_exact_mut(H * PIECE))
    {
        let sums = product::<H>(q, keys, [[0.0; PIECE]; H]);
        for (h, sums) in sums.iter().enumerate() {
            for (l, s) in sums.iter().enumerate() {
                p[(l / STEP * H + h) * STEP + l % STEP] = s * scale;
            }
        }
    }
}

#[inline(always)]
fn columns_body<const H: usize>(p: &[f32], values: &[f32], sums: &mut [f32]) {
    let mut now = [[0.0; PIECE]; H];
    for (now, sums) in now.iter_mut().zip(sums.chunks_exact(PIECE)) {
        now.copy_from_slice(sums);
    }
    let now = product::<H>(p, values, now);
    for (now, sums) in now.iter().zip(sums.chunks_exact_mut(PIECE)) {
        sums.copy_from_slice(now);
    }
}

fused! {
    /// Scores of positions `at` (the first a multiple of 8, all in one block of values): `q` is [d / 4, heads, 4], `p` [positions / 4, heads, 4], filled in
    /// whole pieces; `wide` is for the keys in FP32.
    fn scores(q: &[f32], keys: View, d: usize, at: Range<usize>, scale: f32, p: &mut [f32], wide: &mut Vec<f32>) {
        let (heads, tiles) = (q.len() / d, at.len().div_ceil(PIECE));
        let blocks = d.div_ceil(BLOCK);
        wide.resize(tiles * PIECE * d, 0.0);
        let first = at.start / PIECE;
        let scale_of = |i: usize| {
            let (tile, step) = (first + i / (PIECE * d), i / PIECE % d);
            (tile * blocks + step / BLOCK) * PIECE + i % PIECE
        };
        let keys = keys.pieces(first * d, scale_of, wide);
        by_heads!(heads, scores_body, q, keys, d, scale, p);
    }
    neon { crate::neon::attention::scores(q, keys, d, at, scale, p) }
}

fused! {
    /// Adds values of positions `at` (as above) times `p`, [positions / 4, heads, 4], to `sums`, [d / 8, heads, 8].
    fn columns(p: &[f32], heads: usize, values: View, d: usize, at: Range<usize>, sums: &mut [f32], wide: &mut Vec<f32>) {
        let blocks = d.div_ceil(BLOCK);
        let (block, within) = (at.start / VALUES, at.start % VALUES);
        wide.resize(at.len() * PIECE, 0.0);
        for (c, sums) in sums.chunks_exact_mut(heads * PIECE).enumerate() {
            let scale_of =
                |i: usize| (block * blocks + c * PIECE / BLOCK) * VALUES + within + i / PIECE;
            let first = (block * (d / PIECE) + c) * VALUES + within;
            let values = values.pieces(first, scale_of, wide);
            by_heads!(heads, columns_body, p, values, sums);
        }
    }
    neon { crate::neon::attention::columns(p, heads, values, d, at, sums) }
}

fused! {
    /// The largest of each head's first `n` scores; `p` is [n / 4, heads, 4].
    fn largest(p: &[f32], heads: usize, n: usize) -> PerHead {
        let mut best = [f32::NEG_INFINITY; PART];
        for j in 0..n {
            for h in 0..heads {
                best[h] = best[h].max(p[(j / STEP * heads + h) * STEP + j % STEP]);
            }
        }
        best
    }
    neon { crate::neon::attention::largest(p, heads, n) }
}

fused! {
    /// Each of those scores becomes `e^(score - max)`; returns their sums.
    fn exponentials(p: &mut [f32], heads: usize, n: usize, max: &PerHead) -> PerHead {
        let mut sums = [[0f32; STEP]; PART];
        for (j, p) in p.chunks_mut(STEP * heads).take(n.div_ceil(STEP)).enumerate() {
            let lanes = STEP.min(n - j * STEP);
            for h in 0..heads {
                for l in 0..lanes {
                    p[STEP * h + l] = exp(p[STEP * h + l] - max[h]);
                    sums[h][l] += p[STEP * h + l];
                }
            }
        }
        sums.map(fold)
    }
    neon { crate::neon::attention::exponentials(p, heads, n, max) }
}

fused! {
    /// `out = a w[0] + b w[1]`: pieces of 8 numbers, `stride` apart in a and b.
    fn weigh(a: &[f32], b: &[f32], stride: usize, w: [f32; 2], out: &mut [f32]) {
        for ((out, a), b) in out.chunks_mut(PIECE).zip(a.chunks(stride)).zip(b.chunks(stride)) {
            for ((o, a), b) in out.iter_mut().zip(a).zip(b) {
                *o = b.mul_add(w[1], a * w[0]);
            }
        }
    }
    neon { crate::neon::attention::weigh(a, b, stride, w, out) }
}

#[cfg(test)]
mod tests {
    use super::super::cache::{CacheType, Order};
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
    fn cache(order: Order, t: CacheType, kv: usize, d: usize, positions: usize) -> Vec<HeadCache> {
        let seed = if order == Order::Keys { 2 } else { 90 };
        (0..kv)
            .map(|h| {
                let mut c = HeadCache::new(order, t, d);
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
    fn parts_and_halves_are_even_and_complete() {
        let of = |g| parts(g).collect::<Vec<_>>();
        assert_eq!((of(7), of(8), of(14)), (vec![7], vec![8], vec![7, 7]));
        for g in 1..40 {
            assert_eq!(parts(g).sum::<usize>(), g);
            assert!(parts(g).all(|p| (1..=PART).contains(&p)));
        }
        for n in 1..400 {
            let [a, b] = halves(n);
            assert_eq!((a.start, a.end, b.end), (0, b.start, n));
            assert_eq!(b.is_empty(), n < HALVES_FROM);
            assert!(b.is_empty() || a.len().abs_diff(b.len()) < 2 * PIECE);
        }
    }

    #[test]
    fn same_bits_in_both_forms_for_any_threads_and_in_any_batch() {
        for (d, heads, kv, positions) in [
            (64, 14, 2, 300),
            (64, 2, 2, 1),
            (16, 3, 1, 61),
            (8, 8, 2, 33),
            (20, 9, 1, 127),
            (128, 8, 1, 130),
        ] {
            for t in CacheType::ALL {
                let batch = 6;
                let q = noise(batch * heads * d, 1);
                let k = cache(Order::Keys, t, kv, d, positions + batch);
                let v = cache(Order::Values, t, kv, d, positions + batch);
                let run = || {
                    let mut out = vec![f32::NAN; q.len()];
                    attend(&q, heads, &k, &v, positions, &mut out);
                    bits(&out)
                };
                let (fast, slow) = both(|| {
                    // On this thread, or the portable form would not be forced.
                    let width = heads * d;
                    let group = heads / kv;
                    let job = Job {
                        q: &q,
                        width,
                        first_head: 0,
                        heads: parts(group).next().unwrap(),
                        keys: &k[0],
                        values: &v[0],
                        positions,
                        half: 0,
                    };
                    let done = job.run();
                    (bits(&done.sums), done.max, done.sum)
                });
                assert_eq!(fast, slow, "{t:?} {d} {positions}");
                let want = team::alone(run);
                assert_eq!(run(), want);
                for (i, (q, want)) in q.chunks(heads * d).zip(want.chunks(heads * d)).enumerate() {
                    let mut out = vec![f32::NAN; q.len()];
                    attend(q, heads, &k, &v, positions + i, &mut out);
                    assert_eq!(bits(&out), want, "{t:?} {d} {positions}, alone");
                }
            }
        }
    }

    #[test]
    fn the_order_is_the_written_one() {
        let d = 16;
        for positions in [37, 101] {
            let t = CacheType::F32;
            let (keys, values) = (
                cache(Order::Keys, t, 1, d, positions),
                cache(Order::Values, t, 1, d, positions),
            );
            let q = noise(d, 1);
            let mut got = vec![0.0; d];
            attend(&q, 1, &keys, &values, positions, &mut got);
            let score = |j: usize| {
                let k = keys[0].row(j);
                (0..d).fold(0f32, |s, i| q[i].mul_add(k[i], s)) * 0.25
            };
            let half = |range: Range<usize>| {
                let p: Vec<f32> = range.clone().map(score).collect();
                let max = p.iter().fold(f32::NEG_INFINITY, |m, v| m.max(*v));
                let p: Vec<f32> = p.iter().map(|p| exp(p - max)).collect();
                let mut s = [0f32; 4];
                p.iter().enumerate().for_each(|(i, p)| s[i % 4] += p);
                let sums: Vec<f32> = (0..d)
                    .map(|i| {
                        let v = |j: usize| values[0].row(j)[i];
                        let terms = p.iter().zip(range.clone());
                        terms.fold(0f32, |o, (p, j)| p.mul_add(v(j), o))
                    })
                    .collect();
                (max, (s[0] + s[1]) + (s[2] + s[3]), sums)
            };
            let [a, b] = halves(positions);
            let ((m0, s0, a), (m1, s1, sums)) = (half(a), half(b.clone()));
            let m = m0.max(m1);
            let (mut w0, mut w1) = (exp(m0 - m), exp(m1 - m));
            let inverse = 1.0 / w1.mul_add(s1, w0 * s0);
            (w0, w1) = (w0 * inverse, w1 * inverse);
            if b.is_empty() {
                (w0, w1) = (1.0 / s0, 0.0);
            }
            for i in 0..d {
                let want = sums[i].mul_add(w1, a[i] * w0);
                assert_eq!(got[i].to_bits(), want.to_bits(), "{positions}");
            }
        }
    }

    #[test]
    fn cache_formats_are_close_to_each_other_and_to_fp64() {
        let (d, heads, kv, positions) = (64, 14, 2, 200);
        let q = noise(heads * d, 1);
        let run = |t| {
            let mut out = vec![0.0; heads * d];
            attend(
                &q,
                heads,
                &cache(Order::Keys, t, kv, d, positions),
                &cache(Order::Values, t, kv, d, positions),
                positions,
                &mut out,
            );
            out
        };
        let rows = |order| -> Vec<Vec<Vec<f32>>> {
            let caches = cache(order, CacheType::F32, kv, d, positions);
            let of = |c: &HeadCache| (0..positions).map(|j| c.row(j)).collect();
            caches.iter().map(of).collect()
        };
        let (k, v) = (rows(Order::Keys), rows(Order::Values));
        let mut want = Vec::new();
        for (h, q) in q.chunks(d).enumerate() {
            let kv = h / (heads / kv);
            let dot = |k: &Vec<f32>| -> f64 {
                q.iter()
                    .zip(k)
                    .map(|(a, b)| f64::from(*a) * f64::from(*b))
                    .sum()
            };
            let p: Vec<f64> = k[kv].iter().map(|k| (dot(k) / 8.0).exp()).collect();
            let sum: f64 = p.iter().sum();
            for i in 0..d {
                let o: f64 = p.iter().zip(&v[kv]).map(|(p, v)| p * f64::from(v[i])).sum();
                want.push((o / sum) as f32);
            }
        }
        let formats = [
            (CacheType::F32, 1e-6),
            (CacheType::F16, 2e-4),
            (CacheType::Q8, 4e-3),
        ];
        for (t, error) in formats {
            for (a, b) in run(t).iter().zip(&want) {
                assert!((a - b).abs() < error, "{t:?}: {a}, expected {b}");
            }
        }
    }

    #[test]
    fn softmax_knows_large_numbers_and_every_length() {
        let mut p = vec![1e30, 1e30, -1e30, 0.0];
        let max = largest(&p, 1, 3);
        assert_eq!(max[0], 1e30);
        assert_eq!(exponentials(&mut p, 1, 3, &max)[0], 2.0);
        assert!(p[..2] == [1.0, 1.0] && p[2] < 2e-38);
        for heads in 1..=PART {
            for n in 1..40usize {
                let x = noise(n.next_multiple_of(4) * heads, 5);
                let x: Vec<f32> = x.iter().map(|v| v * 20.0).collect();
                let (a, b) = both(|| {
                    let mut x = x.clone();
                    let max = largest(&x, heads, n);
                    let sums = exponentials(&mut x, heads, n, &max);
                    (bits(&max), bits(&sums[..heads]), bits(&x))
                });
                assert_eq!(a, b);
            }
        }
    }
}
