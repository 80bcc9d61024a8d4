//! AWQ (Lin et al., "AWQ: Activation-aware Weight Quantization for On-Device LLM Compression and Acceleration", MLSys
//! 2024): which input channels matter is read off the activations, and those channels are scaled up before rounding.
//!
//! Layer by layer, and within a layer pass by pass, the calibration text runs in FP32 through the weights as they were
//! quantized so far, so that later passes make up for earlier ones. The scales cost nothing at run time: those of `qkv`
//! are folded into the input norm, those of `gate_up` into the norm before it, those of `down` into the rows of up and those of
//! `o` into the rows and the bias of v. Rows of up and v keep their quantized weights; only their FP16 scales change. Value heads that
//! several query heads share make channels of `o` that share a scale.
//!
//! [`forward`] gathers what comes in, [`search`] finds scales, [`clip`] ranges, [`gemm`] multiplies. All of it is computed from basic
//! IEEE operations in a written order: the same text gives the same image on every machine, with any number of threads.

pub mod clip;
pub mod forward;
pub mod gemm;
pub mod search;
pub mod state;
pub mod work;

use std::path::Path;

use half::f16;
use macromac_format::model::PASSES_PER_LAYER;
use macromac_format::{Architecture, Head, QuantMatrix};
use rayon::prelude::*;
use serde_json::json;

use self::clip::clip;
use self::forward::{Scratch, Stage, Statistics, Stream, panels};
use self::search::{Inputs, scales};
use self::state::{Found, State};
use self::work::{Meter, Step};
use crate::InferError;
use crate::checkpoint::Checkpoint;
use crate::fused::gate_up_rows;

/// What made a state; another version's results may differ, so raise the number when they do.
const METHOD: &str = concat!("macromac ", env!("CARGO_PKG_VERSION"), ", awq 1");

/// The quantizer in the middle of a model.
pub struct Awq<'a> {
    checkpoint: &'a Checkpoint,
    /// Length and checksum of the calibration tokens.
    text: (usize, u32),
    /// Where finished layers are kept.
    state: Option<State>,
    /// Layers that an interrupted run finished.
    kept: usize,
    stream: Stream,
    /// Weights that share a scale and a zero.
    group: usize,
    meter: Meter,
    /// Matrices of the current layer that were not yet asked for.
    ready: Vec<QuantMatrix>,
    /// What scales were folded into, of each layer done.
    folded: Vec<Folded>,
}

