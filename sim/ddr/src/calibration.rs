//! Published measurements of a KV260, replayed against the model.
//!
//! Source: repository MerlijnW70/bitnet-kv260 on GitHub, one board, logic at 250 MHz, four AXI DMA engines on HP0..HP3
//! (`results/kria-ddr-results.txt`, `results/sweep-2026-09-26.txt`, `results/probe-2026-09-26.txt`, `docs/measurements.md`).
//! What the replay takes from the same files: sizes, strides, result writes, and that the engines are started one after the other,
//! [`STAGGER`] apart (the difference of finishing times where the memory is not busy).

use super::replay::{self, Measured, Results, Stream};
use super::{DdrConfig, DdrRate, PsStreams, QueueConfig};

/// The board's logic in the measurements, in Hertz.
pub const PL_HZ: u64 = 250_000_000;
/// PL cycles between the starts of two engines: 0.35 us.
pub const STAGGER: u64 = 88;
/// PL cycles from a start to the first request.
const START: u64 = 50;
/// Bursts that a DMA engine has under way; what the AXI ports' setting (7 + 1) allows.
const OUTSTANDING: u32 = 8;
const KIB: u64 = 1024;

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Experiment {
    /// Four streams of so many bytes at these offsets modulo 64 KiB (in KiB); time until all are done, in us.
    Sweep(u64, [u64; 4]),
    /// The same; by how much the later of HP1 and HP2 finishes after HP0, in percent.
    Late(u64, [u64; 4]),
    /// 4,423,680 bytes over so many engines, results in writes of so many bytes, read bursts of so many beats; GB/s.
    Ports(u64, u64, u32),
    /// Gain of four engines when result writes grow from 64 to 1024 bytes, in percent.
    WriteGain,
    /// Four engines beside three A53s that read; GB/s of the engines.
    BesideA53,
    /// The same; GB/s of the A53s.
    OfA53,
    /// The A53s alone; GB/s.
    A53Alone,
    /// Four streams of 16 MB, next to no writes; GB/s.
    Long,
}

/// How a measurement is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Queue and port parameters were fitted to it.
    Fitted,
    /// Left out of the fit.
    HeldOut,
    /// Contradicts another published figure: shown, not counted.
    Disputed,
}

/// A published figure.
#[derive(Debug, Clone, Copy)]
pub struct Point {
    /// In words.
    pub what: &'static str,
    /// How it was taken.
    pub experiment: Experiment,
    /// Published value; of a range the two ends.
    pub measured: (f64, f64),
    /// Its use.
    pub usage: Use,
}

const fn point(
    what: &'static str,
    experiment: Experiment,
    measured: (f64, f64),
    usage: Use,
) -> Point {
    Point {
        what,
        experiment,
        measured,
        usage,
    }
}

const O_PROJ: u64 = 320 * KIB;

