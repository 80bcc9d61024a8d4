//! A whole MACRO_MAC against golden, bit for bit, with stalls on every handshake; its time, its
//! errors, its flush.

mod unit_mac_common;

use std::collections::VecDeque;

use macromac_golden::macro_block::{STRIPS, TILE};
use macromac_rtl::{Harness, Pause, Sink, Source, mm_macro_mac, run};
use rand::Rng;
use unit_mac_common::{FLAVOURS, Flavour, Strip, Tile};

/// Cycles from a tile's last strip to its result.
const LATENCY: u64 = 29;

type Mac = Harness<mm_macro_mac::Top>;

/// The world around the unit: one source a stream, one sink, and what is expected of them.
struct Bench {
    strips: Source<(Strip, bool)>,
    acts: Source<Strip>,
    results: Sink<[u32; TILE]>,
    expected: VecDeque<[u32; TILE]>,
    /// Cycle of each strip taken and of each result seen first.
    taken_at: Vec<u64>,
    seen_at: Vec<u64>,
    offered: bool,
    tiles_done: usize,
}

impl Bench {
    fn new(h: &mut Mac, pauses: [Pause; 3]) -> Self {
        let [strips, acts, results] = pauses;
        Self {
            strips: Source::new(h.pauser(strips)),
            acts: Source::new(h.pauser(acts)),
            results: Sink::new(h.pauser(results)),
            expected: VecDeque::new(),
            taken_at: Vec::new(),
            seen_at: Vec::new(),
            offered: false,
            tiles_done: 0,
        }
    }

    fn queue(&mut self, tile: &Tile) {
        self.strips.extend(tile.strips());
        self.acts.extend(tile.acts());
        self.expected.push_back(tile.expected());
    }

    /// One cycle. `reserved` says whether the strip taken in the cycle before was a faulty zero
    /// strip.
    fn cycle(&mut self, h: &mut Mac) -> Option<(Strip, bool)> {
        let strip = self.strips.offer().copied();
        let act = self.acts.offer().copied();
        h.dut.i.strip_data_i = strip.map_or_else(|| h.rng().random(), |s| s.0);
        h.dut.i.strip_last_i = strip.map_or_else(|| h.rng().random_range(0..2), |s| u8::from(s.1));
        h.dut.i.act_data_i = act.unwrap_or_else(|| h.rng().random());
        h.dut.i.act_valid_i = u8::from(act.is_some());
        h.dut.i.result_ready_i = u8::from(self.results.ready());
        // Ready must not wait for valid: it is the same with and without an offer.
        h.dut.i.strip_valid_i = u8::from(strip.is_none());
        h.settle();
        let ready = h.dut.o.strip_ready_o;
        h.dut.i.strip_valid_i = u8::from(strip.is_some());
        h.step();
        let o = h.dut.o;
        h.check_eq(
            "strip_ready_o with and without an offer",
            ready,
            o.strip_ready_o,
        );

        let valid = o.result_valid_o == 1;
        if valid && !self.offered {
            self.seen_at.push(h.cycle() - 1);
        }
        self.offered = valid && h.dut.i.result_ready_i == 0;
        if let Some(result) = self.results.clock(valid.then_some(o.result_data_o)) {
            let tile = self.tiles_done;
            h.check_eq(
                &format!("results of tile {tile}"),
                Some(result),
                self.expected.pop_front(),
            );
            self.tiles_done += 1;
            h.progress();
        }
        self.acts.clock(o.act_ready_o == 1);
        let taken = self.strips.clock(o.strip_ready_o == 1);
        if taken.is_some() {
            self.taken_at.push(h.cycle() - 1);
            h.progress();
        }
        taken
    }

    fn finish(&mut self, h: &mut Mac) {
        while !self.expected.is_empty() {
            self.cycle(h);
        }
        assert!(self.strips.is_empty() && self.acts.is_empty());
        // Nothing comes after the last result.
        for _ in 0..2 * LATENCY {
            self.cycle(h);
            h.check_eq("result_valid_o", h.dut.o.result_valid_o, 0);
        }
    }
}

fn any_pauses(h: &mut Mac) -> [Pause; 3] {
    [
        Pause::any(h.rng()),
        Pause::any(h.rng()),
        Pause::any(h.rng()),
    ]
}

#[test]
fn equals_golden_under_random_stalls() {
    for (k, tiles, rounds) in [
        (64, 24, 8),
        (128, 16, 8),
        (256, 12, 6),
        (1216, 3, 6),
        (4864, 1, 3),
    ] {
        for round in 0..rounds {
            run(&format!("mac/macro/{k}/{round}"), |h: &mut Mac| {
                h.reset();
                let mut pauses = any_pauses(h);
                if round % 3 == 0 {
                    // A receiver so slow that every tile waits for the result register.
                    let slow = Pause::Bursts {
                        active: 2,
                        idle: k as u32,
                    };
                    pauses = [Pause::Never, Pause::Never, slow];
                }
                let mut bench = Bench::new(h, pauses);
                for tile in 0..tiles {
                    let flavour = FLAVOURS[(tile + round) % FLAVOURS.len()];
                    bench.queue(&Tile::random(h.rng(), k / 64, flavour));
                }
                bench.finish(h);
            });
        }
    }
}

