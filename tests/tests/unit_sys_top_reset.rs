//! The whole device: stop and soft reset at any moment.

#[path = "unit_sys_support/top.rs"]
mod top;
mod unit_sys_support;

use macromac_rtl::{Harness, mm_top, run};
use rand::Rng;
use top::{Bench, IDLE, SHAPES, SOFT_RESET, START, STOP, random_steps, recovers, reg};
use unit_sys_support::{ReadSlave, Timing};

#[test]
fn soft_reset_at_any_time() {
    run("top/soft-reset", |h: &mut Harness<mm_top::Top>| {
        let mut b = Bench::new(h, Timing::random);
        let mut rng = b.rng.clone();
        for _ in 0..12 {
            let steps = random_steps(&mut rng, &SHAPES);
            b.program(&steps);
            b.store(reg::CTRL, START);
            b.store(reg::DOORBELL, steps.len() as u32);
            for _ in 0..rng.random_range(0..3000) {
                b.step();
                b.h.progress();
            }
            b.store(reg::CTRL, SOFT_RESET);
            b.wait_status(IDLE);
            assert!(
                b.weights.iter().all(ReadSlave::is_idle) && b.data.is_idle() && b.write.is_idle()
            );
        }
        recovers(&mut b);
    });
}

#[test]
fn stop_at_any_time() {
    run("top/stop", |h: &mut Harness<mm_top::Top>| {
        let mut b = Bench::new(h, Timing::random);
        let mut rng = b.rng.clone();
        for _ in 0..12 {
            let steps = random_steps(&mut rng, &SHAPES);
            b.program(&steps);
            b.store(reg::CTRL, START);
            let released = rng.random_range(0..8);
            b.store(reg::DOORBELL, released);
            for _ in 0..rng.random_range(0..2000) {
                b.step();
                b.h.progress();
            }
            b.store(reg::CTRL, STOP);
            b.wait_status(IDLE);
            assert_eq!(b.record()[0], released, "every released step is reported");
            assert_eq!(b.load(reg::STEPS_DONE), released);
            for (n, step) in steps.iter().enumerate().take(released as usize) {
                b.check_results(step, &format!("step {n}"));
            }
        }
    });
}
