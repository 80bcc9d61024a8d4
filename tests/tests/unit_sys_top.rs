//! The whole device against a minimal memory: first bring-up, throughput, latency and recovery.

mod unit_sys_support;

use half::f16;
use macromac_format::Block;
use macromac_format::descriptor::Descriptor;
use macromac_golden::{PassDims, run_pass};
use macromac_rtl::{Harness, mm_top, run};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use unit_sys_support::{Beat, Burst, Memory, ReadSlave, Timing, WriteSlave};

const RING: u64 = 0x8_0000_0000;
const RECORD: u64 = 0x8_0000_8000;
const BUFFERS: u64 = 0x8_0010_0000;

mod reg {
    pub const ID: u16 = 0x000;
    pub const CONFIG_HASH: u16 = 0x014;
    pub const CTRL: u16 = 0x020;
    pub const STATUS: u16 = 0x024;
    pub const IRQ_STATUS: u16 = 0x028;
    pub const IRQ_ENABLE: u16 = 0x02C;
    pub const RING_BASE_LO: u16 = 0x030;
    pub const RING_BASE_HI: u16 = 0x034;
    pub const RING_STEPS: u16 = 0x038;
    pub const COMPLETION_LO: u16 = 0x040;
    pub const COMPLETION_HI: u16 = 0x044;
    pub const WATCHDOG: u16 = 0x04C;
    pub const ERR_CAUSE: u16 = 0x050;
    pub const ERR_ADDR_LO: u16 = 0x054;
    pub const ERR_ADDR_HI: u16 = 0x058;
    pub const DOORBELL: u16 = 0x1000;
    pub const STEPS_DONE: u16 = 0x1004;
    pub const STREAM_CYCLES: u16 = 0x1018;
    pub const STEPS: u16 = 0x1020;
    pub const PORT: u16 = 0x1100;
}

const START: u32 = 1;
const STOP: u32 = 2;
const SOFT_RESET: u32 = 4;
const IDLE: u32 = 1;
const FAULTED: u32 = 8;

/// The device, its memory and its six AXI ports.
struct Bench<'a> {
    h: &'a mut Harness<mm_top::Top>,
    memory: Memory,
    weights: [ReadSlave; 4],
    data: ReadSlave,
    write: WriteSlave,
    rng: ChaCha8Rng,
    cycle: u64,
    /// Cycle of the response to the last record.
    last_record: u64,
}

/// One step with its golden results.
#[derive(Clone)]
struct Step {
    descriptor: Descriptor,
    segments: [Vec<u8>; 4],
    activations: Vec<f32>,
    expected: Vec<f32>,
}

impl<'a> Bench<'a> {
    fn new(
        h: &'a mut Harness<mm_top::Top>,
        timing: impl Fn(&mut Harness<mm_top::Top>) -> Timing,
    ) -> Self {
        use rand::SeedableRng;
        let weights = std::array::from_fn(|_| ReadSlave::new(timing(h), 64, 8));
        let data = ReadSlave::new(timing(h), 64, 8);
        let write = WriteSlave::new(timing(h), 64);
        let rng = ChaCha8Rng::seed_from_u64(h.rng().random());
        h.reset();
        Self {
            h,
            memory: Memory::default(),
            weights,
            data,
            write,
            rng,
            cycle: 0,
            last_record: 0,
        }
    }

