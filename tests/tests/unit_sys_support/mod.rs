//! AXI4 slaves over a sparse memory, for the testbenches of the system blocks: random latency, gaps and back-pressure;
//! the rules that the device has promised (architecture.md, section 2) are checked on every burst.
//!
//! Each cycle: set the inputs from [`ReadSlave::drive`] and [`WriteSlave::drive`], step, then call `clock` with the
//! sampled outputs.

#![allow(dead_code)] // every testbench uses a part of it

use std::collections::{HashMap, VecDeque};

use macromac_rtl::{Pause, Pauser, Verilated};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// A beat as the models' ports have it.
pub type Beat = [u32; 4];

/// Bytes of a beat.
pub const BEAT: u64 = 16;

/// Sparse memory of 16-byte words; what was never written is a function of its address.
#[derive(Debug, Default)]
pub struct Memory {
    words: HashMap<u64, Beat>,
}

impl Memory {
    /// The word at a 16-byte aligned address.
    pub fn word(&self, address: u64) -> Beat {
        assert_eq!(address % BEAT, 0, "unaligned access at {address:#x}");
        self.words
            .get(&address)
            .copied()
            .unwrap_or_else(|| unwritten(address))
    }

    /// Writes a word.
    pub fn set_word(&mut self, address: u64, word: Beat) {
        assert_eq!(address % BEAT, 0, "unaligned access at {address:#x}");
        self.words.insert(address, word);
    }

    /// Writes bytes, a multiple of 16.
    pub fn write(&mut self, address: u64, bytes: &[u8]) {
        for (i, chunk) in bytes.chunks_exact(16).enumerate() {
            let word = std::array::from_fn(|k| {
                u32::from_le_bytes(chunk[4 * k..4 * k + 4].try_into().unwrap())
            });
            self.set_word(address + BEAT * i as u64, word);
        }
        assert_eq!(bytes.len() % 16, 0, "whole beats only");
    }

    /// Whether the word was ever written.
    pub fn is_written(&self, address: u64) -> bool {
        self.words.contains_key(&address)
    }

    /// Words written.
    pub fn written(&self) -> usize {
        self.words.len()
    }
}

/// What memory holds where nothing was written.
pub fn unwritten(address: u64) -> Beat {
    std::array::from_fn(|k| {
        (address as u32 ^ (address >> 32) as u32).wrapping_mul(0x9E37_79B1) ^ k as u32
    })
}

/// How a slave behaves.
#[derive(Debug)]
pub struct Timing {
    /// Pauses of the address channel's ready.
    pub address: Pauser,
    /// Pauses of the data channel (R: valid; W: ready).
    pub data: Pauser,
    /// Pauses of B's valid.
    pub response: Pauser,
    /// Cycles from an address to its first data, or from the last data to the response: 1 up to this.
    pub latency: u64,
}

impl Timing {
    /// Always ready, fixed latency.
    pub fn ideal<T: Verilated>(h: &mut macromac_rtl::Harness<T>, latency: u64) -> Self {
        Self {
            address: h.pauser(Pause::Never),
            data: h.pauser(Pause::Never),
            response: h.pauser(Pause::Never),
            latency,
        }
    }

    /// Random patterns.
    pub fn random<T: Verilated>(h: &mut macromac_rtl::Harness<T>) -> Self {
        let patterns: [Pause; 3] = std::array::from_fn(|_| Pause::any(h.rng()));
        let latency = h.rng().random_range(1..60);
        Self {
            address: h.pauser(patterns[0]),
            data: h.pauser(patterns[1]),
            response: h.pauser(patterns[2]),
            latency,
        }
    }
}

/// What a slave of AR and R drives.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReadDrive {
    /// ARREADY
    pub ar_ready: bool,
    /// RVALID
    pub valid: bool,
    /// RDATA
    pub data: Beat,
    /// RRESP
    pub resp: u8,
    /// RLAST
    pub last: bool,
}