/// Tiles of different lengths after one another, as steps of a program follow each other.
#[test]
fn equals_golden_with_mixed_lengths() {
    for round in 0..8 {
        run(&format!("mac/macro/mixed/{round}"), |h: &mut Mac| {
            h.reset();
            let pauses = if round == 0 {
                [Pause::Never; 3]
            } else {
                any_pauses(h)
            };
            let mut bench = Bench::new(h, pauses);
            for tile in 0..24 {
                let groups = [1, 1, 2, 3, 5][h.rng().random_range(0..5)];
                bench.queue(&Tile::random(
                    h.rng(),
                    groups,
                    FLAVOURS[tile % FLAVOURS.len()],
                ));
            }
            bench.finish(h);
        });
    }
}

/// Without stalls a strip is taken in every single cycle, over macros and tiles, and the latencies
/// are those that the module's header promises.
#[test]
fn takes_a_strip_every_cycle() {
    for k in [128, 256, 1216, 4864] {
        run(&format!("mac/macro/rate/{k}"), |h: &mut Mac| {
            h.reset();
            let mut bench = Bench::new(h, [Pause::Never; 3]);
            let tiles = 4;
            for _ in 0..tiles {
                bench.queue(&Tile::random(h.rng(), k / 64, Flavour::Real));
            }
            bench.finish(h);
            let strips = tiles * (k / 64) * STRIPS;
            let cycles = bench.taken_at[strips - 1] - bench.taken_at[0] + 1;
            h.check_eq(
                "cycles from the first to the last strip",
                cycles,
                strips as u64,
            );
            for (tile, &seen) in bench.seen_at.iter().enumerate() {
                let last = bench.taken_at[(tile + 1) * (k / 64) * STRIPS - 1];
                h.check_eq("latency of a result", seen - last, LATENCY);
            }
        });
    }
}

/// The shortest tiles have to wait for the result register; the wait is as short as it can be.
#[test]
fn shortest_tiles_wait_for_the_result() {
    run("mac/macro/rate/64", |h: &mut Mac| {
        h.reset();
        let mut bench = Bench::new(h, [Pause::Never; 3]);
        for _ in 0..10 {
            bench.queue(&Tile::random(h.rng(), 1, Flavour::Real));
        }
        bench.finish(h);
        for tile in 1..10 {
            let last = |t: usize| bench.taken_at[(t + 1) * STRIPS - 1];
            // Result at 29, free a cycle later, next strip of odd phase.
            h.check_eq("cycles a tile", last(tile) - last(tile - 1), LATENCY + 1);
        }
    });
}

#[test]
fn reserved_bits_raise_the_error() {
    run("mac/macro/reserved", |h: &mut Mac| {
        h.reset();
        let pauses = any_pauses(h);
        let mut bench = Bench::new(h, pauses);
        // Every reserved bit once, a faultless macro between any two.
        for bit in 32..128 {
            for fault in [true, false] {
                let mut tile = Tile::random(h.rng(), 1, Flavour::Real);
                bench.expected.push_back(tile.expected());
                if fault {
                    tile.macros[0][16 + bit / 8] |= 1 << (bit % 8);
                }
                bench.strips.extend(tile.strips());
                bench.acts.extend(tile.acts());
            }
        }
        let (mut taken, mut faulty, mut pulses) = (0, false, 0);
        while !bench.expected.is_empty() {
            let strip = bench.cycle(h);
            // A pulse in the cycle after the faulty strip was taken, and in no other.
            h.check_eq("err_reserved_o", h.dut.o.err_reserved_o, u8::from(faulty));
            pulses += usize::from(faulty);
            faulty = false;
            if let Some((data, _)) = strip {
                faulty = taken % STRIPS == 1 && data[1..] != [0; 3];
                taken += 1;
            }
        }
        h.check_eq("error pulses", pulses, 96);
    });
}

/// Flushed anywhere, the unit forgets the tile and computes the next ones as if nothing had been.
#[test]
fn flush_forgets_everything_in_flight() {
    run("mac/macro/flush", |h: &mut Mac| {
        h.reset();
        for round in 0..200 {
            let pauses = if round % 2 == 0 {
                [Pause::Never; 3]
            } else {
                any_pauses(h)
            };
            let mut bench = Bench::new(h, pauses);
            let groups = h.rng().random_range(1..4);
            for _ in 0..3 {
                let flavour = FLAVOURS[round % FLAVOURS.len()];
                bench.queue(&Tile::random(h.rng(), groups, flavour));
            }
            let before = h.rng().random_range(0..160);
            for _ in 0..before {
                bench.cycle(h);
            }
            bench.strips.clear();
            bench.acts.clear();
            let i = &mut h.dut.i;
            (i.strip_valid_i, i.act_valid_i, i.result_ready_i) = (1, 1, 0);
            i.flush_i = 1;
            h.step();
            h.check_eq("strip_ready_o during flush", h.dut.o.strip_ready_o, 0);
            h.check_eq("act_ready_o during flush", h.dut.o.act_ready_o, 0);
            h.dut.i.flush_i = 0;

            let pauses = any_pauses(h);
            let mut bench = Bench::new(h, pauses);
            for _ in 0..2 {
                bench.queue(&Tile::random(h.rng(), groups, Flavour::Real));
            }
            bench.finish(h);
        }
    });
}
