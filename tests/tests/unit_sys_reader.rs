//! mm_axi_reader with its prefetch FIFO against a memory with random latency, gaps and back-pressure.
//!
//! The slave checks each burst (4 KiB rule, length, bursts in flight); an assertion in the testbench top proves that
//! a beat that was asked for always finds room.

mod unit_sys_support;

use std::collections::VecDeque;

use macromac_rtl::{
    Harness, Pause, Sink, Source, mm_tb_reader, mm_tb_reader_small, mm_tb_reader_staged, run,
};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use unit_sys_support::{BEAT, Beat, Burst, Memory, ReadSlave, Timing};

/// A segment: address, beats.
type Segment = (u64, u64);

/// What both models have in common.
macro_rules! bench {
    ($name:ident, $model:ident, $longest:expr, $outstanding:expr) => {
        struct $name<'a> {
            h: &'a mut Harness<$model::Top>,
            memory: Memory,
            slave: ReadSlave,
            source: Source<Segment>,
            sink: Sink<Beat>,
            got: VecDeque<Beat>,
            cycle: u64,
            /// Cycle of the first and of the last beat from memory.
            first_beat: Option<u64>,
            last_beat: u64,
            error: Option<u64>,
            rng: ChaCha8Rng,
        }

        impl<'a> $name<'a> {
            fn new(
                h: &'a mut Harness<$model::Top>,
                timing: impl Fn(&mut Harness<$model::Top>) -> Timing,
                pauses: impl Fn(&mut ChaCha8Rng) -> Pause,
            ) -> Self {
                use rand::SeedableRng;
                let slave = ReadSlave::new(timing(h), $longest, $outstanding);
                let (send, receive) = (pauses(h.rng()), pauses(h.rng()));
                let source = Source::new(h.pauser(send));
                let sink = Sink::new(h.pauser(receive));
                let rng = ChaCha8Rng::seed_from_u64(h.rng().random());
                h.reset();
                Self {
                    h,
                    memory: Memory::default(),
                    slave,
                    source,
                    sink,
                    got: VecDeque::new(),
                    cycle: 0,
                    first_beat: None,
                    last_beat: 0,
                    error: None,
                    rng,
                }
            }

            fn step(&mut self) {
                let d = self.slave.drive(&self.memory);
                let offer = self.source.offer().copied();
                let i = &mut self.h.dut.i;
                (i.m_axi_arready, i.m_axi_rvalid) = (u8::from(d.ar_ready), u8::from(d.valid));
                (i.m_axi_rdata, i.m_axi_rresp, i.m_axi_rlast) = (d.data, d.resp, u8::from(d.last));
                i.cmd_valid_i = u8::from(offer.is_some());
                (i.cmd_addr_i, i.cmd_beats_i) = offer.unwrap_or_default();
                i.out_ready_i = u8::from(self.sink.ready());
                self.h.step();
                let o = &self.h.dut.o;
                self.source.clock(o.cmd_ready_o == 1);
                let burst = Burst::new(o.m_axi_arvalid, o.m_axi_araddr, o.m_axi_arlen);
                let taken = self.slave.clock(burst, o.m_axi_rready == 1, &mut self.rng);
                assert_eq!(taken, o.beat_o == 1, "beat_o follows R");
                if taken {
                    self.first_beat.get_or_insert(self.cycle);
                    self.last_beat = self.cycle;
                }
                if o.err_valid_o == 1 {
                    self.error.get_or_insert(o.err_addr_o);
                }
                let offered = (o.out_valid_o == 1).then_some(o.out_data_o);
                let word = self.sink.clock(offered);
                self.got.extend(word);
                if taken || word.is_some() {
                    self.h.progress();
                }
                self.cycle += 1;
            }

            /// Sends segments and checks every beat and its place.
            fn read(&mut self, segments: &[Segment]) {
                self.source.extend(segments.iter().copied());
                let expected: Vec<u64> = segments
                    .iter()
                    .flat_map(|&(address, beats)| (0..beats).map(move |i| address + BEAT * i))
                    .collect();
                let mut seen = 0;
                while seen < expected.len() {
                    self.step();
                    while let Some(word) = self.got.pop_front() {
                        self.h
                            .check_eq("beat", word, self.memory.word(expected[seen]));
                        seen += 1;
                    }
                }
                for _ in 0..20 {
                    self.step();
                }
                assert!(self.got.is_empty(), "more beats than asked for");
                assert_eq!(self.h.dut.o.idle_o, 1, "idle after the last beat");
            }
        }
    };
}

bench!(Bench, mm_tb_reader, 64, 8);
bench!(SmallBench, mm_tb_reader_small, 4, 3);
bench!(StagedBench, mm_tb_reader_staged, 64, 8);

fn random_segments(rng: &mut ChaCha8Rng, beats: u64) -> Vec<Segment> {
    let mut segments = Vec::new();
    let mut left = beats;
    while left > 0 {
        let most = if rng.random_range(0..4) == 0 { 700 } else { 40 };
        let length = rng.random_range(1..=left.min(most));
        // Above 4 GiB, and often close before a 4 KiB line.
        let page = rng.random_range(0x80_0000u64..0xFFF_FFF0);
        let place = if rng.random() {
            rng.random_range(0..256)
        } else {
            256 - rng.random_range(1..8)
        };
        segments.push(((page << 12) + BEAT * place, length));
        left -= length;
    }
    segments
}

