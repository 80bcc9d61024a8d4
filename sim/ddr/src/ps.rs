//! What the processor reads and writes while the accelerator works: lines in the same queue.
//!
//! Three ways in: [`PsTraffic`], bytes spread over an interval (what a cost model of the processor knows), explicit
//! [`PsRequest`]s, and [`PsStreams`], cores that read as fast as the memory lets them (what the published measurement did).

use std::collections::VecDeque;

use super::jedec::DdrRate;
use super::{LINE, map};

/// Bytes that the processor moves in an interval from now on, evenly spread; more than one may be under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PsTraffic {
    /// Bytes read; in lines of 64, rounded up.
    pub read_bytes: u64,
    /// Bytes written; likewise.
    pub write_bytes: u64,
    /// PL cycles over which they are spread.
    pub cycles: u64,
}

/// One access of the processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PsRequest {
    /// First byte.
    pub address: u64,
    /// Bytes; the lines that they touch are moved.
    pub bytes: u64,
    /// Written; otherwise read.
    pub write: bool,
}

/// Cores that read memory in a loop, each a region of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PsStreams {
    /// Cores; 0 stops them.
    pub cores: u32,
    /// Bytes a second of all cores together at most.
    pub rate: u64,
}

impl PsStreams {
    /// Three A53s: alone they read 5.70 GB/s (published measurement).
    pub const THREE_A53: Self = Self {
        cores: 3,
        rate: 5_703_000_000,
    };
}

/// Lines that the interconnect holds for the processor, reads and writes each.
const WINDOW: usize = 32;
/// Where the loops of the cores begin, and their distance.
const REGION: u64 = 64 << 20;
/// Where charged traffic reads and writes: below, in the lower memory, as Linux would place it.
const CHARGED: [u64; 2] = [0x1000_0000, 0x1800_0000];
/// Tag of lines that no core waits for.
const NOBODY: u32 = u32::MAX;

#[derive(Debug, Clone, Copy)]
struct Pace {
    write: bool,
    left: u64,
    /// The next line is due; then every `step` clocks and `rest` in `lines` more.
    due: u64,
    clocks: u64,
    lines: u64,
    owed: u64,
}

#[derive(Debug, Default)]
struct Core {
    next: u64,
    flying: u32,
    returns: VecDeque<u64>,
    due: u64,
}

/// The processor as a master.
pub(super) struct PsMaster {
    rate: DdrRate,
    /// Lines for the controller: by direction, in order.
    lines: [VecDeque<(u64, u32)>; 2],
    paces: Vec<Pace>,
    requests: VecDeque<PsRequest>,
    cursor: [u64; 2],
    cores: Vec<Core>,
    limit: u32,
    /// Clocks between two lines of a core.
    interval: u64,
    now: u64,
    wake: u64,
    pub bytes: [u64; 2],
}

impl PsMaster {
    pub fn new(rate: DdrRate, limit: u32) -> Self {
        Self {
            rate,
            lines: Default::default(),
            paces: Vec::new(),
            requests: VecDeque::new(),
            cursor: CHARGED,
            cores: Vec::new(),
            limit,
            interval: 1,
            now: 0,
            wake: 0,
            bytes: [0; 2],
        }
    }

    pub fn is_quiet(&self) -> bool {
        self.cores.is_empty()
            && self.paces.is_empty()
            && self.requests.is_empty()
            && self.lines.iter().all(VecDeque::is_empty)
    }

    /// Bytes charged or requested that no controller port has taken yet.
    pub fn owed(&self) -> u64 {
        let queued: usize = self.lines.iter().map(VecDeque::len).sum();
        let paced: u64 = self.paces.iter().map(|pace| pace.left).sum();
        let asked: u64 = self.requests.iter().map(|r| r.bytes).sum();
        (queued as u64 + paced) * LINE + asked
    }

    pub fn streams(&mut self, streams: PsStreams) {
        let (hz, per) = self.rate.clock();
        let lines = (streams.rate / LINE).max(1);
        self.interval = hz * u64::from(streams.cores) / (per * lines);

        self.cores = (0..u64::from(streams.cores))
            .map(|core| Core {
                next: core * REGION,
                ..Core::default()
            })
            .collect();
        self.wake = 0;
    }

