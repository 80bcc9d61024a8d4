//! When memory answers. The AXI slaves move data and keep the rules; a [`MemoryTiming`] says in which cycle they may.

use std::collections::VecDeque;

use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::PsTraffic;

/// Number of AXI ports: four for weights and one for data.
pub const PORTS: usize = 5;

/// A channel on which the memory may hold a master up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// AR
    ReadAddress,
    /// AW
    WriteAddress,
    /// W
    WriteData,
}

/// Decides when each beat moves, for all ports, since they share the memory.
///
/// Cycles are PL cycles and never go back. Answers of one port come in the order of its requests. A controller model (banks,
/// queues, refresh) does its work in [`tick`](Self::tick) and answers the questions from its state.
pub trait MemoryTiming: Send {
    /// Called once a cycle before any other call of that cycle.
    fn tick(&mut self, _cycle: u64) {}

    /// May READY be high on this channel in the next cycle?
    fn ready(&mut self, port: usize, channel: Channel) -> bool;

    /// A read burst was accepted in `cycle`.
    fn read(&mut self, port: usize, cycle: u64, address: u64, beats: u32);

    /// May the next beat of the port's oldest unfinished read be driven from `cycle` on? `true` counts as taken.
    fn read_beat(&mut self, port: usize, cycle: u64) -> bool;

    /// A write burst has arrived in whole in `cycle`.
    fn write(&mut self, port: usize, cycle: u64, address: u64, beats: u32);

    /// May the oldest unanswered write be answered from `cycle` on? `true` counts as taken.
    fn write_response(&mut self, port: usize, cycle: u64) -> bool;

    /// The processor moves data over the coming cycles. A memory that does not model its share ignores it.
    fn ps_traffic(&mut self, _traffic: PsTraffic) {}

    /// Bytes of the processor's traffic that the memory has not taken yet.
    fn ps_owed(&self) -> u64 {
        0
    }
}

/// How one port of [`SimpleTiming`] answers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PortConfig {
    /// Cycles from the acceptance of an address to the first beat, and from the last written beat to the response.
    pub latency: u32,
    /// Up to so many cycles more, by chance, for each burst.
    pub jitter: u32,
    /// Chance that a beat which could be delivered is not, in each cycle; below 1.
    pub gap: f64,
    /// Chance that ARREADY, AWREADY or WREADY is low in a cycle; below 1.
    pub stall: f64,
}

impl PortConfig {
    /// Every beat as early as its latency allows.
    pub const IDEAL: Self = Self {
        latency: 20,
        jitter: 0,
        gap: 0.0,
        stall: 0.0,
    };
    /// Like a lightly loaded board: about 300 ns, a pause now and then.
    pub const TYPICAL: Self = Self {
        latency: 60,
        jitter: 20,
        gap: 0.02,
        stall: 0.02,
    };

    /// Slow in a way that `seed` and `port` decide: from hardly to badly, so that every pair of ports is out of step.
    pub fn random(seed: u64, port: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(100 + port);
        let mut pick = |values: [f64; 4]| values[rng.next_u32() as usize % 4];
        Self {
            latency: pick([1.0, 8.0, 50.0, 200.0]) as u32,
            jitter: pick([0.0, 3.0, 40.0, 150.0]) as u32,
            gap: pick([0.0, 0.1, 0.4, 0.8]),
            stall: pick([0.0, 0.1, 0.5, 0.9]),
        }
    }
}

/// Memory that answers after a latency, with gaps by chance; each port by itself.
pub struct SimpleTiming {
    ports: [Port; PORTS],
}

struct Port {
    config: PortConfig,
    gap: u32,
    stall: u32,
    rng: ChaCha8Rng,
    /// First cycle and beats left of each read.
    reads: VecDeque<(u64, u32)>,
    /// First cycle of each response.
    writes: VecDeque<u64>,
}

impl Port {
    fn chance(&mut self, limit: u32) -> bool {
        limit != 0 && self.rng.next_u32() < limit
    }

    fn due(&mut self, cycle: u64) -> u64 {
        let jitter = match self.config.jitter {
            0 => 0,
            most => self.rng.next_u32() % (most + 1),
        };
        cycle + u64::from(self.config.latency + jitter)
    }
}

impl SimpleTiming {
    /// Timing by one configuration a port; everything random comes from `seed`.
    pub fn new(configs: [PortConfig; PORTS], seed: u64) -> Self {
        let threshold = |chance: f64| (chance.clamp(0.0, 0.99) * f64::from(u32::MAX)) as u32;
        let mut stream = 0;
        let ports = configs.map(|config| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            stream += 1;
            rng.set_stream(stream);
            Port {
                config,
                gap: threshold(config.gap),
                stall: threshold(config.stall),
                rng,
                reads: VecDeque::new(),
                writes: VecDeque::new(),
            }
        });
        Self { ports }
    }
}

impl MemoryTiming for SimpleTiming {
    fn ready(&mut self, port: usize, _channel: Channel) -> bool {
        let port = &mut self.ports[port];
        !port.chance(port.stall)
    }

    fn read(&mut self, port: usize, cycle: u64, _address: u64, beats: u32) {
        let port = &mut self.ports[port];
        let due = port.due(cycle);
        port.reads.push_back((due, beats));
    }

    fn read_beat(&mut self, port: usize, cycle: u64) -> bool {
        let port = &mut self.ports[port];
        let gap = port.gap;
        match port.reads.front() {
            Some((due, _)) if *due <= cycle => {}
            _ => return false,
        }
        if port.chance(gap) {
            return false;
        }
        if let Some((_, beats)) = port.reads.front_mut() {
            *beats -= 1;
            if *beats == 0 {
                port.reads.pop_front();
            }
        }
        true
    }

    fn write(&mut self, port: usize, cycle: u64, _address: u64, _beats: u32) {
        let port = &mut self.ports[port];
        let due = port.due(cycle);
        port.writes.push_back(due);
    }

    fn write_response(&mut self, port: usize, cycle: u64) -> bool {
        let port = &mut self.ports[port];
        let due = port.writes.front().is_some_and(|due| *due <= cycle);
        due && port.writes.pop_front().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ideal_memory_is_exact() {
        let mut timing = SimpleTiming::new([PortConfig::IDEAL; PORTS], 1);
        timing.read(2, 100, 0, 2);
        timing.read(2, 101, 0, 1);
        assert!(!timing.read_beat(2, 119) && !timing.read_beat(3, 200));
        assert!(timing.read_beat(2, 120) && timing.read_beat(2, 121));
        assert!(timing.read_beat(2, 122), "the second burst was due at 121");
        assert!(!timing.read_beat(2, 500));
        assert!(timing.ready(2, Channel::ReadAddress));
    }

    #[test]
    fn chance_is_repeatable_and_about_right() {
        let config = PortConfig {
            gap: 0.25,
            ..PortConfig::IDEAL
        };
        let pattern = |seed| {
            let mut timing = SimpleTiming::new([config; PORTS], seed);
            timing.read(0, 0, 0, 10_000);
            (20..4020)
                .map(|cycle| timing.read_beat(0, cycle))
                .collect::<Vec<_>>()
        };
        assert_eq!(pattern(7), pattern(7));
        assert_ne!(pattern(7), pattern(8));
        let beats = pattern(7).iter().filter(|beat| **beat).count();
        assert!((2850..3150).contains(&beats), "{beats}");
    }
}
