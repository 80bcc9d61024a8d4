//! `macromac bench` on the demonstration model's shape.

mod common;

use common::{DEMO, refuses, run, stderr, stdout};
use serde_json::Value;

fn ok(args: &[&str]) -> String {
    let o = run(args);
    assert!(o.status.success(), "{args:?}: {}", stderr(&o));
    stdout(&o)
}

fn bench(extra: &[&str]) -> Vec<Value> {
    let args = [&["bench", "--model-config", DEMO, "-o", "json"], extra].concat();
    let rows: Value = serde_json::from_str(&ok(&args)).unwrap();
    rows.as_array().unwrap().clone()
}

fn number(row: &Value, field: &str) -> f64 {
    row[field]
        .as_f64()
        .unwrap_or_else(|| panic!("{field} of {row}"))
}

#[test]
fn rows_are_named_and_cost_what_they_should() {
    let rows = bench(&["-p", "32", "-n", "4", "-d", "0,64"]);
    let names: Vec<_> = rows.iter().map(|r| r["test"].as_str().unwrap()).collect();
    assert_eq!(names, ["pp32", "tg4", "pp32@d64", "tg4@d64"]);
    for row in &rows {
        assert_eq!(row["figure"], "model");
        assert_eq!(row["rtl_positions"], 0);
        let (rate, cycles) = (number(row, "tokens_per_s"), number(row, "cycles_per_token"));
        assert!((rate * cycles / 300e6 - 1.0).abs() < 1e-9);
        assert!(number(row, "tokens_per_s_ps2x") < rate);
        assert!(number(row, "ddr_share_of_peak") < 1.0);
    }
    // Batches share the weights; more context costs the PS more.
    assert!(number(&rows[0], "tokens_per_s") > 1.3 * number(&rows[1], "tokens_per_s"));
    assert!(number(&rows[3], "ps_seconds_per_token") > number(&rows[1], "ps_seconds_per_token"));
    // A slower clock is slower, and a faster memory not slower.
    let slow = bench(&["-p", "0", "-n", "4", "--clock", "200"]);
    assert!(number(&slow[0], "tokens_per_s") < number(&rows[1], "tokens_per_s"));
    let fast = bench(&["-p", "0", "-n", "4", "--ddr", "2400"]);
    assert!(number(&fast[0], "tokens_per_s") >= number(&rows[1], "tokens_per_s"));
}

#[test]
fn nothing_to_measure_is_an_error() {
    let args = ["bench", "--model-config", DEMO, "-p", "0", "-n", "0"];
    refuses(&args, &["expected a row to measure", "-p 0 and -n 0"]);
}

/// Cycles are the RTL's where it ran, the same every time, and the model is near them.
#[cfg(feature = "rtl")]
#[test]
fn the_rtl_keeps_the_time_and_the_model_is_near_it() {
    for profile in ["kv260", "paper"] {
        let args = [
            "-p",
            "0",
            "-n",
            "4",
            "--backend",
            "rtl",
            "--rtl-positions",
            "2",
        ];
        let args = [&args[..], &["--profile", profile]].concat();
        let (rows, again) = (bench(&args), bench(&args));
        let row = &rows[0];
        assert_eq!(row["figure"], "rtl-sampled");
        assert_eq!(row["rtl_positions"], 2);
        assert_eq!(row["rtl_cycles"], again[0]["rtl_cycles"]);
        assert_eq!(row["config_hash"].as_str().unwrap().len(), 8);
        // The model steps what the RTL does; a row leaves equal layers out.
        let miss = number(row, "model_error_percent");
        println!("{profile}: {miss} %");
        assert!(miss.abs() < 1.0, "{profile}: {miss} %");
    }
}

#[test]
fn every_format_has_every_field() {
    let args = [
        "bench",
        "--model-config",
        DEMO,
        "-p",
        "16",
        "-n",
        "2",
        "-r",
        "3",
    ];
    let of = |format: &str| ok(&[&args[..], &["-o", format]].concat());
    let rows: Value = serde_json::from_str(&of("json")).unwrap();
    let rows = rows.as_array().unwrap();
    let jsonl = of("jsonl");
    let lines: Vec<Value> = jsonl
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(*rows, lines);
    let csv = of("csv");
    let mut csv = csv.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let names = csv.next().unwrap();
    let fields: Vec<&String> = rows[0].as_object().unwrap().keys().collect();
    assert_eq!(names.len(), fields.len());
    for (row, cells) in rows.iter().zip(csv) {
        for (name, cell) in names.iter().zip(cells) {
            match &row[name] {
                Value::String(text) => assert_eq!(cell, text, "{name}"),
                Value::Null => assert_eq!(cell, "", "{name}"),
                Value::Bool(value) => assert_eq!(cell, value.to_string(), "{name}"),
                Value::Number(n) => {
                    // The last digit may be read another way.
                    let (have, want) = (cell.parse::<f64>().unwrap(), n.as_f64().unwrap());
                    assert!(
                        (have - want).abs() <= 1e-12 * want.abs(),
                        "{name}: {cell}, {n}"
                    );
                }
                other => panic!("{name}: {other}"),
            }
        }
    }
    // Simulated time repeats exactly.
    for row in rows {
        assert_eq!(
            (&row["repetitions"], &row["tokens_per_s_stddev"]),
            (&3.into(), &0.0.into())
        );
    }
    let table = of("md");
    assert_eq!(table.lines().count(), 4);
    assert!(table.contains("± 0.00 | model | kv260 | 300 |"), "{table}");
}

