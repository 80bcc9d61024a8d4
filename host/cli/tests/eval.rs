//! `perplexity`, `eval wnli`, `size` and `score`: what they print and what they refuse.

mod common;

use std::fs;

use common::{DEMO, macromac, names, refuses, run, s, stderr, stdout};
use serde_json::Value;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data");

fn data(name: &str) -> String {
    format!("{DATA}/{name}")
}

fn ok(args: &[&str]) -> String {
    let o = run(args);
    assert!(o.status.success(), "{args:?}: {}", stderr(&o));
    stdout(&o)
}

fn json(args: &[&str]) -> Value {
    serde_json::from_str(&ok(args)).unwrap()
}

fn near(have: &Value, want: f64, by: f64) {
    let have = have.as_f64().unwrap();
    assert!((have - want).abs() <= by, "{have}, want {want}");
}

#[test]
fn perplexity_prints_the_estimate_alone_or_json() {
    let text = data("demo/eval.txt");
    let args = ["perplexity", "-f", &text, "-c", "64", "--chunks", "4"];
    let cpu = [&args[..], &["--backend", "cpu"]].concat();
    let line = ok(&cpu);
    assert!(
        line.starts_with("Final estimate: PPL = ")
            && line.contains(" +/- ")
            && line.lines().count() == 1,
        "{line}"
    );
    let v = json(&[&cpu[..], &["-o", "json"]].concat());
    assert_eq!(v["tokens_scored"], 4 * 63);
    near(&v["ppl"], v["nll"].as_f64().unwrap().exp(), 1e-9);
    assert!(line.contains(&format!("PPL = {:.4} +/-", v["ppl"].as_f64().unwrap())));
    assert!(v["stderr"].as_f64().unwrap() > 0.0);
    assert_eq!(
        (&v["backend"], &v["profile"]),
        (&"cpu".into(), &Value::Null)
    );
    // Neither the number of threads nor that of windows at a time shows.
    assert_eq!(line, ok(&[&cpu[..], &["-t", "1"]].concat()));
    let half = json(&[&cpu[..], &["--second-half", "-o", "json"]].concat());
    assert_eq!(half["tokens_scored"], 4 * 31);
    let golden = json(&[&args[..], &["-o", "json"]].concat());
    assert_eq!(golden["profile"], "kv260");
    let err = stderr(&run(&cpu));
    assert!(
        err.contains("4/4 windows PPL = ") && err.contains("tokens a second"),
        "{err}"
    );
}

#[test]
fn perplexity_refuses_what_it_cannot_score() {
    let dir = tempfile::tempdir().unwrap();
    let short = dir.path().join("short.txt");
    fs::write(&short, "Once upon a time").unwrap();
    let with = |file: &str, more: &[&str], words: &[&str]| {
        let args = ["perplexity", "-f", file, "--backend", "cpu"];
        refuses(&[&args[..], more].concat(), words);
    };
    with(
        s(&short),
        &[],
        &["short.txt", "too short", "512", "4 tokens"],
    );
    with(
        &data("demo/eval.txt"),
        &["-c", "1024"],
        &["at most 512", "context"],
    );
    with(s(&short), &["-c", "1"], &["to score"]);
    with(s(&short), &["--chunks", "0"], &["0"]);
    with(
        s(&dir.path().join("none.txt")),
        &[],
        &["none.txt", "cannot read"],
    );
    fs::write(&short, b"Once \xff").unwrap();
    with(s(&short), &[], &["short.txt", "UTF-8", "offset 5"]);
}

#[test]
fn wnli_prints_accuracy_and_what_flipped() {
    let dir = tempfile::tempdir().unwrap();
    let some = dir.path().join("some.tsv");
    let all = fs::read_to_string(data("wnli/dev.tsv")).unwrap();
    let lines: Vec<&str> = all.lines().take(7).collect();
    fs::write(&some, lines.join("\r\n")).unwrap();
    let model = data("tiny-a/fp");
    let args = [
        "eval",
        "wnli",
        "-m",
        &model,
        "--data",
        s(&some),
        "--backend",
        "cpu",
    ];
    let v = json(&[&args[..], &["--against", DEMO, "-o", "json"]].concat());
    let examples = v["examples"].as_array().unwrap();
    assert_eq!(examples.len(), 6);
    let right = examples
        .iter()
        .filter(|e| e["prediction"] == e["label"])
        .count();
    assert_eq!(v["correct"], right);
    near(&v["acc"], right as f64 / 6.0, 1e-12);
    near(&examples[0]["ll_false"], -29.29506, 1e-3);
    near(&examples[0]["ll_true"], -24.49665, 1e-3);
    let other = v["against"]["examples"].as_array().unwrap();
    let flipped: Vec<&Value> = examples
        .iter()
        .zip(other)
        .filter(|(a, b)| a["prediction"] != b["prediction"])
        .map(|(a, _)| &a["idx"])
        .collect();
    assert_eq!(
        v["against"]["flipped"]
            .as_array()
            .unwrap()
            .iter()
            .collect::<Vec<_>>(),
        flipped
    );
    let text = ok(&[&args[..], &["--against", &model]].concat());
    assert!(text.starts_with("wnli: acc = "), "{text}");
    assert!(text.contains("flipped: 0 of 6"), "{text}");
    refuses(
        &["eval", "wnli", "--data", &data("demo/eval.txt")],
        &["eval.txt", "line 1", "header"],
    );
}

