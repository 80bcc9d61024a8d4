//! Runs the program and looks at what it says.

// Each test file uses its part of this module.
#![allow(dead_code)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/demo");

/// The program; by the runner that MACROMAC_RUNNER names where this machine cannot start it (scripts/aarch64).
pub fn macromac() -> Command {
    let program = env!("CARGO_BIN_EXE_macromac");
    let Some(runner) = std::env::var_os("MACROMAC_RUNNER") else {
        return Command::new(program);
    };
    let mut command = Command::new(runner);
    command.arg(program);
    command
}

pub fn run(args: &[&str]) -> Output {
    macromac().args(args).output().unwrap()
}

pub fn stdout(o: &Output) -> String {
    String::from_utf8(o.stdout.clone()).unwrap()
}

pub fn stderr(o: &Output) -> String {
    String::from_utf8(o.stderr.clone()).unwrap()
}

/// Runs the program, which must fail without a panic, print no result and say each of `words`.
pub fn refuses(args: &[&str], words: &[&str]) {
    let o = run(args);
    let err = stderr(&o);
    assert!(
        matches!(o.status.code(), Some(1 | 2)),
        "{args:?}: {:?}\n{err}",
        o.status
    );
    assert!(!err.contains("panicked"), "{args:?}: {err}");
    // `pack` names its method before it begins; a result would be a second line.
    let lines = if args[0] == "pack" { 1 } else { 0 };
    assert!(
        stdout(&o).lines().count() <= lines,
        "{args:?}: {}",
        stdout(&o)
    );
    for word in words {
        assert!(
            err.contains(word),
            "{args:?}: expected \"{word}\" in:\n{err}"
        );
    }
}

/// A copy of the demonstration model that a test may damage.
pub fn demo_copy(into: &Path) -> PathBuf {
    let dir = into.join("checkpoint");
    std::fs::create_dir(&dir).unwrap();
    for entry in std::fs::read_dir(DEMO).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), dir.join(entry.file_name())).unwrap();
    }
    dir
}

/// Names in a folder, sorted.
pub fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut v: Vec<String> = entries
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    v.sort();
    v
}

/// A path as an argument.
pub fn s(path: &Path) -> &str {
    path.to_str().unwrap()
}
