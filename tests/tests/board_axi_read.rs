//! The board's read slave and its checkers by themselves: a scripted master breaks every rule once and must be caught.

mod board_support;

use board_support::{BASE, LIMITS, Lab, WEIGHTS, burst, expect};
use macromac_board::axi::{Address, ReadBeat, ReadMaster, ReadSlave, WriteMaster, WriteSlave};
use macromac_board::inject::{Direction, Effect, Injection, When};
use macromac_board::{Checked, PortConfig, Rule};

/// Offers an address until the slave takes it.
fn offer_read(lab: &mut Lab, slave: &mut ReadSlave, address: Address) -> Checked {
    loop {
        let taken = slave.ar_ready;
        slave.cycle(
            ReadMaster {
                ar: Some(address),
                r_ready: false,
            },
            &mut lab.world(),
        )?;
        if taken {
            return Ok(());
        }
    }
}

/// Takes one beat, with a pause before it.
fn take(lab: &mut Lab, slave: &mut ReadSlave, pause: u64) -> ReadBeat {
    for _ in 0..10_000 {
        let (r, ready) = (slave.r, pause == 0 || lab.cycle % (pause + 1) == 0);
        slave
            .cycle(
                ReadMaster {
                    ar: None,
                    r_ready: ready,
                },
                &mut lab.world(),
            )
            .unwrap();
        if let (Some(beat), true) = (r, ready) {
            return beat;
        }
    }
    panic!("no beat came");
}

#[test]
fn reads_deliver_what_memory_holds() {
    for seed in 0..8 {
        let config = PortConfig::random(seed, 0);
        let mut lab = Lab::new(config, seed);
        let mut slave = ReadSlave::new(0, LIMITS, &[WEIGHTS]);
        for (address, beats) in [(BASE, 64), (BASE + 4096 - 16, 1), (BASE + 8192 + 160, 7)] {
            offer_read(&mut lab, &mut slave, burst(address, beats)).unwrap();
            for beat in 0..beats {
                let got = take(&mut lab, &mut slave, seed % 3);
                let mut bytes = [0; 16];
                lab.space
                    .memory
                    .read(address + 16 * u64::from(beat), &mut bytes);
                let expected: Vec<u8> = got.data.iter().flat_map(|w| w.to_le_bytes()).collect();
                assert_eq!(bytes[..], expected[..]);
                assert_eq!((got.response, got.last), (0, beat + 1 == beats));
            }
            assert_eq!(slave.outstanding(), 0);
        }
        assert_eq!(slave.beats, 72);
    }
}

#[test]
fn ideal_reads_take_their_latency_and_no_more() {
    let mut lab = Lab::new(PortConfig::IDEAL, 1);
    let mut slave = ReadSlave::new(0, LIMITS, &[WEIGHTS]);
    slave
        .cycle(ReadMaster::default(), &mut lab.world())
        .unwrap();
    let address = Some(burst(BASE, 4));
    slave
        .cycle(
            ReadMaster {
                ar: address,
                r_ready: true,
            },
            &mut lab.world(),
        )
        .unwrap();
    let accepted = lab.cycle;
    let mut cycles = Vec::new();
    for _ in 0..40 {
        // The cycle that is about to be looked at is the one in which the slave drives this.
        if slave.r.is_some() {
            cycles.push(lab.cycle + 1 - accepted);
        }
        slave
            .cycle(
                ReadMaster {
                    ar: None,
                    r_ready: true,
                },
                &mut lab.world(),
            )
            .unwrap();
    }
    assert_eq!(cycles, [20, 21, 22, 23]);
}

