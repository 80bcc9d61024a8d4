//! The two searches of AWQ (Lin et al., "AWQ: Activation-aware Weight Quantization", MLSys 2024): scales of input channels
//! (section 3.2), and the range of a group (its appendix on weight clipping), here with a lower and an upper end.
//!
//! Both measure the error of a matrix's outputs, tr(D G D^T) with D the error of the weights and G the Gram matrix of
//! the inputs, instead of multiplying again for every trial.

use half::f16;
use macromac_format::{GROUP, QuantMatrix};
use rayon::prelude::*;

use super::matmul::matmul_nt;
use crate::quant::quantize_row_in;

/// Trials of the exponent alpha: 0, 1/20, ... 19/20.
const ALPHAS: usize = 20;
/// Rows that the search for scales looks at, evenly spread; a scale serves all rows alike.
const SCALE_ROWS: usize = 2048;
/// Trials of each end of a range: 1, 0.95, ...
const CLIPS: usize = 10;
const CLIP_STEP: f32 = 0.05;

/// Scales of the input channels of `w` [n, k] that lose least: weights are multiplied by them and inputs divided. `size` is
/// the mean magnitude of each input, `group` the input channels that share a scale, 64 or 128.
///
/// s = size^alpha (the paper's equation 5), or size^alpha / weight^(1 - alpha) with the mean magnitude of the weights
/// within their groups, as the authors' implementation has it; both are tried for every alpha, and the better stays.
pub fn scales(w: &[f32], k: usize, size: &[f32], gram: &[f32], group: usize) -> Vec<f32> {
    let n = w.len() / k;
    let step = n.div_ceil(SCALE_ROWS);
    let sample: Vec<f32> = w.chunks_exact(k).step_by(step).flatten().copied().collect();
    let weight = relative_size(w, k, group);
    let mut best = (f64::INFINITY, vec![1.0; k]);
    for alpha in (0..ALPHAS).map(|i| i as f32 / ALPHAS as f32) {
        for beta in [0.0, 1.0 - alpha] {
            let trial = normalized(size, &weight, alpha, beta);
            let error = scaled_error(&sample, k, &trial, gram, group);
            // Strictly smaller: the first of equal trials stays, whatever the machine.
            if error < best.0 {
                best = (error, trial);
            }
        }
    }
    best.1
}

/// Mean over the rows of |w| / largest |w| of its group, by input channel.
fn relative_size(w: &[f32], k: usize, group: usize) -> Vec<f32> {
    let mut sum = vec![0f64; k];
    for row in w.chunks_exact(k) {
        for (group, sum) in row.chunks(group).zip(sum.chunks_mut(group)) {
            let max = group.iter().fold(1e-12f32, |m, v| m.max(v.abs()));
            for (sum, v) in sum.iter_mut().zip(group) {
                *sum += f64::from(v.abs() / max);
            }
        }
    }
    let rows = (w.len() / k) as f64;
    sum.iter().map(|s| (s / rows) as f32).collect()
}

/// Scales for a pair of exponents, their extremes symmetric around 1, within what FP16 scales can bear.
fn normalized(size: &[f32], weight: &[f32], alpha: f32, beta: f32) -> Vec<f32> {
    let raw = size
        .iter()
        .zip(weight)
        .map(|(x, w)| (x.max(1e-8).powf(alpha) / (w + 1e-4).powf(beta)).max(1e-4));
    let raw: Vec<f32> = raw.collect();
    let max = raw.iter().fold(0f32, |m, v| m.max(*v));
    let min = raw.iter().fold(f32::INFINITY, |m, v| m.min(*v));
    let middle = (max * min).sqrt();
    raw.iter().map(|v| (v / middle).clamp(1e-3, 1e3)).collect()
}

