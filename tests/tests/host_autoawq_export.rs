//! Writing AutoAWQ checkpoints: AutoAWQ's own file comes out again, and what is quantized here comes back with its bits.

mod autoawq;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use autoawq::{awq, checkpoint, config, data, random};
use half::{bf16, f16};
use macromac_format::{DType, Head, Image, QuantMatrix};
use macromac_infer::export::autoawq::AutoAwqWriter;
use macromac_infer::synth::synthesize;
use macromac_infer::{Calibration, Checkpoint, Format, PackOptions, Source, pack_with};
use safetensors::SafeTensors;
use serde_json::{Value, json};

fn options(format: Format, calibrated: bool) -> PackOptions {
    let tokens = (0..600).map(|i| i * i % 199).collect();
    PackOptions {
        calibration: calibrated.then_some(Calibration { tokens, window: 64 }),
        head: Some(Head::Fp16),
        format,
        ..PackOptions::default()
    }
}

fn export(from: &Path, to: &Path) {
    let c = Checkpoint::open(from).unwrap();
    let bytes = pack_with(&c, to, &options(Format::AutoAwq, false), |_| {}).unwrap();
    let length = fs::metadata(to.join("model.safetensors")).unwrap().len();
    assert_eq!(bytes, length);
}

fn json(dir: &Path, file: &str) -> Value {
    serde_json::from_slice(&fs::read(dir.join(file)).unwrap()).unwrap()
}

/// Names in a folder, hidden ones too.
fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut v: Vec<String> = entries
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    v.sort();
    v
}

#[test]
fn autoawq_s_own_file_comes_out_again_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let from = data().join("tiny-a/awq");
    export(&from, &out);
    for file in [
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "generation_config.json",
    ] {
        assert!(
            fs::read(out.join(file)).unwrap() == fs::read(from.join(file)).unwrap(),
            "{file}"
        );
    }
    let mut written = json(&out, "config.json");
    assert_eq!(written["quantized_by"], "macromac");
    written.as_object_mut().unwrap().remove("quantized_by");
    assert_eq!(written, json(&from, "config.json"));
}

/// A model in BF16 with an untied head and an intermediate size that no group of 128 divides.
fn synthetic(dir: &Path, tied: bool) {
    let config = json!({
        "architectures": ["Qwen2ForCausalLM"], "vocab_size": 200, "hidden_size": 128,
        "intermediate_size": 192, "num_hidden_layers": 2, "num_attention_heads": 2,
        "num_key_value_heads": 1, "tie_word_embeddings": tied, "torch_dtype": "bfloat16",
    });
    let files = [("config.json", config.to_string())];
    let files = files.each_ref().map(|(n, text)| (*n, text.as_bytes()));
    synthesize(dir, &files, 5, |_| {}).unwrap();
}

fn matrix(image: &Image, pass: usize) -> QuantMatrix {
    let [n, k] = image.passes()[pass].shape;
    QuantMatrix::from_segments(n, k, image.segments(pass)).unwrap()
}

