//! Importing AutoAWQ checkpoints in all their forms: the same bits, never quantized again; what is wrong is named.

mod autoawq;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use autoawq::{Stored, awq, checkpoint, config, random, write_tensors};
use macromac_format::{Head, Image, QuantMatrix};
use macromac_infer::{Checkpoint, PackOptions, pack, pack_with};
use safetensors::tensor::Dtype;
use serde_json::{Value, json};

fn check_image(image: &Path, matrices: &BTreeMap<String, QuantMatrix>) {
    let image = Image::open(image).unwrap();
    let matrix = |name: &str| {
        let id = image.pass_id(name).unwrap();
        let [n, k] = image.passes()[id].shape;
        QuantMatrix::from_segments(n, k, image.segments(id)).unwrap()
    };
    let equal = |have: &QuantMatrix, row: usize, want: &str, want_row: usize| {
        let want = &matrices[&format!("model.layers.0.{want}")];
        for k in 0..want.k {
            let (a, b) = (have.weight(row, k), want.weight(want_row, k));
            assert_eq!(a.to_bits(), b.to_bits());
        }
    };
    let qkv = matrix("layers.0.qkv");
    (0..128).for_each(|r| equal(&qkv, r, "self_attn.q_proj", r));
    (0..64).for_each(|r| equal(&qkv, 128 + r, "self_attn.k_proj", r));
    (0..64).for_each(|r| equal(&qkv, 192 + r, "self_attn.v_proj", r));
    let gate_up = matrix("layers.0.gate_up");
    for r in 0..256 {
        equal(&gate_up, r / 8 * 16 + r % 8, "mlp.gate_proj", r);
        equal(&gate_up, r / 8 * 16 + 8 + r % 8, "mlp.up_proj", r);
    }
    let (o, down) = (matrix("layers.0.o"), matrix("layers.0.down"));
    (0..128).for_each(|r| equal(&o, r, "self_attn.o_proj", r));
    (0..128).for_each(|r| equal(&down, r, "mlp.down_proj", r));
}

#[test]
fn weights_keep_their_bits_in_both_group_sizes_and_every_form() {
    for group in [64, 128] {
        let (mut tensors, matrices) = random(group, 7);
        let dir = checkpoint(&config(awq(group)), &tensors);
        let image = dir.path().join("image");
        let pack_it = || pack(&Checkpoint::open(dir.path()).unwrap(), &image, |_| {}).unwrap();
        pack_it();
        check_image(&image, &matrices);
        let q = Image::open(&image).unwrap().manifest().quantization.clone();
        assert_eq!((q.group_size, q.head), (group, Head::Fp16));
        let bin = fs::read(image.join("model.bin")).unwrap();

        // A tied head that is stored too changes nothing.
        let head = tensors["model.embed_tokens.weight"].clone();
        tensors.insert("lm_head.weight".into(), head);
        write_tensors(&dir.path().join("model.safetensors"), tensors.iter());
        pack_it();
        assert_eq!(fs::read(image.join("model.bin")).unwrap(), bin);
        tensors.get_mut("lm_head.weight").unwrap().2[0] ^= 1;
        write_tensors(&dir.path().join("model.safetensors"), tensors.iter());
        let e = Checkpoint::open(dir.path()).unwrap_err().to_string();
        assert!(
            e.contains("tie_word_embeddings") && e.contains("lm_head.weight"),
            "{e}"
        );
        tensors.remove("lm_head.weight");

        // AutoAWQ's own spelling in a file of its own, and two shards.
        fs::remove_file(dir.path().join("model.safetensors")).unwrap();
        fs::write(
            dir.path().join("config.json"),
            config(Value::Null).to_string(),
        )
        .unwrap();
        let own =
            json!({ "w_bit": 4, "q_group_size": group, "version": "GEMM", "zero_point": true });
        fs::write(dir.path().join("quant_config.json"), own.to_string()).unwrap();
        let names = ["a.safetensors", "b.safetensors"];
        let shard = |i: usize| tensors.iter().enumerate().filter(move |t| t.0 % 2 == i);
        for (i, name) in names.iter().enumerate() {
            write_tensors(&dir.path().join(name), shard(i).map(|t| t.1));
        }
        let map: BTreeMap<&String, &str> = (0..2)
            .flat_map(|i| shard(i).map(move |t| (t.1.0, names[i])))
            .collect();
        let index = json!({ "weight_map": map }).to_string();
        fs::write(dir.path().join("model.safetensors.index.json"), index).unwrap();
        pack_it();
        assert_eq!(fs::read(image.join("model.bin")).unwrap(), bin);

        // The head may be put into the accelerator.
        let options = PackOptions {
            head: Some(Head::Int4),
            ..PackOptions::default()
        };
        let opened = Checkpoint::open(dir.path()).unwrap();
        pack_with(&opened, &image, &options, |_| {}).unwrap();
        check_image(&image, &matrices);
        let image = Image::open(&image).unwrap();
        assert!(image.pass_id("lm_head").is_some() && image.tensor("embedding").is_none());
    }
}

#[test]
fn what_is_wrong_is_named() {
    let (tensors, _) = random(64, 9);
    let refused = |config: &Value, tensors: &BTreeMap<String, Stored>, words: &[&str]| {
        let dir = checkpoint(config, tensors);
        let e = Checkpoint::open(dir.path()).unwrap_err().to_string();
        for word in words {
            assert!(e.contains(word), "expected \"{word}\" in: {e}");
        }
    };
    let mut gptq = awq(64);
    gptq["quant_method"] = json!("gptq");
    refused(&config(gptq), &tensors, &["config.json", "gptq", "gemm"]);
    refused(
        &config(awq(128)),
        &tensors,
        &["scales", "[1, 128]", "[2, 128]"],
    );

    let mut missing = tensors.clone();
    let (one, two) = (
        "model.layers.0.mlp.up_proj.qzeros",
        "model.layers.0.self_attn.k_proj.bias",
    );
    missing.remove(one);
    missing.remove(two);
    refused(
        &config(awq(64)),
        &missing,
        &[one, two, "found no such tensor"],
    );
    refused(
        &config(Value::Null),
        &tensors,
        &["q_proj.weight", "found no such tensor"],
    );

    let mut odd = config(awq(128));
    odd["intermediate_size"] = json!(192);
    refused(
        &odd,
        &random(128, 1).0,
        &["down_proj.weight", "group size 128", "192"],
    );

    let mut damaged = tensors.clone();
    let name = "model.layers.0.self_attn.o_proj.scales";
    damaged.get_mut(name).unwrap().2[2 * (128 + 5)..][..2].copy_from_slice(&[0, 0x7c]);
    refused(&config(awq(64)), &damaged, &[name, "[1, 5]", "inf"]);
    let mut bf16 = tensors.clone();
    bf16.get_mut(name).unwrap().0 = Dtype::BF16;
    refused(&config(awq(64)), &bf16, &[name, "expected F16"]);
    let mut wide = tensors;
    let name = "model.layers.0.self_attn.o_proj.qweight";
    wide.get_mut(name).unwrap().0 = Dtype::F32;
    refused(&config(awq(64)), &wide, &[name, "expected I32"]);
}
