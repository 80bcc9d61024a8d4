//! The model as a platform: chip, memory and register bus on one clock, each access of software taking the cycles that it takes on the
//! simulated board.

use std::time::Duration;

use macromac_ddr::PsTraffic;
use macromac_ddr::buffers::{Buffers, Owner};
use macromac_ddr::timing::MemoryTiming;
use macromac_driver::{
    BufferId, BufferUse, Capabilities, Completion, Counters, DeviceStatus, DriverError, Platform,
    PortStalls, Profile, Step, View,
};
use macromac_format::{GROUP, Packing, STRIPS};

use crate::chip::{Chip, Counts, DATA, Descriptor, Inputs, PassTimes};
use crate::config::ModelConfig;
use crate::jump::{self, Jumps};
use crate::slaves::{ReadSlave, WriteSlave};

/// Cycles for which reset is held at power-up.
const RESET_CYCLES: u64 = 8;
/// Registers that the board loads at power-up: capabilities, then reset values.
const POWER_UP_LOADS: usize = 6 + 8;
/// Where the board's upper memory begins, and its bytes.
const DMA_BASE: u64 = 0x8_0000_0000;
const DMA_BYTES: u64 = 2 << 30;
/// Cycles of silence after which a waiting processor looks at the error register.
const LOOK: u64 = 200_000;
/// Cycles between two looks at STATUS while the device drains.
const POLL: u64 = 20;
/// Bytes of a descriptor.
const DESCRIPTOR_BYTES: usize = 64;
/// Largest K / 64 of the device.
const MAX_GROUPS: usize = 128;

/// The board without RTL and without data.
pub struct ModelBoard {
    config: ModelConfig,
    chip: Chip,
    memory: Box<dyn MemoryTiming>,
    reads: [ReadSlave; 5],
    write: WriteSlave,
    cycle: u64,
    buffers: Buffers,
    record: u64,
    ring: Option<u32>,
    loaded: bool,
    /// Nanoseconds times Hertz that `elapse` owes the clock: less than a cycle.
    owed: u128,
    /// Long passes are cut short.
    jumps: Option<Jumps>,
}

impl ModelBoard {
    /// Powers up.
    ///
    /// # Errors
    /// [`DriverError::OutOfMemory`] if the record finds no place.
    pub fn new(config: ModelConfig) -> Result<Self, DriverError> {
        let mut buffers = Buffers::new(DMA_BASE, DMA_BYTES);
        let record = buffers.alloc(16, Owner::Completion)?;
        let record = buffers.get(record)?.address;
        let mut board = ModelBoard {
            chip: Chip::new(&config),
            memory: config.memory.build(),
            reads: std::array::from_fn(ReadSlave::new),
            write: WriteSlave::new(DATA),
            config,
            cycle: RESET_CYCLES,
            buffers,
            record,
            ring: None,
            loaded: false,
            owed: 0,
            jumps: None,
        };
        (0..POWER_UP_LOADS).for_each(|_| board.load(|_| ()));
        Ok(board)
    }

    /// PL cycles since power-up, those of rows that were passed over among them.
    pub fn cycle(&self) -> u64 {
        self.cycle + self.jumps.as_ref().map_or(0, |jumps| jumps.cycles)
    }

    /// From now on long passes are not stepped to their end.
    pub(crate) fn shorten(&mut self) {
        self.jumps = Some(Jumps::default());
    }

    /// What the device counted.
    pub(crate) fn counts(&self) -> &Counts {
        &self.chip.counts
    }

    /// Counts something so many times again.
    pub(crate) fn count_again(&mut self, more: &Counts, times: u64) {
        self.chip.counts = self.chip.counts.plus(more, times);
    }

    /// Times by ring index of the program that runs.
    pub fn passes(&self) -> &[PassTimes] {
        &self.chip.counts.passes
    }

    /// One cycle.
    #[inline]
    fn step(&mut self) {
        let out = self.chip.outputs();
        let inputs = Inputs {
            ar_ready: std::array::from_fn(|p| self.reads[p].ar_ready),
            r: std::array::from_fn(|p| self.reads[p].r),
            aw_ready: self.write.aw_ready,
            w_ready: self.write.w_ready,
            b: self.write.b,
        };
        self.memory.tick(self.cycle);
        self.chip.cycle(&inputs);
        for (slave, ar) in self.reads.iter_mut().zip(out.ar) {
            slave.cycle(ar, self.cycle, &mut *self.memory);
        }
        self.write
            .cycle(out.aw, out.w, self.cycle, &mut *self.memory);
        self.cycle += 1;
    }

