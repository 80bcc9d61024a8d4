//! Every fault of docs/architecture.md section 6: the right error, nothing half-done reported, and a reset that brings the device
//! back.

mod system_support;

use std::time::Duration;

use macromac_board::inject::{Direction, Effect, Injection, When};
use macromac_board::{BoardConfig, MemoryModel, PortConfig};
use macromac_driver::{BufferUse, DeviceFault, DeviceStatus, DriverError, Platform};
use macromac_format::regs;
use system_support::rig::Rig;
use system_support::{Matrix, fault};

const DATA: usize = 4;

fn matrices() -> Vec<Matrix> {
    [(96, 192), (64, 320)]
        .map(|(n, k)| Matrix::random(n, k, (n + k) as u64))
        .into()
}

fn rig(config: BoardConfig) -> Rig {
    Rig::new(config, matrices(), 1)
}

/// The data port so slow that a test can change a descriptor before the device reads it.
fn slow_data() -> BoardConfig {
    let mut ports = [PortConfig::IDEAL; 5];
    ports[DATA].latency = 200;
    BoardConfig::new(1, MemoryModel::Simple(ports))
}

/// The bus and the record agree with the fault, and what was reported is true.
fn check_halted(rig: &mut Rig, fault: DeviceFault) {
    let seen = rig.check_reported();
    let status = rig.board.load_register(regs::STATUS).unwrap();
    assert_eq!(
        status & regs::STATUS_FAULTED_MASK,
        regs::STATUS_FAULTED_MASK,
        "{fault}"
    );
    assert!(rig.board.irq(), "{fault}");
    if !matches!(fault, DeviceFault::BusWrite { .. }) {
        assert_eq!(seen.status, DeviceStatus::Faulted, "{fault}");
    }
    // The cause stays, and a program is refused, until the reset.
    let again = system_support::fault(rig.board.load_program(&rig.steps.clone()));
    assert_eq!(again.0, fault);
}

/// Runs two steps into an injected error.
fn inject(config: BoardConfig, injection: Injection) -> (DeviceFault, u32) {
    let mut rig = rig(config);
    rig.board.injector().add(injection);
    rig.release(2).unwrap();
    let (fault, step) = match rig.finish() {
        Ok(_) => {
            // Prefetch of a later round may be hit first.
            rig.release(2).unwrap();
            fault(rig.finish())
        }
        failed => fault(failed),
    };
    check_halted(&mut rig, fault);
    rig.recover();
    (fault, step)
}

#[test]
fn read_errors_of_weight_ports_name_port_and_burst() {
    for port in 0..4 {
        for (effect, beat) in [(Effect::SlaveError, 0), (Effect::DecodeError, 77)] {
            let probe = rig(BoardConfig::ideal());
            let at = probe.board.address(probe.weights(port), 16 * beat).unwrap();
            let (direction, when) = (Direction::Read, When::Address(at));
            let injection = Injection {
                port,
                direction,
                when,
                effect,
            };
            let (fault, step) = inject(BoardConfig::random(50 + port as u64), injection);
            // Bursts begin at lines of 1 KiB.
            let address = at / 1024 * 1024;
            assert_eq!(
                fault,
                DeviceFault::BusRead {
                    port: port as u8,
                    address
                }
            );
            assert_eq!(step, 0, "the step with the error must not count");
        }
    }
}

#[test]
fn read_errors_of_the_data_port() {
    let probe = rig(BoardConfig::ideal());
    for index in 0..2 {
        let activations = probe.steps[index].activations.buffer;
        let at = probe.board.address(activations, 0).unwrap();
        let injection = Injection {
            port: DATA,
            direction: Direction::Read,
            when: When::Address(at + 32),
            effect: Effect::SlaveError,
        };
        let (fault, _) = inject(BoardConfig::typical(60), injection);
        assert_eq!(
            fault,
            DeviceFault::BusRead {
                port: DATA as u8,
                address: at
            }
        );
    }
    // A descriptor: the ring is allocated by the board, so the burst is named by its number.
    for nth in 0..3 {
        let injection = Injection {
            port: DATA,
            direction: Direction::Read,
            when: When::Burst(nth),
            effect: Effect::DecodeError,
        };
        let (fault, _) = inject(slow_data(), injection);
        assert!(
            matches!(fault, DeviceFault::BusRead { port: 4, .. }),
            "{fault}"
        );
    }
}

