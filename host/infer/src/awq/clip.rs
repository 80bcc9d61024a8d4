//! The range of each group (Lin et al., "AWQ", the appendix on weight clipping), here with a lower and an upper end that are
//! searched separately, on a grid of both.
//!
//! A trial's error is that of the outputs, d^T G d + 2 d^T c: d is the error of the group's weights, G the group's block of
//! the inputs' Gram matrix, and c what the groups before it in the row already lost, as these inputs see it. All trials of a
//! group are measured side by side, 16 in a register.

use half::f16;
use macromac_format::{GROUP, QuantMatrix};
use rayon::prelude::*;

use macromac_ps::fused;

/// Trials of each end of a range: 1, 0.95, ...
const ENDS: usize = 10;
const END_STEP: f32 = 0.05;
/// Trials in a register.
const LANES: usize = 16;
/// Registers of trials; what is beyond `ENDS` squared repeats the first trial.
const BATCHES: usize = (ENDS * ENDS).div_ceil(LANES);
/// Weights whose products with G are summed side by side.
const ABREAST: usize = 4;
/// Rows that a task takes: they share what they read of the Gram matrix.
const ROWS: usize = 32;
/// Rows of the Gram matrix that are multiplied side by side.
const STRIPS: usize = 8;

/// Quantizes `w` [n, k], each group of `group` weights of a row in the range that loses least. `gram` is [k, k].
///
/// # Panics
/// If k is no multiple of `group`, or `group` none of the format's 64.
pub fn clip(w: &[f32], k: usize, group: usize, gram: &[f32]) -> QuantMatrix {
    assert!(
        k % group == 0 && group % GROUP == 0,
        "groups of {group} in {k}"
    );
    let (n, groups) = (w.len() / k, k / GROUP);
    let forms: Vec<f32> = (0..k / group)
        .into_par_iter()
        .flat_map_iter(|g| form(gram, k, g * group, group))
        .collect();
    let mut m = QuantMatrix {
        n,
        k,
        q: vec![0; n * k],
        scales: vec![f16::ZERO; n * groups],
        zeros: vec![0; n * groups],
    };
    m.q.par_chunks_mut(ROWS * k)
        .zip(m.scales.par_chunks_mut(ROWS * groups))
        .zip(m.zeros.par_chunks_mut(ROWS * groups))
        .zip(w.par_chunks(ROWS * k))
        .for_each(|(((q, scales), zeros), w)| {
            let mut lost = vec![0f32; w.len()];
            let mut trials = Trials::new(group);
            let mut cross = vec![0f32; w.len() / k * group];
            for (g, form) in forms.chunks_exact(group * group).enumerate() {
                let from = g * group;
                before(&gram[from * k..][..group * k], k, from, &lost, &mut cross);
                for (row, cross) in cross.chunks_exact(group).enumerate() {
                    let at = row * k + from..row * k + from + group;
                    let (scale, zero) = trials.best(&w[at.clone()], form, cross);
                    // A longer group is several of the format's with one range.
                    let here = row * groups + from / GROUP..row * groups + (from + group) / GROUP;
                    scales[here.clone()].fill(scale);
                    zeros[here].fill(zero);
                    let (step, zero) = (scale.to_f32(), f32::from(zero));
                    round(
                        &w[at.clone()],
                        step,
                        zero,
                        &mut q[at.clone()],
                        &mut lost[at],
                    );
                }
            }
        });
    m
}

/// The quadratic form d^T G d of a group as a lower triangle: G on the diagonal, twice G below it, nothing above.
fn form(gram: &[f32], k: usize, from: usize, group: usize) -> Vec<f32> {
    let mut out = vec![0.0; group * group];
    for (i, out) in out.chunks_exact_mut(group).enumerate() {
        let row = &gram[(from + i) * k + from..];
        for (out, g) in out.iter_mut().zip(&row[..i]) {
            *out = 2.0 * g;
        }
        out[i] = row[i];
    }
    out
}

/// The trials of a group, in memory that is used again.
struct Trials {
    steps: [f32; BATCHES * LANES],
    zeros: [f32; BATCHES * LANES],
    errors: [f32; BATCHES * LANES],
    /// Errors of the weights under a batch of trials, [group, LANES].
    delta: Vec<f32>,
}

impl Trials {
    fn new(group: usize) -> Self {
        Trials {
            steps: [0.0; BATCHES * LANES],
            zeros: [0.0; BATCHES * LANES],
            errors: [0.0; BATCHES * LANES],
            delta: vec![0.0; group * LANES],
        }
    }

