//! Rows of a benchmark, and how they are printed.

use std::fmt::Write;

use anyhow::Result;
use clap::ValueEnum;
use serde::Serialize;

use super::Test;
use super::device::Board;
use super::measure::Units;

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Print {
    /// A Markdown table of the most important columns
    Md,
    /// Comma-separated values, all fields
    Csv,
    /// An array of objects, all fields
    Json,
    /// An object a line, all fields
    Jsonl,
}

/// A row. Its fields are the columns of CSV, too.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// `pp512`, `tg128`, `tg128@d512`.
    pub test: String,
    /// Shape, or the folder of the image.
    pub model: String,
    /// Where the output matrix is computed: `int4`, `int8`, `fp16`.
    pub head: &'static str,
    /// Version of the weights' format, 1 or 2.
    pub image_format: u32,
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
    /// Format of the key-value cache.
    pub cache_type: String,
    /// What the PS is charged by.
    pub ps_time: String,
    /// Factor on it.
    pub ps_factor: f64,
    /// Tokens a second, the mean of the repetitions.
    pub tokens_per_s: f64,
    /// Standard deviation of it: 0, unless simulated time did not repeat.
    pub tokens_per_s_stddev: f64,
    /// Runs of the row.
    pub repetitions: usize,
    /// PL cycles a token.
    pub cycles_per_token: f64,
    /// Multiply-adds of matrices in the accelerator a token.
    pub macs_per_token: f64,
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
    /// Seconds that the RTL's simulation took on this machine, a mean of the repetitions.
    pub sim_wall_s: f64,
    /// Simulated kilohertz.
    pub sim_khz: Option<f64>,
}

/// One run of a row.
pub struct Ran {
    /// All units by the model.
    pub estimate: Units,
    /// Those that the RTL ran, and the seconds of its simulation.
    pub rtl: Option<(Units, f64)>,
}

impl Ran {
    /// Cycles of the row: what the RTL did not run is the model's, corrected by what the model missed where both ran.
    fn cycles(&self) -> f64 {
        let estimate = self.estimate.sum() as f64;
        match &self.rtl {
            Some((units, _)) if !units.cycles.is_empty() => {
                let guessed = units.cycles.iter().map(|(unit, _)| self.guess(*unit));
                estimate * units.sum() as f64 / guessed.sum::<u64>() as f64
            }
            _ => estimate,
        }
    }

    /// The model's cycles of a unit.
    fn guess(&self, unit: usize) -> u64 {
        self.estimate.cycles[unit].1
    }

    /// The largest miss of the model, percent.
    fn error(&self) -> Option<f64> {
        let (units, _) = self.rtl.as_ref()?;
        let errors = units
            .cycles
            .iter()
            .map(|(unit, cycles)| (self.guess(*unit) as f64 / *cycles as f64 - 1.0) * 100.0);
        errors.max_by(|a, b| a.abs().total_cmp(&b.abs()))
    }
}

