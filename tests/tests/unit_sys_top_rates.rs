//! The whole device: what it adds to memory's own time, in cycles.

#[path = "unit_sys_support/top.rs"]
mod top;
mod unit_sys_support;

use macromac_rtl::{Harness, mm_top, run};
use top::{Bench, START, random_steps, reg};
use unit_sys_support::Timing;

#[test]
fn a_strip_every_cycle() {
    for (groups, tile_rows) in [(2, 30), (4, 20), (14, 9), (76, 3)] {
        run(
            &format!("top/throughput/{groups}x{tile_rows}"),
            |h: &mut Harness<mm_top::Top>| {
                let mut b = Bench::new(h, |h| Timing::ideal(h, 1));
                let mut rng = b.rng.clone();
                let steps = random_steps(&mut rng, &[(groups, tile_rows)]);
                b.program(&steps);
                b.store(reg::CTRL, START);
                // The prefetch is full when the step is released.
                for _ in 0..2500 {
                    b.step();
                    b.h.progress();
                }
                b.store(reg::DOORBELL, 1);
                b.wait_steps(1);
                let strips = 18 * groups as u64 * tile_rows as u64;
                let cycles = b.counter(reg::STREAM_CYCLES);
                println!(
                    "top/throughput: {groups} groups, {tile_rows} tile rows: {strips} strips in {cycles} cycles"
                );
                assert_eq!(b.counter(reg::PORT + 8), strips);
                // The step begins with its first activations and the load stays ahead of it.
                assert_eq!(cycles, strips, "cycles from the first strip to the last");
            },
        );
    }
}

#[test]
fn own_overhead_of_a_step() {
    run("top/latency", |h: &mut Harness<mm_top::Top>| {
        let mut b = Bench::new(h, |h| Timing::ideal(h, 1));
        let mut rng = b.rng.clone();
        let mut steps = random_steps(&mut rng, &[(4, 4)]);
        steps[0].descriptor.report_tile_rows = 0;
        b.program(&steps);
        b.store(reg::CTRL, START);
        for _ in 0..500 {
            b.step();
            b.h.progress();
        }
        b.store(reg::DOORBELL, 1);
        let rung = b.cycle;
        let strips = 18 * 4 * 4;
        b.wait_steps(1);
        while b.last_record < rung {
            b.step(); // the response to the record
        }
        let total = b.last_record - rung;
        println!(
            "top/latency: doorbell to record {total} cycles, {} of them without a strip",
            total - strips
        );
        assert_eq!(total, strips + 75, "cycles from doorbell to record");
        assert_eq!(b.counter(reg::STREAM_CYCLES), strips);
    });
}
