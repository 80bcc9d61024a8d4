//! Draws what a `kv260` device does: runs three passes on the simulated board, reads the waveform of that run and writes an SVG.
//! `cargo run --release -p macromac-board --example timeline -- docs/pictures/kv260-timeline.svg`
//!
//! Every line of the picture is counted from signals in the FST, nothing is taken from the simulation itself.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use macromac_board::{Board, BoardConfig, DdrRate};
use macromac_driver::{Accelerator, Device, PassShape, PassWeights, Profile};
use macromac_format::Packing;
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use wellen::{SignalValue, simple};

type Error = Box<dyn std::error::Error>;

/// Passes: output and input channels.
const SHAPES: [(usize, usize); 3] = [(1152, 896), (896, 896), (1152, 896)];
/// Cycles of a column of the picture.
const BIN: usize = 64;
/// Time units of the waveform a cycle (`docs/verification.md`).
const UNITS: u64 = 10;
const CORE: &str = "u_core.";

/// The three passes: the first alone, then two that are submitted together.
fn simulate(wave: &Path) -> Result<(), Error> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let segments: Vec<Vec<u8>> = SHAPES
        .iter()
        .map(|(n, k)| {
            let mut bytes = vec![0; n / 32 * (k / 64) * 288];
            for block in bytes.chunks_exact_mut(288) {
                rng.fill_bytes(block);
                block[..16]
                    .chunks_exact_mut(2)
                    .for_each(|scale| scale[1] &= 0xBF);
                block[20..32].fill(0);
            }
            bytes
        })
        .collect();
    let passes: Vec<PassWeights> = SHAPES
        .iter()
        .zip(&segments)
        .map(|((n, k), segment)| PassWeights {
            shape: PassShape { n: *n, k: *k },
            packing: Packing::Single,
            segments: [segment; 4],
        })
        .collect();
    let config = BoardConfig {
        waves: Some(wave.to_path_buf()),
        ..BoardConfig::ddr4(DdrRate::Mt2133, 1).with_profile(Profile::Kv260)
    };
    let mut device = Device::new(Board::new(config)?, &passes)?;
    device.set_program(&[0, 1, 2], 1)?;
    let x: Vec<f32> = (0..896).map(|i| (i as f32 * 0.37).sin()).collect();
    let mut y = vec![0.0; 1152];
    device.elapse(Duration::from_micros(15), 0)?;
    let first = device.submit(&x)?;
    device.finish(first, 1152, &mut y)?;
    device.elapse(Duration::from_micros(15), 0)?;
    let second = device.submit(&x)?;
    let third = device.submit(&x)?;
    device.finish(second, 896, &mut y[..896])?;
    device.finish(third, 1152, &mut y)?;
    device.elapse(Duration::from_micros(5), 0)?;
    Ok(())
}

/// One bit of the design, cycle by cycle.
struct Bits(Vec<bool>);

impl Bits {
    fn and(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| *a && *b).collect())
    }

    /// Share of the cycles of each column.
    fn shares(&self) -> Vec<f64> {
        let count = |column: &[bool]| column.iter().filter(|bit| **bit).count();
        self.0
            .chunks(BIN)
            .map(|column| count(column) as f64 / BIN as f64)
            .collect()
    }

    fn at(&self) -> Vec<usize> {
        (0..self.0.len()).filter(|n| self.0[*n]).collect()
    }
}

struct Waves {
    wave: simple::Waveform,
    names: HashMap<String, wellen::SignalRef>,
}

impl Waves {
    fn open(path: &Path) -> Result<Self, Error> {
        let wave = simple::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let h = wave.hierarchy();
        let vars = h.iter_vars();
        let names = vars
            .map(|var| (var.full_name(h), var.signal_ref()))
            .collect();
        Ok(Self { wave, names })
    }

