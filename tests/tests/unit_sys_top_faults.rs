//! The whole device: every cause of a fault, what is reported, and recovery by soft reset.

#[path = "unit_sys_support/top.rs"]
mod top;
mod unit_sys_support;

use macromac_rtl::{Harness, mm_top, run};
use top::{Bench, FAULTED, RING, SHAPES, START, Step, random_steps, recovers, reg};
use unit_sys_support::{Beat, Timing};

/// Starts a ring with a defect, waits for the halt, checks the record, then resets and runs a good ring.
fn fault(
    name: &str,
    expected: (u32, u32),
    plant: impl Fn(&mut Bench, &mut Vec<Step>) -> Option<u64>,
) {
    for round in 0..3 {
        run(
            &format!("top/{name}/{round}"),
            |h: &mut Harness<mm_top::Top>| {
                let mut b = Bench::new(
                    h,
                    if round == 0 {
                        |h: &mut _| Timing::ideal(h, 20)
                    } else {
                        Timing::random
                    },
                );
                let mut rng = b.rng.clone();
                let mut steps = random_steps(&mut rng, &SHAPES);
                let address = plant(&mut b, &mut steps);
                b.program(&steps);
                b.store(reg::IRQ_ENABLE, 2);
                b.store(reg::CTRL, START);
                b.store(reg::DOORBELL, steps.len() as u32);
                let mut waited = 0;
                while b.h.dut.o.irq == 0 {
                    b.step();
                    waited += 1;
                    assert!(waited < 50_000, "no interrupt");
                    b.h.progress();
                }
                let (cause, port) = expected;
                let error = b.load(reg::ERR_CAUSE);
                assert_eq!(
                    (error & 0xFF, error >> 8 & 0xF),
                    (cause, port),
                    "ERR_CAUSE {error:#x}"
                );
                if let Some(address) = address {
                    let got = u64::from(b.load(reg::ERR_ADDR_LO))
                        | u64::from(b.load(reg::ERR_ADDR_HI)) << 32;
                    assert_eq!(got & !0x3FF, address & !0x3FF, "ERR_ADDR {got:#x}");
                }
                assert_eq!(b.load(reg::STATUS), FAULTED);
                let [done, rows, status, _] = b.record();
                assert_eq!(b.load(reg::STEPS_DONE), done);
                assert!(
                    (done as usize) < steps.len(),
                    "the step in progress is not done"
                );
                if cause == 2 {
                    assert_eq!(status, 0, "no record after a write error");
                } else {
                    assert_eq!(status, cause << 8 | 1);
                }
                // What is reported is in memory and good.
                for (n, step) in steps.iter().enumerate().take(done as usize) {
                    b.check_results(step, &format!("step {n}"));
                }
                let step = &steps[done as usize];
                for k in 0..rows as usize / 4 {
                    let got = b.memory.word(step.descriptor.results + 16 * k as u64);
                    let expected: Beat =
                        std::array::from_fn(|i| step.expected[4 * k + i].to_bits());
                    assert_eq!(got, expected, "reported rows of the step in progress");
                }
                recovers(&mut b);
            },
        );
    }
}

#[test]
fn fault_read_weights() {
    for p in 0..4usize {
        fault(&format!("read-{p}"), (1, p as u32), |b, steps| {
            let address = steps[0].descriptor.weights[p] + 16 * 300;
            b.weights[p].bad = Some(address);
            Some(address)
        });
    }
}

#[test]
fn fault_read_activations() {
    fault("read-activations", (1, 4), |b, steps| {
        let address = steps[1].descriptor.activations + 16 * 17;
        b.data.bad = Some(address);
        Some(address)
    });
}

#[test]
fn fault_read_descriptor() {
    fault("read-descriptor", (1, 4), |b, _| {
        b.data.bad = Some(RING + 64 * 2 + 32);
        b.data.bad
    });
}

#[test]
fn fault_write_results() {
    fault("write", (2, 4), |b, steps| {
        steps[0].descriptor.report_tile_rows = 0;
        let address = steps[0].descriptor.results + 512;
        b.write.bad = Some(address);
        Some(address)
    });
}

#[test]
fn fault_bad_descriptor() {
    fault("descriptor", (3, 4), |_, steps| {
        steps[3].descriptor.groups = 0;
        None
    });
}

#[test]
fn fault_reserved_bits() {
    for p in 0..4 {
        fault(&format!("reserved-{p}"), (4, p as u32), |_, steps| {
            // The zeros strip of the step's tenth macro.
            steps[0].segments[p][9 * 288 + 16 + 12] = 0x40;
            None
        });
    }
}

#[test]
fn fault_watchdog() {
    run("top/watchdog", |h: &mut Harness<mm_top::Top>| {
        let mut b = Bench::new(h, |h| Timing::ideal(h, 1));
        let mut rng = b.rng.clone();
        let steps = random_steps(&mut rng, &SHAPES);
        b.program(&steps);
        b.store(reg::IRQ_ENABLE, 2);
        b.store(reg::WATCHDOG, 300);
        b.store(reg::CTRL, START);
        b.store(reg::DOORBELL, 1);
        b.wait_steps(1);
        // Released but not answered: port 2 is stuck.
        b.weights[2].stuck = true;
        b.store(reg::DOORBELL, 5);
        for _ in 0..5000 {
            b.step();
            b.h.progress();
        }
        assert_eq!(b.load(reg::ERR_CAUSE) & 0xFF, 5);
        // It drains when memory wakes up.
        b.weights[2].stuck = false;
        while b.h.dut.o.irq == 0 {
            b.step();
        }
        recovers(&mut b);
    });
}
