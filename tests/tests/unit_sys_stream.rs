//! Lock step: which strips are taken when, what goes with them, and the reason for every cycle without one.

use std::collections::VecDeque;

use macromac_rtl::{Harness, Pause, Pauser, Verilated, mm_stream_ctrl, mm_stream_ctrl_kv260, run};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

#[derive(Debug, Clone, Copy)]
struct Step {
    groups: u64,
    tile_rows: u64,
    vectors: u64,
    /// Weights in format 2.
    tight: bool,
}

impl Step {
    /// Of `paper`.
    fn new(groups: u64, tile_rows: u64) -> Self {
        Self {
            groups,
            tile_rows,
            vectors: 1,
            tight: false,
        }
    }

    /// What each strip of a tile row is: its group, and whether it holds weights.
    fn tile_row(&self) -> Vec<(u64, bool)> {
        let mut strips = Vec::new();
        for group in 0..self.groups {
            let header = match (self.tight, group % 4) {
                (false, _) | (true, 0) => 2,
                _ => 1,
            };
            strips.extend(vec![(group, false); header]);
            strips.extend([(group, true); 16]);
        }
        strips
    }

    fn strips(&self) -> u64 {
        self.tile_row().len() as u64 * self.tile_rows
    }
}

/// The stream control of either profile: their ports are the same.
trait Stream: Verilated<In = mm_stream_ctrl::In, Out = mm_stream_ctrl::Out> {
    /// Units of `paper` take strips of even number in even cycles only.
    const PHASES: bool;
}

impl Stream for mm_stream_ctrl::Top {
    const PHASES: bool = true;
}

impl Stream for mm_stream_ctrl_kv260::Top {
    const PHASES: bool = false;
}

struct Bench<'a, T: Stream = mm_stream_ctrl::Top> {
    h: &'a mut Harness<T>,
    steps: VecDeque<Step>,
    inside: VecDeque<Step>,
    fifo: [Pauser; 4],
    fifo_valid: u8,
    act: Pauser,
    act_valid: bool,
    /// Stalls of the units beside their phase.
    room: Pauser,
    phase: u64,
    /// Strips taken of the present step, and in all.
    at: u64,
    strips: u64,
    /// Cycles that counted as stream time.
    streaming: u64,
    /// Cycles by reason of port 0: no data, no activations, no room, lock step.
    reasons: [u64; 4],
}

impl<'a, T: Stream> Bench<'a, T> {
    fn new(h: &'a mut Harness<T>, pauses: [Pause; 3]) -> Self {
        let [fifo, act, room] = pauses;
        let fifo = std::array::from_fn(|_| h.pauser(fifo));
        let (act, room) = (h.pauser(act), h.pauser(room));
        h.reset();
        h.dut.i.enable_i = 1;
        Self {
            h,
            steps: VecDeque::new(),
            inside: VecDeque::new(),
            fifo,
            fifo_valid: 0,
            act,
            act_valid: false,
            room,
            phase: 0,
            at: 0,
            strips: 0,
            streaming: 0,
            reasons: [0; 4],
        }
    }