/// tr(D G D^T) of `w` quantized under scales.
fn scaled_error(w: &[f32], k: usize, scales: &[f32], gram: &[f32], group: usize) -> f64 {
    let mut delta = w.to_vec();
    delta.par_chunks_exact_mut(k).for_each(|row| {
        let scaled: Vec<f32> = row.iter().zip(scales).map(|(w, s)| w * s).collect();
        let groups = k.div_ceil(GROUP);
        let (mut q, mut z) = (vec![0; k], vec![0; groups]);
        let mut s16 = vec![f16::ZERO; groups];
        if quantize_row_in(group, 0, &scaled, &mut q, &mut s16, &mut z).is_err() {
            // Beyond FP16 under these scales: an infinite error is never the best.
            row.fill(f32::INFINITY);
            return;
        }
        for (i, w) in row.iter_mut().enumerate() {
            let g = i / GROUP;
            let value = (f32::from(q[i]) - f32::from(z[g])) * s16[g].to_f32();
            *w = value / scales[i] - *w;
        }
    });
    let product = matmul_nt(&delta, gram, k);
    let rows = delta.chunks_exact(k).zip(product.chunks_exact(k));
    rows.map(|(d, p)| {
        let terms = d.iter().zip(p).map(|(d, p)| f64::from(*d) * f64::from(*p));
        terms.sum::<f64>()
    })
    .sum()
}

/// Quantizes `w` [n, k], each group in the range that loses least. The lower and the upper end are searched separately, on a
/// grid of both; the error counts what the groups before it in the row already lost. `group` divides k.
pub fn clip(w: &[f32], k: usize, gram: &[f32], group: usize) -> QuantMatrix {
    let (n, groups) = (w.len() / k, k.div_ceil(GROUP));
    let mut m = QuantMatrix {
        n,
        k,
        q: vec![0; n * k],
        scales: vec![f16::ZERO; n * groups],
        zeros: vec![0; n * groups],
    };
    m.q.par_chunks_mut(k)
        .zip(m.scales.par_chunks_mut(groups))
        .zip(m.zeros.par_chunks_mut(groups))
        .zip(w.par_chunks_exact(k))
        .for_each(|(((q, scales), zeros), w)| clip_row(w, gram, group, (q, scales, zeros)));
    m
}

fn clip_row(
    w: &[f32],
    gram: &[f32],
    group: usize,
    (q, scales, zeros): (&mut [u8], &mut [f16], &mut [u8]),
) {
    let k = w.len();
    let mut lost = vec![0f32; k];
    // A scale and a zero for every 64 input channels, equal ones within a group.
    let blocks = group / GROUP;
    let params = scales.chunks_mut(blocks).zip(zeros.chunks_mut(blocks));
    for (g, (scales, zeros)) in params.enumerate() {
        let at = g * group..((g + 1) * group).min(k);
        let part = &w[at.clone()];
        let block = |i: usize| &gram[(at.start + i) * k..][at.clone()];
        // G's part of this group times what the earlier groups lost: the cross term.
        let cross: Vec<f32> = at
            .clone()
            .map(|i| {
                let row = &gram[i * k..][..at.start];
                row.iter().zip(&lost).map(|(g, d)| g * d).sum()
            })
            .collect();
        let min = part.iter().fold(0f32, |m, v| m.min(*v));
        let max = part.iter().fold(0f32, |m, v| m.max(*v));
        let mut best = (f32::INFINITY, f16::from_bits(1), 0u8);
        let mut delta = vec![0f32; part.len()];
        for trial in 0..CLIPS * CLIPS {
            let end = |i: usize| 1.0 - CLIP_STEP * i as f32;
            let (low, high) = (min * end(trial / CLIPS), max * end(trial % CLIPS));
            let scale = f16::from_f32(high / 15.0 - low / 15.0).max(f16::from_bits(1));
            let step = scale.to_f32();
            let zero = (-low / step).round_ties_even().clamp(0.0, 15.0);
            for (d, w) in delta.iter_mut().zip(part) {
                *d = (quantum(*w, step, zero) - zero) * step - w;
            }
            let error: f32 = (0..delta.len())
                .map(|i| {
                    let inner: f32 = block(i).iter().zip(&delta).map(|(g, d)| g * d).sum();
                    delta[i] * (inner + 2.0 * cross[i])
                })
                .sum();
            if error < best.0 {
                best = (error, scale, zero as u8);
            }
        }
        let (_, scale, zero) = best;
        scales.fill(scale);
        zeros.fill(zero);
        let (step, zero) = (scale.to_f32(), f32::from(zero));
        for (i, w) in at.clone().zip(part) {
            let v = quantum(*w, step, zero);
            q[i] = v as u8;
            lost[i] = (v - zero) * step - w;
        }
    }
}

fn quantum(w: f32, step: f32, zero: f32) -> f32 {
    ((w / step).round_ties_even() + zero).clamp(0.0, 15.0)
}