#[test]
fn weights_zeros_and_scales_come_back_with_their_bits() {
    for (tied, calibrated) in [(false, false), (true, false), (false, true), (true, true)] {
        let dir = tempfile::tempdir().unwrap();
        let of = |name: &str| dir.path().join(name);
        synthetic(&of("model"), tied);
        let source = Checkpoint::open(&of("model")).unwrap();
        let direct = options(Format::Image, calibrated);
        pack_with(&source, &of("direct"), &direct, |_| {}).unwrap();
        let written = options(Format::AutoAwq, calibrated);
        pack_with(&source, &of("export"), &written, |_| {}).unwrap();
        let exported = Checkpoint::open(&of("export")).unwrap();
        assert_eq!(exported.quantization().unwrap().group_size, 64);
        pack_with(&exported, &of("again"), &PackOptions::default(), |_| {}).unwrap();

        let [direct, again] = ["direct", "again"].map(|n| Image::open(&of(n)).unwrap());
        assert_eq!(direct.passes().len(), again.passes().len());
        for pass in 0..direct.passes().len() {
            assert_eq!(exported.quantized(pass).unwrap(), matrix(&direct, pass));
            assert!(direct.segments(pass) == again.segments(pass), "pass {pass}");
        }
        let mut rounded = 0;
        for t in &direct.manifest().tensors {
            let (a, b) = (
                direct.tensor(&t.name).unwrap(),
                again.tensor(&t.name).unwrap(),
            );
            assert_eq!(b.dtype, DType::F16, "{}", t.name);
            let wide = |dtype: DType, bytes: &[u8]| {
                let mut v = vec![0.0; bytes.len() / dtype.bytes()];
                dtype.widen(bytes, &mut v);
                v
            };
            for (a, b) in wide(a.dtype, a.bytes).iter().zip(wide(b.dtype, b.bytes)) {
                assert_eq!(
                    f16::from_f32(*a).to_f32().to_bits(),
                    b.to_bits(),
                    "{}",
                    t.name
                );
                // FP16 holds a BF16 number that is not too small; norms with AWQ's scales in them are FP32.
                rounded += usize::from(a.abs() > 1e-4 && *a != b);
            }
        }
        assert_eq!(rounded > 0, calibrated, "{rounded} numbers lost bits");
    }
}

/// From an FP16 checkpoint nothing is rounded on the way: both ways give the same bytes.
#[test]
fn from_fp16_the_image_is_the_same_to_the_byte() {
    let dir = tempfile::tempdir().unwrap();
    let of = |name: &str| dir.path().join(name);
    synthetic(&of("model"), true);
    let path = of("model").join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let (header, _) = SafeTensors::read_metadata(&bytes).unwrap();
    let text = String::from_utf8(bytes[8..8 + header].to_vec()).unwrap();
    // A blank makes up for the shorter name.
    let mut halves = bytes[..8].to_vec();
    halves.extend(text.replace("\"BF16\"", "\"F16\" ").bytes());
    for b in bytes[8 + header..].chunks_exact(2) {
        let v = bf16::from_le_bytes([b[0], b[1]]).to_f32();
        halves.extend(f16::from_f32(v).to_le_bytes());
    }
    fs::write(&path, halves).unwrap();
    let source = Checkpoint::open(&of("model")).unwrap();
    pack_with(
        &source,
        &of("direct"),
        &options(Format::Image, false),
        |_| {},
    )
    .unwrap();
    export(&of("model"), &of("export"));
    let exported = Checkpoint::open(&of("export")).unwrap();
    pack_with(&exported, &of("again"), &PackOptions::default(), |_| {}).unwrap();
    let bin = |name: &str| fs::read(of(name).join("model.bin")).unwrap();
    assert!(bin("direct") == bin("again"));
    // The manifests differ in the method, and so in their own checksum.
    let mut manifests = ["direct", "again"].map(|n| json(&of(n), "model.json"));
    for (m, method) in manifests.iter_mut().zip(["rtn", "awq"]) {
        assert_eq!(m["quantization"]["method"], method);
        m["quantization"]["method"] = Value::Null;
        m["crc32c"] = Value::Null;
    }
    assert_eq!(manifests[0], manifests[1]);
}

#[test]
fn both_group_sizes_and_every_tensor_go_through() {
    for group in [64, 128] {
        let (tensors, _) = random(group, 3);
        let from = checkpoint(&config(awq(group)), &tensors);
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        export(from.path(), &out);
        let bytes = fs::read(out.join("model.safetensors")).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let found: BTreeMap<String, _> = file
            .tensors()
            .into_iter()
            .map(|(n, t)| (n, (t.dtype(), t.shape().to_vec(), t.data().to_vec())))
            .collect();
        assert!(found == tensors, "group size {group}");
        assert_eq!(json(&out, "config.json")["quantization_config"], awq(group));
    }
}

