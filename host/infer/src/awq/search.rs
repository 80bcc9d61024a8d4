//! The search for the scales of input channels (Lin et al., "AWQ: Activation-aware Weight Quantization for On-Device LLM
//! Compression and Acceleration", MLSys 2024, section 3.2).
//!
//! It measures the error of a matrix's outputs, tr(D G D^T) with D the error of the weights and G the Gram matrix of the
//! inputs, instead of multiplying again for every trial.

use half::f16;
use rayon::prelude::*;

use super::clip::quantum;
use super::gemm::Panels;
use crate::kernels::fused;
use crate::kernels::math::power;

/// Trials of the exponent alpha: 0, 1/20, ... 19/20.
const ALPHAS: usize = 20;
/// Weights that the search looks at, at least; whole rows, evenly spread. A scale serves all rows alike.
const SAMPLE: usize = 1 << 20;
/// Rows that it looks at, at least.
const SAMPLE_ROWS: usize = 256;
/// The largest scale, and the inverse of the smallest: some are folded into FP16 numbers.
const MOST: f32 = 64.0;

/// What the search knows of a pass's inputs.
#[derive(Debug)]
pub struct Inputs {
    /// Mean of `x x^T` over the calibration tokens, [k, k].
    pub gram: Vec<f32>,
    /// Mean magnitude, [k].
    pub size: Vec<f32>,
}

/// Scales of the input channels of `w` [n, k] that lose least: weights are multiplied by them and inputs divided.
/// Channels with the same number in `tied` [k] (0, 1, ... without gaps) get the same scale.
///
/// s = size^alpha (the paper's equation 5), or size^alpha / weight^(1 - alpha) with the mean magnitude of the weights
/// within their groups, as the authors' implementation has it; both are tried for every alpha, and the better stays.
/// The first trial has s = 1, so that scaling never loses more than not scaling, by this measure.
pub fn scales(w: &[f32], k: usize, group: usize, inputs: &Inputs, tied: &[usize]) -> Vec<f32> {
    let n = w.len() / k;
    // An odd step, for fused passes alternate between matrices with an even period.
    let step = n / (SAMPLE / k).max(SAMPLE_ROWS) | 1;
    let sample: Vec<f32> = w.chunks_exact(k).step_by(step).flatten().copied().collect();
    let size = mean_of_tied(&inputs.size, tied);
    let weight = mean_of_tied(&relative_size(w, k, group), tied);
    let gram = Panels::new(k, k, |row, out| {
        out.copy_from_slice(&inputs.gram[row * k..][..k]);
    });
    let mut delta = vec![0.0; sample.len()];
    let mut product = vec![0.0; sample.len()];
    let mut best = (f64::INFINITY, vec![1.0; k]);
    for alpha in (0..ALPHAS).map(|i| i as f32 / ALPHAS as f32) {
        for beta in [0.0, 1.0 - alpha] {
            let free = normalized(&size, &weight, alpha, beta);
            let trial: Vec<f32> = tied.iter().map(|t| free[*t]).collect();
            let fits = delta
                .par_chunks_exact_mut(k)
                .zip(sample.par_chunks_exact(k))
                .map(|(delta, w)| lost(w, &trial, group, delta))
                .reduce(|| true, |a, b| a && b);
            if !fits {
                continue;
            }
            product.fill(0.0);
            gram.multiply(&delta, &mut product);
            let error = inner_product(&delta, &product, k);
            // Strictly smaller: the first of equal trials stays, whatever the machine.
            if error < best.0 {
                best = (error, trial);
            }
        }
    }
    best.1
}

/// Mean of the values of channels that share a scale.
fn mean_of_tied(values: &[f32], tied: &[usize]) -> Vec<f32> {
    let count = tied.iter().max().map_or(0, |m| m + 1);
    let mut sum = vec![(0f32, 0f32); count];
    for (v, t) in values.iter().zip(tied) {
        sum[*t] = (sum[*t].0 + v, sum[*t].1 + 1.0);
    }
    sum.into_iter().map(|(sum, count)| sum / count).collect()
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
        .map(|(x, w)| (power(x.max(1e-8), alpha) / power(w + 1e-4, beta)).max(1e-4));
    let raw: Vec<f32> = raw.collect();
    let max = raw.iter().fold(0f32, |m, v| m.max(*v));
    let min = raw.iter().fold(f32::INFINITY, |m, v| m.min(*v));
    let middle = (max * min).sqrt();
    raw.iter().map(|v| (v / middle).clamp(1.0 / MOST, MOST)).collect()
}

fused! {
    /// What plain rounding loses of a row under scales: `delta[i] = rounded(w[i] s[i]) / s[i] - w[i]`, rounded as
    /// [`crate::quant::quantize_row`] does it. False if a group spans more than FP16 scales reach.
    fn lost(w: &[f32], scales: &[f32], group: usize, delta: &mut [f32]) -> bool {
        const LANES: usize = 16;
        let groups = w.chunks_exact(group).zip(scales.chunks_exact(group));
        for ((w, s), delta) in groups.zip(delta.chunks_exact_mut(group)) {
            let (mut min, mut max) = ([0f32; LANES], [0f32; LANES]);
            for ((d, w), s) in delta.chunks_exact_mut(LANES).zip(w.chunks_exact(LANES)).zip(s.chunks_exact(LANES)) {
                for l in 0..LANES {
                    d[l] = w[l] * s[l];
                    min[l] = min[l].min(d[l]);
                    max[l] = max[l].max(d[l]);
                }
            }
            let (mut low, mut high) = (0f32, 0f32);
            for l in 0..LANES {
                low = low.min(min[l]);
                high = high.max(max[l]);
            }
            let scale = f16::from_f32(high / 15.0 - low / 15.0).max(f16::from_bits(1));
            if !scale.is_finite() {
                return false;
            }
            let step = scale.to_f32();
            let zero = (-low / step).round_ties_even().clamp(0.0, 15.0);
            for ((d, w), s) in delta.iter_mut().zip(w).zip(s) {
                *d = (quantum(*d, step, zero) - zero) * step / s - w;
            }
        }
        true
    }
}

/// Sum of the products of two matrices' elements, each row in FP64 and then the rows.
fn inner_product(a: &[f32], b: &[f32], k: usize) -> f64 {
    let rows: Vec<f64> = a
        .par_chunks_exact(k)
        .zip(b.par_chunks_exact(k))
        .map(|(a, b)| {
            let terms = a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b));
            terms.sum::<f64>()
        })
        .collect();
    rows.iter().sum()
}