    /// Runs until another record is in memory or for `limit` cycles; says whether it is.
    fn run(&mut self, limit: u64, records: Option<u64>) -> bool {
        let end = self.cycle + limit;
        loop {
            if records.is_some_and(|records| self.write.records != records) {
                return true;
            }
            if self.cycle >= end {
                return false;
            }
            let quiet = self.write.quiet() && self.reads.iter().all(ReadSlave::quiet);
            if quiet && self.chip.still() {
                let cycles = end - self.cycle;
                self.chip.skip(cycles);
                self.memory.tick(end - 1);
                self.cycle = end;
            } else {
                self.step();
            }
        }
    }

    /// Steps a long pass until it goes on like that, then passes over most of it. Says whether a record came.
    fn step_rows(&mut self, records: u64) -> bool {
        let from = self.cycle;
        while self.write.records == records && self.cycle - from < LOOK {
            self.step();
            let begins = self.chip.long_pass(jump::LEAST);
            let (Some((left, strips)), Some(jumps)) = (begins, &mut self.jumps) else {
                if self.chip.between_long_passes(jump::LEAST) {
                    return false;
                }
                continue;
            };
            jumps.row(&mut self.chip, self.cycle, left, strips);
        }
        self.write.records != records
    }

    /// A register is loaded: three cycles, or four with a stage on the way back; the value is that of the second.
    fn load<T>(&mut self, value: impl FnOnce(&Self) -> T) -> T {
        self.run(1, None);
        let value = value(self);
        self.run(if self.config.staged { 3 } else { 2 }, None);
        value
    }

    /// The same of a counter of a port, which with stages counts a cycle later.
    fn load_late<T>(&mut self, value: impl FnOnce(&Self) -> T) -> T {
        if !self.config.staged {
            return self.load(value);
        }
        let value = value(self);
        self.load(|_| ());
        value
    }

    /// A register is stored to: it has its value in the last of three cycles.
    fn store(&mut self, apply: impl FnOnce(&mut Chip)) {
        self.run(2, None);
        apply(&mut self.chip);
        self.run(1, None);
    }

    /// A 64-bit counter: high half, low half, high half.
    fn load_counter(&mut self, value: impl FnOnce(&Self) -> u64) -> u64 {
        self.load(|_| ());
        let value = self.load(value);
        self.load(|_| ());
        value
    }

    /// Stops the program: released steps are completed, the bus is drained.
    fn stop(&mut self) {
        self.store(|chip| chip.registers.stop = true);
        while !self.load(|board| board.chip.idle()) {
            self.run(POLL, None);
        }
    }

    fn descriptor(&self, index: usize, step: &Step) -> Result<Descriptor, DriverError> {
        let mut weights = [0; 4];
        for (address, place) in weights.iter_mut().zip(&step.weights) {
            *address = self.buffers.range(place.buffer.0, place.offset, 0)?;
        }
        let range = |place: &macromac_driver::SegmentRef| {
            self.buffers.range(place.buffer.0, place.offset, 0)
        };
        Ok(Descriptor {
            index,
            groups: step.groups.into(),
            tile_rows: step.tile_rows.into(),
            report: step.report_tile_rows.into(),
            vectors: step.vectors.into(),
            tight: step.packing != Packing::Single,
            weights,
            activations: range(&step.activations)?,
            results: range(&step.results)?,
        })
    }

    fn seen(&self) -> Completion {
        Completion {
            steps_done: self.write.record.steps,
            rows_done: self.write.record.rows,
            status: DeviceStatus::Ok,
        }
    }

    fn running(&self) -> Result<(), DriverError> {
        if self.loaded {
            return Ok(());
        }
        Err(DriverError::Sequence(
            "no program is loaded: load one first".into(),
        ))
    }
}

