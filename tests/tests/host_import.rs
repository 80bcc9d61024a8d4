//! Every form a checkpoint may have gives the same model: number formats, shards, an untied head.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use half::f16;
use macromac_driver::Profile;
use macromac_infer::{Checkpoint, Model, Session, Source, cpu_device, golden_device, pack};
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize_to_file};

const TOKENS: [u32; 5] = [300, 17, 255, 4, 99];

/// Tensors by name: shape and FP32 values.
type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

fn tiny_a() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data/tiny-a/fp")
}

fn tensors() -> Tensors {
    let bytes = fs::read(tiny_a().join("model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let widen = |b: &[u8]| f32::from_bits(u32::from(u16::from_le_bytes([b[0], b[1]])) << 16);
    file.iter()
        .map(|(name, t)| {
            assert_eq!(t.dtype(), Dtype::BF16);
            let values = t.data().chunks_exact(2).map(widen).collect();
            (name.to_owned(), (t.shape().to_vec(), values))
        })
        .collect()
}

/// Writes some tensors in a number format.
fn write(path: &Path, dtype: Dtype, tensors: &Tensors) {
    let bytes: Vec<(&String, &Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .map(|(name, (shape, values))| {
            let bytes = match dtype {
                Dtype::F32 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
                Dtype::F16 => values
                    .iter()
                    .flat_map(|v| f16::from_f32(*v).to_le_bytes())
                    .collect(),
                // Exact: the values come from BF16.
                _ => values
                    .iter()
                    .flat_map(|v| ((v.to_bits() >> 16) as u16).to_le_bytes())
                    .collect(),
            };
            (name, shape, bytes)
        })
        .collect();
    let views = bytes
        .iter()
        .map(|(name, shape, data)| (name, TensorView::new(dtype, shape.to_vec(), data).unwrap()));
    serialize_to_file(views, None, path).unwrap();
}

/// A checkpoint folder without weights; `edit` changes the text of its configuration.
fn folder(edit: impl Fn(String) -> String) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in ["config.json", "generation_config.json", "tokenizer.json"] {
        let text = fs::read_to_string(tiny_a().join(name)).unwrap();
        let text = if name == "config.json" {
            edit(text)
        } else {
            text
        };
        fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

/// Bits of all logits after [`TOKENS`] on the cpu backend.
fn logits(dir: &Path) -> Vec<u32> {
    let source = Arc::new(Source::open(dir).unwrap());
    let model = Model::load(source.clone()).unwrap();
    let mut device = cpu_device(source);
    let mut session = Session::new(&model, &mut device);
    let all = TOKENS
        .iter()
        .flat_map(|t| session.logits_after(*t).unwrap().to_vec());
    all.map(f32::to_bits).collect()
}

#[test]
fn fp32_and_fp16_and_shards() {
    let all = tensors();
    let want = logits(&tiny_a());

    let fp32 = folder(|c| c);
    write(&fp32.path().join("model.safetensors"), Dtype::F32, &all);
    assert_eq!(logits(fp32.path()), want, "FP32");

    // FP16 rounds, so it is compared with an FP32 checkpoint of the rounded values.
    let fp16 = folder(|c| c);
    write(&fp16.path().join("model.safetensors"), Dtype::F16, &all);
    let round = |v: &f32| f16::from_f32(*v).to_f32();
    let rounded: Tensors = all
        .iter()
        .map(|(n, (s, v))| (n.clone(), (s.clone(), v.iter().map(round).collect())))
        .collect();
    write(&fp32.path().join("model.safetensors"), Dtype::F32, &rounded);
    assert_eq!(logits(fp16.path()), logits(fp32.path()), "FP16");

    // Two shards of different number formats, the split in the middle of a layer's tensors.
    let shards = folder(|c| c);
    let names = [
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
    ];
    let mut parts = [Tensors::new(), Tensors::new()];
    for (i, (name, t)) in all.iter().enumerate() {
        parts[i % 2].insert(name.clone(), t.clone());
    }
    write(&shards.path().join(names[0]), Dtype::F32, &parts[0]);
    write(&shards.path().join(names[1]), Dtype::BF16, &parts[1]);
    let map: serde_json::Map<String, serde_json::Value> = all
        .keys()
        .enumerate()
        .map(|(i, n)| (n.clone(), names[i % 2].into()))
        .collect();
    let index = serde_json::json!({ "metadata": {}, "weight_map": map }).to_string();
    let index_path = shards.path().join("model.safetensors.index.json");
    fs::write(&index_path, &index).unwrap();
    assert_eq!(logits(shards.path()), want, "shards");

    let refused = |word: &str| {
        let e = Checkpoint::open(shards.path()).unwrap_err().to_string();
        assert!(e.contains(word), "{word}: {e}");
    };
    fs::write(
        &index_path,
        index.replace(names[1], "../elsewhere.safetensors"),
    )
    .unwrap();
    refused("expected a file name");
    fs::write(&index_path, index).unwrap();
    fs::remove_file(shards.path().join(names[1])).unwrap();
    refused(names[1]);
}

#[test]
fn an_untied_head_is_stored_apart_from_the_embedding() {
    let mut all = tensors();
    let head = all["model.embed_tokens.weight"].clone();
    let untied = |c: String| {
        let (from, to) = (
            "\"tie_word_embeddings\": true",
            "\"tie_word_embeddings\": false",
        );
        assert!(c.contains(from));
        c.replace(from, to)
    };
    all.insert("lm_head.weight".into(), head);
    let dir = folder(untied);
    write(&dir.path().join("model.safetensors"), Dtype::BF16, &all);
    assert_eq!(
        logits(dir.path()),
        logits(&tiny_a()),
        "head equal to the embedding"
    );

    // Another head gives other logits, and the image keeps both matrices: its embedding is not
    // quantized.
    for v in &mut all.get_mut("lm_head.weight").unwrap().1 {
        *v *= -0.5;
    }
    write(&dir.path().join("model.safetensors"), Dtype::BF16, &all);
    assert_ne!(logits(dir.path()), logits(&tiny_a()));
    let image = dir.path().join("image");
    let checkpoint = Checkpoint::open(dir.path()).unwrap();
    pack(&checkpoint, &image, |_| {}).unwrap();
    let source = Source::open(&image).unwrap();
    let (mut a, mut b) = (vec![0.0; 448], vec![0.0; 448]);
    for token in [0, 17, 511] {
        source.embedding_row(token, &mut a);
        checkpoint.embedding_row(token, &mut b);
        assert_eq!(a, b);
    }
    let source = Arc::new(source);
    let model = Model::load(source.clone()).unwrap();
    let mut golden = golden_device(source.clone(), Profile::Paper).unwrap();
    let mut cpu = cpu_device(source);
    let mut golden = Session::new(&model, &mut golden);
    let mut cpu = Session::new(&model, &mut cpu);
    for t in TOKENS {
        let (a, b) = (
            golden.logits_after(t).unwrap(),
            cpu.logits_after(t).unwrap(),
        );
        assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 2e-3));
    }
}

/// A tied embedding row of an image is the row of the blocks of `lm_head`.
#[test]
fn a_tied_embedding_is_dequantized_from_the_head() {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("image");
    let checkpoint = Checkpoint::open(&tiny_a()).unwrap();
    pack(&checkpoint, &image, |_| {}).unwrap();
    let source = Source::open(&image).unwrap();
    let (mut a, mut b) = (vec![0.0; 448], vec![0.0; 448]);
    let mut worst = 0f32;
    for token in 0..512 {
        source.embedding_row(token, &mut a);
        checkpoint.embedding_row(token, &mut b);
        let span = b.iter().fold(0f32, |m, v| m.max(v.abs()));
        worst = a
            .iter()
            .zip(&b)
            .fold(worst, |w, (a, b)| w.max((a - b).abs() / span));
    }
    assert!(
        worst > 0.0 && worst < 2.05 / 15.0,
        "{worst} of the largest value"
    );
}

/// End tokens of a checkpoint without generation_config.json come from config.json, in an image too.
#[test]
fn end_tokens_survive_packing() {
    let dir = folder(|c| c);
    fs::remove_file(dir.path().join("generation_config.json")).unwrap();
    write(
        &dir.path().join("model.safetensors"),
        Dtype::BF16,
        &tensors(),
    );
    let eos = |dir: &Path| {
        Model::load(Arc::new(Source::open(dir).unwrap()))
            .unwrap()
            .eos()
            .to_vec()
    };
    assert_eq!(eos(dir.path()), [511]);
    let image = dir.path().join("image");
    pack(&Checkpoint::open(dir.path()).unwrap(), &image, |_| {}).unwrap();
    assert_eq!(eos(&image), [511]);
    assert_eq!(eos(&tiny_a()), [511, 509]);
}
