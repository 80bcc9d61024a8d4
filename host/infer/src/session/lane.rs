//! The PS side of one batch on its way through the model: neighbouring positions that share every pass.
//!
//! What a position's kernels compute does not depend on the other positions of its batch, so a batch gives the bits that
//! its tokens give one by one. The keys and values of a batch go into the cache together; a position's attention sees the cache up to itself.

use std::ops::Range;

use macromac_driver::{Accelerator, Results, Ticket};
use macromac_format::{Architecture, Head, PORTS, TILE, int8};

use super::cache::Cache;
use crate::InferError;
use crate::clock::Clock;
use crate::fused::PassKind;
use crate::kernels::attention::attend;
use crate::kernels::rotary::{angles, rotate};
use crate::kernels::team;
use crate::kernels::time::{Kernel, shares_out_vectors};
use crate::kernels::vector::{Peak, add, peak, rms_norm, silu_product};
use crate::model::Model;

/// Pieces in which the results of `gate_up` are taken while the pass runs: what is left of SiLU after its end is one of them.
const GATE_UP_PIECES: usize = 4;
/// The same of `lm_head`, whose results are many.
const HEAD_PIECES: usize = 16;
/// Rows of a piece at least: each costs launches and barriers.
const LEAST_PIECE: usize = 2048;

/// Calls `take` with rows of a step as they are finished, in `pieces` pieces, or in fewer where more is finished already; what the PS was
/// charged for a piece passes on the device's clock before the next is waited for.
fn as_finished(
    ps: &mut Ps,
    device: &mut dyn Accelerator,
    ticket: Ticket,
    n: usize,
    pieces: usize,
    mut take: impl FnMut(&mut Ps, &mut dyn Accelerator, Range<usize>) -> Result<(), InferError>,
) -> Result<(), InferError> {
    // Whole tile rows: a piece of gate_up has whole tiles of both.
    let row = TILE * PORTS;
    let piece = n.div_ceil(pieces).max(LEAST_PIECE).next_multiple_of(row);
    let mut first = 0;
    while first < n {
        let finished = device.wait_rows(ticket, n.min(first + piece))?;
        let end = if finished == n {
            n
        } else {
            finished / row * row
        };
        take(ps, device, first..end)?;
        first = end;
        if first < n {
            ps.clock.tell(device)?;
        }
    }
    Ok(())
}

