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
        // A story token is short steps with long gaps, where what steps cost besides their strips counts most.
        let miss = number(row, "model_error_percent");
        assert!(miss.abs() < 8.0, "{profile}: {miss} %");
    }
}