    fn step(&mut self) {
        let i = &mut self.h.dut.i;
        macro_rules! port {
            ($p:expr, $arready:ident, $rvalid:ident, $rdata:ident, $rresp:ident, $rlast:ident) => {
                let d = $p.drive(&self.memory);
                i.$arready = u8::from(d.ar_ready);
                i.$rvalid = u8::from(d.valid);
                i.$rdata = d.data;
                i.$rresp = d.resp;
                i.$rlast = u8::from(d.last);
            };
        }
        port!(
            self.weights[0],
            m_axi_hp0_arready,
            m_axi_hp0_rvalid,
            m_axi_hp0_rdata,
            m_axi_hp0_rresp,
            m_axi_hp0_rlast
        );
        port!(
            self.weights[1],
            m_axi_hp1_arready,
            m_axi_hp1_rvalid,
            m_axi_hp1_rdata,
            m_axi_hp1_rresp,
            m_axi_hp1_rlast
        );
        port!(
            self.weights[2],
            m_axi_hp2_arready,
            m_axi_hp2_rvalid,
            m_axi_hp2_rdata,
            m_axi_hp2_rresp,
            m_axi_hp2_rlast
        );
        port!(
            self.weights[3],
            m_axi_hp3_arready,
            m_axi_hp3_rvalid,
            m_axi_hp3_rdata,
            m_axi_hp3_rresp,
            m_axi_hp3_rlast
        );
        port!(
            self.data,
            m_axi_hpc0_arready,
            m_axi_hpc0_rvalid,
            m_axi_hpc0_rdata,
            m_axi_hpc0_rresp,
            m_axi_hpc0_rlast
        );
        let w = self.write.drive();
        i.m_axi_hpc0_awready = u8::from(w.aw_ready);
        i.m_axi_hpc0_wready = u8::from(w.w_ready);
        i.m_axi_hpc0_bvalid = u8::from(w.b_valid);
        i.m_axi_hpc0_bresp = w.b_resp;

        self.h.step();

        let o = &self.h.dut.o;
        let mut moved = false;
        macro_rules! clock {
            ($p:expr, $arvalid:ident, $araddr:ident, $arlen:ident, $rready:ident) => {
                moved |= $p.clock(
                    Burst::new(o.$arvalid, o.$araddr, o.$arlen),
                    o.$rready == 1,
                    &mut self.rng,
                );
            };
        }
        clock!(
            self.weights[0],
            m_axi_hp0_arvalid,
            m_axi_hp0_araddr,
            m_axi_hp0_arlen,
            m_axi_hp0_rready
        );
        clock!(
            self.weights[1],
            m_axi_hp1_arvalid,
            m_axi_hp1_araddr,
            m_axi_hp1_arlen,
            m_axi_hp1_rready
        );
        clock!(
            self.weights[2],
            m_axi_hp2_arvalid,
            m_axi_hp2_araddr,
            m_axi_hp2_arlen,
            m_axi_hp2_rready
        );
        clock!(
            self.weights[3],
            m_axi_hp3_arvalid,
            m_axi_hp3_araddr,
            m_axi_hp3_arlen,
            m_axi_hp3_rready
        );
        clock!(
            self.data,
            m_axi_hpc0_arvalid,
            m_axi_hpc0_araddr,
            m_axi_hpc0_arlen,
            m_axi_hpc0_rready
        );
        let answered = self.write.clock(
            &mut self.memory,
            Burst::new(
                o.m_axi_hpc0_awvalid,
                o.m_axi_hpc0_awaddr,
                o.m_axi_hpc0_awlen,
            ),
            (o.m_axi_hpc0_wvalid == 1).then_some((o.m_axi_hpc0_wdata, o.m_axi_hpc0_wlast == 1)),
            o.m_axi_hpc0_bready == 1,
            &mut self.rng,
        );
        if answered.is_some_and(|b| b.address == RECORD) {
            self.last_record = self.cycle;
        }
        self.cycle += 1;
        if moved || answered.is_some() {
            self.h.progress();
        }
    }

    fn store(&mut self, address: u16, value: u32) {
        let i = &mut self.h.dut.i;
        (i.s_axil_awaddr, i.s_axil_awvalid) = (address, 1);
        (i.s_axil_wdata, i.s_axil_wstrb, i.s_axil_wvalid) = (value, 0xF, 1);
        i.s_axil_bready = 1;
        loop {
            self.step();
            let o = &self.h.dut.o;
            let (aw, w, b) = (o.s_axil_awready, o.s_axil_wready, o.s_axil_bvalid);
            let i = &mut self.h.dut.i;
            i.s_axil_awvalid &= u8::from(aw == 0);
            i.s_axil_wvalid &= u8::from(w == 0);
            if b == 1 {
                i.s_axil_bready = 0;
                return;
            }
        }
    }

    fn load(&mut self, address: u16) -> u32 {
        let i = &mut self.h.dut.i;
        (i.s_axil_araddr, i.s_axil_arvalid, i.s_axil_rready) = (address, 1, 1);
        loop {
            self.step();
            let o = &self.h.dut.o;
            let i = &mut self.h.dut.i;
            i.s_axil_arvalid &= u8::from(o.s_axil_arready == 0);
            if o.s_axil_rvalid == 1 {
                i.s_axil_rready = 0;
                return o.s_axil_rdata;
            }
        }
    }

