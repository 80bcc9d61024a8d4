//! Lock step: which strip is next, and whether all four units take it (`mm_stream_ctrl`).

use super::fifo::Fifo;
use super::steps::Descriptor;

/// Strips of a macro in format 1, and the first of them that holds weights.
const MACRO: u32 = 18;
const HEADER: u32 = 2;

/// What a unit must know of a strip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Strip {
    /// Its macro is the last of its output channels.
    pub last: bool,
    /// It is the last of its tile.
    pub tile_ends: bool,
    /// Vectors of the step.
    pub vectors: u32,
}

#[derive(Debug, Clone)]
pub(super) struct StreamCtrl {
    steps: Fifo<Descriptor>,
    active: Option<Descriptor>,
    begun: bool,
    offered: bool,
    strip: u32,
    group_left: u32,
    row_left: u32,
    quad: u32,
}

impl StreamCtrl {
    pub fn new() -> Self {
        StreamCtrl {
            steps: Fifo::new(2),
            active: None,
            begun: false,
            offered: false,
            strip: 0,
            group_left: 0,
            row_left: 0,
            quad: 0,
        }
    }

    pub fn ready(&self) -> bool {
        self.steps.ready()
    }

    /// The strip holds weights.
    #[inline]
    pub fn weight(&self) -> bool {
        self.strip >= HEADER
    }

    /// Strips may be taken as far as steps and activations go.
    #[inline]
    pub fn fed(&self, act_valid: bool) -> bool {
        self.active.is_some() && (act_valid || (self.begun && !self.weight()))
    }

    /// A strip that was offered stays offered, even if the device halts.
    #[inline]
    pub fn offered(&self) -> bool {
        self.offered
    }

    /// Between first and last strip of a pass.
    #[inline]
    pub fn begun(&self) -> bool {
        self.begun
    }

    /// A step is under way or waits for its first strip.
    pub fn busy(&self) -> bool {
        self.active.is_some() || !self.steps.is_empty()
    }

    /// Nothing moves by itself.
    pub fn still(&self) -> bool {
        self.active.is_some() || self.steps.is_empty()
    }

    /// The strip that is next.
    #[inline]
    pub fn next(&self) -> Strip {
        let last = self.group_left == 1;
        Strip {
            last,
            tile_ends: last && self.strip == MACRO - 1,
            vectors: self.active.map_or(1, |a| a.vectors),
        }
    }

    /// The step ends with the strip that is next.
    #[inline]
    pub fn ends(&self) -> bool {
        self.strip == MACRO - 1 && self.group_left == 1 && self.row_left == 1
    }

    /// A step of at least so many rows is under way.
    #[inline]
    pub fn in_step_of(&self, least: u32) -> bool {
        self.active.as_ref().is_some_and(|s| s.tile_rows >= least)
    }

    /// Rows left and strips of a row, where a row of a step of at least so many rows begins.
    #[inline]
    pub fn row_begins(&self, least: u32) -> Option<(u32, u32)> {
        let step = self.active.as_ref().filter(|s| s.tile_rows >= least)?;
        let begins = self.strip == 0 && self.group_left == step.groups;
        begins.then(|| (self.row_left, step.row_strips()))
    }

    pub fn jump(&mut self, rows: u32) {
        self.row_left -= rows;
    }

    /// One edge: a step comes, the strip is offered, and taken.
    #[inline]
    pub fn edge(&mut self, flush: bool, step: Option<Descriptor>, valid: bool, fire: bool) {
        let ends = fire && self.ends();
        self.offered = valid && !fire && !flush;
        let head = if self.active.is_none() || ends {
            self.steps.front()
        } else {
            None
        };
        if fire {
            self.begun = !ends;
            self.advance();
        }
        if ends {
            self.active = None;
        }
        if let Some(head) = head {
            self.active = Some(head);
            (self.strip, self.quad) = (0, 0);
            (self.group_left, self.row_left) = (head.groups, head.tile_rows);
        }
        if flush {
            *self = StreamCtrl::new();
        } else if step.is_some() || !self.steps.is_empty() {
            self.steps.edge(step, head.is_some());
        }
    }

    #[inline]
    fn advance(&mut self) {
        if self.strip != MACRO - 1 {
            self.strip += 1;
            return;
        }
        let (tight, groups) = self.active.map_or((false, 1), |a| (a.tight, a.groups));
        self.strip = u32::from(tight && self.quad != 3);
        self.quad = (self.quad + 1) & 3;
        self.group_left -= 1;
        if self.group_left == 0 {
            (self.strip, self.quad) = (0, 0);
            self.group_left = groups;
            self.row_left -= 1;
        }
    }
}