/// A burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Burst {
    /// First byte.
    pub address: u64,
    /// Beats.
    pub beats: u64,
}

impl Burst {
    /// From the AxADDR and AxLEN of a valid address channel.
    pub fn new(valid: u8, address: u64, len: u8) -> Option<Self> {
        (valid == 1).then_some(Self {
            address,
            beats: u64::from(len) + 1,
        })
    }

    fn check(&self, longest: u64) {
        assert_eq!(
            self.address % BEAT,
            0,
            "burst at {:#x} is not aligned",
            self.address
        );
        assert!(
            self.beats <= longest,
            "burst of {} beats, at most {longest} promised",
            self.beats
        );
        let last = self.address + BEAT * self.beats - 1;
        assert_eq!(
            self.address >> 12,
            last >> 12,
            "burst {self:x?} crosses a 4 KiB line"
        );
    }
}

/// Slave of AR and R.
#[derive(Debug)]
pub struct ReadSlave {
    timing: Timing,
    longest: u64,
    outstanding: usize,
    /// Bursts under way: burst, beats done, cycle of the first beat.
    queue: VecDeque<(Burst, u64, u64)>,
    cycle: u64,
    drive: ReadDrive,
    /// The beat at this address gets an error.
    pub bad: Option<u64>,
    /// Cycles from every address to its first beat, at least, beside the random latency.
    pub fixed_latency: u64,
    /// Gives no data.
    pub stuck: bool,
    /// All bursts so far.
    pub bursts: Vec<Burst>,
}

impl ReadSlave {
    /// A slave that accepts bursts of at most `longest` beats, at most `outstanding` at a time.
    pub fn new(timing: Timing, longest: u64, outstanding: usize) -> Self {
        Self {
            timing,
            longest,
            outstanding,
            queue: VecDeque::new(),
            cycle: 0,
            drive: ReadDrive::default(),
            bad: None,
            fixed_latency: 0,
            stuck: false,
            bursts: Vec::new(),
        }
    }

    /// Address of the beat that comes after the one that is offered now, if a burst is under way.
    pub fn next_beat(&self) -> Option<u64> {
        let skip = u64::from(self.drive.valid);
        let &(burst, done, _) = self
            .queue
            .iter()
            .find(|(burst, done, _)| done + skip < burst.beats)?;
        Some(burst.address + BEAT * (done + skip))
    }

    /// What to drive in this cycle. Call once a cycle.
    pub fn drive(&mut self, memory: &Memory) -> ReadDrive {
        self.drive.ar_ready = !self.timing.address.pause();
        let paused = self.timing.data.pause() || self.stuck;
        if !self.drive.valid && !paused {
            if let Some(&(burst, done, from)) = self.queue.front() {
                if self.cycle >= from {
                    let address = burst.address + BEAT * done;
                    self.drive.valid = true;
                    self.drive.data = memory.word(address);
                    self.drive.last = done + 1 == burst.beats;
                    self.drive.resp = if self.bad == Some(address) { 2 } else { 0 };
                }
            }
        }
        self.drive
    }

    /// End of the cycle: the address offered, and RREADY. True if a beat was taken.
    pub fn clock(&mut self, offered: Option<Burst>, r_ready: bool, rng: &mut ChaCha8Rng) -> bool {
        self.cycle += 1;
        let taken = self.drive.valid && r_ready;
        if taken {
            self.drive.valid = false;
            let front = self.queue.front_mut().expect("a beat has a burst");
            front.1 += 1;
            if front.1 == front.0.beats {
                self.queue.pop_front();
            }
        }
        if let Some(burst) = offered.filter(|_| self.drive.ar_ready) {
            burst.check(self.longest);
            let first = self.cycle + self.fixed_latency + rng.random_range(0..self.timing.latency);
            self.queue.push_back((burst, 0, first));
            assert!(
                self.queue.len() <= self.outstanding,
                "{} bursts in flight, at most {} promised",
                self.queue.len(),
                self.outstanding
            );
            self.bursts.push(burst);
        }
        taken
    }

