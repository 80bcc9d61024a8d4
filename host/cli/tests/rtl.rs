//! `--backend rtl`: the command line's own part of it. The device is tested in `tests/`.
#![cfg(feature = "rtl")]

mod common;

use common::{DEMO, run, s, stderr, stdout};

const PROMPT: &str = "Tom and his dog Max went to the park. They saw a big tree. \"Look, Max!\" Tom \
                      said. \"Let us climb it and see the sky.\"";

fn ok(args: &[&str]) -> String {
    let o = run(args);
    assert!(o.status.success(), "{args:?}: {}", stderr(&o));
    stdout(&o)
}

/// Every product of a 32-token prompt by the verilated accelerator, to the byte.
#[test]
fn logits_print_the_same_bytes_as_golden() {
    let tokens = ok(&["tokenize", "-p", PROMPT]);
    let tokens: Vec<&str> = tokens.trim().split(',').take(32).collect();
    assert_eq!(tokens.len(), 32);
    let tokens = tokens.join(",");
    let logits = |backend| ok(&["logits", "--tokens", &tokens, "--all", "--backend", backend]);
    assert!(logits("rtl") == logits("golden"), "logits differ");
}

/// An INT8 head: the same device, with twice the input channels in its last step. The cost is counted, too: a token streams
/// what `heads` says.
#[test]
fn an_int8_head_gives_the_same_bytes_as_golden() {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("image");
    ok(&["pack", DEMO, "-o", s(&image), "--head", "int8"]);
    let logits = |backend| {
        ok(&[
            "logits",
            "-m",
            s(&image),
            "--tokens",
            "421,431,258,395",
            "--all",
            "--backend",
            backend,
        ])
    };
    let golden = logits("golden");
    assert!(logits("rtl") == golden, "logits differ");
    assert!(logits("cpu") != golden, "cpu rounds otherwise");
    let v: serde_json::Value = serde_json::from_str(&ok(&[
        "run",
        "-m",
        s(&image),
        "-p",
        "Once",
        "-n",
        "2",
        "-o",
        "json",
        "--backend",
        "rtl",
    ]))
    .unwrap();
    assert!(v["bytes_streamed"].as_u64().unwrap() >= 2 * 3_078_144);
}

/// The same in the other profile: logits to the byte, and text of its own.
#[test]
fn the_kv260_profile_prints_the_same_bytes_as_golden() {
    let tokens = ok(&["tokenize", "-p", PROMPT]);
    let tokens: Vec<&str> = tokens.trim().split(',').take(8).collect();
    let tokens = tokens.join(",");
    let logits = |backend| {
        let args = ["--all", "--backend", backend, "--profile", "kv260"];
        ok(&[&["logits", "--tokens", &tokens][..], &args].concat())
    };
    assert!(logits("rtl") == logits("golden"), "logits differ");
    let text = |backend| {
        let args = ["--backend", backend, "--profile", "kv260"];
        ok(&[&["run", "-p", "Once upon a time", "-n", "12"][..], &args].concat())
    };
    assert_eq!(text("rtl"), text("golden"));
}

#[test]
fn a_run_has_figures_that_repeat_and_memory_changes_only_cycles() {
    let figures = |memory: &[&str]| -> serde_json::Value {
        let args = [
            "run",
            "-p",
            "Once",
            "-n",
            "2",
            "-o",
            "json",
            "--backend",
            "rtl",
        ];
        serde_json::from_str(&ok(&[&args[..], memory].concat())).unwrap()
    };
    let a = figures(&[]);
    for key in [
        "pl_cycles",
        "cycles_per_token",
        "bytes_streamed",
        "tokens_per_s",
        "sim_khz",
    ] {
        assert!(a[key].as_f64().unwrap() > 0.0, "{key}: {a}");
    }
    assert_eq!(a["figure"], "rtl-cosim");
    assert_eq!(a["stalls"]["no_data"].as_array().unwrap().len(), 4);
    let rate = 200e6 / a["cycles_per_token"].as_f64().unwrap();
    assert!((a["tokens_per_s"].as_f64().unwrap() / rate - 1.0).abs() < 1e-9);
    // Two tokens stream every block twice, and the readers run ahead into the third.
    assert!(a["bytes_streamed"].as_u64().unwrap() >= 2 * 288 * 4_947_968 / 512);

    let again = figures(&[]);
    assert_eq!(
        (&a["pl_cycles"], &a["stalls"]),
        (&again["pl_cycles"], &again["stalls"])
    );
    let slow = figures(&["--memory", "random", "--memory-seed", "5"]);
    assert_eq!((&a["tokens"], &a["text"]), (&slow["tokens"], &slow["text"]));
    assert_ne!(a["pl_cycles"], slow["pl_cycles"]);
    let ddr = figures(&["--memory", "ddr4"]);
    assert_eq!((&a["tokens"], &a["text"]), (&ddr["tokens"], &ddr["text"]));
    let faster = figures(&["--memory", "ddr4", "--ddr", "2400"]);
    assert_ne!(ddr["pl_cycles"], faster["pl_cycles"]);
}

#[test]
fn the_summary_names_every_figure() {
    let o = run(&["run", "-p", "Once", "-n", "1", "--backend", "rtl"]);
    let err = stderr(&o);
    assert!(o.status.success(), "{err}");
    for word in [
        "tokens: 1 prompt + 1 generated",
        "PL cycles:",
        "cycles a generated token:",
        "200 MHz, profile paper (rtl-cosim",
        "no data",
        "no activations",
        "no room",
        "lock step",
        "bytes streamed:",
        "kHz",
    ] {
        assert!(err.contains(word), "expected \"{word}\" in:\n{err}");
    }
}
