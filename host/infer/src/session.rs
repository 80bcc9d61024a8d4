//! One sequence through the model: tokens in, logits out.
//!
//! For each token the device runs the passes of the program in order and the PS computes what
//! lies between them. Positions whose logits nobody needs run a program without `lm_head`, and so
//! does a model whose head the PS computes.

use macromac_driver::Accelerator;
use macromac_format::model::PASSES_PER_LAYER;

use crate::InferError;
use crate::clock::Clock;
use crate::kernels::attention::attend;
use crate::kernels::cache::HeadCache;
use crate::kernels::rotary::{angles, rotate};
use crate::kernels::time::Kernel;
use crate::kernels::vector::{add, peak, rms_norm, silu_product};
use crate::model::Model;

/// A sequence in progress: its key-value cache and the buffers of a token.
pub struct Session<'a> {
    model: &'a Model,
    device: &'a mut dyn Accelerator,
    /// Keys and values, [layer][key-value head].
    keys: Vec<Vec<HeadCache>>,
    values: Vec<Vec<HeadCache>>,
    position: usize,
    /// The token with the largest of the logits.
    peak: u32,
    clock: Clock<'a>,
    /// Whether the ring on the device holds `lm_head`; `None` before the first token.
    ring_has_head: Option<bool>,
    buffers: Buffers,
}