    fn counter(&mut self, address: u16) -> u64 {
        u64::from(self.load(address)) | u64::from(self.load(address + 4)) << 32
    }

    fn record(&self) -> Beat {
        self.memory.word(RECORD)
    }

    /// Puts steps into memory and programs the device.
    fn program(&mut self, steps: &[Step]) {
        for (k, step) in steps.iter().enumerate() {
            self.memory
                .write(RING + 64 * k as u64, &step.descriptor.encode());
            for p in 0..4 {
                self.memory
                    .write(step.descriptor.weights[p], &step.segments[p]);
            }
            let bytes: Vec<u8> = step
                .activations
                .iter()
                .flat_map(|a| a.to_le_bytes())
                .collect();
            self.memory.write(step.descriptor.activations, &bytes);
        }
        self.store(reg::RING_BASE_LO, RING as u32);
        self.store(reg::RING_BASE_HI, (RING >> 32) as u32);
        self.store(reg::RING_STEPS, steps.len() as u32);
        self.store(reg::COMPLETION_LO, RECORD as u32);
        self.store(reg::COMPLETION_HI, (RECORD >> 32) as u32);
        self.memory.set_word(RECORD, [0; 4]);
    }

    fn wait_steps(&mut self, steps: u32) {
        while self.record()[0] != steps {
            self.step();
            self.check_no_fault();
        }
    }

    fn check_no_fault(&self) {
        assert_eq!(self.record()[2], 0, "the device reports a fault");
    }

    fn wait_status(&mut self, mask: u32) {
        for _ in 0..100_000 {
            if self.load(reg::STATUS) & mask != 0 {
                return;
            }
        }
        panic!("STATUS never showed {mask:#x}");
    }

    fn check_results(&mut self, step: &Step, what: &str) {
        for (k, chunk) in step.expected.chunks_exact(4).enumerate() {
            let got = self.memory.word(step.descriptor.results + 16 * k as u64);
            let expected: Beat = std::array::from_fn(|i| chunk[i].to_bits());
            assert_eq!(got, expected, "{what}: results {}..{}", 4 * k, 4 * k + 3);
        }
    }
}

fn random_step(rng: &mut ChaCha8Rng, place: u64, groups: usize, tile_rows: usize) -> Step {
    let segments: [Vec<u8>; 4] = std::array::from_fn(|_| {
        let mut bytes = Vec::with_capacity(groups * tile_rows * 288);
        for _ in 0..groups * tile_rows {
            let block = Block {
                scales: std::array::from_fn(|_| f16::from_f32(rng.random_range(-0.1..0.1))),
                zeros: std::array::from_fn(|_| rng.random_range(0..16)),
                q: std::array::from_fn(|_| std::array::from_fn(|_| rng.random_range(0..16))),
            };
            bytes.extend_from_slice(&block.encode());
        }
        bytes
    });
    let activations: Vec<f32> = (0..groups * 64)
        .map(|_| rng.random_range(-4.0..4.0))
        .collect();
    let mut expected = vec![0f32; tile_rows * 32];
    run_pass(
        PassDims { groups, tile_rows },
        std::array::from_fn(|p| &segments[p][..]),
        &activations,
        &mut expected,
    )
    .unwrap();
    let base = BUFFERS + place * 0x100_0000;
    let descriptor = Descriptor {
        macro_strips: 18,
        flags: rng.random_range(0..2),
        groups: groups as u16,
        tile_rows: tile_rows as u16,
        report_tile_rows: rng.random_range(0..5),
        vectors: 1,
        activations: base,
        results: base + 0x10_0000,
        weights: std::array::from_fn(|p| base + 0x20_0000 + 0x20_0000 * p as u64),
    };
    Step {
        descriptor,
        segments,
        activations,
        expected,
    }
}

fn random_steps(rng: &mut ChaCha8Rng, shapes: &[(usize, usize)]) -> Vec<Step> {
    let places = 0..shapes.len() as u64;
    places
        .zip(shapes)
        .map(|(place, &(groups, tile_rows))| random_step(rng, place, groups, tile_rows))
        .collect()
}

