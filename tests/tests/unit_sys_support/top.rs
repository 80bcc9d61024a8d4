//! The whole device against a minimal memory: the bench that the `unit_sys_top_*` tests share.
//!
//! Included by path, for the other testbenches need no `mm_top`.

#![allow(dead_code)] // every testbench uses a part of it

use half::f16;
use macromac_format::Block;
use macromac_format::descriptor::Descriptor;
use macromac_golden::group::{self, Format, GroupDims};
use macromac_golden::{PassDims, run_pass};
use macromac_rtl::{Harness, Verilated, mm_top, mm_top_kv260, mm_top_kv260_b1, mm_top_kv260_b16};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::unit_sys_support::{Beat, Burst, Memory, ReadSlave, Timing, WriteSlave};

pub const RING: u64 = 0x8_0000_0000;
pub const RECORD: u64 = 0x8_0000_8000;
pub const BUFFERS: u64 = 0x8_0010_0000;

pub mod reg {
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

pub const START: u32 = 1;
pub const STOP: u32 = 2;
pub const SOFT_RESET: u32 = 4;
pub const IDLE: u32 = 1;
pub const FAULTED: u32 = 8;

/// `mm_top` with some set of parameters.
pub trait Device: Verilated<In = mm_top::In, Out = mm_top::Out> {
    /// Vectors that share a pass; 0: the `paper` profile.
    const BATCH: usize;
}

impl Device for mm_top::Top {
    const BATCH: usize = 0;
}

impl Device for mm_top_kv260::Top {
    const BATCH: usize = 8;
}

impl Device for mm_top_kv260_b1::Top {
    const BATCH: usize = 1;
}

impl Device for mm_top_kv260_b16::Top {
    const BATCH: usize = 16;
}

/// The device, its memory and its six AXI ports.
pub struct Bench<'a, T: Device = mm_top::Top> {
    pub h: &'a mut Harness<T>,
    pub memory: Memory,
    pub weights: [ReadSlave; 4],
    pub data: ReadSlave,
    pub write: WriteSlave,
    pub rng: ChaCha8Rng,
    pub cycle: u64,
    /// Cycle of the response to the last record.
    pub last_record: u64,
}

/// One step with its golden results.
#[derive(Clone)]
pub struct Step {
    pub descriptor: Descriptor,
    pub segments: [Vec<u8>; 4],
    pub activations: Vec<f32>,
    pub expected: Vec<f32>,
}