/// Calls `f` for each vector of a batch of `vectors`: each on one thread where there are enough of them, else one after the other (a kernel may then
/// share itself out).
fn by_vector<I: Send, R: Send>(
    vectors: usize,
    each: impl Iterator<Item = I>,
    f: impl Fn(I) -> R + Sync,
) -> Vec<R> {
    if shares_out_vectors(vectors) {
        team::map(each, f)
    } else {
        each.map(f).collect()
    }
}

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
    /// Queries after their rotation.
    queries: Vec<f32>,
    logits: Vec<f32>,
    /// Where each vector's logits are largest.
    peaks: Vec<Peak>,
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
        let output = match kind {
            PassKind::LmHead => &mut self.logits,
            _ => &mut self.output,
        };
        output.resize(vectors * n, 0.0);
        match kind {
            PassKind::GateUp => return self.feed_forward(ps, device, ticket, n),
            PassKind::LmHead => return self.head(ps, device, ticket, n),
            PassKind::Qkv | PassKind::O | PassKind::Down => {}
        }
        device.wait_rows(ticket, n)?;
        let results = device.results(ticket, 0..n)?;
        if kind == PassKind::Qkv {
            self.attention(ps, layer, &results);
        } else {
            self.residual(ps, &results);
        }
        Ok(())
    }

    /// `x += results`
    fn residual(&mut self, ps: &mut Ps, results: &Results) {
        let n = self.x.len() / self.vectors;
        if !ps.model.is_shape() {
            let rows = self.x.chunks_mut(n).zip(self.output.chunks_mut(n));
            by_vector(self.vectors, rows.enumerate(), |(vector, (x, y))| {
                results.read(vector, y);
                add(x, y);
            });
        }
        ps.clock.charge(Kernel::Collect { n }, self.vectors);
        ps.clock.charge(Kernel::Add { n }, self.vectors);
    }

    /// `input = silu(gate) * up`, piece by piece as the rows of the pass are finished.
    fn feed_forward(
        &mut self,
        ps: &mut Ps,
        device: &mut dyn Accelerator,
        ticket: Ticket,
        n: usize,
    ) -> Result<(), InferError> {
        let width = ps.model.architecture().intermediate_size;
        self.input.resize(self.vectors * width, 0.0);
        let Lane {
            vectors,
            input,
            output,
            ..
        } = self;
        as_finished(ps, device, ticket, n, GATE_UP_PIECES, |ps, device, rows| {
            let part = rows.start / 2..(rows.end / 2).min(width);
            let results = device.results(ticket, rows.clone())?;
            if !ps.model.is_shape() {
                let outs = input.chunks_mut(width).zip(output.chunks_mut(n));
                by_vector(*vectors, outs.enumerate(), |(vector, (out, gate_up))| {
                    let gate_up = &mut gate_up[rows.clone()];
                    results.read(vector, gate_up);
                    silu_product(gate_up, &mut out[part.clone()]);
                });
            }
            ps.clock.charge(Kernel::Collect { n: rows.len() }, *vectors);
            ps.clock.charge(Kernel::Silu { n: part.len() }, *vectors);
            Ok(())
        })
    }

    /// Reads the logits and finds the largest of each vector, piece by piece as the rows of the pass are finished.
    fn head(
        &mut self,
        ps: &mut Ps,
        device: &mut dyn Accelerator,
        ticket: Ticket,
        n: usize,
    ) -> Result<(), InferError> {
        let Lane {
            vectors,
            logits,
            peaks,
            ..
        } = self;
        as_finished(ps, device, ticket, n, HEAD_PIECES, |ps, device, rows| {
            let results = device.results(ticket, rows.clone())?;
            let vectors_of = logits.chunks_mut(n).enumerate();
            let new = by_vector(*vectors, vectors_of, |(vector, logits)| {
                let logits = &mut logits[rows.clone()];
                results.read(vector, logits);
                peak(logits)
            });
            if rows.start == 0 {
                *peaks = new;
            } else {
                let all = peaks.iter_mut().zip(logits.chunks(n)).zip(new);
                all.for_each(|((old, logits), new)| old.join(logits, rows.start, new));
            }
            let (all, part) = (n, rows.len());
            ps.clock.charge(Kernel::CollectPart { all, part }, *vectors);
            ps.clock.charge(Kernel::Peak { n: part }, *vectors);
            Ok(())
        })
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
        self.peaks.clear();
        self.peaks.extend(self.logits.chunks(n).map(peak));
        ps.clock.charge(Kernel::Peak { n }, self.vectors);
    }

    /// Logits of each position and where they are largest, in order.
    pub fn logits(&self) -> impl Iterator<Item = (&[f32], Peak)> {
        let logits = self.logits.chunks(self.logits.len() / self.vectors);
        logits.zip(self.peaks.iter().copied())
    }

    /// `input = norm(x)`
    fn norm(&mut self, ps: &mut Ps, weights: &[f32]) {
        let a = ps.model.architecture();
        self.input.resize(self.x.len(), 0.0);
        let n = a.hidden_size;
        let one =
            |(x, normed): (&[f32], &mut [f32])| rms_norm(x, weights, a.rms_norm_eps as f32, normed);
        by_vector(
            self.vectors,
            self.x.chunks(n).zip(self.input.chunks_mut(n)),
            one,
        );
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

    /// `input = attention(rope(results + bias))`
    fn attention(&mut self, ps: &mut Ps, layer: usize, results: &Results) {
        let (model, format) = (ps.model, ps.model.settings.cache);
        let a = model.architecture();
        let (d, heads, kv_heads) = (a.head_dim, a.num_attention_heads, a.num_key_value_heads);
        let width = a.q_width() + 2 * a.kv_width();
        self.input.resize(self.vectors * a.q_width(), 0.0);
        let first = ps.cache.positions(layer) + 1;
        let bias = &model.layers[layer].qkv_bias;
        if !model.is_shape() {
            let turns = self.cos.chunks(d / 2).zip(self.sin.chunks(d / 2));
            let rows = self.output.chunks_mut(width).zip(turns);
            by_vector(
                self.vectors,
                rows.enumerate(),
                |(vector, (qkv, (cos, sin)))| {
                    results.read(vector, qkv);
                    add(qkv, bias);
                    let turned = &mut qkv[..a.q_width() + a.kv_width()];
                    turned.chunks_mut(d).for_each(|head| rotate(head, cos, sin));
                },
            );
        }
        self.queries.clear();
        for qkv in self.output.chunks(width) {
            let (q, kv) = qkv.split_at(a.q_width());
            let (k, v) = kv.split_at(a.kv_width());
            ps.cache.push(layer, k, v);
            self.queries.extend_from_slice(q);
        }
        // Each position of a batch sees one more than the one before.
        let (keys, values) = (ps.cache.keys(layer), ps.cache.values(layer));
        if !model.is_shape() {
            attend(&self.queries, heads, keys, values, first, &mut self.input);
        }
        ps.clock.charge(Kernel::Collect { n: width }, self.vectors);
        ps.clock.charge(
            Kernel::Attend {
                queries: self.vectors,
                heads,
                kv_heads,
                d,
                positions: first,
                cache: format,
            },
            1,
        );
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
