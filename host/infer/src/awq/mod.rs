//! AWQ (Lin et al., "AWQ: Activation-aware Weight Quantization for On-Device LLM Compression and Acceleration", MLSys
//! 2024): which input channels matter is read off the activations, and those channels are scaled up before rounding.
//!
//! Layer by layer, and within a layer pass by pass, the calibration text runs in FP32 through the weights as they were
//! quantized so far, so that later passes make up for earlier ones. The scales cost nothing at run time: those of `qkv`
//! are folded into the input norm, those of `gate_up` into the norm before it, and those of `down` into the rows of up,
//! whose quantized weights stay as they are (only their FP16 scales change). `o` gets no scales: value heads are shared.

pub mod matmul;
pub mod search;

use macromac_format::model::PASSES_PER_LAYER;
use macromac_format::{Architecture, GROUP, Head, QuantMatrix};
use rayon::prelude::*;

use self::matmul::{gram, matmul_nt};
use crate::InferError;
use crate::checkpoint::Checkpoint;
use crate::fused::gate_up_rows;
use crate::kernels::attention::attend;
use crate::kernels::cache::{CacheType, HeadCache};
use crate::kernels::rotary::{angles, frequencies, rotate};
use crate::kernels::vector::{add, rms_norm, silu_product};

/// The quantizer in the middle of a model.
pub struct Awq<'a> {
    checkpoint: &'a Checkpoint,
    window: usize,
    /// Residual stream of all calibration tokens, [tokens, hidden].
    x: Vec<f32>,
    cos: Vec<f32>,
    sin: Vec<f32>,
    /// Matrices of the current layer that were not yet asked for.
    ready: Vec<QuantMatrix>,
    /// Norms that scales were folded into: input and post norm of each layer done.
    norms: Vec<[Vec<f32>; 2]>,
}

impl<'a> Awq<'a> {
    /// Begins with calibration tokens, cut into windows of `window`; an incomplete last window is dropped.
    ///
    /// # Errors
    /// [`InferError::Input`] if the tokens do not fill one window, or the model's widths are no multiples of 64;
    /// [`InferError::Checkpoint`] if its weights are quantized already.
    pub fn new(
        checkpoint: &'a Checkpoint,
        tokens: &[u32],
        window: usize,
    ) -> Result<Self, InferError> {
        let arch = checkpoint.architecture();
        if let Some(q) = checkpoint.quantization() {
            return Err(InferError::checkpoint(
                checkpoint.dir(),
                format!(
                    "expected weights in full precision, found AutoAWQ's of group size {}; pack it without \
                     --calib, its weights are taken as they are",
                    q.group_size
                ),
            ));
        }
        if tokens.len() < window {
            return Err(InferError::Input(format!(
                "calibration text: expected at least one window of {window} tokens, found {}; give a longer text",
                tokens.len()
            )));
        }
        for p in arch.passes(Head::Fp16) {
            if p.k % GROUP != 0 {
                return Err(InferError::Input(format!(
                    "{}: expected input channels in multiples of {GROUP}, found {}; use --method rtn",
                    p.name, p.k
                )));
            }
        }
        let used = tokens.len() / window * window;
        let mut x = vec![0.0; used * arch.hidden_size];
        for (token, x) in tokens.iter().zip(x.chunks_exact_mut(arch.hidden_size)) {
            checkpoint.embedding_row(*token as usize, x);
        }
        let f = frequencies(arch.head_dim, arch.rope_theta);
        let (mut cos, mut sin) = (Vec::new(), Vec::new());
        (0..window).for_each(|p| angles(p, &f, &mut cos, &mut sin));
        Ok(Awq {
            checkpoint,
            window,
            x,
            cos,
            sin,
            ready: Vec::new(),
            norms: Vec::new(),
        })
    }

    /// The matrix of pass `pass`; passes are asked for in order.
    ///
    /// # Errors
    /// [`InferError`] if a weight or an activation is not finite.
    pub fn matrix(&mut self, pass: usize) -> Result<QuantMatrix, InferError> {
        if pass % PASSES_PER_LAYER == 0 {
            let layer = self.layer(pass / PASSES_PER_LAYER)?;
            self.ready = layer.into_iter().rev().collect();
        }
        Ok(self.ready.pop().expect("four passes a layer, in order"))
    }

