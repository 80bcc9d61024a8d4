//! The `kv260` unit `mm_group_mac` against golden, bit for bit, for Batch 1, 8 and 16 in both weight formats, with
//! stalls on every handshake; its time, its errors, its flush.

mod unit_group_common;
mod unit_mac_common;

use std::collections::VecDeque;

use macromac_golden::group::Format::{self, One, Two};
use macromac_golden::group::Vector;
use macromac_golden::macro_block::{MACRO_BYTES, TILE};
use macromac_rtl::{
    Harness, Pause, Sink, Source, Verilated, mm_group_mac, mm_group_mac_1, mm_group_mac_16, run,
};
use rand::Rng;
use unit_group_common::{Acts, Beat, GroupTile, encode, finite};
use unit_mac_common::{FLAVOURS, Flavour};

/// Cycles from a tile's last strip to its first result.
const LATENCY: u64 = 59;
/// Cycles in which what is in flight has surely come out.
const DRAIN: u64 = 200;

/// The unit for some Batch, as the testbench sees it.
trait Unit: Verilated {
    const BATCH: usize;
    fn strip(i: &mut Self::In, valid: bool, beat: &Beat);
    fn acts(i: &mut Self::In, valid: bool, acts: &Acts);
    fn result_ready(i: &mut Self::In, ready: bool);
    fn flush(i: &mut Self::In, flush: bool);
    fn outputs(o: &Self::Out) -> Outputs;
}

struct Outputs {
    strip_ready: bool,
    act_ready: bool,
    result: Option<[u32; TILE]>,
    error: bool,
}

/// Values to a port of 32-bit words, `BITS` bits each, lowest first.
fn words<const N: usize>(values: impl IntoIterator<Item = u32>, bits: usize) -> [u32; N] {
    let mut words = [0; N];
    for (n, value) in values.into_iter().enumerate() {
        words[n * bits / 32] |= value << (n * bits % 32);
    }
    words
}

fn mantissas(acts: &Acts) -> impl Iterator<Item = u32> {
    acts.mant
        .iter()
        .flatten()
        .map(|&m| u32::from(m.cast_unsigned()))
}

fn exponents(acts: &Acts) -> impl Iterator<Item = u32> {
    acts.exp.iter().map(|&e| u32::from(e))
}

fn double(words: [u32; 2]) -> u64 {
    u64::from(words[1]) << 32 | u64::from(words[0])
}

macro_rules! unit {
    ($model:ident, $batch:expr, $nan:ty, $mant:expr, $exp:expr) => {
        impl Unit for $model::Top {
            const BATCH: usize = $batch;
            fn strip(i: &mut Self::In, valid: bool, beat: &Beat) {
                i.strip_valid_i = u8::from(valid);
                i.strip_data_i = beat.data;
                i.strip_last_i = u8::from(beat.last);
                i.shared_zeros_i = u8::from(beat.shared);
                i.vectors_i = beat.vectors as u8;
                i.nan_i = (beat.nan & (((1u32 << $batch) - 1) as u16)) as $nan;
            }
            fn acts(i: &mut Self::In, valid: bool, acts: &Acts) {
                i.act_valid_i = u8::from(valid);
                i.act_data_i = $mant(words(mantissas(acts), 16));
                i.act_exp_i = $exp(words(exponents(acts), 8));
            }
            fn result_ready(i: &mut Self::In, ready: bool) {
                i.result_ready_i = u8::from(ready);
            }
            fn flush(i: &mut Self::In, flush: bool) {
                i.flush_i = u8::from(flush);
            }
            fn outputs(o: &Self::Out) -> Outputs {
                Outputs {
                    strip_ready: o.strip_ready_o == 1,
                    act_ready: o.act_ready_o == 1,
                    result: (o.result_valid_o == 1).then_some(o.result_data_o),
                    error: o.err_reserved_o == 1,
                }
            }
        }
    };
}