/// All of them.
pub const POINTS: &[Point] = &[
    point(
        "4 x 320 KiB, offsets 0/0/0/0 KiB, us",
        Experiment::Sweep(O_PROJ, [0; 4]),
        (108.3, 109.5),
        Use::Fitted,
    ),
    point(
        "offsets 0/56/48/24 KiB, us",
        Experiment::Sweep(O_PROJ, [0, 56, 48, 24]),
        (86.8, 86.8),
        Use::Fitted,
    ),
    point(
        "offsets 0/0/0/24 KiB, us",
        Experiment::Sweep(O_PROJ, [0, 0, 0, 24]),
        (91.4, 91.4),
        Use::Fitted,
    ),
    point(
        "offsets 0/16/16/8 KiB, us",
        Experiment::Sweep(O_PROJ, [0, 16, 16, 8]),
        (113.9, 113.9),
        Use::Fitted,
    ),
    point(
        "offsets 0/32/0/32 KiB, us",
        Experiment::Sweep(O_PROJ, [0, 32, 0, 32]),
        (89.1, 89.1),
        Use::Fitted,
    ),
    point(
        "offsets 0/16/32/48 KiB, us",
        Experiment::Sweep(O_PROJ, [0, 16, 32, 48]),
        (90.4, 90.4),
        Use::Fitted,
    ),
    point(
        "offsets 0/56/40/16 KiB, us",
        Experiment::Sweep(O_PROJ, [0, 56, 40, 16]),
        (87.0, 87.0),
        Use::Fitted,
    ),
    point(
        "offsets 0/8/8/8 KiB, us",
        Experiment::Sweep(O_PROJ, [0, 8, 8, 8]),
        (113.6, 113.6),
        Use::Fitted,
    ),
    point(
        "offsets 0/56/56/0 KiB, us",
        Experiment::Sweep(O_PROJ, [0, 56, 56, 0]),
        (106.8, 106.8),
        Use::Fitted,
    ),
    point(
        "offsets 0/0/32/0 KiB, us",
        Experiment::Sweep(O_PROJ, [0, 0, 32, 0]),
        (102.3, 102.3),
        Use::Fitted,
    ),
    point(
        "offsets 0/56/48/40 KiB, us",
        Experiment::Sweep(O_PROJ, [0, 56, 48, 40]),
        (94.6, 94.6),
        Use::Fitted,
    ),
    point(
        "offsets 0/0/0/16 KiB, us",
        Experiment::Sweep(O_PROJ, [0, 0, 0, 16]),
        (101.7, 101.7),
        Use::Fitted,
    ),
    point(
        "offsets 0/0/0/32 KiB, us",
        Experiment::Sweep(O_PROJ, [0, 0, 0, 32]),
        (98.3, 98.3),
        Use::Fitted,
    ),
    point(
        "HP1, HP2 after HP0, 320 KiB equal, %",
        Experiment::Late(O_PROJ, [0; 4]),
        (26.4, 29.2),
        Use::Fitted,
    ),
    point(
        "HP1, HP2 after HP0, 480 KiB 0/32/0/32, %",
        Experiment::Late(480 * KIB, [0, 32, 0, 32]),
        (9.2, 10.5),
        Use::HeldOut,
    ),
    point(
        "4 x 870 KiB, offsets 0/38/12/50 KiB, us",
        Experiment::Sweep(890_880, [0, 38, 12, 50]),
        (249.0, 250.3),
        Use::Fitted,
    ),
    point(
        "4 x 864 KiB, offsets 0/0/0/0 KiB, us",
        Experiment::Sweep(884_736, [0; 4]),
        (301.8, 301.8),
        Use::Fitted,
    ),
    point(
        "1 port, GB/s",
        Experiment::Ports(1, 4096, 64),
        (3.956, 3.960),
        Use::HeldOut,
    ),
    point(
        "2 ports, GB/s",
        Experiment::Ports(2, 4096, 64),
        (7.89, 7.895),
        Use::HeldOut,
    ),
    point(
        "3 ports, GB/s",
        Experiment::Ports(3, 4096, 64),
        (11.61, 11.634),
        Use::Fitted,
    ),
    point(
        "4 ports, GB/s",
        Experiment::Ports(4, 4096, 64),
        (13.326, 13.38),
        Use::Fitted,
    ),
    point(
        "4 ports, read bursts of 256, GB/s",
        Experiment::Ports(4, 4096, 256),
        (13.364, 13.364),
        Use::HeldOut,
    ),
    point(
        "4 ports, 64-byte result writes, GB/s",
        Experiment::Ports(4, 64, 64),
        (12.175, 12.186),
        Use::Fitted,
    ),
    point(
        "gain of 1024-byte result writes, %",
        Experiment::WriteGain,
        (7.4, 7.4),
        Use::Fitted,
    ),
    point(
        "4 ports beside three A53s, GB/s",
        Experiment::BesideA53,
        (9.499, 9.499),
        Use::Fitted,
    ),
    point(
        "the A53s beside 4 ports, GB/s",
        Experiment::OfA53,
        (4.522, 4.522),
        Use::HeldOut,
    ),
    point(
        "the A53s alone, GB/s",
        Experiment::A53Alone,
        (5.703, 5.703),
        Use::Fitted,
    ),
    point(
        "4 x 16 MB, few writes, GB/s",
        Experiment::Long,
        (13.44, 16.01),
        Use::Disputed,
    ),
];

impl Point {
    /// What the model says.
    pub fn model(&self, queue: QueueConfig) -> f64 {
        self.experiment.replay(queue)
    }