#[test]
fn write_errors_of_results_and_of_the_record() {
    for nth in 0..6 {
        let injection = Injection {
            port: DATA,
            direction: Direction::Write,
            when: When::Burst(nth),
            effect: if nth % 2 == 0 {
                Effect::SlaveError
            } else {
                Effect::DecodeError
            },
        };
        let (fault, _) = inject(BoardConfig::random(70 + nth), injection);
        assert!(
            matches!(fault, DeviceFault::BusWrite { .. }),
            "burst {nth}: {fault}"
        );
    }
    let probe = rig(BoardConfig::ideal());
    let at = probe
        .board
        .address(probe.steps[1].results.buffer, 128)
        .unwrap();
    let injection = Injection {
        port: DATA,
        direction: Direction::Write,
        when: When::Address(at),
        effect: Effect::SlaveError,
    };
    let (fault, step) = inject(BoardConfig::ideal(), injection);
    let DeviceFault::BusWrite { address } = fault else {
        panic!("{fault}")
    };
    assert!(
        (at - 128..=at).contains(&address),
        "{address:#x} is no burst that holds {at:#x}"
    );
    assert_eq!(step, 1);
}

#[test]
fn descriptors_that_break_a_rule() {
    // Byte, bits that flip, rule. The good descriptor: 3 groups, 3 tile rows, 1 vector, addresses in pages.
    let cases = [
        (0x00, 0x02, "version"),
        (0x01, 0x01, "macro_strips"),
        (0x02, 0x02, "reserved flag 1"),
        (0x03, 0x80, "reserved flag 15"),
        (0x04, 0x03, "groups 0"),
        (0x04, 0x80, "groups over the limit"),
        (0x05, 0x80, "groups far over the limit"),
        (0x06, 0x03, "tile_rows 0"),
        (0x0A, 0x01, "vectors 0"),
        (0x0A, 0x02, "vectors over the batch"),
        (0x0B, 0x01, "padding"),
        (0x0F, 0x80, "padding"),
        (0x10, 0x10, "activations alignment"),
        (0x15, 0x01, "activations above 40 bits"),
        (0x19, 0x08, "results alignment"),
        (0x1F, 0x80, "results above 40 bits"),
        (0x20, 0x01, "weights 0 alignment"),
        (0x2D, 0x01, "weights 1 above 40 bits"),
        (0x31, 0x04, "weights 2 alignment"),
        (0x3F, 0x01, "weights 3 above 40 bits"),
    ];
    let matrices = [1, 2].map(|seed| Matrix::random(96, 192, seed));
    let mut rig = Rig::new(slow_data(), matrices.into(), 1);
    for (case, (byte, mask, rule)) in cases.into_iter().enumerate() {
        let index = case % 2;
        rig.start().unwrap();
        rig.board.flip_descriptor(index, byte, mask).unwrap();
        rig.release(2).unwrap();
        let (fault, step) = fault(rig.finish());
        assert_eq!(
            fault,
            DeviceFault::BadDescriptor {
                index: index as u32
            },
            "{rule}"
        );
        assert!(step as usize <= index, "{rule}: step {step} is counted");
        check_halted(&mut rig, fault);
        rig.recover();
        rig.board.stop().unwrap();
    }
}

#[test]
fn reserved_bits_in_every_unit() {
    for port in 0..4 {
        // The zeros strip of group 1 of tile row 1; one bit at either end of the reserved ones and one between.
        for (byte, mask) in [(4, 0x01), (9, 0x10), (15, 0x80)] {
            let mut rig = rig(BoardConfig::typical(80));
            let offset = 4 * 288 + 16 + byte;
            rig.board.flip(rig.weights(port), offset, mask).unwrap();
            rig.release(1).unwrap();
            let (fault, step) = fault(rig.finish());
            assert_eq!(
                (fault, step),
                (DeviceFault::ReservedBits { port: port as u8 }, 0)
            );
            check_halted(&mut rig, fault);
            assert!(
                rig.board.completion().rows_done <= 32,
                "the bad tile row is reported"
            );
            rig.board.flip(rig.weights(port), offset, mask).unwrap();
            rig.recover();
        }
    }
}

#[test]
fn the_watchdog_ends_a_hang() {
    let cases = (0..5)
        .map(|port| (port, Direction::Read, if port == DATA { 2 } else { 1 }))
        .chain([(DATA, Direction::Write, 0)]);
    for (port, direction, nth) in cases {
        let config = BoardConfig {
            watchdog: 3000,
            drain_cycles: 5000,
            ..BoardConfig::ideal()
        };
        let mut rig = rig(config);
        // From now on: descriptors were not fetched yet when the first bursts of weights go out.
        let (when, effect) = (When::Burst(nth), Effect::Hang);
        rig.board.injector().add(Injection {
            port,
            direction,
            when,
            effect,
        });
        rig.release(2).unwrap();
        let begin = rig.board.cycle();
        // The bus cannot be drained, so there is neither record nor interrupt; the error register tells all the same.
        let timeout = Duration::from_micros(50);
        let (fault, step) = fault(rig.board.wait(2, u32::MAX, timeout));
        assert_eq!(fault, DeviceFault::Watchdog, "port {port} {direction:?}");
        assert!(step < 2);
        assert!(!rig.board.irq());
        assert!(
            matches!(rig.board.reset(), Err(DriverError::Timeout { .. })),
            "reset while it hangs"
        );
        assert!(rig.board.cycle() - begin > 3000);
        rig.recover();
    }
}

