//! FP32 matrix products of the quantizer: fast, and in one written order, so that its choices depend neither on the machine nor
//! on the number of threads.
//!
//! The order of a sum over k: blocks of [`DEPTH`] terms, each summed from +0 in rising order by fused multiply-adds, are
//! added one after the other to what the result held before. Every result has an accumulator of its own, so the
//! width of the vectors does not show.
//!
//! The blocking is that of Goto and van de Geijn ("Anatomy of High-Performance Matrix Multiplication", 2008): both sides are
//! copied into panels that the innermost loop reads from front to end, 6 x 16 results at a time (12 AVX2 registers).

use rayon::prelude::*;

use macromac_ps::fused;

/// Terms that are summed before they are added to the result.
const DEPTH: usize = 256;
/// Rows and columns of the results that stay in registers.
const TALL: usize = 6;
const WIDE: usize = 16;
/// Rows of the result that a task takes: 32 panels, 192 kB at full depth.
const ROWS: usize = 32 * TALL;

/// The right side of a product, B [n, k] for `A B^T`, in panels: by blocks of [`DEPTH`] terms, in each by 16 rows, in each
/// term after term.
#[derive(Debug, Clone)]
pub struct Panels {
    n: usize,
    k: usize,
    data: Vec<f32>,
}

impl Panels {
    /// Panels of a matrix of which `row(i, out)` gives row i, k long.
    pub fn new(n: usize, k: usize, row: impl Fn(usize, &mut [f32]) + Sync) -> Self {
        let width = n.next_multiple_of(WIDE);
        let mut data = vec![0.0; width * k];
        // Sixteen rows at a time go to their panel of each block.
        let mut homes: Vec<Vec<&mut [f32]>> = Vec::new();
        homes.resize_with(n.div_ceil(WIDE), Vec::new);
        let mut rest = &mut data[..];
        for from in (0..k).step_by(DEPTH) {
            let depth = DEPTH.min(k - from);
            for home in &mut homes {
                let (panel, after) = rest.split_at_mut(depth * WIDE);
                home.push(panel);
                rest = after;
            }
        }
        homes.into_par_iter().enumerate().for_each_init(
            || vec![0.0; WIDE * k],
            |rows, (at, blocks)| {
                let count = WIDE.min(n - at * WIDE);
                rows[count * k..].fill(0.0);
                for (i, out) in rows.chunks_exact_mut(k).take(count).enumerate() {
                    row(at * WIDE + i, out);
                }
                for (block, panel) in blocks.into_iter().enumerate() {
                    across(&rows[block * DEPTH..], k, WIDE, WIDE, panel);
                }
            },
        );
        Panels { n, k, data }
    }

    /// Rows of B, which are columns of the product.
    pub fn n(&self) -> usize {
        self.n
    }

    /// `out += A B^T` for A [m, k] and `out` [m, n], row after row.
    ///
    /// # Panics
    /// If the lengths do not belong together.
    pub fn multiply(&self, a: &[f32], out: &mut [f32]) {
        let (n, k) = (self.n, self.k);
        assert_eq!(a.len() / k * n, out.len(), "rows of A and of the product");
        out.par_chunks_mut(ROWS * n)
            .zip(a.par_chunks(ROWS * k))
            .for_each_init(
                || vec![0.0; ROWS * DEPTH],
                |left, (out, a)| {
                    let width = n.next_multiple_of(WIDE);
                    for from in (0..k).step_by(DEPTH) {
                        let depth = DEPTH.min(k - from);
                        let right = &self.data[from * width..][..depth * width];
                        let rows = a.len() / k;
                        for (i, panel) in left.chunks_exact_mut(depth * TALL).enumerate() {
                            let Some(count) = rows.checked_sub(i * TALL).filter(|c| *c > 0) else {
                                break;
                            };
                            across(&a[i * TALL * k + from..], k, TALL, count.min(TALL), panel);
                        }
                        block(left, right, depth, out, n);
                    }
                },
            );
    }
}

/// Sums of `X^T X` over the rows of X, which come piece by piece: what the error of a matrix with these inputs depends on.
#[derive(Debug)]
pub struct Gram {
    k: usize,
    rows: usize,
    /// Panels of 16 columns right of the diagonal and across it, [k, k]; what is left of them is not computed.
    sum: Vec<f32>,
    /// X in panels; kept, for fresh memory costs as much as filling it.
    panels: Vec<f32>,
}

