//! A Hugging Face checkpoint folder, with every tensor found and its shape checked.

use std::path::{Path, PathBuf};

use macromac_format::{Architecture, DType, Head};

use crate::InferError;
use crate::config::read_config;
use crate::fused::PassKind;
use crate::store::{TensorRef, TensorStore};

/// An opened checkpoint.
#[derive(Debug)]
pub struct Checkpoint {
    dir: PathBuf,
    architecture: Architecture,
    store: TensorStore,
    /// The matrices of each pass.
    passes: Vec<(PassKind, Vec<TensorRef>)>,
    embedding: TensorRef,
}

impl Checkpoint {
    /// Opens the checkpoint in folder `dir`; weights are mapped, not read.
    ///
    /// # Errors
    /// [`InferError`] names the file or the tensor and says what was expected.
    pub fn open(dir: &Path) -> Result<Self, InferError> {
        let architecture = read_config(&dir.join("config.json"))?;
        let store = TensorStore::open(dir)?;
        let mut passes = Vec::new();
        for (id, pass) in architecture.passes(Head::Int4).iter().enumerate() {
            let (kind, layer) = PassKind::of(&architecture, id);
            let parts = kind.parts(&architecture, layer);
            let found = parts
                .iter()
                .map(|(name, rows)| store.find(name, &[*rows, pass.k]));
            passes.push((kind, found.collect::<Result<_, _>>()?));
        }
        let (vocab, hidden) = (architecture.vocab_size, architecture.hidden_size);
        let embedding = store.find("model.embed_tokens.weight", &[vocab, hidden])?;
        let checkpoint = Checkpoint {
            dir: dir.to_owned(),
            architecture,
            store,
            passes,
            embedding,
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

    /// Widens row `row` of pass `pass` to FP32; a padding row is zero.
    ///
    /// # Panics
    /// If there is no such row, or `out` is not K long.
    pub fn pass_row(&self, pass: usize, row: usize, out: &mut [f32]) {
        let (kind, parts) = &self.passes[pass];
        match kind.locate(&self.architecture, row) {
            Some((part, row)) => self.store.row(&parts[part], row, out),
            None => out.fill(0.0),
        }
    }

    /// Widens the embedding of a token to FP32.
    ///
    /// # Panics
    /// If the token is outside the vocabulary, or `out` is not `hidden_size` long.
    pub fn embedding_row(&self, token: usize, out: &mut [f32]) {
        self.store.row(&self.embedding, token, out);
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

    fn parts_of(&self, name: &str) -> Result<Vec<TensorRef>, InferError> {
        let arch = &self.architecture;
        let hidden = [arch.hidden_size];
        if name == "embedding" {
            return Ok(vec![self.embedding]);
        }
        if name == "final_norm" {
            return Ok(vec![self.store.find("model.norm.weight", &hidden)?]);
        }
        let (layer, part) = name
            .rsplit_once('.')
            .expect("a name of Architecture::tensors");
        let find =
            |rest: &str, width: usize| self.store.find(&format!("model.{layer}.{rest}"), &[width]);
        match part {
            "input_norm" => Ok(vec![find("input_layernorm.weight", hidden[0])?]),
            "post_norm" => Ok(vec![find("post_attention_layernorm.weight", hidden[0])?]),
            "qkv_bias" => Ok(vec![
                find("self_attn.q_proj.bias", arch.q_width())?,
                find("self_attn.k_proj.bias", arch.kv_width())?,
                find("self_attn.v_proj.bias", arch.kv_width())?,
            ]),
            _ => unreachable!("{name} is no name of Architecture::tensors"),
        }
    }
}
