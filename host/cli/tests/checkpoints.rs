//! Checkpoints from end to end: made, quantized, exported, read again.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{DEMO, names, refuses, run, s, stderr, stdout};
use macromac_format::{Image, QuantMatrix};
use safetensors::SafeTensors;
use serde_json::Value;

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/tiny-a/fp");
const CALIBRATION: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/data/demo/calib.txt"
);

fn ok(args: &[&str]) -> String {
    let o = run(args);
    assert!(o.status.success(), "{args:?}: {}", stderr(&o));
    stdout(&o)
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Logits in FP32 after each of a few tokens.
fn logits(model: &Path) -> Vec<f64> {
    let tokens = "11,300,4,77,210,5,163,42,420,9,381,100";
    let text = ok(&[
        "logits",
        "-m",
        s(model),
        "--backend",
        "cpu",
        "--all",
        "--tokens",
        tokens,
    ]);
    let v: Value = serde_json::from_str(&text).unwrap();
    let rows = v["logits"].as_array().unwrap().iter();
    rows.flat_map(|r| r.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()))
        .collect()
}

/// A folder with tiny-a's tokenizer and a smaller shape.
fn small_config(dir: &Path) -> PathBuf {
    let folder = dir.join("config");
    fs::create_dir(&folder).unwrap();
    fs::copy(
        Path::new(TINY).join("tokenizer.json"),
        folder.join("tokenizer.json"),
    )
    .unwrap();
    let mut config = json(&Path::new(TINY).join("config.json"));
    for (key, value) in [
        ("hidden_size", 128),
        ("intermediate_size", 192),
        ("num_attention_heads", 2),
        ("max_position_embeddings", 64),
    ] {
        config[key] = value.into();
    }
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    folder
}

/// The file has the very header that transformers wrote for this model: names, shapes, formats, order.
#[test]
fn a_synthetic_checkpoint_is_laid_out_as_a_real_one() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let said = ok(&[
        "synth-checkpoint",
        "--config",
        TINY,
        "-o",
        s(&out),
        "-s",
        "3",
    ]);
    assert!(said.contains("random weights of seed 3"), "{said}");
    let header = |dir: &Path| {
        let bytes = fs::read(dir.join("model.safetensors")).unwrap();
        let (length, _) = SafeTensors::read_metadata(&bytes).unwrap();
        (
            String::from_utf8(bytes[8..8 + length].to_vec()).unwrap(),
            bytes.len(),
        )
    };
    assert_eq!(header(&out), header(Path::new(TINY)));
    for file in ["config.json", "tokenizer.json", "generation_config.json"] {
        let [a, b] = [&out, Path::new(TINY)].map(|d| fs::read(d.join(file)).unwrap());
        assert!(a == b, "{file}");
    }
    refuses(
        &[
            "synth-checkpoint",
            "--config",
            "qwen9",
            "-o",
            s(&dir.path().join("x")),
        ],
        &["qwen9", "qwen2.5-0.5b", "config.json", "found neither"],
    );
    let awq = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/tiny-a/awq");
    refuses(
        &[
            "synth-checkpoint",
            "--config",
            awq,
            "-o",
            s(&dir.path().join("x")),
        ],
        &["config.json", "full precision", "quantization_config"],
    );
    assert_eq!(names(dir.path()), ["out"]);
}

#[test]
fn calibration_loses_less_than_rounding_from_text_to_logits() {
    let dir = tempfile::tempdir().unwrap();
    let of = |name: &str| dir.path().join(name);
    let config = small_config(dir.path());
    ok(&[
        "synth-checkpoint",
        "--config",
        s(&config),
        "-o",
        s(&of("model")),
    ]);
    let text = fs::read_to_string(CALIBRATION).unwrap();
    fs::write(of("calib"), &text[..4000]).unwrap();
    let calib = of("calib");
    let model = of("model");
    let pack = |name: &str, more: &[&str]| {
        let out = of(name);
        ok(&[
            &["pack", s(&model), "-o", s(&out), "--head", "fp16"][..],
            more,
        ]
        .concat())
    };
    let said = pack("rtn", &[]);
    assert!(said.starts_with("method: round-to-nearest INT4"), "{said}");
    let said = pack("awq", &["--calib", s(&calib)]);
    assert!(said.starts_with("method: AWQ INT4"), "{said}");
    assert!(said.contains("windows of 64"), "{said}");
    let method = |name: &str| json(&of(name).join("model.json"))["quantization"]["method"].clone();
    assert_eq!((method("rtn"), method("awq")), ("rtn".into(), "awq".into()));

    let want = logits(&model);
    let error = |name: &str| -> f64 {
        let have = logits(&of(name));
        have.iter().zip(&want).map(|(a, b)| (a - b) * (a - b)).sum()
    };
    let (rtn, awq) = (error("rtn"), error("awq"));
    println!("squared error of the logits: rtn {rtn}, awq {awq}");
    assert!(awq < 0.9 * rtn, "rtn {rtn}, awq {awq}");

    let out = of("none");
    refuses(
        &["pack", s(&model), "-o", s(&out), "--method", "awq"],
        &["--method awq", "--calib FILE"],
    );
    fs::write(&calib, b"Once upon \xfe a time").unwrap();
    refuses(
        &["pack", s(&model), "-o", s(&out), "--calib", s(&calib)],
        &["calib", "UTF-8", "offset 10"],
    );
    fs::write(&calib, "Once").unwrap();
    refuses(
        &["pack", s(&model), "-o", s(&out), "--calib", s(&calib)],
        &["calibration text", "one window of 64 tokens", "longer"],
    );
    assert!(!out.exists());
}

