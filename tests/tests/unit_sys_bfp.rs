//! Activations of the `kv260` profile: the converter against golden bit for bit, and the whole path with its buffers under
//! random stalls.

mod unit_sys_support;

use std::collections::VecDeque;

use macromac_golden::group::{Group, convert};
use macromac_rtl::{Harness, Pause, Pauser, mm_bfp_convert, mm_group_activations, run};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Beats, and words, of a slice: 64 activations of one group and vector.
const BEATS: usize = 16;
/// Cycles from the last beat of a slice to its first word.
const LATENCY: u64 = 11;

/// A slice of a kind: what rounding, saturation, flushing and the edges of the exponent need.
fn slice(rng: &mut ChaCha8Rng, kind: u32) -> [f32; 64] {
    let base = rng.random_range(20..230u32);
    let subnormal = |rng: &mut ChaCha8Rng| rng.random::<u32>() & 0x807F_FFFF;
    let mut acts: [f32; 64] = std::array::from_fn(|_| {
        let sign_fraction = rng.random::<u32>() & 0x807F_FFFF;
        let exponent = match kind % 10 {
            // Near each other: every shift from 0 on.
            0 => base + rng.random_range(0..18),
            1 => base + rng.random_range(0..3),
            // Anything finite.
            2 => rng.random_range(0..255),
            // Around the smallest normal number.
            3 => rng.random_range(0..4),
            // At the top.
            4 => rng.random_range(240..255),
            5 => 0,
            6 => return f32::from_bits(subnormal(rng)),
            _ => base,
        };
        // Few bits in the fraction make ties, all ones make saturation.
        let fraction = match (kind % 10, rng.random_range(0..3)) {
            (7, _) => 0x7F_FFFF - rng.random_range(0..0x200),
            (8, _) => rng.random::<u32>() & 0x7F_FF00,
            (_, 0) => 1 << rng.random_range(0..23),
            (_, 1) => rng.random::<u32>() & 0x7F_0300,
            _ => sign_fraction & 0x7F_FFFF,
        };
        f32::from_bits(sign_fraction & 0x8000_0000 | exponent << 23 | fraction)
    });
    if kind % 10 == 5 {
        acts = acts.map(|a| 0.0f32.copysign(a));
    }
    if kind % 10 == 9 {
        let bad = [
            f32::NAN,
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::from_bits(0xFF80_0001),
        ];
        acts[rng.random_range(0..64)] = bad[rng.random_range(0..4)];
    }
    acts
}

fn beats(acts: &[f32; 64]) -> impl Iterator<Item = [u32; 4]> + '_ {
    acts.chunks_exact(4)
        .map(|four| std::array::from_fn(|r| four[r].to_bits()))
}

/// Drives slices into the converter and compares every word with golden; gives the cycle of each slice's last beat and first
/// word.
fn convert_all(
    h: &mut Harness<mm_bfp_convert::Top>,
    slices: &[[f32; 64]],
    pause: Pause,
) -> Vec<(u64, u64)> {
    let mut pauser = h.pauser(pause);
    let mut queue: VecDeque<[u32; 4]> = slices.iter().flat_map(beats).collect();
    let golden: Vec<Group> = slices.iter().map(convert).collect();
    let (mut sent, mut words, mut times) = (0, 0, vec![(0, 0); slices.len()]);
    while words < BEATS * slices.len() {
        let beat = (!pauser.pause()).then(|| queue.pop_front()).flatten();
        h.dut.i.beat_valid_i = u8::from(beat.is_some());
        h.dut.i.beat_data_i = beat.unwrap_or([0xDEAD_BEEF; 4]);
        let cycle = h.cycle();
        h.step();
        let o = h.dut.o;
        if beat.is_some() {
            times[sent / BEATS].0 = cycle;
            sent += 1;
        }
        if o.word_valid_o == 1 {
            let (at, word) = (words / BEATS, words % BEATS);
            let want = &golden[at];
            if word == 0 {
                times[at].1 = cycle;
            }
            h.check_eq("word_last_o", o.word_last_o == 1, word == BEATS - 1);
            h.check_eq("word_exp_o", o.word_exp_o, want.exponent);
            h.check_eq("word_nan_o", o.word_nan_o == 1, !want.is_finite());
            // With a NaN the mantissas mean nothing.
            if want.is_finite() {
                let got: [i16; 4] = std::array::from_fn(|r| (o.word_mant_o >> (16 * r)) as i16);
                let want: [i16; 4] = std::array::from_fn(|r| want.m[4 * word + r]);
                h.check_eq(&format!("mantissas of word {word}, slice {at}"), got, want);
            }
            words += 1;
            h.progress();
        }
    }
    assert_eq!(sent, BEATS * slices.len());
    times
}