#[test]
fn every_rule_of_addresses_is_checked() {
    let good = burst(BASE, 4);
    let cases = [
        (Address { burst: 0, ..good }, Rule::BurstType),
        (Address { burst: 2, ..good }, Rule::BurstType),
        (Address { size: 3, ..good }, Rule::BeatSize),
        (burst(BASE + 8, 4), Rule::Alignment),
        (burst(BASE, 65), Rule::BurstLength),
        (burst(BASE + 4096 - 32, 3), Rule::Crosses4K),
        (Address { cache: 2, ..good }, Rule::Attributes),
        (Address { prot: 1, ..good }, Rule::Attributes),
        (burst(BASE + 16384, 1), Rule::StrayAddress),
        (burst(BASE - 4096, 1), Rule::StrayAddress),
        (burst(0, 1), Rule::StrayAddress),
        (burst(1 << 39, 1), Rule::StrayAddress),
    ];
    for (address, rule) in cases {
        let mut lab = Lab::new(PortConfig::IDEAL, 1);
        let mut slave = ReadSlave::new(2, LIMITS, &[WEIGHTS]);
        let found = expect(offer_read(&mut lab, &mut slave, address), rule);
        assert_eq!(
            (found.interface.to_string(), found.cycle),
            ("m_axi_hp2".into(), lab.cycle)
        );
        // The write slave goes by the same rules.
        let mut lab = Lab::new(PortConfig::IDEAL, 1);
        let mut slave = WriteSlave::new(4, LIMITS, &[WEIGHTS]);
        let aw = WriteMaster {
            aw: Some(address),
            ..WriteMaster::default()
        };
        slave
            .cycle(WriteMaster::default(), &mut lab.world())
            .unwrap();
        expect(slave.cycle(aw, &mut lab.world()), rule);
    }
    // Allocated, but not for this purpose.
    let mut lab = Lab::new(PortConfig::IDEAL, 1);
    let mut slave = ReadSlave::new(0, LIMITS, &[WEIGHTS]);
    let address = burst(lab.results, 1);
    let found = expect(
        offer_read(&mut lab, &mut slave, address),
        Rule::StrayAddress,
    );
    assert!(
        found.to_string().contains("it belongs to: results"),
        "{found}"
    );
}

#[test]
fn waiting_addresses_must_hold_still() {
    let stalled = || {
        let mut lab = Lab::new(PortConfig::IDEAL, 1);
        let mut slave = ReadSlave::new(1, LIMITS, &[WEIGHTS]);
        // In its first cycle the slave is not ready, so the master has to wait.
        let ar = Some(burst(BASE, 4));
        slave
            .cycle(ReadMaster { ar, r_ready: true }, &mut lab.world())
            .unwrap();
        (lab, slave)
    };
    let (mut lab, mut slave) = stalled();
    let found = slave.cycle(ReadMaster::default(), &mut lab.world());
    expect(found, Rule::ValidDropped);
    let (mut lab, mut slave) = stalled();
    let ar = Some(burst(BASE, 5));
    let found = slave.cycle(ReadMaster { ar, r_ready: true }, &mut lab.world());
    expect(found, Rule::PayloadChanged);
    let (mut lab, mut slave) = stalled();
    let ar = Some(burst(BASE, 4));
    slave
        .cycle(ReadMaster { ar, r_ready: true }, &mut lab.world())
        .unwrap();
}

#[test]
fn too_many_bursts_are_noticed() {
    let mut lab = Lab::new(
        PortConfig {
            latency: 1000,
            ..PortConfig::IDEAL
        },
        1,
    );
    let mut slave = ReadSlave::new(0, LIMITS, &[WEIGHTS]);
    for _ in 0..3 {
        offer_read(&mut lab, &mut slave, burst(BASE, 4)).unwrap();
    }
    expect(
        offer_read(&mut lab, &mut slave, burst(BASE, 4)),
        Rule::Outstanding,
    );
}

#[test]
fn injected_errors_hit_the_right_beats() {
    let read = |when, effect| {
        let mut lab = Lab::new(PortConfig::IDEAL, 1);
        let mut slave = ReadSlave::new(0, LIMITS, &[WEIGHTS]);
        lab.injector.add(Injection {
            port: 0,
            direction: Direction::Read,
            when,
            effect,
        });
        let mut codes = Vec::new();
        for first in [BASE, BASE + 1024] {
            offer_read(&mut lab, &mut slave, burst(first, 4)).unwrap();
            codes.extend((0..4).map(|_| take(&mut lab, &mut slave, 0).response));
        }
        codes
    };
    assert_eq!(
        read(When::Address(BASE + 40), Effect::SlaveError),
        [0, 0, 2, 0, 0, 0, 0, 0]
    );
    assert_eq!(
        read(When::Burst(1), Effect::DecodeError),
        [0, 0, 0, 0, 3, 3, 3, 3]
    );
}

#[test]
fn a_hanging_port_goes_on_when_it_is_cleared() {
    let mut lab = Lab::new(PortConfig::IDEAL, 1);
    let mut slave = ReadSlave::new(0, LIMITS, &[WEIGHTS]);
    let (direction, when, effect) = (Direction::Read, When::Burst(0), Effect::Hang);
    lab.injector.add(Injection {
        port: 0,
        direction,
        when,
        effect,
    });
    offer_read(&mut lab, &mut slave, burst(BASE, 2)).unwrap();
    for _ in 0..500 {
        slave
            .cycle(
                ReadMaster {
                    ar: None,
                    r_ready: true,
                },
                &mut lab.world(),
            )
            .unwrap();
        assert!(slave.r.is_none());
    }
    lab.injector.clear();
    take(&mut lab, &mut slave, 0);
    assert!(take(&mut lab, &mut slave, 0).last);
}