impl<'a, T: Device> Bench<'a, T> {
    pub fn new(h: &'a mut Harness<T>, timing: impl Fn(&mut Harness<T>) -> Timing) -> Self {
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

    pub fn step(&mut self) {
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

    pub fn store(&mut self, address: u16, value: u32) {
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

    pub fn load(&mut self, address: u16) -> u32 {
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

    pub fn counter(&mut self, address: u16) -> u64 {
        u64::from(self.load(address)) | u64::from(self.load(address + 4)) << 32
    }

    pub fn record(&self) -> Beat {
        self.memory.word(RECORD)
    }

    /// Puts steps into memory and programs the device.
    pub fn program(&mut self, steps: &[Step]) {
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

    pub fn wait_steps(&mut self, steps: u32) {
        while self.record()[0] != steps {
            self.step();
            self.check_no_fault();
        }
    }

    pub fn check_no_fault(&self) {
        assert_eq!(self.record()[2], 0, "the device reports a fault");
    }

    pub fn wait_status(&mut self, mask: u32) {
        for _ in 0..100_000 {
            if self.load(reg::STATUS) & mask != 0 {
                return;
            }
        }
        panic!("STATUS never showed {mask:#x}");
    }

    pub fn check_results(&mut self, step: &Step, what: &str) {
        for (k, chunk) in step.expected.chunks_exact(4).enumerate() {
            let got = self.memory.word(step.descriptor.results + 16 * k as u64);
            let expected: Beat = std::array::from_fn(|i| chunk[i].to_bits());
            assert_eq!(got, expected, "{what}: results {}..{}", 4 * k, 4 * k + 3);
        }
    }
}

/// Random blocks of a port's segment, macro after macro.
fn random_blocks(rng: &mut ChaCha8Rng, macros: usize) -> Vec<[u8; 288]> {
    (0..macros)
        .map(|_| {
            Block {
                scales: std::array::from_fn(|_| f16::from_f32(rng.random_range(-0.1..0.1))),
                zeros: std::array::from_fn(|_| rng.random_range(0..16)),
                q: std::array::from_fn(|_| std::array::from_fn(|_| rng.random_range(0..16))),
            }
            .encode()
        })
        .collect()
}

/// The bytes of a segment. Format 2: the zeros of up to four macros of a tile come first and share a strip.
fn segment(blocks: &[[u8; 288]], groups: usize, format: Format) -> Vec<u8> {
    if format == Format::One {
        return blocks.concat();
    }
    let mut bytes = Vec::new();
    for tile in blocks.chunks_exact(groups) {
        for quad in tile.chunks(4) {
            let mut zeros = [0; 16];
            for (at, block) in zeros.chunks_exact_mut(4).zip(quad) {
                at.copy_from_slice(&block[16..20]);
            }
            bytes.extend_from_slice(&zeros);
            for block in quad {
                bytes.extend_from_slice(&block[..16]);
                bytes.extend_from_slice(&block[32..]);
            }
        }
    }
    bytes
}

/// What a step is made of.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub groups: usize,
    pub tile_rows: usize,
    /// 0: `paper`.
    pub vectors: usize,
    pub format: Format,
}

impl Shape {
    /// Strips of each port.
    pub fn strips(&self) -> u64 {
        let tile = match self.format {
            Format::One => 18 * self.groups,
            Format::Two => 17 * self.groups + self.groups.div_ceil(4),
        };
        (tile * self.tile_rows) as u64
    }
}

pub fn step_of(rng: &mut ChaCha8Rng, place: u64, shape: Shape) -> Step {
    let activations = (0..shape.groups * 64 * shape.vectors.max(1))
        .map(|_| rng.random_range(-4.0..4.0))
        .collect();
    step_with(rng, place, shape, activations)
}

/// A step with these activations.
pub fn step_with(rng: &mut ChaCha8Rng, place: u64, shape: Shape, activations: Vec<f32>) -> Step {
    let Shape {
        groups,
        tile_rows,
        vectors,
        format,
    } = shape;
    let segments: [Vec<u8>; 4] =
        std::array::from_fn(|_| segment(&random_blocks(rng, groups * tile_rows), groups, format));
    assert!(
        segments
            .iter()
            .all(|s| s.len() as u64 == 16 * shape.strips()),
        "length of a segment"
    );
    let mut expected = vec![0f32; tile_rows * 32 * vectors.max(1)];
    let parts = std::array::from_fn(|p| &segments[p][..]);
    if vectors == 0 {
        let dims = PassDims { groups, tile_rows };
        run_pass(dims, parts, &activations, &mut expected).unwrap();
    } else {
        let dims = GroupDims {
            groups,
            tile_rows,
            format,
        };
        group::run_pass(dims, parts, vectors, &activations, &mut expected).unwrap();
    }
    let base = BUFFERS + place * 0x100_0000;
    let descriptor = Descriptor {
        macro_strips: if format == Format::One { 18 } else { 17 },
        flags: rng.random_range(0..2),
        groups: groups as u16,
        tile_rows: tile_rows as u16,
        report_tile_rows: rng.random_range(0..5),
        vectors: vectors.max(1) as u8,
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

/// A step for the `paper` profile.
pub fn random_step(rng: &mut ChaCha8Rng, place: u64, groups: usize, tile_rows: usize) -> Step {
    let shape = Shape {
        groups,
        tile_rows,
        vectors: 0,
        format: Format::One,
    };
    step_of(rng, place, shape)
}

pub fn random_steps(rng: &mut ChaCha8Rng, shapes: &[(usize, usize)]) -> Vec<Step> {
    random_steps_for::<mm_top::Top>(rng, shapes)
}

/// Steps for a device: of `kv260` in either format, with any number of vectors.
pub fn random_steps_for<T: Device>(rng: &mut ChaCha8Rng, shapes: &[(usize, usize)]) -> Vec<Step> {
    let places = 0..shapes.len() as u64;
    places
        .zip(shapes)
        .map(|(place, &(groups, tile_rows))| {
            if T::BATCH == 0 {
                return random_step(rng, place, groups, tile_rows);
            }
            let vectors = rng.random_range(1..=T::BATCH);
            let format = if rng.random() {
                Format::One
            } else {
                Format::Two
            };
            let shape = Shape {
                groups,
                tile_rows,
                vectors,
                format,
            };
            step_of(rng, place, shape)
        })
        .collect()
}

pub const SHAPES: [(usize, usize); 5] = [(4, 8), (2, 3), (1, 1), (1, 5), (6, 2)];

/// Runs the whole ring once from start and checks every result.
pub fn runs_through<T: Device>(b: &mut Bench<T>, steps: &[Step]) {
    b.program(steps);
    b.store(reg::CTRL, START);
    b.store(reg::DOORBELL, steps.len() as u32);
    b.wait_steps(steps.len() as u32);
    for (n, step) in steps.iter().enumerate() {
        b.check_results(step, &format!("step {n}"));
    }
}

/// Soft reset, then a good ring.
pub fn recovers<T: Device>(b: &mut Bench<T>) {
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
    let steps = random_steps_for::<T>(&mut rng, &SHAPES[..3]);
    runs_through(b, &steps);
}
