//! `--timeline`: what is written is a trace, and its spans are what was charged and counted.
#![cfg(feature = "rtl")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use common::{DEMO, refuses, run, s, stderr, stdout};
use serde_json::Value;

fn ok(args: &[&str]) -> Value {
    let o = run(args);
    assert!(o.status.success(), "{args:?}: {}", stderr(&o));
    serde_json::from_str(&stdout(&o)).unwrap()
}

/// A span: begin, end, name.
type Span = (f64, f64, String);

/// Reads a trace, holds it against the format's rules, and gives the spans by process and thread, and what it is about.
fn read(path: &Path) -> (BTreeMap<(u64, u64), Vec<Span>>, Value) {
    let trace: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    let (mut tracks, mut names) = (BTreeMap::<_, Vec<Span>>::new(), Vec::new());
    let mut last = 0.0;
    for e in events {
        let of = |key: &str| e[key].as_u64().unwrap_or_else(|| panic!("{key} of {e}"));
        let name = e["name"].as_str().unwrap().to_owned();
        let ts = e["ts"].as_f64().unwrap();
        let thread = (of("pid"), of("tid"));
        match e["ph"].as_str().unwrap() {
            "M" => {
                assert!(e["args"]["name"].is_string(), "{e}");
                names.push(thread);
                continue;
            }
            "X" => {
                let dur = e["dur"].as_f64().unwrap();
                assert!(dur >= 0.0, "{e}");
                assert!(names.contains(&thread), "a track without a name: {e}");
                let spans = tracks.entry(thread).or_default();
                if let Some((_, end, before)) = spans.last() {
                    assert!(ts >= end - 1e-6, "{name} begins before {before} ends: {e}");
                }
                spans.push((ts, ts + dur, name));
            }
            "C" => assert!(
                e["args"]
                    .as_object()
                    .unwrap()
                    .values()
                    .all(Value::is_number)
            ),
            other => panic!("an event of kind {other}"),
        }
        assert!(ts >= last, "events are sorted: {e}");
        last = ts;
    }
    (tracks, trace["otherData"].clone())
}

fn sum(spans: &[Span]) -> f64 {
    spans.iter().map(|(begin, end, _)| end - begin).sum()
}

const CORE_0: (u64, u64) = (1, 1);
const UNITS: (u64, u64) = (2, 1);