impl Row {
    /// The row of at least one run; `doubled`: by the model, with a PS that costs twice as much.
    pub fn new(board: &Board, test: Test, ran: &[Ran], doubled: &Units) -> Row {
        let (setup, first) = (&board.setup, &ran[0]);
        let tokens = test.tokens as f64;
        let clock = setup.clock_hz as f64;
        let rates: Vec<f64> = ran.iter().map(|r| clock * tokens / r.cycles()).collect();
        let (rate, deviation) = mean(&rates);
        let rtl_positions = first.rtl.as_ref().map_or(0, |(u, _)| u.cycles.len());
        let rtl_cycles = first.rtl.as_ref().map_or(0, |(u, _)| u.sum());
        let walls: Vec<f64> = ran
            .iter()
            .map(|r| r.rtl.as_ref().map_or(0.0, |r| r.1))
            .collect();
        let (wall, _) = mean(&walls);
        let positions = first.estimate.cycles.len();
        let vectors = if test.prompt { board.batch } else { 1 };
        let rounds = match test.prompt {
            true => test.tokens.div_ceil(board.batch),
            false => test.tokens,
        };
        // What was run, if all of it was; else the model's, which charges the same between the units that it runs.
        let all = |(units, _): &&(Units, f64)| units.cycles.len() == first.estimate.cycles.len();
        let ps = first.rtl.as_ref().filter(all);
        let ps = ps.map_or(first.estimate.ps, |(units, _)| units.ps);
        let moved = board.bytes(!test.prompt, vectors) * rounds as u64 + ps.ddr_bytes;
        let bytes = moved as f64 / tokens;
        let ps_time = setup.ps_time.to_possible_value();
        Row {
            test: test.name(),
            model: board.weights.name.clone(),
            head: board.weights.head().name(),
            image_format: board.weights.packing().version(),
            profile: setup.profile.name(),
            backend: if rtl_positions == 0 { "model" } else { "rtl" },
            figure: match rtl_positions {
                0 => "model",
                n if n == positions => "rtl-cosim",
                _ => "rtl-sampled",
            },
            clock_mhz: clock / 1e6,
            ddr_mts: setup.mts,
            depth: test.depth,
            batch: board.batch,
            fifo_kib: board.fifo_strips * 4 * 16 / 1024,
            config_hash: board.config_hash.map(|h| format!("{h:08x}")),
            coherent: setup.coherent,
            cache_type: setup.cache.name().to_owned(),
            ps_time: ps_time.map_or(String::new(), |v| v.get_name().to_owned()),
            ps_factor: setup.ps_factor,
            tokens_per_s: rate,
            tokens_per_s_stddev: deviation,
            repetitions: ran.len(),
            cycles_per_token: clock / rate,
            macs_per_token: board.macs(!test.prompt) as f64,
            ddr_bytes_per_token: bytes,
            ddr_share_of_peak: bytes * rate / board.peak(),
            ps_seconds_per_token: ps.time.as_secs_f64() / tokens,
            tokens_per_s_ps2x: rate * first.estimate.sum() as f64 / doubled.sum() as f64,
            rtl_positions,
            positions,
            rtl_cycles,
            model_error_percent: first.error(),
            sim_wall_s: wall,
            sim_khz: (wall > 0.0).then(|| rtl_cycles as f64 / wall / 1e3),
        }
    }
}

/// Mean and standard deviation of a sample.
fn mean(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    // Equal values have their own mean, to the last bit.
    if values.iter().all(|v| *v == values[0]) {
        return (values[0], 0.0);
    }
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    (mean, (squares / (n - 1.0)).sqrt())
}

/// Columns of a table: name and cell.
type Column = (&'static str, fn(&Row) -> String);

const COLUMNS: [Column; 14] = [
    ("test", |r| r.test.clone()),
    ("t/s", |r| {
        format!("{:.2} ± {:.2}", r.tokens_per_s, r.tokens_per_s_stddev)
    }),
    ("figure", |r| r.figure.into()),
    ("profile", |r| r.profile.into()),
    ("MHz", |r| format!("{:.0}", r.clock_mhz)),
    ("DDR MT/s", |r| r.ddr_mts.to_string()),
    ("head", |r| r.head.into()),
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
    match how {
        Print::Json => Ok(serde_json::to_string_pretty(rows)? + "\n"),
        Print::Jsonl => {
            let lines: Result<Vec<String>, _> = rows.iter().map(serde_json::to_string).collect();
            Ok(lines?.join("\n") + "\n")
        }
        Print::Csv => csv(rows),
        Print::Md => {
            let names = COLUMNS.iter().map(|(name, _)| (*name).to_owned());
            let cells = rows
                .iter()
                .map(|row| COLUMNS.iter().map(|(_, cell)| cell(row)).collect());
            Ok(markdown(names.collect(), cells))
        }
    }
}

/// A Markdown table.
pub fn markdown(names: Vec<String>, rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut out = String::new();
    let mut line = |cells: &[String]| {
        writeln!(out, "| {} |", cells.join(" | ")).expect("writing to a string does not fail");
    };
    line(&names);
    line(&vec!["---".to_owned(); names.len()]);
    rows.for_each(|cells| line(&cells));
    out
}

/// Comma-separated values with a line of names.
pub fn csv<T: Serialize>(rows: &[T]) -> Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.serialize(row)?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_runs_have_no_deviation() {
        assert_eq!(mean(&[0.1, 0.1, 0.1]), (0.1, 0.0));
        assert_eq!(mean(&[1.0]), (1.0, 0.0));
        assert_eq!(mean(&[1.0, 2.0, 3.0]), (2.0, 1.0));
    }
}