const SHAPES: [(usize, usize); 5] = [(4, 8), (2, 3), (1, 1), (1, 5), (6, 2)];

/// Runs the whole ring once from start and checks every result.
fn runs_through(b: &mut Bench, steps: &[Step]) {
    b.program(steps);
    b.store(reg::CTRL, START);
    b.store(reg::DOORBELL, steps.len() as u32);
    b.wait_steps(steps.len() as u32);
    for (n, step) in steps.iter().enumerate() {
        b.check_results(step, &format!("step {n}"));
    }
}

#[test]
fn computes_a_ring() {
    run("top/ring", |h: &mut Harness<mm_top::Top>| {
        let mut b = Bench::new(h, |h| Timing::ideal(h, 1));
        assert_eq!(b.load(reg::ID), 0x4D4D_4143);
        let mut rng = b.rng.clone();
        let steps = random_steps(&mut rng, &SHAPES);
        b.program(&steps);
        b.store(reg::CTRL, START);
        for n in 0..3 * steps.len() {
            b.store(reg::DOORBELL, n as u32 + 1);
            b.wait_steps(n as u32 + 1);
            let step = steps[n % steps.len()].clone();
            b.check_results(&step, &format!("step {n}"));
        }
        b.store(reg::CTRL, STOP);
        b.wait_status(IDLE);
        assert_eq!(b.load(reg::STATUS), IDLE);
        assert_eq!(b.load(reg::STEPS_DONE), 15);
        assert_eq!(b.counter(reg::STEPS), 15);
        // And again: start begins at the first descriptor.
        runs_through(&mut b, &steps);
        assert_eq!(
            b.counter(reg::STEPS),
            20,
            "counters stay over stop and start"
        );
    });
}

