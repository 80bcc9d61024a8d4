//! Pictures of measured runs: `make pictures` runs the program and draws what it wrote.
//!
//! `timeline` draws a trace of `macromac bench --timeline`, `roofline` the rows of `macromac bench -o json`. Nothing is drawn that is not in
//! those files. Text is dark on a light ground of the picture's own, so it can be read on light and dark pages.
#![warn(missing_docs)]

mod roofline;
mod svg;
mod timeline;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use serde_json::Value;

/// Draws pictures of measured runs.
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// A generated token and one of its layers, from a trace of `macromac bench -p 0 -n 2 --timeline`
    Timeline {
        /// The trace
        trace: PathBuf,
        /// SVG to write
        out: PathBuf,
    },
    /// Products a second against products a byte, from rows of `macromac bench -o json`
    Roofline {
        /// The rows, or an object with `rows`
        rows: PathBuf,
        /// SVG to write
        out: PathBuf,
    },
}

fn main() -> ExitCode {
    match draw(&Args::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn draw(command: &Command) -> Result<()> {
    let (from, out) = match command {
        Command::Timeline { trace, out } => (trace, out),
        Command::Roofline { rows, out } => (rows, out),
    };
    let value = read(from)?;
    let svg = match command {
        Command::Timeline { .. } => timeline::draw(&value),
        Command::Roofline { .. } => roofline::draw(&value),
    }
    .with_context(|| format!("{}: cannot be drawn", from.display()))?;
    std::fs::write(out, svg).with_context(|| format!("{}: cannot write", out.display()))
}

fn read(path: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("{}: cannot read", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{}: expected JSON", path.display()))
}
