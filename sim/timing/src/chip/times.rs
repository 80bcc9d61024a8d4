//! What the device counts: its own counters, and the same by pass.

use super::WEIGHT_PORTS;

/// Cycles of the steps of one pass, by what the units did. A cycle belongs to the step whose strip is next, and has one reason, the
/// first that applies in the order of the fields; `streaming` and the reasons add up to `cycles`.
///
/// A pass is what [`ModelDevice`](crate::ModelDevice) was given as such; sum over the layers to have it by kind of pass.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PassTimes {
    /// Steps that ended.
    pub steps: u64,
    /// All cycles.
    pub cycles: u64,
    /// A strip was taken.
    pub streaming: u64,
    /// No doorbell for the step yet: the PS is at work, or has not been told the results before.
    pub ps_wait: u64,
    /// The step is released; its activations are on their way.
    pub no_activations: u64,
    /// The prefetch FIFO of a port was empty: memory did not keep up.
    pub no_data: u64,
    /// Results could not leave.
    pub no_room: u64,
    /// The units' own pace.
    pub lock_step: u64,
}

impl PassTimes {
    /// Field by field.
    fn zip(self, other: Self, f: impl Fn(u64, u64) -> u64) -> Self {
        PassTimes {
            steps: f(self.steps, other.steps),
            cycles: f(self.cycles, other.cycles),
            streaming: f(self.streaming, other.streaming),
            ps_wait: f(self.ps_wait, other.ps_wait),
            no_activations: f(self.no_activations, other.no_activations),
            no_data: f(self.no_data, other.no_data),
            no_room: f(self.no_room, other.no_room),
            lock_step: f(self.lock_step, other.lock_step),
        }
    }
}

impl std::ops::AddAssign for PassTimes {
    fn add_assign(&mut self, other: Self) {
        *self = self.zip(other, |a, b| a + b);
    }
}

/// The performance counters of the device (docs/architecture.md, section 7), and times by ring index.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// `STEPS`
    pub steps: u64,
    /// `STREAM_CYCLES`
    pub stream: u64,
    /// `BEATS` of each port.
    pub beats: [u64; WEIGHT_PORTS],
    /// `STRIPS`
    pub strips: u64,
    /// `NO_DATA`, `NO_ACTIVATIONS`, `NO_ROOM`, `LOCK_STEP` of each port.
    pub stalls: [[u64; 4]; WEIGHT_PORTS],
    /// By ring index of the program that runs.
    pub passes: Vec<PassTimes>,
    /// Ring index of the step that the units are at.
    pub(super) at: usize,
}

/// What a cycle was.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cycle {
    pub fire: bool,
    pub streaming: bool,
    pub filled: [bool; WEIGHT_PORTS],
    pub fed: bool,
    pub blocked: bool,
    pub released: bool,
}

impl Counts {
    /// Field by field.
    fn zip(&self, other: &Counts, f: impl Fn(u64, u64) -> u64 + Copy) -> Counts {
        let ports = |a: &[u64; 4], b: &[u64; 4]| std::array::from_fn(|i| f(a[i], b[i]));
        let passes = self.passes.iter().zip(&other.passes);
        Counts {
            steps: f(self.steps, other.steps),
            stream: f(self.stream, other.stream),
            beats: ports(&self.beats, &other.beats),
            strips: f(self.strips, other.strips),
            stalls: std::array::from_fn(|p| ports(&self.stalls[p], &other.stalls[p])),
            passes: passes.map(|(a, b)| a.zip(*b, f)).collect(),
            at: self.at,
        }
    }

    /// What was counted since.
    pub fn since(&self, before: &Counts) -> Counts {
        self.zip(before, |now, then| now - then)
    }

    //// The same with `more` counted so many times again.
    pub fn plus(&self, more: &Counts, times: u64) -> Counts {
        self.zip(more, |a, b| a + times * b)
    }

    /// The step at the units ends.
    pub(super) fn next(&mut self) {
        if let Some(pass) = self.passes.get_mut(self.at) {
            pass.steps += 1;
        }
        self.at = (self.at + 1) % self.passes.len().max(1);
    }

    /// Counts a running cycle, `times` times.
    #[inline]
    pub(super) fn add(&mut self, cycle: &Cycle, times: u64) {
        self.stream += if cycle.streaming { times } else { 0 };
        let Some(pass) = self.passes.get_mut(self.at) else {
            return;
        };
        pass.cycles += times;
        if cycle.fire {
            self.strips += times;
            pass.streaming += times;
            return;
        }
        let rest = match (cycle.fed, cycle.blocked) {
            (false, _) => 1,
            (true, true) => 2,
            (true, false) => 3,
        };
        for (filled, stalls) in cycle.filled.iter().zip(&mut self.stalls) {
            stalls[if *filled { rest } else { 0 }] += times;
        }
        let all = cycle.filled == [true; WEIGHT_PORTS];
        let reason = match (cycle.released, cycle.fed, all, cycle.blocked) {
            (false, ..) => &mut pass.ps_wait,
            (true, false, ..) => &mut pass.no_activations,
            (true, true, false, _) => &mut pass.no_data,
            (true, true, true, true) => &mut pass.no_room,
            (true, true, true, false) => &mut pass.lock_step,
        };
        *reason += times;
    }
}
