//! Descriptors become segments and steps: `mm_desc_fetch` and `mm_step_issue`.

use super::fifo::Fifo;

/// Steps fetched ahead (`StepsAhead`).
pub(super) const STEPS_AHEAD: usize = 8;

/// A step as its descriptor has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptor {
    /// Index in the ring.
    pub index: usize,
    /// Groups of 64 inputs.
    pub groups: u32,
    /// Tile rows of 32 outputs.
    pub tile_rows: u32,
    /// Tile rows between reports; 0: only at the end.
    pub report: u32,
    /// Vectors of the pass.
    pub vectors: u32,
    /// Weights in format 2.
    pub tight: bool,
    /// Address of each port's segment.
    pub weights: [u64; 4],
    /// Address of the activations.
    pub activations: u64,
    /// Address of the results.
    pub results: u64,
}

impl Descriptor {
    /// Strips of a tile row of one port.
    pub fn row_strips(&self) -> u32 {
        let headers = if self.tight {
            self.groups + self.groups.div_ceil(4)
        } else {
            2 * self.groups
        };
        16 * self.groups + headers
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Ring,
    Request,
    Beats(u32),
    Multiply,
    Push,
}

/// The fetcher.
#[derive(Debug, Clone)]
pub(super) struct Fetch {
    state: State,
    index: usize,
}

impl Fetch {
    pub fn new() -> Self {
        Fetch {
            state: State::Idle,
            index: 0,
        }
    }

    /// Ring index of the descriptor under way.
    pub fn index(&self) -> usize {
        self.index
    }

    /// A descriptor is wanted, if the program runs.
    pub fn wants(&self) -> bool {
        self.state == State::Request
    }

    /// A step waits to be handed on, if the program runs.
    pub fn pushes(&self) -> bool {
        self.state == State::Push
    }

    /// It waits for others.
    pub fn still(&self) -> bool {
        matches!(self.state, State::Idle | State::Beats(_) | State::Push)
    }

    /// One edge: the request was taken, a beat came, the step was handed on.
    #[inline]
    pub fn edge(
        &mut self,
        start: bool,
        flush: bool,
        asked: bool,
        beat: bool,
        pushed: bool,
        ring: usize,
    ) {
        self.state = match self.state {
            State::Ring => State::Request,
            State::Request if asked => State::Beats(0),
            State::Beats(3) if beat => State::Multiply,
            State::Beats(n) if beat => State::Beats(n + 1),
            State::Multiply => State::Push,
            State::Push if pushed => {
                self.index = (self.index + 1) % ring.max(1);
                State::Request
            }
            same => same,
        };
        if start {
            (self.state, self.index) = (State::Ring, 0);
        }
        if flush {
            self.state = State::Idle;
        }
    }
}

/// Fetched steps that wait for their doorbell.
#[derive(Debug, Clone)]
pub(super) struct Issue {
    pub steps: Fifo<Descriptor>,
    seq: u32,
    /// Whether a step is released is known a cycle later; then whether it was.
    staged: Option<bool>,
}

impl Issue {
    pub fn new(staged: bool) -> Self {
        Issue {
            steps: Fifo::new(STEPS_AHEAD),
            seq: 0,
            staged: staged.then_some(false),
        }
    }

    /// The step that goes as soon as all sinks have room.
    pub fn released(&self, released: u32) -> Option<Descriptor> {
        let now = released.wrapping_sub(self.seq) as i32 > 0;
        if self.staged.unwrap_or(now) {
            self.steps.front()
        } else {
            None
        }
    }

    /// No step is released, and none will be without a doorbell.
    pub fn still(&self, released: u32) -> bool {
        let now = released.wrapping_sub(self.seq) as i32 > 0;
        let known = self.staged.is_none_or(|then| then == now);
        known && (!now || self.steps.is_empty())
    }

    #[inline]
    pub fn edge(
        &mut self,
        enable: bool,
        flush: bool,
        released: u32,
        step: Option<Descriptor>,
        gone: bool,
    ) {
        if let Some(then) = &mut self.staged {
            *then = enable && !gone && released.wrapping_sub(self.seq) as i32 > 0;
        }
        if flush {
            self.steps.flush();
            self.seq = 0;
        } else {
            self.steps.edge(step, gone);
            self.seq = self.seq.wrapping_add(u32::from(gone));
        }
    }
}
