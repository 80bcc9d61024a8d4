//! The model of the device (`sim/timing`) against the RTL on the simulated board: the same calls through the driver's queue code, and
//! every counter of both after each of them.

use std::path::Path;
use std::time::{Duration, Instant};

use macromac_board::timing::PORTS;
use macromac_board::{Board, BoardConfig, DdrConfig, DdrRate, MemoryModel, PortConfig};
use macromac_driver::{Accelerator, Counters, Device, PassShape, PassWeights, Platform, Profile};
use macromac_format::{Architecture, Head, Layout, Packing};
use macromac_infer::config::read_config;
use macromac_infer::kernels::time::{Coherency, Profile as PsProfile, PsTime};
use macromac_infer::{Model, Session};
use macromac_timing::{ModelConfig, ModelDevice, ModelMemory, PassTimes};

/// A program, and what the PS does between its steps.
struct Case {
    name: &'static str,
    profile: Profile,
    batch: u32,
    packing: Packing,
    memory: ModelMemory,
    /// [N, K] of each pass of the ring.
    passes: Vec<[usize; 2]>,
    vectors: usize,
    /// Steps of each pass that take turns.
    lanes: usize,
    /// Nanoseconds and bytes that the PS is busy with before each step, in turns.
    gaps: Vec<(u64, u64)>,
    rounds: usize,
}

impl Case {
    fn shapes(&self) -> Vec<PassShape> {
        let shape = |p: &[usize; 2]| PassShape { n: p[0], k: p[1] };
        self.passes.iter().map(shape).collect()
    }

    fn board(&self) -> Device<Board> {
        let memory = match self.memory {
            ModelMemory::Simple(ports, _) => MemoryModel::Simple(ports),
            ModelMemory::Ddr4(ddr) => MemoryModel::Ddr4(ddr),
        };
        let mut config = BoardConfig::new(self.seed(), memory).with_profile(self.profile);
        config.batch = self.batch;
        let zeros: Vec<Vec<u8>> = self
            .shapes()
            .iter()
            .map(|shape| {
                let layout = Layout::new(shape.n, shape.k);
                vec![0; layout.tile_rows() * self.packing.tile_bytes(layout.groups())]
            })
            .collect();
        let weights: Vec<PassWeights> = self
            .shapes()
            .into_iter()
            .zip(&zeros)
            .map(|(shape, zeros)| PassWeights {
                shape,
                packing: self.packing,
                segments: [zeros; 4],
            })
            .collect();
        Device::new(Board::new(config).unwrap(), &weights).unwrap()
    }

    fn seed(&self) -> u64 {
        match self.memory {
            ModelMemory::Simple(_, seed) => seed,
            ModelMemory::Ddr4(_) => 1,
        }
    }

    fn model(&self, fifo_strips: u32) -> ModelDevice {
        let clock = self.profile.clock_hz();
        let mut config = ModelConfig::new(self.profile, clock, self.memory);
        config.batch = self.batch as usize;
        config.fifo_strips = fifo_strips as usize;
        ModelDevice::new(config, &self.shapes(), self.packing).unwrap()
    }

    /// Counters after every step, and whether rows came in parts.
    fn run(&self, device: &mut dyn Accelerator) -> Vec<Counters> {
        let turns = |pass| std::iter::repeat_n(pass, self.lanes);
        let program: Vec<usize> = (0..self.passes.len()).flat_map(turns).collect();
        device.set_program(&program, self.vectors).unwrap();
        let mut counters = vec![device.counters().unwrap().unwrap()];
        let mut gaps = self.gaps.iter().cycle();
        let mut open = std::collections::VecDeque::new();
        for round in 0..self.rounds {
            for pass in &program {
                if open.len() == self.lanes {
                    let (ticket, n) = open.pop_front().unwrap();
                    // Part of the rows first, where they are reported.
                    device.wait_rows(ticket, n / 2).unwrap();
                    device.wait_rows(ticket, n).unwrap();
                    counters.push(device.counters().unwrap().unwrap());
                }
                let (ns, bytes) = gaps.next().unwrap();
                device.elapse(Duration::from_nanos(*ns), *bytes).unwrap();
                let PassShape { n, k } = device.passes()[*pass];
                let x = vec![0.0; k * self.vectors];
                open.push_back((device.submit(&x).unwrap(), n));
            }
            if round == 0 && self.rounds > 1 {
                // A shorter program and back: what is prefetched is dropped.
                while let Some((ticket, n)) = open.pop_front() {
                    device.wait_rows(ticket, n).unwrap();
                }
                device.set_program(&program[..1], self.vectors).unwrap();
                device.set_program(&program, self.vectors).unwrap();
            }
        }
        while let Some((ticket, n)) = open.pop_front() {
            device.wait_rows(ticket, n).unwrap();
            counters.push(device.counters().unwrap().unwrap());
        }
        counters
    }
}

