//! A Hugging Face checkpoint folder, with every tensor found and its shape checked: in full
//! precision, or quantized by AutoAWQ.

use std::path::{Path, PathBuf};

use half::f16;
use macromac_format::{Architecture, DType, GROUP, Head, QuantMatrix};
use rayon::prelude::*;

use crate::InferError;
use crate::autoawq::{AutoAwq, PackedRef, read_quantization};
use crate::config::read_config;
use crate::fused::PassKind;
use crate::store::{TensorRef, TensorStore};

const EMBEDDING: &str = "model.embed_tokens.weight";
const LM_HEAD: &str = "lm_head.weight";

/// An opened checkpoint.
#[derive(Debug)]
pub struct Checkpoint {
    dir: PathBuf,
    architecture: Architecture,
    quantization: Option<AutoAwq>,
    store: TensorStore,
    /// The matrices of each pass, `lm_head` included.
    passes: Vec<(PassKind, Vec<Matrix>)>,
    embedding: TensorRef,
    head: TensorRef,
}

/// A matrix [N, K] of a checkpoint.
#[derive(Debug, Clone, Copy)]
enum Matrix {
    Plain(TensorRef),
    Packed(PackedRef),
}

impl Checkpoint {
    /// Opens the checkpoint in folder `dir`; weights are mapped, not read.
    ///
    /// # Errors
    /// [`InferError`] names the file or the tensor and says what was expected.
    pub fn open(dir: &Path) -> Result<Self, InferError> {
        let architecture = read_config(&dir.join("config.json"))?;
        let quantization = read_quantization(dir)?;
        let store = TensorStore::open(dir)?;
        let list = architecture.passes(Head::Int4);
        let kinds = || (0..list.len()).map(|id| PassKind::of(&architecture, id));
        let packed = |kind| quantization.filter(|_| kind != PassKind::LmHead);

        let mut names = vec![EMBEDDING.to_owned()];
        for ((kind, layer), pass) in kinds().zip(&list) {
            for (name, rows) in kind.parts(&architecture, layer) {
                match packed(kind) {
                    Some(q) => {
                        PackedRef::check_shape(&name, [rows, pass.k], q.group_size)
                            .map_err(|e| InferError::checkpoint(dir, e))?;
                        names.extend(PackedRef::names(&name));
                    }
                    None => names.push(name),
                }
            }
        }
        for t in architecture.tensors(Head::Int4) {
            names.extend(
                tensor_parts(&architecture, &t.name)
                    .into_iter()
                    .map(|p| p.0),
            );
        }
        store.require(&names)?;

        let mut passes = Vec::new();
        for ((kind, layer), pass) in kinds().zip(&list) {
            let parts = kind.parts(&architecture, layer);
            let found = parts.iter().map(|(name, rows)| match packed(kind) {
                Some(q) => {
                    PackedRef::find(&store, name, [*rows, pass.k], q.group_size).map(Matrix::Packed)
                }
                None => store.find(name, &[*rows, pass.k]).map(Matrix::Plain),
            });
            passes.push((kind, found.collect::<Result<Vec<_>, _>>()?));
        }
        let shape = [architecture.vocab_size, architecture.hidden_size];
        let embedding = store.find(EMBEDDING, &shape)?;
        let head = match architecture.tie_word_embeddings {
            true => embedding,
            false => store.find(LM_HEAD, &shape)?,
        };
        if architecture.tie_word_embeddings && store.has(LM_HEAD) {
            // AutoAWQ's older versions store a tied head a second time.
            let stored = store.find(LM_HEAD, &shape)?;
            if stored.dtype != embedding.dtype || store.bytes(&stored) != store.bytes(&embedding) {
                return Err(InferError::checkpoint(
                    dir,
                    format!(
                        "tensor {LM_HEAD}: expected a copy of {EMBEDDING}, for config.json has \
                         tie_word_embeddings true, found other values; if the model has a head of \
                         its own, set tie_word_embeddings to false"
                    ),
                ));
            }
        }
        let checkpoint = Checkpoint {
            dir: dir.to_owned(),
            architecture,
            quantization,
            store,
            passes,
            embedding,
            head,
        };
        for t in checkpoint.architecture.tensors(Head::Int4) {
            checkpoint.parts_of(&t.name)?;
        }
        Ok(checkpoint)
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The model's shape.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// How AutoAWQ quantized it; `None` for a checkpoint in full precision.
    pub fn quantization(&self) -> Option<AutoAwq> {
        self.quantization
    }

    /// Where the output matrix is computed unless something else is asked for: an AutoAWQ
    /// checkpoint carries it in FP16, and so it stays.
    pub fn default_head(&self) -> Head {
        match self.quantization {
            Some(_) => Head::Fp16,
            None => Head::Int4,
        }
    }

    /// Widens row `row` of pass `pass` to FP32; a padding row is zero.
    ///
    /// # Panics
    /// If there is no such row, or `out` is not K long.
    pub fn pass_row(&self, pass: usize, row: usize, out: &mut [f32]) {
        let (kind, parts) = &self.passes[pass];
        let Some((part, row)) = kind.locate(&self.architecture, row) else {
            out.fill(0.0);
            return;
        };
        match &parts[part] {
            Matrix::Plain(t) => self.store.row(t, row, out),
            Matrix::Packed(p) => p.packed(&self.store).dequant_row(row, out),
        }
    }

    /// The quantized matrix of a pass as the checkpoint holds it; `None` if it is in full
    /// precision. Padding rows have q = z = 0 and scale 0.
    ///
    /// # Panics
    /// If there is no such pass.
    pub fn quantized(&self, pass: usize) -> Option<QuantMatrix> {
        let (kind, parts) = &self.passes[pass];
        let parts: Vec<&PackedRef> = parts
            .iter()
            .map(|p| match p {
                Matrix::Packed(p) => Some(p),
                Matrix::Plain(_) => None,
            })
            .collect::<Option<_>>()?;
        let shape = &self.architecture.passes(Head::Int4)[pass];
        let (n, k) = (shape.n, shape.k);
        let groups = k.div_ceil(GROUP);
        let mut m = QuantMatrix {
            n,
            k,
            q: vec![0; n * k],
            scales: vec![f16::ZERO; n * groups],
            zeros: vec![0; n * groups],
        };
        m.q.par_chunks_mut(k)
            .zip(m.scales.par_chunks_mut(groups))
            .zip(m.zeros.par_chunks_mut(groups))
            .enumerate()
            .for_each(|(row, ((q, scales), zeros))| {
                if let Some((part, row)) = kind.locate(&self.architecture, row) {
                    parts[part].packed(&self.store).row(row, q, scales, zeros);
                }
            });
        Some(m)
    }

    /// Widens the embedding of a token to FP32.
    ///
    /// # Panics
    /// If the token is outside the vocabulary, or `out` is not `hidden_size` long.
    pub fn embedding_row(&self, token: usize, out: &mut [f32]) {
        self.store.row(&self.embedding, token, out);
    }

    /// Number format and bytes of the output matrix [vocabulary, hidden].
    pub fn head(&self) -> (DType, &[u8]) {
        (self.head.dtype, self.store.bytes(&self.head))
    }

    /// Number format and bytes of a tensor by its name in an image ([`Architecture::tensors`]).
    /// Parts of different number formats are widened to FP32.
    ///
    /// # Errors
    /// [`InferError::Checkpoint`] if a part is missing or has another shape.
    pub fn tensor(&self, name: &str) -> Result<(DType, Vec<u8>), InferError> {
        let parts = self.parts_of(name)?;
        let dtype = parts[0].dtype;
        if parts.iter().all(|p| p.dtype == dtype) {
            let bytes = parts
                .iter()
                .flat_map(|p| self.store.bytes(p).iter().copied())
                .collect();
            return Ok((dtype, bytes));
        }
        let mut bytes = Vec::new();
        for p in &parts {
            let mut wide = vec![0.0; p.rows * p.columns];
            p.dtype.widen(self.store.bytes(p), &mut wide);
            bytes.extend(wide.iter().flat_map(|v| v.to_le_bytes()));
        }
        Ok((DType::F32, bytes))
    }

    /// All tensors in full precision that the model uses, with their names in the checkpoint: each once.
    ///
    /// # Panics
    /// Never: [`Checkpoint::open`] found them all.
    pub fn plain_tensors(&self) -> Vec<(String, TensorRef)> {
        let mut list = vec![(EMBEDDING.to_owned(), self.embedding)];
        for (pass, (kind, matrices)) in self.passes.iter().enumerate() {
            let (_, layer) = PassKind::of(&self.architecture, pass);
            let parts = kind.parts(&self.architecture, layer);
            for ((name, _), matrix) in parts.into_iter().zip(matrices) {
                if let (Matrix::Plain(t), true) = (matrix, name != EMBEDDING) {
                    list.push((name, *t));
                }
            }
        }
        for t in self.architecture.tensors(Head::Int4) {
            let names = tensor_parts(&self.architecture, &t.name);
            let found = self.parts_of(&t.name).expect("open() found all parts");
            for ((name, _), t) in names.into_iter().zip(found) {
                if name != EMBEDDING && name != LM_HEAD {
                    list.push((name, t));
                }
            }
        }
        list
    }

    /// Bytes of a tensor of [`Checkpoint::plain_tensors`].
    pub fn bytes_of(&self, t: &TensorRef) -> &[u8] {
        self.store.bytes(t)
    }

    fn parts_of(&self, name: &str) -> Result<Vec<TensorRef>, InferError> {
        let parts = tensor_parts(&self.architecture, name);
        parts
            .iter()
            .map(|(name, shape)| self.store.find(name, shape))
            .collect()
    }
}

/// Names and shapes of the checkpoint tensors that make up a tensor of [`Architecture::tensors`].
pub(crate) fn tensor_parts(arch: &Architecture, name: &str) -> Vec<(String, Vec<usize>)> {
    let hidden = arch.hidden_size;
    let matrix = vec![arch.vocab_size, hidden];
    match name {
        "embedding" => return vec![(EMBEDDING.into(), matrix)],
        "lm_head" => return vec![(LM_HEAD.into(), matrix)],
        "final_norm" => return vec![("model.norm.weight".into(), vec![hidden])],
        _ => {}
    }
    let (layer, part) = name
        .rsplit_once('.')
        .expect("a name of Architecture::tensors");
    let of_layer = |rest: &str, width: usize| (format!("model.{layer}.{rest}"), vec![width]);
    match part {
        "input_norm" => vec![of_layer("input_layernorm.weight", hidden)],
        "post_norm" => vec![of_layer("post_attention_layernorm.weight", hidden)],
        "qkv_bias" => vec![
            of_layer("self_attn.q_proj.bias", arch.q_width()),
            of_layer("self_attn.k_proj.bias", arch.kv_width()),
            of_layer("self_attn.v_proj.bias", arch.kv_width()),
        ],
        _ => unreachable!("{name} is no name of Architecture::tensors"),
    }
}
