//! What the PS keeps of a model: norms, biases, rotary frequencies, embeddings.

use std::sync::Arc;

use macromac_format::{Architecture, Head};

use crate::InferError;
use crate::config::read_eos;
use crate::kernels::cache::CacheType;
use crate::kernels::head::head_product;
use crate::kernels::rotary::frequencies;
use crate::kernels::time::PsTime;
use crate::source::Source;

/// How sequences of a model are run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settings {
    /// Number format of the key-value cache.
    pub cache: CacheType,
    /// What the PS's work costs on the board, for devices that keep time; `None`: nothing is charged.
    pub ps_time: Option<PsTime>,
}

/// Where a model's weights are.
#[derive(Debug)]
enum Weights {
    Source(Arc<Source>),
    /// Nowhere: the shape, and where the output matrix is computed.
    Shape(Box<Architecture>, Head),
}

/// The PS side of a model, in FP32.
#[derive(Debug)]
pub struct Model {
    weights: Weights,
    pub(crate) layers: Vec<LayerTensors>,
    pub(crate) final_norm: Vec<f32>,
    pub(crate) frequencies: Vec<f32>,
    eos: Vec<u32>,
    /// How [`crate::Session`]s are run.
    pub settings: Settings,
}

/// The tensors of a layer.
#[derive(Debug)]
pub(crate) struct LayerTensors {
    pub input_norm: Vec<f32>,
    pub qkv_bias: Vec<f32>,
    pub post_norm: Vec<f32>,
}

impl Model {
    /// Reads the PS side of a source.
    ///
    /// # Errors
    /// [`InferError`] if a tensor or the generation configuration is not as expected.
    pub fn load(source: Arc<Source>) -> Result<Self, InferError> {
        let arch = source.architecture();
        let layers = (0..arch.num_hidden_layers)
            .map(|l| {
                let tensor = |part: &str| source.tensor(&format!("layers.{l}.{part}"));
                Ok(LayerTensors {
                    input_norm: tensor("input_norm")?,
                    qkv_bias: tensor("qkv_bias")?,
                    post_norm: tensor("post_norm")?,
                })
            })
            .collect::<Result<_, InferError>>()?;
        Ok(Model {
            layers,
            final_norm: source.tensor("final_norm")?,
            frequencies: frequencies(arch.head_dim, arch.rope_theta),
            eos: read_eos(source.dir())?,
            weights: Weights::Source(source),
            settings: Settings::default(),
        })
    }

    /// A model without weights, for measurements of time on a device that computes nothing: a session makes the same calls and
    /// charges the same kernels as with weights, and attention and SiLU are not computed.
    pub fn of_shape(arch: Architecture, head: Head) -> Self {
        let hidden = arch.hidden_size;
        let layer = || LayerTensors {
            input_norm: vec![0.0; hidden],
            qkv_bias: vec![0.0; arch.q_width() + 2 * arch.kv_width()],
            post_norm: vec![0.0; hidden],
        };
        Model {
            layers: (0..arch.num_hidden_layers).map(|_| layer()).collect(),
            final_norm: vec![0.0; hidden],
            frequencies: frequencies(arch.head_dim, arch.rope_theta),
            eos: Vec::new(),
            weights: Weights::Shape(Box::new(arch), head),
            settings: Settings::default(),
        }
    }

    /// There are no weights ([`of_shape`](Self::of_shape)).
    pub(crate) fn is_shape(&self) -> bool {
        matches!(self.weights, Weights::Shape(..))
    }

    /// The model's shape.
    pub fn architecture(&self) -> &Architecture {
        match &self.weights {
            Weights::Source(source) => source.architecture(),
            Weights::Shape(architecture, _) => architecture,
        }
    }

    /// Ids at which generation stops.
    pub fn eos(&self) -> &[u32] {
        &self.eos
    }

    /// The embedding of a token; see [`Source::embedding_row`].
    pub(crate) fn embedding_row(&self, token: u32, out: &mut [f32]) {
        match &self.weights {
            Weights::Source(source) => source.embedding_row(token as usize, out),
            Weights::Shape(..) => out.fill(0.0),
        }
    }

    /// Where the output matrix is computed, and in which precision.
    pub fn head(&self) -> Head {
        match &self.weights {
            Weights::Source(source) => source.head(),
            Weights::Shape(_, head) => *head,
        }
    }

    /// Logits of a normed residual stream by the PS; see [`Source::ps_head`].
    pub(crate) fn ps_logits(&self, x: &[f32], logits: &mut [f32]) {
        match &self.weights {
            Weights::Source(source) => {
                let (dtype, weights) = source.ps_head().expect("an FP16 head");
                head_product(dtype, weights, x, logits);
            }
            Weights::Shape(..) => logits.fill(0.0),
        }
    }

    /// Checks token ids against the vocabulary and their number against the context.
    ///
    /// # Errors
    /// [`InferError::Input`] names the first id that does not exist, or the limit.
    pub fn check_tokens(&self, tokens: &[u32]) -> Result<(), InferError> {
        let arch = self.architecture();
        if tokens.is_empty() {
            return Err(InferError::Input(
                "the prompt is empty: expected at least one token, found none; \
                 give a text with -p or token ids with --tokens"
                    .into(),
            ));
        }
        if tokens.len() > arch.max_position_embeddings {
            return Err(InferError::Input(format!(
                "the prompt does not fit the context: expected at most {} tokens, found {}; \
                 shorten it",
                arch.max_position_embeddings,
                tokens.len()
            )));
        }
        match tokens.iter().find(|t| **t as usize >= arch.vocab_size) {
            Some(bad) => Err(InferError::Input(format!(
                "token {bad}: expected ids below the vocabulary size {}; \
                 do tokenizer and model belong together?",
                arch.vocab_size
            ))),
            None => Ok(()),
        }
    }
}
