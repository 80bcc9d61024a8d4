//! The board's write slave and its checkers by themselves: a scripted master breaks every rule once and must be caught.

mod board_support;

use board_support::{LIMITS, Lab, RESULTS, burst, expect};
use macromac_board::axi::{Address, WriteBeat, WriteMaster, WriteSlave};
use macromac_board::inject::{Direction, Effect, Injection, When};
use macromac_board::{Checked, PortConfig, Rule};

/// Plays a write: addresses and beats, each offered until taken, by different channels at their own pace.
struct WriteScript {
    aw: Vec<Address>,
    w: Vec<WriteBeat>,
    responses: Vec<u8>,
}

impl WriteScript {
    fn play(&mut self, lab: &mut Lab, slave: &mut WriteSlave, delay_aw: u64) -> Checked {
        let (mut a, mut d) = (0, 0);
        for cycle in 0..3000 {
            let aw = self.aw.get(a).copied().filter(|_| cycle >= delay_aw);
            let w = self.w.get(d).copied();
            let (aw_taken, w_taken) =
                (aw.is_some() && slave.aw_ready, w.is_some() && slave.w_ready);
            let b_ready = cycle % 3 != 0;
            if let (Some(b), true) = (slave.b, b_ready) {
                self.responses.push(b);
            }
            slave.cycle(WriteMaster { aw, w, b_ready }, &mut lab.world())?;
            a += usize::from(aw_taken);
            d += usize::from(w_taken);
        }
        Ok(())
    }
}

fn beats(count: u32, first: u32) -> Vec<WriteBeat> {
    (0..count)
        .map(|i| WriteBeat {
            data: [first + i; 4],
            strobe: 0xFFFF,
            last: i + 1 == count,
        })
        .collect()
}

fn writer(seed: u64) -> (Lab, WriteSlave) {
    let lab = Lab::new(PortConfig::random(seed, 4), seed);
    (lab, WriteSlave::new(4, LIMITS, &[RESULTS]))
}

#[test]
fn writes_arrive_with_their_response() {
    for seed in 0..8 {
        let (mut lab, mut slave) = writer(seed);
        let at = lab.results;
        let mut script = WriteScript {
            aw: vec![burst(at, 8), burst(at + 4096, 3)],
            w: [beats(8, 100), beats(3, 200)].concat(),
            responses: Vec::new(),
        };
        // Data may come before its address.
        script.play(&mut lab, &mut slave, 20 * (seed % 2)).unwrap();
        assert_eq!(script.responses, [0, 0]);
        let mut bytes = [0; 4];
        for (address, value) in [(at, 100), (at + 7 * 16 + 12, 107), (at + 4096 + 32, 202)] {
            lab.space.memory.read(address, &mut bytes);
            assert_eq!(u32::from_le_bytes(bytes), value);
        }
        assert_eq!(
            (slave.outstanding(), slave.unmatched(), slave.beats),
            (0, 0, 11)
        );
    }
}

#[test]
fn data_is_in_memory_no_sooner_than_its_response() {
    let mut lab = Lab::new(
        PortConfig {
            latency: 30,
            ..PortConfig::IDEAL
        },
        1,
    );
    let mut slave = WriteSlave::new(4, LIMITS, &[RESULTS]);
    let at = lab.results;
    let write = |slave: &mut WriteSlave, lab: &mut Lab, aw, w| {
        slave
            .cycle(
                WriteMaster {
                    aw,
                    w,
                    b_ready: false,
                },
                &mut lab.world(),
            )
            .unwrap();
    };
    write(&mut slave, &mut lab, None, None);
    write(
        &mut slave,
        &mut lab,
        Some(burst(at, 1)),
        Some(beats(1, 7)[0]),
    );
    let mut bytes = [0; 4];
    let mut waited = 0;
    while slave.b.is_none() {
        lab.space.memory.read(at, &mut bytes);
        assert_eq!(bytes, [0; 4]);
        write(&mut slave, &mut lab, None, None);
        waited += 1;
    }
    lab.space.memory.read(at, &mut bytes);
    assert_eq!((bytes[0], waited), (7, 29));
}

#[test]
fn every_rule_of_written_data_is_checked() {
    let play = |aw: &[u32], w: Vec<WriteBeat>| {
        let (mut lab, mut slave) = writer(1);
        let aw = aw.iter().map(|beats| burst(lab.results, *beats)).collect();
        let mut script = WriteScript {
            aw,
            w,
            responses: Vec::new(),
        };
        (script.play(&mut lab, &mut slave, 0), slave.unmatched())
    };
    let found = expect(play(&[8], beats(4, 0)).0, Rule::WriteLast);
    assert!(
        found.to_string().contains("early on beat 4 of 8"),
        "{found}"
    );
    let found = expect(play(&[4], beats(8, 0)).0, Rule::WriteLast);
    assert!(
        found.to_string().contains("missing on beat 4 of 4"),
        "{found}"
    );
    let mut holes = beats(4, 0);
    holes[2].strobe = 0xFF0F;
    expect(play(&[4], holes).0, Rule::Strobe);
    // Data that belongs to no address waits, and an idle device must not have any.
    let (result, unmatched) = play(&[4], [beats(4, 0), beats(2, 0)].concat());
    assert!(result.is_ok() && unmatched == 2);

    let stalled = |second: Option<WriteBeat>| {
        let (mut lab, mut slave) = writer(0);
        let first = WriteMaster {
            w: Some(beats(1, 5)[0]),
            ..WriteMaster::default()
        };
        slave.cycle(first, &mut lab.world()).unwrap();
        slave.cycle(
            WriteMaster {
                w: second,
                ..WriteMaster::default()
            },
            &mut lab.world(),
        )
    };
    expect(stalled(None), Rule::ValidDropped);
    expect(stalled(Some(beats(1, 6)[0])), Rule::PayloadChanged);
}

#[test]
fn a_failed_write_leaves_memory_alone() {
    let (mut lab, mut slave) = writer(3);
    let (port, direction, when) = (4, Direction::Write, When::Burst(0));
    lab.injector.add(Injection {
        port,
        direction,
        when,
        effect: Effect::SlaveError,
    });
    let at = lab.results;
    let aw = vec![burst(at, 2), burst(at + 64, 1)];
    let w = [beats(2, 9), beats(1, 9)].concat();
    let mut script = WriteScript {
        aw,
        w,
        responses: Vec::new(),
    };
    script.play(&mut lab, &mut slave, 0).unwrap();
    assert_eq!(script.responses, [2, 0]);
    let mut bytes = [0; 80];
    lab.space.memory.read(at, &mut bytes);
    assert_eq!((bytes[0], bytes[64]), (0, 9));
}
