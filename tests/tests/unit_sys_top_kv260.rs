//! The whole device in the `kv260` profile: bits of golden for every batch and both weight formats, cycles, faults, NaN.

#[path = "unit_sys_support/top.rs"]
mod top;
mod unit_sys_support;

use macromac_golden::group::Format;
use macromac_rtl::{Harness, mm_top_kv260, mm_top_kv260_b1, mm_top_kv260_b16, run};
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use top::{
    Bench, Device, FAULTED, IDLE, SHAPES, SOFT_RESET, START, Shape, Step, random_steps_for,
    recovers, reg, runs_through, step_of, step_with,
};
use unit_sys_support::Timing;

type B8 = mm_top_kv260::Top;
const NAN_IN: u32 = 16;

/// Steps of all shapes, each a number of vectors and a format of its own, around the ring more than once.
fn bits<T: Device>(rounds: u32, shapes: &[(usize, usize)]) {
    for round in 0..rounds {
        run(
            &format!("kv260/{}/bits/{round}", T::BATCH),
            |h: &mut Harness<T>| {
                let timing: fn(&mut Harness<T>) -> Timing = match round {
                    0 => |h| Timing::ideal(h, 1),
                    1 => |h| Timing::ideal(h, 40),
                    _ => Timing::random,
                };
                let mut b = Bench::new(h, timing);
                let mut rng = ChaCha8Rng::seed_from_u64(b.h.rng().random());
                let mut shapes = shapes.to_vec();
                shapes.rotate_left(round as usize);
                let steps = random_steps_for::<T>(&mut rng, &shapes);
                runs_through(&mut b, &steps);
                // Again, now without a stop between: the ring goes on.
                let again = 2 * steps.len() as u32;
                b.store(reg::DOORBELL, again);
                b.wait_steps(again);
                for (n, step) in steps.iter().enumerate() {
                    b.check_results(step, &format!("second round, step {n}"));
                }
                assert_eq!(
                    b.load(reg::STATUS) & NAN_IN,
                    0,
                    "all activations were finite"
                );
            },
        );
    }
}

#[test]
fn bits_of_eight_vectors() {
    bits::<B8>(6, &[(4, 8), (2, 3), (1, 1), (5, 5), (14, 4)]);
}

#[test]
fn bits_of_one_vector() {
    bits::<mm_top_kv260_b1::Top>(4, &[(4, 8), (2, 3), (1, 1), (1, 5), (9, 3)]);
}

#[test]
fn bits_of_sixteen_vectors() {
    bits::<mm_top_kv260_b16::Top>(4, &[(4, 3), (2, 3), (1, 1), (6, 2)]);
}

/// The capability registers say what the parameters are.
#[test]
fn capabilities() {
    fn check<T: Device>(fifo: u32) {
        run(
            &format!("kv260/{}/capabilities", T::BATCH),
            |h: &mut Harness<T>| {
                let mut b = Bench::new(h, |h| Timing::ideal(h, 1));
                let cap0 = b.load(0x008);
                let want = 4 | 1 << 4 | (T::BATCH as u32) << 8 | 64 << 16 | 18 << 24;
                assert_eq!(cap0, want, "CAP0 {cap0:#x}");
                assert_eq!(b.load(0x00C), fifo);
                // ports, arithmetic, batch, group, strips, FIFO, groups, address bits, burst, outstanding, lead
                let words = [4, 1, T::BATCH as u32, 64, 18, fifo, 128, 40, 64, 8, 4];
                let hash = words
                    .iter()
                    .flat_map(|word: &u32| word.to_le_bytes())
                    .fold(0x811C_9DC5u32, |hash, byte| {
                        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
                    });
                assert_eq!(b.load(reg::CONFIG_HASH), hash);
            },
        );
    }
    check::<B8>(24576);
    check::<mm_top_kv260_b1::Top>(500);
    check::<mm_top_kv260_b16::Top>(500);
}

/// Cycles from the first strip of the second of two steps to its last: its activations were loaded while the first one
/// computed, so memory's share in it is nothing.
fn stream_cycles(shape: Shape) -> (u64, u64) {
    let mut cycles = (0, 0);
    let cell = std::cell::Cell::new(cycles);
    run(&format!("kv260/rate/{shape:?}"), |h: &mut Harness<B8>| {
        let mut b = Bench::new(h, |h| Timing::ideal(h, 1));
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let steps = [step_of(&mut rng, 0, shape), step_of(&mut rng, 1, shape)];
        b.program(&steps);
        b.store(reg::CTRL, START);
        for _ in 0..3000 {
            b.step();
            b.h.progress();
        }
        b.store(reg::DOORBELL, 2);
        b.wait_steps(1);
        let first = b.counter(reg::STREAM_CYCLES);
        b.wait_steps(2);
        for (n, step) in steps.iter().enumerate() {
            b.check_results(step, &format!("step {n}"));
        }
        assert_eq!(b.counter(reg::PORT + 8), 2 * shape.strips());
        cell.set((first, b.counter(reg::STREAM_CYCLES)));
    });
    cycles = cell.get();
    cycles
}

