//! The KV260's DDR4 and its controller, bank by bank: a [`MemoryTiming`] for the simulated board (`sim/board`) and for the model of
//! the device (`sim/timing`), which share it.
//!
//! Everything is integer arithmetic on memory clocks (tCK), so a run repeats to the cycle on every machine.
//!
//! * [`buffers`]: who owns which addresses;
//! * [`timing`]: what a memory is to a port, and memories simpler than this one;
//! * [`jedec`]: what the standard says of the devices; nothing in it is fitted;
//! * [`map`]: which bank, row and column an address is;
//! * `dram`: banks, buses, refresh, and which command goes out in a memory clock;
//! * `port`: an AXI port from the programmable logic up to the controller;
//! * `returns`: a controller port's way back;
//! * `ps`: what the processor reads and writes meanwhile;
//! * [`config`]: rate, clock, and the queue and port parameters, which are fitted to published measurements of a board;
//! * [`replay`]: port masters that need no RTL; [`calibration`] and [`placement`] use them.
//!
//! What of it is measured, and how well: `docs/memory.md`.

pub mod buffers;
pub mod calibration;
pub mod config;
mod dram;
pub mod jedec;
pub mod map;
pub mod placement;
mod port;
mod ps;
pub mod replay;
mod returns;
#[cfg(test)]
mod tests;
pub mod timing;

pub use config::{DdrConfig, QueueConfig};
pub use dram::DramCounters;
pub use jedec::DdrRate;
pub use ps::{PsRequest, PsStreams, PsTraffic};
pub use timing::{MemoryTiming, PortConfig};

use dram::{Dram, Request};
use port::Port;
use ps::PsMaster;
use returns::Returns;
use timing::{Channel, PORTS};

/// Controller ports that the model knows: two for the interconnect of the processor (and HPC), one for HP0, one for HP1 and HP2
/// together, one for HP3. (UG1085, "DDR Memory Controller": six 128-bit ports, of which port 0, of the real-time cores, is idle
/// here.)
const CONTROLLER_PORTS: usize = 5;
/// The one of HP1 and HP2.
const PAIR: usize = 3;
/// Number of the processor among the sources; those before it are the AXI ports.
const PS: usize = PORTS;
/// Controller ports from here on return data in order.
const IN_ORDER: usize = 2;
/// Bytes of a memory burst: eight words of 64 bits (JESD79-4: burst length 8).
const LINE: u64 = 64;
/// Memory clocks in which a controller port moves a line: 16 bytes in each of the controller's clocks, which are two tCK
/// (UG1085: the controller runs at half the memory's clock, its ports with it).
const PORT_LINE: u64 = 8;
/// Memory clocks between two requests that the port arbiter lets through: one a controller clock.
const ARBITER: u64 = 2;

/// The memory, its controller and the five ports.
pub struct Ddr4 {
    queue: QueueConfig,
    dram: Dram,
    ports: [Port; PORTS],
    ps: PsMaster,
    /// Memory clocks passed.
    now: u64,
    /// PL cycle of the last tick.
    cycle: u64,
    /// Memory clocks a PL cycle, as a reduced fraction, and what is left of it.
    ratio: (u64, u64),
    owed: u64,
    /// Whose turn it is: controller port for reads and writes, source within a shared port.
    turn: [usize; 2],
    last_source: [usize; CONTROLLER_PORTS],
    /// Lines of that source in a row.
    source_run: [u32; CONTROLLER_PORTS],
    run: u32,
    next_grant: u64,
    /// The arbiter has found nothing to let through, and will not before this clock unless something changes.
    grant_after: u64,
    /// The reads of each controller port, and when its return path is free.
    returns: [Returns; CONTROLLER_PORTS],
    done: Vec<dram::Done>,
}

impl Ddr4 {
    /// The memory of `config`, with no row open.
    pub fn new(config: DdrConfig) -> Self {
        let (memory, per) = config.rate.clock();
        let (num, den) = (memory, per * config.pl_hz.max(1));
        let divisor = gcd(num, den);
        let queue = config.queue;
        Self {
            queue,
            dram: Dram::new(config.rate, &queue),
            ports: std::array::from_fn(|_| Port::default()),
            ps: PsMaster::new(config.rate, queue.ps_lines),
            now: 0,
            cycle: 0,
            ratio: (num / divisor, den / divisor),
            owed: 0,
            turn: [0; 2],
            last_source: [0; CONTROLLER_PORTS],
            source_run: [0; CONTROLLER_PORTS],
            run: 0,
            next_grant: 0,
            grant_after: 0,
            returns: Default::default(),
            done: Vec::with_capacity(8),
        }
    }

    /// What the memory did since it was built.
    pub fn counters(&self) -> DramCounters {
        DramCounters {
            clocks: self.now,
            ..self.dram.counters
        }
    }

    /// Bytes that the processor has read and written.
    pub fn ps_bytes(&self) -> [u64; 2] {
        self.ps.bytes
    }

    /// Lets cores read memory as fast as they can, until told otherwise.
    pub fn ps_streams(&mut self, streams: PsStreams) {
        self.ps.streams(streams);
    }

    /// One request of the processor, at its turn after those before it.
    pub fn ps_request(&mut self, request: PsRequest) {
        self.ps.request(request);
    }