unit!(mm_group_mac_1, 1, u8, double, |w: [u32; 1]| w[0] as u8);
unit!(mm_group_mac, 8, u8, |w: [u32; 16]| w, double);
unit!(mm_group_mac_16, 16, u16, |w: [u32; 32]| w, |w: [u32; 4]| w);

/// The world around the unit: one source a stream, one sink, and what is expected of them.
struct Bench {
    strips: Source<Beat>,
    acts: Source<Acts>,
    results: Sink<[u32; TILE]>,
    /// Tile, vector, results.
    expected: VecDeque<(usize, usize, [u32; TILE])>,
    tiles: usize,
    /// Cycle of each strip taken and of each result seen first.
    taken_at: Vec<u64>,
    seen_at: Vec<u64>,
    standing: bool,
    noise: (Beat, Acts),
}

impl Bench {
    fn new<U: Unit>(h: &mut Harness<U>, pauses: [Pause; 3]) -> Self {
        let [strips, acts, results] = pauses;
        let beat = Beat {
            data: [0; 4],
            last: false,
            shared: false,
            vectors: 1,
            nan: 0,
        };
        let none = Acts {
            mant: vec![[0; 4]; U::BATCH],
            exp: vec![0; U::BATCH],
        };
        Self {
            strips: Source::new(h.pauser(strips)),
            acts: Source::new(h.pauser(acts)),
            results: Sink::new(h.pauser(results)),
            expected: VecDeque::new(),
            tiles: 0,
            taken_at: Vec::new(),
            seen_at: Vec::new(),
            standing: false,
            noise: (beat, none),
        }
    }

    fn queue<U: Unit>(&mut self, h: &mut Harness<U>, tile: &GroupTile) {
        let beats = tile.beats(h.rng());
        self.strips.extend(beats);
        self.acts.extend(tile.acts(h.rng(), U::BATCH));
        for (v, y) in tile.expected().into_iter().enumerate() {
            self.expected.push_back((self.tiles, v, y));
        }
        self.tiles += 1;
    }

    /// One cycle; the strip that was taken in it.
    fn cycle<U: Unit>(&mut self, h: &mut Harness<U>) -> Option<Beat> {
        let strip = self.strips.offer().copied();
        if strip.is_none() {
            self.noise.0.data = h.rng().random();
            self.noise.0.nan = h.rng().random();
            self.noise.0.last = h.rng().random();
            self.noise.0.shared = h.rng().random();
        }
        let acts = self.acts.offer().cloned();
        if acts.is_none() {
            self.noise.1.mant[0] = h.rng().random();
            self.noise.1.exp[0] = h.rng().random();
        }
        let beat = strip.unwrap_or(self.noise.0);
        U::acts(
            &mut h.dut.i,
            acts.is_some(),
            acts.as_ref().unwrap_or(&self.noise.1),
        );
        U::result_ready(&mut h.dut.i, self.results.ready());
        // Ready must not wait for valid: it is the same with and without an offer.
        U::strip(&mut h.dut.i, strip.is_none(), &beat);
        h.settle();
        let ready = U::outputs(&h.dut.o).strip_ready;
        U::strip(&mut h.dut.i, strip.is_some(), &beat);
        h.step();
        let o = U::outputs(&h.dut.o);
        h.check_eq(
            "strip_ready_o with and without an offer",
            ready,
            o.strip_ready,
        );

        if o.result.is_some() && !self.standing {
            self.seen_at.push(h.cycle() - 1);
        }
        let taken = self.results.clock(o.result);
        self.standing = o.result.is_some() && taken.is_none();
        if let Some(result) = taken {
            let Some((tile, vector, want)) = self.expected.pop_front() else {
                panic!("rtl != golden: a result that nobody expects: {result:08x?}");
            };
            if result != want {
                h.check_eq(
                    &format!("results of tile {tile}, vector {vector}"),
                    result.map(|y| format!("{y:08x}")),
                    want.map(|y| format!("{y:08x}")),
                );
            }
            h.progress();
        }
        self.acts.clock(o.act_ready);
        let taken = self.strips.clock(o.strip_ready);
        h.check_eq(
            "act_ready_o only with a strip",
            o.act_ready && taken.is_none(),
            false,
        );
        if taken.is_some() {
            self.taken_at.push(h.cycle() - 1);
            h.progress();
        }
        taken
    }

