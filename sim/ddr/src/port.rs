//! An AXI port from the programmable logic up to the controller's arbiter: bursts become lines, lines come back in order.

use std::collections::VecDeque;

use super::config::QueueConfig;
use super::{LINE, map};

/// Bytes of a beat.
const BEAT: u64 = 16;

/// A burst whose lines have not all been asked for.
#[derive(Debug, Clone, Copy)]
struct Burst {
    next: u64,
    end: u64,
    from: u64,
}

/// Beats of a line and when they are at the port; `u64::MAX` as long as they are under way.
#[derive(Debug, Clone, Copy)]
struct Line {
    beats: u32,
    at: u64,
    last: bool,
}

/// One of the five ports.
#[derive(Debug, Default)]
pub(super) struct Port {
    reads: VecDeque<Burst>,
    lines: VecDeque<Line>,
    /// Number of the first line in `lines`, counted from the beginning.
    first: u32,
    unfinished: usize,
    writes: VecDeque<Burst>,
    /// When each burst's last line was taken; answered in order.
    responses: VecDeque<u64>,
}

impl Port {
    /// Nothing for the memory to do.
    pub fn is_quiet(&self) -> bool {
        self.reads.is_empty() && self.writes.is_empty()
    }

    /// Read bursts whose last beat has not been taken.
    pub fn reads(&self) -> usize {
        self.unfinished
    }

    /// Write bursts that are not answered.
    pub fn writes(&self) -> usize {
        self.writes.len() + self.responses.len()
    }

    /// Accepts a read burst, which reaches the arbiter at `from`.
    pub fn read(&mut self, address: u64, beats: u32, from: u64) {
        let end = address + u64::from(beats) * BEAT;
        self.reads.push_back(Burst {
            next: address,
            end,
            from,
        });
        self.unfinished += 1;
    }

    /// Accepts a write burst.
    pub fn write(&mut self, address: u64, beats: u32, from: u64) {
        let end = address + u64::from(beats) * BEAT;
        self.writes.push_back(Burst {
            next: address,
            end,
            from,
        });
    }

    /// When the next burst that is under way to the arbiter reaches it, after `now`.
    pub fn arrives(&self, now: u64) -> u64 {
        let fronts = [self.reads.front(), self.writes.front()];
        let times = fronts.into_iter().flatten().map(|burst| burst.from);
        times.filter(|from| *from > now).min().unwrap_or(u64::MAX)
    }

    /// The next line for the arbiter; with `half` only if it is for this one of the interconnect's two controller ports.
    pub fn take(
        &mut self,
        write: bool,
        half: Option<u64>,
        now: u64,
        queue: &QueueConfig,
    ) -> Option<(u64, u32)> {
        let bursts = if write {
            &mut self.writes
        } else {
            &mut self.reads
        };
        let burst = bursts.front_mut()?;
        if burst.from > now || half.is_some_and(|half| burst.next / map::ROW_BYTES % 2 != half) {
            return None;
        }
        let address = burst.next;
        let end = (address / LINE * LINE + LINE).min(burst.end);
        burst.next = end;
        let last = end == burst.end;
        if last {
            bursts.pop_front();
        }
        if write {
            if last {
                self.responses
                    .push_back(now + queue.request + queue.read_return);
            }
            return Some((address, 0));
        }
        let tag = self.first.wrapping_add(self.lines.len() as u32);
        self.lines.push_back(Line {
            beats: ((end - address) / BEAT) as u32,
            at: u64::MAX,
            last,
        });
        Some((address, tag))
    }

    /// A line has come back from the memory.
    pub fn returned(&mut self, tag: u32, at: u64) {
        let place = tag.wrapping_sub(self.first) as usize;
        if let Some(line) = self.lines.get_mut(place) {
            line.at = at;
        }
    }

    /// Takes a beat if one is there.
    pub fn beat(&mut self, now: u64) -> bool {
        match self.lines.front_mut() {
            Some(line) if line.at <= now => {
                line.beats -= 1;
                if line.beats == 0 {
                    self.unfinished -= usize::from(line.last);
                    self.lines.pop_front();
                    self.first = self.first.wrapping_add(1);
                }
                true
            }
            _ => false,
        }
    }

    /// Takes the answer to a write if it is due.
    pub fn response(&mut self, now: u64) -> bool {
        let due = self.responses.front().is_some_and(|at| *at <= now);
        due && self.responses.pop_front().is_some()
    }
}