impl Gram {
    /// Of rows of k numbers.
    ///
    /// # Panics
    /// If k is no multiple of 16.
    pub fn new(k: usize) -> Self {
        assert_eq!(k % WIDE, 0, "inputs of a quantized matrix come in groups");
        Gram {
            k,
            rows: 0,
            sum: vec![0.0; k * k],
            panels: Vec::new(),
        }
    }

    /// Counts the rows of `x` [rows, k] in.
    pub fn add(&mut self, x: &[f32]) {
        let k = self.k;
        let rows = x.len() / k;
        self.rows += rows;
        let width = k;
        // Panel after panel of 16 columns, each over all rows: its blocks follow each other.
        let Gram {
            sum, panels: right, ..
        } = self;
        right.resize(width * rows, 0.0);
        right
            .par_chunks_exact_mut(rows * WIDE)
            .enumerate()
            .for_each(|(at, panel)| {
                along(&x[at * WIDE..], k, WIDE, WIDE.min(k - at * WIDE), panel)
            });
        sum.par_chunks_mut(ROWS / 2 * k).enumerate().for_each_init(
            || vec![0.0; ROWS / 2 * DEPTH],
            |left, (task, out)| {
                let top = task * (ROWS / 2);
                let count = out.len() / k;
                for from in (0..rows).step_by(DEPTH) {
                    let depth = DEPTH.min(rows - from);
                    for (i, panel) in left.chunks_exact_mut(depth * TALL).enumerate() {
                        let Some(here) = count.checked_sub(i * TALL).filter(|c| *c > 0) else {
                            break;
                        };
                        let x = &x[from * k + top + i * TALL..];
                        along(x, k, TALL, here.min(TALL), panel);
                    }
                    for at in top / WIDE..width / WIDE {
                        let right = &right[at * rows * WIDE + from * WIDE..][..depth * WIDE];
                        block(left, right, depth, &mut out[at * WIDE..], k);
                    }
                }
            },
        );
    }

    /// The mean over all rows, [k, k], both halves.
    pub fn mean(mut self) -> Vec<f32> {
        let k = self.k;
        let share = 1.0 / self.rows as f32;
        for row in 0..k {
            for column in row..k {
                let v = self.sum[row * k + column] * share;
                self.sum[row * k + column] = v;
                self.sum[column * k + row] = v;
            }
        }
        self.sum
    }
}

/// Writes `count` rows of a matrix with `stride` numbers a row to a panel, term after term: panel[t][i] = rows[i][t].
fn across(rows: &[f32], stride: usize, width: usize, count: usize, panel: &mut [f32]) {
    let depth = panel.len() / width;
    if count < width {
        panel.fill(0.0);
    }
    for i in 0..count {
        let row = &rows[i * stride..][..depth];
        for (out, v) in panel.chunks_exact_mut(width).zip(row) {
            out[i] = *v;
        }
    }
}

/// Writes `count` columns of a matrix with `stride` numbers a row to a panel: panel[t][i] = matrix[t][i].
fn along(matrix: &[f32], stride: usize, width: usize, count: usize, panel: &mut [f32]) {
    for (t, out) in panel.chunks_exact_mut(width).enumerate() {
        out[..count].copy_from_slice(&matrix[t * stride..][..count]);
        out[count..].fill(0.0);
    }
}