/// A layer's vectors after scales were folded into them.
#[derive(Debug, Clone, PartialEq)]
pub struct Folded {
    /// Norm before attention, [hidden].
    pub input_norm: Vec<f32>,
    /// Norm before the feed-forward layer, [hidden].
    pub post_norm: Vec<f32>,
    /// Bias of q, k and v.
    pub qkv_bias: Vec<f32>,
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
        group: usize,
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
            if p.k % group != 0 {
                return Err(InferError::Input(format!(
                    "{}: expected input channels in multiples of {group}, found {}; use --method rtn",
                    p.name, p.k
                )));
            }
        }
        let used = tokens.len() / window * window;
        let bytes: Vec<u8> = tokens[..used]
            .iter()
            .flat_map(|t| t.to_le_bytes())
            .collect();
        Ok(Awq {
            checkpoint,
            text: (used, crc32c::crc32c(&bytes)),
            state: None,
            kept: 0,
            stream: Stream::new(checkpoint, &tokens[..used], window),
            group,
            meter: Meter::new(arch, used, window),
            ready: Vec::new(),
            folded: Vec::new(),
        })
    }

    /// Keeps each finished layer in the folder `dir`, and takes from it what an interrupted run of the same checkpoint (whose
    /// checksum is `weights`), text and options left there. Says what was found.
    ///
    /// # Errors
    /// [`InferError`] if the folder cannot be used.
    pub fn keep_state(&mut self, dir: &Path, weights: u32) -> Result<Found, InferError> {
        let fingerprint = json!({
            "made_by": METHOD,
            "weights_crc32c": format!("{weights:08x}"),
            "architecture": self.checkpoint.architecture(),
            "group_size": self.group,
            "calibration_tokens": self.text.0,
            "calibration_crc32c": format!("{:08x}", self.text.1),
            "window": self.stream.window(),
        });
        let (state, found) = State::open(dir, &fingerprint)?;
        if let Found::Layers(n) = found {
            self.stream.x = state.residual(n - 1)?;
            self.kept = n;
        }
        self.state = Some(state);
        Ok(found)
    }

    /// The image is there: removes what was kept.
    ///
    /// # Errors
    /// [`InferError::Io`] if that fails.
    pub fn finish(self) -> Result<(), InferError> {
        self.state.map_or(Ok(()), State::remove)
    }

    /// The matrix of pass `pass`; passes are asked for in order. `report` is told the share of the work that is done, 0 to 1.
    ///
    /// # Errors
    /// [`InferError`] if an activation is not finite, or the layer cannot be kept.
    pub fn matrix(
        &mut self,
        pass: usize,
        report: &mut dyn FnMut(f64),
    ) -> Result<QuantMatrix, InferError> {
        if pass % PASSES_PER_LAYER == 0 {
            let layer = pass / PASSES_PER_LAYER;
            let (mut matrices, folded) = match &self.state {
                Some(state) if layer < self.kept => state.layer(layer, PASSES_PER_LAYER)?,
                _ => self.layer(layer, report)?,
            };
            if let Some(state) = self.state.as_ref().filter(|_| layer >= self.kept) {
                state.keep(layer, &matrices, &folded, &self.stream.x)?;
            }
            self.folded.push(folded);
            matrices.reverse();
            self.ready = matrices;
        }
        Ok(self.ready.pop().expect("four passes a layer, in order"))
    }

    /// A norm or bias that scales were folded into, by its name in an image.
    pub fn folded(&self, name: &str) -> Option<&[f32]> {
        let (layer, part) = name.strip_prefix("layers.")?.split_once('.')?;
        let folded = self.folded.get(layer.parse::<usize>().ok()?)?;
        match part {
            "input_norm" => Some(&folded.input_norm),
            "post_norm" => Some(&folded.post_norm),
            "qkv_bias" => Some(&folded.qkv_bias),
            _ => None,
        }
    }

    fn layer(
        &mut self,
        layer: usize,
        report: &mut dyn FnMut(f64),
    ) -> Result<(Vec<QuantMatrix>, Folded), InferError> {
        let [input_norm, post_norm, qkv_bias] = ["input_norm", "post_norm", "qkv_bias"]
            .map(|part| self.tensor(&format!("layers.{layer}.{part}")));
        let mut folded = Folded {
            input_norm,
            post_norm,
            qkv_bias,
        };
        let mut s = Scratch::default();
        let [qkv, o] = self.attention(layer, &mut folded, &mut s, report)?;
        let [gate_up, down] = self.feed_forward(layer, &mut folded, &mut s, report)?;
        Ok((vec![qkv, o, gate_up, down], folded))
    }

    /// Quantizes `qkv` and `o`, and adds what attention gives to the residual stream.
    fn attention(
        &mut self,
        layer: usize,
        folded: &mut Folded,
        s: &mut Scratch,
        report: &mut dyn FnMut(f64),
    ) -> Result<[QuantMatrix; 2], InferError> {
        let (first, arch) = (layer * PASSES_PER_LAYER, self.checkpoint.architecture());
        let mut stats = Statistics::new(arch.hidden_size);
        for chunk in self.stream.chunks() {
            stats.add(self.stream.normed(&chunk, &folded.input_norm, s));
            report(self.meter.advance(layer, Step::QkvInputs, chunk.len()));
        }
        let (mut qkv, by) = self.scaled(first, stats.mean(), &free(arch.hidden_size))?;
        divide(&mut folded.input_norm, &by);
        report(self.meter.finish(layer, Step::QkvSearch));

        let mut stats = Statistics::new(arch.q_width());
        let stage = Stage {
            weights: panels(&qkv),
            norm: &folded.input_norm,
            bias: &folded.qkv_bias,
        };
        for chunk in self.stream.chunks() {
            stats.add(self.stream.attention(&chunk, &stage, s));
            report(self.meter.advance(layer, Step::OInputs, chunk.len()));
        }
        let tied = shared_values(arch);
        let (o, by) = self.scaled(first + 1, stats.mean(), &tied)?;
        let mut by_value = vec![1.0; arch.kv_width()];
        tied.iter().zip(by).for_each(|(v, by)| by_value[*v] = by);
        for (v, by) in by_value.into_iter().enumerate() {
            let row = arch.q_width() + arch.kv_width() + v;
            divide_row(&mut qkv, row, by);
            folded.qkv_bias[row] /= by;
        }
        report(self.meter.finish(layer, Step::OSearch));

        let stage = Stage {
            weights: panels(&qkv),
            norm: &folded.input_norm,
            bias: &folded.qkv_bias,
        };
        let weights = panels(&o);
        for chunk in self.stream.chunks() {
            let attention = self.stream.attention(&chunk, &stage, s);
            weights.multiply(attention, self.stream.residual(&chunk));
            report(self.meter.advance(layer, Step::OProduct, chunk.len()));
        }
        Ok([qkv, o])
    }

    /// Quantizes `gate_up` and `down`, and adds what the feed-forward layer gives to the residual stream.
    fn feed_forward(
        &mut self,
        layer: usize,
        folded: &mut Folded,
        s: &mut Scratch,
        report: &mut dyn FnMut(f64),
    ) -> Result<[QuantMatrix; 2], InferError> {
        let (first, arch) = (layer * PASSES_PER_LAYER, self.checkpoint.architecture());
        let mut stats = Statistics::new(arch.hidden_size);
        for chunk in self.stream.chunks() {
            stats.add(self.stream.normed(&chunk, &folded.post_norm, s));
            report(self.meter.advance(layer, Step::GateUpInputs, chunk.len()));
        }
        let (mut gate_up, by) = self.scaled(first + 2, stats.mean(), &free(arch.hidden_size))?;
        divide(&mut folded.post_norm, &by);
        report(self.meter.finish(layer, Step::GateUpSearch));

        let mut stats = Statistics::new(arch.intermediate_size);
        let stage = |gate_up: &QuantMatrix| Stage {
            weights: panels(gate_up),
            norm: &folded.post_norm,
            bias: &[],
        };
        let unfolded = stage(&gate_up);
        for chunk in self.stream.chunks() {
            stats.add(self.stream.feed_forward(&chunk, &unfolded, s));
            report(self.meter.advance(layer, Step::DownInputs, chunk.len()));
        }
        drop(unfolded);
        let (down, by) = self.scaled(first + 3, stats.mean(), &free(arch.intermediate_size))?;
        for (i, by) in by.iter().enumerate() {
            divide_row(&mut gate_up, gate_up_rows(i).1, *by);
        }
        report(self.meter.finish(layer, Step::DownSearch));

        let stage = stage(&gate_up);
        let weights = panels(&down);
        for chunk in self.stream.chunks() {
            let ffn = self.stream.feed_forward(&chunk, &stage, s);
            weights.multiply(ffn, self.stream.residual(&chunk));
            report(self.meter.advance(layer, Step::DownProduct, chunk.len()));
        }
        Ok([gate_up, down])
    }

    /// Scales and quantizes a pass with these inputs; the scales are still to be folded into what makes the inputs.
    fn scaled(
        &self,
        pass: usize,
        mut inputs: Inputs,
        tied: &[usize],
    ) -> Result<(QuantMatrix, Vec<f32>), InferError> {
        if !inputs.gram.iter().all(|v| v.is_finite()) {
            return Err(InferError::checkpoint(
                self.checkpoint.dir(),
                format!(
                    "inputs of pass {pass}: expected finite numbers, found others; the weights are damaged"
                ),
            ));
        }
        let mut w = self.weights(pass);
        let k = inputs.size.len();
        let by = scales(&w, k, self.group, &inputs, tied);
        w.par_chunks_exact_mut(k)
            .for_each(|row| row.iter_mut().zip(&by).for_each(|(w, s)| *w *= s));
        inputs
            .gram
            .par_chunks_exact_mut(k)
            .zip(&by)
            .for_each(|(row, a)| row.iter_mut().zip(&by).for_each(|(g, b)| *g /= a * b));
        Ok((clip(&w, k, self.group, &inputs.gram), by))
    }

    /// A pass in FP32, [n, k].
    fn weights(&self, pass: usize) -> Vec<f32> {
        let shape = &self.checkpoint.architecture().passes(Head::Fp16)[pass];
        let mut w = vec![0.0; shape.n * shape.k];
        w.par_chunks_exact_mut(shape.k)
            .enumerate()
            .for_each(|(row, out)| self.checkpoint.pass_row(pass, row, out));
        w
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
}

/// Every channel has a scale of its own.
fn free(channels: usize) -> Vec<usize> {
    (0..channels).collect()
}

/// Which channel of v each input channel of `o` takes: channel i of a query head takes channel i of the value head that it shares.
fn shared_values(arch: &Architecture) -> Vec<usize> {
    let (d, sharing) = (
        arch.head_dim,
        arch.num_attention_heads / arch.num_key_value_heads,
    );
    (0..arch.q_width())
        .map(|c| c / d / sharing * d + c % d)
        .collect()
}

fn divide(norm: &mut [f32], scales: &[f32]) {
    norm.iter_mut().zip(scales).for_each(|(n, s)| *n /= s);
}

/// Divides what a row gives: its weights stay, its groups' scales change.
fn divide_row(m: &mut QuantMatrix, row: usize, by: f32) {
    let groups = m.groups();
    for scale in &mut m.scales[row * groups..][..groups] {
        *scale = f16::from_f32(scale.to_f32() / by);
    }
}
