//! AutoAWQ checkpoints: unpacked exactly, never quantized again, equal to transformers.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use half::f16;
use macromac_driver::Profile;
use macromac_format::{Head, Image, QuantMatrix};
use macromac_infer::autoawq::Packed;
use macromac_infer::{
    Checkpoint, Model, Options, PackOptions, Session, Source, Tokenizer, cpu_device, generate,
    golden_device, pack, pack_with,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize_to_file};
use serde_json::{Value, json};

fn data() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data")
}

#[test]
fn the_vectors_of_autoawq_unpack_exactly() {
    for (file, n, k, group_size) in [
        ("layer-in128-out64-g64.safetensors", 64, 128, 64),
        ("layer-in256-out128-g128.safetensors", 128, 256, 128),
    ] {
        let bytes = fs::read(data().join("awq").join(file)).unwrap();
        let t = SafeTensors::deserialize(&bytes).unwrap();
        let of = |name: &str| t.tensor(name).unwrap().data();
        let p = Packed {
            qweight: of("qweight"),
            qzeros: of("qzeros"),
            scales: of("scales"),
            n,
            group_size,
        };
        let (int_weight, int_zeros) = (of("int_weight"), of("int_zeros"));
        let mut dequant = vec![0.0; k];
        for row in 0..n {
            p.dequant_row(row, &mut dequant);
            for column in 0..k {
                assert_eq!(p.q(row, column), int_weight[column * n + row], "{file}");
                let at = 4 * (column * n + row);
                let want = f32::from_le_bytes(of("dequant_f32")[at..at + 4].try_into().unwrap());
                assert_eq!(dequant[column], want, "{file} [{row}, {column}]");
            }
            for group in 0..k / group_size {
                assert_eq!(p.zero(row, group), int_zeros[group * n + row], "{file}");
                let at = 2 * (group * n + row);
                let want = f16::from_le_bytes(of("scales")[at..at + 2].try_into().unwrap());
                assert_eq!(p.scale(row, group).to_bits(), want.to_bits(), "{file}");
            }
        }
    }
}

fn tiny_image() -> (tempfile::TempDir, Arc<Source>, Model) {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("image");
    let checkpoint = Checkpoint::open(&data().join("tiny-a/awq")).unwrap();
    pack(&checkpoint, &image, |_| {}).unwrap();
    let source = Arc::new(Source::open(&image).unwrap());
    let model = Model::load(source.clone()).unwrap();
    (dir, source, model)
}

#[test]
fn tiny_a_equals_transformers_at_every_position() {
    let bytes = fs::read(data().join("tiny-a/reference-awq.safetensors")).unwrap();
    let reference = SafeTensors::deserialize(&bytes).unwrap();
    let words = |name: &str| -> Vec<u32> {
        let data = reference.tensor(name).unwrap().data();
        data.chunks_exact(4)
            .map(|b| u32::from_le_bytes(b.try_into().unwrap()))
            .collect()
    };
    let (_dir, source, model) = tiny_image();
    let checkpoint = Arc::new(Source::open(&data().join("tiny-a/awq")).unwrap());
    let tokenizer = Tokenizer::open(source.dir()).unwrap();
    let (mut worst, mut worst_golden) = (0f32, 0f32);
    for case in ["1", "7", "64", "200", "text"] {
        let tokens = words(&format!("tokens_{case}"));
        let want = words(&format!("logits_{case}"));
        let mut cpu = cpu_device(source.clone());
        let mut direct = cpu_device(checkpoint.clone());
        let mut golden = golden_device(source.clone(), Profile::Paper).unwrap();
        let mut cpu = Session::new(&model, &mut cpu);
        let mut golden = Session::new(&model, &mut golden);
        let direct_model = Model::load(checkpoint.clone()).unwrap();
        let mut direct = Session::new(&direct_model, &mut direct);
        for (token, want) in tokens.iter().zip(want.chunks_exact(512)) {
            let have = cpu.logits_after(*token).unwrap();
            let of_golden = golden.logits_after(*token).unwrap();
            for ((have, want), golden) in have.iter().zip(want).zip(of_golden) {
                worst = worst.max((have - f32::from_bits(*want)).abs());
                worst_golden = worst_golden.max((have - golden).abs());
            }
            // Unpacked or in blocks: the same weights, the same sums, the same bits.
            assert_eq!(have, direct.logits_after(*token).unwrap(), "{case}");
        }
        if let "7" | "text" = case {
            let mut device = cpu_device(source.clone());
            let mut session = Session::new(&model, &mut device);
            let options = Options {
                max_tokens: 32,
                ignore_eos: true,
                ..Options::default()
            };
            let g = generate(&model, &tokenizer, &mut session, &tokens, &options, |_| {
                Ok(())
            });
            assert_eq!(
                g.unwrap().tokens,
                words(&format!("greedy_{case}")),
                "{case}"
            );
        }
    }
    println!("largest difference of a logit: {worst:e}, of golden to cpu {worst_golden:e}");
    assert!(worst <= 2e-3 && worst_golden <= 2e-3);
}

#[test]
fn a_tied_fp16_head_is_stored_once() {
    let (_dir, source, _) = tiny_image();
    let Source::Image(image) = &*source else {
        panic!("an image")
    };
    let m = image.manifest();
    assert_eq!(m.quantization.head, Head::Fp16);
    assert_eq!(
        (m.quantization.method.as_str(), m.quantization.group_size),
        ("awq", 64)
    );
    assert!(image.pass_id("lm_head").is_none());
    let matrices = m.tensors.iter().filter(|t| t.shape.len() == 2);
    let names: Vec<&str> = matrices.map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["embedding"]);
}

/// Number format, shape and bytes of a tensor.
type Stored = (Dtype, Vec<usize>, Vec<u8>);

/// A checkpoint with random weights: hidden 128, two heads of 64, one layer, vocabulary 40, and its
/// matrices as they were before packing, by name.
fn random(group: usize, seed: u64) -> (BTreeMap<String, Stored>, BTreeMap<String, QuantMatrix>) {
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

fn config(quantization: Value) -> Value {
    json!({
        "architectures": ["Qwen2ForCausalLM"], "vocab_size": 40, "hidden_size": 128,
        "intermediate_size": 256, "num_hidden_layers": 1, "num_attention_heads": 2,
        "num_key_value_heads": 1, "tie_word_embeddings": true, "quantization_config": quantization,
    })
}

fn awq(group: usize) -> Value {
    json!({
        "bits": 4, "group_size": group, "modules_to_not_convert": null, "quant_method": "awq",
        "version": "gemm", "zero_point": true,
    })
}

fn write_tensors<'a>(path: &Path, tensors: impl Iterator<Item = (&'a String, &'a Stored)>) {
    let views = tensors.map(|(name, (dtype, shape, data))| {
        (name, TensorView::new(*dtype, shape.clone(), data).unwrap())
    });
    serialize_to_file(views, None, path).unwrap();
}

fn checkpoint(config: &Value, tensors: &BTreeMap<String, Stored>) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
    write_tensors(&dir.path().join("model.safetensors"), tensors.iter());
    dir
}

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
