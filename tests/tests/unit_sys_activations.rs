//! Activation loader, buffer and reader together: every tile row sees the rows of its own step, in order, while the
//! next step is being loaded.

mod unit_sys_support;

use std::collections::VecDeque;

use macromac_rtl::{Harness, Pause, Pauser, mm_activations, run};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use unit_sys_support::{BEAT, Beat, unwritten};

/// Groups a bank of the model holds.
const MAX_GROUPS: u64 = 6;

#[derive(Debug, Clone, Copy)]
struct Step {
    page: u32,
    groups: u64,
    tile_rows: u64,
}

impl Step {
    fn words(&self) -> u64 {
        16 * self.groups
    }
}

struct Bench<'a> {
    h: &'a mut Harness<mm_activations::Top>,
    steps: VecDeque<Step>,
    /// Beats that memory owes.
    owed: VecDeque<u64>,
    send: Pauser,
    memory: Pauser,
    take: Pauser,
    latency: u64,
    wait: u64,
    /// Steps the device has, the first one with the number of words taken.
    inside: VecDeque<Step>,
    taken: u64,
    release: bool,
    /// Words taken in all, and cycles in which none was there.
    words: u64,
    empty: u64,
}

impl<'a> Bench<'a> {
    fn new(h: &'a mut Harness<mm_activations::Top>, pauses: [Pause; 3], latency: u64) -> Self {
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
            taken: 0,
            release: false,
            words: 0,
            empty: 0,
        }
    }

    fn step(&mut self) {
        let i = &mut self.h.dut.i;
        let offer = self.steps.front().filter(|_| !self.send.pause());
        i.step_valid_i = u8::from(offer.is_some());
        if let Some(s) = offer {
            (i.step_page_i, i.step_groups_i, i.step_tile_rows_i) =
                (s.page, s.groups as u16, s.tile_rows as u16);
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
        i.beat_data_i = beat.map(unwritten).unwrap_or_default();
        i.release_i = u8::from(std::mem::take(&mut self.release));
        i.act_pop_i = 0;
        let take = !self.take.pause();
        self.h.settle();
        let pop = take && self.h.dut.o.act_valid_o == 1;
        self.h.dut.i.act_pop_i = u8::from(pop);
        self.h.step();
        let o = self.h.dut.o;
        if offer.is_some() && o.step_ready_o == 1 {
            self.inside.extend(self.steps.pop_front());
        }
        if beat.is_some() {
            self.owed.pop_front();
        }
        if o.rd_valid_o == 1 && self.owed.is_empty() && self.h.dut.i.rd_ready_i == 1 {
            self.owed
                .extend((0..o.rd_beats_o).map(|k| o.rd_addr_o + BEAT * k));
            self.wait = self.latency;
        }
        if pop {
            let step = self.inside.front().expect("a word belongs to a step");
            let address = (u64::from(step.page) << 12) + BEAT * (self.taken % step.words());
            let expected: Beat = unwritten(address);
            assert_eq!(o.act_data_o, expected, "word {} of {step:x?}", self.taken);
            self.taken += 1;
            self.words += 1;
            if self.taken == step.words() * step.tile_rows {
                self.inside.pop_front();
                self.taken = 0;
                self.release = true;
            }
            self.h.progress();
        } else if take {
            self.empty += 1;
        }
    }

    fn run_all(&mut self) {
        while !(self.steps.is_empty() && self.inside.is_empty()) {
            self.step();
        }
        for _ in 0..4 {
            self.step();
        }
        assert_eq!(self.h.dut.o.act_valid_o, 0, "no word is left");
    }
}

fn random_steps(rng: &mut ChaCha8Rng, n: u32) -> Vec<Step> {
    (0..n)
        .map(|k| Step {
            page: 0x80_1000 + 0x10 * k,
            groups: rng.random_range(1..=MAX_GROUPS),
            tile_rows: rng.random_range(1..8),
        })
        .collect()
}

#[test]
fn rows_of_the_right_step_under_random_stalls() {
    for round in 0..16 {
        run(
            &format!("activations/random/{round}"),
            |h: &mut Harness<mm_activations::Top>| {
                let pauses = std::array::from_fn(|_| Pause::any(h.rng()));
                let mut rng = ChaCha8Rng::seed_from_u64(h.rng().random());
                let mut b = Bench::new(h, pauses, rng.random_range(0..50));
                b.steps.extend(random_steps(&mut rng, 30));
                b.run_all();
            },
        );
    }
}

#[test]
fn a_word_every_cycle_once_loaded() {
    run(
        "activations/throughput",
        |h: &mut Harness<mm_activations::Top>| {
            let mut b = Bench::new(h, [Pause::Never; 3], 0);
            for k in 0..10 {
                // Enough tile rows to cover the load of the next step.
                b.steps.push_back(Step {
                    page: 0x80_1000 + 0x10 * k,
                    groups: 3,
                    tile_rows: 4,
                });
            }
            b.run_all();
            // Only the first step's way in leaves the output empty: queue, request, first beat.
            assert!(b.empty <= 12, "{} cycles without a word", b.empty);
        },
    );
}

#[test]
fn the_first_tile_row_follows_the_load() {
    run(
        "activations/chase",
        |h: &mut Harness<mm_activations::Top>| {
            let mut b = Bench::new(h, [Pause::Never, Pause::Every { idle: 1 }, Pause::Never], 0);
            b.steps.push_back(Step {
                page: 0x80_1000,
                groups: MAX_GROUPS,
                tile_rows: 1,
            });
            let mut cycles = 0u64;
            while b.words < 16 * MAX_GROUPS {
                b.step();
                cycles += 1;
            }
            // A beat comes every second cycle: 192 cycles, not 192 + 96.
            assert!(cycles <= 2 * 16 * MAX_GROUPS + 10, "{cycles} cycles");
        },
    );
}

#[test]
fn flush_forgets() {
    run(
        "activations/flush",
        |h: &mut Harness<mm_activations::Top>| {
            let mut rng = ChaCha8Rng::seed_from_u64(h.rng().random());
            let mut b = Bench::new(h, [Pause::Never; 3], 3);
            for _ in 0..20 {
                b.steps.extend(random_steps(&mut rng, 4));
                for _ in 0..rng.random_range(1..300) {
                    b.step();
                }
                // Memory is idle when a flush comes: the sequencer drains first.
                b.owed.clear();
                b.steps.clear();
                b.inside.clear();
                (b.taken, b.release) = (0, false);
                b.h.dut.i.step_valid_i = 0;
                b.h.dut.i.beat_i = 0;
                b.h.dut.i.release_i = 0;
                b.h.dut.i.act_pop_i = 0;
                b.h.dut.i.flush_i = 1;
                b.h.step();
                b.h.dut.i.flush_i = 0;
                b.steps.extend(random_steps(&mut rng, 5));
                b.run_all();
            }
        },
    );
}