#[test]
fn size_of_the_full_model_shows_the_mixed_units() {
    let config = format!("{DATA}/../../models/qwen2.5-0.5b/config.json");
    let text = ok(&["size", "--config", &config]);
    for words in [
        "465,371,984 bytes = 465.37 MB = 443.81 MiB",
        "988,097,824 bytes = 988.10 MB = 942.32 MiB",
        "1 - 443.81 MiB / 988.10 MB = 55.08 %",
        "= 52.9 %",
    ] {
        assert!(text.contains(words), "expected {words:?} in:\n{text}");
    }
    let v = json(&["size", "--config", &config, "-o", "json"]);
    near(&v["units"]["reduction_percent"], 52.9, 0.05);
    near(&v["units"]["mixed_percent"], 55.08, 0.005);
    let int4 = layout(&v, "macro-int4");
    assert!(int4["bytes"].as_u64().unwrap() <= 280_000_000);
    assert_eq!(int4["parts"]["embedding_and_head"], 151_936 * 896 / 64 * 36);
    assert_eq!(int4["bytes"], 278_990_848);
    // Another 76,575,744 + 2,048 of padding: the head's blocks a second time.
    let int8 = layout(&v, "macro-int8");
    assert_eq!(int8["bytes"], 355_569_664);
    assert_eq!(
        int8["parts"]["embedding_and_head"],
        2 * 151_936 * 896 / 64 * 36
    );
    assert_eq!(layout(&v, "macro-fp16")["bytes"], 474_681_344);
}

fn layout<'a>(v: &'a Value, name: &str) -> &'a Value {
    let mut all = v["layouts"].as_array().unwrap().iter();
    all.find(|l| l["name"] == name).unwrap()
}

/// What is computed from the configuration is what lies on the disk.
#[test]
fn size_of_files_is_the_computed_one() {
    let dir = tempfile::tempdir().unwrap();
    for model in [DEMO, &data("tiny-a/fp")] {
        let v = json(&["size", "-m", model, "-o", "json"]);
        let on_disk = fs::metadata(format!("{model}/model.safetensors"))
            .unwrap()
            .len();
        assert_eq!(layout(&v, "file")["bytes"], on_disk);
        let (file, bf16) = (layout(&v, "file"), layout(&v, "bf16"));
        for part in [
            "q_proj",
            "down_proj",
            "norms",
            "biases",
            "embedding_and_head",
        ] {
            assert_eq!(file["parts"][part], bf16["parts"][part], "{model}: {part}");
        }
        for head in ["int4", "int8", "fp16"] {
            let image = dir.path().join("image");
            ok(&["pack", model, "-o", s(&image), "--head", head]);
            let packed = json(&["size", "-m", s(&image), "-o", "json"]);
            let (file, computed) = (
                layout(&packed, "file"),
                layout(&v, &format!("macro-{head}")),
            );
            let on_disk = fs::metadata(image.join("model.bin")).unwrap().len();
            assert_eq!(file["bytes"], on_disk);
            if model == DEMO {
                let want = match head {
                    "int4" => 3_125_248,
                    "int8" => 3_420_160,
                    _ => 3_878_912,
                };
                assert_eq!(on_disk, want, "{head}");
            }
            assert_eq!(file["parts"], computed["parts"], "{model}, {head}");
            assert_eq!(file["contents"], computed["contents"], "{model}, {head}");
        }
    }
    let text = ok(&["size", "-m", DEMO]);
    assert!(
        text.contains("autoawq-g128: not possible: model.layers.0.mlp.down_proj"),
        "{text}"
    );
    refuses(&["size", "-m", s(dir.path())], &["config.json"]);
    refuses(&["size", "--config", "x", "-m", "y"], &["--config"]);
}

