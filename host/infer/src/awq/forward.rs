//! The calibration text on its way through the model in FP32: chunk by chunk, so that only the residual stream is held for all
//! of it.

use std::ops::Range;

use macromac_format::{Architecture, QuantMatrix};
use rayon::prelude::*;

use super::gemm::{Gram, Panels};
use super::search::Inputs;
use crate::checkpoint::Checkpoint;
use crate::kernels::attention::attend;
use crate::kernels::cache::{CacheType, HeadCache, Order};
use crate::kernels::rotary::{angles, frequencies, rotate};
use crate::kernels::vector::{add, rms_norm, silu_product};
use macromac_ps::fused;

/// Tokens of a chunk, where windows are not longer.
const CHUNK: usize = 2048;
/// Columns whose magnitudes are summed by one task.
const COLUMNS: usize = 128;

/// Residual stream of all calibration tokens, and what attention needs to know of them.
#[derive(Debug)]
pub struct Stream {
    arch: Architecture,
    /// Tokens that see each other.
    window: usize,
    /// [tokens, hidden].
    pub x: Vec<f32>,
    cos: Vec<f32>,
    sin: Vec<f32>,
}

/// Results of a chunk, in memory that is used again: fresh memory costs as much as filling it.
#[derive(Debug, Default)]
pub struct Scratch {
    normed: Vec<f32>,
    wide: Vec<f32>,
    out: Vec<f32>,
}

/// A matrix product's weights, its input norm and its bias.
#[derive(Debug)]
pub struct Stage<'a> {
    /// Weights.
    pub weights: Panels,
    /// Norm before it, [k].
    pub norm: &'a [f32],
    /// Bias, [n]; empty: none.
    pub bias: &'a [f32],
}

impl Stream {
    /// The embeddings of `tokens`, which fill windows of `window`.
    pub fn new(checkpoint: &Checkpoint, tokens: &[u32], window: usize) -> Self {
        let arch = checkpoint.architecture().clone();
        let mut x = vec![0.0; tokens.len() * arch.hidden_size];
        x.par_chunks_exact_mut(arch.hidden_size)
            .zip(tokens)
            .for_each(|(x, token)| checkpoint.embedding_row(*token as usize, x));
        let f = frequencies(arch.head_dim, arch.rope_theta);
        let (mut cos, mut sin) = (Vec::new(), Vec::new());
        (0..window).for_each(|p| angles(p, &f, &mut cos, &mut sin));
        Stream {
            arch,
            window,
            x,
            cos,
            sin,
        }
    }

    /// Tokens that see each other.
    pub fn window(&self) -> usize {
        self.window
    }

    /// Tokens in all.
    pub fn tokens(&self) -> usize {
        self.x.len() / self.arch.hidden_size
    }

    /// Ranges of tokens, whole windows each.
    pub fn chunks(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let (tokens, step) = (self.tokens(), (CHUNK / self.window).max(1) * self.window);
        (0..tokens)
            .step_by(step)
            .map(move |from| from..tokens.min(from + step))
    }

    /// The residual stream of a chunk, to add to.
    pub fn residual(&mut self, chunk: &Range<usize>) -> &mut [f32] {
        let hidden = self.arch.hidden_size;
        &mut self.x[chunk.start * hidden..chunk.end * hidden]
    }