#[test]
fn hash_names_the_hardware() {
    run("top/hash", |h: &mut Harness<mm_top::Top>| {
        let mut b = Bench::new(h, |h| Timing::ideal(h, 1));
        let words: [u32; 10] = [4, 0, 1, 64, 18, 2048, 128, 40, 64, 8];
        let hash = words
            .iter()
            .flat_map(|w| w.to_le_bytes())
            .fold(0x811C_9DC5u32, |hash, byte| {
                (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
            });
        assert_eq!(b.load(reg::CONFIG_HASH), hash);
    });
}

#[test]
fn random_memory_changes_cycles_never_bits() {
    for round in 0..6 {
        run(
            &format!("top/random/{round}"),
            |h: &mut Harness<mm_top::Top>| {
                let mut b = Bench::new(h, Timing::random);
                let mut rng = b.rng.clone();
                let shapes: Vec<(usize, usize)> = (0..6)
                    .map(|_| (rng.random_range(1..9), rng.random_range(1..20)))
                    .collect();
                let steps = random_steps(&mut rng, &shapes);
                runs_through(&mut b, &steps);
                // Every running cycle has one name.
                b.store(reg::CTRL, STOP);
                b.wait_status(IDLE);
                let strips: usize = shapes.iter().map(|(g, t)| 18 * g * t).sum();
                let mut totals = Vec::new();
                for p in 0..4 {
                    let [beats, taken, rest @ ..]: [u64; 6] =
                        std::array::from_fn(|k| b.counter(reg::PORT + 0x40 * p + 8 * k as u16));
                    assert_eq!(taken, strips as u64, "port {p}: strips taken");
                    assert!(beats >= taken, "port {p}: beats read");
                    totals.push(taken + rest.iter().sum::<u64>());
                }
                assert!(
                    totals.iter().all(|t| *t == totals[0]),
                    "cycles by reason: {totals:?}"
                );
            },
        );
    }
}

#[test]
fn a_strip_every_cycle() {
    for (groups, tile_rows) in [(2, 30), (4, 20), (14, 9), (76, 3)] {
        run(
            &format!("top/throughput/{groups}x{tile_rows}"),
            |h: &mut Harness<mm_top::Top>| {
                let mut b = Bench::new(h, |h| Timing::ideal(h, 1));
                let mut rng = b.rng.clone();
                let steps = random_steps(&mut rng, &[(groups, tile_rows)]);
                b.program(&steps);
                b.store(reg::CTRL, START);
                // The prefetch is full when the step is released.
                for _ in 0..2500 {
                    b.step();
                    b.h.progress();
                }
                b.store(reg::DOORBELL, 1);
                b.wait_steps(1);
                let strips = 18 * groups as u64 * tile_rows as u64;
                let cycles = b.counter(reg::STREAM_CYCLES);
                println!(
                    "top/throughput: {groups} groups, {tile_rows} tile rows: {strips} strips in {cycles} cycles"
                );
                assert_eq!(b.counter(reg::PORT + 8), strips);
                // The step begins with its first activations and the load stays ahead of it.
                assert_eq!(cycles, strips, "cycles from the first strip to the last");
            },
        );
    }
}

#[test]
fn own_overhead_of_a_step() {
    run("top/latency", |h: &mut Harness<mm_top::Top>| {
        let mut b = Bench::new(h, |h| Timing::ideal(h, 1));
        let mut rng = b.rng.clone();
        let mut steps = random_steps(&mut rng, &[(4, 4)]);
        steps[0].descriptor.report_tile_rows = 0;
        b.program(&steps);
        b.store(reg::CTRL, START);
        for _ in 0..500 {
            b.step();
            b.h.progress();
        }
        b.store(reg::DOORBELL, 1);
        let rung = b.cycle;
        let strips = 18 * 4 * 4;
        b.wait_steps(1);
        while b.last_record < rung {
            b.step(); // the response to the record
        }
        let total = b.last_record - rung;
        println!(
            "top/latency: doorbell to record {total} cycles, {} of them without a strip",
            total - strips
        );
        assert!(total <= strips + 100, "{total} cycles for {strips} strips");
        assert_eq!(b.counter(reg::STREAM_CYCLES), strips);
    });
}

/// Starts a ring with a defect, waits for the halt, checks the record, then resets and runs a good ring.
fn fault(
    name: &str,
    expected: (u32, u32),
    plant: impl Fn(&mut Bench, &mut Vec<Step>) -> Option<u64>,
) {
    for round in 0..3 {
        run(
            &format!("top/{name}/{round}"),
            |h: &mut Harness<mm_top::Top>| {
                let mut b = Bench::new(
                    h,
                    if round == 0 {
                        |h: &mut _| Timing::ideal(h, 20)
                    } else {
                        Timing::random
                    },
                );
                let mut rng = b.rng.clone();
                let mut steps = random_steps(&mut rng, &SHAPES);
                let address = plant(&mut b, &mut steps);
                b.program(&steps);
                b.store(reg::IRQ_ENABLE, 2);
                b.store(reg::CTRL, START);
                b.store(reg::DOORBELL, steps.len() as u32);
                let mut waited = 0;
                while b.h.dut.o.irq == 0 {
                    b.step();
                    waited += 1;
                    assert!(waited < 50_000, "no interrupt");
                    b.h.progress();
                }
                let (cause, port) = expected;
                let error = b.load(reg::ERR_CAUSE);
                assert_eq!(
                    (error & 0xFF, error >> 8 & 0xF),
                    (cause, port),
                    "ERR_CAUSE {error:#x}"
                );
                if let Some(address) = address {
                    let got = u64::from(b.load(reg::ERR_ADDR_LO))
                        | u64::from(b.load(reg::ERR_ADDR_HI)) << 32;
                    assert_eq!(got & !0x3FF, address & !0x3FF, "ERR_ADDR {got:#x}");
                }
                assert_eq!(b.load(reg::STATUS), FAULTED);
                let [done, rows, status, _] = b.record();
                assert_eq!(b.load(reg::STEPS_DONE), done);
                assert!(
                    (done as usize) < steps.len(),
                    "the step in progress is not done"
                );
                if cause == 2 {
                    assert_eq!(status, 0, "no record after a write error");
                } else {
                    assert_eq!(status, cause << 8 | 1);
                }
                // What is reported is in memory and good.
                for (n, step) in steps.iter().enumerate().take(done as usize) {
                    b.check_results(step, &format!("step {n}"));
                }
                let step = &steps[done as usize];
                for k in 0..rows as usize / 4 {
                    let got = b.memory.word(step.descriptor.results + 16 * k as u64);
                    let expected: Beat =
                        std::array::from_fn(|i| step.expected[4 * k + i].to_bits());
                    assert_eq!(got, expected, "reported rows of the step in progress");
                }
                recovers(&mut b);
            },
        );
    }
}

/// Soft reset, then a good ring.
fn recovers(b: &mut Bench) {
    for slave in b.weights.iter_mut().chain([&mut b.data]) {
        slave.bad = None;
    }
    b.write.bad = None;
    b.store(reg::CTRL, SOFT_RESET);
    b.wait_status(IDLE);
    assert_eq!(b.load(reg::STATUS), IDLE);
    assert!(b.weights.iter().all(ReadSlave::is_idle) && b.data.is_idle() && b.write.is_idle());
    b.store(reg::IRQ_STATUS, 3);
    b.store(reg::WATCHDOG, 0);
    assert_eq!(b.load(reg::ERR_CAUSE), 0);
    assert_eq!(b.counter(reg::STEPS), 0, "soft reset clears the counters");
    let mut rng = b.rng.clone();
    let steps = random_steps(&mut rng, &SHAPES[..3]);
    runs_through(b, &steps);
}

#[test]
fn fault_read_weights() {
    for p in 0..4usize {
        fault(&format!("read-{p}"), (1, p as u32), |b, steps| {
            let address = steps[0].descriptor.weights[p] + 16 * 300;
            b.weights[p].bad = Some(address);
            Some(address)
        });
    }
}

#[test]
fn fault_read_activations() {
    fault("read-activations", (1, 4), |b, steps| {
        let address = steps[1].descriptor.activations + 16 * 17;
        b.data.bad = Some(address);
        Some(address)
    });
}

#[test]
fn fault_read_descriptor() {
    fault("read-descriptor", (1, 4), |b, _| {
        b.data.bad = Some(RING + 64 * 2 + 32);
        b.data.bad
    });
}

#[test]
fn fault_write_results() {
    fault("write", (2, 4), |b, steps| {
        steps[0].descriptor.report_tile_rows = 0;
        let address = steps[0].descriptor.results + 512;
        b.write.bad = Some(address);
        Some(address)
    });
}

#[test]
fn fault_bad_descriptor() {
    fault("descriptor", (3, 4), |_, steps| {
        steps[3].descriptor.groups = 0;
        None
    });
}

#[test]
fn fault_reserved_bits() {
    for p in 0..4 {
        fault(&format!("reserved-{p}"), (4, p as u32), |_, steps| {
            // The zeros strip of the step's tenth macro.
            steps[0].segments[p][9 * 288 + 16 + 12] = 0x40;
            None
        });
    }
}

#[test]
fn fault_watchdog() {
    run("top/watchdog", |h: &mut Harness<mm_top::Top>| {
        let mut b = Bench::new(h, |h| Timing::ideal(h, 1));
        let mut rng = b.rng.clone();
        let steps = random_steps(&mut rng, &SHAPES);
        b.program(&steps);
        b.store(reg::IRQ_ENABLE, 2);
        b.store(reg::WATCHDOG, 300);
        b.store(reg::CTRL, START);
        b.store(reg::DOORBELL, 1);
        b.wait_steps(1);
        // Released but not answered: port 2 is stuck.
        b.weights[2].stuck = true;
        b.store(reg::DOORBELL, 5);
        for _ in 0..5000 {
            b.step();
            b.h.progress();
        }
        assert_eq!(b.load(reg::ERR_CAUSE) & 0xFF, 5);
        // It drains when memory wakes up.
        b.weights[2].stuck = false;
        while b.h.dut.o.irq == 0 {
            b.step();
        }
        recovers(&mut b);
    });
}

#[test]
fn soft_reset_at_any_time() {
    run("top/soft-reset", |h: &mut Harness<mm_top::Top>| {
        let mut b = Bench::new(h, Timing::random);
        let mut rng = b.rng.clone();
        for _ in 0..12 {
            let steps = random_steps(&mut rng, &SHAPES);
            b.program(&steps);
            b.store(reg::CTRL, START);
            b.store(reg::DOORBELL, steps.len() as u32);
            for _ in 0..rng.random_range(0..3000) {
                b.step();
                b.h.progress();
            }
            b.store(reg::CTRL, SOFT_RESET);
            b.wait_status(IDLE);
            assert!(
                b.weights.iter().all(ReadSlave::is_idle) && b.data.is_idle() && b.write.is_idle()
            );
        }
        recovers(&mut b);
    });
}

#[test]
fn stop_at_any_time() {
    run("top/stop", |h: &mut Harness<mm_top::Top>| {
        let mut b = Bench::new(h, Timing::random);
        let mut rng = b.rng.clone();
        for _ in 0..12 {
            let steps = random_steps(&mut rng, &SHAPES);
            b.program(&steps);
            b.store(reg::CTRL, START);
            let released = rng.random_range(0..8);
            b.store(reg::DOORBELL, released);
            for _ in 0..rng.random_range(0..2000) {
                b.step();
                b.h.progress();
            }
            b.store(reg::CTRL, STOP);
            b.wait_status(IDLE);
            assert_eq!(b.record()[0], released, "every released step is reported");
            assert_eq!(b.load(reg::STEPS_DONE), released);
            for (n, step) in steps.iter().enumerate().take(released as usize) {
                b.check_results(step, &format!("step {n}"));
            }
        }
    });
}

#[test]
fn interrupt_follows_the_record() {
    run("top/interrupt", |h: &mut Harness<mm_top::Top>| {
        let mut b = Bench::new(h, Timing::random);
        let mut rng = b.rng.clone();
        let mut steps = random_steps(&mut rng, &SHAPES);
        for (k, step) in steps.iter_mut().enumerate() {
            step.descriptor.flags = k as u16 & 1;
        }
        b.program(&steps);
        b.store(reg::IRQ_ENABLE, 1);
        b.store(reg::CTRL, START);
        for (n, step) in steps.iter().enumerate() {
            b.store(reg::DOORBELL, n as u32 + 1);
            if step.descriptor.flags == 1 {
                while b.h.dut.o.irq == 0 {
                    b.step();
                }
                assert_eq!(
                    b.record()[0],
                    n as u32 + 1,
                    "the record is there when the interrupt comes"
                );
                b.store(reg::IRQ_STATUS, 1);
            } else {
                b.wait_steps(n as u32 + 1);
            }
            b.step();
            b.step();
            assert_eq!(b.h.dut.o.irq, 0);
        }
    });
}

#[test]
fn no_room_for_results_stalls_and_loses_nothing() {
    run("top/no-room", |h: &mut Harness<mm_top::Top>| {
        let mut b = Bench::new(h, |h| Timing::ideal(h, 1));
        let mut rng = b.rng.clone();
        // 150 tile rows are 1200 beats; the result FIFO holds 512.
        let steps = random_steps(&mut rng, &[(1, 150), (2, 40)]);
        b.program(&steps);
        b.store(reg::CTRL, START);
        b.store(reg::DOORBELL, 2);
        b.write.stuck = true;
        for _ in 0..6000 {
            b.step();
            b.h.progress();
        }
        let strips = b.counter(reg::PORT + 0x08);
        assert!(
            strips < 18 * 150,
            "{strips} strips taken while nothing can leave"
        );
        assert!(
            b.counter(reg::PORT + 0x20) > 1000,
            "cycles without room are counted"
        );
        assert_eq!(b.record(), [0; 4], "nothing is reported");
        b.write.stuck = false;
        b.wait_steps(2);
        for (n, step) in steps.iter().enumerate() {
            b.check_results(step, &format!("step {n}"));
        }
    });
}

/// Not a check: wall time depends on the machine. Run with `--ignored --nocapture`.
#[test]
#[ignore = "measures, checks nothing"]
fn simulation_speed() {
    run("top/speed", |h: &mut Harness<mm_top::Top>| {
        let mut b = Bench::new(h, |h| Timing::ideal(h, 1));
        let mut rng = b.rng.clone();
        let steps = random_steps(&mut rng, &[(14, 100)]);
        b.program(&steps);
        b.store(reg::CTRL, START);
        b.store(reg::DOORBELL, 4);
        let start = (b.cycle, std::time::Instant::now());
        b.wait_steps(4);
        let khz = (b.cycle - start.0) as f64 / start.1.elapsed().as_secs_f64() / 1e3;
        println!("top/speed: {} cycles at {khz:.0} kHz", b.cycle - start.0);
    });
}
