//! Stop and soft reset at any moment, with whatever is in flight on the ports; interrupts; the registers' promises.

mod system_support;

use std::time::Duration;

use macromac_board::BoardConfig;
use macromac_driver::{Accelerator, Platform};
use macromac_format::regs;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use system_support::rig::Rig;
use system_support::{Matrix, check_step, device};

fn matrices() -> Vec<Matrix> {
    [(64, 256), (96, 128), (32, 700)]
        .map(|(n, k)| Matrix::random(n, k, (n + k) as u64))
        .into()
}

#[test]
fn stop_completes_what_was_released() {
    let seed = system_support::seed("stop");
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut rig = Rig::new(BoardConfig::random(seed), matrices(), 1);
    for round in 0..40 {
        let count = rng.random_range(0..=3);
        rig.release(count).unwrap();
        rig.board.run(rng.random_range(0..1200)).unwrap();
        // The board checks that nothing is in flight when STATUS says idle.
        rig.board.stop().unwrap();
        let seen = rig.check_reported();
        assert_eq!(
            seen.steps_done, count,
            "round {round}: released steps are completed"
        );
        for s in 0..count {
            system_support::compare(&rig.results(s), &rig.golden(s), 0);
        }
        rig.start().unwrap();
    }
    rig.round().unwrap();
}

#[test]
fn soft_reset_at_any_moment() {
    let seed = system_support::seed("soft reset");
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for board in 0..4u64 {
        let config = BoardConfig::random(seed.wrapping_add(board));
        let mut rig = Rig::new(config, matrices(), 1);
        for round in 0..12 {
            rig.release(rng.random_range(0..=3)).unwrap();
            // Every early moment once in a while, later ones too.
            let limit = [40, 200, 1000, 3000][round % 4];
            rig.board.run(rng.random_range(0..limit)).unwrap();
            rig.check_reported();
            rig.board.reset().unwrap();
            let status = rig.board.load_register(regs::STATUS).unwrap();
            assert_eq!(status, regs::STATUS_IDLE_MASK);
            assert_eq!(rig.board.load_register(regs::STEPS_DONE).unwrap(), 0);
            rig.start().unwrap();
        }
        rig.round().unwrap();
    }
}

#[test]
fn interrupts_come_for_every_step_and_can_be_cleared() {
    let config = BoardConfig {
        step_interrupts: true,
        ..BoardConfig::typical(4)
    };
    let mut rig = Rig::new(config, matrices(), 0);
    for count in 1..=6u64 {
        rig.release(1).unwrap();
        rig.finish().unwrap();
        // The record comes before the interrupt: give that a moment.
        rig.board.run(200).unwrap();
        assert!(rig.board.irq(), "step {count}");
        rig.board
            .store_register(regs::IRQ_STATUS, regs::IRQ_STATUS_STEP_DONE_MASK)
            .unwrap();
        rig.board.run(2).unwrap();
        assert!(!rig.board.irq(), "cleared after step {count}");
    }
    // Disabled, the status is kept but the line stays low.
    rig.board.store_register(regs::IRQ_ENABLE, 0).unwrap();
    rig.release(1).unwrap();
    rig.finish().unwrap();
    rig.board.run(200).unwrap();
    assert!(!rig.board.irq());
    assert_eq!(rig.board.load_register(regs::IRQ_STATUS).unwrap(), 1);
    rig.board.store_register(regs::IRQ_ENABLE, 1).unwrap();
    rig.board.run(2).unwrap();
    assert!(rig.board.irq());
}

#[test]
fn the_configuration_hash_is_that_of_the_contract() {
    let mut rig = Rig::new(BoardConfig::ideal(), matrices(), 0);
    let caps = rig.board.capabilities();
    let words = [
        caps.ports,
        0, // paper
        caps.batch,
        caps.group_size,
        caps.macro_strips,
        caps.fifo_strips,
        caps.max_k / 64,
        40, // address bits
        64, // longest burst
        8,  // bursts in flight
        4,  // bursts that a port may be ahead
    ];
    let hash = words
        .iter()
        .flat_map(|word: &u32| word.to_le_bytes())
        .fold(0x811C_9DC5u32, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
    assert_eq!(caps.config_hash, hash);
    assert_eq!((caps.ports, caps.max_k, caps.fifo_strips), (4, 8192, 2048));
    rig.round().unwrap();
}

#[test]
fn counters_tell_one_reason_for_every_idle_cycle() {
    let matrices = matrices();
    let mut device = device(BoardConfig::random(9), &matrices);
    device.set_program(&[0, 1, 2], 1).unwrap();
    let before = device.counters().unwrap().unwrap();
    for round in 0..2 {
        for (pass, matrix) in matrices.iter().enumerate() {
            check_step(&mut device, matrix, round * 3 + pass as u64).unwrap();
        }
    }
    // Stopped, all but the cycle counter stand still, so the sums can be compared.
    device.platform_mut().stop().unwrap();
    let after = device.counters().unwrap().unwrap();
    device.elapse(Duration::from_micros(3), 0).unwrap();
    let later = device.counters().unwrap().unwrap();
    assert_eq!(
        (later.steps, later.strips, later.stalls),
        (after.steps, after.strips, after.stalls)
    );
    assert!(later.cycles >= after.cycles + 600);
    let strips: u64 = 2 * matrices
        .iter()
        .map(|m| (m.dims.groups * m.dims.tile_rows * 18) as u64)
        .sum::<u64>();
    let sums: Vec<u64> = (0..4)
        .map(|port| {
            assert_eq!(after.strips[port] - before.strips[port], strips);
            let stalls = after.stalls[port];
            let reasons =
                stalls.no_data + stalls.no_activations + stalls.no_room + stalls.lock_step;
            after.strips[port] + reasons
        })
        .collect();
    assert!(sums.iter().all(|sum| *sum == sums[0]), "{sums:?}");
    assert!(
        sums[0] <= after.cycles,
        "{} running cycles of {}",
        sums[0],
        after.cycles
    );
    // Fetched is at least what was consumed; the rest was prefetch for the next round.
    assert!(after.weight_bytes >= 4 * 16 * strips);
    // What came after the stop was dropped and is not counted.
    let (read, _) = device.platform().beats();
    assert!(after.weight_bytes <= 16 * read[..4].iter().sum::<u64>());
}