    /// The chunk after a norm, [tokens, hidden].
    pub fn normed<'s>(&self, chunk: &Range<usize>, norm: &[f32], s: &'s mut Scratch) -> &'s [f32] {
        let hidden = self.arch.hidden_size;
        let eps = self.arch.rms_norm_eps as f32;
        s.normed.resize(chunk.len() * hidden, 0.0);
        s.normed
            .par_chunks_exact_mut(hidden)
            .zip(self.x[chunk.start * hidden..].par_chunks_exact(hidden))
            .for_each(|(y, x)| rms_norm(x, norm, eps, y));
        &s.normed
    }

    /// What attention gives for a chunk, [tokens, heads x d]: the inputs of `o`.
    pub fn attention<'s>(
        &self,
        chunk: &Range<usize>,
        qkv: &Stage,
        s: &'s mut Scratch,
    ) -> &'s [f32] {
        self.product(chunk, qkv, s);
        let width = qkv.weights.n();
        let (d, q_width, kv_width) = (
            self.arch.head_dim,
            self.arch.q_width(),
            self.arch.kv_width(),
        );
        s.out.resize(chunk.len() * q_width, 0.0);
        let half = d / 2;
        s.out
            .par_chunks_exact_mut(self.window * q_width)
            .zip(s.wide.par_chunks_exact_mut(self.window * width))
            .for_each(|(out, qkv_rows)| {
                let heads = self.arch.num_key_value_heads;
                let empty = |order| vec![HeadCache::new(order, CacheType::F32, d); heads];
                let (mut keys, mut values) = (empty(Order::Keys), empty(Order::Values));
                let rows = qkv_rows.chunks_exact_mut(width);
                for ((p, row), out) in rows.enumerate().zip(out.chunks_exact_mut(q_width)) {
                    add(row, qkv.bias);
                    let (cos, sin) = (&self.cos[p * half..][..half], &self.sin[p * half..][..half]);
                    let (turned, v) = row.split_at_mut(q_width + kv_width);
                    turned.chunks_mut(d).for_each(|head| rotate(head, cos, sin));
                    let (q, k) = turned.split_at(q_width);
                    for (h, (k, v)) in k.chunks(d).zip(v.chunks(d)).enumerate() {
                        keys[h].push(k);
                        values[h].push(v);
                    }
                    attend(q, q_width / d, &keys, &values, p + 1, out);
                }
            });
        &s.out
    }

    /// `silu(gate) * up` of a chunk, [tokens, intermediate]: the inputs of `down`.
    pub fn feed_forward<'s>(
        &self,
        chunk: &Range<usize>,
        gate_up: &Stage,
        s: &'s mut Scratch,
    ) -> &'s [f32] {
        self.product(chunk, gate_up, s);
        let width = self.arch.intermediate_size;
        s.out.resize(chunk.len() * width, 0.0);
        s.out
            .par_chunks_exact_mut(width)
            .zip(s.wide.par_chunks_exact(gate_up.weights.n()))
            .for_each(|(h, gate_up)| silu_product(gate_up, h));
        &s.out
    }

    /// Leaves the products of a chunk's normed inputs in `s.wide`.
    fn product(&self, chunk: &Range<usize>, stage: &Stage, s: &mut Scratch) {
        self.normed(chunk, stage.norm, s);
        s.wide.clear();
        s.wide.resize(chunk.len() * stage.weights.n(), 0.0);
        stage.weights.multiply(&s.normed, &mut s.wide);
    }
}

/// Statistics of a pass's inputs, gathered chunk by chunk.
#[derive(Debug)]
pub struct Statistics {
    gram: Gram,
    size: Vec<f64>,
    tokens: usize,
}

impl Statistics {
    /// Of inputs of k channels.
    pub fn new(k: usize) -> Self {
        Statistics {
            gram: Gram::new(k),
            size: vec![0.0; k],
            tokens: 0,
        }
    }

    /// Counts the inputs `x` [tokens, k] in.
    pub fn add(&mut self, x: &[f32]) {
        let k = self.size.len();
        self.gram.add(x);
        self.tokens += x.len() / k;
        self.size
            .par_chunks_mut(COLUMNS)
            .enumerate()
            .for_each(|(at, size)| {
                let mut sum = [0f32; COLUMNS];
                for row in x.chunks_exact(k) {
                    add_magnitudes(&mut sum[..size.len()], &row[at * COLUMNS..]);
                }
                size.iter_mut()
                    .zip(sum)
                    .for_each(|(s, v)| *s += f64::from(v));
            });
    }

    /// Means over all tokens.
    pub fn mean(self) -> Inputs {
        let tokens = self.tokens as f64;
        Inputs {
            gram: self.gram.mean(),
            size: self.size.iter().map(|s| (s / tokens) as f32).collect(),
        }
    }
}

fused! {
    fn add_magnitudes(sum: &mut [f32], x: &[f32]) {
        for (s, x) in sum.iter_mut().zip(x) {
            *s += x.abs();
        }
    }
}

/// The panels of a matrix as it will be.
pub fn panels(m: &QuantMatrix) -> Panels {
    Panels::new(m.n, m.k, |row, out| {
        for (column, w) in out.iter_mut().enumerate() {
            *w = m.weight(row, column);
        }
    })
}