#[test]
fn hardware_that_does_not_exist_yet_is_for_the_model_alone() {
    let rows = bench(&["-p", "64", "-n", "2", "--batch", "2", "--fifo-kib", "64"]);
    assert_eq!(
        (&rows[0]["batch"], &rows[0]["fifo_kib"]),
        (&2.into(), &64.into())
    );
    assert!(rows[0]["config_hash"].is_null());
    let usual = bench(&["-p", "64", "-n", "2"]);
    assert!(number(&usual[0], "tokens_per_s") > number(&rows[0], "tokens_per_s"));
    let with = |more: &[&str], words: &[&str]| {
        refuses(&[&["bench", "--model-config", DEMO], more].concat(), words);
    };
    with(
        &["--profile", "paper", "--batch", "8"],
        &["--batch", "one vector", "kv260"],
    );
    with(&["--ps-factor=-1"], &["--ps-factor", "found -1"]);
    #[cfg(feature = "rtl")]
    {
        with(
            &["--backend", "rtl", "--fifo-kib", "64"],
            &["--fifo-kib", "1536", "found 64"],
        );
        with(
            &["--backend", "rtl", "--batch", "3"],
            &["3 vectors", "1, 8 or 16"],
        );
    }
}

/// What the operations of a token cost adds up to the token, but for what lies between them.
#[test]
fn a_token_by_operation() {
    let args = [
        "bench",
        "--model-config",
        DEMO,
        "--by-operation",
        "-o",
        "json",
    ];
    let backends = if cfg!(feature = "rtl") {
        &["model", "rtl"][..]
    } else {
        &["model"]
    };
    for backend in backends {
        let v: Value =
            serde_json::from_str(&ok(&[&args[..], &["--backend", backend]].concat())).unwrap();
        let layers = number(&v, "layers");
        assert_eq!((layers, &v["depth"]), (6.0, &0.into()));
        let rows = v["operations"].as_array().unwrap();
        let sum = |key: &str| -> f64 {
            let of_token = |r: &Value| {
                ["output matrix", "largest logit"].contains(&r["operation"].as_str().unwrap())
            };
            rows.iter()
                .map(|r| number(r, key) * if of_token(r) { 1.0 } else { layers })
                .sum()
        };
        let token = number(&v, "cycles") / 300.0;
        let busy = sum("pl_us") + sum("ps_us") - sum("ps_while_units_us");
        assert!(
            (0.8..=1.0).contains(&(busy / token)),
            "{backend}: {busy} of {token} us"
        );
        // The paper's Table I, whole.
        let paper: f64 = rows.iter().filter_map(|r| r["paper_us"].as_f64()).sum();
        assert_eq!(paper, 15_952.0);
        // Units wait for the PS more than for anything else in so small a model.
        if *backend == "rtl" {
            assert!(sum("no_activations_us") > 10.0 * sum("no_room_us"));
            let stalled = sum("no_data_us")
                + sum("no_activations_us")
                + sum("no_room_us")
                + sum("lock_step_us");
            assert!(
                (0.9..1.1).contains(&((stalled + sum("pl_us")) / token)),
                "{stalled} of {token}"
            );
        }
        for row in rows {
            assert!(
                number(row, "ps_while_units_us") <= number(row, "ps_us") + 1e-9,
                "{row}"
            );
        }
    }
    refuses(
        &[
            "bench",
            "--by-operation",
            "-d",
            "0,512",
            "--model-config",
            DEMO,
        ],
        &["one depth"],
    );
}

#[test]
fn sensitivity_changes_one_thing_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let heads = dir.path().join("heads.json");
    let text = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/data/demo/eval.txt"
    );
    let measured = ok(&[
        "heads", "-f", text, "-c", "64", "--chunks", "1", "-o", "json",
    ]);
    std::fs::write(&heads, &measured).unwrap();
    let args = [
        "bench",
        "--model-config",
        DEMO,
        "--sensitivity",
        "-p",
        "32",
        "-n",
        "2",
    ];
    let more = ["--heads", common::s(&heads), "-o", "json"];
    let v: Value = serde_json::from_str(&ok(&[&args[..], &more].concat())).unwrap();
    let lines = v.as_array().unwrap();
    let line = |parameter: &str, value: &str| {
        lines
            .iter()
            .find(|l| l["parameter"] == parameter && l["value"] == value)
            .unwrap_or_else(|| panic!("{parameter} {value} in {v}"))
    };
    let tg = |l: &Value| number(l, "tg_tokens_per_s");
    let base = line("none", "as the headline");
    assert_eq!(
        tg(base),
        number(&bench(&["-p", "0", "-n", "2"])[0], "tokens_per_s")
    );
    assert!(tg(line("clock", "200 MHz")) < tg(line("clock", "250 MHz")));
    assert!(tg(line("PS cost", "x 2")) < tg(base));
    assert!(tg(line("caches", "not coherent")) < tg(base));
    assert!(number(line("batch", "1"), "pp_tokens_per_s") < number(base, "pp_tokens_per_s"));
    assert!(
        lines.iter().all(|l| l["parameter"] != "context"),
        "512 tokens are too many for this model"
    );
    let heads: Value = serde_json::from_str(&measured).unwrap();
    assert_eq!(line("head", "int8")["demo_ppl"], heads["heads"][1]["ppl"]);
    assert!(
        line("profile", "paper, 200 MHz")["demo_ppl"].is_null(),
        "it was not given"
    );
    refuses(
        &[&args[..], &["--backend", "rtl"]].concat(),
        &["--backend model"],
    );
    refuses(
        &[&args[..], &["--heads", "none.json"]].concat(),
        &["none.json", "heads -o json"],
    );
}
