//! Whatever is wrong with the input: a message that helps, a failing exit code, nothing left.

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::{DEMO, demo_copy, macromac, names, refuses, run, s, stderr, stdout};

/// Packs the built-in model into `dir/image`.
fn image(dir: &Path) -> std::path::PathBuf {
    let out = dir.join("image");
    let o = run(&["pack", DEMO, "-o", s(&out)]);
    assert!(o.status.success(), "{}", stderr(&o));
    out
}

fn edit_config(checkpoint: &Path, from: &str, to: &str) {
    let path = checkpoint.join("config.json");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from));
    fs::write(path, text.replace(from, to)).unwrap();
}

#[test]
fn options() {
    refuses(
        &["run", "-p", "x", "--backend", "gpu"],
        &["gpu", "golden, rtl, device, cpu"],
    );
    refuses(&["run", "-p", "x", "--profile", "fast"], &["fast", "paper"]);
    refuses(&["run", "-p", "x", "-o", "xml"], &["xml", "json"]);
    refuses(&["run", "-p", "x", "-n", "many"], &["many"]);
    refuses(
        &["run", "-p", "x", "--temp", "-1"],
        &["temperature", "at least 0", "-1"],
    );
    refuses(&["run", "-p", "x", "--temp", "nan"], &["temperature"]);
    refuses(&["run", "-p", "x", "--top-p", "1.5"], &["top-p", "1.5"]);
    refuses(
        &["run", "-p", "x", "--repeat-penalty", "0"],
        &["repeat penalty"],
    );
    refuses(&["run", "-p", "x", "-t", "0"], &["0"]);
    refuses(&["walk"], &["walk"]);
    refuses(&["logits", "--tokens", "1,two"], &["two"]);
    refuses(&["logits", "--tokens", "1,-2"], &["-2"]);
}

#[test]
fn no_device() {
    let missing = [
        "no-such-device: expected the accelerator's device file",
        "load the kernel module",
    ];
    let run = [
        "run",
        "-p",
        "x",
        "--backend",
        "device",
        "--device",
        "/dev/no-such-device",
    ];
    refuses(&run, &missing);
    refuses(&["doctor", "--device", "/dev/no-such-device"], &missing);
    refuses(
        &["doctor", "--device", "/dev/null"],
        &["/dev/null", "--device"],
    );
    refuses(
        &[&run[..], &["--patience=-1"]].concat(),
        &["--patience", "-1"],
    );
}

#[test]
fn prompts() {
    refuses(&["run", "-p", ""], &["prompt is empty"]);
    refuses(&["run", "-p", &"word ".repeat(600)], &["context", "512"]);
    refuses(&["logits", "--tokens", "2048"], &["2048", "vocabulary"]);
    refuses(
        &["logits", "--tokens", &vec!["1"; 513].join(",")],
        &["context", "512", "513"],
    );
}

#[test]
fn models_that_are_none() {
    let dir = tempfile::tempdir().unwrap();
    let nowhere = dir.path().join("nowhere");
    refuses(
        &["run", "-m", s(&nowhere), "-p", "x"],
        &["nowhere", "found nothing"],
    );
    refuses(
        &["run", "-m", s(dir.path()), "-p", "x"],
        &["config.json", "model.json"],
    );
    refuses(
        &["tokenize", "-m", s(dir.path()), "-p", "x"],
        &["tokenizer.json"],
    );
    refuses(
        &["pack", s(&nowhere), "-o", s(&dir.path().join("out"))],
        &["nowhere"],
    );
    assert!(names(dir.path()).is_empty());
}

