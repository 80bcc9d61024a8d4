//! The head in INT8, and groups of 128: what lies in the image, and what it is worth.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use macromac_driver::Profile;
use macromac_format::{Head, Image, QuantMatrix};
use macromac_infer::synth::synthesize;
use macromac_infer::{
    Calibration, Checkpoint, Model, PackOptions, Session, Source, cpu_device, golden_device,
    pack_head, pack_with,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

const TOKENS: [u32; 6] = [300, 17, 255, 4, 99, 0];

fn tiny_a() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data/tiny-a/fp")
}

fn head(head: Head) -> PackOptions {
    PackOptions {
        head: Some(head),
        ..PackOptions::default()
    }
}

/// A checkpoint with random weights in `dir`.
fn random(dir: &Path, hidden: usize, intermediate: usize, tied: bool) -> Checkpoint {
    let config = json!({
        "architectures": ["Qwen2ForCausalLM"], "vocab_size": 301, "hidden_size": hidden,
        "intermediate_size": intermediate, "num_hidden_layers": 2, "num_attention_heads": 2,
        "num_key_value_heads": 1, "tie_word_embeddings": tied,
    })
    .to_string();
    synthesize(dir, &[("config.json", config.as_bytes())], 5, |_| {}).unwrap();
    Checkpoint::open(dir).unwrap()
}

/// Logits after each of [`TOKENS`].
fn logits(dir: &Path, golden: bool) -> Vec<f32> {
    let source = Arc::new(Source::open(dir).unwrap());
    let model = Model::load(source.clone()).unwrap();
    let mut cpu = cpu_device(source.clone());
    let mut reference = golden.then(|| golden_device(source, Profile::Paper).unwrap());
    let mut session = match &mut reference {
        Some(device) => Session::new(&model, device),
        None => Session::new(&model, &mut cpu),
    };
    let all = TOKENS
        .iter()
        .flat_map(|t| session.logits_after(*t).unwrap().to_vec());
    all.collect()
}

fn distance(a: &[f32], b: &[f32]) -> f32 {
    let squares = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b));
    (squares.sum::<f32>() / a.len() as f32).sqrt()
}

/// A tied embedding is the head, in INT8 too: half a step from the checkpoint's, and an eighth of INT4's error at most.
#[test]
fn a_tied_embedding_is_dequantized_from_an_int8_head() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = Checkpoint::open(&tiny_a()).unwrap();
    let worst = |kind: Head| {
        let image = dir.path().join(kind.name());
        pack_with(&checkpoint, &image, &head(kind), |_| {}).unwrap();
        let source = Source::open(&image).unwrap();
        let Source::Image(i) = &source else {
            panic!("an image")
        };
        assert!(i.tensor("embedding").is_none(), "stored once");
        let (mut a, mut b) = (vec![0.0; 448], vec![0.0; 448]);
        let mut worst = 0f32;
        for token in 0..512 {
            source.embedding_row(token, &mut a);
            checkpoint.embedding_row(token, &mut b);
            for (a, b) in a.chunks(64).zip(b.chunks(64)) {
                let max = b.iter().fold(0f32, |m, v| m.max(*v));
                let span = max - b.iter().fold(0f32, |m, v| m.min(*v));
                for (a, b) in a.iter().zip(b) {
                    worst = worst.max((a - b).abs() / span);
                }
            }
        }
        worst
    };
    let (int4, int8) = (worst(Head::Int4), worst(Head::Int8));
    println!("largest error of an embedding over its group's span: int4 {int4}, int8 {int8}");
    assert!(int8 > 0.0 && int8 <= 0.502 / 255.0, "{int8}");
    assert!(8.0 * int8 < int4, "{int4}");
}

/// Widths that are no multiple of 64 are padded before they are doubled; an untied embedding stays as it is.
#[test]
fn int8_runs_alike_on_golden_and_cpu_in_every_shape() {
    for (hidden, intermediate, tied) in [(128, 192, true), (72, 100, true), (72, 100, false)] {
        let dir = tempfile::tempdir().unwrap();
        let model = dir.path().join("model");
        let checkpoint = random(&model, hidden, intermediate, tied);
        let of = |kind: Head| {
            let image = dir.path().join(kind.name());
            pack_with(&checkpoint, &image, &head(kind), |_| {}).unwrap();
            image
        };
        let image = of(Head::Int8);
        let (golden, cpu) = (logits(&image, true), logits(&image, false));
        let largest = golden.iter().zip(&cpu).map(|(a, b)| (a - b).abs());
        assert!(largest.fold(0f32, f32::max) <= 2e-3);

        // Next to the layers' error that of an INT8 head hardly shows: it is where the FP16 head is.
        let fp16 = logits(&of(Head::Fp16), false);
        let (int8, int4) = (
            distance(&cpu, &fp16),
            distance(&logits(&of(Head::Int4), false), &fp16),
        );
        println!("{hidden}, tied {tied}: distance to the FP16 head: int8 {int8}, int4 {int4}");
        assert!(int8 > 0.0 && 8.0 * int8 < int4, "int8 {int8}, int4 {int4}");

        let image = Image::open(&image).unwrap();
        assert_eq!(image.tensor("embedding").is_none(), tied);
        let id = image.pass_id("lm_head").unwrap();
        assert_eq!(image.passes()[id].shape, [301, 256]);
    }
}