#[test]
fn an_autoawq_checkpoint_goes_out_and_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let of = |name: &str| dir.path().join(name);
    let (folder, image) = (of("autoawq"), of("image"));
    let said = ok(&["pack", TINY, "-o", s(&folder), "--format", "autoawq"]);
    let lines: Vec<&str> = said.lines().collect();
    assert!(
        lines[0].starts_with("method: round-to-nearest")
            && lines[0].ends_with("AutoAWQ checkpoint"),
        "{said}"
    );
    assert!(lines[1].contains("safetensors 2727800 bytes"), "{said}");
    let files = [
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ];
    assert_eq!(names(&folder), files);
    let said = ok(&["pack", s(&folder), "-o", s(&image)]);
    assert!(
        said.contains("AutoAWQ's INT4 weights as they are"),
        "{said}"
    );
    assert_eq!(logits(&folder), logits(&image));

    // Neither takes the other's place.
    let [a, b] = [&folder, &image].map(|p| s(p));
    refuses(&["pack", TINY, "-o", a], &["autoawq", "not empty"]);
    refuses(
        &["pack", TINY, "-o", b, "--format", "autoawq"],
        &["image", "written by macromac", "choose another"],
    );
    ok(&["pack", TINY, "-o", a, "--format", "autoawq"]);
    let out = of("out");
    refuses(
        &[
            "pack",
            TINY,
            "-o",
            s(&out),
            "--format",
            "autoawq",
            "--head",
            "int4",
        ],
        &["--head int4", "expected fp16", "leave --head out"],
    );
    let second = ["--format", "autoawq", "--format-version", "2"];
    refuses(
        &[&["pack", TINY, "-o", s(&out)][..], &second].concat(),
        &["--format-version 2", "expected --format image"],
    );
    refuses(
        &["pack", TINY, "-o", s(&out), "--format", "gguf"],
        &["gguf", "image, autoawq"],
    );
    assert_eq!(names(dir.path()), ["autoawq", "image"]);
}

/// Groups of 128 by AWQ: the two blocks of a group have one scale and one zero, as by rounding.
#[test]
fn awq_quantizes_in_groups_of_128() {
    let dir = tempfile::tempdir().unwrap();
    let [shape, checkpoint, image, text] =
        ["shape", "checkpoint", "image", "text"].map(|name| dir.path().join(name));
    fs::create_dir(&shape).unwrap();
    for name in [
        "tokenizer.json",
        "tokenizer_config.json",
        "generation_config.json",
    ] {
        fs::copy(Path::new(DEMO).join(name), shape.join(name)).unwrap();
    }
    // 704 is no multiple of 128.
    let config = fs::read_to_string(Path::new(DEMO).join("config.json")).unwrap();
    let wider = config.replace("\"intermediate_size\": 704", "\"intermediate_size\": 768");
    assert_ne!(wider, config);
    fs::write(shape.join("config.json"), wider).unwrap();
    ok(&[
        "synth-checkpoint",
        "--config",
        s(&shape),
        "-o",
        s(&checkpoint),
    ]);
    fs::write(&text, "Once upon a time there was a dog. ".repeat(60)).unwrap();
    let how = ["--group-size", "128", "--head", "int8", "--calib", s(&text)];
    let said = ok(&[&["pack", s(&checkpoint), "-o", s(&image)][..], &how].concat());
    assert!(
        said.contains("AWQ INT4, asymmetric, group size 128"),
        "{said}"
    );
    let image = Image::open(&image).unwrap();
    // The layers' passes: in an INT8 head high and low blocks alternate.
    let head = image.manifest().passes.len() - 1;
    for (pass, p) in image.manifest().passes[..head].iter().enumerate() {
        let m = QuantMatrix::from_segments(p.shape[0], p.shape[1], image.segments(pass)).unwrap();
        for (scales, zeros) in m.scales.chunks(2).zip(m.zeros.chunks(2)) {
            assert_eq!((scales[0], zeros[0]), (scales[1], zeros[1]), "{}", p.name);
        }
    }
}