fn ideal() -> ModelMemory {
    ModelMemory::Simple([PortConfig::IDEAL; PORTS], 1)
}

fn ddr(profile: Profile) -> ModelMemory {
    ModelMemory::Ddr4(DdrConfig::new(DdrRate::Mt2133, profile.clock_hz()))
}

fn random(seed: u64) -> ModelMemory {
    ModelMemory::Simple(
        std::array::from_fn(|port| PortConfig::random(seed, port as u64)),
        seed,
    )
}

/// The passes of Qwen2.5-0.5B, its head cut to an eighteenth.
fn qwen() -> Vec<[usize; 2]> {
    vec![
        [1152, 896],
        [896, 896],
        [9728, 896],
        [896, 4864],
        [8448, 896],
    ]
}

/// Small and odd ones: one group, one tile row, no multiples of anything.
fn odd() -> Vec<[usize; 2]> {
    vec![[32, 64], [40, 100], [1000, 64], [33, 700], [300, 320]]
}

fn cases() -> Vec<Case> {
    let base = || Case {
        name: "",
        profile: Profile::Kv260,
        batch: 8,
        packing: Packing::Single,
        memory: ideal(),
        passes: odd(),
        vectors: 1,
        lanes: 1,
        gaps: vec![(2_000, 0), (0, 0), (35_000, 40_000), (500, 640)],
        rounds: 2,
    };
    let k = Profile::Kv260;
    let p = Profile::Paper;
    vec![
        Case {
            name: "odd, ideal",
            ..base()
        },
        Case {
            name: "odd, ideal, 8 vectors, two lanes",
            vectors: 8,
            lanes: 2,
            ..base()
        },
        Case {
            name: "odd, format 2, DDR, 3 vectors",
            packing: Packing::Quad,
            vectors: 3,
            memory: ddr(k),
            ..base()
        },
        Case {
            name: "odd, random memory, 5 vectors, two lanes",
            vectors: 5,
            lanes: 2,
            memory: random(11),
            ..base()
        },
        Case {
            name: "odd, random memory, batch 1",
            batch: 1,
            memory: random(7),
            ..base()
        },
        Case {
            name: "odd, paper, ideal",
            profile: p,
            batch: 1,
            ..base()
        },
        Case {
            name: "odd, paper, random memory, two lanes",
            profile: p,
            batch: 1,
            lanes: 2,
            memory: random(5),
            ..base()
        },
        Case {
            name: "qwen, ideal",
            passes: qwen(),
            rounds: 1,
            ..base()
        },
        Case {
            name: "qwen, DDR",
            passes: qwen(),
            memory: ddr(k),
            rounds: 1,
            ..base()
        },
        Case {
            name: "qwen, format 2, DDR",
            packing: Packing::Quad,
            passes: qwen(),
            memory: ddr(k),
            rounds: 1,
            ..base()
        },
        Case {
            name: "qwen, DDR, 8 vectors, two lanes",
            passes: qwen()[..2].to_vec(),
            memory: ddr(k),
            vectors: 8,
            lanes: 2,
            rounds: 2,
            ..base()
        },
        Case {
            name: "qwen, paper, DDR",
            profile: p,
            batch: 1,
            passes: qwen(),
            memory: ddr(p),
            rounds: 1,
            ..base()
        },
    ]
}

