//! Passes and programs on the simulated board: every bit is golden's.

mod system_support;

use half::f16;
use macromac_board::BoardConfig;
use macromac_driver::{Accelerator, Counters, PassShape, Platform};
use macromac_format::QuantMatrix;
use macromac_golden::{PassDims, fp};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use system_support::rig::Rig;
use system_support::{Matrix, check_step, device};

/// Sizes at the edges: one group and one tile row, odd counts, the widest input the device takes.
const SHAPES: [(usize, usize); 8] = [
    (1, 1),
    (32, 64),
    (40, 100),
    (33, 129),
    (96, 256),
    (300, 192),
    (64, 1024),
    (32, 8192),
];

#[test]
fn one_pass_equals_golden() {
    for (case, (n, k)) in SHAPES.into_iter().enumerate() {
        let matrices = [Matrix::random(n, k, case as u64)];
        let mut device = device(BoardConfig::ideal(), &matrices);
        device.set_program(&[0], 1).unwrap();
        for round in 0..2 {
            let before = device.platform().cycle();
            check_step(&mut device, &matrices[0], 1000 + round).unwrap();
            println!("[{n}, {k}]: {} cycles", device.platform().cycle() - before);
        }
    }
}

#[test]
fn one_board_runs_all_shapes_around_the_ring() {
    let matrices: Vec<_> = SHAPES
        .into_iter()
        .map(|(n, k)| Matrix::random(n, k, (n + k) as u64))
        .collect();
    // Memory below and above 4 GiB: 32 and 36 bits of address.
    for base in [
        BoardConfig::LOW_BASE,
        BoardConfig::HIGH_BASE,
        0xFF_8000_0000,
    ] {
        let config = BoardConfig {
            dma_base: base,
            dma_bytes: 1 << 26,
            ..BoardConfig::typical(3)
        };
        let mut device = device(config, &matrices);
        // An odd ring with repetitions, so slots and neighbours vary.
        let program = [0, 4, 2, 2, 3, 1, 5, 6, 0, 4, 1];
        device.set_program(&program, 1).unwrap();
        for round in 0..2u64 {
            for (at, pass) in program.iter().enumerate() {
                check_step(&mut device, &matrices[*pass], 100 * round + at as u64).unwrap();
            }
        }
        let counters = device.counters().unwrap().unwrap();
        assert_eq!(counters.steps, 22);
    }
}

#[test]
fn another_program_replaces_the_running_one() {
    let matrices = [(64, 128), (96, 64), (32, 512)].map(|(n, k)| Matrix::random(n, k, k as u64));
    let mut device = device(BoardConfig::typical(5), &matrices);
    for (round, program) in [&[0, 1][..], &[2], &[1, 1, 0], &[2, 1, 0, 0]]
        .iter()
        .enumerate()
    {
        device.set_program(program, 1).unwrap();
        // Never a whole round and often not even a whole step: prefetched weights are to be dropped.
        for (at, pass) in program.iter().take(1 + round % 2).enumerate() {
            check_step(&mut device, &matrices[*pass], (10 * round + at) as u64).unwrap();
        }
        if round == 1 {
            device.submit(&matrices[2].input(5)).unwrap();
        }
    }
}

#[test]
fn two_steps_released_at_once() {
    let matrices = vec![Matrix::random(64, 320, 1), Matrix::random(96, 128, 2)];
    let mut rig = Rig::new(BoardConfig::ideal(), matrices, 0);
    // As many as the ring has: no buffer is used twice.
    for _ in 0..3 {
        rig.release(2).unwrap();
        let seen = rig.finish().unwrap();
        for s in [seen.steps_done - 2, seen.steps_done - 1] {
            system_support::compare(&rig.results(s), &rig.golden(s), 0);
        }
    }
}

#[test]
fn progress_is_never_ahead_of_memory() {
    let seed = system_support::seed("progress");
    for case in 0..3 {
        let matrices = vec![
            Matrix::random(40 * 32, 64, case),
            Matrix::random(64, 64, case + 9),
        ];
        let mut rig = Rig::new(
            BoardConfig::random(seed + case),
            matrices,
            1 + 3 * case as u16,
        );
        rig.release(2).unwrap();
        let (golden, mut checked, mut reports) = (rig.golden(0), 0, 0);
        while rig.board.completion().steps_done == 0 {
            rig.board.run(1).unwrap();
            let rows = match rig.board.completion() {
                seen if seen.steps_done > 0 => golden.len(),
                seen => seen.rows_done as usize,
            };
            if rows != checked {
                assert!(
                    rows > checked,
                    "progress went back from {checked} to {rows}"
                );
                assert_eq!(rows % 32, 0);
                let got = rig.results(0);
                system_support::compare(&got[checked..rows], &golden[checked..], checked);
                (checked, reports) = (rows, reports + 1);
            }
        }
        assert!(reports > 2, "{reports} reports");
        rig.finish().unwrap();
        assert_eq!(rig.check_reported().rows_done, 0);
    }
}