    /// Scale and zero of the range of `w` that loses least.
    fn best(&mut self, w: &[f32], form: &[f32], cross: &[f32]) -> (f16, u8) {
        let min = w.iter().fold(0f32, |m, v| m.min(*v));
        let max = w.iter().fold(0f32, |m, v| m.max(*v));
        let mut scales = [f16::ZERO; BATCHES * LANES];
        for (t, scale) in scales.iter_mut().enumerate() {
            let trial = if t < ENDS * ENDS { t } else { 0 };
            let end = |i: usize| 1.0 - END_STEP * i as f32;
            let (low, high) = (min * end(trial / ENDS), max * end(trial % ENDS));
            // At least the smallest FP16, as in plain rounding. Divided before subtracted, for the difference may exceed FP32.
            *scale = f16::from_f32(high / 15.0 - low / 15.0).max(f16::from_bits(1));
            self.steps[t] = scale.to_f32();
            self.zeros[t] = (-low / self.steps[t]).round_ties_even().clamp(0.0, 15.0);
        }
        measure(
            w,
            form,
            cross,
            &self.steps,
            &self.zeros,
            &mut self.delta,
            &mut self.errors,
        );
        let mut best = 0;
        for (t, error) in self.errors.iter().enumerate().take(ENDS * ENDS) {
            // Strictly smaller: the first of equal trials stays, whatever the machine.
            if *error < self.errors[best] {
                best = t;
            }
        }
        (scales[best], self.zeros[best] as u8)
    }
}

fused! {
    /// The error of each trial; `delta` is scratch.
    fn measure(
        w: &[f32],
        form: &[f32],
        cross: &[f32],
        steps: &[f32],
        zeros: &[f32],
        delta: &mut [f32],
        errors: &mut [f32],
    ) {
        let n = w.len();
        for batch in 0..BATCHES {
            let steps: &[f32; LANES] = steps[batch * LANES..].first_chunk().expect("whole batches");
            let zeros: &[f32; LANES] = zeros[batch * LANES..].first_chunk().expect("whole batches");
            for (delta, w) in delta.chunks_exact_mut(LANES).zip(w) {
                for l in 0..LANES {
                    delta[l] = (quantum(*w, steps[l], zeros[l]) - zeros[l]) * steps[l] - w;
                }
            }
            let mut error = [0f32; LANES];
            for i in (0..n).step_by(ABREAST) {
                let rows: [&[f32]; ABREAST] = [
                    &form[i * n..][..i + ABREAST],
                    &form[(i + 1) * n..][..i + ABREAST],
                    &form[(i + 2) * n..][..i + ABREAST],
                    &form[(i + 3) * n..][..i + ABREAST],
                ];
                let mut sum = [[0f32; LANES]; ABREAST];
                for (j, delta) in delta.chunks_exact(LANES).take(i + ABREAST).enumerate() {
                    for r in 0..ABREAST {
                        let g = rows[r][j];
                        for l in 0..LANES {
                            sum[r][l] = g.mul_add(delta[l], sum[r][l]);
                        }
                    }
                }
                for r in 0..ABREAST {
                    let delta = &delta[(i + r) * LANES..][..LANES];
                    let twice = 2.0 * cross[i + r];
                    for l in 0..LANES {
                        error[l] = delta[l].mul_add(sum[r][l] + twice, error[l]);
                    }
                }
            }
            errors[batch * LANES..][..LANES].copy_from_slice(&error);
        }
    }
}

/// `cross[r][i]`: row i of `strip` [group, k], the Gram matrix's rows of a group, times what row r lost in its first `from` weights.
fn before(strip: &[f32], k: usize, from: usize, lost: &[f32], cross: &mut [f32]) {
    let group = strip.len() / k;
    for (at, strips) in strip.chunks_exact(STRIPS * k).enumerate() {
        for (lost, cross) in lost.chunks_exact(k).zip(cross.chunks_exact_mut(group)) {
            let cross = &mut cross[at * STRIPS..][..STRIPS];
            strips_product(strips, k, &lost[..from], cross);
        }
    }
}

fused! {
    /// Products of eight rows, k apart, with `x`: eight partial sums each, folded one after the other.
    fn strips_product(rows: &[f32], k: usize, x: &[f32], out: &mut [f32]) {
        const PARTS: usize = 8;
        let mut sum = [[0f32; PARTS]; STRIPS];
        for (i, x) in x.chunks_exact(PARTS).enumerate() {
            for r in 0..STRIPS {
                let row = &rows[r * k + i * PARTS..][..PARTS];
                for l in 0..PARTS {
                    sum[r][l] = row[l].mul_add(x[l], sum[r][l]);
                }
            }
        }
        for r in 0..STRIPS {
            let mut total = 0.0;
            for part in sum[r] {
                total += part;
            }
            out[r] = total;
        }
    }
}

fused! {
    /// Weights to their nearest step, and the errors of that.
    fn round(w: &[f32], step: f32, zero: f32, q: &mut [u8], lost: &mut [f32]) {
        for ((w, q), lost) in w.iter().zip(q).zip(lost) {
            let v = quantum(*w, step, zero);
            *q = v as u8;
            *lost = (v - zero) * step - w;
        }
    }
}