/// A generated token, and rounds of a prompt, by the RTL and by the model.
#[test]
fn spans_are_what_was_charged_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    for (backend, test) in [
        ("rtl", ["-p", "0", "-n", "3"]),
        ("model", ["-p", "0", "-n", "3"]),
        ("rtl", ["-p", "32", "-n", "0"]),
    ] {
        let path = dir.path().join("trace.json");
        let args = [
            &["bench", "--model-config", DEMO, "-o", "json"][..],
            &["--rtl-positions", "0", "--backend", backend],
            &test,
        ]
        .concat();
        let rows = ok(&[&args[..], &["--timeline", s(&path)]].concat());
        let row = &rows[0];
        let (tracks, about) = read(&path);
        let tokens = row["cycles_per_token"].as_f64().unwrap();
        let count = if test[1] == "0" { 3.0 } else { 32.0 };
        // The PS: all that it was charged, to the nanosecond; a row of the model takes what lies between its first and last unit as
        // straight, a trace runs every unit.
        let charged = 1e6 * count * row["ps_seconds_per_token"].as_f64().unwrap();
        let drawn = sum(&tracks[&CORE_0]);
        assert!(
            (drawn - charged).abs()
                < if backend == "rtl" {
                    1e-3
                } else {
                    1e-5 * charged
                },
            "{backend} {test:?}: {drawn} of {charged} us"
        );
        // Everything lies within the run.
        let length = about["length_us"].as_f64().unwrap();
        let end = tracks.values().flatten().fold(0f64, |t, e| t.max(e.1));
        assert!(end <= length + 0.01, "{end} of {length} us");
        // A watched run need not wait for registers between its tokens.
        assert!(length >= 0.98 * tokens * count / 300.0);
        // Passes: every one is there; where one is under way at a time, from its first strip to its last by the counter.
        let layers = 6;
        let passes = &tracks[&UNITS];
        if test[1] == "0" {
            assert_eq!(passes.len(), 3 * (4 * layers + 1));
            let counted = about["stream_cycles"].as_f64().unwrap();
            let drawn = sum(passes) * 300.0;
            assert!(
                (drawn / counted - 1.0).abs() < 1e-6,
                "{backend}: {drawn} of {counted} cycles"
            );
        } else {
            assert_eq!(passes.len(), 2 * 2 * 4 * layers);
        }
        assert_eq!(passes[0].2, "0 qkv");
        if backend == "rtl" {
            // Four cores, which share SiLU; waits and units; four weight ports, results and activations.
            assert_eq!(tracks.len(), 4 + 2 + 6, "a track is empty");
            // Port 0 fetches in the order of the program.
            let port = &tracks[&(3, 1)];
            let names: Vec<_> = port.iter().take(5).map(|e| e.2.as_str()).collect();
            // Two batches take turns: each pass comes once for either.
            match test[1] {
                "0" => assert_eq!(names, ["0 qkv", "0 o", "0 gate_up", "0 down", "1 qkv"]),
                _ => assert_eq!(names, ["0 qkv", "0 qkv", "0 o", "0 o", "0 gate_up"]),
            }
            assert!(port.len() >= passes.len());
            // A pass begins when its activations are on their way, not before.
            let data = &tracks[&(3, 5)];
            for (begin, _, name) in passes.iter().filter(|_| test[1] == "0") {
                let load = data.iter().rev().find(|e| e.2 == *name && e.0 <= *begin);
                assert!(load.is_some(), "{name} at {begin} has no activations");
            }
            // Results of a pass are out after its units are done.
            let results = &tracks[&(3, 6)];
            for (pass, result) in passes.iter().zip(results) {
                assert_eq!(pass.2, result.2);
                assert!(result.1 >= pass.1, "{pass:?} {result:?}");
            }
        }
    }
}

/// A look costs next to no time. The counters are registers; the time to read them is taken off what the PS does next, and the
/// last piece of a small pass may be less than that.
#[test]
fn a_watched_run_takes_as_long_as_another() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trace.json");
    let args = [
        "run",
        "-p",
        "Once upon",
        "-n",
        "4",
        "--backend",
        "rtl",
        "-o",
        "json",
    ];
    let plain = ok(&args);
    let watched = ok(&[&args[..], &["--timeline", s(&path)]].concat());
    assert_eq!(plain["text"], watched["text"]);
    let cycles = |v: &Value| v["pl_cycles"].as_f64().unwrap();
    let change = cycles(&watched) / cycles(&plain) - 1.0;
    assert!(change.abs() < 5e-3, "{change}");
    let (tracks, about) = read(&path);
    assert_eq!(about["figure"], "rtl-cosim");
    assert!(tracks[&CORE_0].iter().any(|e| e.2 == "attention"));
    // Without a charged PS there are no kernels to draw, and nothing is read on the way.
    ok(&[&args[..], &["--timeline", s(&path), "--ps-time", "off"]].concat());
    let (tracks, _) = read(&path);
    assert!(!tracks.contains_key(&CORE_0) && tracks.contains_key(&UNITS));
}

#[test]
fn what_keeps_no_time_has_no_timeline() {
    let args = ["run", "-p", "x", "-n", "1", "--timeline", "t.json"];
    refuses(&args, &["--timeline", "--backend rtl", "golden"]);
    let rows = ["bench", "--model-config", DEMO, "--timeline", "t.json"];
    refuses(&rows, &["--timeline", "a single row", "found 2"]);
}
