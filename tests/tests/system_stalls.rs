//! Slow, bursty, unfair memory on every port changes cycles, never bits.

mod system_support;

use macromac_board::{BoardConfig, MemoryModel, PortConfig};
use macromac_driver::Accelerator;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use system_support::rig::Rig;
use system_support::{Matrix, check_step, device};

fn matrices() -> [Matrix; 3] {
    [(96, 320), (33, 64), (160, 130)].map(|(n, k)| Matrix::random(n, k, (n * k) as u64))
}

/// Cycles of two rounds, compared with golden.
fn two_rounds(config: BoardConfig, matrices: &[Matrix]) -> u64 {
    let mut device = device(config, matrices);
    device.set_program(&[0, 1, 2], 1).unwrap();
    let begin = device.platform().cycle();
    for round in 0..2 {
        for (pass, matrix) in matrices.iter().enumerate() {
            check_step(&mut device, matrix, 10 * round + pass as u64).unwrap();
        }
    }
    device.platform().cycle() - begin
}

#[test]
fn random_stalls_change_cycles_never_bits() {
    let seed = system_support::seed("stalls");
    let matrices = matrices();
    let ideal = two_rounds(BoardConfig::ideal(), &matrices);
    let mut all = vec![ideal];
    for case in 0..12 {
        let cycles = two_rounds(BoardConfig::random(seed.wrapping_add(case)), &matrices);
        println!(
            "seed {}: {cycles} cycles, ideal {ideal}",
            seed.wrapping_add(case)
        );
        all.push(cycles);
    }
    all.sort_unstable();
    all.dedup();
    assert!(all.len() >= 8, "stalls hardly changed anything: {all:?}");
}

#[test]
fn one_slow_port_holds_all_and_harms_none() {
    let matrices = matrices();
    let ideal = two_rounds(BoardConfig::ideal(), &matrices);
    for port in 0..5 {
        let mut ports = [PortConfig::IDEAL; 5];
        ports[port] = PortConfig {
            latency: 150,
            jitter: 100,
            gap: 0.9,
            stall: 0.9,
        };
        let cycles = two_rounds(BoardConfig::new(4, MemoryModel::Simple(ports)), &matrices);
        println!("port {port} slow: {cycles} cycles, ideal {ideal}");
        assert!(cycles > ideal, "port {port}");
    }
}

#[test]
fn a_pausing_processor_loses_nothing() {
    let seed = system_support::seed("pauses");
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut rig = Rig::new(BoardConfig::random(seed), matrices().into(), 1);
    for _ in 0..12 {
        rig.board.run(rng.random_range(0..1500)).unwrap();
        let count = rng.random_range(1..3);
        rig.release(count).unwrap();
        if rng.random_bool(0.5) {
            rig.board.run(rng.random_range(0..800)).unwrap();
            rig.check_reported();
        }
        rig.finish().unwrap();
        rig.check_reported();
    }
}

#[test]
fn the_stream_runs_ahead_of_the_processor() {
    // While the processor computes, weights of the next steps are fetched: then the step takes little more than its strips.
    let matrices = [Matrix::random(128, 512, 1), Matrix::random(128, 512, 2)];
    let mut ports = [PortConfig::IDEAL; 5];
    for port in &mut ports[..4] {
        *port = PortConfig {
            gap: 0.5,
            ..PortConfig::IDEAL
        };
    }
    let run = |pause: u64| {
        let config = BoardConfig::new(2, MemoryModel::Simple(ports));
        let mut device = device(config, &matrices);
        device.set_program(&[0, 1], 1).unwrap();
        let mut cycles = 0;
        for step in 0..6 {
            device
                .elapse(std::time::Duration::from_nanos(5 * pause), 0)
                .unwrap();
            let before = device.platform().cycle();
            check_step(&mut device, &matrices[step % 2], step as u64).unwrap();
            cycles += device.platform().cycle() - before;
        }
        cycles / 6
    };
    let (eager, rested) = (run(0), run(3000));
    println!("cycles a step: {eager} without, {rested} with time to prefetch; 576 strips");
    assert!(
        rested < 576 + 200 && eager > rested + 300,
        "{eager} {rested}"
    );
}
