//! What the commands print.

mod common;

use std::fs;

use common::{DEMO, macromac, names, run, s, stderr, stdout};

fn ok(args: &[&str]) -> String {
    let o = run(args);
    assert!(o.status.success(), "{args:?}: {}", stderr(&o));
    stdout(&o)
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn tokenize_prints_what_logits_takes() {
    assert_eq!(
        ok(&["tokenize", "-p", "Once upon a time"]),
        "421,431,258,395\n"
    );
    assert_eq!(
        ok(&["tokenize", "-m", DEMO, "-p", "Once<|endoftext|>"]),
        "421,2045\n"
    );
}

#[test]
fn run_prints_the_text_alone() {
    let text = ok(&[
        "run",
        "-p",
        "Once upon a time",
        "-n",
        "8",
        "--backend",
        "cpu",
    ]);
    assert_eq!(text, ", there was a little girl named Lily\n");
    assert_eq!(
        text,
        ok(&["run", "-p", "Once upon a time", "-n", "8"]),
        "golden, INT4"
    );
}

#[test]
fn run_prints_json_with_nulls_where_nothing_is_counted() {
    let v = json(&ok(&[
        "run",
        "-p",
        "Once upon a time",
        "-n",
        "4",
        "-o",
        "json",
    ]));
    let keys: Vec<&String> = v.as_object().unwrap().keys().collect();
    let mut want = [
        "text",
        "tokens",
        "pl_cycles",
        "cycles_per_token",
        "stalls",
        "bytes_streamed",
        "tokens_per_s",
        "figure",
        "sim_khz",
    ];
    want.sort_unstable();
    let mut keys = keys;
    keys.sort_unstable();
    assert_eq!(keys, want.iter().collect::<Vec<_>>());
    assert_eq!(v["text"], ", there was a");
    assert_eq!(v["tokens"].as_array().unwrap().len(), 4);
    assert!(v["pl_cycles"].is_null() && v["figure"].is_null());
}

#[test]
fn a_seed_gives_a_text_on_any_number_of_threads() {
    let sampled = |seed: &str, threads: &str| {
        ok(&[
            "run", "-p", "Tom", "-n", "12", "--temp", "1", "-s", seed, "-t", threads,
        ])
    };
    assert_eq!(sampled("1", "1"), sampled("1", "3"));
    assert_ne!(sampled("1", "1"), sampled("2", "1"));
}

#[test]
fn a_text_ends_at_its_end_token_or_with_the_context() {
    // The model ends this story itself; with --ignore-eos it goes on into the next one.
    let prompt = "They all lived happily ever after. The end.<|endoftext|>Once upon a time";
    let args = [
        "run",
        "-p",
        prompt,
        "-n",
        "600",
        "-o",
        "json",
        "--backend",
        "cpu",
    ];
    let stopped = json(&ok(&args));
    let o = run(&[&args[..], &["--ignore-eos"]].concat());
    let all = json(&stdout(&o));
    let (n, all) = (
        stopped["tokens"].as_array().unwrap().len(),
        all["tokens"].as_array().unwrap(),
    );
    assert!(n < all.len(), "{n} tokens");
    assert_eq!(stopped["tokens"].as_array().unwrap()[..], all[..n]);
    assert_eq!(all[n], 2045);
    assert!(
        stderr(&o).contains("context of 512 tokens is full"),
        "{}",
        stderr(&o)
    );
}

#[test]
fn logits_have_three_keys_and_exact_numbers() {
    let last = ok(&["logits", "--tokens", "421,431,258"]);
    let v = json(&last);
    let mut keys: Vec<&String> = v.as_object().unwrap().keys().collect();
    keys.sort_unstable();
    assert_eq!(keys, ["logits", "positions", "tokens"]);
    assert_eq!(v["tokens"], serde_json::json!([421, 431, 258]));
    assert_eq!(v["positions"], serde_json::json!([2]));
    assert_eq!(v["logits"][0].as_array().unwrap().len(), 2048);
    let all = json(&ok(&[
        "logits",
        "--tokens",
        "421,431,258",
        "--all",
        "-o",
        "json",
    ]));
    assert_eq!(all["positions"], serde_json::json!([0, 1, 2]));
    assert_eq!(
        all["logits"][2], v["logits"][0],
        "the way to a position does not matter"
    );
    assert_eq!(
        last,
        ok(&["logits", "--tokens", "421,431,258", "-t", "1"]),
        "same bytes"
    );
}

#[test]
fn pack_says_its_method_and_the_image_runs_alike() {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("image");
    let out = ok(&["pack", DEMO, "-o", s(&image)]);
    let first = out.lines().next().unwrap();
    assert!(
        first.contains("round-to-nearest INT4") && first.contains("64"),
        "{first}"
    );
    assert_eq!(
        names(&image),
        [
            "generation_config.json",
            "model.bin",
            "model.json",
            "tokenizer.json",
            "tokenizer_config.json"
        ]
    );
    let tokens = ["--tokens", "421,431,258,395,11"];
    let of_image = ok(&[&["logits", "-m", s(&image)][..], &tokens].concat());
    assert_eq!(
        of_image,
        ok(&[&["logits", "-m", DEMO][..], &tokens].concat())
    );
    assert_eq!(
        of_image,
        ok(&[&["logits"][..], &tokens].concat()),
        "the built-in model"
    );
    // Packing again gives the same bytes, in place of the old image.
    let bin = fs::read(image.join("model.bin")).unwrap();
    let manifest = fs::read(image.join("model.json")).unwrap();
    ok(&["pack", DEMO, "-o", s(&image), "-t", "1"]);
    assert_eq!(fs::read(image.join("model.bin")).unwrap(), bin);
    assert_eq!(fs::read(image.join("model.json")).unwrap(), manifest);
    assert_eq!(names(dir.path()), ["image"]);
}

#[test]
fn nothing_is_left_in_the_temporary_folder() {
    let dir = tempfile::tempdir().unwrap();
    let o = macromac()
        .args(["run", "-p", "Once", "-n", "2"])
        .env("TMPDIR", dir.path())
        .output()
        .unwrap();
    assert!(o.status.success());
    assert!(names(dir.path()).is_empty());
}

/// An INT8 head is a pass with K doubled; it answers alike on golden and cpu.
#[test]
fn the_head_may_be_int8() {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("image");
    let said = ok(&["pack", DEMO, "-o", s(&image), "--head", "int8"]);
    assert!(said.contains("INT8 head"), "{said}");
    let manifest = json(&fs::read_to_string(image.join("model.json")).unwrap());
    assert_eq!(manifest["quantization"]["head"], "int8");
    let passes = manifest["passes"].as_array().unwrap();
    let head = passes.last().unwrap();
    assert_eq!(head["name"], "lm_head");
    assert_eq!(head["shape"], serde_json::json!([2048, 512]));
    let text = |backend| {
        let prompt = ["-p", "Once upon a time", "-n", "8", "--backend", backend];
        ok(&[&["run", "-m", s(&image)][..], &prompt].concat())
    };
    assert_eq!(text("golden"), text("cpu"));
}

/// An FP16 head is no pass: the PS computes it in every backend, from FP16 weights.
#[test]
fn the_head_may_stay_in_fp16() {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("image");
    let o = run(&["pack", DEMO, "-o", s(&image), "--head", "fp16"]);
    assert!(o.status.success(), "{}", stderr(&o));
    assert!(stdout(&o).contains("FP16 head on the PS"), "{}", stdout(&o));
    let manifest = std::fs::read_to_string(image.join("model.json")).unwrap();
    assert!(manifest.contains("\"head\": \"fp16\"") && !manifest.contains("\"lm_head\""));
    let text = |backend| {
        let o = run(&[
            "run",
            "-m",
            s(&image),
            "-p",
            "Once upon a time",
            "-n",
            "8",
            "--backend",
            backend,
        ]);
        assert!(o.status.success(), "{}", stderr(&o));
        stdout(&o)
    };
    assert_eq!(text("golden"), text("cpu"));
}

/// The other arithmetic: another image format changes no digit of it, and the text may draft itself.
#[test]
fn profile_kv260_reads_both_formats_and_looks_up() {
    let dir = tempfile::tempdir().unwrap();
    let image = |format: &str| {
        let out = s(&dir.path().join(format)).to_owned();
        ok(&["pack", DEMO, "-o", &out, "--format", format]);
        out
    };
    let (one, two) = (image("1"), image("2"));
    let logits = |image: &str, profile: &str| {
        let tokens = "421,431,258,395,13,421,431,258,395,13,421,431";
        ok(&[
            "logits",
            "-m",
            image,
            "--tokens",
            tokens,
            "--all",
            "--profile",
            profile,
        ])
    };
    let kv260 = logits(&one, "kv260");
    assert_eq!(kv260, logits(&two, "kv260"));
    assert_ne!(kv260, logits(&one, "paper"));
    let refused = run(&["logits", "-m", &two, "--tokens", "1", "--profile", "paper"]);
    assert!(
        stderr(&refused).contains("image format 2"),
        "{}",
        stderr(&refused)
    );

    let tell = |more: &[&str]| {
        let plain = [
            "run",
            "-m",
            &one,
            "-p",
            "Tom saw a cat. Tom saw",
            "-n",
            "20",
            "--profile",
            "kv260",
        ];
        run(&[&plain[..], more].concat())
    };
    let (plain, looked_up) = (tell(&[]), tell(&["--lookup", "7"]));
    assert_eq!(stdout(&plain), stdout(&looked_up));
    assert!(!stdout(&plain).is_empty());
    assert!(
        stderr(&looked_up).contains("tokens a pass"),
        "{}",
        stderr(&looked_up)
    );
    let hot = tell(&["--lookup", "7", "--temp", "0.5"]);
    assert!(
        !hot.status.success() && stderr(&hot).contains("--temp 0"),
        "{}",
        stderr(&hot)
    );
    let one_vector = run(&["run", "-p", "Tom", "--lookup", "3", "--profile", "paper"]);
    assert!(
        stderr(&one_vector).contains("--profile kv260"),
        "{}",
        stderr(&one_vector)
    );
    assert!(stdout(&one_vector).is_empty());
}
