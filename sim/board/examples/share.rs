//! Where the memory's peak goes while tokens are decoded, and how far the four readers drift from each other, by the RTL:
//! `cargo run --release -p macromac-board --example share -- [MHZ [GAP_US [PROFILE]]]` (300, 30, kv260).
//!
//! Two layers of Qwen2.5-0.5B's shape, one vector, DDR4-2133; between two passes the processor takes GAP_US.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use macromac_board::timing::Channel;
use macromac_board::{
    Board, BoardConfig, DdrConfig, DdrRate, MemoryModel, MemoryTiming, PsTraffic,
};
use macromac_ddr::{Ddr4, DramCounters};
use macromac_driver::{Accelerator, Device, DriverError, PassShape, PassWeights, Profile};
use macromac_format::Packing;
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// `qkv`, `o`, `gate_up`, `down`: output and input channels.
const LAYER: [(usize, usize); 4] = [(1152, 896), (896, 896), (9728, 896), (896, 4864)];
const LAYERS: usize = 2;
const ROUNDS: usize = 3;
/// Bytes that the processor moves between two passes.
const PS_BYTES: u64 = 40_000;
const WEIGHT_PORTS: usize = 4;

/// What is seen at the ports.
#[derive(Default, Clone, Copy)]
struct Seen {
    cycles: u64,
    /// Cycles in which no weight port has a burst under way.
    nothing_asked: u64,
    /// Beats asked for by the port that is farthest ahead, less those of the last one: summed over the cycles that ask, and largest.
    lead_sum: u64,
    lead_most: u64,
    /// Beats of weights asked for, a port; bursts under way.
    beats: [u64; WEIGHT_PORTS],
    flying: [u64; WEIGHT_PORTS],
    dram: DramCounters,
}

/// The memory, and somebody who counts.
struct Watched {
    memory: Ddr4,
    seen: Arc<Mutex<Seen>>,
    /// Beats left of each burst under way.
    bursts: [std::collections::VecDeque<u32>; WEIGHT_PORTS],
}

impl Watched {
    fn note(&self, change: impl FnOnce(&mut Seen)) {
        if let Ok(mut seen) = self.seen.lock() {
            change(&mut seen);
        }
    }
}

impl MemoryTiming for Watched {
    fn tick(&mut self, cycle: u64) {
        self.memory.tick(cycle);
        let dram = self.memory.counters();
        self.note(|seen| {
            seen.cycles = cycle;
            seen.dram = dram;
            if seen.flying == [0; WEIGHT_PORTS] {
                seen.nothing_asked += 1;
                return;
            }
            let most = seen.beats.iter().max().copied().unwrap_or(0);
            let lead = most - seen.beats.iter().min().copied().unwrap_or(0);
            seen.lead_sum += lead;
            seen.lead_most = seen.lead_most.max(lead);
        });
    }

    fn ready(&mut self, port: usize, channel: Channel) -> bool {
        self.memory.ready(port, channel)
    }

    fn read(&mut self, port: usize, cycle: u64, address: u64, beats: u32) {
        self.memory.read(port, cycle, address, beats);
        if port < WEIGHT_PORTS {
            self.bursts[port].push_back(beats);
            self.note(|seen| {
                seen.flying[port] += 1;
                seen.beats[port] += u64::from(beats);
            });
        }
    }

    fn read_beat(&mut self, port: usize, cycle: u64) -> bool {
        let beat = self.memory.read_beat(port, cycle);
        if let Some(left) = self.bursts.get_mut(port).and_then(|b| b.front_mut()) {
            *left -= u32::from(beat);
            if *left == 0 {
                self.bursts[port].pop_front();
                self.note(|seen| seen.flying[port] -= 1);
            }
        }
        beat
    }

    fn write(&mut self, port: usize, cycle: u64, address: u64, beats: u32) {
        self.memory.write(port, cycle, address, beats);
    }

    fn write_response(&mut self, port: usize, cycle: u64) -> bool {
        self.memory.write_response(port, cycle)
    }

    fn ps_traffic(&mut self, traffic: PsTraffic) {
        self.memory.ps_traffic(traffic);
    }

    fn ps_owed(&self) -> u64 {
        self.memory.ps_owed()
    }
}

