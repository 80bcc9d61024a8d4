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

fn number(figures: &serde_json::Value, key: &str) -> f64 {
    figures[key]
        .as_f64()
        .unwrap_or_else(|| panic!("{key} of {figures}"))
}

/// Every product of a 32-token prompt by the verilated accelerator, to the byte, in both profiles.
#[test]
fn logits_print_the_same_bytes_as_golden() {
    let tokens = ok(&["tokenize", "-p", PROMPT]);
    let tokens: Vec<&str> = tokens.trim().split(',').take(32).collect();
    assert_eq!(tokens.len(), 32);
    let tokens = tokens.join(",");
    let logits = |backend, profile| {
        // Time does not show in results: without the PS's there is less of it to simulate.
        let more = ["--all", "--ps-time", "off"];
        let args = [&["--backend", backend, "--profile", profile][..], &more].concat();
        ok(&[&["logits", "--tokens", &tokens][..], &args].concat())
    };
    let (paper, kv260) = (logits("golden", "paper"), logits("golden", "kv260"));
    assert!(logits("rtl", "paper") == paper, "logits differ, paper");
    assert!(logits("rtl", "kv260") == kv260, "logits differ, kv260");
    assert!(paper != kv260, "the profiles round alike");
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

/// Text by tokens one by one, with the defaults: profile kv260, DDR4, the PS charged.
#[test]
fn the_text_is_that_of_golden() {
    let text = |backend| {
        ok(&[
            "run",
            "-p",
            "Once upon a time",
            "-n",
            "12",
            "--backend",
            backend,
        ])
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
    let rate = 300e6 / a["cycles_per_token"].as_f64().unwrap();
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
    let named = figures(&["--memory", "ddr4", "--ddr", "2133", "--ps-time", "derived"]);
    assert_eq!(a["pl_cycles"], named["pl_cycles"], "these are the defaults");
    let faster = figures(&["--ddr", "2400"]);
    assert_ne!(a["pl_cycles"], faster["pl_cycles"]);
    assert!(number(&a, "tokens_per_s") < number(&figures(&["--ps-time", "off"]), "tokens_per_s"));
    // A slower clock: more time for a token, but fewer cycles, for memory and PS keep theirs.
    let slow = figures(&["--clock", "200"]);
    assert!(number(&slow, "tokens_per_s") < number(&a, "tokens_per_s"));
    assert!(number(&slow, "cycles_per_token") < number(&a, "cycles_per_token"));
    assert_eq!((&a["tokens"], &a["text"]), (&slow["tokens"], &slow["text"]));
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
        "300 MHz, profile kv260 (rtl-cosim; PS charged by model derived)",
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
