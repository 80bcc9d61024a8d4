//! The whole device: rings of steps, results, counters, interrupts.

#[path = "unit_sys_support/top.rs"]
mod top;
mod unit_sys_support;

use macromac_rtl::{Harness, mm_top, run};
use rand::Rng;
use top::{Bench, IDLE, SHAPES, START, STOP, random_steps, reg, runs_through};
use unit_sys_support::Timing;

#[test]
fn computes_a_ring() {
    run("top/ring", |h: &mut Harness<mm_top::Top>| {
        let mut b = Bench::new(h, |h| Timing::ideal(h, 1));
        assert_eq!(b.load(reg::ID), 0x4D4D_4143);
        let mut rng = b.rng.clone();
        let steps = random_steps(&mut rng, &SHAPES);
        b.program(&steps);
        b.store(reg::CTRL, START);
        for n in 0..3 * steps.len() {
            b.store(reg::DOORBELL, n as u32 + 1);
            b.wait_steps(n as u32 + 1);
            let step = steps[n % steps.len()].clone();
            b.check_results(&step, &format!("step {n}"));
        }
        b.store(reg::CTRL, STOP);
        b.wait_status(IDLE);
        assert_eq!(b.load(reg::STATUS), IDLE);
        assert_eq!(b.load(reg::STEPS_DONE), 15);
        assert_eq!(b.counter(reg::STEPS), 15);
        // And again: start begins at the first descriptor.
        runs_through(&mut b, &steps);
        assert_eq!(
            b.counter(reg::STEPS),
            20,
            "counters stay over stop and start"
        );
    });
}

#[test]
fn hash_names_the_hardware() {
    run("top/hash", |h: &mut Harness<mm_top::Top>| {
        let mut b = Bench::new(h, |h| Timing::ideal(h, 1));
        let words: [u32; 11] = [4, 0, 1, 64, 18, 2048, 128, 40, 64, 8, 4];
        let hash = words
            .iter()
            .flat_map(|w| w.to_le_bytes())
            .fold(0x811C_9DC5u32, |hash, byte| {
                (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
            });
        assert_eq!(b.load(reg::CONFIG_HASH), hash);
    });
}

#[test]
fn random_memory_changes_cycles_never_bits() {
    for round in 0..6 {
        run(
            &format!("top/random/{round}"),
            |h: &mut Harness<mm_top::Top>| {
                let mut b = Bench::new(h, Timing::random);
                let mut rng = b.rng.clone();
                let shapes: Vec<(usize, usize)> = (0..6)
                    .map(|_| (rng.random_range(1..9), rng.random_range(1..20)))
                    .collect();
                let steps = random_steps(&mut rng, &shapes);
                runs_through(&mut b, &steps);
                // Every running cycle has one name.
                b.store(reg::CTRL, STOP);
                b.wait_status(IDLE);
                let strips: usize = shapes.iter().map(|(g, t)| 18 * g * t).sum();
                let mut totals = Vec::new();
                for p in 0..4 {
                    let [beats, taken, rest @ ..]: [u64; 6] =
                        std::array::from_fn(|k| b.counter(reg::PORT + 0x40 * p + 8 * k as u16));
                    assert_eq!(taken, strips as u64, "port {p}: strips taken");
                    assert!(beats >= taken, "port {p}: beats read");
                    totals.push(taken + rest.iter().sum::<u64>());
                }
                assert!(
                    totals.iter().all(|t| *t == totals[0]),
                    "cycles by reason: {totals:?}"
                );
            },
        );
    }
}

#[test]
fn interrupt_follows_the_record() {
    run("top/interrupt", |h: &mut Harness<mm_top::Top>| {
        let mut b = Bench::new(h, Timing::random);
        let mut rng = b.rng.clone();
        let mut steps = random_steps(&mut rng, &SHAPES);
        for (k, step) in steps.iter_mut().enumerate() {
            step.descriptor.flags = k as u16 & 1;
        }
        b.program(&steps);
        b.store(reg::IRQ_ENABLE, 1);
        b.store(reg::CTRL, START);
        for (n, step) in steps.iter().enumerate() {
            b.store(reg::DOORBELL, n as u32 + 1);
            if step.descriptor.flags == 1 {
                while b.h.dut.o.irq == 0 {
                    b.step();
                }
                assert_eq!(
                    b.record()[0],
                    n as u32 + 1,
                    "the record is there when the interrupt comes"
                );
                b.store(reg::IRQ_STATUS, 1);
            } else {
                b.wait_steps(n as u32 + 1);
            }
            b.step();
            b.step();
            assert_eq!(b.h.dut.o.irq, 0);
        }
    });
}

#[test]
fn no_room_for_results_stalls_and_loses_nothing() {
    run("top/no-room", |h: &mut Harness<mm_top::Top>| {
        let mut b = Bench::new(h, |h| Timing::ideal(h, 1));
        let mut rng = b.rng.clone();
        // 150 tile rows are 1200 beats; the result FIFO holds 512.
        let steps = random_steps(&mut rng, &[(1, 150), (2, 40)]);
        b.program(&steps);
        b.store(reg::CTRL, START);
        b.store(reg::DOORBELL, 2);
        b.write.stuck = true;
        for _ in 0..6000 {
            b.step();
            b.h.progress();
        }
        let strips = b.counter(reg::PORT + 0x08);
        assert!(
            strips < 18 * 150,
            "{strips} strips taken while nothing can leave"
        );
        assert!(
            b.counter(reg::PORT + 0x20) > 1000,
            "cycles without room are counted"
        );
        assert_eq!(b.record(), [0; 4], "nothing is reported");
        b.write.stuck = false;
        b.wait_steps(2);
        for (n, step) in steps.iter().enumerate() {
            b.check_results(step, &format!("step {n}"));
        }
    });
}