    pub fn request(&mut self, request: PsRequest) {
        self.requests.push_back(request);
        self.wake = 0;
    }

    /// `ratio`: memory clocks a PL cycle.
    pub fn charge(&mut self, traffic: PsTraffic, ratio: (u64, u64)) {
        let clocks = u128::from(traffic.cycles) * u128::from(ratio.0) / u128::from(ratio.1);
        let clocks = u64::try_from(clocks).unwrap_or(u64::MAX).max(1);
        for (write, bytes) in [(false, traffic.read_bytes), (true, traffic.write_bytes)] {
            let lines = bytes.div_ceil(LINE);
            if lines != 0 {
                self.paces.push(Pace {
                    write,
                    left: lines,
                    due: self.now,
                    clocks,
                    lines,
                    owed: 0,
                });
            }
        }
        self.wake = 0;
    }

    /// Makes the lines that are due; says whether it looked for them.
    #[inline]
    pub fn step(&mut self, now: u64) -> bool {
        self.now = now;
        if now < self.wake {
            return false;
        }
        self.wake = self.make(now).max(now + 1);
        true
    }

    /// Nothing is due before.
    pub fn wake(&self) -> u64 {
        self.wake
    }

    /// Clocks up to `now` have passed, in which nothing was due.
    pub fn pass(&mut self, now: u64) {
        self.now = self.now.max(now);
    }

    fn make(&mut self, now: u64) -> u64 {
        let mut wake = u64::MAX;
        for (number, core) in self.cores.iter_mut().enumerate() {
            while core.returns.front().is_some_and(|at| *at <= now) {
                core.returns.pop_front();
                core.flying -= 1;
            }
            if core.flying < self.limit && core.due <= now {
                let base = number as u64 * REGION;
                self.lines[0].push_back((core.next, number as u32));
                core.next = base + (core.next - base + LINE) % REGION;
                core.flying += 1;
                core.due = now + self.interval;
            }
            wake = wake.min(core.due.max(now + 1));
        }
        for pace in &mut self.paces {
            let kind = usize::from(pace.write);
            while pace.left != 0 && pace.due <= now && self.lines[kind].len() < WINDOW {
                self.lines[kind].push_back((self.cursor[kind], NOBODY));
                let from = CHARGED[kind];
                self.cursor[kind] = from + (self.cursor[kind] - from + LINE) % REGION;
                pace.left -= 1;
                pace.owed += pace.clocks;
                pace.due += pace.owed / pace.lines;
                pace.owed %= pace.lines;
            }
            wake = wake.min(pace.due);
        }
        self.paces.retain(|pace| pace.left != 0);
        while let Some(request) = self.requests.front_mut() {
            let kind = usize::from(request.write);
            if request.bytes != 0 && self.lines[kind].len() >= WINDOW {
                wake = now;
                break;
            }
            if request.bytes == 0 {
                self.requests.pop_front();
                continue;
            }
            let end = request.address / LINE * LINE + LINE;
            self.lines[kind].push_back((request.address / LINE * LINE, NOBODY));
            request.bytes = request.bytes.saturating_sub(end - request.address);
            request.address = end;
        }
        wake
    }

    /// The next line for one of the interconnect's two controller ports.
    pub fn take(&mut self, write: bool, half: Option<u64>) -> Option<(u64, u32)> {
        let lines = &mut self.lines[usize::from(write)];
        let fits = |address: u64| half.is_none_or(|half| address / map::ROW_BYTES % 2 == half);
        let place = lines.iter().position(|(address, _)| fits(*address))?;
        let (address, tag) = lines.remove(place)?;
        self.bytes[usize::from(write)] += LINE;
        Some((address, tag))
    }

    /// A line is back at its core.
    pub fn returned(&mut self, at: u64, tag: u32) {
        if let Some(core) = self.cores.get_mut(tag as usize) {
            core.returns.push_back(at);
        }
    }
}