fused! {
    /// Adds the products of panels of 6 rows (`left`) and panels of 16 columns (`right`) over `depth` terms to `out`, whose rows
    /// are `stride` apart; what the panels have beyond its edges is dropped.
    fn block(left: &[f32], right: &[f32], depth: usize, out: &mut [f32], stride: usize) {
        for (at, right) in right.chunks_exact(depth * WIDE).enumerate() {
            let column = at * WIDE;
            for (at, left) in left.chunks_exact(depth * TALL).enumerate() {
                let row = at * TALL;
                if row * stride + column >= out.len() {
                    break;
                }
                let mut sum = [[0f32; WIDE]; TALL];
                for (l, r) in left.chunks_exact(TALL).zip(right.chunks_exact(WIDE)) {
                    for i in 0..TALL {
                        for j in 0..WIDE {
                            sum[i][j] = l[i].mul_add(r[j], sum[i][j]);
                        }
                    }
                }
                for (i, sum) in sum.iter().enumerate() {
                    let from = (row + i) * stride + column;
                    if from >= out.len() {
                        break;
                    }
                    let out = &mut out[from..];
                    // A whole row of the tile, of a length that the compiler knows, or its edge.
                    if let (true, Some(out)) = (stride - column >= WIDE, out.first_chunk_mut::<WIDE>()) {
                        for j in 0..WIDE {
                            out[j] += sum[j];
                        }
                    } else {
                        for (out, v) in out.iter_mut().take(stride - column).zip(sum) {
                            *out += v;
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::kernels::portable::both;

    /// Numbers between -1 and 1.
    pub fn noise(n: usize, seed: u32) -> Vec<f32> {
        let mut s = seed;
        (0..n)
            .map(|_| {
                s = s.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (s >> 8) as f32 / (1 << 23) as f32 - 1.0
            })
            .collect()
    }

    fn bits(v: &[f32]) -> Vec<u32> {
        v.iter().map(|v| v.to_bits()).collect()
    }

    /// The written order, in one line a rule.
    fn written(
        start: f32,
        terms: usize,
        a: impl Fn(usize) -> f32,
        b: impl Fn(usize) -> f32,
    ) -> f32 {
        let mut result = start;
        for from in (0..terms).step_by(256) {
            let mut sum = 0f32;
            for i in from..terms.min(from + 256) {
                sum = a(i).mul_add(b(i), sum);
            }
            result += sum;
        }
        result
    }

    fn in_threads<T: Send>(threads: usize, f: impl FnOnce() -> T + Send) -> T {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().unwrap().install(f)
    }

    #[test]
    fn a_product_has_the_written_order_at_every_edge_and_for_any_number_of_threads() {
        for (m, n, k) in [(1, 1, 1), (6, 16, 256), (200, 37, 300), (13, 50, 600)] {
            let (a, b, start) = (noise(m * k, 1), noise(n * k, 2), noise(m * n, 3));
            let run = |threads| {
                in_threads(threads, || {
                    let panels = Panels::new(n, k, |i, out| out.copy_from_slice(&b[i * k..][..k]));
                    let mut out = start.clone();
                    panels.multiply(&a, &mut out);
                    bits(&out)
                })
            };
            let want: Vec<u32> = (0..m * n)
                .map(|at| {
                    let (i, j) = (at / n, at % n);
                    written(start[at], k, |t| a[i * k + t], |t| b[j * k + t]).to_bits()
                })
                .collect();
            assert!(run(1) == want && run(3) == want, "{m} x {n} x {k}");
        }
    }

    #[test]
    fn a_gram_matrix_has_the_written_order_and_both_halves() {
        let (k, rows) = (208, [300, 1, 513]);
        let x = noise(k * rows.iter().sum::<usize>(), 5);
        let run = |threads| {
            in_threads(threads, || {
                let mut gram = Gram::new(k);
                let mut rest = &x[..];
                for rows in rows {
                    let (piece, after) = rest.split_at(rows * k);
                    gram.add(piece);
                    rest = after;
                }
                bits(&gram.mean())
            })
        };
        let have = run(1);
        assert!(have == run(3));
        for (i, j) in [
            (0, 0),
            (0, 207),
            (207, 0),
            (95, 96),
            (96, 95),
            (100, 17),
            (206, 207),
        ] {
            let (mut want, mut from) = (0.0, 0);
            for rows in rows {
                let at = |t: usize, c: usize| x[(from + t) * k + c];
                want = written(want, rows, |t| at(t, i.min(j)), |t| at(t, i.max(j)));
                from += rows;
            }
            let want = want * (1.0 / from as f32);
            assert_eq!(have[i * k + j], want.to_bits(), "[{i}, {j}]");
        }
    }

    #[test]
    fn same_bits_without_fma_instructions() {
        let (left, right) = (noise(2 * TALL * 70, 7), noise(3 * WIDE * 70, 8));
        let (fast, slow) = both(|| {
            // Eleven rows and 41 columns of the 12 and 48 that the panels have.
            let mut out = noise(11 * 41, 9);
            block(&left, &right, 70, &mut out, 41);
            bits(&out)
        });
        assert_eq!(fast, slow);
    }
}
