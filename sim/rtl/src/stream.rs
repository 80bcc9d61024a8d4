//! The two ends of a valid/ready stream.

use std::collections::VecDeque;
use std::fmt::Debug;

use crate::Pauser;

/// Drives a `valid/ready/data` input of the device: never waits for ready, never takes an offer back.
///
/// Each cycle: [`offer`](Self::offer) before `settle`, [`clock`](Self::clock) with the sampled ready after it.
#[derive(Debug)]
pub struct Source<T> {
    queue: VecDeque<T>,
    pauser: Pauser,
    offering: bool,
}

impl<T> Source<T> {
    /// A source with nothing to send.
    pub fn new(pauser: Pauser) -> Self {
        Self {
            queue: VecDeque::new(),
            pauser,
            offering: false,
        }
    }

    /// Queues a word.
    pub fn push(&mut self, word: T) {
        self.queue.push_back(word);
    }

    /// Queues many words.
    pub fn extend(&mut self, words: impl IntoIterator<Item = T>) {
        self.queue.extend(words);
    }

    /// What to present in this cycle: `Some` = valid with this word. Call exactly once a cycle.
    pub fn offer(&mut self) -> Option<&T> {
        let paused = self.pauser.pause();
        if !self.offering {
            self.offering = !paused && !self.queue.is_empty();
        }
        self.queue.front().filter(|_| self.offering)
    }

    /// End of the cycle: the word that was taken, if `ready` was seen with an offer.
    pub fn clock(&mut self, ready: bool) -> Option<T> {
        if !(self.offering && ready) {
            return None;
        }
        self.offering = false;
        self.queue.pop_front()
    }

    /// Words not yet taken.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// All words have been taken.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Forgets what has not been taken, also an offer that is standing (for flush and reset only).
    pub fn clear(&mut self) {
        self.queue.clear();
        self.offering = false;
    }
}

/// Takes the words of a `valid/ready/data` output and checks that the device keeps an offer, unchanged,
/// until it is taken.
///
/// Each cycle: [`ready`](Self::ready) before `settle`, [`clock`](Self::clock) with the sampled word after it.
#[derive(Debug)]
pub struct Sink<T> {
    pauser: Pauser,
    ready: bool,
    standing: Option<T>,
}

impl<T: PartialEq + Debug> Sink<T> {
    /// A sink that pauses as given.
    pub fn new(pauser: Pauser) -> Self {
        Self {
            pauser,
            ready: false,
            standing: None,
        }
    }

    /// Ready in this cycle? Call exactly once a cycle.
    pub fn ready(&mut self) -> bool {
        self.ready = !self.pauser.pause();
        self.ready
    }

    /// End of the cycle. `offered` is the sampled word when valid was 1. Returns the word when it was taken.
    ///
    /// # Panics
    ///
    /// When the device withdrew or changed a word that had been offered and not taken.
    pub fn clock(&mut self, offered: Option<T>) -> Option<T> {
        if self.standing.is_some() {
            assert!(
                self.standing == offered,
                "stream rule broken while stalled: offered {:?}, one cycle later {offered:?}",
                self.standing,
            );
        }
        if self.ready {
            self.standing = None;
            offered
        } else {
            self.standing = offered;
            None
        }
    }

    /// Allows the standing offer to vanish (for flush and reset only).
    pub fn forget(&mut self) {
        self.standing = None;
    }
}