    /// A norm that scales were folded into, by its name in an image.
    pub fn norm(&self, name: &str) -> Option<&[f32]> {
        let (layer, part) = name.strip_prefix("layers.")?.split_once('.')?;
        let norms = self.norms.get(layer.parse::<usize>().ok()?)?;
        match part {
            "input_norm" => Some(&norms[0]),
            "post_norm" => Some(&norms[1]),
            _ => None,
        }
    }

    fn layer(&mut self, layer: usize) -> Result<[QuantMatrix; PASSES_PER_LAYER], InferError> {
        let arch = self.checkpoint.architecture().clone();
        let first = layer * PASSES_PER_LAYER;
        let [mut input_norm, mut post_norm, bias] = ["input_norm", "post_norm", "qkv_bias"]
            .map(|part| self.tensor(&format!("layers.{layer}.{part}")));

        let normed = self.normed(&input_norm);
        let (qkv, s) = self.scaled(first, &normed)?;
        divide(&mut input_norm, &s);
        let mut out = matmul_nt(&self.normed(&input_norm), &dequantized(&qkv), qkv.k);
        let attention = self.attention(&arch, &mut out, &bias);

        let w = self.weights(first + 1)?;
        let o = search::clip(
            &w,
            arch.q_width(),
            &self.gram(first + 1, &attention, arch.q_width())?,
        );
        add(&mut self.x, &matmul_nt(&attention, &dequantized(&o), o.k));

        let normed = self.normed(&post_norm);
        let (mut gate_up, s) = self.scaled(first + 2, &normed)?;
        divide(&mut post_norm, &s);
        let normed = self.normed(&post_norm);
        let ffn = feed_forward(&arch, &normed, &gate_up);

        let (down, s) = self.scaled(first + 3, &ffn)?;
        for (i, s) in s.iter().enumerate() {
            let groups = gate_up.groups();
            let (_, up) = gate_up_rows(i);
            for scale in &mut gate_up.scales[up * groups..][..groups] {
                *scale = half::f16::from_f32(scale.to_f32() / s);
            }
        }
        let ffn = feed_forward(&arch, &normed, &gate_up);
        add(&mut self.x, &matmul_nt(&ffn, &dequantized(&down), down.k));
        self.norms.push([input_norm, post_norm]);
        Ok([qkv, o, gate_up, down])
    }

    /// Scales and quantizes a pass whose inputs are `x`; the scales are still to be folded into what makes `x`.
    fn scaled(&self, pass: usize, x: &[f32]) -> Result<(QuantMatrix, Vec<f32>), InferError> {
        let mut w = self.weights(pass)?;
        let k = self.checkpoint.architecture().passes(Head::Fp16)[pass].k;
        let mut gram = self.gram(pass, x, k)?;
        let mut size = vec![0f64; k];
        for row in x.chunks_exact(k) {
            size.iter_mut()
                .zip(row)
                .for_each(|(s, v)| *s += f64::from(v.abs()));
        }
        let tokens = (x.len() / k) as f64;
        let size: Vec<f32> = size.iter().map(|s| (s / tokens) as f32).collect();
        let s = search::scales(&w, k, &size, &gram);
        for row in w.chunks_exact_mut(k) {
            row.iter_mut().zip(&s).for_each(|(w, s)| *w *= s);
        }
        for (row, a) in gram.chunks_exact_mut(k).zip(&s) {
            row.iter_mut().zip(&s).for_each(|(g, b)| *g /= a * b);
        }
        Ok((search::clip(&w, k, &gram), s))
    }

    fn gram(&self, pass: usize, x: &[f32], k: usize) -> Result<Vec<f32>, InferError> {
        let g = gram(x, k);
        match g.iter().all(|v| v.is_finite()) {
            true => Ok(g),
            false => Err(InferError::checkpoint(
                self.checkpoint.dir(),
                format!(
                    "inputs of pass {pass}: expected finite numbers, found others; the weights are damaged"
                ),
            )),
        }
    }

