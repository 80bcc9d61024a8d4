//! Rows of a benchmark, and how they are printed.

use std::fmt::Write;

use anyhow::Result;
use serde::Serialize;

use super::device::Board;
use super::{BenchArgs, Test, Units};

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Print {
    /// A Markdown table
    Md,
    /// Comma-separated values
    Csv,
    /// An array of objects
    Json,
}

/// A row.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// `pp512`, `tg128`, `tg128@d512`.
    pub test: String,
    /// Arithmetic of the accelerator.
    pub profile: &'static str,
    /// What kept the time.
    pub backend: &'static str,
    /// What kind of figure this is.
    pub figure: &'static str,
    /// Clock of the PL.
    pub clock_mhz: f64,
    /// Data rate of the memory.
    pub ddr_mts: u32,
    /// Tokens in the context before.
    pub depth: usize,
    /// Vectors that share a pass.
    pub batch: usize,
    /// Prefetch of all ports together.
    pub fifo_kib: usize,
    /// Hash of the hardware's parameters, hexadecimal; null in a program without the simulated board.
    pub config_hash: Option<String>,
    /// Whether caches of PS and PL are coherent.
    pub coherent: bool,
    /// Tokens a second.
    pub tokens_per_s: f64,
    /// PL cycles a token.
    pub cycles_per_token: f64,
    /// Bytes of memory traffic a token: weights, activations, results, and what the PS is charged.
    pub ddr_bytes_per_token: f64,
    /// Those bytes over the row's time, against the memory's peak.
    pub ddr_share_of_peak: f64,
    /// Charged to the PS.
    pub ps_seconds_per_token: f64,
    /// Tokens a second if the PS cost twice as much; the difference is the model's.
    pub tokens_per_s_ps2x: f64,
    /// Units of the row (tokens, or rounds of batches) that the RTL ran.
    pub rtl_positions: usize,
    /// Units of the row in all.
    pub positions: usize,
    /// Cycles that the RTL ran.
    pub rtl_cycles: u64,
    /// Largest difference of the model's cycles from the RTL's, of the units that both ran, percent; null without RTL.
    pub model_error_percent: Option<f64>,
    /// Seconds that the RTL's simulation took on this machine.
    pub sim_wall_s: f64,
    /// Simulated kilohertz.
    pub sim_khz: Option<f64>,
}

impl Row {
    pub(super) fn new(
        args: &BenchArgs,
        board: &Board,
        test: Test,
        model: &Units,
        doubled: &Units,
        rtl: Option<(Units, f64)>,
    ) -> Row {
        let sum = |units: &Units| units.cycles.iter().map(|(_, c)| *c).sum::<u64>();
        let (estimate, twice) = (sum(model), sum(doubled));
        let (ran, wall) = rtl.unwrap_or_default();
        let guessed: u64 = ran
            .cycles
            .iter()
            .map(|(unit, _)| model.cycles[*unit].1)
            .sum();
        let rtl_cycles = sum(&ran);
        // What the RTL did not run is the model's, corrected by what the model missed where both ran.
        let total = match guessed {
            0 => estimate as f64,
            _ => estimate as f64 * rtl_cycles as f64 / guessed as f64,
        };
        let errors = ran.cycles.iter().map(|(unit, cycles)| {
            let guess = model.cycles[*unit].1;
            (guess as f64 / *cycles as f64 - 1.0) * 100.0
        });
        let error = errors.max_by(|a, b| a.abs().total_cmp(&b.abs()));
        let (positions, tokens) = (model.cycles.len(), test.tokens as f64);
        let clock = board.clock_hz as f64;
        let per_token = total / tokens;
        let rate = clock / per_token;
        let vectors = if test.prompt { board.batch } else { 1 };
        let rounds = match test.prompt {
            true => test.tokens.div_ceil(board.batch),
            false => test.tokens,
        };
        let moved = board.bytes(!test.prompt, vectors) * rounds as u64 + model.ps.ddr_bytes;
        let bytes = moved as f64 / tokens;
        Row {
            test: test.name(),
            profile: board.profile.name(),
            backend: if ran.cycles.is_empty() {
                "model"
            } else {
                "rtl"
            },
            figure: match ran.cycles.len() {
                0 => "model",
                n if n == positions => "rtl-cosim",
                _ => "rtl-sampled",
            },
            clock_mhz: clock / 1e6,
            ddr_mts: board.mts(),
            depth: test.depth,
            batch: board.batch,
            fifo_kib: board.fifo_strips * 4 * 16 / 1024,
            config_hash: board.config_hash.map(|h| format!("{h:08x}")),
            coherent: !args.non_coherent,
            tokens_per_s: rate,
            cycles_per_token: per_token,
            ddr_bytes_per_token: bytes,
            ddr_share_of_peak: bytes * rate / board.peak(),
            ps_seconds_per_token: model.ps.time.as_secs_f64() / tokens,
            tokens_per_s_ps2x: rate * estimate as f64 / twice as f64,
            rtl_positions: ran.cycles.len(),
            positions,
            rtl_cycles,
            model_error_percent: error,
            sim_wall_s: wall,
            sim_khz: (wall > 0.0).then(|| rtl_cycles as f64 / wall / 1e3),
        }
    }
}

/// Columns of a table: name and cell.
type Column = (&'static str, fn(&Row) -> String);

const COLUMNS: [Column; 13] = [
    ("test", |r| r.test.clone()),
    ("t/s", |r| format!("{:.2}", r.tokens_per_s)),
    ("figure", |r| r.figure.into()),
    ("profile", |r| r.profile.into()),
    ("MHz", |r| format!("{:.0}", r.clock_mhz)),
    ("DDR MT/s", |r| r.ddr_mts.to_string()),
    ("batch", |r| r.batch.to_string()),
    ("cycles/token", |r| format!("{:.0}", r.cycles_per_token)),
    ("DDR MB/token", |r| {
        format!("{:.2}", r.ddr_bytes_per_token / 1e6)
    }),
    ("DDR share", |r| {
        format!("{:.1} %", 100.0 * r.ddr_share_of_peak)
    }),
    ("PS ms/token", |r| {
        format!("{:.2}", 1e3 * r.ps_seconds_per_token)
    }),
    ("t/s at PS x 2", |r| format!("{:.2}", r.tokens_per_s_ps2x)),
    ("RTL", |r| format!("{} of {}", r.rtl_positions, r.positions)),
];

/// The rows as text.
pub fn print(how: Print, rows: &[Row]) -> Result<String> {
    let line = |cells: Vec<String>, between: &str| cells.join(between);
    let names = || COLUMNS.iter().map(|(name, _)| (*name).to_owned());
    let mut out = String::new();
    match how {
        Print::Json => return Ok(serde_json::to_string_pretty(rows)? + "\n"),
        Print::Csv => {
            writeln!(out, "{}", line(names().collect(), ","))?;
            for row in rows {
                let cells = COLUMNS.iter().map(|(_, cell)| cell(row));
                writeln!(out, "{}", line(cells.collect(), ","))?;
            }
        }
        Print::Md => {
            writeln!(out, "| {} |", line(names().collect(), " | "))?;
            let rule = COLUMNS.iter().map(|_| "---".to_owned());
            writeln!(out, "| {} |", line(rule.collect(), " | "))?;
            for row in rows {
                let cells = COLUMNS.iter().map(|(_, cell)| cell(row));
                writeln!(out, "| {} |", line(cells.collect(), " | "))?;
            }
        }
    }
    Ok(out)
}