#[test]
fn converter_equals_golden() {
    for round in 0..12 {
        run(
            &format!("bfp/random/{round}"),
            |h: &mut Harness<mm_bfp_convert::Top>| {
                h.reset();
                let mut rng = ChaCha8Rng::seed_from_u64(h.rng().random());
                let slices: Vec<_> = (0..600).map(|k| slice(&mut rng, k)).collect();
                let pause = if round == 0 {
                    Pause::Never
                } else {
                    Pause::any(&mut rng)
                };
                let times = convert_all(h, &slices, pause);
                if round == 0 {
                    // A beat in and a word out every cycle.
                    for (last_beat, first_word) in &times {
                        assert_eq!(first_word - last_beat, LATENCY);
                    }
                    let whole = times[599].0 - times[0].0;
                    assert_eq!(whole, 599 * BEATS as u64);
                }
            },
        );
    }
}

/// Every distance from the largest exponent with fractions on both sides of every tie.
#[test]
fn converter_rounds_every_tie_to_even() {
    run("bfp/ties", |h: &mut Harness<mm_bfp_convert::Top>| {
        h.reset();
        let mut slices = Vec::new();
        for distance in 0..20u32 {
            for low in 0..8u32 {
                let mut acts = [0.0; 64];
                acts[0] = f32::from_bits(150 << 23);
                for (k, act) in acts.iter_mut().enumerate().skip(1) {
                    let half = 1u32 << (8 + distance).min(22);
                    let fraction = ((k as u32 >> 1) * half).wrapping_add(low).wrapping_sub(2);
                    let sign = (k as u32 & 1) << 31;
                    *act = f32::from_bits(sign | (150 - distance) << 23 | fraction & 0x7F_FFFF);
                }
                slices.push(acts);
            }
        }
        convert_all(h, &slices, Pause::Never);
    });
}

#[test]
fn converter_forgets_at_a_flush() {
    run("bfp/flush", |h: &mut Harness<mm_bfp_convert::Top>| {
        h.reset();
        let mut rng = ChaCha8Rng::seed_from_u64(h.rng().random());
        for round in 0..60 {
            for _ in 0..rng.random_range(0..40) {
                h.dut.i.beat_valid_i = u8::from(rng.random::<bool>());
                h.dut.i.beat_data_i = rng.random();
                h.step();
            }
            h.dut.i.beat_valid_i = 0;
            h.dut.i.flush_i = 1;
            h.step();
            h.dut.i.flush_i = 0;
            let slices = [slice(&mut rng, round), slice(&mut rng, round + 1)];
            convert_all(h, &slices, Pause::Never);
        }
    });
}

/// Limits of the model of the whole path.
const BATCH: usize = 3;
const MAX_GROUPS: usize = 6;

#[derive(Debug, Clone)]
struct Step {
    page: u32,
    groups: usize,
    tile_rows: usize,
    vectors: usize,
    slices: Vec<[f32; 64]>,
    golden: Vec<Group>,
}

fn random_step(rng: &mut ChaCha8Rng, page: u32) -> Step {
    let (groups, vectors) = (
        rng.random_range(1..=MAX_GROUPS),
        rng.random_range(1..=BATCH),
    );
    let slices: Vec<_> = (0..groups * vectors)
        .map(|_| {
            let kind = if rng.random_ratio(1, 30) {
                9
            } else {
                rng.random_range(0..9)
            };
            slice(rng, kind)
        })
        .collect();
    Step {
        page,
        groups,
        tile_rows: rng.random_range(1..8),
        vectors,
        golden: slices.iter().map(convert).collect(),
        slices,
    }
}