    /// A pass in FP32, [n, k].
    fn weights(&self, pass: usize) -> Result<Vec<f32>, InferError> {
        let shape = &self.checkpoint.architecture().passes(Head::Fp16)[pass];
        let mut w = vec![0.0; shape.n * shape.k];
        w.par_chunks_exact_mut(shape.k)
            .enumerate()
            .for_each(|(row, out)| self.checkpoint.pass_row(pass, row, out));
        match w.iter().position(|v| !v.is_finite()) {
            None => Ok(w),
            Some(at) => Err(InferError::checkpoint(
                self.checkpoint.dir(),
                format!(
                    "{}: weight [{}, {}]: expected a finite number, found {}",
                    shape.name,
                    at / shape.k,
                    at % shape.k,
                    w[at]
                ),
            )),
        }
    }

    fn tensor(&self, name: &str) -> Vec<f32> {
        let (dtype, bytes) = self
            .checkpoint
            .tensor(name)
            .expect("Checkpoint::open checked that all tensors are there");
        let mut out = vec![0.0; bytes.len() / dtype.bytes()];
        dtype.widen(&bytes, &mut out);
        out
    }

    fn normed(&self, weight: &[f32]) -> Vec<f32> {
        let eps = self.checkpoint.architecture().rms_norm_eps as f32;
        let mut out = vec![0.0; self.x.len()];
        out.par_chunks_exact_mut(weight.len())
            .zip(self.x.par_chunks_exact(weight.len()))
            .for_each(|(y, x)| rms_norm(x, weight, eps, y));
        out
    }

    /// Attention of all windows; `qkv` [tokens, q + k + v] is turned in place.
    fn attention(&self, arch: &Architecture, qkv: &mut [f32], bias: &[f32]) -> Vec<f32> {
        let (d, q_width, kv_width) = (arch.head_dim, arch.q_width(), arch.kv_width());
        let mut out = vec![0.0; qkv.len() / bias.len() * q_width];
        let half = d / 2;
        out.par_chunks_exact_mut(self.window * q_width)
            .zip(qkv.par_chunks_exact_mut(self.window * bias.len()))
            .for_each(|(out, qkv)| {
                let mut keys = vec![HeadCache::new(CacheType::F32, d); arch.num_key_value_heads];
                let mut values = keys.clone();
                let rows = qkv.chunks_exact_mut(bias.len());
                for ((p, row), out) in rows.enumerate().zip(out.chunks_exact_mut(q_width)) {
                    add(row, bias);
                    let (cos, sin) = (&self.cos[p * half..][..half], &self.sin[p * half..][..half]);
                    let (turned, v) = row.split_at_mut(q_width + kv_width);
                    turned.chunks_mut(d).for_each(|head| rotate(head, cos, sin));
                    let (q, k) = turned.split_at(q_width);
                    for (h, (k, v)) in k.chunks(d).zip(v.chunks(d)).enumerate() {
                        keys[h].push(k);
                        values[h].push(v);
                    }
                    attend(q, &keys, &values, p + 1, out);
                }
            });
        out
    }
}

/// `silu(gate) * up` of all tokens.
fn feed_forward(arch: &Architecture, normed: &[f32], gate_up: &QuantMatrix) -> Vec<f32> {
    let out = matmul_nt(normed, &dequantized(gate_up), gate_up.k);
    let mut ffn = vec![0.0; out.len() / gate_up.n * arch.intermediate_size];
    ffn.par_chunks_exact_mut(arch.intermediate_size)
        .zip(out.par_chunks_exact(gate_up.n))
        .for_each(|(h, gate_up)| silu_product(gate_up, h));
    ffn
}

fn divide(norm: &mut [f32], scales: &[f32]) {
    norm.iter_mut().zip(scales).for_each(|(n, s)| *n /= s);
}

/// A matrix as it will be: [n, k] in FP32.
fn dequantized(m: &QuantMatrix) -> Vec<f32> {
    let mut w = vec![0.0; m.n * m.k];
    w.par_chunks_exact_mut(m.k)
        .enumerate()
        .for_each(|(row, out)| {
            for (column, w) in out.iter_mut().enumerate() {
                *w = m.weight(row, column);
            }
        });
    w
}
