//! Tensors of a checkpoint that are missing, of another shape or of another number format.

mod common;

use std::collections::BTreeMap;
use std::fs;

use common::{demo_copy, names, refuses, s};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

/// Number format, shape and bytes of a tensor.
type Stored = (Dtype, Vec<usize>, Vec<u8>);

#[test]
fn tensors_that_are_missing_or_of_another_kind_are_named() {
    type Damage = fn(&mut BTreeMap<String, Stored>);
    let cases: [(&[&str], Damage); 4] = [
        (
            &[
                "layers.0.mlp.up_proj.weight, model.layers.1.input_layernorm.weight, model.norm.weight: expected by config.json, found no such",
            ],
            |t| {
                t.remove("model.layers.0.mlp.up_proj.weight").unwrap();
                t.remove("model.layers.1.input_layernorm.weight").unwrap();
                t.remove("model.norm.weight").unwrap();
            },
        ),
        (
            &[
                "layers.3.mlp.down_proj.weight",
                "expected shape [256, 704]",
                "found the transpose [704, 256]",
            ],
            |t| {
                t.get_mut("model.layers.3.mlp.down_proj.weight")
                    .unwrap()
                    .1
                    .reverse()
            },
        ),
        (
            &[
                "layers.2.self_attn.q_proj.weight",
                "expected BF16, F16 or F32, found I16",
            ],
            |t| {
                t.get_mut("model.layers.2.self_attn.q_proj.weight")
                    .unwrap()
                    .0 = Dtype::I16
            },
        ),
        (
            &[
                "layers.5.self_attn.k_proj.bias",
                "expected shape [128]",
                "found [64]",
            ],
            |t| {
                let bias = t.get_mut("model.layers.5.self_attn.k_proj.bias").unwrap();
                bias.1 = vec![64];
                bias.2.truncate(128);
            },
        ),
    ];
    for (words, damage) in cases {
        let dir = tempfile::tempdir().unwrap();
        let checkpoint = demo_copy(dir.path());
        let path = checkpoint.join("model.safetensors");
        let bytes = fs::read(&path).unwrap();
        let mut tensors: BTreeMap<String, Stored> = SafeTensors::deserialize(&bytes)
            .unwrap()
            .tensors()
            .into_iter()
            .map(|(n, t)| (n, (t.dtype(), t.shape().to_vec(), t.data().to_vec())))
            .collect();
        damage(&mut tensors);
        let views = tensors.iter().map(|(name, (dtype, shape, data))| {
            (name, TensorView::new(*dtype, shape.clone(), data).unwrap())
        });
        safetensors::serialize_to_file(views, None, &path).unwrap();
        let out = dir.path().join("out");
        for format in ["image", "autoawq"] {
            refuses(
                &["pack", s(&checkpoint), "-o", s(&out), "--format", format],
                words,
            );
        }
        assert_eq!(names(dir.path()), ["checkpoint"], "{words:?}");
    }
}