#[test]
fn rows_can_be_read_before_the_pass_ends() {
    let matrices = [Matrix::random(3000, 128, 4)];
    let mut device = device(BoardConfig::typical(1), &matrices);
    device.set_program(&[0], 1).unwrap();
    let x = matrices[0].input(9);
    let golden = matrices[0].golden(&x);
    let step = device.submit(&x).unwrap();
    let (mut y, mut done, mut pieces) = (vec![0.0; 3000], 0, 0);
    while done < y.len() {
        let rows = device.wait_rows(step, done + 1).unwrap();
        device.read_rows(step, 0, done, &mut y[done..rows]).unwrap();
        (done, pieces) = (rows, pieces + 1);
    }
    system_support::compare(&y, &golden, 0);
    assert!(pieces > 8, "the pass came in {pieces} pieces");
}

#[test]
fn units_are_busy_when_memory_is() {
    // K >= 256, from one tile row to many.
    for (n, k) in [(32, 256), (32, 2048), (256, 256), (640, 896), (128, 4864)] {
        let matrices = [Matrix::random(n, k, 7)];
        let mut device = device(BoardConfig::ideal(), &matrices);
        device.set_program(&[0], 1).unwrap();
        let before = device.counters().unwrap().unwrap();
        check_step(&mut device, &matrices[0], 1).unwrap();
        let after = device.counters().unwrap().unwrap();
        let cycles = after.stream_cycles - before.stream_cycles;
        let expected = (n.div_ceil(32) * k.div_ceil(64) * 18) as u64;
        for port in 0..4 {
            let strips = after.strips[port] - before.strips[port];
            assert_eq!(strips, expected, "port {port}");
            let share = strips as f64 / cycles as f64;
            println!("[{n}, {k}] port {port}: {strips} strips in {cycles} cycles, {share:.4}");
            assert!(
                share >= 0.95,
                "port {port} is busy in only {share:.3} of the cycles"
            );
        }
    }
}

#[test]
fn two_runs_are_equal_cycle_by_cycle() {
    let run = || -> (u64, Counters) {
        let matrices = [(64, 128), (200, 448)].map(|(n, k)| Matrix::random(n, k, k as u64));
        let mut device = device(BoardConfig::random(11), &matrices);
        device.set_program(&[0, 1], 1).unwrap();
        for round in 0..2 {
            check_step(&mut device, &matrices[0], round).unwrap();
            device
                .elapse(std::time::Duration::from_nanos(1001), 0)
                .unwrap();
            check_step(&mut device, &matrices[1], round).unwrap();
        }
        let counters = device.counters().unwrap().unwrap();
        (
            device.platform().cycle(),
            Counters {
                sim_wall_ns: 0,
                ..counters
            },
        )
    };
    assert_eq!(run(), run());
}

/// A product or a sum that may be absent: nothing is added for what the matrix does not have.
fn join(a: Option<f32>, b: Option<f32>) -> Option<f32> {
    match (a, b) {
        (Some(a), Some(b)) => Some(fp::add(a, b)),
        (a, b) => a.or(b),
    }
}

/// One output channel in the order of docs/arithmetic.md, over the real inputs alone.
fn unpadded_sum(matrix: &QuantMatrix, row: usize, x: &[f32]) -> f32 {
    let product = |k: usize| {
        (k < matrix.k).then(|| {
            let at = row * matrix.groups() + k / 64;
            let difference = i32::from(matrix.q[row * matrix.k + k]) - i32::from(matrix.zeros[at]);
            let scale = fp::from_f16(matrix.scales[at].to_bits());
            fp::mul_int(fp::mul(x[k], scale), difference)
        })
    };
    let mut window = [None, None];
    for step in 0..matrix.k.div_ceil(8) {
        let p: Vec<_> = (8 * step..8 * step + 8).map(product).collect();
        let lo = join(join(p[0], p[1]), join(p[2], p[3]));
        let hi = join(join(p[4], p[5]), join(p[6], p[7]));
        window[step % 2] = join(window[step % 2], join(lo, hi));
    }
    join(window[0], window[1]).unwrap()
}

#[test]
fn padding_adds_nothing() {
    let (n, k) = (40, 100);
    let mut rng = ChaCha8Rng::seed_from_u64(21);
    let matrix = QuantMatrix {
        n,
        k,
        q: (0..n * k).map(|_| rng.random_range(0..16)).collect(),
        scales: (0..n * 2)
            .map(|_| f16::from_f32(rng.random_range(0.001..0.1)))
            .collect(),
        zeros: (0..n * 2).map(|_| rng.random_range(0..16)).collect(),
    };
    let packed = Matrix {
        shape: PassShape { n, k },
        dims: PassDims {
            groups: 2,
            tile_rows: 2,
        },
        segments: matrix.to_segments(),
    };
    let x: Vec<f32> = (0..k).map(|_| rng.random_range(-3.0..3.0)).collect();
    let expected: Vec<f32> = (0..n).map(|row| unpadded_sum(&matrix, row, &x)).collect();
    let mut device = device(BoardConfig::ideal(), &[packed]);
    device.set_program(&[0], 1).unwrap();
    let mut y = vec![0.0; n];
    device.run_step(&x, &mut y).unwrap();
    // Equal as numbers: the sign of a zero may differ (docs/arithmetic.md, section 3).
    assert_eq!(y, expected);
}