#[test]
fn a_strip_every_cycle() {
    for format in [Format::One, Format::Two] {
        for (groups, tile_rows, vectors) in
            [(8, 12, 1), (8, 24, 8), (14, 9, 1), (14, 20, 5), (76, 3, 1)]
        {
            let shape = Shape {
                groups,
                tile_rows,
                vectors,
                format,
            };
            let (_, both) = stream_cycles(shape);
            let strips = shape.strips();
            println!("kv260/rate: {shape:?}: two steps of {strips} strips in {both} cycles");
            if vectors == 1 {
                // The load stays ahead of the first tile row, too: nothing is lost in either step.
                assert_eq!(both, 2 * strips, "{shape:?}");
            } else {
                // The first tile row of the first step waits for its groups: 16 beats a vector, and no longer.
                let wait = (groups * 16 * vectors) as u64;
                assert!(
                    both >= 2 * strips && both <= 2 * strips + wait,
                    "{shape:?}: {both} cycles"
                );
            }
        }
    }
}

/// The second step's strips follow the first one's without a gap: with the activations there, a step costs its strips.
#[test]
fn a_loaded_step_costs_its_strips() {
    run("kv260/second", |h: &mut Harness<B8>| {
        let mut b = Bench::new(h, |h| Timing::ideal(h, 1));
        let mut rng = ChaCha8Rng::seed_from_u64(9);
        let shape = Shape {
            groups: 8,
            tile_rows: 30,
            vectors: 8,
            format: Format::Two,
        };
        let steps = [0, 1, 2, 3].map(|place| step_of(&mut rng, place, shape));
        b.program(&steps);
        b.store(reg::CTRL, START);
        for _ in 0..5000 {
            b.step();
            b.h.progress();
        }
        b.store(reg::DOORBELL, 3);
        b.wait_steps(3);
        let three = b.counter(reg::STREAM_CYCLES);
        assert!(three <= 3 * shape.strips() + 8 * 16 * 8, "{three} cycles");
        // Steps 1 and 2 alone: the same ring without waiting for the load of step 0.
        let strips = b.counter(reg::PORT + 8);
        assert_eq!(strips, 3 * shape.strips());
        let lost = three - strips;
        b.store(reg::DOORBELL, 4);
        b.wait_steps(4);
        let four = b.counter(reg::STREAM_CYCLES) - three - shape.strips();
        // Step 3 waited for its doorbell, as step 0 did: both lose the same, the two between them nothing.
        assert_eq!(lost, four, "cycles without a strip");
    });
}

#[test]
fn own_overhead_of_a_step() {
    run("kv260/latency", |h: &mut Harness<B8>| {
        let mut b = Bench::new(h, |h| Timing::ideal(h, 1));
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let shape = Shape {
            groups: 8,
            tile_rows: 4,
            vectors: 1,
            format: Format::One,
        };
        let mut steps = vec![step_of(&mut rng, 0, shape)];
        steps[0].descriptor.report_tile_rows = 0;
        b.program(&steps);
        b.store(reg::CTRL, START);
        for _ in 0..1000 {
            b.step();
            b.h.progress();
        }
        b.store(reg::DOORBELL, 1);
        let rung = b.cycle;
        b.wait_steps(1);
        while b.last_record < rung {
            b.step(); // the response to the record
        }
        let total = b.last_record - rung;
        println!(
            "kv260/latency: doorbell to record {total} cycles, {} of them without a strip",
            total - shape.strips()
        );
        assert_eq!(
            total,
            shape.strips() + 157,
            "cycles from doorbell to record"
        );
        assert_eq!(b.counter(reg::STREAM_CYCLES), shape.strips());
    });
}

/// A NaN or an infinity makes NaN of its vector's results and nobody else's, and is said in STATUS until soft reset.
#[test]
fn nan_marks_its_vector() {
    for (round, bad) in [
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::from_bits(0x7F80_0001),
    ]
    .into_iter()
    .enumerate()
    {
        run(&format!("kv260/nan/{round}"), |h: &mut Harness<B8>| {
            let timing = if round == 0 {
                |h: &mut _| Timing::ideal(h, 1)
            } else {
                Timing::random
            };
            let mut b = Bench::new(h, timing);
            let mut rng = ChaCha8Rng::seed_from_u64(b.h.rng().random());
            let mut steps = Vec::new();
            for place in 0..6 {
                let shape = Shape {
                    groups: rng.random_range(1..7),
                    tile_rows: rng.random_range(1..5),
                    vectors: rng.random_range(1..=8),
                    format: *[Format::One, Format::Two].choose(&mut rng).unwrap(),
                };
                let values = 64 * shape.groups * shape.vectors;
                let mut activations: Vec<f32> =
                    (0..values).map(|_| rng.random_range(-2.0..2.0)).collect();
                // Every second step is clean, beside a bad one in the other bank.
                if place % 2 == 1 {
                    for _ in 0..rng.random_range(1..3) {
                        activations[rng.random_range(0..values)] = bad;
                    }
                }
                steps.push(step_with(&mut rng, place, shape, activations));
            }
            b.program(&steps);
            b.store(reg::CTRL, START);
            b.store(reg::DOORBELL, 1);
            b.wait_steps(1);
            assert_eq!(b.load(reg::STATUS) & NAN_IN, 0, "the first step is clean");
            b.store(reg::DOORBELL, 6);
            b.wait_steps(6);
            for (n, step) in steps.iter().enumerate() {
                b.check_results(step, &format!("step {n}"));
                let nans = step.expected.iter().filter(|y| y.is_nan()).count();
                assert_eq!(nans > 0, n % 2 == 1, "step {n}");
            }
            assert_eq!(b.load(reg::STATUS) & NAN_IN, NAN_IN);
            b.store(reg::CTRL, 2);
            b.wait_status(IDLE);
            assert_eq!(b.load(reg::STATUS), IDLE | NAN_IN, "a stop keeps it");
            b.store(reg::CTRL, SOFT_RESET);
            b.wait_status(IDLE);
            assert_eq!(b.load(reg::STATUS), IDLE, "soft reset clears it");
        });
    }
}

