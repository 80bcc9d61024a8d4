//! What it costs to share work out to threads and to meet again, on this machine: wall time, not the board's.
//!
//!     cargo run --release -p macromac-ps --example barrier [THREADS]

use std::time::{Duration, Instant};

use macromac_ps::team;
use rayon::prelude::*;

/// Rounds of each way.
const ROUNDS: usize = 2000;
/// What the caller does between two rounds: as long as a wait for a short pass.
const PAUSE: Duration = Duration::from_micros(100);

/// What a job takes: a short kernel's share.
const JOB: Duration = Duration::from_micros(5);

fn busy(time: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < time {
        std::hint::spin_loop();
    }
}

/// Median and nine tenths of the time of `share` beyond one job's, in microseconds.
fn measure(share: impl Fn()) -> (f64, f64) {
    let mut times: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            busy(PAUSE);
            let begin = Instant::now();
            share();
            begin.elapsed().saturating_sub(JOB).as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    (times[ROUNDS / 2], times[ROUNDS * 9 / 10])
}

fn main() {
    let threads = std::env::args().nth(1).and_then(|n| n.parse().ok());
    let threads = threads.unwrap_or_else(team::threads);
    team::set_threads(threads);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = pool.expect("threads");
    let job = |_: usize| busy(JOB);
    println!("{threads} threads, as many jobs of 5 us a round, 100 us between rounds; us beyond 5");
    println!("| way | median | 90 % |");
    println!("|---|---:|---:|");
    let row =
        |way: &str, (median, most): (f64, f64)| println!("| {way} | {median:.2} | {most:.2} |");
    row("one job, not shared out", measure(|| job(0)));
    team::set_patience(Duration::from_millis(1));
    row(
        "team, 1 ms of patience",
        measure(|| team::run(threads, &job)),
    );
    team::set_patience(Duration::ZERO);
    row("team, none", measure(|| team::run(threads, &job)));
    row(
        "rayon",
        measure(|| pool.install(|| (0..threads).into_par_iter().for_each(job))),
    );
}
