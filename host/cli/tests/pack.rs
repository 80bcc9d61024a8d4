//! `macromac pack` by AWQ: what it says, and what a kill leaves.

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::{DEMO, macromac, names, refuses, s, stderr, stdout};

const CALIB: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/data/demo/calib.txt"
);

/// Packs the built-in model by AWQ into `out`, from few tokens.
fn awq(out: &Path) -> Command {
    let mut command = macromac();
    command.args([
        "pack",
        DEMO,
        "-o",
        s(out),
        "--calib",
        CALIB,
        "--calib-tokens",
        "2100",
    ]);
    command
}

#[test]
fn a_killed_run_goes_on_to_the_same_image() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, image) = (dir.path().join("whole"), dir.path().join("image"));
    let o = awq(&whole).output().unwrap();
    assert!(o.status.success(), "{}", stderr(&o));
    // 2,100 tokens are eight windows of 256.
    assert!(
        stdout(&o).contains("calibrated on 2048 tokens in windows of 256"),
        "{}",
        stdout(&o)
    );
    assert!(!stderr(&o).contains("resuming"), "{}", stderr(&o));

    let mut child = awq(&image)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let partial = dir.path().join("image.partial");
    let began = Instant::now();
    while !partial.join("residual-1.bin").exists() && !partial.join("residual-2.bin").exists() {
        assert!(
            began.elapsed() < Duration::from_secs(300),
            "two layers in five minutes"
        );
        assert!(
            child.try_wait().unwrap().is_none(),
            "it ended before it could be killed"
        );
        sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!image.exists());

    let o = awq(&image).output().unwrap();
    assert!(o.status.success(), "{}", stderr(&o));
    assert!(
        stderr(&o).contains("image.partial: resuming at layer "),
        "{}",
        stderr(&o)
    );
    let bin = |dir: &Path| fs::read(dir.join("model.bin")).unwrap();
    assert!(
        bin(&image) == bin(&whole),
        "a resumed run differs from a whole one"
    );
    assert_eq!(names(dir.path()), ["image", "whole"]);
}

#[test]
fn calibration_texts_that_cannot_be() {
    let dir = tempfile::tempdir().unwrap();
    let (out, text) = (dir.path().join("out"), dir.path().join("text"));
    let with = |calib: &str, more: &[&str], words: &[&str]| {
        let base = ["pack", DEMO, "-o", s(&out), "--calib", calib];
        refuses(&[&base[..], more].concat(), words);
    };
    fs::write(&text, "Once upon a time").unwrap();
    with(
        s(&text),
        &[],
        &["at least one window of 256 tokens, found 4", "longer text"],
    );
    fs::write(&text, "").unwrap();
    with(s(&text), &[], &["256 tokens, found 0"]);
    fs::write(&text, [0xff, 0xfe]).unwrap();
    with(s(&text), &[], &["text", "UTF-8"]);
    with(CALIB, &["--calib-tokens", "255"], &["256 tokens, found 0"]);
    with("nowhere", &[], &["nowhere", "cannot read"]);
    fs::remove_file(&text).unwrap();
    // A folder of that name that is not ours stays as it is.
    let partial = dir.path().join("out.partial");
    fs::create_dir(&partial).unwrap();
    fs::write(partial.join("letters.txt"), "dear").unwrap();
    with(CALIB, &[], &["out.partial", "letters.txt", "move it away"]);
    assert_eq!(names(dir.path()), ["out.partial"]);
    assert_eq!(names(&partial), ["letters.txt"]);
}
