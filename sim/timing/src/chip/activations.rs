//! Activations: the loader with its two banks, and the reader that presents the rows of each strip of weights.
//! (`mm_act_loader`, `mm_act_reader`; `mm_bfp_convert`, `mm_group_loader`, `mm_group_reader`.)

use macromac_driver::Profile;

use super::fifo::Fifo;
use super::steps::Descriptor;

/// Words of four rows that a group has.
const WORDS: u32 = 16;
/// Cycles from the last beat of a group to the group's announcement (`kv260`): conversion, the words, the count.
const CONVERT: u32 = 27;
/// Words that the `kv260` reader reads ahead.
const AHEAD: u32 = 8;

#[derive(Debug, Clone)]
pub(super) struct Loader {
    group_sums: bool,
    busy: bool,
    /// The read that is to be asked for.
    want: Option<Descriptor>,
    bank: bool,
    used: u32,
    /// Beats of the group under way, and words (`paper`) or groups (`kv260`) that can be read; and how many there will be.
    beats: u32,
    group_beats: u32,
    filled: u32,
    total: u32,
    /// Groups on their way through the converter: bit n was complete n + 1 cycles ago.
    converting: u64,
}

impl Loader {
    pub fn new(profile: Profile) -> Self {
        Loader {
            group_sums: profile == Profile::Kv260,
            busy: false,
            want: None,
            bank: true,
            used: 0,
            beats: 0,
            group_beats: 0,
            filled: 0,
            total: 0,
            converting: 0,
        }
    }

    pub fn ready(&self) -> bool {
        !self.busy && self.used != 2
    }

    /// The read that is wanted.
    pub fn want(&self) -> Option<Descriptor> {
        self.want
    }

    pub fn still(&self) -> bool {
        self.converting == 0 && self.want.is_none()
    }

    /// One edge: a step is taken, its read was asked for, a beat came, the oldest bank is free.
    #[inline]
    pub fn edge(
        &mut self,
        flush: bool,
        step: Option<Descriptor>,
        asked: bool,
        beat: bool,
        release: bool,
    ) {
        if asked {
            self.want = None;
        }
        let mut there = beat && !self.group_sums;
        if self.group_sums {
            there = self.converting >> (CONVERT - 1) & 1 == 1;
            self.converting = (self.converting << 1) & ((1 << CONVERT) - 1);
            if beat {
                self.beats += 1;
                if self.beats == self.group_beats {
                    self.beats = 0;
                    self.converting |= 1;
                }
            }
        }
        if there {
            self.filled += 1;
            self.busy &= self.filled != self.total;
        }
        self.used = self.used + u32::from(step.is_some()) - u32::from(release);
        if let Some(step) = step {
            self.busy = true;
            self.want = Some(step);
            self.bank = !self.bank;
            self.filled = 0;
            self.beats = 0;
            self.group_beats = WORDS * step.vectors;
            self.total = step.groups * if self.group_sums { 1 } else { WORDS };
        }
        if flush {
            self.busy = false;
            self.want = None;
            self.bank = true;
            self.used = 0;
            self.filled = 0;
            self.beats = 0;
            self.converting = 0;
        }
    }
}

/// The reader.
#[derive(Debug, Clone)]
pub(super) struct ActReader {
    group_sums: bool,
    steps: Fifo<Descriptor>,
    reading: bool,
    bank: bool,
    word: u32,
    words: u32,
    rows_left: u32,
    vectors: u32,
    /// Words read and not yet used, those on their way (2 cycles), those in the small FIFO (`kv260`).
    claimed: u32,
    way: u32,
    waiting: u32,
    valid: bool,
}

impl ActReader {
    pub fn new(profile: Profile) -> Self {
        ActReader {
            group_sums: profile == Profile::Kv260,
            steps: Fifo::new(2),
            reading: false,
            bank: true,
            word: 0,
            words: 0,
            rows_left: 0,
            vectors: 0,
            claimed: 0,
            way: 0,
            waiting: 0,
            valid: false,
        }
    }

    pub fn ready(&self) -> bool {
        self.steps.ready()
    }

    /// The rows for the next strip of weights are there.
    pub fn valid(&self) -> bool {
        self.valid
    }

    #[inline]
    fn reads(&self, loader: &Loader, pop: bool) -> bool {
        if !self.reading {
            return false;
        }
        let place = if self.group_sums {
            self.word / WORDS
        } else {
            self.word
        };
        let filled = self.bank != loader.bank || place < loader.filled;
        let room = if self.group_sums {
            self.claimed < AHEAD
        } else {
            !self.valid || pop
        };
        filled && room
    }

    pub fn still(&self, loader: &Loader) -> bool {
        let moving = self.way != 0 || (self.waiting != 0 && !self.valid);
        !moving && !self.reads(loader, false) && (self.reading || self.steps.is_empty())
    }

    pub fn jump(&mut self, rows: u32) {
        self.rows_left -= rows;
    }

    /// One edge: a step is accepted, the rows are used.
    #[inline]
    pub fn edge(&mut self, flush: bool, loader: &Loader, step: Option<Descriptor>, pop: bool) {
        let read = self.reads(loader, pop);
        let row_ends = read && self.word == self.words - 1;
        let step_ends = row_ends && self.rows_left == 1;
        let head = self.steps.front();
        let free = if self.group_sums {
            !self.reading && (self.claimed == 0 || head.is_some_and(|h| h.vectors == self.vectors))
        } else {
            !self.reading || step_ends
        };
        let take = head.filter(|_| free);
        if read {
            self.word += 1;
        }
        if row_ends {
            self.word = 0;
            self.rows_left -= 1;
        }
        self.reading &= !step_ends;
        if self.group_sums {
            let put = self.waiting != 0 && (!self.valid || pop);
            self.valid = put || (self.valid && !pop);
            self.waiting = self.waiting + (self.way >> 1 & 1) - u32::from(put);
            self.way = (self.way << 1 | u32::from(read)) & 3;
            self.claimed = self.claimed + u32::from(read) - u32::from(pop);
        } else {
            self.valid = read || (self.valid && !pop);
        }
        if let Some(head) = take {
            self.reading = true;
            self.bank = !self.bank;
            self.word = 0;
            self.words = head.groups * WORDS;
            self.rows_left = head.tile_rows;
            self.vectors = head.vectors;
        }
        if flush {
            *self = ActReader::new(if self.group_sums {
                Profile::Kv260
            } else {
                Profile::Paper
            });
        } else if step.is_some() || !self.steps.is_empty() {
            self.steps.edge(step, take.is_some());
        }
    }
}