/// Bytes are those of the images that `pack` writes, perplexities those that `perplexity` measures on them.
#[test]
fn heads_compares_what_pack_writes_and_perplexity_measures() {
    let dir = tempfile::tempdir().unwrap();
    let text = data("demo/eval.txt");
    let scored = ["-f", &text, "-c", "64", "--chunks", "3"];
    let o = macromac()
        .args([&["heads"], &scored[..], &["-o", "json"]].concat())
        .env("TMPDIR", dir.path())
        .output()
        .unwrap();
    assert!(o.status.success(), "{}", stderr(&o));
    assert!(names(dir.path()).is_empty(), "temporary images are left");
    let v: Value = serde_json::from_str(&stdout(&o)).unwrap();
    assert_eq!(
        (&v["method"], &v["group_size"]),
        (&"rtn".into(), &64.into())
    );
    assert_eq!(
        (&v["windows"], &v["backend"]),
        (&3.into(), &"golden".into())
    );
    let ppl = |more: &[&str]| {
        json(&[&["perplexity"], &scored[..], more, &["-o", "json"]].concat())["ppl"].clone()
    };
    assert_eq!(v["fp32"]["ppl"], ppl(&["--backend", "cpu"]));
    let layers = 2_488_320;
    // 256 input channels in 4 groups, 2048 output channels in 64 tile rows of 4 blocks.
    let head = 64 * 4 * 4 * 288;
    for (row, (name, weights, ps)) in v["heads"].as_array().unwrap().iter().zip([
        ("int4", layers + head, 4 * 288),
        ("int8", layers + 2 * head, 8 * 288),
        ("fp16", layers, 2 * (2048 * 256 + 256)),
    ]) {
        assert_eq!(row["head"], name);
        let image = dir.path().join("image");
        ok(&["pack", DEMO, "-o", s(&image), "--head", name]);
        let on_disk = fs::metadata(image.join("model.bin")).unwrap().len();
        assert_eq!(row["bytes"], on_disk, "{name}");
        assert_eq!(row["ppl"], ppl(&["-m", s(&image)]), "{name}");
        near(
            &row["over_fp32_percent"],
            100.0 * (row["ppl"].as_f64().unwrap() / v["fp32"]["ppl"].as_f64().unwrap() - 1.0),
            1e-9,
        );
        let ddr = &row["ddr"];
        assert_eq!(ddr["pl_weights"], weights, "{name}");
        // 13 norms of 256 and 6 biases of 512, in FP32.
        assert_eq!(ddr["ps_reads"], ps + 4 * (13 * 256 + 6 * 512), "{name}");
        let sum = ["pl_weights", "pl_data", "ps_reads"].map(|part| ddr[part].as_u64().unwrap());
        assert_eq!(row["ddr_total"], sum.iter().sum::<u64>());
    }
    let image = dir.path().join("image");
    let table = ok(&[&["heads", "--backend", "cpu"], &scored[..]].concat());
    let rows: Vec<&str> = table.lines().filter(|l| l.starts_with("| ")).collect();
    for (row, word) in rows
        .iter()
        .zip(["model.bin", "FP32", "int4", "int8", "fp16"])
    {
        assert!(row.contains(word) && row.matches('|').count() == 9, "{row}");
    }
    assert_eq!(rows.len(), 5, "{table}");
    refuses(
        &[&["heads", "-m", s(&image)], &scored[..]].concat(),
        &["expected a checkpoint", "found an image"],
    );
    refuses(
        &[&["heads", "--method", "awq"], &scored[..]].concat(),
        &["--calib"],
    );
    // The calibration text is read, and found too short for a window.
    let short = dir.path().join("short.txt");
    fs::write(&short, "Once upon a time").unwrap();
    refuses(
        &[&["heads", "--calib", s(&short)], &scored[..]].concat(),
        &["calibration text", "256 tokens", "found 4"],
    );
}

#[test]
fn score_takes_maxima_over_the_entries() {
    let args = "score --accuracy 64.79,61.97 --memory 1,2.12 --prefill 1,1 --decode 2.8,5.1";
    let args: Vec<&str> = args.split(' ').collect();
    let v = json(&[&args[..], &["-o", "json"]].concat());
    near(
        &v["entries"][0]["score"],
        0.4 + 0.2 / 2.12 + 0.2 + 0.2 * 2.8 / 5.1,
        1e-12,
    );
    near(&v["entries"][1]["score"], 0.4 * 61.97 / 64.79 + 0.6, 1e-12);
    assert_eq!(v["maxima"]["decode"], 5.1);
    let v = json(&[&args[..], &["--max-decode", "10.2", "-o", "json"]].concat());
    near(&v["entries"][1]["terms"]["decode"], 0.1, 1e-12);
    let table = ok(&[&args[..], &["--names", "baseline,awq"]].concat());
    assert!(
        table.contains("baseline") && table.contains("0.8041"),
        "{table}"
    );
    refuses(
        &["score", "-a", "1,2", "-m", "1", "-p", "1,1", "-d", "1,1"],
        &["--memory", "expected 2", "found 1"],
    );
    refuses(
        &["score", "-a", "-1", "-m", "1", "-p", "1", "-d", "1"],
        &["accuracy", "-1"],
    );
    refuses(
        &["score", "-a", "nan", "-m", "1", "-p", "1", "-d", "1"],
        &["accuracy", "NaN"],
    );
    refuses(&["score", "-a", "1"], &["--memory"]);
}