    /// Memory clocks up to `until`.
    fn advance(&mut self, until: u64) {
        if until == self.now {
            return;
        }
        while self.now < until {
            if self.quiet() {
                // Nothing to do but refresh: the clocks in between are skipped.
                self.dram.idle_until(until);
                self.now = until;
                break;
            }
            let now = self.now;
            if self.ps.step(now) {
                self.grant_after = 0;
            }
            if now >= self.next_grant.max(self.grant_after) {
                if self.grant(now) {
                    self.next_grant = now + ARBITER;
                } else {
                    let ports = self.ports.iter().map(|port| port.arrives(now));
                    self.grant_after = ports.min().unwrap_or(u64::MAX);
                }
            }
            self.dram.step(now, &mut self.done);
            while let Some(done) = self.done.pop() {
                self.finish(done);
                self.grant_after = 0;
            }
            // Clocks in which nobody does anything are passed over.
            let grant = self.next_grant.max(self.grant_after);
            let next = grant.min(self.dram.wake()).min(self.ps.wake());
            self.now = next.clamp(now + 1, until);
        }
        self.ps.pass(until - 1);
    }

    fn quiet(&self) -> bool {
        self.dram.is_empty() && self.ps.is_quiet() && self.ports.iter().all(Port::is_quiet)
    }

    /// A line has been read or written: it travels back to its port.
    fn finish(&mut self, done: dram::Done) {
        let request = done.request;
        if request.write {
            return;
        }
        let way = usize::from(request.way);
        let returns = &mut self.returns[way];
        let mut next = if way < IN_ORDER {
            returns.overtake(request.tag, done.at)
        } else {
            returns.served(request.tag, done.at);
            returns.pop()
        };
        while let Some((source, tag, at)) = next {
            match usize::from(source) {
                PS => self.ps.returned(at + self.queue.ps_return, tag),
                port => self.ports[port].returned(tag, at + self.queue.read_return),
            }
            next = if way < IN_ORDER { None } else { returns.pop() };
        }
    }

    /// The port arbiter lets at most one request into the queue: reads first while there is room, controller ports in turn.
    fn grant(&mut self, now: u64) -> bool {
        for write in [false, true] {
            if !self.dram.has_room(write) {
                continue;
            }
            let kind = usize::from(write);
            let first = self.turn[kind];
            for step in 0..CONTROLLER_PORTS {
                let way = (first + step) % CONTROLLER_PORTS;
                let limit = self.queue.port_lines as usize * if way == PAIR { 2 } else { 1 };
                if !write && self.returns[way].len() >= limit {
                    continue;
                }
                let Some((source, address, tag)) = self.offer(way, write, now) else {
                    continue;
                };
                let same = self.last_source[way] == source;
                self.source_run[way] = if same { self.source_run[way] + 1 } else { 1 };
                self.last_source[way] = source;
                // A port keeps its turn for so many lines, if it has them.
                self.run = if step == 0 { self.run + 1 } else { 1 };
                let stay = self.run < self.queue.arbiter_run;
                self.turn[kind] = if stay {
                    way
                } else {
                    (way + 1) % CONTROLLER_PORTS
                };
                if !stay {
                    self.run = 0;
                }
                let tag = if write {
                    0
                } else {
                    self.returns[way].asked(source as u8, tag)
                };
                let request = Request::new(address, write, way as u8, tag);
                self.dram.push(request, now);
                return true;
            }
        }
        false
    }

    /// The next line that a controller port wants, taken from its sources in turn.
    fn offer(&mut self, way: usize, write: bool, now: u64) -> Option<(usize, u64, u32)> {
        let sources: &[usize] = match way {
            // The coherent interconnect spreads what comes to it over two ports by address.
            0 | 1 => &[PS, 4],
            2 => &[0],
            PAIR => &[1, 2],
            _ => &[3],
        };
        let last = self.last_source[way];
        let stay = self.source_run[way] < self.queue.source_run;
        let first_last = sources[0] == last;
        let start = usize::from(sources.len() > 1 && first_last != stay);
        for k in 0..sources.len() {
            let source = sources[(start + k) % sources.len()];
            let half = (way < 2).then_some(way as u64);
            let found = match source {
                PS => self.ps.take(write, half),
                port => self.ports[port].take(write, half, now, &self.queue),
            };
            if let Some((address, tag)) = found {
                return Some((source, address, tag));
            }
        }
        None
    }
}

impl MemoryTiming for Ddr4 {
    fn tick(&mut self, cycle: u64) {
        let passed = cycle.saturating_sub(self.cycle);
        self.cycle = cycle;
        let (num, den) = self.ratio;
        let owed = u128::from(self.owed) + u128::from(passed) * u128::from(num);
        let (clocks, left) = if owed <= u128::from(u64::MAX) {
            (owed as u64 / den, owed as u64 % den)
        } else {
            (
                (owed / u128::from(den)) as u64,
                (owed % u128::from(den)) as u64,
            )
        };
        self.owed = left;
        self.advance(self.now + clocks);
    }

    fn ready(&mut self, port: usize, channel: Channel) -> bool {
        match channel {
            Channel::ReadAddress => self.ports[port].reads() < self.queue.read_bursts as usize,
            Channel::WriteAddress | Channel::WriteData => {
                self.ports[port].writes() < self.queue.write_bursts as usize
            }
        }
    }

    fn read(&mut self, port: usize, _cycle: u64, address: u64, beats: u32) {
        let from = self.now + self.queue.request;
        self.ports[port].read(address, beats, from);
        self.grant_after = 0;
    }

    fn read_beat(&mut self, port: usize, _cycle: u64) -> bool {
        self.ports[port].beat(self.now)
    }

    fn write(&mut self, port: usize, _cycle: u64, address: u64, beats: u32) {
        let from = self.now + self.queue.request;
        self.ports[port].write(address, beats, from);
        self.grant_after = 0;
    }

    fn write_response(&mut self, port: usize, _cycle: u64) -> bool {
        self.ports[port].response(self.now)
    }

    fn ps_traffic(&mut self, traffic: PsTraffic) {
        self.ps.charge(traffic, self.ratio);
    }

    fn ps_owed(&self) -> u64 {
        self.ps.owed()
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}