    fn finish<U: Unit>(&mut self, h: &mut Harness<U>) {
        while !self.expected.is_empty() {
            self.cycle(h);
        }
        assert!(self.strips.is_empty() && self.acts.is_empty());
        // Nothing comes after the last result.
        for _ in 0..DRAIN {
            self.cycle(h);
            let valid = U::outputs(&h.dut.o).result.is_some();
            h.check_eq("result_valid_o after the last result", valid, false);
        }
    }
}

fn any_pauses<U: Unit>(h: &mut Harness<U>) -> [Pause; 3] {
    std::array::from_fn(|_| Pause::any(h.rng()))
}

/// Tiles of any length, format and number of vectors, one after another, under stalls.
fn equals_golden<U: Unit>(rounds: usize, tiles: usize) {
    for round in 0..rounds {
        run(
            &format!("group/{}/{round}", U::BATCH),
            |h: &mut Harness<U>| {
                h.reset();
                let pauses = match round % 4 {
                    0 => [Pause::Never; 3],
                    // A receiver so slow that every tile waits for the results before it.
                    1 => {
                        let slow = Pause::Bursts {
                            active: 2,
                            idle: 200,
                        };
                        [Pause::Never, Pause::Never, slow]
                    }
                    _ => any_pauses(h),
                };
                let mut bench = Bench::new(h, pauses);
                for n in 0..tiles {
                    let flavour = FLAVOURS[(n + round) % FLAVOURS.len()];
                    let format = [One, Two][h.rng().random_range(0..2)];
                    let groups = [1, 2, 3, 4, 5, 7, 8, 9, 14][h.rng().random_range(0..9)];
                    let vectors = match n % 3 {
                        0 => U::BATCH,
                        _ => h.rng().random_range(1..=U::BATCH),
                    };
                    let tile = GroupTile::random(h.rng(), format, groups, vectors, flavour);
                    bench.queue(h, &tile);
                }
                bench.finish(h);
            },
        );
    }
}

#[test]
fn batch_1_equals_golden() {
    equals_golden::<mm_group_mac_1::Top>(12, 40);
}

#[test]
fn batch_8_equals_golden() {
    equals_golden::<mm_group_mac::Top>(16, 30);
}

#[test]
fn batch_16_equals_golden() {
    equals_golden::<mm_group_mac_16::Top>(8, 24);
}

/// Long output channels, as in a network: K = 896 and 4864.
#[test]
fn long_channels_equal_golden() {
    for (groups, format) in [(14, One), (14, Two), (76, One), (76, Two)] {
        run(
            &format!("group/long/{groups}/{format:?}"),
            |h: &mut Harness<mm_group_mac::Top>| {
                h.reset();
                let mut bench = Bench::new(h, [Pause::Never; 3]);
                for vectors in [8, 1, 5] {
                    let tile = GroupTile::random(h.rng(), format, groups, vectors, Flavour::Real);
                    bench.queue(h, &tile);
                }
                bench.finish(h);
            },
        );
    }
}