    fn step(&mut self) {
        for (p, pauser) in self.fifo.iter_mut().enumerate() {
            if !pauser.pause() {
                self.fifo_valid |= 1 << p;
            }
        }
        self.act_valid |= !self.act.pause();
        let blocked = self.room.pause();
        let now = self.inside.front().map(|step| {
            let row = step.tile_row();
            (step.groups, row[self.at as usize % row.len()])
        });
        let weights = now.is_some_and(|(_, (_, weights))| weights);
        // As mm_unpacker: a strip enters in the phase of its number, a weight strip only with its activations.
        let phase = !T::PHASES || self.at % 18 % 2 == self.phase % 2;
        let ready = phase && (!weights || self.act_valid) && !blocked;
        let i = &mut self.h.dut.i;
        i.step_valid_i = u8::from(!self.steps.is_empty());
        if let Some(s) = self.steps.front() {
            (i.step_groups_i, i.step_tile_rows_i) = (s.groups as u16, s.tile_rows as u16);
            (i.step_vectors_i, i.step_tight_i) = (s.vectors as u8, u8::from(s.tight));
        }
        i.fifo_valid_i = self.fifo_valid;
        i.act_valid_i = u8::from(self.act_valid);
        i.strip_ready_i = if ready { 15 } else { 0 };
        i.no_room_i = u8::from(blocked);
        self.h.step();
        let o = self.h.dut.o;
        if !self.steps.is_empty() && o.step_ready_o == 1 {
            self.inside.extend(self.steps.pop_front());
        }
        let fire = o.strip_valid_o == 1 && ready;
        assert_eq!(
            o.pop_o == 1,
            fire,
            "a strip leaves the FIFOs when the units take it"
        );
        if o.strip_valid_o == 1 {
            assert_eq!(
                self.fifo_valid, 15,
                "a strip is offered only when every port has one"
            );
            let step = self.inside.front().expect("a strip belongs to a step");
            let (groups, (group, weights)) = now.expect("a strip belongs to a step");
            let what = format!("strip {} of {step:?}", self.at);
            assert_eq!(o.strip_last_o == 1, group + 1 == groups, "{what}");
            assert_eq!(o.strip_weight_o == 1, weights, "{what}");
            assert_eq!(o.strip_tight_o == 1, step.tight, "{what}");
            assert_eq!(u64::from(o.strip_vectors_o), step.vectors, "{what}");
        }
        assert_eq!(
            o.act_pop_o == 1,
            fire && weights,
            "activations go with weight strips"
        );
        let mut released = false;
        if fire {
            self.fifo_valid = 0;
            if weights {
                self.act_valid = false;
            }
            self.at += 1;
            self.strips += 1;
            let step = self.inside[0];
            if self.at == step.strips() {
                self.inside.pop_front();
                self.at = 0;
                released = true;
            }
            self.h.progress();
        }
        assert_eq!(
            o.release_o == 1,
            released,
            "the bank is free with the last strip"
        );
        // Exactly one of: a strip, a reason.
        let masks = [o.no_data_o, o.no_activations_o, o.no_room_o, o.lock_step_o];
        for p in 0..4 {
            let set = masks.iter().filter(|m| *m >> p & 1 == 1).count();
            assert_eq!(
                set,
                usize::from(!fire),
                "one reason for port {p}: {masks:?}"
            );
        }
        if !fire {
            for (count, mask) in self.reasons.iter_mut().zip(masks) {
                *count += u64::from(mask & 1);
            }
            assert_eq!(
                o.no_data_o,
                !self.h.dut.i.fifo_valid_i & 15,
                "no data means an empty FIFO"
            );
        }
        self.streaming += u64::from(o.streaming_o);
        self.phase += 1;
    }

    fn run_all(&mut self) {
        while !(self.steps.is_empty() && self.inside.is_empty()) {
            self.step();
        }
    }
}

/// Random patterns. A unit that is ready every second cycle could miss its phase for ever, so its stalls have no period.
fn random_pauses<T: Stream>(h: &mut Harness<T>) -> [Pause; 3] {
    let probability = h.rng().random_range(0.0..0.6);
    [
        Pause::any(h.rng()),
        Pause::any(h.rng()),
        Pause::Random { probability },
    ]
}

fn strips(steps: &[Step]) -> u64 {
    steps.iter().map(Step::strips).sum()
}

#[test]
fn order_under_random_stalls() {
    order::<mm_stream_ctrl::Top>();
}

#[test]
fn order_of_both_formats_under_random_stalls() {
    order::<mm_stream_ctrl_kv260::Top>();
}

fn order<T: Stream>() {
    for round in 0..16 {
        run(&format!("stream/random/{round}"), |h: &mut Harness<T>| {
            let pauses = random_pauses(h);
            let mut rng = ChaCha8Rng::seed_from_u64(h.rng().random());
            let mut b = Bench::new(h, pauses);
            let steps: Vec<Step> = (0..10)
                .map(|_| {
                    let mut step = Step::new(rng.random_range(1..5), rng.random_range(1..5));
                    if !T::PHASES {
                        step.groups = rng.random_range(1..11);
                        step.vectors = rng.random_range(1..17);
                        step.tight = rng.random();
                    }
                    step
                })
                .collect();
            b.steps.extend(&steps);
            b.run_all();
            assert_eq!(b.strips, strips(&steps));
        });
    }
}

