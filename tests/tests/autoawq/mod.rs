//! AutoAWQ checkpoints for tests: random ones, and what is in them.

// Each test file uses its part of this module.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use half::f16;
use macromac_format::QuantMatrix;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use safetensors::serialize_to_file;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};

/// The folder of test data.
pub fn data() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data")
}

/// Number format, shape and bytes of a tensor.
pub type Stored = (Dtype, Vec<usize>, Vec<u8>);

/// A checkpoint with random weights: hidden 128, two heads of 64, one layer, vocabulary 40, and its
/// matrices as they were before packing, by name.
pub fn random(
    group: usize,
    seed: u64,
) -> (BTreeMap<String, Stored>, BTreeMap<String, QuantMatrix>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut tensors = BTreeMap::new();
    let mut matrices = BTreeMap::new();
    let mut halves = |shape: &[usize], around: f32| -> Stored {
        let count = shape.iter().product::<usize>();
        let values = (0..count).map(|_| f16::from_f32(around + rng.random_range(-0.5f32..0.5)));
        (
            Dtype::F16,
            shape.to_vec(),
            values.flat_map(f16::to_le_bytes).collect(),
        )
    };
    for (name, shape, around) in [
        ("model.embed_tokens.weight", vec![40, 128], 0.0),
        ("model.norm.weight", vec![128], 1.0),
        ("model.layers.0.input_layernorm.weight", vec![128], 1.0),
        (
            "model.layers.0.post_attention_layernorm.weight",
            vec![128],
            1.0,
        ),
        ("model.layers.0.self_attn.q_proj.bias", vec![128], 0.0),
        ("model.layers.0.self_attn.k_proj.bias", vec![64], 0.0),
        ("model.layers.0.self_attn.v_proj.bias", vec![64], 0.0),
    ] {
        tensors.insert(name.to_owned(), halves(&shape, around));
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed + 1);
    for (name, n, k) in [
        ("self_attn.q_proj", 128, 128),
        ("self_attn.k_proj", 64, 128),
        ("self_attn.v_proj", 64, 128),
        ("self_attn.o_proj", 128, 128),
        ("mlp.gate_proj", 256, 128),
        ("mlp.up_proj", 256, 128),
        ("mlp.down_proj", 128, 256),
    ] {
        let groups = k / group;
        let q: Vec<u8> = (0..n * k).map(|_| rng.random_range(0..16)).collect();
        let z: Vec<u8> = (0..n * groups).map(|_| rng.random_range(0..16)).collect();
        let s: Vec<f16> = (0..n * groups)
            .map(|_| f16::from_f32(rng.random_range(0.001f32..0.02)))
            .collect();
        // AutoAWQ's order: nibble i of word c is output channel 8c + [0, 2, 4, 6, 1, 3, 5, 7][i].
        let pack = |of: &dyn Fn(usize, usize) -> u8, lines: usize| -> Vec<u8> {
            let mut bytes = Vec::new();
            for line in 0..lines {
                for c in 0..n / 8 {
                    let nibbles = [0, 2, 4, 6, 1, 3, 5, 7].iter().enumerate();
                    let word = nibbles.fold(0u32, |w, (i, j)| {
                        w | u32::from(of(8 * c + j, line)) << (4 * i)
                    });
                    bytes.extend(word.to_le_bytes());
                }
            }
            bytes
        };
        let name = format!("model.layers.0.{name}");
        let qweight = pack(&|row, line| q[row * k + line], k);
        let qzeros = pack(&|row, line| z[row * groups + line], groups);
        let scales = (0..groups * n)
            .flat_map(|i| s[i % n * groups + i / n].to_le_bytes())
            .collect();
        tensors.insert(
            format!("{name}.qweight"),
            (Dtype::I32, vec![k, n / 8], qweight),
        );
        tensors.insert(
            format!("{name}.qzeros"),
            (Dtype::I32, vec![groups, n / 8], qzeros),
        );
        tensors.insert(
            format!("{name}.scales"),
            (Dtype::F16, vec![groups, n], scales),
        );
        // In groups of 64, as the blocks have them.
        let halves = |v: &dyn Fn(usize) -> usize| -> Vec<usize> {
            (0..n * (k / 64))
                .map(|i| v(i / (k / 64) * groups + i % (k / 64) * 64 / group))
                .collect()
        };
        let at = halves(&|i| i);
        let matrix = QuantMatrix {
            n,
            k,
            q,
            scales: at.iter().map(|i| s[*i]).collect(),
            zeros: at.iter().map(|i| z[*i]).collect(),
        };
        matrices.insert(name, matrix);
    }
    (tensors, matrices)
}

pub fn config(quantization: Value) -> Value {
    json!({
        "architectures": ["Qwen2ForCausalLM"], "vocab_size": 40, "hidden_size": 128,
        "intermediate_size": 256, "num_hidden_layers": 1, "num_attention_heads": 2,
        "num_key_value_heads": 1, "tie_word_embeddings": true, "quantization_config": quantization,
    })
}

pub fn awq(group: usize) -> Value {
    json!({
        "bits": 4, "group_size": group, "modules_to_not_convert": null, "quant_method": "awq",
        "version": "gemm", "zero_point": true,
    })
}

pub fn write_tensors<'a>(path: &Path, tensors: impl Iterator<Item = (&'a String, &'a Stored)>) {
    let views = tensors.map(|(name, (dtype, shape, data))| {
        (name, TensorView::new(*dtype, shape.clone(), data).unwrap())
    });
    serialize_to_file(views, None, path).unwrap();
}

pub fn checkpoint(config: &Value, tensors: &BTreeMap<String, Stored>) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
    write_tensors(&dir.path().join("model.safetensors"), tensors.iter());
    dir
}