#[test]
fn broken_checkpoints() {
    type Damage = fn(&Path);
    let cases: [(&[&str], Damage); 8] = [
        (&["model.safetensors", "neither"], |c| {
            fs::remove_file(c.join("model.safetensors")).unwrap();
        }),
        (&["model.safetensors", "truncated", "5000000"], |c| {
            let f = fs::OpenOptions::new()
                .write(true)
                .open(c.join("model.safetensors"))
                .unwrap();
            f.set_len(5_000_000).unwrap();
        }),
        (&["model.safetensors", "complete safetensors"], |c| {
            fs::write(c.join("model.safetensors"), "").unwrap();
        }),
        (
            &["q_proj", "expected shape [512, 512]", "found [256, 256]"],
            |c| {
                edit_config(c, "\"hidden_size\": 256", "\"hidden_size\": 512");
            },
        ),
        (&["layers.6", "found no such tensor"], |c| {
            edit_config(c, "\"num_hidden_layers\": 6", "\"num_hidden_layers\": 7");
        }),
        (&["lm_head.weight", "found no such tensor"], |c| {
            edit_config(
                c,
                "\"tie_word_embeddings\": true",
                "\"tie_word_embeddings\": false",
            );
        }),
        (&["Qwen2ForCausalLM", "LlamaForCausalLM"], |c| {
            edit_config(c, "Qwen2ForCausalLM", "LlamaForCausalLM");
        }),
        (&["config.json", "JSON"], |c| {
            fs::write(c.join("config.json"), "{").unwrap()
        }),
    ];
    for (words, damage) in cases {
        let dir = tempfile::tempdir().unwrap();
        let checkpoint = demo_copy(dir.path());
        damage(&checkpoint);
        let out = dir.path().join("out");
        refuses(&["pack", s(&checkpoint), "-o", s(&out)], words);
        refuses(
            &["run", "-m", s(&checkpoint), "-p", "x", "--backend", "cpu"],
            words,
        );
        assert_eq!(names(dir.path()), ["checkpoint"], "{words:?}");
    }
}

#[test]
fn a_broken_tokenizer_is_found_when_packing_too() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = demo_copy(dir.path());
    fs::write(checkpoint.join("tokenizer.json"), "{\"model\": 1}").unwrap();
    refuses(
        &["tokenize", "-m", s(&checkpoint), "-p", "x"],
        &["tokenizer.json"],
    );
    let out = dir.path().join("out");
    refuses(
        &["pack", s(&checkpoint), "-o", s(&out)],
        &["tokenizer.json"],
    );
    fs::remove_file(checkpoint.join("tokenizer.json")).unwrap();
    refuses(
        &["run", "-m", s(&checkpoint), "-p", "x"],
        &["tokenizer.json", "found none"],
    );
    assert_eq!(names(dir.path()), ["checkpoint"]);
}

#[test]
fn a_weight_that_is_not_a_number_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = demo_copy(dir.path());
    let path = checkpoint.join("model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let meta = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let info = meta
        .1
        .info("model.layers.2.self_attn.o_proj.weight")
        .unwrap();
    let at = 8 + meta.0 + info.data_offsets.0 + 2 * (256 * 5 + 7);
    bytes[at..at + 2].copy_from_slice(&[0xc0, 0x7f]);
    fs::write(&path, bytes).unwrap();
    let out = dir.path().join("out");
    refuses(
        &["pack", s(&checkpoint), "-o", s(&out)],
        &["NaN at model.layers.2.self_attn.o_proj.weight [5, 7]"],
    );
    assert_eq!(names(dir.path()), ["checkpoint"]);
    refuses(
        &[
            "logits",
            "-m",
            s(&checkpoint),
            "--tokens",
            "5",
            "--backend",
            "cpu",
        ],
        &["position 0", "NaN"],
    );
}

/// Before any work: the calibration text is not even looked for.
#[test]
fn group_sizes_that_do_not_fit() {
    let dir = tempfile::tempdir().unwrap();
    let data = |name: &str| format!("{}/../../tests/data/{name}", env!("CARGO_MANIFEST_DIR"));
    let out = dir.path().join("out");
    let refuses_pack = |model: &str, more: &[&str], words: &[&str]| {
        let args = ["pack", model, "-o", s(&out), "--group-size"];
        let args = [&args[..], more].concat();
        refuses(&args, words);
        assert_eq!(stdout(&run(&args)), "", "{args:?}");
        assert!(names(dir.path()).is_empty(), "{args:?}");
    };
    let narrow = [
        "group size 128",
        "multiples of 128",
        "model.layers.0.mlp.down_proj.weight (K = 704)",
        "model.layers.5.mlp.down_proj.weight (K = 704)",
        "--group-size 64",
    ];
    refuses_pack(DEMO, &["128"], &narrow);
    refuses_pack(DEMO, &["128", "--calib", "nowhere.txt"], &narrow);
    refuses_pack(DEMO, &["128", "--head", "int8"], &narrow);
    // Hidden 448: all but one of the matrices, the head among them.
    let tiny = data("tiny-a/fp");
    refuses_pack(
        &tiny,
        &["128"],
        &["model.layers.0.self_attn.q_proj.weight (K = 448)", " more"],
    );
    for wrong in ["32", "0", "256", "064", "many"] {
        refuses_pack(DEMO, &[wrong], &["--group-size"]);
    }
    let text = data("demo/eval.txt");
    refuses(
        &["heads", "-f", &text, "--group-size", "128"],
        &["down_proj"],
    );

    // An AutoAWQ checkpoint has its own.
    let awq = data("tiny-a/awq");
    refuses_pack(
        &awq,
        &["128"],
        &["group size: expected 64", "AutoAWQ", "found 128"],
    );
    let o = run(&["pack", &awq, "-o", s(&out), "--group-size", "64"]);
    assert!(o.status.success(), "{}", stderr(&o));
}