#[test]
fn a_large_checkpoint_is_spread_over_files() {
    let dir = tempfile::tempdir().unwrap();
    let of = |name: &str| dir.path().join(name);
    let source = Checkpoint::open(&data().join("tiny-a/awq")).unwrap();
    pack_with(&source, &of("image"), &PackOptions::default(), |_| {}).unwrap();
    let image = Image::open(&of("image")).unwrap();
    let mut writer = AutoAwqWriter::create(&of("out"), &source, 64, 400_000).unwrap();
    for pass in 0..image.passes().len() {
        let [n, k] = image.passes()[pass].shape;
        let segments = image.segments(pass).map(<[u8]>::to_vec);
        writer.add_pass(n, k, &segments).unwrap();
    }
    for t in &image.manifest().tensors {
        let t = (&t.name, image.tensor(&t.name).unwrap());
        writer.add_tensor(t.0, t.1.dtype, t.1.bytes).unwrap();
    }
    let bytes = writer.finish().unwrap();
    let files: Vec<String> = names(&of("out"));
    let shards = files.iter().filter(|f| f.ends_with(".safetensors"));
    let lengths = shards.map(|f| fs::metadata(of("out").join(f)).unwrap().len());
    assert_eq!(lengths.sum::<u64>(), bytes);
    assert!(
        files.contains(&"model-00002-of-00009.safetensors".into()),
        "{files:?}"
    );
    let index = json(&of("out"), "model.safetensors.index.json");
    assert_eq!(index["weight_map"].as_object().unwrap().len(), 54);
    let again = Checkpoint::open(&of("out")).unwrap();
    pack_with(&again, &of("again"), &PackOptions::default(), |_| {}).unwrap();
    let bin = |name: &str| fs::read(of(name).join("model.bin")).unwrap();
    assert!(bin("image") == bin("again"));
}

#[test]
fn what_cannot_be_written_is_refused_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let of = |name: &str| dir.path().join(name);
    synthetic(&of("model"), true);
    let refused = |from: &str, to: &str, options: &PackOptions, words: &[&str]| {
        let c = Checkpoint::open(&of(from)).unwrap();
        let before = names(dir.path());
        let e = pack_with(&c, &of(to), options, |_| {})
            .unwrap_err()
            .to_string();
        for word in words {
            assert!(e.contains(word), "expected \"{word}\" in: {e}");
        }
        assert_eq!(names(dir.path()), before);
    };
    let plain = options(Format::AutoAwq, false);
    let int4 = PackOptions {
        head: Some(Head::Int4),
        ..plain.clone()
    };
    refused("model", "out", &int4, &["--head int4", "expected fp16"]);
    // The checkpoint itself, AutoAWQ's or not, is never replaced; one of ours is.
    refused("model", "model", &plain, &["another checkpoint"]);
    export(&of("model"), &of("out"));
    fs::write(of("out").join("letter.txt"), "dear").unwrap();
    refused("model", "out", &plain, &["letter.txt"]);
    fs::remove_file(of("out").join("letter.txt")).unwrap();
    let first = fs::read(of("out").join("model.safetensors")).unwrap();
    export(&of("out"), &of("out"));
    assert!(fs::read(of("out").join("model.safetensors")).unwrap() == first);

    // FP16 ends at 65504.
    let path = of("model").join("model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let (header, meta) = SafeTensors::read_metadata(&bytes).unwrap();
    let norm = meta.info("model.layers.1.input_layernorm.weight").unwrap();
    let at = 8 + header + norm.data_offsets.0 + 2 * 7;
    bytes[at..at + 2].copy_from_slice(&bf16::from_f32(1e5).to_le_bytes());
    fs::write(&path, bytes).unwrap();
    refused(
        "model",
        "new",
        &plain,
        &["layers.1.input_layernorm", "[0, 7]", "65504"],
    );
    refused("model", "out", &plain, &["65504"]);
    assert!(Source::open(&of("out")).is_ok(), "the older one survives");
}
