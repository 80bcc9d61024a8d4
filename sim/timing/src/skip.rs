//! Layers that are not stepped: a program whose layers are alike is cut to five of them, and what the fourth one took, call by call,
//! stands for those that were left out.
//!
//! ```text
//! program     layer 0 .. 2   layer 3   layer 4 .. L-2   layer L-1   head
//! stepped     layer 0 .. 2   layer 3                    layer L-1   head
//!                            `-- noted, and played again for each of those --'
//! ```
//!
//! The device does not see a difference: its ring is shorter. It stands still while layers are played again, so what it has prefetched is of the layer
//! that comes next, as it would be.

use std::time::Duration;

use macromac_driver::{PassShape, Ticket};

use crate::chip::Counts;

/// Layers that are stepped.
const KEPT: usize = 5;

/// A call of software.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    /// A step of the layer, by its place in it.
    Submit(usize),
    /// A wait for so many rows of the step so many submissions ago.
    Wait(u64, usize),
    /// Time of the PS, and bytes.
    Elapse(Duration, u64),
}

/// What is stepped and what is played again in a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cut {
    /// Steps of a layer.
    period: usize,
    layers: usize,
    steps: usize,
}

/// Where a program stands, and the layer that was noted.
#[derive(Debug, Default)]
pub(crate) struct Skip {
    cut: Option<Cut>,
    /// Ring index of the next submission.
    next: usize,
    noting: bool,
    playing: bool,
    noted: Vec<(Call, u64)>,
    place: usize,
    begun: Option<Counts>,
    /// Tickets of the noted layer's steps.
    tickets: Vec<Ticket>,
    /// What the noted layer counted.
    layer: Counts,
    /// Cycles that were played.
    pub cycles: u64,
}

/// The fewest steps after which shapes repeat to the end, but for a tail shorter than that.
fn cut(program: &[usize], passes: &[PassShape]) -> Option<Cut> {
    let shape = |step: usize| passes[program[step]];
    let steps = program.len();
    (1..=steps / (KEPT + 1)).find_map(|period| {
        let same = (period..steps).take_while(|s| shape(*s) == shape(s % period));
        let layers = (period + same.count()) / period;
        let whole = steps - layers * period < period;
        (layers > KEPT && whole).then_some(Cut {
            period,
            layers,
            steps,
        })
    })
}

impl Skip {
    /// The program that the device steps.
    pub fn program(&mut self, program: &[usize], passes: &[PassShape]) -> Vec<usize> {
        let cycles = self.cycles;
        *self = Skip {
            cut: cut(program, passes),
            cycles,
            ..Skip::default()
        };
        match self.cut {
            Some(c) => {
                let first = (KEPT - 1) * c.period;
                let last = (c.layers - 1) * c.period;
                [&program[..first], &program[last..]].concat()
            }
            None => program.to_vec(),
        }
    }

    /// A submission comes: whether it is played; what the layers that end with it counted, and how many they are.
    pub fn submit(&mut self, counts: &Counts) -> (bool, Option<(Counts, u64)>) {
        let Some(cut) = self.cut else {
            return (false, None);
        };
        let mut left_out = None;
        let layer = |n: usize| n * cut.period;
        if self.next == layer(KEPT - 2) {
            self.noting = true;
            self.noted.clear();
            self.tickets.clear();
            self.begun = Some(counts.clone());
        }
        if self.next == layer(KEPT - 1) {
            (self.noting, self.playing, self.place) = (false, true, 0);
            if let Some(begun) = self.begun.take() {
                self.layer = counts.since(&begun);
            }
        }
        if self.next == layer(cut.layers - 1) && self.playing {
            self.playing = false;
            left_out = Some((self.layer.clone(), (cut.layers - KEPT) as u64));
        }
        self.next = (self.next + 1) % cut.steps;
        (self.playing, left_out)
    }

    /// Place in its layer of the step that was submitted last.
    pub fn step(&self) -> usize {
        match self.cut {
            Some(cut) => (self.next + cut.steps - 1) % cut.steps % cut.period,
            None => 0,
        }
    }

    /// Calls are played, not made.
    pub fn playing(&self) -> bool {
        self.playing
    }

    /// A call was made and took so long.
    pub fn note(&mut self, call: Call, cycles: u64) {
        if self.noting {
            self.noted.push((call, cycles));
        }
    }

    /// The step that was submitted has this ticket.
    pub fn note_ticket(&mut self, ticket: Ticket) {
        if self.noting {
            self.tickets.push(ticket);
        }
    }

    /// The ticket of the noted layer's step at the same place.
    pub fn ticket(&self, place: usize) -> Option<Ticket> {
        self.tickets.get(place).copied()
    }

    /// A call takes what it took in the noted layer. Where the PS's time differs, its own counts.
    pub fn play(&mut self, call: Call, clock_hz: u64) {
        let place = self.place % self.noted.len().max(1);
        let Some(&(noted, cycles)) = self.noted.get(place) else {
            return;
        };
        let kind = std::mem::discriminant(&call);
        if std::mem::discriminant(&noted) != kind {
            if let Call::Elapse(time, _) = call {
                self.cycles += (time.as_nanos() * u128::from(clock_hz) / 1_000_000_000) as u64;
            }
            return;
        }
        self.place += 1;
        self.cycles += cycles;
        if let (Call::Elapse(time, _), Call::Elapse(then, _)) = (call, noted) {
            let more = time.saturating_sub(then).as_nanos() * u128::from(clock_hz);
            self.cycles += (more / 1_000_000_000) as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_found_whatever_takes_turns() {
        let shape = |n| PassShape { n, k: 64 };
        let mut passes: Vec<PassShape> = (0..7).flat_map(|_| [1, 2, 3].map(shape)).collect();
        passes.push(shape(9));
        let one: Vec<usize> = (0..passes.len()).collect();
        let two: Vec<usize> = one.iter().flat_map(|p| [*p, *p]).collect();
        for (program, period) in [(&one, 3), (&two, 6)] {
            let found = cut(program, &passes).unwrap();
            assert_eq!((found.period, found.layers), (period, 7));
        }
        let mut skip = Skip::default();
        let kept = skip.program(&one, &passes);
        let last: Vec<usize> = (18..22).collect();
        assert_eq!(kept, [&one[..12], &last].concat());
        // Nothing repeats often enough to be worth it.
        assert_eq!(cut(&one[..9], &passes), None);
        assert_eq!(skip.program(&one[..9], &passes), &one[..9]);
    }
}