/// Not half a percent, but every counter after every step, to the cycle; and the times by pass add up to them.
#[test]
fn model_and_rtl_count_the_same() {
    println!("| case | steps | RTL cycles | model | miss |\n|---|---:|---:|---:|---:|");
    let mut misses = Vec::new();
    for case in cases() {
        let mut board = case.board();
        let mut device = case.model(board.platform().capabilities().fifo_strips);
        let (rtl, model) = (case.run(&mut board), case.run(&mut device));
        let (name, ends) = (case.name, [&rtl, &model].map(|c| c.last().unwrap().cycles));
        let miss = 100.0 * (ends[1] as f64 / ends[0] as f64 - 1.0);
        println!(
            "| {name} | {} | {} | {} | {miss:+.4} % |",
            rtl.len() - 1,
            ends[0],
            ends[1]
        );
        let same = |a: &Counters, b: &Counters| {
            let wall = b.sim_wall_ns;
            Counters {
                sim_wall_ns: wall,
                ..*a
            } == *b
        };
        if let Some(step) = (0..rtl.len()).find(|i| !same(&rtl[*i], &model[*i])) {
            let found = format!("{:?}\n{:?}", rtl[step], model[step]);
            misses.push(format!(
                "{name}: first difference after step {step}:\n{found}"
            ));
        }
        check_times(&device, &model[model.len() - 1], name);
    }
    assert!(misses.is_empty(), "{}", misses.join("\n"));
}

/// Every cycle of a program is in one pass, with one reason.
fn check_times(device: &ModelDevice, counters: &Counters, name: &str) {
    let mut all = PassTimes::default();
    for times in device.pass_times() {
        let reasons = times.ps_wait + times.no_activations + times.no_data;
        let reasons = reasons + times.no_room + times.lock_step;
        assert_eq!(times.cycles, times.streaming + reasons, "{name}: {times:?}");
        all += times;
    }
    // The last few of these counters were loaded while the device ran on.
    assert_eq!(all.streaming, counters.strips[0], "{name}");
    assert_eq!(all.steps, counters.steps, "{name}");
}

/// The shape of Qwen2.5-0.5B.
fn qwen_shape() -> Architecture {
    let config = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../models/qwen2.5-0.5b/config.json"
    );
    read_config(Path::new(config)).unwrap()
}

/// PL cycles of a generated token at a depth, or of a round of two batches of prompt, after one of the same before it.
fn unit(prompt: bool, depth: usize, shortened: bool) -> u64 {
    let (head, profile) = (Head::Int4, Profile::Kv260);
    let mut model = Model::of_shape(qwen_shape(), head);
    model.settings.ps_time = Some(PsTime::new(PsProfile::Derived, Coherency::Coherent));
    let passes = model.architecture().passes(head);
    let shapes: Vec<PassShape> = passes
        .iter()
        .map(|p| PassShape { n: p.n, k: p.k })
        .collect();
    let config = ModelConfig::kv260(profile, profile.clock_hz(), 2133);
    let mut device = ModelDevice::new(config, &shapes, Packing::Single).unwrap();
    if shortened {
        device = device.shortened();
    }
    let mut session = Session::new(&model, &mut device);
    session.pretend(depth);
    let mut before = 0;
    for _ in 0..2 {
        before = session.device().counters().unwrap().unwrap().cycles;
        if prompt {
            session.feed_batch(&[0; 16]).unwrap();
        } else {
            session.logits_after(0).unwrap();
        }
        session.settle().unwrap();
    }
    device.counters().unwrap().unwrap().cycles - before
}

#[test]
fn a_shortened_model_is_near_the_whole_one() {
    for (prompt, depth) in [(false, 0), (false, 512), (true, 0)] {
        let whole = unit(prompt, depth, false);
        let begun = Instant::now();
        let short = unit(prompt, depth, true);
        let (miss, wall) = (short as f64 / whole as f64 - 1.0, begun.elapsed());
        let kind = if prompt { "round" } else { "token" };
        println!(
            "{kind} at {depth}: {whole} cycles, shortened {short}, {:+.3} %, two in {wall:?}",
            100.0 * miss
        );
        assert!(
            miss.abs() < 0.005,
            "{kind} at {depth}: {:.3} %",
            100.0 * miss
        );
    }
}