#[test]
fn a_strip_every_cycle_across_steps() {
    run(
        "stream/throughput",
        |h: &mut Harness<mm_stream_ctrl::Top>| {
            let mut b = Bench::new(h, [Pause::Never; 3]);
            let steps = [(4, 3), (1, 1), (2, 2), (1, 5)]
                .map(|(groups, tile_rows)| Step::new(groups, tile_rows));
            b.steps.extend(&steps);
            b.run_all();
            assert_eq!(
                b.streaming,
                strips(&steps),
                "no cycle between the first strip and the last is lost"
            );
            assert!(b.reasons[2] == 0 && b.reasons[0] == 0, "{:?}", b.reasons);
        },
    );
}

#[test]
fn a_strip_every_cycle_of_both_formats() {
    run(
        "stream/throughput-kv260",
        |h: &mut Harness<mm_stream_ctrl_kv260::Top>| {
            let mut b = Bench::new(h, [Pause::Never; 3]);
            let steps = [
                (4, 3, true),
                (1, 1, false),
                (2, 2, true),
                (1, 5, true),
                (9, 2, false),
            ]
            .map(|(groups, tile_rows, tight)| Step {
                tight,
                ..Step::new(groups, tile_rows)
            });
            b.steps.extend(&steps);
            b.run_all();
            assert_eq!(b.streaming, strips(&steps));
        },
    );
}

#[test]
fn reasons_by_precedence() {
    run("stream/reasons", |h: &mut Harness<mm_stream_ctrl::Top>| {
        h.reset();
        h.dut.i.enable_i = 1;
        let masks = |h: &mut Harness<mm_stream_ctrl::Top>| {
            h.step();
            let o = h.dut.o;
            [o.no_data_o, o.no_activations_o, o.no_room_o, o.lock_step_o]
        };
        // No step: ports with data lack activations.
        (h.dut.i.fifo_valid_i, h.dut.i.no_room_i) = (0b0110, 1);
        assert_eq!(masks(h), [0b1001, 0b0110, 0, 0]);
        (
            h.dut.i.step_valid_i,
            h.dut.i.step_groups_i,
            h.dut.i.step_tile_rows_i,
        ) = (1, 1, 1);
        h.step();
        h.dut.i.step_valid_i = 0;
        for _ in 0..3 {
            h.step();
        }
        // A step without its first activations does not begin.
        assert_eq!(masks(h), [0b1001, 0b0110, 0, 0]);
        h.dut.i.act_valid_i = 1;
        // They are there, but two ports are empty: the others wait, for room first.
        assert_eq!(masks(h), [0b1001, 0, 0b0110, 0]);
        h.dut.i.no_room_i = 0;
        assert_eq!(masks(h), [0b1001, 0, 0, 0b0110]);
        // Two strips are taken, the second one without activations; then they are missing.
        (h.dut.i.fifo_valid_i, h.dut.i.strip_ready_i) = (0b1111, 0b1111);
        assert_eq!(masks(h), [0; 4]);
        h.dut.i.act_valid_i = 0;
        assert_eq!(masks(h), [0; 4]);
        h.dut.i.strip_ready_i = 0;
        assert_eq!(masks(h), [0, 0b1111, 0, 0]);
    });
}

#[test]
fn halt_offers_nothing_new() {
    for round in 0..8 {
        run(
            &format!("stream/halt/{round}"),
            |h: &mut Harness<mm_stream_ctrl::Top>| {
                let pauses = random_pauses(h);
                let mut rng = ChaCha8Rng::seed_from_u64(h.rng().random());
                let mut b = Bench::new(h, pauses);
                for _ in 0..10 {
                    b.steps.extend([Step::new(3, 9); 2]);
                    for _ in 0..rng.random_range(5..300) {
                        b.step();
                    }
                    b.h.dut.i.enable_i = 0;
                    let before = b.strips;
                    for _ in 0..200 {
                        b.step();
                    }
                    assert!(
                        b.strips <= before + 1,
                        "at most the strip that was offered is taken"
                    );
                    b.h.dut.i.flush_i = 1;
                    b.h.dut.i.step_valid_i = 0;
                    b.h.step();
                    b.h.dut.i.flush_i = 0;
                    b.phase += 1;
                    b.h.dut.i.enable_i = 1;
                    b.steps.clear();
                    b.inside.clear();
                    b.at = 0;
                    b.act_valid = false;
                }
                b.steps.extend([Step::new(2, 2); 2]);
                b.run_all();
            },
        );
    }
}
