//! The range of each group (Lin et al., "AWQ", the appendix on weight clipping), here with a lower and an upper end that are
//! searched separately, on a grid of both.
//!
//! A trial's error is that of the outputs, d^T G d + 2 d^T c: d is the error of the group's weights, G the group's block of
//! the inputs' Gram matrix, and c what the groups before it in the row already lost, as these inputs see it. All trials of a
//! group are measured side by side, 16 in a register.

use half::f16;
use macromac_format::{GROUP, QuantMatrix};
use rayon::prelude::*;

use crate::kernels::fused;

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
    assert!(k % group == 0 && group % GROUP == 0, "groups of {group} in {k}");
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
                    round(&w[at.clone()], step, zero, &mut q[at.clone()], &mut lost[at]);
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
        for t in 0..BATCHES * LANES {
            let trial = if t < ENDS * ENDS { t } else { 0 };
            let end = |i: usize| 1.0 - END_STEP * i as f32;
            let (low, high) = (min * end(trial / ENDS), max * end(trial % ENDS));
            // At least the smallest FP16, as in plain rounding. Divided before subtracted, for the difference may exceed FP32.
            scales[t] = f16::from_f32(high / 15.0 - low / 15.0).max(f16::from_bits(1));
            self.steps[t] = scales[t].to_f32();
            self.zeros[t] = (-low / self.steps[t]).round_ties_even().clamp(0.0, 15.0);
        }
        measure(w, form, cross, &self.steps, &self.zeros, &mut self.delta, &mut self.errors);
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
            for l in 0..PARTS {
                total += sum[r][l];
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