impl Platform for ModelBoard {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            profile: self.config.profile,
            ports: 4,
            batch: self.config.batch as u32,
            group_size: GROUP as u32,
            macro_strips: STRIPS as u32,
            fifo_strips: self.config.fifo_strips as u32,
            max_k: (MAX_GROUPS * GROUP) as u32,
            config_hash: 0,
        }
    }

    fn alloc(&mut self, bytes: usize, usage: BufferUse) -> Result<BufferId, DriverError> {
        self.buffers
            .alloc(bytes, Owner::Buffer(usage))
            .map(BufferId)
    }

    fn free(&mut self, buffer: BufferId) -> Result<(), DriverError> {
        self.buffers.free(buffer.0).map(drop)
    }

    fn write(&mut self, buffer: BufferId, offset: u64, data: &[u8]) -> Result<(), DriverError> {
        self.buffers.range(buffer.0, offset, data.len()).map(drop)
    }

    fn fill(
        &mut self,
        buffer: BufferId,
        offset: u64,
        bytes: usize,
        _: &dyn Fn(&mut [u8]),
    ) -> Result<(), DriverError> {
        self.buffers.range(buffer.0, offset, bytes).map(drop)
    }

    fn view(
        &mut self,
        buffer: BufferId,
        offset: u64,
        bytes: usize,
    ) -> Result<View<'_>, DriverError> {
        self.buffers.range(buffer.0, offset, bytes)?;
        Ok(View::zeros())
    }

    fn load_program(&mut self, steps: &[Step]) -> Result<(), DriverError> {
        let ring = steps
            .iter()
            .enumerate()
            .map(|(index, step)| self.descriptor(index, step))
            .collect::<Result<Vec<_>, _>>()?;
        if !self.load(|board| board.chip.idle()) {
            self.stop();
        }
        if let Some(old) = self.ring.take() {
            self.buffers.free(old)?;
        }
        let bytes = DESCRIPTOR_BYTES * steps.len();
        let buffer = self.buffers.alloc(bytes, Owner::Ring)?;
        self.ring = Some(buffer);
        let base = self.buffers.get(buffer)?.address;
        self.write.record = Default::default();
        // Ring, its length, record, attributes, watchdog, interrupts: eight stores before the start.
        (0..8).for_each(|_| self.store(|_| ()));
        let (record, profile) = (self.record, self.config.profile);
        debug_assert!(profile == Profile::Kv260 || ring.iter().all(|d| !d.tight));
        self.store(|chip| {
            chip.counts.passes = vec![PassTimes::default(); ring.len()];
            chip.registers.ring = ring;
            chip.registers.ring_base = base;
            chip.registers.record = record;
            chip.registers.start = true;
        });
        self.loaded = true;
        Ok(())
    }

    fn doorbell(&mut self, steps_ready: u32) -> Result<(), DriverError> {
        self.running()?;
        self.store(|chip| chip.registers.doorbell = steps_ready);
        Ok(())
    }

    fn completion(&mut self) -> Completion {
        self.seen()
    }

    fn wait(
        &mut self,
        steps: u32,
        rows: u32,
        timeout: Duration,
    ) -> Result<Completion, DriverError> {
        self.running()?;
        let cycles = timeout.as_nanos() * u128::from(self.config.clock_hz) / 1_000_000_000;
        let end = self.cycle + u64::try_from(cycles).unwrap_or(u64::MAX / 2);
        loop {
            let seen = self.seen();
            let lead = seen.steps_done.wrapping_sub(steps) as i32;
            if lead >= 0 || (lead == -1 && seen.rows_done >= rows) {
                return Ok(seen);
            }
            let left = end.saturating_sub(self.cycle);
            if rows == u32::MAX && self.jumps.is_some() && self.step_rows(self.write.records) {
                continue;
            }
            if self.run(left.min(LOOK), Some(self.write.records)) {
                continue;
            }
            // The board looks at the error register here.
            self.load(|_| ());
            if left <= LOOK {
                return Err(DriverError::Timeout {
                    after: timeout,
                    what: format!("step {steps} is not complete, or less than {rows} of its rows"),
                    steps_done: seen.steps_done,
                    rows_done: seen.rows_done,
                });
            }
        }
    }

    /// The device begins anew; what the drain costs is not modelled.
    fn reset(&mut self) -> Result<(), DriverError> {
        self.chip = Chip::new(&self.config);
        self.reads = std::array::from_fn(ReadSlave::new);
        self.write = WriteSlave::new(DATA);
        self.loaded = false;
        Ok(())
    }

    fn elapse(&mut self, ps: Duration, bytes: u64) -> Result<(), DriverError> {
        const NS: u128 = 1_000_000_000;
        self.owed += ps.as_nanos() * u128::from(self.config.clock_hz);
        let cycles = u64::try_from(self.owed / NS).unwrap_or(u64::MAX);
        self.owed %= NS;
        if bytes != 0 {
            self.memory.ps_traffic(PsTraffic {
                read_bytes: bytes,
                write_bytes: 0,
                cycles,
            });
        }
        self.run(cycles, None);
        Ok(())
    }

    fn counters(&mut self) -> Result<Counters, DriverError> {
        let mut counters = Counters {
            cycles: self.load_counter(|b| b.cycle() - RESET_CYCLES),
            stream_cycles: self.load_counter(|b| b.chip.counts.stream),
            steps: self.load_counter(|b| b.chip.counts.steps),
            ..Counters::default()
        };
        for port in 0..4 {
            let mut load = |value: fn(&Chip, usize) -> u64| {
                self.load(|_| ());
                let value = self.load_late(|board| value(&board.chip, port));
                self.load(|_| ());
                value
            };
            counters.weight_bytes += 16 * load(|chip, p| chip.counts.beats[p]);
            counters.strips[port] = load(|chip, _| chip.counts.strips);
            counters.stalls[port] = PortStalls {
                no_data: load(|chip, p| chip.counts.stalls[p][0]),
                no_activations: load(|chip, p| chip.counts.stalls[p][1]),
                no_room: load(|chip, p| chip.counts.stalls[p][2]),
                lock_step: load(|chip, p| chip.counts.stalls[p][3]),
            };
        }
        Ok(counters)
    }
}
