//! The DDR4 model against the published measurements: `cargo run --release -p macromac-ddr --example ddr`.
//! `-- fit` searches queue and port parameters, `-- place` the best offsets of four segments, `-- speed` measures the model.

use macromac_ddr::calibration::{POINTS, Use};
use macromac_ddr::{DdrRate, QueueConfig, placement};
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn table(queue: QueueConfig) -> f64 {
    let mut sum = 0.0;
    println!("| what | measured | model | error | |\n|---|---|---|---|---|");
    for point in POINTS {
        let model = point.model(queue);
        let error = point.error(model);
        let (low, high) = point.measured;
        let measured = if low == high {
            format!("{low}")
        } else {
            format!("{low} to {high}")
        };
        let usage = match point.usage {
            Use::Fitted => "fitted",
            Use::HeldOut => "held out",
            Use::Disputed => "disputed",
        };
        println!(
            "| {} | {measured} | {model:.2} | {:+.1}% | {usage} |",
            point.what,
            100.0 * error
        );
        if point.usage == Use::Fitted {
            sum += error * error;
        }
    }
    println!("\nsum of squares of the fitted: {sum:.5}");
    sum
}

/// Values that the search tries for each parameter.
type Choice = (
    &'static str,
    &'static [u64],
    fn(&mut QueueConfig, u64),
    fn(&QueueConfig) -> u64,
);

const CHOICES: &[Choice] = &[
    (
        "read_lines",
        &[24, 28, 32, 36, 40, 44, 48, 52, 56, 60, 64, 72, 80, 96],
        |q, v| q.read_lines = v as u32,
        |q| q.read_lines.into(),
    ),
    (
        "port_lines",
        &[6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 28, 32, 40, 48],
        |q, v| q.port_lines = v as u32,
        |q| q.port_lines.into(),
    ),
    (
        "arbiter_run",
        &[1, 2, 4, 8, 16],
        |q, v| q.arbiter_run = v as u32,
        |q| q.arbiter_run.into(),
    ),
    (
        "source_run",
        &[1, 2, 4, 8, 16],
        |q, v| q.source_run = v as u32,
        |q| q.source_run.into(),
    ),
    (
        "read_age",
        &[32, 64, 96, 128, 192, 256, 384, 512, 1024, 4096],
        |q, v| q.read_age = v,
        |q| q.read_age,
    ),
    (
        "row_hits",
        &[1, 2, 4, 8, 16, 32, 48, 64, 96],
        |q, v| q.row_hits = v as u32,
        |q| q.row_hits.into(),
    ),
    (
        "write_age",
        &[8, 32, 64, 128, 256, 512, 1024],
        |q, v| q.write_age = v,
        |q| q.write_age,
    ),
    (
        "write_high",
        &[2, 4, 8, 16, 32, 48],
        |q, v| q.write_high = v as u32,
        |q| q.write_high.into(),
    ),
    (
        "request",
        &[40, 60, 80, 100, 120],
        |q, v| q.request = v,
        |q| q.request,
    ),
    (
        "read_return",
        &[40, 60, 80, 100, 120, 160],
        |q, v| q.read_return = v,
        |q| q.read_return,
    ),
    (
        "ps_return",
        &[20, 40, 60, 80, 120, 160],
        |q, v| q.ps_return = v,
        |q| q.ps_return,
    ),
    (
        "ps_lines",
        &[4, 5, 6, 7, 8, 10, 12],
        |q, v| q.ps_lines = v as u32,
        |q| q.ps_lines.into(),
    ),
];

fn score(queue: QueueConfig, limit: f64) -> f64 {
    let mut sum = 0.0;
    for point in POINTS.iter().filter(|point| point.usage == Use::Fitted) {
        let error = point.error(point.model(queue));
        sum += error * error;
        if sum > limit {
            break;
        }
    }
    sum
}

/// Repeated descent, one or two parameters at a time, from random places.
fn fit(rounds: u64, seed: u64) -> QueueConfig {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut pick = |n: usize| rng.next_u32() as usize % n;
    let (mut best, mut best_score) = (QueueConfig::FITTED, score(QueueConfig::FITTED, f64::MAX));
    let (mut here, mut here_score) = (best, best_score);
    for round in 0..rounds {
        let mut next = here;
        for _ in 0..=pick(3) {
            let (_, values, set, _) = CHOICES[pick(CHOICES.len())];
            set(&mut next, values[pick(values.len())]);
        }
        // Now and then a step uphill, so that the search leaves a hollow.
        let limit = if pick(12) == 0 {
            here_score * 1.3
        } else {
            here_score
        };
        let found = score(next, limit);
        if found <= limit {
            (here, here_score) = (next, found);
        }
        if found < best_score {
            (best, best_score) = (next, found);
            eprintln!("{round}: {best_score:.5} {best:?}");
        }
        if round % 150 == 149 {
            (here, here_score) = (best, best_score);
        }
    }
    best
}

/// The best and the worst distances of four segments, in lock step as the accelerator reads them.
fn place() {
    let ranked = placement::search(DdrRate::Mt2133, 300_000_000);
    let show = |(cycles, kib): &(u64, [u64; 4])| println!("{cycles} cycles: {kib:?} KiB");
    ranked.iter().take(12).for_each(show);
    println!("...");
    ranked.iter().rev().take(3).for_each(show);
    for hz in [200_000_000, 300_000_000] {
        for rate in [DdrRate::Mt2133, DdrRate::Mt2400] {
            for (name, phases) in [("equal", [0; 4]), ("placed", placement::PHASES)] {
                let share = placement::share_of_peak(rate, hz, phases);
                println!(
                    "{rate:?}, logic {} MHz, {name}: {:.1}% of peak",
                    hz / 1_000_000,
                    100.0 * share
                );
            }
        }
    }
}

/// Wall-clock speed of the model with four streaming ports.
fn speed() {
    let begun = std::time::Instant::now();
    let cycles = placement::cycles(DdrRate::Mt2133, 250_000_000, placement::PHASES, 16 << 20);
    let rate = cycles as f64 / begun.elapsed().as_secs_f64() / 1e6;
    println!("{cycles} PL cycles, {rate:.2} M cycles/s with four streaming ports");
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default| {
        arguments
            .get(at)
            .and_then(|a| a.parse().ok())
            .unwrap_or(default)
    };
    match arguments.first().map(String::as_str) {
        Some("fit") => {
            let best = fit(number(1, 500), number(2, 1));
            table(best);
            for (name, _, _, get) in CHOICES {
                println!("{name}: {}", get(&best));
            }
        }
        Some("place") => place(),
        Some("speed") => speed(),
        _ => {
            // name=value changes a parameter.
            let mut queue = QueueConfig::FITTED;
            for (name, value) in arguments.iter().filter_map(|a| a.split_once('=')) {
                let choice = CHOICES.iter().find(|choice| choice.0 == name);
                let (_, _, set, _) = choice.expect("a parameter's name before =");
                set(&mut queue, value.parse().expect("a number behind ="));
            }
            table(queue);
        }
    }
}