#[inline(always)]
pub(super) fn quantum(w: f32, step: f32, zero: f32) -> f32 {
    ((w / step).round_ties_even() + zero).clamp(0.0, 15.0)
}

#[cfg(test)]
mod tests {
    use super::super::gemm::Gram;
    use super::super::gemm::tests::noise;
    use super::*;
    use crate::kernels::portable::both;
    use crate::quant::quantize;

    /// Gram matrix of inputs that hang together.
    fn gram(k: usize) -> Vec<f32> {
        let mut x = noise(3 * k * k, 11);
        for i in k..x.len() {
            x[i] += 0.8 * x[i - 1];
        }
        let mut gram = Gram::new(k);
        gram.add(&x);
        gram.mean()
    }

    /// d^T G d over whole rows.
    fn loss(w: &[f32], m: &QuantMatrix, gram: &[f32]) -> f64 {
        let k = m.k;
        let mut total = 0.0;
        for row in 0..m.n {
            let d: Vec<f64> = (0..k)
                .map(|i| f64::from(m.weight(row, i) - w[row * k + i]))
                .collect();
            for i in 0..k {
                let inner: f64 = (0..k).map(|j| f64::from(gram[i * k + j]) * d[j]).sum();
                total += d[i] * inner;
            }
        }
        total
    }

    #[test]
    fn a_trial_is_measured_as_the_formula_says_with_the_same_bits_without_fma() {
        let (w, g, cross) = (noise(64, 1), gram(64), noise(64, 2));
        let form = form(&g, 64, 0, 64);
        let steps: Vec<f32> = (0..BATCHES * LANES)
            .map(|t| 0.05 + 0.001 * t as f32)
            .collect();
        let zeros: Vec<f32> = (0..BATCHES * LANES).map(|t| (t % 16) as f32).collect();
        let (fast, slow) = both(|| {
            let (mut delta, mut errors) = (vec![0.0; 64 * LANES], vec![0.0; BATCHES * LANES]);
            measure(&w, &form, &cross, &steps, &zeros, &mut delta, &mut errors);
            errors
        });
        let bits = |v: &[f32]| v.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&fast), bits(&slow));
        for t in [0, 15, 16, 77, 99] {
            let d: Vec<f64> = w
                .iter()
                .map(|w| f64::from((quantum(*w, steps[t], zeros[t]) - zeros[t]) * steps[t] - w))
                .collect();
            let mut want = 0.0;
            for i in 0..64 {
                let inner: f64 = (0..64).map(|j| f64::from(g[i * 64 + j]) * d[j]).sum();
                want += d[i] * (inner + 2.0 * f64::from(cross[i]));
            }
            assert!(
                (f64::from(fast[t]) / want - 1.0).abs() < 1e-4,
                "{t}: {} {want}",
                fast[t]
            );
        }
    }

    #[test]
    fn clipping_loses_less_than_rounding_and_no_tail_of_rows_is_forgotten() {
        let (n, k) = (ROWS + 5, 192);
        let (w, g) = (noise(n * k, 3), gram(k));
        let rounded = quantize(n, k, GROUP, |row, out| {
            out.copy_from_slice(&w[row * k..][..k])
        })
        .unwrap();
        let clipped = clip(&w, k, GROUP, &g);
        let (before, after) = (loss(&w, &rounded, &g), loss(&w, &clipped, &g));
        assert!(after < 0.9 * before, "{after} of {before}");
        // A row's result depends on the row alone.
        let last = clip(&w[(n - 1) * k..], k, GROUP, &g);
        assert_eq!(clipped.q[(n - 1) * k..], last.q);
        assert_eq!(clipped.scales[(n - 1) * 3..], last.scales);
    }

    #[test]
    fn a_longer_group_has_one_range() {
        let k = 256;
        let m = clip(&noise(3 * k, 4), k, 2 * GROUP, &gram(k));
        assert!(m.scales.chunks(2).all(|s| s[0] == s[1]));
        assert!(m.zeros.chunks(2).all(|z| z[0] == z[1]));
    }

    #[test]
    fn products_of_strips_are_those_of_their_rows() {
        let (k, from) = (100, 64);
        let (rows, x) = (noise(STRIPS * k, 5), noise(from, 6));
        let (fast, slow) = both(|| {
            let mut out = [0.0; STRIPS];
            strips_product(&rows, k, &x, &mut out);
            out.map(f32::to_bits)
        });
        assert_eq!(fast, slow);
        for (r, have) in fast.iter().enumerate() {
            let want: f32 = (0..from).map(|i| rows[r * k + i] * x[i]).sum();
            assert!((f32::from_bits(*have) - want).abs() < 1e-5);
        }
    }
}
