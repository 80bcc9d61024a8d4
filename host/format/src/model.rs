//! The architecture of a Qwen2 model and what an image of it must hold: the passes in the order in
//! which a token consumes them, and the tensors that stay on the PS.

use serde::{Deserialize, Serialize};

use crate::block::TILE;
use crate::int8;

/// Shape of a Qwen2 model; names as in Hugging Face's `config.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Architecture {
    /// Tokens of the vocabulary (rows of the embedding).
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the feed-forward layer.
    pub intermediate_size: usize,
    /// Layers.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads; divides the query heads.
    pub num_key_value_heads: usize,
    /// Width of a head; even.
    pub head_dim: usize,
    /// Added to the mean square in RMSNorm.
    pub rms_norm_eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// Longest context in tokens.
    pub max_position_embeddings: usize,
    /// Whether the output matrix is the embedding.
    pub tie_word_embeddings: bool,
}

/// Where the output matrix is computed and in which precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Head {
    /// In the accelerator, as the other passes.
    Int4,
    /// In the accelerator, as a pass of INT4 blocks with K doubled ([`crate::int8`]).
    Int8,
    /// On the PS, from FP16 weights: no pass of the program.
    Fp16,
}

impl Head {
    /// All of them, smallest first.
    pub const ALL: [Head; 3] = [Head::Int4, Head::Int8, Head::Fp16];

    /// Its name in `model.json` and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Head::Int4 => "int4",
            Head::Int8 => "int8",
            Head::Fp16 => "fp16",
        }
    }
}

/// Name and shape of a pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassShape {
    /// `layers.3.qkv`, `lm_head`.
    pub name: String,
    /// Output channels.
    pub n: usize,
    /// Input channels; those of an INT8 head are doubled.
    pub k: usize,
}

/// Name and shape of a tensor that the PS keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorShape {
    /// `layers.3.input_norm`.
    pub name: String,
    /// Dimensions, outermost first.
    pub shape: Vec<usize>,
}

/// Passes of a layer, in order: `qkv`, `o`, `gate_up`, `down`.
pub const PASSES_PER_LAYER: usize = 4;

/// No dimension of a real model comes near; keeps products of two within 64 bits.
const LARGEST: usize = 1 << 26;

impl Architecture {
    /// Checks that the numbers fit together.
    ///
    /// # Errors
    /// A sentence that names the field, what was expected and what was found.
    pub fn check(&self) -> Result<(), String> {
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("num_key_value_heads", self.num_key_value_heads),
            ("head_dim", self.head_dim),
            ("max_position_embeddings", self.max_position_embeddings),
        ];
        for (name, value) in sizes {
            if value == 0 || value > LARGEST {
                return Err(format!("{name}: expected 1 to {LARGEST}, found {value}"));
            }
        }
        if self.num_hidden_layers > 4096 {
            return Err(format!(
                "num_hidden_layers: expected at most 4096, found {}",
                self.num_hidden_layers
            ));
        }
        if self.num_attention_heads % self.num_key_value_heads != 0 {
            return Err(format!(
                "num_attention_heads: expected a multiple of num_key_value_heads = {}, found {}",
                self.num_key_value_heads, self.num_attention_heads
            ));
        }
        if self.head_dim % 2 != 0 {
            return Err(format!(
                "head_dim: expected an even number, found {}",
                self.head_dim
            ));
        }
        if self.num_attention_heads * self.head_dim > LARGEST {
            return Err(format!(
                "num_attention_heads x head_dim: expected at most {LARGEST}, found {}",
                self.num_attention_heads * self.head_dim
            ));
        }
        if !(self.rms_norm_eps.is_finite() && self.rms_norm_eps >= 0.0) {
            return Err(format!(
                "rms_norm_eps: expected a number of at least 0, found {}",
                self.rms_norm_eps
            ));
        }
        if !(self.rope_theta.is_finite() && self.rope_theta >= 1.0) {
            return Err(format!(
                "rope_theta: expected a number of at least 1, found {}",
                self.rope_theta
            ));
        }
        Ok(())
    }

    /// Width of all query heads together.
    pub fn q_width(&self) -> usize {
        self.num_attention_heads * self.head_dim
    }

    /// Width of all key heads together (and of all value heads).
    pub fn kv_width(&self) -> usize {
        self.num_key_value_heads * self.head_dim
    }

    /// Rows of `gate_up`: gate and up alternate tile by tile, each padded to whole tiles.
    pub fn gate_up_rows(&self) -> usize {
        2 * self.intermediate_size.next_multiple_of(TILE)
    }

    /// The passes of a token in the order of the program: pass id = position in this list.
    pub fn passes(&self, head: Head) -> Vec<PassShape> {
        let h = self.hidden_size;
        let mut list = Vec::with_capacity(self.num_hidden_layers * PASSES_PER_LAYER + 1);
        for l in 0..self.num_hidden_layers {
            let mut push = |part, n, k| {
                list.push(PassShape {
                    name: format!("layers.{l}.{part}"),
                    n,
                    k,
                })
            };
            push("qkv", self.q_width() + 2 * self.kv_width(), h);
            push("o", h, self.q_width());
            push("gate_up", self.gate_up_rows(), h);
            push("down", h, self.intermediate_size);
        }
        let head_k = match head {
            Head::Int4 => Some(h),
            Head::Int8 => Some(int8::doubled(h)),
            Head::Fp16 => None,
        };
        list.extend(head_k.map(|k| PassShape {
            name: "lm_head".into(),
            n: self.vocab_size,
            k,
        }));
        list
    }

    /// Name of the tensor that an FP16 head is: a tied one is stored once, as the embedding.
    pub fn head_tensor(&self) -> &'static str {
        if self.tie_word_embeddings {
            "embedding"
        } else {
            "lm_head"
        }
    }

    /// The tensors that the PS keeps. An untied embedding is among them; a tied one is not if the
    /// head is INT4 or INT8, its rows are then dequantized from the blocks of `lm_head`; an FP16 head that
    /// is tied is the embedding, one that is not is `lm_head`.
    pub fn tensors(&self, head: Head) -> Vec<TensorShape> {
        let mut list = Vec::new();
        let mut push = |name: String, shape: Vec<usize>| list.push(TensorShape { name, shape });
        let matrix = || vec![self.vocab_size, self.hidden_size];
        if !self.tie_word_embeddings || head == Head::Fp16 {
            push("embedding".into(), matrix());
        }
        if !self.tie_word_embeddings && head == Head::Fp16 {
            push("lm_head".into(), matrix());
        }
        for l in 0..self.num_hidden_layers {
            push(format!("layers.{l}.input_norm"), vec![self.hidden_size]);
            push(
                format!("layers.{l}.qkv_bias"),
                vec![self.q_width() + 2 * self.kv_width()],
            );
            push(format!("layers.{l}.post_norm"), vec![self.hidden_size]);
        }
        push("final_norm".into(), vec![self.hidden_size]);
        list
    }
}
