//! Port masters that need no RTL: they ask for streams as DMA engines or the accelerator's readers would.

use super::{Ddr4, DdrConfig, PsStreams};
use crate::timing::{Channel, MemoryTiming, PORTS};

/// Results that a stream writes back.
#[derive(Debug, Clone, Copy)]
pub struct Results {
    /// After so many bytes read, a write.
    pub every: u64,
    /// Bytes of a write; 16 at least.
    pub bytes: u64,
    /// First address.
    pub base: u64,
}

/// A sequential read stream of one port.
#[derive(Debug, Clone, Copy)]
pub struct Stream {
    /// AXI port 0..=4.
    pub port: usize,
    /// First address.
    pub base: u64,
    /// Bytes.
    pub bytes: u64,
    /// PL cycle of the first request.
    pub start: u64,
    /// Beats of a burst.
    pub burst: u32,
    /// Bursts under way at most.
    pub outstanding: u32,
    /// What it writes back.
    pub results: Option<Results>,
}

/// What a replay measured, in PL cycles.
#[derive(Debug, Clone)]
pub struct Measured {
    /// When each stream had its last beat.
    pub finished: Vec<u64>,
    /// When all had.
    pub cycles: u64,
    /// Bytes that the processor read meanwhile.
    pub ps_bytes: u64,
    /// What the memory did.
    pub counters: super::DramCounters,
}

struct State {
    stream: Stream,
    asked: u64,
    beats: u64,
    asked_beats: u64,
    buffered: u64,
    written: u64,
    finished: u64,
}

/// Runs streams until all have finished. With `lock_step` a beat of every stream leaves in the same cycle, from FIFOs of so many
/// beats, as in the accelerator; without, each takes its own as they come.
pub fn run(
    config: DdrConfig,
    streams: &[Stream],
    lock_step: Option<u64>,
    ps: Option<PsStreams>,
) -> Measured {
    let mut memory = Ddr4::new(config);
    if let Some(ps) = ps {
        memory.ps_streams(ps);
    }
    let mut states: Vec<State> = streams.iter().map(State::new).collect();
    let mut cycle = 0;
    let mut ready = [true; PORTS];
    while states.iter().any(|state| state.finished == 0) {
        memory.tick(cycle);
        for state in &mut states {
            state.cycle(&mut memory, &mut ready, cycle, lock_step);
        }
        if lock_step.is_some() && states.iter().all(|s| s.buffered != 0 || s.finished != 0) {
            for state in &mut states {
                state.buffered = state.buffered.saturating_sub(1);
            }
        }
        for (port, ready) in ready.iter_mut().enumerate() {
            *ready = memory.ready(port, Channel::ReadAddress);
        }
        cycle += 1;
    }
    Measured {
        finished: states.iter().map(|state| state.finished).collect(),
        cycles: cycle,
        ps_bytes: memory.ps_bytes()[0],
        counters: memory.counters(),
    }
}

impl State {
    fn new(stream: &Stream) -> Self {
        Self {
            stream: *stream,
            asked: 0,
            beats: 0,
            asked_beats: 0,
            buffered: 0,
            written: 0,
            finished: 0,
        }
    }

    fn cycle(
        &mut self,
        memory: &mut Ddr4,
        ready: &mut [bool; PORTS],
        cycle: u64,
        lock_step: Option<u64>,
    ) {
        let stream = self.stream;
        if cycle < stream.start || self.finished != 0 {
            return;
        }
        while memory.write_response(stream.port, cycle + 1) {}
        if memory.read_beat(stream.port, cycle + 1) {
            self.beats += 1;
            self.buffered += u64::from(lock_step.is_some());
            if self.beats * 16 == stream.bytes {
                self.finished = cycle + 1;
            }
            self.write_back(memory, cycle);
        }
        // Bursts under way, by the beats that have not come.
        let flying = (self.asked_beats - self.beats).div_ceil(u64::from(stream.burst));
        let line = u64::from(stream.burst) * 16;
        let address = stream.base + self.asked;
        let length = (line - address % line).min(stream.bytes - self.asked);
        let room = lock_step
            .is_none_or(|fifo| self.buffered + self.asked_beats - self.beats + length / 16 <= fifo);
        if length != 0 && flying < u64::from(stream.outstanding) && room && ready[stream.port] {
            memory.read(stream.port, cycle, address, (length / 16) as u32);
            ready[stream.port] = false;
            self.asked += length;
            self.asked_beats += length / 16;
        }
    }

    fn write_back(&mut self, memory: &mut Ddr4, cycle: u64) {
        let Some(results) = self.stream.results else {
            return;
        };
        if self.beats * 16 % results.every == 0 {
            let address = results.base + self.written;
            memory.write(
                self.stream.port,
                cycle,
                address,
                (results.bytes / 16) as u32,
            );
            self.written += results.bytes;
        }
    }
}