struct Bench<'a> {
    h: &'a mut Harness<mm_group_activations::Top>,
    steps: VecDeque<Step>,
    /// Beats that memory owes.
    owed: VecDeque<[u32; 4]>,
    send: Pauser,
    memory: Pauser,
    take: Pauser,
    latency: u64,
    wait: u64,
    /// Steps the device has, the first one with the number of words taken; and of these, those whose load was asked for.
    inside: VecDeque<Step>,
    asked: VecDeque<Step>,
    taken: usize,
    release: bool,
    /// Words taken in all, and cycles in which none was there.
    words: u64,
    empty: u64,
    nans: u64,
}

impl<'a> Bench<'a> {
    fn new(
        h: &'a mut Harness<mm_group_activations::Top>,
        pauses: [Pause; 3],
        latency: u64,
    ) -> Self {
        let [send, memory, take] = pauses.map(|p| h.pauser(p));
        h.reset();
        Self {
            h,
            steps: VecDeque::new(),
            owed: VecDeque::new(),
            send,
            memory,
            take,
            latency,
            wait: 0,
            inside: VecDeque::new(),
            asked: VecDeque::new(),
            taken: 0,
            release: false,
            words: 0,
            empty: 0,
            nans: 0,
        }
    }

    fn step(&mut self) {
        let i = &mut self.h.dut.i;
        let offer = self.steps.front().filter(|_| !self.send.pause());
        i.step_valid_i = u8::from(offer.is_some());
        if let Some(s) = offer {
            (i.step_page_i, i.step_groups_i, i.step_tile_rows_i) =
                (s.page, s.groups as u16, s.tile_rows as u16);
            (i.step_vectors_i, i.step_slices_i) = (s.vectors as u8, s.slices.len() as u32);
        }
        i.rd_ready_i = u8::from(self.owed.is_empty());
        self.wait = self.wait.saturating_sub(1);
        let paused = self.memory.pause();
        let beat = self
            .owed
            .front()
            .copied()
            .filter(|_| !paused && self.wait == 0);
        i.beat_i = u8::from(beat.is_some());
        i.beat_data_i = beat.unwrap_or_default();
        i.release_i = u8::from(std::mem::take(&mut self.release));
        i.act_pop_i = 0;
        let take = !self.take.pause();
        self.h.settle();
        let pop = take && self.h.dut.o.act_valid_o == 1;
        self.h.dut.i.act_pop_i = u8::from(pop);
        self.h.step();
        let o = self.h.dut.o;
        if offer.is_some() && o.step_ready_o == 1 {
            let step = self.steps.pop_front();
            self.asked.extend(step.clone());
            self.inside.extend(step);
        }
        if beat.is_some() {
            self.owed.pop_front();
        }
        if o.rd_valid_o == 1 && self.owed.is_empty() && self.h.dut.i.rd_ready_i == 1 {
            let step = self.asked.pop_front().expect("a read belongs to a step");
            assert_eq!(o.rd_addr_o, u64::from(step.page) << 12);
            assert_eq!(o.rd_beats_o, (BEATS * step.slices.len()) as u64);
            self.owed.extend(step.slices.iter().flat_map(beats));
            self.wait = self.latency;
        }
        self.nans += u64::from(o.nan_seen_o);
        if pop {
            self.check_word();
        } else if take {
            self.empty += 1;
        }
    }

    fn check_word(&mut self) {
        let o = self.h.dut.o;
        let step = self.inside.front().expect("a word belongs to a step");
        let word = self.taken % (BEATS * step.groups);
        let (group, i) = (word / BEATS, word % BEATS);
        for v in 0..step.vectors {
            let want = &step.golden[group * step.vectors + v];
            let exp = (o.act_exp_o >> (8 * v)) as u8;
            assert_eq!(exp, want.exponent, "exponent of vector {v}, word {word}");
            if want.is_finite() {
                let got: [i16; 4] =
                    std::array::from_fn(|r| (o.act_data_o[2 * v + r / 2] >> (16 * (r % 2))) as i16);
                let want: [i16; 4] = std::array::from_fn(|r| want.m[4 * i + r]);
                self.h
                    .check_eq(&format!("vector {v}, word {word}"), got, want);
            }
        }
        if word == BEATS * step.groups - 1 {
            let bad =
                |v: usize| (0..step.groups).any(|g| !step.golden[g * step.vectors + v].is_finite());
            let want = (0..step.vectors).fold(0, |mask, v| mask | u8::from(bad(v)) << v);
            self.h
                .check_eq("act_nan_o with the last word", o.act_nan_o, want);
        }
        self.taken += 1;
        self.words += 1;
        if self.taken == BEATS * step.groups * step.tile_rows {
            self.inside.pop_front();
            self.taken = 0;
            self.release = true;
        }
        self.h.progress();
    }