fn segment(n: usize, k: usize, rng: &mut ChaCha8Rng) -> Vec<u8> {
    let mut bytes = vec![0; n / 32 * (k / 64) * 288];
    for block in bytes.chunks_exact_mut(288) {
        rng.fill_bytes(block);
        // Finite scales (the exponent's top bit clear) and the zeros strip's reserved bytes.
        block[..16]
            .chunks_exact_mut(2)
            .for_each(|scale| scale[1] &= 0xBF);
        block[20..32].fill(0);
    }
    bytes
}

fn main() -> Result<(), DriverError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: u64| {
        let given = arguments.get(at).and_then(|a| a.parse().ok());
        given.unwrap_or(default)
    };
    let profile = match arguments.get(2).map(String::as_str) {
        Some("paper") => Profile::Paper,
        _ => Profile::Kv260,
    };
    let clock = number(0, profile.clock_hz() / 1_000_000) * 1_000_000;
    let gap = Duration::from_micros(number(1, 30));

    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let segments = LAYER.map(|(n, k)| segment(n, k, &mut rng));
    let passes: Vec<PassWeights> = (0..LAYERS * LAYER.len())
        .map(|pass| {
            let (n, k) = LAYER[pass % LAYER.len()];
            PassWeights {
                shape: PassShape { n, k },
                packing: Packing::Single,
                segments: [&segments[pass % LAYER.len()]; 4],
            }
        })
        .collect();

    let seen = Arc::new(Mutex::new(Seen::default()));
    let config = BoardConfig {
        memory: MemoryModel::Custom(Box::new(Watched {
            memory: Ddr4::new(DdrConfig::new(DdrRate::Mt2133, clock)),
            seen: seen.clone(),
            bursts: Default::default(),
        })),
        ..BoardConfig::ddr4(DdrRate::Mt2133, 1)
            .with_profile(profile)
            .with_clock(clock)
    };
    let mut device = Device::new(Board::new(config)?, &passes)?;
    let ring: Vec<usize> = (0..passes.len()).collect();
    device.set_program(&ring, 1)?;
    for round in 0..ROUNDS {
        let before = seen.lock().map(|s| *s).unwrap_or_default();
        for pass in &passes {
            device.elapse(gap, PS_BYTES)?;
            let x: Vec<f32> = (0..pass.shape.k).map(|i| (i as f32 * 0.37).sin()).collect();
            let mut y = vec![0.0; pass.shape.n];
            device.run_step(&x, &mut y)?;
        }
        let after = seen.lock().map(|s| *s).unwrap_or_default();
        let stall = device.counters()?.map_or(0, |c| c.stalls[0].no_data);
        report(round, &before, &after, clock, stall);
    }
    Ok(())
}

/// Shares of the memory's time in a round.
fn report(round: usize, before: &Seen, after: &Seen, clock: u64, no_data: u64) {
    let dram = (&before.dram, &after.dram);
    let cycles = after.cycles - before.cycles;
    let clocks = (dram.1.clocks - dram.0.clocks) as f64;
    let percent = |clocks_of: u64| 100.0 * clocks_of as f64 / clocks;
    let beats: u64 = (0..WEIGHT_PORTS)
        .map(|p| after.beats[p] - before.beats[p])
        .sum();
    let seconds = cycles as f64 / clock as f64;
    // A line keeps the data lines for four memory clocks; a refresh, the memory for 350 ns.
    let lines = percent(4 * (dram.1.reads - dram.0.reads));
    let written = percent(4 * (dram.1.writes - dram.0.writes));
    let refresh = 100.0 * (dram.1.refreshes - dram.0.refreshes) as f64 * 350e-9 / seconds;
    let busy = cycles - (after.nothing_asked - before.nothing_asked);
    println!(
        "round {round}: {cycles} cycles; weights asked for {:.1} % of the peak; data lines read {lines:.1} %, write {written:.1} %; refresh {refresh:.1} %; \
         nothing asked for {:.1} % of the time; rows opened {:.2} a KiB; turns {}; \
         distance of the ports mean {:.1}, largest {} KiB; port 0 without data (since start) {no_data}",
        16.0 * 100.0 * beats as f64 / seconds / DdrRate::Mt2133.peak() as f64,
        100.0 * (1.0 - busy as f64 / cycles as f64),
        (dram.1.activates - dram.0.activates) as f64 / (beats as f64 / 64.0),
        dram.1.turns - dram.0.turns,
        (after.lead_sum - before.lead_sum) as f64 / busy.max(1) as f64 / 64.0,
        after.lead_most as f64 / 64.0,
    );
}