/// Vectors that every token overwrites.
struct Buffers {
    /// The residual stream.
    x: Vec<f32>,
    normed: Vec<f32>,
    qkv: Vec<f32>,
    attention: Vec<f32>,
    /// Results of `o` and `down`.
    out: Vec<f32>,
    gate_up: Vec<f32>,
    ffn: Vec<f32>,
    logits: Vec<f32>,
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl<'a> Session<'a> {
    /// Begins a sequence on a device that holds the model's passes.
    pub fn new(model: &'a Model, device: &'a mut dyn Accelerator) -> Self {
        let a = model.architecture();
        let head = HeadCache::new(model.settings.cache, a.head_dim);
        let cache = || vec![vec![head.clone(); a.num_key_value_heads]; a.num_hidden_layers];
        let buffers = Buffers {
            x: vec![0.0; a.hidden_size],
            normed: vec![0.0; a.hidden_size],
            qkv: vec![0.0; a.q_width() + 2 * a.kv_width()],
            attention: vec![0.0; a.q_width()],
            out: vec![0.0; a.hidden_size],
            gate_up: vec![0.0; a.gate_up_rows()],
            ffn: vec![0.0; a.intermediate_size],
            logits: vec![0.0; a.vocab_size],
            cos: Vec::new(),
            sin: Vec::new(),
        };
        Session {
            model,
            device,
            keys: cache(),
            values: cache(),
            position: 0,
            peak: 0,
            clock: Clock::new(model.settings.ps_time.as_ref()),
            ring_has_head: None,
            buffers,
        }
    }

    /// Tokens fed so far.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Forgets the tokens from `position` on, so that another continuation of the first ones can be
    /// tried without feeding those again.
    ///
    /// # Panics
    /// If `position` lies beyond [`Session::position`].
    pub fn rewind(&mut self, position: usize) {
        assert!(position <= self.position, "{position} of {}", self.position);
        for cache in [&mut self.keys, &mut self.values] {
            cache
                .iter_mut()
                .flatten()
                .for_each(|h| h.truncate(position));
        }
        self.position = position;
    }

    /// The device, for its counters.
    pub fn device(&mut self) -> &mut dyn Accelerator {
        self.device
    }

    /// Feeds one token without asking for logits.
    ///
    /// # Errors
    /// As [`Session::logits_after`].
    pub fn feed(&mut self, token: u32) -> Result<(), InferError> {
        self.forward(token, false)
    }

    /// Feeds one token and returns the logits of the next, one for each id of the vocabulary.
    ///
    /// # Errors
    /// [`InferError`] if the token does not exist, the context is full, the device fails, or a
    /// logit is not a finite number.
    pub fn logits_after(&mut self, token: u32) -> Result<&[f32], InferError> {
        self.forward(token, true)?;
        let logits = &self.buffers.logits;
        let found = peak(logits);
        self.peak = found.at as u32;
        let n = logits.len();
        self.clock.charge(Kernel::Peak { n }, 1);
        self.clock.tell(self.device)?;
        if found.finite {
            return Ok(logits);
        }
        let token = logits.iter().position(|v| !v.is_finite());
        let token = token.expect("a value is not finite");
        Err(InferError::NotANumber {
            position: self.position - 1,
            token,
            value: logits[token],
        })
    }

    /// The token with the largest logit of the last call of [`Session::logits_after`], the lowest of several.
    pub fn peak(&self) -> u32 {
        self.peak
    }

    fn forward(&mut self, token: u32, want_logits: bool) -> Result<(), InferError> {
        self.model.check_tokens(&[token])?;
        let context = self.model.architecture().max_position_embeddings;
        if self.position == context {
            return Err(InferError::Input(format!(
                "the context is full: expected at most {context} tokens"
            )));
        }
        self.set_ring(want_logits && !self.model.has_ps_head())?;
        let b = &mut self.buffers;
        b.cos.clear();
        b.sin.clear();
        angles(
            self.position,
            &self.model.frequencies,
            &mut b.cos,
            &mut b.sin,
        );
        self.model.embedding_row(token, &mut b.x);
        let a = self.model.architecture();
        let (n, d) = (a.hidden_size, a.head_dim);
        self.clock.charge(Kernel::Angles { d }, 1);
        self.clock.charge(Kernel::Embed { n }, 1);
        for layer in 0..self.model.layers.len() {
            self.attention(layer)?;
            self.feed_forward(layer)?;
        }
        self.position += 1;
        if want_logits {
            let eps = self.eps();
            let b = &mut self.buffers;
            rms_norm(&b.x, &self.model.final_norm, eps, &mut b.normed);
            self.clock.charge(Kernel::RmsNorm { n }, 1);
            if self.model.has_ps_head() {
                self.model.ps_logits(&b.normed, &mut b.logits);
                let (n, k) = (b.logits.len(), n);
                self.clock.charge(Kernel::MatrixF16 { n, k }, 1);
            } else {
                self.clock.step(self.device, &b.normed, &mut b.logits)?;
            }
        }
        Ok(())
    }

    /// `x += O(attention(rope(QKV(norm(x)) + bias)))`
    fn attention(&mut self, layer: usize) -> Result<(), InferError> {
        let eps = self.eps();
        let a = self.model.architecture();
        let t = &self.model.layers[layer];
        let b = &mut self.buffers;
        let d = a.head_dim;
        rms_norm(&b.x, &t.input_norm, eps, &mut b.normed);
        self.clock.charge(Kernel::RmsNorm { n: b.x.len() }, 1);
        self.clock.step(self.device, &b.normed, &mut b.qkv)?;
        add(&mut b.qkv, &t.qkv_bias);
        self.clock.charge(Kernel::Bias { n: b.qkv.len() }, 1);
        let (q, kv) = b.qkv.split_at_mut(a.q_width());
        let (k, v) = kv.split_at_mut(a.kv_width());
        for head in q.chunks_mut(d).chain(k.chunks_mut(d)) {
            rotate(head, &b.cos, &b.sin);
        }
        let (keys, values) = (&mut self.keys[layer], &mut self.values[layer]);
        for (h, (k, v)) in k.chunks(d).zip(v.chunks(d)).enumerate() {
            keys[h].push(k);
            values[h].push(v);
        }
        let (heads, kv_heads) = (a.num_attention_heads, a.num_key_value_heads);
        let (positions, cache) = (self.position + 1, self.model.settings.cache);
        attend(q, keys, values, positions, &mut b.attention);
        for kernel in [
            Kernel::Rotate {
                heads: heads + kv_heads,
                d,
            },
            Kernel::Push {
                rows: 2 * kv_heads,
                d,
                cache,
            },
            Kernel::Attend {
                heads,
                kv_heads,
                d,
                positions,
                cache,
            },
        ] {
            self.clock.charge(kernel, 1);
        }
        self.clock.step(self.device, &b.attention, &mut b.out)?;
        add(&mut b.x, &b.out);
        self.clock.charge(Kernel::Add { n: b.x.len() }, 1);
        Ok(())
    }

    /// `x += Down(silu(Gate(norm(x))) * Up(norm(x)))`
    fn feed_forward(&mut self, layer: usize) -> Result<(), InferError> {
        let eps = self.eps();
        let t = &self.model.layers[layer];
        let b = &mut self.buffers;
        rms_norm(&b.x, &t.post_norm, eps, &mut b.normed);
        self.clock.charge(Kernel::RmsNorm { n: b.x.len() }, 1);
        self.clock.step(self.device, &b.normed, &mut b.gate_up)?;
        silu_product(&b.gate_up, &mut b.ffn);
        self.clock.charge(Kernel::Silu { n: b.ffn.len() }, 1);
        self.clock.step(self.device, &b.ffn, &mut b.out)?;
        add(&mut b.x, &b.out);
        self.clock.charge(Kernel::Add { n: b.x.len() }, 1);
        Ok(())
    }

    fn eps(&self) -> f32 {
        self.model.architecture().rms_norm_eps as f32
    }

    fn set_ring(&mut self, with_head: bool) -> Result<(), InferError> {
        if self.ring_has_head != Some(with_head) {
            let layers = self.model.layers.len() * PASSES_PER_LAYER;
            let program: Vec<usize> = (0..layers + usize::from(with_head)).collect();
            self.device.set_program(&program)?;
            self.ring_has_head = Some(with_head);
        }
        Ok(())
    }
}