#[test]
fn damaged_images() {
    let dir = tempfile::tempdir().unwrap();
    let image = image(dir.path());
    let bin = fs::read(image.join("model.bin")).unwrap();
    let mut flipped = bin.clone();
    flipped[1_000_000] ^= 4;
    fs::write(image.join("model.bin"), &flipped).unwrap();
    let run_it = ["run", "-m", s(&image), "-p", "x"];
    refuses(
        &run_it,
        &["model.bin", "segment layers.", "port", "CRC-32C"],
    );
    fs::write(image.join("model.bin"), &bin[..bin.len() / 2]).unwrap();
    refuses(
        &run_it,
        &["model.bin", "expected 3125248 bytes", "found 1562624 bytes"],
    );
    fs::remove_file(image.join("model.bin")).unwrap();
    refuses(&run_it, &["model.bin", "cannot open"]);
    fs::write(image.join("model.bin"), &bin).unwrap();
    fs::write(image.join("tokenizer.json"), "{}").unwrap();
    refuses(&run_it, &["tokenizer.json"]);
    let json = fs::read_to_string(image.join("model.json")).unwrap();
    fs::write(
        image.join("model.json"),
        json.replace("\"version\": 1", "\"version\": 3"),
    )
    .unwrap();
    refuses(&run_it, &["model.json", "version 3"]);
    fs::write(image.join("model.json"), json.replace("1e-6", "1e-5")).unwrap();
    refuses(&run_it, &["model.json", "damaged or was edited"]);
    refuses(
        &["pack", s(&image), "-o", s(&dir.path().join("out"))],
        &["model.json"],
    );
}

#[test]
fn outputs_that_cannot_be_written() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    fs::create_dir(&home).unwrap();
    fs::write(home.join("letter.txt"), "dear").unwrap();
    let refuses_out = |out: &Path, words: &[&str]| refuses(&["pack", DEMO, "-o", s(out)], words);
    refuses_out(&home, &["home", "not empty", "letter.txt"]);
    refuses_out(&home.join("letter.txt"), &["not a folder"]);
    refuses_out(&dir.path().join("no/image"), &["no", "cannot find"]);
    refuses_out(Path::new("/proc/image"), &["/proc", "cannot create"]);
    assert_eq!(names(dir.path()), ["home"]);
    assert_eq!(names(&home), ["letter.txt"]);
}

/// A limit on the size of a file stops the writer where a full disk would, without a disk.
#[test]
fn a_write_that_fails_midway_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let limited = |out: &Path| {
        // The signal is ignored, so the write fails with an error instead.
        let script = "trap '' XFSZ; ulimit -f 1000; exec \"$0\" \"$@\"";
        let o = Command::new("sh")
            .args([
                "-c",
                script,
                env!("CARGO_BIN_EXE_macromac"),
                "pack",
                DEMO,
                "-o",
                s(out),
            ])
            .output()
            .unwrap();
        let err = stderr(&o);
        assert_eq!(o.status.code(), Some(1), "{err}");
        assert!(err.contains("model.bin: cannot write"), "{err}");
    };
    limited(&dir.path().join("image"));
    assert!(names(dir.path()).is_empty());
    // An older image survives the failure of the newer.
    let image = image(dir.path());
    let before = fs::read(image.join("model.bin")).unwrap();
    limited(&image);
    assert_eq!(names(dir.path()), ["image"]);
    assert_eq!(fs::read(image.join("model.bin")).unwrap(), before);
}

#[test]
fn standard_output_may_be_full_or_closed() {
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let o = macromac()
        .args(["tokenize", "-p", "Once"])
        .stdout(full)
        .output()
        .unwrap();
    let err = stderr(&o);
    assert_eq!(o.status.code(), Some(1), "{err}");
    assert!(
        err.contains("standard output") && !err.contains("panicked"),
        "{err}"
    );
}