    /// How far a value is from the published one (from the nearer end of a range), as a fraction. Percentages of time are compared
    /// as times.
    pub fn error(&self, value: f64) -> f64 {
        let base = match self.experiment {
            Experiment::Late(..) | Experiment::WriteGain => 100.0,
            _ => 0.0,
        };
        let (low, high) = self.measured;
        let (value, low, high) = (value + base, low + base, high + base);
        value / value.clamp(low, high) - 1.0
    }
}

fn config(queue: QueueConfig) -> DdrConfig {
    DdrConfig {
        queue,
        ..DdrConfig::new(DdrRate::Mt2133, PL_HZ)
    }
}

fn micros(cycles: u64) -> f64 {
    cycles as f64 * 1e6 / PL_HZ as f64
}

fn gigabytes(bytes: u64, cycles: u64) -> f64 {
    bytes as f64 * PL_HZ as f64 / cycles as f64 / 1e9
}

/// Weights and results as the board placed them.
const WEIGHTS: u64 = 0x3830_0000;
const RESULTS: u64 = 0x58B0_0000;

/// Four streams, each in a region of its own.
pub fn sweep(bytes: u64, offsets: [u64; 4]) -> Vec<Stream> {
    let region = bytes.next_multiple_of(64 * KIB) + 64 * KIB;
    let stream = |port: usize| Stream {
        port,
        base: (64 << 20) + port as u64 * region + offsets[port] * KIB,
        bytes,
        start: START + port as u64 * STAGGER,
        burst: 64,
        outstanding: OUTSTANDING,
        results: None,
    };
    (0..4).map(stream).collect()
}

/// The matrix of the published benchmark: contiguous shares, a 32-bit result for every 640 bytes.
fn matrix(engines: u64, write: u64, burst: u32) -> Vec<Stream> {
    const BYTES: u64 = 4_423_680;
    let share = BYTES / engines;
    let stream = |engine: u64| Stream {
        port: engine as usize,
        base: WEIGHTS + engine * share,
        bytes: share,
        start: START + engine * STAGGER,
        burst,
        outstanding: OUTSTANDING,
        results: Some(Results {
            every: write / 4 * 640,
            bytes: write,
            base: RESULTS + engine * 6912,
        }),
    };
    (0..engines).map(stream).collect()
}

impl Experiment {
    fn replay(self, queue: QueueConfig) -> f64 {
        let run =
            |streams: &[Stream], ps| -> Measured { replay::run(config(queue), streams, None, ps) };
        let total = |streams: &[Stream]| streams.iter().map(|s| s.bytes).sum::<u64>();
        match self {
            Experiment::Sweep(bytes, offsets) => micros(run(&sweep(bytes, offsets), None).cycles),
            Experiment::Late(bytes, offsets) => {
                let done = run(&sweep(bytes, offsets), None).finished;
                let late = done[1].max(done[2]) as f64 / done[0] as f64;
                100.0 * (late - 1.0)
            }
            Experiment::Ports(engines, write, burst) => {
                let streams = matrix(engines, write, burst);
                gigabytes(total(&streams), run(&streams, None).cycles)
            }
            Experiment::WriteGain => {
                let small = run(&matrix(4, 64, 64), None).cycles;
                let large = run(&matrix(4, 1024, 64), None).cycles;
                100.0 * (small as f64 / large as f64 - 1.0)
            }
            Experiment::BesideA53 => {
                let streams = matrix(4, 4096, 64);
                let done = run(&streams, Some(PsStreams::THREE_A53));
                gigabytes(total(&streams), done.cycles)
            }
            Experiment::OfA53 => {
                let done = run(&matrix(4, 4096, 64), Some(PsStreams::THREE_A53));
                gigabytes(done.ps_bytes, done.cycles)
            }
            Experiment::A53Alone => {
                let one = Stream {
                    start: 100_000,
                    bytes: 64,
                    ..sweep(64, [0; 4])[0]
                };
                let done = run(&[one], Some(PsStreams::THREE_A53));
                gigabytes(done.ps_bytes, done.cycles)
            }
            Experiment::Long => {
                let streams = sweep(16_416_768 / 8, [0, 32, 0, 32]);
                gigabytes(total(&streams), run(&streams, None).cycles)
            }
        }
    }
}