/// Without stalls a strip is taken in every single cycle, over macros and tiles, and the latency is the one that the
/// module's header promises.
fn rate<U: Unit>(vectors: usize, groups: usize, format: Format) {
    run(
        &format!("group/rate/{}/{vectors}/{groups}/{format:?}", U::BATCH),
        |h: &mut Harness<U>| {
            h.reset();
            let mut bench = Bench::new(h, [Pause::Never; 3]);
            let tiles = 6;
            for _ in 0..tiles {
                let tile = GroupTile::random(h.rng(), format, groups, vectors, Flavour::Real);
                bench.queue(h, &tile);
            }
            bench.finish(h);
            let strips = format.tile_strips(groups);
            let cycles = bench.taken_at[tiles * strips - 1] - bench.taken_at[0] + 1;
            h.check_eq(
                "cycles from the first to the last strip",
                cycles,
                (tiles * strips) as u64,
            );
            h.check_eq("results", bench.seen_at.len(), tiles * vectors);
            h.check_eq(
                "latency of the first result",
                bench.seen_at[0] - bench.taken_at[strips - 1],
                LATENCY,
            );
        },
    );
}

#[test]
fn takes_a_strip_every_cycle() {
    for format in [One, Two] {
        for groups in [8, 9, 14, 76] {
            rate::<mm_group_mac::Top>(8, groups, format);
        }
        rate::<mm_group_mac::Top>(1, 4, format);
        rate::<mm_group_mac_1::Top>(1, 4, format);
        rate::<mm_group_mac_16::Top>(16, 8, format);
        rate::<mm_group_mac_16::Top>(16, 14, format);
    }
}

/// The largest sums, every one of one sign: no field overflows, nothing collides.
#[test]
fn extreme_weights_and_mantissas() {
    run("group/extreme", |h: &mut Harness<mm_group_mac::Top>| {
        h.reset();
        let mut bench = Bench::new(h, [Pause::Never; 3]);
        for n in 0..64u32 {
            let mut block = [0u8; MACRO_BYTES];
            for c in 0..TILE {
                // 1.0
                block[2 * c..2 * c + 2].copy_from_slice(&0x3C00u16.to_le_bytes());
                // Alternating: a channel all 0 - 15, the other all 15 - 0, or as the bits of n say.
                let high = (n >> (c % 6)) & 1 == 1;
                let (q, z) = if high { (15, 0) } else { (0, 15) };
                block[16 + c / 2] |= z << (4 * (c % 2));
                for k in 0..64 {
                    block[32 + 4 * k + c / 2] |= q << (4 * (c % 2));
                }
            }
            let big = f32::from_bits(0x3FFF_FFFF);
            let vectors = (0..8)
                .map(|v| {
                    let x: Vec<f32> = (0..64)
                        .map(|k| match v {
                            0 => big,
                            1 => -big,
                            _ if (k >> (v - 2)) & 1 == 0 => big,
                            _ => -big,
                        })
                        .collect();
                    Vector::new(&x)
                })
                .collect::<Vec<_>>();
            assert!(vectors[0].groups[0].m == [32767; 64]);
            let tile = GroupTile {
                format: One,
                bytes: encode(One, &[block]),
                groups: 1,
                vectors,
            };
            bench.queue(h, &tile);
        }
        bench.finish(h);
    });
}