/// Exchanging the head of an image is packing with that head, byte for byte.
#[test]
fn a_head_can_be_exchanged_without_the_layers() {
    let dir = tempfile::tempdir().unwrap();
    let of = |name: &str| dir.path().join(name);
    for tied in [true, false] {
        let name = format!("model-{tied}");
        let checkpoint = random(&of(&name), 128, 128, tied);
        // By AWQ once: it changes norms, too.
        let calibration = tied.then(|| Calibration {
            tokens: (0..300).map(|i| i * 7 % 301).collect(),
            window: 64,
        });
        let options = |kind, calibration| PackOptions {
            head: Some(kind),
            calibration,
            group_size: Some(128),
            ..PackOptions::default()
        };
        pack_with(
            &checkpoint,
            &of("layers"),
            &options(Head::Int4, calibration.clone()),
            |_| {},
        )
        .unwrap();
        for kind in Head::ALL {
            let whole = options(kind, calibration.clone());
            pack_with(&checkpoint, &of("whole"), &whole, |_| {}).unwrap();
            let layers = Image::open(&of("layers")).unwrap();
            pack_head(&checkpoint, &layers, kind, &of("exchanged")).unwrap();
            for file in ["model.bin", "model.json"] {
                let read = |image: &str| fs::read(of(image).join(file)).unwrap();
                assert!(read("whole") == read("exchanged"), "{kind:?}: {file}");
            }
        }
    }
    let other = Checkpoint::open(&tiny_a()).unwrap();
    let layers = Image::open(&of("layers")).unwrap();
    let e = pack_head(&other, &layers, Head::Int8, &of("out")).unwrap_err();
    assert!(e.to_string().contains("another shape"), "{e}");
    assert!(!of("out").exists());
}

/// Both blocks of a group of 128 have its scale and its zero, in every pass, by either method and with either head.
#[test]
fn groups_of_128_are_two_blocks_with_equal_scales_and_zeros() {
    let dir = tempfile::tempdir().unwrap();
    let of = |name: &str| dir.path().join(name);
    let checkpoint = random(&of("model"), 128, 256, true);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let calibration = Calibration {
        tokens: (0..1000).map(|_| rng.random_range(0..301)).collect(),
        window: 64,
    };
    let want = logits(&of("model"), false);
    let mut errors = Vec::new();
    for (name, calibration, group) in [
        ("rtn-64", None, 64),
        ("rtn-128", None, 128),
        ("awq-128", Some(calibration), 128),
    ] {
        for kind in [Head::Int4, Head::Int8] {
            if kind == Head::Int4 && calibration.is_some() {
                continue;
            }
            let options = PackOptions {
                head: Some(kind),
                calibration: calibration.clone(),
                group_size: Some(group),
                ..PackOptions::default()
            };
            assert!(
                options
                    .describe(&checkpoint)
                    .contains(&format!("group size {group}"))
            );
            pack_with(&checkpoint, &of(name), &options, |_| {}).unwrap();
            let image = Image::open(&of(name)).unwrap();
            assert_eq!(image.manifest().quantization.group_size, group);
            let mut differ = 0;
            for (id, pass) in image.passes().iter().enumerate() {
                let [n, k] = pass.shape;
                let m = QuantMatrix::from_segments(n, k, image.segments(id)).unwrap();
                // An INT8 group is two blocks already: high, low, high, low.
                let halves = match (kind, pass.name.as_str()) {
                    (Head::Int8, "lm_head") => 2,
                    _ => 1,
                };
                for (s, z) in m
                    .scales
                    .chunks_exact(2 * halves)
                    .zip(m.zeros.chunks_exact(2 * halves))
                {
                    let equal = s[..halves] == s[halves..] && z[..halves] == z[halves..];
                    differ += usize::from(!equal);
                }
            }
            assert_eq!(differ == 0, group == 128, "{name}: {differ} groups differ");
            let (golden, cpu) = (logits(&of(name), true), logits(&of(name), false));
            let largest = golden.iter().zip(&cpu).map(|(a, b)| (a - b).abs());
            assert!(largest.fold(0f32, f32::max) <= 2e-3, "{name}");
        }
        errors.push(distance(&logits(&of(name), false), &want));
    }
    println!("error of the logits, INT8 head: rtn-64, rtn-128, awq-128: {errors:?}");
    assert!(errors[2] < 0.8 * errors[1], "AWQ loses less: {errors:?}");
}
