//! A memory with timing for the board's slaves, without any RTL.
#![allow(dead_code)] // Each test binary uses its part.

use macromac_board::axi::{Address, Attributes, Limits, World};
use macromac_board::buffers::Owner;
use macromac_board::inject::Injector;
use macromac_board::space::Own;
use macromac_board::timing::{PORTS, SimpleTiming};
use macromac_board::{Checked, PortConfig, Rule, Violation};
use macromac_driver::BufferUse;

pub const BASE: u64 = 0x8_0000_0000;
pub const LIMITS: Limits = Limits {
    burst_beats: 64,
    outstanding: 3,
    attributes: Attributes { cache: 3, prot: 0 },
};
pub const WEIGHTS: Owner = Owner::Buffer(BufferUse::Weights);
pub const RESULTS: Owner = Owner::Buffer(BufferUse::Results);

/// What the slaves work on: 16 KiB of weights at `BASE`, then 8 KiB of results.
pub struct Lab {
    pub cycle: u64,
    pub space: Own,
    pub timing: SimpleTiming,
    pub injector: Injector,
    pub results: u64,
}

impl Lab {
    pub fn new(config: PortConfig, seed: u64) -> Self {
        let mut space = Own::new(BASE, 1 << 20);
        let buffers = &mut space.buffers;
        buffers.alloc(16384, WEIGHTS).unwrap();
        let results = buffers.alloc(8192, RESULTS).unwrap();
        let results = buffers.get(results).unwrap().address;
        let bytes: Vec<u8> = (0..16384u32).map(|i| (i / 16) as u8 ^ i as u8).collect();
        space.memory.write(BASE, &bytes);
        let timing = SimpleTiming::new([config; PORTS], seed);
        Self {
            cycle: 0,
            space,
            timing,
            injector: Injector::default(),
            results,
        }
    }

    pub fn world(&mut self) -> World<'_> {
        self.cycle += 1;
        World {
            cycle: self.cycle,
            space: &mut self.space,
            timing: &mut self.timing,
            injector: &mut self.injector,
        }
    }
}

pub fn burst(address: u64, beats: u32) -> Address {
    Address {
        address,
        len: (beats - 1) as u8,
        size: 4,
        burst: 1,
        cache: 3,
        prot: 0,
    }
}

pub fn expect<T: std::fmt::Debug>(result: Checked<T>, rule: Rule) -> Violation {
    match result {
        Err(violation) if violation.rule == rule => *violation,
        other => panic!("expected a violation of '{rule}', got {other:?}"),
    }
}
