//! FIFOs: of commands with their content, and the prefetch FIFOs of strips, of which only the number matters.

use std::collections::VecDeque;

/// `mm_fifo`: a word is at the output two cycles after it went in.
#[derive(Debug, Clone)]
pub(super) struct Fifo<T> {
    words: VecDeque<T>,
    depth: usize,
    out_valid: bool,
}

impl<T: Copy> Fifo<T> {
    pub fn new(depth: usize) -> Self {
        Fifo {
            words: VecDeque::with_capacity(depth.min(64)),
            depth,
            out_valid: false,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Nothing moves in it by itself.
    pub fn settled(&self) -> bool {
        self.out_valid || self.words.is_empty()
    }

    /// There is room, but for a flush.
    pub fn ready(&self) -> bool {
        self.words.len() != self.depth
    }

    /// The word at the output.
    pub fn front(&self) -> Option<T> {
        if self.out_valid {
            self.words.front().copied()
        } else {
            None
        }
    }

    pub fn flush(&mut self) {
        self.words.clear();
        self.out_valid = false;
    }

    /// One edge: `word` was accepted, `pop` says that the output was taken.
    pub fn edge(&mut self, word: Option<T>, pop: bool) {
        let filled = self.words.len() != usize::from(self.out_valid);
        if pop {
            self.words.pop_front();
        }
        if !self.out_valid || pop {
            self.out_valid = filled;
        }
        if let Some(word) = word {
            self.words.push_back(word);
        }
    }
}

/// Cycles of `mm_prefetch_fifo` from a read of its memory to the word.
const READ_CYCLES: u32 = 4;
/// Words of its small FIFO and on the way there.
const SMALL: u32 = 16;

/// The prefetch FIFO of a weight port; how many words are where.
#[derive(Debug, Clone)]
pub(super) enum Prefetch {
    /// `mm_fifo`
    Block { level: u32, out: bool },
    /// `mm_prefetch_fifo`
    Ultra(Ultra),
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ultra {
    arriving: bool,
    stored: u32,
    claimed: u32,
    /// Reads under way, the oldest at bit `READ_CYCLES - 1`.
    reads: u32,
    small: u32,
    out: bool,
}

impl Prefetch {
    pub fn new(deep: bool) -> Self {
        if deep {
            Prefetch::Ultra(Ultra::default())
        } else {
            Prefetch::Block {
                level: 0,
                out: false,
            }
        }
    }

    #[inline]
    pub fn valid(&self) -> bool {
        match self {
            Prefetch::Block { out, .. } => *out,
            Prefetch::Ultra(ultra) => ultra.out,
        }
    }

    pub fn flush(&mut self) {
        *self = Prefetch::new(matches!(self, Prefetch::Ultra(_)));
    }

    /// Nothing moves in it by itself.
    pub fn still(&self) -> bool {
        match self {
            Prefetch::Block { level, out } => *out || *level == 0,
            Prefetch::Ultra(u) => {
                let stuck = u.stored == 0 || u.claimed == SMALL;
                stuck && !u.arriving && u.reads == 0 && (u.out || u.small == 0)
            }
        }
    }

    /// One edge: a strip came in, a strip was taken.
    #[inline]
    pub fn edge(&mut self, push: bool, pop: bool) {
        match self {
            Prefetch::Block { level, out } => {
                let filled = *level != u32::from(*out);
                *level = *level + u32::from(push) - u32::from(pop);
                if !*out || pop {
                    *out = filled;
                }
            }
            Prefetch::Ultra(u) => {
                let read = u.stored != 0 && u.claimed != SMALL;
                let fill = u.reads >> (READ_CYCLES - 1) & 1;
                let small_read = u.small != 0 && (!u.out || pop);
                u.stored = u.stored + u32::from(u.arriving) - u32::from(read);
                u.claimed = u.claimed + u32::from(read) - u32::from(pop);
                u.reads = (u.reads << 1 | u32::from(read)) & ((1 << READ_CYCLES) - 1);
                u.small = u.small + fill - u32::from(small_read);
                u.out = small_read || (u.out && !pop);
                u.arriving = push;
            }
        }
    }
}
