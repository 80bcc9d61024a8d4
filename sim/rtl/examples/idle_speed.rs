//! How fast the verilated top runs by itself: `cargo run --release -p macromac-rtl --example idle_speed`.
//!
//! Idle inputs; all logic of the design is evaluated all the same.

use std::time::Instant;

use macromac_rtl::mm_top;

fn main() {
    const CYCLES: u32 = 100_000;
    let mut dut = mm_top::Dut::new(1);
    for _ in 0..8 {
        dut.step().expect("no assertion fails in reset");
    }
    dut.set_reset(false);
    let start = Instant::now();
    for _ in 0..CYCLES {
        dut.step().expect("no assertion fails when idle");
    }
    let khz = f64::from(CYCLES) / start.elapsed().as_secs_f64() / 1e3;
    println!("mm_top: {khz:.0} kHz, idle, two evaluations a cycle, ports copied");
}
