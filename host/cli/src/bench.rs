//! `macromac bench`: tokens a second on the board, simulated.
//!
//! A row is a number of units: tokens to generate, or rounds of batches to read. The model of the device runs them all; the
//! verilated device runs a few, the first and the last among them; for the others the model's time stands in, multiplied by what
//! it missed where both ran.

mod device;
mod measure;
mod operations;
mod report;
mod sensitivity;
mod setup;

use std::path::PathBuf;

use anyhow::Result;
use macromac_infer::kernels::cache::CacheType;

use crate::args::{DEFAULT_PROFILE, Ddr, HeadArg, ProfileArg, PsTimeArg, VersionArg};
use crate::output;
use device::Board;
use setup::{Setup, Weights};

/// What keeps the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Timer {
    /// A formula that is checked against the RTL: answers at once
    Model,
    /// The accelerator's RTL for some positions, the formula for the others
    Rtl,
}

/// Without any option: Qwen2.5-0.5B's shape on the board, profile kv260, a prompt of 512 tokens (pp512) and 128 generated ones (tg128).
#[derive(Clone, clap::Args)]
pub struct BenchArgs {
    /// Image to run; its weights do not matter [default: --model-config with random weights]
    #[arg(short, long, value_name = "DIR")]
    pub model: Option<PathBuf>,
    /// Shape to run with random weights: qwen2.5-0.5b, or a folder with config.json
    #[arg(
        long,
        value_name = "CONFIG",
        default_value = "qwen2.5-0.5b",
        conflicts_with = "model"
    )]
    pub model_config: PathBuf,
    /// Where the output matrix of the random weights is computed
    #[arg(long, value_enum, value_name = "HEAD", default_value = "int4")]
    pub head: HeadArg,
    /// Format version of the random weights' image
    #[arg(long, value_enum, value_name = "VERSION", default_value = "1")]
    pub format_version: VersionArg,
    /// Prompt tokens of a pp row; 0: no such row
    #[arg(
        short = 'p',
        long,
        value_name = "N",
        value_delimiter = ',',
        default_value = "512"
    )]
    pub n_prompt: Vec<usize>,
    /// Tokens of a tg row; 0: no such row
    #[arg(
        short = 'n',
        long,
        value_name = "N",
        value_delimiter = ',',
        default_value = "128"
    )]
    pub n_gen: Vec<usize>,
    /// Tokens that are in the context before
    #[arg(
        short = 'd',
        long,
        value_name = "N",
        value_delimiter = ',',
        default_value = "0"
    )]
    pub n_depth: Vec<usize>,
    /// Runs of each row. Simulated time is the same in every run: the deviation is there to show it
    #[arg(short = 'r', long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub repetitions: u32,
    /// What keeps the time
    #[arg(long, value_enum, value_name = "BACKEND", default_value = "model")]
    pub backend: Timer,
    /// Arithmetic of the accelerator
    #[arg(long, value_enum, default_value_t = DEFAULT_PROFILE)]
    pub profile: ProfileArg,
    /// Data rate of the board's memory, MT/s
    #[arg(long, value_enum, value_name = "RATE", default_value = "2133")]
    pub ddr: Ddr,
    /// Clock of the accelerator, MHz [default: 300, profile paper 200]
    #[arg(long, value_name = "MHZ", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub clock: Option<u32>,
    /// Vectors that share a pass; the RTL exists with 1, 8 and 16 [default: 8, profile paper 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=16))]
    pub batch: Option<u32>,
    /// Prefetch of the four ports together, KiB (model) [default: 1536, profile paper 128]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(4..=65536))]
    pub fifo_kib: Option<u32>,
    /// Units of a row that the RTL runs, at least 2; 0: all
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub rtl_positions: usize,
    /// Factor on the time of the board's processor
    #[arg(long, value_name = "F", default_value_t = 1.0)]
    pub ps_factor: f64,
    /// What the processor is charged
    #[arg(long, value_enum, value_name = "MODEL", default_value = "derived")]
    pub ps_time: PsTimeArg,
    /// Caches of the processor and the accelerator are not coherent: lines are cleaned and invalidated
    #[arg(long)]
    pub non_coherent: bool,
    /// Number format of the key-value cache: f32, f16 or q8_0
    #[arg(long, value_name = "TYPE", default_value = "f16")]
    pub cache_type: CacheType,
    /// Write when everything happened, for ui.perfetto.dev; needs a single row
    #[arg(long, value_name = "FILE")]
    pub timeline: Option<PathBuf>,
    /// Print what each operation of a generated token costs, beside the paper's Table I, instead of rows
    #[arg(long, conflicts_with_all = ["timeline", "sensitivity"])]
    pub by_operation: bool,
    /// Print how tokens a second depend on clock, memory, coherency, prefetch, batch, head, context and processor (model)
    #[arg(long, conflicts_with_all = ["timeline", "model"])]
    pub sensitivity: bool,
    /// Perplexities to print beside --sensitivity: what `macromac heads -o json` printed, a file a profile
    #[arg(
        long,
        value_name = "FILE",
        value_delimiter = ',',
        requires = "sensitivity"
    )]
    pub heads: Vec<PathBuf>,
    /// How to print
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "md")]
    pub output: report::Print,
}

/// What a row does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Test {
    /// Reads a prompt (`pp`); else generates (`tg`).
    pub prompt: bool,
    /// Tokens.
    pub tokens: usize,
    /// Tokens in the context before.
    pub depth: usize,
}

impl Test {
    /// As llama-bench names it.
    pub fn name(self) -> String {
        let kind = if self.prompt { "pp" } else { "tg" };
        let depth = match self.depth {
            0 => String::new(),
            d => format!("@d{d}"),
        };
        format!("{kind}{}{depth}", self.tokens)
    }

    /// Tokens that go through a unit together.
    fn step(self, batch: usize) -> usize {
        // Two batches take turns.
        if self.prompt { 2 * batch } else { 1 }
    }
}

/// Measures what was asked for.
pub fn bench(args: &BenchArgs) -> Result<()> {
    anyhow::ensure!(
        args.ps_factor.is_finite() && args.ps_factor >= 0.0,
        "--ps-factor: expected a number of at least 0, found {}",
        args.ps_factor
    );
    if args.sensitivity {
        return sensitivity::sensitivity(args);
    }
    if args.by_operation {
        return operations::by_operation(args);
    }
    let tests = tests(args);
    anyhow::ensure!(
        !tests.is_empty(),
        "expected a row to measure, found -p 0 and -n 0 alone"
    );
    anyhow::ensure!(
        args.timeline.is_none() || tests.len() == 1,
        "--timeline: expected a single row, found {}; leave the prompt out with -p 0, or generation with -n 0",
        tests.len()
    );
    let (setup, weights) = (Setup::new(args)?, Weights::new(args)?);
    let board = Board::new(setup, &weights)?;
    let mut rows = Vec::new();
    for (i, test) in tests.iter().enumerate() {
        output::note(&format!("{} ({} of {})", test.name(), i + 1, tests.len()));
        rows.push(measure::row(args, &board, *test)?);
    }
    output::print(&report::print(args.output, &rows)?)?;
    Ok(())
}

fn tests(args: &BenchArgs) -> Vec<Test> {
    let mut tests = Vec::new();
    for depth in &args.n_depth {
        for (prompt, all) in [(true, &args.n_prompt), (false, &args.n_gen)] {
            tests.extend(all.iter().filter(|n| **n > 0).map(|tokens| Test {
                prompt,
                tokens: *tokens,
                depth: *depth,
            }));
        }
    }
    tests
}
