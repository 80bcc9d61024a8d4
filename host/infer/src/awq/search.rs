//! The search for the scales of input channels (Lin et al., "AWQ: Activation-aware Weight Quantization for On-Device LLM
//! Compression and Acceleration", MLSys 2024, section 3.2).
//!
//! It measures the error of a matrix's outputs, tr(D G D^T) with D the error of the weights and G the Gram matrix of the
//! inputs, instead of multiplying again for every trial.

use half::f16;
use rayon::prelude::*;

use super::clip::quantum;
use super::gemm::Panels;
use crate::kernels::math::power;
use macromac_ps::fused;

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
    let step = (n / (SAMPLE / k).max(SAMPLE_ROWS)) | 1;
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
    raw.iter()
        .map(|v| (v / middle).clamp(1.0 / MOST, MOST))
        .collect()
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

#[cfg(test)]
mod tests {
    use super::super::gemm::Gram;
    use super::super::gemm::tests::noise;
    use super::*;
    use crate::kernels::portable::both;
    use crate::quant::quantize_row;

    /// Inputs of which channel 5 is large.
    fn inputs(k: usize) -> Inputs {
        let mut x = noise(4 * k * k, 21);
        x.chunks_exact_mut(k).for_each(|x| x[5] *= 40.0);
        let mut gram = Gram::new(k);
        gram.add(&x);
        let mut size = vec![0.5; k];
        size[5] = 20.0;
        Inputs {
            gram: gram.mean(),
            size,
        }
    }

    #[test]
    fn losses_are_those_of_plain_rounding() {
        let w = noise(128, 1);
        let s: Vec<f32> = noise(128, 2).iter().map(|v| 1.1 + v).collect();
        let (fast, slow) = both(|| {
            let mut delta = vec![0.0; 128];
            assert!(lost(&w, &s, 64, &mut delta));
            delta.iter().map(|v| v.to_bits()).collect::<Vec<_>>()
        });
        assert_eq!(fast, slow);
        let scaled: Vec<f32> = w.iter().zip(&s).map(|(w, s)| w * s).collect();
        let (mut q, mut z, mut s16) = ([0; 128], [0; 2], [f16::ZERO; 2]);
        quantize_row(0, &scaled, &mut q, &mut s16, &mut z).unwrap();
        for i in 0..128 {
            let value = (f32::from(q[i]) - f32::from(z[i / 64])) * s16[i / 64].to_f32();
            assert_eq!(f32::from_bits(fast[i]), value / s[i] - w[i], "{i}");
        }
        let wide: Vec<f32> = w.iter().map(|w| w * 3e6).collect();
        assert!(!lost(&wide, &[1.0; 128], 64, &mut [0.0; 128]));
    }

    #[test]
    fn a_large_input_gets_a_large_scale_and_tied_channels_the_same() {
        let k = 128;
        let w = noise(64 * k, 3);
        let free: Vec<usize> = (0..k).collect();
        let s = scales(&w, k, 64, &inputs(k), &free);
        let others = s.iter().enumerate().filter(|(i, _)| *i != 5);
        assert!(others.clone().all(|(_, o)| s[5] > 2.0 * o), "{s:?}");

        let tied: Vec<usize> = (0..k).map(|c| c % 64).collect();
        let s = scales(&w, k, 64, &inputs(k), &tied);
        assert!(s[5] > 1.5 * s[6] && s[5] == s[69], "{s:?}");
        assert_eq!(s[..64], s[64..]);
    }

    #[test]
    fn where_nothing_is_to_gain_nothing_is_scaled() {
        // Every weight is a step of its group: without scales nothing is lost.
        let k = 64;
        let w: Vec<f32> = (0..8 * k).map(|i| (i * 7 % 16) as f32 - 8.0).collect();
        let free: Vec<usize> = (0..k).collect();
        assert_eq!(scales(&w, k, 64, &inputs(k), &free), [1.0; 64]);
    }
}