    fn run_all(&mut self) {
        while !(self.steps.is_empty() && self.inside.is_empty()) {
            self.step();
        }
        for _ in 0..10 {
            self.step();
        }
        assert_eq!(self.h.dut.o.act_valid_o, 0, "no word is left");
    }
}

#[test]
fn words_of_the_right_step_under_random_stalls() {
    for round in 0..16 {
        run(
            &format!("group_activations/random/{round}"),
            |h: &mut Harness<mm_group_activations::Top>| {
                let pauses = std::array::from_fn(|_| Pause::any(h.rng()));
                let mut rng = ChaCha8Rng::seed_from_u64(h.rng().random());
                let mut b = Bench::new(h, pauses, rng.random_range(0..50));
                b.steps
                    .extend((0..25).map(|k| random_step(&mut rng, 0x80_1000 + 0x10 * k)));
                let nans = b
                    .steps
                    .iter()
                    .flat_map(|s| &s.golden)
                    .filter(|g| !g.is_finite())
                    .count();
                b.run_all();
                assert_eq!(
                    b.nans,
                    (BEATS * nans) as u64,
                    "a pulse for every word of a bad slice"
                );
            },
        );
    }
}

#[test]
fn a_word_every_cycle_once_loaded() {
    run(
        "group_activations/throughput",
        |h: &mut Harness<mm_group_activations::Top>| {
            let mut rng = ChaCha8Rng::seed_from_u64(h.rng().random());
            let mut b = Bench::new(h, [Pause::Never; 3], 0);
            for k in 0..10 {
                let mut step = random_step(&mut rng, 0x80_1000 + 0x10 * k);
                // As many vectors throughout, and enough tile rows to cover the load of the next step.
                while step.groups != 3 || step.vectors != 2 {
                    step = random_step(&mut rng, 0x80_1000 + 0x10 * k);
                }
                step.tile_rows = 6;
                b.steps.push_back(step);
            }
            b.run_all();
            // Empty: until two slices are in, converted (11) and written (16), some cycles of queues; then, in the first tile
            // row, for each of two groups what two slices take longer than its words; one from step to step; and the 10 cycles
            // at the end.
            println!(
                "group_activations/throughput: {} cycles without a word",
                b.empty
            );
            let most = (2 * 16 + 11 + 16 + 8) + 2 * 16 + 9 + 10;
            assert!(
                b.empty <= most,
                "{} cycles without a word, at most {most} expected",
                b.empty
            );
        },
    );
}

#[test]
fn flush_forgets() {
    run(
        "group_activations/flush",
        |h: &mut Harness<mm_group_activations::Top>| {
            let mut rng = ChaCha8Rng::seed_from_u64(h.rng().random());
            let mut b = Bench::new(h, [Pause::Never; 3], 3);
            for _ in 0..20 {
                b.steps
                    .extend((0..4).map(|k| random_step(&mut rng, 0x10 * k)));
                for _ in 0..rng.random_range(1..300) {
                    b.step();
                }
                // Memory is idle when a flush comes: the sequencer drains first.
                for queue in [&mut b.steps, &mut b.inside, &mut b.asked] {
                    queue.clear();
                }
                b.owed.clear();
                (b.taken, b.release) = (0, false);
                let i = &mut b.h.dut.i;
                (i.step_valid_i, i.beat_i, i.release_i, i.act_pop_i) = (0, 0, 0, 0);
                i.flush_i = 1;
                b.h.step();
                b.h.dut.i.flush_i = 0;
                b.steps
                    .extend((0..5).map(|k| random_step(&mut rng, 0x10 * k)));
                b.run_all();
            }
        },
    );
}