#[test]
fn a_late_port_lets_the_device_halt_cleanly() {
    for (port, direction, nth) in [(0, Direction::Read, 1), (3, Direction::Read, 2)] {
        let config = BoardConfig {
            watchdog: 3000,
            ..BoardConfig::ideal()
        };
        let mut rig = rig(config);
        let (when, effect) = (When::Burst(nth), Effect::Hang);
        rig.board.injector().add(Injection {
            port,
            direction,
            when,
            effect,
        });
        rig.release(2).unwrap();
        rig.board.run(6000).unwrap();
        rig.board.injector().clear();
        let (fault, step) = fault(rig.finish());
        assert_eq!(
            (fault, step),
            (DeviceFault::Watchdog, 0),
            "port {port} {direction:?}"
        );
        check_halted(&mut rig, fault);
        rig.recover();
    }
    // Nothing is released: waiting for the processor is no hang.
    let mut rig = rig(BoardConfig {
        watchdog: 500,
        ..BoardConfig::ideal()
    });
    rig.board.run(5000).unwrap();
    rig.round().unwrap();
    rig.board.run(5000).unwrap();
    rig.round().unwrap();
}

#[test]
fn wrong_programs_are_refused_with_step_and_rule() {
    let mut rig = rig(BoardConfig::ideal());
    let good = rig.steps.clone();
    type Break = fn(&mut macromac_driver::Step);
    let cases: [(Break, &str); 9] = [
        (|s| s.groups = 0, "groups must be 1 to 128, found 0"),
        (|s| s.groups = 129, "groups must be 1 to 128, found 129"),
        (|s| s.tile_rows = 0, "tile_rows must be"),
        (
            |s| s.weights[2].offset = 64,
            "weights of port 2: offset must be a multiple of 4096",
        ),
        (
            |s| s.weights[1].offset = 4096,
            "weights of port 1: 2880 bytes from offset 4096 on",
        ),
        (
            |s| s.results.buffer = s.activations.buffer,
            "results: buffer",
        ),
        (|s| s.tile_rows = 30, "weights of port 0: 43200 bytes"),
        (
            |s| s.activations.offset = 1 << 40,
            "activations: 1280 bytes from",
        ),
        (
            |s| s.activations.buffer.0 = 99,
            "activations: buffer 99: no such buffer",
        ),
    ];
    for (change, text) in cases {
        let mut steps = good.clone();
        change(&mut steps[1]);
        match rig.board.load_program(&steps) {
            Err(DriverError::BadStep { step: 1, reason }) => {
                assert!(reason.contains(text), "{reason}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
    assert!(matches!(
        rig.board.load_program(&[]),
        Err(DriverError::BadStep { .. })
    ));
    // The refused ones left the running program alone.
    rig.round().unwrap();
    let used = rig.steps[0].results.buffer;
    assert!(matches!(
        rig.board.free(used),
        Err(DriverError::BadBuffer { .. })
    ));
    rig.board.stop().unwrap();
    assert!(matches!(
        rig.board.doorbell(1),
        Err(DriverError::Sequence(_))
    ));
    rig.board.free(used).unwrap();
    assert!(matches!(
        rig.board.free(used),
        Err(DriverError::BadBuffer { .. })
    ));
    let err = rig.board.alloc(3 << 30, BufferUse::Weights).unwrap_err();
    assert!(matches!(err, DriverError::OutOfMemory { asked, .. } if asked == 3 << 30));
}

#[test]
fn stray_dma_ends_the_simulation() {
    // Byte of a descriptor, bits: what the device then does is right by the contract and wrong for the memory.
    let cases = [
        (0x14, 0x10, "m_axi_hpc0 AR", "no buffer holds it"),
        (0x1A, 0x40, "m_axi_hpc0 AW", "no buffer holds it"),
        (0x2C, 0x10, "m_axi_hp1 AR", "no buffer holds it"),
        // Twice as many tile rows: over the end of the buffers.
        (0x06, 0x04, "m_axi_hp", "no buffer holds it"),
    ];
    for (byte, mask, port, what) in cases {
        let mut rig = rig(slow_data());
        rig.board.flip_descriptor(0, byte, mask).unwrap();
        let released = rig.release(1);
        let text = match released.and_then(|()| rig.finish().map(drop)) {
            Err(DriverError::Simulation(text)) => text,
            other => panic!("byte {byte:#x}: {other:?}"),
        };
        assert!(text.contains(port) && text.contains(what), "{text}");
        assert!(
            text.starts_with("cycle ") && text.contains("DMA must stay in memory"),
            "{text}"
        );
        // Nothing can be trusted any more, so nothing goes on.
        assert!(matches!(rig.board.reset(), Err(DriverError::Simulation(again)) if again == text));
    }
}
