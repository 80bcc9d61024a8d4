//! Running the units of a row.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use macromac_driver::Accelerator;
use macromac_infer::clock::Spent;
use macromac_infer::kernels::time::Charge;
use macromac_infer::{Model, Session};
use serde_json::json;

use super::device::{Board, Timed};
use super::report::{Ran, Row};
use super::{BenchArgs, Test, Timer};
use crate::output;
use crate::trace::{self, Probe, Timeline, Traced, chrome};

/// What units took.
#[derive(Debug, Default, Clone)]
pub struct Units {
    /// Cycles of each unit that was run, with its number.
    pub cycles: Vec<(usize, u64)>,
    /// Charged to the PS, all of them.
    pub ps: Charge,
    /// Every kernel of it.
    pub kernels: Vec<Spent>,
    /// Each unit, with its number.
    parts: Vec<(usize, Part)>,
}

/// What a unit took.
#[derive(Debug, Default, Clone, Copy)]
struct Part {
    cycles: u64,
    ps: Charge,
}

impl Part {
    /// What lies at `part` (0 to 1) of the way to `other`.
    fn towards(self, other: Part, part: f64) -> Part {
        let between = |a: u64, b: u64| (a as f64 + part * (b as f64 - a as f64)).round() as u64;
        Part {
            cycles: between(self.cycles, other.cycles),
            ps: Charge {
                time: self.ps.time.mul_f64(1.0 - part) + other.ps.time.mul_f64(part),
                ddr_bytes: between(self.ps.ddr_bytes, other.ps.ddr_bytes),
            },
        }
    }
}

impl Units {
    fn add(&mut self, unit: usize, part: Part) {
        self.cycles.push((unit, part.cycles));
        self.ps += part.ps;
        self.parts.push((unit, part));
    }

    /// Cycles of all.
    pub fn sum(&self) -> u64 {
        self.cycles.iter().map(|(_, cycles)| *cycles).sum()
    }
}

/// Measures a row.
pub fn row(args: &BenchArgs, board: &Board, test: Test) -> Result<Row> {
    let once = board.weights.model(&board.setup, 1.0)?;
    let count = test.tokens.div_ceil(test.step(board.batch));
    let all: Vec<usize> = (0..count).collect();
    let (estimate, doubled) = std::thread::scope(|scope| {
        // The RTL's units are held against the model's one by one. A round of a prompt takes as long as the slower of PL and PS, so
        // its time bends upwards, and a straight line between first and last errs on the slow side.
        let doubled = scope.spawn(|| estimate(board, test, 2.0, test.prompt));
        let ends = test.prompt || matches!(args.backend, Timer::Rtl);
        let estimate = estimate(board, test, 1.0, ends);
        (estimate, doubled.join())
    });
    let (estimate, Ok(doubled)) = (estimate?, doubled) else {
        anyhow::bail!("the model of the device stopped");
    };
    let doubled = doubled?;
    let mut ran = Vec::new();
    for repetition in 0..args.repetitions {
        let estimate = estimate.clone();
        let rtl = match args.backend {
            Timer::Model => None,
            Timer::Rtl => {
                let units = sampled(count, args.rtl_positions);
                let mut device = board.rtl()?;
                let units = match &args.timeline {
                    Some(path) if repetition == 0 => {
                        let (units, timeline) = traced(board, &mut device, &once, test, &units)?;
                        let kind = if units.cycles.len() == count {
                            "rtl-cosim"
                        } else {
                            "rtl-cosim of some positions"
                        };
                        write(path, board, test, &timeline, kind)?;
                        units
                    }
                    _ => run(&once, device.accelerator(), test, &units)?,
                };
                Some((units, device.wall()?))
            }
        };
        ran.push(Ran { estimate, rtl });
    }
    if let (Some(path), Timer::Model) = (&args.timeline, args.backend) {
        let (_, timeline) = traced(board, &mut board.whole_model()?, &once, test, &all)?;
        write(path, board, test, &timeline, "model")?;
    }
    Ok(Row::new(board, test, &ran, &doubled))
}

fn write(path: &Path, board: &Board, test: Test, timeline: &Timeline, figure: &str) -> Result<()> {
    let about = json!({
        "program": "macromac bench",
        "model": board.weights.name,
        "test": test.name(),
        "figure": figure,
        "profile": board.setup.profile.name(),
        "clock_mhz": board.setup.clock_hz as f64 / 1e6,
        "ddr_mts": board.setup.mts,
        "batch": board.batch,
    });
    chrome::write(path, &chrome::trace(timeline, about))?;
    output::note(&format!("wrote {}", path.display()));
    Ok(())
}

/// Runs units on a device that is watched.
pub fn traced(
    board: &Board,
    device: &mut dyn Probe,
    model: &Model,
    test: Test,
    units: &[usize],
) -> Result<(Units, Timeline)> {
    let clock_hz = board.setup.clock_hz;
    let charged = model.settings.ps_time.is_some();
    let mut traced = Traced::new(device, clock_hz, charged)?;
    let mut units = run(model, &mut traced, test, units)?;
    let record = traced.end(std::mem::take(&mut units.kernels))?;
    let timeline = trace::timeline::timeline(
        &record,
        &trace::timeline::Shape {
            architecture: board.weights.architecture(),
            layouts: board.weights.layouts(),
            clock_hz,
            profile: board.setup.profile,
            ps_time: model.settings.ps_time.as_ref(),
        },
    );
    Ok((units, timeline))
}

/// All units by the model. What a unit takes changes evenly with the positions before it, as attention does: `ends` runs the first
/// and the last whole unit and takes what lies between as straight; else the one in the middle, which is their mean, stands
/// for all. A last unit that is shorter runs for itself.
fn estimate(board: &Board, test: Test, factor: f64, ends: bool) -> Result<Units> {
    let model = board.weights.shape_model(&board.setup, factor);
    let step = test.step(board.batch);
    let count = test.tokens.div_ceil(step);
    let whole = (test.tokens / step).max(1);
    let mut units = match ends {
        true => vec![0, whole - 1],
        false => vec![(whole - 1) / 2],
    };
    units.dedup();
    let ends = units.len() - 1;
    units.extend(whole..count);
    let ran = run(&model, board.model()?.accelerator(), test, &units)?;
    let part = |place: usize| ran.parts[place].1;
    let mut all = Units::default();
    for unit in 0..count {
        let way = unit as f64 / (whole - 1).max(1) as f64;
        all.add(
            unit,
            match unit < whole {
                true => part(0).towards(part(ends), way),
                false => part(ends + 1),
            },
        );
    }
    Ok(all)
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
pub fn run(
    model: &Model,
    device: &mut dyn Accelerator,
    test: Test,
    units: &[usize],
) -> Result<Units> {
    let (mut measured, begun) = (Units::default(), Instant::now());
    let mut told = begun;
    let batch = device.batch();
    let mut session = Session::new(model, device);
    session.log_kernels();
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
        let ps = session.settle()?;
        let part = Part {
            cycles: cycles(&mut session)? - before,
            ps: Charge {
                time: ps.time - measured.ps.time,
                ddr_bytes: ps.ddr_bytes - measured.ps.ddr_bytes,
            },
        };
        measured.add(*unit, part);
        // The model is done before anybody reads this.
        if told.elapsed().as_secs() >= 5 {
            told = Instant::now();
            output::note(&format!(
                "  {} of {}: {} cycles; {:.0} s",
                measured.cycles.len(),
                units.len(),
                part.cycles,
                begun.elapsed().as_secs_f64()
            ));
        }
    }
    measured.kernels = session.log_kernels();
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
