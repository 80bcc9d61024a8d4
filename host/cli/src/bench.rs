//! `macromac bench`: tokens a second on the board, simulated.
//!
//! A row is a number of units: tokens to generate, or rounds of batches to read. The model of the device runs them all; the
//! verilated device runs a few, the first and the last among them; for the others the model's time stands in, multiplied by what
//! it missed where both ran.

mod device;
mod report;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use macromac_infer::kernels::cache::CacheType;
use macromac_infer::kernels::time::{Charge, Coherency, PsTime};
use macromac_infer::{Model, Session, Settings, Source};

use crate::args::{Ddr, HeadArg, ProfileArg};
use crate::{demo, output, synth};
use device::{Board, Timed};
pub use report::Row;

/// What keeps the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Timer {
    /// A formula that is checked against the RTL: answers at once
    Model,
    /// The accelerator's RTL for some positions, the formula for the others
    Rtl,
}

#[derive(clap::Args)]
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
    /// What keeps the time
    #[arg(long, value_enum, value_name = "BACKEND", default_value = "model")]
    pub backend: Timer,
    /// Arithmetic of the accelerator
    #[arg(long, value_enum, default_value = "kv260")]
    pub profile: ProfileArg,
    /// Data rate of the board's memory, MT/s
    #[arg(long, value_enum, value_name = "RATE", default_value = "2133")]
    pub ddr: Ddr,
    /// Clock of the accelerator, MHz [default: 300, profile paper 200]
    #[arg(long, value_name = "MHZ", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub clock: Option<u32>,
    /// Units of a row that the RTL runs, at least 2; 0: all
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub rtl_positions: usize,
    /// Factor on the time of the board's processor
    #[arg(long, value_name = "F", default_value_t = 1.0)]
    pub ps_factor: f64,
    /// What the processor is charged
    #[arg(long, value_enum, value_name = "MODEL", default_value = "derived")]
    pub ps_time: crate::args::PsTimeArg,
    /// Caches of the processor and the accelerator are not coherent: lines are cleaned and invalidated
    #[arg(long)]
    pub non_coherent: bool,
    /// Number format of the key-value cache: f32, f16 or q8_0
    #[arg(long, value_name = "TYPE", default_value = "f16")]
    pub cache_type: CacheType,
    /// How to print
    #[arg(short, long, value_enum, default_value = "md")]
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

/// Measures every row.
pub fn bench(args: &BenchArgs) -> Result<()> {
    let temp = demo::temp_dir()?;
    let dir = match &args.model {
        Some(dir) => dir.clone(),
        None => {
            output::note("packing random weights into a temporary image (TMPDIR says where)");
            synth::image(&args.model_config, temp.path(), args.head.into())?
        }
    };
    let source = Arc::new(Source::open(&dir)?);
    let Source::Image(image) = &*source else {
        anyhow::bail!(
            "{}: expected an image, found a checkpoint; pack it first",
            dir.display()
        );
    };
    let board = Board::new(args, &source, image)?;
    let tests = tests(args);
    anyhow::ensure!(
        !tests.is_empty(),
        "expected a row to measure, found -p 0 and -n 0 alone"
    );
    let mut rows = Vec::new();
    for test in tests {
        output::note(&format!("{} ...", test.name()));
        rows.push(row(args, &board, &source, test)?);
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

/// What units took.
#[derive(Debug, Default, Clone)]
pub struct Units {
    /// Cycles of each unit that was run, with its number.
    pub cycles: Vec<(usize, u64)>,
    /// Charged to the PS, all of them.
    pub ps: Charge,
}

fn row(args: &BenchArgs, board: &Board, source: &Arc<Source>, test: Test) -> Result<Row> {
    let model = |factor: f64| -> Result<Model> {
        let mut model = Model::load(source.clone())?;
        let coherency = if args.non_coherent {
            Coherency::NonCoherent
        } else {
            Coherency::Coherent
        };
        model.settings = Settings {
            cache: args.cache_type,
            ps_time: args
                .ps_time
                .profile()
                .map(|p| PsTime::new(p, coherency).times(args.ps_factor * factor)),
        };
        Ok(model)
    };
    let once = model(1.0)?;
    let count = test.tokens.div_ceil(test.step(board.batch));
    let all: Vec<usize> = (0..count).collect();
    let estimate = run(&once, &mut board.model()?, test, &all)?;
    let doubled = run(&model(2.0)?, &mut board.model()?, test, &all)?;
    let rtl = match args.backend {
        Timer::Model => None,
        Timer::Rtl => {
            let mut device = board.rtl()?;
            let units = run(
                &once,
                &mut device,
                test,
                &sampled(count, args.rtl_positions),
            )?;
            Some((units, device.wall()?))
        }
    };
    Ok(Row::new(args, board, test, &estimate, &doubled, rtl))
}

/// Units that the RTL runs: first, last, and evenly between.
fn sampled(count: usize, wanted: usize) -> Vec<usize> {
    if wanted == 0 || wanted >= count {
        return (0..count).collect();
    }
    let wanted = wanted.max(2);
    (0..wanted)
        .map(|i| i * (count - 1) / (wanted - 1))
        .collect()
}

/// Runs units of a test, skipping those between.
fn run(model: &Model, device: &mut dyn Timed, test: Test, units: &[usize]) -> Result<Units> {
    let mut measured = Units::default();
    let batch = device.accelerator().batch();
    let mut session = Session::new(model, device.accelerator());
    for unit in units {
        let first = unit * test.step(batch);
        session.pretend(test.depth + first - session.position());
        let before = cycles(&mut session)?;
        if test.prompt {
            let tokens = vec![0; test.step(batch).min(test.tokens - first)];
            session.feed_batch(&tokens)?;
        } else {
            session.logits_after(0)?;
        }
        measured.ps = session.settle()?;
        measured
            .cycles
            .push((*unit, cycles(&mut session)? - before));
    }
    Ok(measured)
}

fn cycles(session: &mut Session) -> Result<u64> {
    let counters = session.device().counters()?;
    Ok(counters.map_or(0, |c| c.cycles))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_and_last_units_are_sampled() {
        assert_eq!(sampled(128, 4), [0, 42, 84, 127]);
        assert_eq!(sampled(3, 4), [0, 1, 2]);
        assert_eq!(sampled(5, 0), [0, 1, 2, 3, 4]);
        assert_eq!(sampled(5, 1), [0, 4]);
    }
}