    /// The signal whose full name ends so, sampled at each rising edge.
    fn bits(&mut self, name: &str) -> Result<Bits, Error> {
        let ending = format!(".{name}");
        let found = self.names.iter().find(|(full, _)| full.ends_with(&ending));
        let id = *found
            .ok_or_else(|| format!("the waveform has no signal {name}"))?
            .1;
        self.wave.load_signals(&[id]);
        let signal = self.wave.get_signal(id).ok_or("a signal is not loaded")?;
        let times = self.wave.time_table();
        let cycles = times.last().map_or(0, |t| t / UNITS) as usize;
        let mut bits = vec![false; cycles];
        let mut last = (0, false);
        for (index, value) in signal.iter_changes() {
            let one = match value {
                SignalValue::Binary(bytes, _) => bytes.iter().any(|byte| *byte != 0),
                other => return Err(format!("{name}: {other:?}").into()),
            };
            // Inputs and what follows from them are settled at 10 n, the edge is at 10 n + 5.
            let cycle = (times[index as usize].div_ceil(UNITS) as usize).min(cycles);
            bits[last.0..cycle].fill(last.1);
            last = (cycle, one);
        }
        bits[last.0..].fill(last.1);
        Ok(Bits(bits))
    }

    fn fire(&mut self, bus: &str) -> Result<Bits, Error> {
        let valid = self.bits(&format!("{bus}valid"))?;
        Ok(valid.and(&self.bits(&format!("{bus}ready"))?))
    }
}

/// The picture, lane by lane.
struct Picture {
    svg: String,
    from: usize,
    columns: usize,
    y: f64,
}

const LEFT: f64 = 190.0;
const WIDTH: f64 = 900.0;

impl Picture {
    fn x(&self, cycle: usize) -> f64 {
        let share = (cycle as f64 / BIN as f64 - self.from as f64) / self.columns as f64;
        LEFT + WIDTH * share.clamp(0.0, 1.0)
    }

    fn label(&mut self, text: &str, height: f64) {
        let y = self.y + height - 6.0;
        let _ = writeln!(self.svg, "<text x=\"8\" y=\"{y:.0}\">{text}</text>");
        let y = self.y + height;
        let end = LEFT + WIDTH;
        let _ = writeln!(
            self.svg,
            "<path class=\"base\" d=\"M{LEFT} {y:.0}H{end}\"/>"
        );
    }

    /// A curve between 0 and 1.
    fn lane(&mut self, text: &str, class: &str, values: &[f64], height: f64) {
        self.label(text, height);
        let base = self.y + height;
        let mut path = format!("M{LEFT} {base:.0}");
        for (n, value) in values[self.from..self.from + self.columns]
            .iter()
            .enumerate()
        {
            let left = LEFT + WIDTH * n as f64 / self.columns as f64;
            let right = LEFT + WIDTH * (n + 1) as f64 / self.columns as f64;
            let top = base - (height - 4.0) * value.clamp(0.0, 1.0);
            let _ = write!(path, "L{left:.1} {top:.1}H{right:.1}");
        }
        let _ = write!(path, "V{base:.0}Z");
        let _ = writeln!(self.svg, "<path class=\"{class}\" d=\"{path}\"/>");
        self.y += height + 6.0;
    }

    /// Bars from cycle to cycle, with a name each.
    fn bars(&mut self, text: &str, bars: &[(usize, usize, String, &str)], height: f64) {
        self.label(text, height);
        for (from, to, name, class) in bars {
            let (left, right) = (self.x(*from), self.x(*to));
            let (top, width) = (self.y + 3.0, (right - left).max(1.0));
            let h = height - 6.0;
            let _ = writeln!(
                self.svg,
                "<rect class=\"{class}\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{h:.1}\"/>\
                 <text class=\"in\" x=\"{:.1}\" y=\"{:.1}\">{name}</text>",
                left + 3.0,
                top + h - 4.0
            );
        }
        self.y += height + 6.0;
    }
}

/// Cycles of an event that ends each of the bars begun by `starts`, in order.
fn ends(starts: &[usize], events: &[usize]) -> Vec<(usize, usize)> {
    starts.iter().copied().zip(events.iter().copied()).collect()
}