/// Starts a ring with a defect, waits for the halt, then resets and runs a good ring.
fn fault(name: &str, expected: (u32, u32), plant: impl Fn(&mut Bench<B8>, &mut Vec<Step>)) {
    for round in 0..3 {
        run(&format!("kv260/{name}/{round}"), |h: &mut Harness<B8>| {
            let timing = if round == 0 {
                |h: &mut _| Timing::ideal(h, 20)
            } else {
                Timing::random
            };
            let mut b = Bench::new(h, timing);
            let mut rng = b.rng.clone();
            let mut steps = random_steps_for::<B8>(&mut rng, &SHAPES);
            plant(&mut b, &mut steps);
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
            let error = b.load(reg::ERR_CAUSE);
            assert_eq!(
                (error & 0xFF, error >> 8 & 0xF),
                expected,
                "ERR_CAUSE {error:#x}"
            );
            assert_eq!(b.load(reg::STATUS), FAULTED);
            let [done, rows, status, _] = b.record();
            assert_eq!(b.load(reg::STEPS_DONE), done);
            // A bus that refuses writes gets no record.
            let (cause, _) = expected;
            let told = if cause == 2 { 0 } else { cause << 8 | 1 };
            assert_eq!(status, told, "status word of the record");
            assert!(
                (done as usize) < steps.len(),
                "the step in progress is not done"
            );
            for (n, step) in steps.iter().enumerate().take(done as usize) {
                b.check_results(step, &format!("step {n}"));
            }
            // What is reported of the step in progress is there for all of its vectors.
            let mut partial = steps[done as usize].clone();
            let reported = rows as usize * usize::from(partial.descriptor.vectors);
            partial.expected.truncate(reported);
            b.check_results(&partial, "reported rows of the step in progress");
            recovers(&mut b);
        });
    }
}

#[test]
fn fault_bus_read() {
    fault("read", (1, 2), |b, steps| {
        b.weights[2].bad = Some(steps[1].descriptor.weights[2] + 160);
    });
}

#[test]
fn fault_bus_read_of_activations() {
    fault("activations", (1, 4), |b, steps| {
        b.data.bad = Some(steps[3].descriptor.activations + 16);
    });
}

#[test]
fn fault_bus_write() {
    fault("write", (2, 4), |b, steps| {
        b.write.bad = Some(steps[0].descriptor.results);
    });
}

#[test]
fn fault_bad_descriptor() {
    fault("vectors", (3, 4), |_, steps| {
        steps[2].descriptor.vectors = 9
    });
    fault("format", (3, 4), |_, steps| {
        steps[4].descriptor.macro_strips = 16
    });
}

#[test]
fn fault_reserved_bits() {
    fault("reserved", (4, 3), |_, steps| {
        // Bit 127 of the first strip of zeros: unused in format 1, and in format 2 where a quad has fewer than four macros.
        let step = &mut steps[2];
        let at = if step.descriptor.macro_strips == 18 {
            16
        } else {
            0
        };
        step.segments[3][at + 15] = 0x80;
    });
}

/// Soft reset at any moment forgets everything, and the next program is good.
#[test]
fn soft_reset_at_any_moment() {
    for round in 0..6 {
        run(&format!("kv260/reset/{round}"), |h: &mut Harness<B8>| {
            let timing = if round < 2 {
                |h: &mut _| Timing::ideal(h, 5)
            } else {
                Timing::random
            };
            let mut b = Bench::new(h, timing);
            let mut rng = ChaCha8Rng::seed_from_u64(b.h.rng().random());
            for _ in 0..4 {
                let steps = random_steps_for::<B8>(&mut rng, &SHAPES);
                b.program(&steps);
                b.store(reg::CTRL, START);
                b.store(reg::DOORBELL, steps.len() as u32);
                for _ in 0..rng.random_range(1..2500) {
                    b.step();
                    b.h.progress();
                }
                recovers(&mut b);
                b.store(reg::CTRL, SOFT_RESET);
                b.wait_status(IDLE);
            }
        });
    }
}