/// Every reserved bit once, a faultless tile between any two: one pulse, two cycles after the strip.
#[test]
fn reserved_bits_raise_the_error() {
    run("group/reserved", |h: &mut Harness<mm_group_mac::Top>| {
        h.reset();
        let pauses = any_pauses(h);
        let mut bench = Bench::new(h, pauses);
        let mut faulty = Vec::new();
        // Byte of the zeros strip, strip with which the fault is certain.
        let mut add = |h: &mut Harness<_>, bench: &mut Bench, format, groups: usize, bit| {
            let mut tile = GroupTile::random(h.rng(), format, groups, 2, Flavour::Real);
            // What the unit makes of it is as if the bit were not set.
            for (v, y) in tile.expected().into_iter().enumerate() {
                bench.expected.push_back((bench.tiles, v, y));
            }
            bench.tiles += 1;
            let first = faulty.len();
            faulty.resize(first + format.tile_strips(groups), false);
            if let Some(bit) = bit {
                let (zeros, certain) = match format {
                    One => (18 * (groups - 1) + 1, 18 * (groups - 1) + 1),
                    Two => {
                        let zeros = 69 * ((groups - 1) / 4);
                        (zeros, zeros + 1 + 17 * ((groups - 1) % 4))
                    }
                };
                let bit: usize = bit;
                tile.bytes[16 * zeros + bit / 8] |= 1 << (bit % 8);
                faulty[first + certain] = true;
            }
            let beats = tile.beats(h.rng());
            bench.strips.extend(beats);
            bench.acts.extend(tile.acts(h.rng(), 8));
        };
        for bit in 32..128 {
            add(h, &mut bench, One, 1 + bit % 3, Some(bit));
            add(h, &mut bench, Two, 1 + bit % 7, None);
            let groups = [1, 5, 9][bit % 3];
            add(h, &mut bench, Two, groups, Some(bit));
            if bit >= 96 {
                add(h, &mut bench, Two, 3, Some(bit));
                add(h, &mut bench, Two, 7, Some(bit));
            }
            add(h, &mut bench, One, 1, None);
        }
        let (mut taken, mut pulses) = (0, 0);
        let mut ahead = [false; 2];
        while !bench.expected.is_empty() {
            let strip = bench.cycle(h);
            let error = <mm_group_mac::Top as Unit>::outputs(&h.dut.o).error;
            h.check_eq("err_reserved_o", error, ahead[0]);
            pulses += usize::from(error);
            ahead = [ahead[1], false];
            if strip.is_some() {
                ahead[1] = faulty[taken];
                taken += 1;
            }
        }
        h.check_eq("error pulses", pulses, 96 * 2 + 32 * 2);
    });
}

/// Flushed anywhere, the unit forgets the tile and computes the next ones as if nothing had been.
#[test]
fn flush_forgets_everything_in_flight() {
    run("group/flush", |h: &mut Harness<mm_group_mac::Top>| {
        h.reset();
        for round in 0..200 {
            let pauses = if round % 2 == 0 {
                [Pause::Never; 3]
            } else {
                any_pauses(h)
            };
            let mut bench = Bench::new(h, pauses);
            for n in 0..4 {
                let format = [One, Two][(round + n) / 3 % 2];
                let (groups, vectors) = (h.rng().random_range(1..7), h.rng().random_range(1..=8));
                let flavour = FLAVOURS[round % FLAVOURS.len()];
                let tile = GroupTile::random(h.rng(), format, groups, vectors, flavour);
                bench.queue(h, &tile);
            }
            for _ in 0..h.rng().random_range(0..400) {
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
            for format in [One, Two] {
                let groups = h.rng().random_range(1..4);
                let tile = GroupTile::random(h.rng(), format, groups, 1 + round % 8, Flavour::Real);
                bench.queue(h, &tile);
            }
            bench.finish(h);
        }
    });
}

/// A vector's results do not depend on the others, nor on what an idle vector's pins carry.
#[test]
fn vectors_do_not_touch_each_other() {
    run("group/alone", |h: &mut Harness<mm_group_mac::Top>| {
        h.reset();
        let mut bench = Bench::new(h, [Pause::Never; 3]);
        let x = finite(h.rng(), 5, Flavour::Real);
        let mut tile = GroupTile::random(h.rng(), Two, 5, 1, Flavour::Real);
        tile.vectors = vec![Vector::new(&x)];
        let alone = tile.expected()[0];
        bench.queue(h, &tile);
        for v in 0..8 {
            let mut others: Vec<Vector> = (0..8)
                .map(|_| Vector::new(&finite(h.rng(), 5, Flavour::Huge)))
                .collect();
            others[v] = Vector::new(&x);
            tile.vectors = others;
            assert_eq!(tile.expected()[v], alone);
            bench.queue(h, &tile);
        }
        bench.finish(h);
    });
}