    /// No burst is under way.
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty()
    }
}

/// What a slave of AW, W and B drives.
#[derive(Debug, Clone, Copy, Default)]
pub struct WriteDrive {
    /// AWREADY
    pub aw_ready: bool,
    /// WREADY
    pub w_ready: bool,
    /// BVALID
    pub b_valid: bool,
    /// BRESP
    pub b_resp: u8,
}

/// Slave of AW, W and B.
#[derive(Debug)]
pub struct WriteSlave {
    timing: Timing,
    longest: u64,
    addresses: VecDeque<Burst>,
    data: VecDeque<(Beat, bool)>,
    /// Complete bursts and the cycle from which their response may come.
    complete: VecDeque<(Burst, u64)>,
    cycle: u64,
    drive: WriteDrive,
    /// The burst at this address is answered with an error and not written.
    pub bad: Option<u64>,
    /// Takes no data.
    pub stuck: bool,
    /// All bursts whose response was taken.
    pub answered: Vec<Burst>,
}

impl WriteSlave {
    /// A slave that accepts bursts of at most `longest` beats.
    pub fn new(timing: Timing, longest: u64) -> Self {
        Self {
            timing,
            longest,
            addresses: VecDeque::new(),
            data: VecDeque::new(),
            complete: VecDeque::new(),
            cycle: 0,
            drive: WriteDrive::default(),
            bad: None,
            stuck: false,
            answered: Vec::new(),
        }
    }

    /// What to drive in this cycle. Call once a cycle.
    pub fn drive(&mut self) -> WriteDrive {
        self.drive.aw_ready = !self.timing.address.pause();
        self.drive.w_ready = !self.timing.data.pause() && !self.stuck;
        let paused = self.timing.response.pause();
        if !self.drive.b_valid && !paused {
            if let Some(&(burst, from)) = self.complete.front() {
                self.drive.b_valid = self.cycle >= from;
                self.drive.b_resp = if self.bad == Some(burst.address) {
                    3
                } else {
                    0
                };
            }
        }
        self.drive
    }

    /// End of the cycle: address offered, data and last offered, BREADY. Returns the burst that was answered. The bytes of
    /// a burst reach memory when its response is given: earlier reports would find the old ones.
    pub fn clock(
        &mut self,
        memory: &mut Memory,
        address: Option<Burst>,
        data: Option<(Beat, bool)>,
        b_ready: bool,
        rng: &mut ChaCha8Rng,
    ) -> Option<Burst> {
        self.cycle += 1;
        if let Some(burst) = address.filter(|_| self.drive.aw_ready) {
            burst.check(self.longest);
            self.addresses.push_back(burst);
        }
        if let Some(beat) = data.filter(|_| self.drive.w_ready) {
            self.data.push_back(beat);
        }
        let mut answered = None;
        if self.drive.b_valid && b_ready {
            self.drive.b_valid = false;
            answered = self.complete.pop_front().map(|(burst, _)| burst);
            self.answered.extend(answered);
        }
        if let Some(&burst) = self.addresses.front() {
            let beats = burst.beats as usize;
            if self.data.len() >= beats {
                self.addresses.pop_front();
                for i in 0..beats {
                    let (word, last) = self.data.pop_front().expect("counted");
                    assert_eq!(last, i + 1 == beats, "WLAST at beat {i} of {beats}");
                    if self.bad != Some(burst.address) {
                        memory.set_word(burst.address + BEAT * i as u64, word);
                    }
                }
                let from = self.cycle + rng.random_range(0..self.timing.latency);
                self.complete.push_back((burst, from));
            }
        }
        answered
    }

    /// No burst is under way.
    pub fn is_idle(&self) -> bool {
        self.addresses.is_empty() && self.data.is_empty() && self.complete.is_empty()
    }
}