fn draw(waves: &mut Waves) -> Result<String, Error> {
    let pop = waves.bits(&format!("{CORE}pop"))?;
    let issue = waves.bits(&format!("{CORE}issue"))?.at();
    let release = waves.bits(&format!("{CORE}bank_release"))?.at();
    let loads = waves.bits(&format!("{CORE}act_beat"))?;
    let results = waves.fire("mm_top.m_axi_hpc0_w")?;
    let results_at = results.at();
    let mut reads = Vec::new();
    for port in 0..4 {
        reads.push(waves.fire(&format!("mm_top.m_axi_hp{port}_r"))?);
    }
    let from = reads[0]
        .at()
        .first()
        .copied()
        .unwrap_or(0)
        .saturating_sub(600)
        / BIN;
    let until = results_at.last().copied().unwrap_or(0) + 900;
    let columns = (until.min(pop.0.len() - BIN) / BIN).saturating_sub(from);
    let mut picture = Picture {
        svg: String::new(),
        from,
        columns,
        y: 34.0,
    };
    for (port, read) in reads.iter().enumerate() {
        let text = format!("HP{port}: beats read");
        picture.lane(&text, "read", &read.shares(), 24.0);
    }
    // What a FIFO holds: beats that came, less strips that were taken.
    let mut level = 0i64;
    let mut most = 0;
    let mut levels = vec![0.0; pop.0.len().div_ceil(BIN)];
    for (cycle, (beat, strip)) in reads[0].0.iter().zip(&pop.0).enumerate() {
        level += i64::from(*beat) - i64::from(*strip);
        most = most.max(level);
        levels[cycle / BIN] = level as f64 / 24576.0;
    }
    let kib = most * 16 / 1024;
    let text = format!("FIFO of port 0 (top: {kib} KiB)");
    let scale = 24576.0 / most.max(1) as f64;
    let levels: Vec<f64> = levels.iter().map(|l| l * scale).collect();
    picture.lane(&text, "fifo", &levels, 48.0);
    picture.lane("activations loaded", "load", &loads.shares(), 24.0);
    for bank in 0..2 {
        let held: Vec<_> = ends(&issue, &release)
            .into_iter()
            .enumerate()
            .filter(|(step, _)| step % 2 == bank)
            .map(|(step, (a, b))| (a, b, format!("step {step}"), "bank"))
            .collect();
        picture.bars(&format!("activation bank {bank} held"), &held, 24.0);
    }
    picture.lane("units: strips taken", "strip", &pop.shares(), 36.0);
    picture.lane("results written", "result", &results.shares(), 24.0);
    axis(&mut picture);
    let height = picture.y + 16.0;
    let busy = &pop.0[from * BIN..(from + columns) * BIN];
    println!(
        "{} cycles drawn; strips {}; largest FIFO level {most} strips ({kib} KiB); steps issued at {issue:?}, banks free at {release:?}; first result at {:?}, last at {:?}",
        busy.len(),
        busy.iter().filter(|b| **b).count(),
        results_at.first(),
        results_at.last()
    );
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 1110 {height:.0}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <style>.base{{stroke:#bbb}}.read{{fill:#4878a8}}.fifo{{fill:#a8c4dc}}.load{{fill:#c8883c}}.bank{{fill:#e8c890}}.strip{{fill:#4c9858}}\
         .result{{fill:#a04848}}.in{{font-size:10px}}.axis{{stroke:#888;fill:none}}</style>\n\
         <rect width=\"1110\" height=\"{height:.0}\" fill=\"#fff\"/>\n\
         <text x=\"8\" y=\"18\" font-weight=\"bold\">kv260 at 300 MHz, DDR4-2133: three passes of one vector (drawn from a waveform; heights: share of the cycles)</text>\n{}</svg>\n",
        picture.svg
    ))
}

/// Microseconds.
fn axis(picture: &mut Picture) {
    let end = LEFT + WIDTH;
    let y = picture.y;
    let _ = writeln!(
        picture.svg,
        "<path class=\"axis\" d=\"M{LEFT} {y:.0}H{end}\"/>"
    );
    let micros = picture.columns * BIN / 300;
    for at in (0..=micros).step_by(10) {
        let x = LEFT + WIDTH * (at * 300) as f64 / (picture.columns * BIN) as f64;
        let _ = writeln!(
            picture.svg,
            "<text x=\"{x:.0}\" y=\"{:.0}\" text-anchor=\"middle\">{at} us</text>",
            y + 14.0
        );
    }
    picture.y += 14.0;
}

fn main() -> Result<(), Error> {
    let out = PathBuf::from(
        std::env::args()
            .nth(1)
            .ok_or("expected the SVG's name: timeline OUT.svg")?,
    );
    let wave = std::env::temp_dir().join(format!("timeline-{}.fst", std::process::id()));
    simulate(&wave)?;
    let mut waves = Waves::open(&wave)?;
    std::fs::write(&out, draw(&mut waves)?)?;
    std::fs::remove_file(&wave)?;
    Ok(())
}
