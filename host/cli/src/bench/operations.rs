//! `macromac bench --by-operation`.

use anyhow::Result;
use macromac_infer::kernels::time::report::LAYERS;
use serde::Serialize;

use super::device::Board;
use super::measure::traced;
use super::report::{Print, csv};
use super::setup::{Setup, Weights};
use super::{BenchArgs, Test, Timer};
use crate::output;
use crate::trace::operations::{Operation, operations, table};

/// Tokens that are generated; the first one begins with empty FIFOs and is not counted.
const TOKENS: usize = 2;

#[derive(Serialize)]
struct Printed {
    figure: &'static str,
    profile: &'static str,
    clock_mhz: f64,
    ddr_mts: u32,
    depth: usize,
    layers: usize,
    /// Of the token that was looked at.
    cycles: u64,
    operations: Vec<Operation>,
}

/// Prints what each operation of a generated token costs.
pub fn by_operation(args: &BenchArgs) -> Result<()> {
    let depth = args.n_depth[0];
    anyhow::ensure!(
        args.n_depth.len() == 1,
        "--by-operation: expected one depth, found {}",
        args.n_depth.len()
    );
    let (setup, weights) = (Setup::new(args)?, Weights::new(args)?);
    let board = Board::new(setup, &weights)?;
    let model = weights.model(&board.setup, 1.0)?;
    let test = Test {
        prompt: false,
        tokens: TOKENS,
        depth,
    };
    let units: Vec<usize> = (0..TOKENS).collect();
    let (figure, (measured, timeline)) = match args.backend {
        Timer::Model => (
            "model",
            traced(&board, &mut board.whole_model()?, &model, test, &units)?,
        ),
        Timer::Rtl => {
            let mut device = board.rtl()?;
            (
                "rtl-cosim",
                traced(&board, &mut device, &model, test, &units)?,
            )
        }
    };
    let cycles = measured.cycles[TOKENS - 1].1;
    let cut = timeline.length - cycles as f64 * 1e6 / board.setup.clock_hz as f64;
    let timeline = timeline.since(cut);
    let layers = weights.architecture().num_hidden_layers;
    let rows = operations(&timeline, layers, 1);
    let printed = Printed {
        figure,
        profile: board.setup.profile.name(),
        clock_mhz: board.setup.clock_hz as f64 / 1e6,
        ddr_mts: board.setup.mts,
        depth,
        layers,
        cycles,
        operations: rows,
    };
    output::print(&match args.output {
        Print::Json => serde_json::to_string_pretty(&printed)? + "\n",
        Print::Jsonl => serde_json::to_string(&printed)? + "\n",
        Print::Csv => csv(&printed.operations)?,
        Print::Md => format!(
            "{}\n{} cycles, {:.2} ms ({figure}, profile {}, {:.0} MHz, context {depth}){}\n",
            table(&printed.operations),
            printed.cycles,
            printed.cycles as f64 / board.setup.clock_hz as f64 * 1e3,
            printed.profile,
            printed.clock_mhz,
            if layers == LAYERS {
                String::new()
            } else {
                format!("; the paper's column is for another shape, here are {layers} layers")
            }
        ),
    })?;
    Ok(())
}
