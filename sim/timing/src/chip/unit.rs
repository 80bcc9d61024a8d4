//! The four units, which do the same in the same cycles, so one stands for all: when they take strips, and when results come out.
//! (`mm_unpacker`, `mm_macro_mac`; `mm_unit_slice`, `mm_group_unpacker`, `mm_group_mac`, `mm_group_results`, `mm_skid`.)

use super::stream::Strip;

/// `paper`: cycles from a tile's last strip to its results' register.
const PAPER_LATENCY: u32 = 28;
/// `kv260`: cycles from a tile's last strip to the last of its sums in the result memory.
const GROUP_LATENCY: u32 = 47;

/// A unit and what stands between it and the stream.
#[derive(Debug, Clone)]
pub(super) enum Unit {
    Paper(PaperUnit),
    Group(GroupUnit),
}

/// `mm_macro_mac`
#[derive(Debug, Clone, Default)]
pub(super) struct PaperUnit {
    /// Toggles every cycle from reset on.
    phase: bool,
    index: u32,
    last: bool,
    /// From the cycle after a tile's last strip until its results are taken.
    busy: bool,
    /// Cycles since a tile's last strip; 0: none under way.
    way: u32,
    result: bool,
}

/// `mm_group_mac` behind its slices.
#[derive(Debug, Clone, Default)]
pub(super) struct GroupUnit {
    out: Option<Strip>,
    skid: Option<Strip>,
    /// Tiles on their way: bit n had its last strip n + 1 cycles ago.
    way: u64,
    // mm_group_results
    used: [bool; 2],
    done: [bool; 2],
    vectors: [u32; 2],
    begin: usize,
    write: usize,
    read: usize,
    free: bool,
    busy: bool,
    channel: u32,
    vector: u32,
    ahead: u32,
    word_end: bool,
    full: bool,
    result: bool,
    // mm_skid behind it
    res_out: bool,
    res_skid: bool,
}

impl Unit {
    pub fn new(paper: bool) -> Self {
        if paper {
            Unit::Paper(PaperUnit::default())
        } else {
            Unit::Group(GroupUnit {
                free: true,
                ..GroupUnit::default()
            })
        }
    }

    /// Takes a strip if one is offered.
    #[inline]
    pub fn ready(&self, flush: bool, act_valid: bool) -> bool {
        match self {
            Unit::Paper(u) => {
                !flush
                    && u.phase == (u.index & 1 == 1)
                    && (u.index < 2 || act_valid)
                    && (u.index != 17 || !u.last || !u.busy)
            }
            Unit::Group(u) => u.skid.is_none(),
        }
    }

    /// Results are offered.
    #[inline]
    pub fn result(&self) -> bool {
        match self {
            Unit::Paper(u) => u.result,
            Unit::Group(u) => u.res_out,
        }
    }

    /// Nothing moves by itself; the phase of `paper` is left aside.
    pub fn still(&self) -> bool {
        match self {
            Unit::Paper(u) => u.way == 0 && !u.result,
            Unit::Group(u) => {
                u.out.is_none()
                    && u.way == 0
                    && u.used == [false; 2]
                    && !u.result
                    && !u.full
                    && !u.res_out
            }
        }
    }

    /// Lets an odd number of cycles pass, as far as the phase is concerned.
    pub fn turn_phase(&mut self) {
        if let Unit::Paper(u) = self {
            u.phase = !u.phase;
        }
    }

    /// One edge: a strip is taken from the stream, results are taken by the collector.
    #[inline]
    pub fn edge(&mut self, flush: bool, strip: Option<Strip>, taken: bool) {
        match self {
            Unit::Paper(u) => u.edge(flush, strip, taken),
            Unit::Group(u) => u.edge(flush, strip, taken),
        }
    }
}

impl PaperUnit {
    fn edge(&mut self, flush: bool, strip: Option<Strip>, taken: bool) {
        self.phase = !self.phase;
        let mut ends = false;
        if let Some(strip) = strip {
            if self.index == 0 {
                self.last = strip.last;
            }
            ends = self.index == 17 && self.last;
            self.index = if self.index == 17 { 0 } else { self.index + 1 };
        }
        if taken {
            self.busy = false;
            self.result = false;
        }
        if self.way != 0 {
            if self.way == 1 {
                self.busy = true;
            }
            self.way += 1;
            if self.way == PAPER_LATENCY + 1 {
                self.result = true;
                self.way = 0;
            }
        }
        if ends {
            self.way = 1;
        }
        if flush {
            let phase = self.phase;
            *self = PaperUnit {
                phase,
                ..PaperUnit::default()
            };
        }
    }
}

impl GroupUnit {
    #[inline]
    fn edge(&mut self, flush: bool, strip: Option<Strip>, taken: bool) {
        if flush {
            *self = GroupUnit {
                free: true,
                ..GroupUnit::default()
            };
            return;
        }
        // The unpacker takes what its slice offers, but a tile's last strip waits for a free half.
        let fire = self.out.filter(|s| !s.tile_ends || self.free);
        let tile_end = fire.filter(|s| s.tile_ends);
        if self.out.is_none() || fire.is_some() {
            self.out = self.skid.take().or(strip);
        } else if strip.is_some() {
            self.skid = strip;
        }
        let tile_done = self.way >> (GROUP_LATENCY - 1) & 1 == 1;
        self.way = (self.way << 1 | u64::from(tile_end.is_some())) & ((1 << GROUP_LATENCY) - 1);
        self.edge_results(tile_end.map(|s| s.vectors), tile_done, taken);
    }

    #[inline]
    fn edge_results(&mut self, tile_end: Option<u32>, tile_done: bool, collected: bool) {
        let idle = tile_end.is_none() && !tile_done && !self.busy && !self.word_end;
        if idle && !self.full && !self.result && !self.res_out && !self.done[self.read] {
            return;
        }
        let out_ready = !self.res_skid;
        let taken = self.result && out_ready;
        let vector_end = self.busy && self.channel == 7;
        let read_end = vector_end && self.vector + 1 == self.vectors[self.read];
        let begin_vector =
            self.done[self.read] && (!self.busy || (vector_end && !read_end)) && self.ahead < 2;
        // The skid register behind.
        let out_free = !self.res_out || collected;
        if out_free {
            self.res_out = self.res_skid || taken;
            self.res_skid = false;
        } else if taken {
            self.res_skid = true;
        }
        // Words, register.
        let full = self.full;
        self.full = self.word_end || (full && self.result && !out_ready);
        self.result = full || (self.result && !out_ready);
        self.word_end = vector_end;
        self.ahead = self.ahead + u32::from(begin_vector) - u32::from(taken);
        if self.busy {
            self.channel = (self.channel + 1) & 7;
        }
        if vector_end {
            self.vector = if read_end { 0 } else { self.vector + 1 };
        }
        self.busy = (self.busy && !vector_end) || begin_vector;
        // Halves.
        if read_end {
            self.used[self.read] = false;
            self.done[self.read] = false;
        }
        if let Some(vectors) = tile_end {
            self.used[self.begin] = true;
            self.vectors[self.begin] = vectors;
            self.begin ^= 1;
        }
        if tile_done {
            self.done[self.write] = true;
            self.write ^= 1;
        }
        if read_end {
            self.read ^= 1;
        }
        self.free = !self.used[self.begin];
    }
}