#[test]
fn order_and_legality_under_random_stalls() {
    for round in 0..12 {
        run(
            &format!("reader/random/{round}"),
            |h: &mut Harness<mm_tb_reader::Top>| {
                let mut b = Bench::new(h, Timing::random, Pause::any);
                let segments = random_segments(&mut b.rng, 3000);
                b.read(&segments);
            },
        );
    }
}

#[test]
fn small_limits_under_random_stalls() {
    for round in 0..12 {
        run(
            &format!("reader/small/{round}"),
            |h: &mut Harness<mm_tb_reader_small::Top>| {
                let mut b = SmallBench::new(h, Timing::random, Pause::any);
                let segments = random_segments(&mut b.rng, 1500);
                b.read(&segments);
            },
        );
    }
}

#[test]
fn staged_plan_under_random_stalls() {
    for round in 0..12 {
        run(
            &format!("reader/staged/{round}"),
            |h: &mut Harness<mm_tb_reader_staged::Top>| {
                let mut b = StagedBench::new(h, Timing::random, Pause::any);
                let segments = random_segments(&mut b.rng, 3000);
                b.read(&segments);
            },
        );
    }
}

#[test]
fn staged_plan_loses_no_cycle_across_segments() {
    run(
        "reader/staged-throughput",
        |h: &mut Harness<mm_tb_reader_staged::Top>| {
            let mut b = StagedBench::new(h, |h| Timing::ideal(h, 1), |_| Pause::Never);
            let segments = [
                (0x8_0000_0000, 1000),
                (0x9_0000_1000, 18),
                (0x8_7000_0000, 500),
                (0x8_0000_0000, 36),
            ];
            b.read(&segments);
            let beats: u64 = segments.iter().map(|s| s.1).sum();
            let cycles = b.last_beat - b.first_beat.unwrap() + 1;
            assert_eq!(cycles, beats, "cycles from the first beat to the last");
        },
    );
}

#[test]
fn a_beat_every_cycle_across_segments() {
    run("reader/throughput", |h: &mut Harness<mm_tb_reader::Top>| {
        let mut b = Bench::new(h, |h| Timing::ideal(h, 1), |_| Pause::Never);
        let segments = [
            (0x8_0000_0000, 1000),
            (0x9_0000_1000, 18),
            (0x8_7000_0000, 500),
            (0x8_0000_0000, 36),
        ];
        b.read(&segments);
        let beats: u64 = segments.iter().map(|s| s.1).sum();
        let cycles = b.last_beat - b.first_beat.unwrap() + 1;
        assert_eq!(cycles, beats, "cycles from the first beat to the last");
        assert_eq!(
            b.slave.bursts[0].beats, 64,
            "long bursts where the place allows them"
        );
    });
}

#[test]
fn hides_memory_latency() {
    run("reader/latency", |h: &mut Harness<mm_tb_reader::Top>| {
        let mut b = Bench::new(h, |h| Timing::ideal(h, 1), |_| Pause::Never);
        // Four bursts in the FIFO's room of 256 beats cover a latency well below 192 cycles without a gap.
        b.slave.fixed_latency = 120;
        b.read(&[(0x8_0000_0000, 4000)]);
        let cycles = b.last_beat - b.first_beat.unwrap() + 1;
        assert_eq!(cycles, 4000, "cycles from the first beat to the last");
    });
}

#[test]
fn error_names_its_burst() {
    for round in 0..8 {
        run(
            &format!("reader/error/{round}"),
            |h: &mut Harness<mm_tb_reader::Top>| {
                let mut b = Bench::new(h, Timing::random, Pause::any);
                let bad = 0x8_1234_5000 + BEAT * b.rng.random_range(0..512);
                b.slave.bad = Some(bad);
                b.read(&[
                    (0x8_0000_0000, 100),
                    (0x8_1234_5000, 512),
                    (0x8_0000_0000, 100),
                ]);
                let burst = b
                    .slave
                    .bursts
                    .iter()
                    .find(|u| (u.address..u.address + BEAT * u.beats).contains(&bad));
                assert_eq!(
                    b.error,
                    burst.map(|u| u.address),
                    "address of the failed burst"
                );
            },
        );
    }
}

#[test]
fn drain_takes_everything_and_recovers() {
    for round in 0..16 {
        run(
            &format!("reader/drain/{round}"),
            |h: &mut Harness<mm_tb_reader::Top>| {
                let mut b = Bench::new(h, Timing::random, Pause::any);
                for _ in 0..4 {
                    let first = random_segments(&mut b.rng, 2000);
                    b.source.extend(first);
                    for _ in 0..b.rng.random_range(1..400) {
                        b.step();
                    }
                    // Drain: an address that is up must stay, every beat asked for must be taken.
                    b.source.clear();
                    b.h.dut.i.drain_i = 1;
                    b.slave.bad = b.slave.next_beat();
                    b.error = None;
                    b.step();
                    let bursts = b.slave.bursts.len();
                    while b.h.dut.o.idle_o == 0 {
                        b.step();
                    }
                    assert!(b.slave.is_idle(), "idle while a burst is under way");
                    assert!(
                        b.slave.bursts.len() <= bursts + 1,
                        "a new burst while draining"
                    );
                    assert_eq!(b.error, None, "an error is reported while draining");
                    b.slave.bad = None;
                    b.h.dut.i.flush_i = 1;
                    b.step();
                    b.h.dut.i.flush_i = 0;
                    b.sink.forget();
                    b.h.dut.i.drain_i = 0;
                    b.got.clear();
                    // All credits are back: a read longer than the FIFO comes through.
                    let again = random_segments(&mut b.rng, 600);
                    b.read(&again);
                }
            },
        );
    }
}
