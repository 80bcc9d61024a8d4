//! The PS side of one batch on its way through the model: neighbouring positions that share every pass.
//!
//! What a position's kernels compute does not depend on the other positions of its batch, so a batch gives the bits that
//! its tokens give one by one. A position's attention sees the cache up to itself: the keys of its batch are in the cache
//! before it, in order.

use macromac_driver::{Accelerator, Ticket};
use macromac_format::{Architecture, Head, int8};

use super::cache::Cache;
use crate::InferError;
use crate::clock::Clock;
use crate::fused::PassKind;
use crate::kernels::attention::attend;
use crate::kernels::rotary::{angles, rotate};
use crate::kernels::time::Kernel;
use crate::kernels::vector::{add, rms_norm, silu_product};
use crate::model::Model;

/// What the PS works with, besides a batch's own buffers.
pub(super) struct Ps<'s, 'm> {
    pub model: &'m Model,
    pub cache: &'s mut Cache,
    /// Charged for every kernel; told to the device before each step.
    pub clock: &'s mut Clock<'m>,
}

/// A batch of positions; every buffer holds one vector a position, vector after vector.
#[derive(Debug, Default)]
pub(super) struct Lane {
    vectors: usize,
    /// The step under way.
    ticket: Option<Ticket>,
    /// The residual stream.
    x: Vec<f32>,
    /// Activations of the next step.
    input: Vec<f32>,
    /// Results of the last step.
    output: Vec<f32>,
    logits: Vec<f32>,
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl Lane {
    /// Begins with `tokens` at positions `first` on.
    pub fn begin(&mut self, ps: &mut Ps, tokens: &[u32], first: usize) {
        let model = ps.model;
        self.vectors = tokens.len();
        self.ticket = None;
        self.x
            .resize(tokens.len() * model.architecture().hidden_size, 0.0);
        let rows = self.x.chunks_mut(model.architecture().hidden_size);
        for (token, x) in tokens.iter().zip(rows) {
            model.embedding_row(*token, x);
        }
        self.cos.clear();
        self.sin.clear();
        for position in first..first + tokens.len() {
            angles(position, &model.frequencies, &mut self.cos, &mut self.sin);
        }
        let a = model.architecture();
        ps.clock
            .charge(Kernel::Angles { d: a.head_dim }, tokens.len());
        ps.clock
            .charge(Kernel::Embed { n: a.hidden_size }, tokens.len());
    }

    /// Makes the activations of pass `pass` and submits them.
    pub fn submit(
        &mut self,
        ps: &mut Ps,
        device: &mut dyn Accelerator,
        pass: usize,
    ) -> Result<(), InferError> {
        let model = ps.model;
        let (kind, layer) = PassKind::of(model.architecture(), pass);
        match kind {
            PassKind::Qkv => self.norm(ps, &model.layers[layer].input_norm),
            PassKind::GateUp => self.norm(ps, &model.layers[layer].post_norm),
            PassKind::LmHead => {
                self.norm(ps, &model.final_norm);
                if model.head() == Head::Int8 {
                    self.repeat(model.architecture());
                }
            }
            // What follows the pass before has made them.
            PassKind::O | PassKind::Down => {}
        }
        let n = self.input.len() / self.vectors;
        ps.clock.charge(Kernel::Submit { n }, self.vectors);
        ps.clock.tell(device)?;
        self.ticket = Some(device.submit(&self.input)?);
        Ok(())
    }

    /// Waits for the results of pass `pass` and does what the PS does with them.
    pub fn finish(
        &mut self,
        ps: &mut Ps,
        device: &mut dyn Accelerator,
        pass: usize,
    ) -> Result<(), InferError> {
        let Some(ticket) = self.ticket.take() else {
            return Ok(());
        };
        let (model, vectors) = (ps.model, self.vectors);
        let (kind, layer) = PassKind::of(model.architecture(), pass);
        let n = device.passes()[pass].n;
        let results = match kind {
            PassKind::LmHead => &mut self.logits,
            _ => &mut self.output,
        };
        results.resize(self.vectors * n, 0.0);
        device.finish(ticket, n, results)?;
        ps.clock.charge(Kernel::Collect { n }, vectors);
        match kind {
            PassKind::Qkv => self.attention(ps, layer),
            PassKind::O | PassKind::Down => {
                add(&mut self.x, &self.output);
                ps.clock.charge(Kernel::Add { n }, vectors);
            }
            PassKind::GateUp => {
                let width = model.architecture().intermediate_size;
                self.input.resize(self.vectors * width, 0.0);
                let rows = self.input.chunks_mut(width);
                for (gate_up, ffn) in self.output.chunks(n).zip(rows) {
                    if !model.is_shape() {
                        silu_product(gate_up, ffn);
                    }
                }
                ps.clock.charge(Kernel::Silu { n: width }, vectors);
            }
            PassKind::LmHead => {}
        }
        Ok(())
    }

    /// Logits by the PS, from the residual stream.
    pub fn ps_head(&mut self, ps: &mut Ps) {
        let model = ps.model;
        self.norm(ps, &model.final_norm);
        let a = model.architecture();
        self.logits.resize(self.vectors * a.vocab_size, 0.0);
        let rows = self.logits.chunks_mut(a.vocab_size);
        for (x, logits) in self.input.chunks(a.hidden_size).zip(rows) {
            model.ps_logits(x, logits);
        }
        let (n, k) = (a.vocab_size, a.hidden_size);
        ps.clock.charge(Kernel::MatrixF16 { n, k }, self.vectors);
    }

    /// Logits of each position, in order.
    pub fn logits(&self) -> impl Iterator<Item = &[f32]> {
        self.logits.chunks(self.logits.len() / self.vectors)
    }

    /// `input = norm(x)`
    fn norm(&mut self, ps: &mut Ps, weights: &[f32]) {
        let a = ps.model.architecture();
        self.input.resize(self.x.len(), 0.0);
        let rows = self.input.chunks_mut(a.hidden_size);
        for (x, normed) in self.x.chunks(a.hidden_size).zip(rows) {
            rms_norm(x, weights, a.rms_norm_eps as f32, normed);
        }
        let n = a.hidden_size;
        ps.clock.charge(Kernel::RmsNorm { n }, self.vectors);
    }

    /// The input of an INT8 head: each group of 64 twice.
    fn repeat(&mut self, a: &Architecture) {
        let mut repeated = Vec::new();
        let normed = std::mem::take(&mut self.input);
        for x in normed.chunks(a.hidden_size) {
            int8::repeated(x, &mut repeated);
            self.input.extend_from_slice(&repeated);
        }
    }

    /// `input = attention(rope(output + bias))`
    fn attention(&mut self, ps: &mut Ps, layer: usize) {
        let (model, format) = (ps.model, ps.model.settings.cache);
        let a = model.architecture();
        let (d, heads, kv_heads) = (a.head_dim, a.num_attention_heads, a.num_key_value_heads);
        let width = a.q_width() + 2 * a.kv_width();
        self.input.resize(self.vectors * a.q_width(), 0.0);
        let rows = self.output.chunks_mut(width);
        let turns = self.cos.chunks(d / 2).zip(self.sin.chunks(d / 2));
        let outs = self.input.chunks_mut(a.q_width());
        for ((qkv, (cos, sin)), out) in rows.zip(turns).zip(outs) {
            add(qkv, &model.layers[layer].qkv_bias);
            let (q, kv) = qkv.split_at_mut(a.q_width());
            let (k, v) = kv.split_at_mut(a.kv_width());
            for head in q.chunks_mut(d).chain(k.chunks_mut(d)) {
                rotate(head, cos, sin);
            }
            ps.cache.push(layer, k, v);
            let positions = ps.cache.positions(layer);
            let (keys, values) = (ps.cache.keys(layer), ps.cache.values(layer));
            if !model.is_shape() {
                attend(q, keys, values, positions, out);
            }
            // Each position of a batch sees one more.
            ps.clock.charge(
                Kernel::Attend {
                    heads,
                    kv_heads,
                    d,
                    positions,
                    cache: format,
                },
                1,
            );
        }
        for kernel in [
            Kernel::Bias { n: width },
            Kernel::Rotate {
                heads: heads + kv_heads,
                d,
            },
            Kernel::Push {
                rows: 2 * kv_heads,
                d,
                cache: format,
            },
        ] {
            ps.clock.charge(kernel, self.vectors);
        }
    }
}
