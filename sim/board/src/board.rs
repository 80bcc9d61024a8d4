//! The simulated board as a platform: what the kernel module does on the real one, with one clock for everything.

use std::time::Duration;

use macromac_driver::{
    BufferId, BufferUse, Capabilities, Completion, Counters, DeviceStatus, DriverError, Platform,
    Step, View,
};
use macromac_format::regs;

use crate::buffers::Owner;
use crate::config::BoardConfig;
use crate::inject::Injector;
use crate::machine::Machine;
use crate::program;
use crate::space::Own;
use crate::violation::{Interface, Rule, Violation};
use crate::watch::Traffic;
use macromac_ddr::PsTraffic;

/// Cycles of silence after which a waiting processor looks at the error register.
const LOOK: u64 = 200_000;
/// A stopping step may take so many times its unstalled stream.
const SLOWEST: u64 = 50;

/// A KV260 with MacroMac in its programmable logic.
pub struct Board {
    machine: Machine<Own>,
    caps: Capabilities,
    clock_hz: u64,
    completion: u64,
    ring: Option<u32>,
    program: Vec<Step>,
    attributes: u32,
    watchdog: u32,
    drain_cycles: u64,
    step_interrupts: bool,
    interrupts: u64,
    /// Nanoseconds times Hertz that `elapse` owes the clock: less than a cycle.
    owed: u128,
    /// Bytes on their way into the memory; kept so that a step allocates nothing.
    filled: Vec<u8>,
}

impl Board {
    /// Powers up, resets the device, checks its identity and its reset values.
    ///
    /// # Errors
    /// [`DriverError::Capability`] if the device is not MacroMac, [`DriverError::Simulation`] if it breaks a rule.
    pub fn new(config: BoardConfig) -> Result<Self, DriverError> {
        let (weights, data) = (config.weight_attributes, config.data_attributes);
        let attributes = u32::from(weights.cache) << regs::AXI_ATTR_WEIGHT_CACHE_SHIFT
            | u32::from(weights.prot) << regs::AXI_ATTR_WEIGHT_PROT_SHIFT
            | u32::from(data.cache) << regs::AXI_ATTR_DATA_CACHE_SHIFT
            | u32::from(data.prot) << regs::AXI_ATTR_DATA_PROT_SHIFT;
        let clock_hz = config.clock_hz;
        let (watchdog, drain_cycles) = (config.watchdog, config.drain_cycles);
        let step_interrupts = config.step_interrupts;
        let space = Own::new(config.dma_base, config.dma_bytes);
        let mut machine = Machine::new(config, space)?;
        let caps = machine.load_capabilities()?;
        let record = machine.space.buffers.alloc(16, Owner::Completion)?;
        let completion = machine.space.buffers.get(record)?.address;
        let mut board = Self {
            machine,
            caps,
            clock_hz,
            completion,
            ring: None,
            program: Vec::new(),
            attributes,
            watchdog,
            drain_cycles,
            step_interrupts,
            interrupts: 0,
            owed: 0,
            filled: Vec::new(),
        };
        board.check_reset_values()?;
        Ok(board)
    }

    fn check_reset_values(&mut self) -> Result<(), DriverError> {
        let expected = [
            ("STATUS", regs::STATUS, regs::STATUS_IDLE_MASK),
            ("IRQ_STATUS", regs::IRQ_STATUS, 0),
            ("IRQ_ENABLE", regs::IRQ_ENABLE, 0),
            ("AXI_ATTR", regs::AXI_ATTR, regs::AXI_ATTR_RESET),
            ("WATCHDOG", regs::WATCHDOG, 0),
            ("ERR_CAUSE", regs::ERR_CAUSE, 0),
            ("DOORBELL", regs::DOORBELL, 0),
            ("STEPS_DONE", regs::STEPS_DONE, 0),
        ];
        for (what, register, value) in expected {
            let found = self.machine.load(register)?;
            if found != value {
                let violation = Violation {
                    interface: Interface::Registers,
                    what,
                    rule: Rule::ResetValue,
                    cycle: self.machine.cycle(),
                    found: format!("{found:#x}, expected {value:#x}"),
                };
                return self.machine.fail(violation.to_string());
            }
        }
        Ok(())
    }

    /// PL cycles since power-up.
    pub fn cycle(&self) -> u64 {
        self.machine.cycle()
    }

    /// Interrupts that were served.
    pub fn interrupts(&self) -> u64 {
        self.interrupts
    }

    /// The interrupt line.
    pub fn irq(&self) -> bool {
        self.machine.irq()
    }

    /// Beats that crossed the memory ports: read by port 0..=3 and the data port, and written.
    pub fn beats(&self) -> ([u64; 5], u64) {
        (self.machine.beats_read(), self.machine.beats_written())
    }

    /// Begins to note when beats cross the memory ports, for pictures; costs no simulated time.
    pub fn watch(&mut self) {
        self.machine.watch();
    }

    /// Ends it; what was noted since, `None` if nothing was watched.
    pub fn watched(&mut self) -> Option<Traffic> {
        self.machine.watched()
    }

    /// Errors on purpose.
    pub fn injector(&mut self) -> &mut Injector {
        &mut self.machine.injector
    }

    /// Physical address of a byte of a buffer.
    ///
    /// # Errors
    /// If the handle is unknown or the offset outside.
    pub fn address(&self, buffer: BufferId, offset: u64) -> Result<u64, DriverError> {
        self.machine.space.buffers.range(buffer.0, offset, 0)
    }

    /// Flips bits of a byte of a buffer, as failing memory would.
    ///
    /// # Errors
    /// If the handle is unknown or the offset outside.
    pub fn flip(&mut self, buffer: BufferId, offset: u64, mask: u8) -> Result<(), DriverError> {
        let address = self.machine.space.buffers.range(buffer.0, offset, 1)?;
        self.flip_at(address, mask);
        Ok(())
    }

    /// Flips bits of a byte of descriptor `index` of the loaded ring.
    ///
    /// # Errors
    /// If no program is loaded or the place is outside of its ring.
    pub fn flip_descriptor(
        &mut self,
        index: usize,
        byte: usize,
        mask: u8,
    ) -> Result<(), DriverError> {
        let ring = self.ring.ok_or_else(no_program)?;
        let address = self
            .machine
            .space
            .buffers
            .range(ring, (index * 64 + byte) as u64, 1)?;
        self.flip_at(address, mask);
        Ok(())
    }

    fn flip_at(&mut self, address: u64, mask: u8) {
        let mut byte = [0];
        self.machine.space.memory.read(address, &mut byte);
        self.machine.space.memory.write(address, &[byte[0] ^ mask]);
    }

    /// Loads a register over the bus, for tests of the device contract.
    ///
    /// # Errors
    /// If the simulation fails.
    pub fn load_register(&mut self, register: u32) -> Result<u32, DriverError> {
        self.machine.load(register)
    }

    /// Stores to a register over the bus, for tests of the device contract.
    ///
    /// # Errors
    /// If the simulation fails.
    pub fn store_register(&mut self, register: u32, value: u32) -> Result<(), DriverError> {
        self.machine.store(register, value)
    }

    /// Lets the clock run.
    ///
    /// # Errors
    /// If the simulation fails.
    pub fn run(&mut self, cycles: u64) -> Result<(), DriverError> {
        self.machine.run(cycles, |_| false).map(drop)
    }

    /// Like [`elapse`](Platform::elapse), while the processor reads and writes so many bytes of memory, evenly spread over the time.
    /// What the memory cannot take in it is still to do afterwards and is taken while the clock runs on: [`Self::ps_owed`].
    ///
    /// # Errors
    /// If the simulation fails.
    pub fn elapse_moving(
        &mut self,
        ps: Duration,
        read_bytes: u64,
        write_bytes: u64,
    ) -> Result<(), DriverError> {
        const NS: u128 = 1_000_000_000;
        self.machine.alive()?;
        self.owed += ps.as_nanos() * u128::from(self.clock_hz);
        let cycles = u64::try_from(self.owed / NS).unwrap_or(u64::MAX);
        self.owed %= NS;
        if read_bytes != 0 || write_bytes != 0 {
            self.machine.ps_traffic(PsTraffic {
                read_bytes,
                write_bytes,
                cycles,
            });
        }
        self.run(cycles)
    }

    /// Bytes of the processor's traffic that the memory has not taken yet; 0 with a memory that does not model it.
    pub fn ps_owed(&self) -> u64 {
        self.machine.ps_owed()
    }

    /// Stops a running program: released steps are completed, the bus is drained.
    ///
    /// # Errors
    /// A fault of the device, or [`DriverError::Timeout`].
    pub fn stop(&mut self) -> Result<(), DriverError> {
        self.machine.store(regs::CTRL, regs::CTRL_STOP_MASK)?;
        let longest = self
            .program
            .iter()
            .map(|step| u64::from(step.groups) * u64::from(step.tile_rows));
        let limit = self.drain_cycles + 2 * SLOWEST * 18 * longest.max().unwrap_or(0);
        self.machine
            .wait_idle("the device does not stop", limit, self.clock_hz)?;
        self.program.clear();
        Ok(())
    }

    fn record(&self) -> Completion {
        let mut bytes = [0; 16];
        self.machine.space.memory.read(self.completion, &mut bytes);
        let word = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let status = if word(8) & 1 == 0 {
            DeviceStatus::Ok
        } else {
            DeviceStatus::Faulted
        };
        Completion {
            steps_done: word(0),
            rows_done: word(4),
            status,
        }
    }

    /// Serves the interrupt: what is pending is cleared.
    fn serve_interrupt(&mut self) -> Result<(), DriverError> {
        let pending = self.machine.load(regs::IRQ_STATUS)?;
        if pending & regs::IRQ_STATUS_FAULT_MASK != 0 {
            // Left pending, as the fault is: both go with the reset.
            return Err(self.machine.load_fault());
        }
        self.interrupts += 1;
        self.machine.store(regs::IRQ_STATUS, pending)
    }

    /// Puts the ring into memory; a larger one than before gets a new buffer.
    fn write_ring(&mut self, bytes: &[u8]) -> Result<u64, DriverError> {
        if let Some(ring) = self.ring.take() {
            let old = self.machine.space.buffers.free(ring)?;
            self.machine.space.memory.clear(old.address, old.bytes);
        }
        let ring = self.machine.space.buffers.alloc(bytes.len(), Owner::Ring)?;
        self.ring = Some(ring);
        let address = self.machine.space.buffers.range(ring, 0, bytes.len())?;
        self.machine.space.memory.write(address, bytes);
        Ok(address)
    }

    fn cycles(&self, time: Duration) -> u64 {
        let cycles = time.as_nanos() * u128::from(self.clock_hz) / 1_000_000_000;
        u64::try_from(cycles).unwrap_or(u64::MAX)
    }
}

fn no_program() -> DriverError {
    DriverError::Sequence("no program is loaded: load one first".into())
}

impl Platform for Board {
    fn capabilities(&self) -> Capabilities {
        self.caps
    }

    fn alloc(&mut self, bytes: usize, usage: BufferUse) -> Result<BufferId, DriverError> {
        self.machine
            .space
            .buffers
            .alloc(bytes, Owner::Buffer(usage))
            .map(BufferId)
    }

    fn free(&mut self, buffer: BufferId) -> Result<(), DriverError> {
        let used = |step: &Step| {
            let vectors = [step.activations.buffer, step.results.buffer];
            vectors.contains(&buffer) || step.weights.iter().any(|at| at.buffer == buffer)
        };
        if self.program.iter().any(used) {
            return Err(DriverError::BadBuffer {
                buffer: buffer.0,
                reason: "the loaded program uses it: load another or reset first".into(),
            });
        }
        let old = self.machine.space.buffers.free(buffer.0)?;
        self.machine.space.memory.clear(old.address, old.bytes);
        Ok(())
    }

    fn write(&mut self, buffer: BufferId, offset: u64, data: &[u8]) -> Result<(), DriverError> {
        let address = self
            .machine
            .space
            .buffers
            .range(buffer.0, offset, data.len())?;
        self.machine.space.memory.write(address, data);
        Ok(())
    }

    fn fill(
        &mut self,
        buffer: BufferId,
        offset: u64,
        bytes: usize,
        f: &dyn Fn(&mut [u8]),
    ) -> Result<(), DriverError> {
        let space = &mut self.machine.space;
        let at = space.buffers.range(buffer.0, offset, bytes)?;
        // Its memory is in pages, not in one piece.
        self.filled.resize(bytes, 0);
        f(&mut self.filled);
        space.memory.write(at, &self.filled);
        Ok(())
    }

    fn view(
        &mut self,
        buffer: BufferId,
        offset: u64,
        bytes: usize,
    ) -> Result<View<'_>, DriverError> {
        let space = &self.machine.space;
        let at = space.buffers.range(buffer.0, offset, bytes)?;
        let memory = &space.memory;
        Ok(View { memory, at })
    }

    fn load_program(&mut self, steps: &[Step]) -> Result<(), DriverError> {
        self.machine.alive()?;
        program::validate(steps, &self.machine.space.buffers, &self.caps)?;
        let ring = program::encode(steps, &self.machine.space.buffers, self.step_interrupts)?;
        let status = self.machine.load(regs::STATUS)?;
        if status & regs::STATUS_FAULTED_MASK != 0 {
            return Err(self.machine.load_fault());
        }
        if status & regs::STATUS_IDLE_MASK == 0 {
            self.stop()?;
        }
        let address = self.write_ring(&ring)?;
        self.machine.space.memory.clear(self.completion, 16);
        let enable = match self.step_interrupts {
            true => regs::IRQ_ENABLE_FAULT_MASK | regs::IRQ_ENABLE_STEP_DONE_MASK,
            false => regs::IRQ_ENABLE_FAULT_MASK,
        };
        let machine = &mut self.machine;
        machine.store_address(regs::RING_BASE_LO, address)?;
        machine.store(regs::RING_STEPS, steps.len() as u32)?;
        machine.store_address(regs::COMPLETION_LO, self.completion)?;
        machine.store(regs::AXI_ATTR, self.attributes)?;
        machine.store(regs::WATCHDOG, self.watchdog)?;
        machine.store(regs::IRQ_ENABLE, enable)?;
        machine.store(regs::CTRL, regs::CTRL_START_MASK)?;
        self.program = steps.to_vec();
        Ok(())
    }

    fn doorbell(&mut self, steps_ready: u32) -> Result<(), DriverError> {
        if self.program.is_empty() {
            return Err(no_program());
        }
        self.machine.store(regs::DOORBELL, steps_ready)
    }

    fn completion(&mut self) -> Completion {
        self.record()
    }

    fn wait(
        &mut self,
        steps: u32,
        rows: u32,
        timeout: Duration,
    ) -> Result<Completion, DriverError> {
        self.machine.alive()?;
        if self.program.is_empty() {
            return Err(no_program());
        }
        let end = self.machine.cycle().saturating_add(self.cycles(timeout));
        loop {
            let seen = self.record();
            let lead = seen.steps_done.wrapping_sub(steps) as i32;
            if lead >= 0 || (lead == -1 && seen.rows_done >= rows) {
                return Ok(seen);
            }
            if self.machine.irq() {
                self.serve_interrupt()?;
                continue;
            }
            if seen.status == DeviceStatus::Faulted {
                return Err(self.machine.load_fault());
            }
            let records = self.machine.records();
            let left = end.saturating_sub(self.machine.cycle());
            if self
                .machine
                .run(left.min(LOOK), |m| m.irq() || m.records() != records)?
            {
                continue;
            }
            // A port that does not answer keeps a halted device from draining, so from saying what happened.
            self.machine.check_fault()?;
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

    fn reset(&mut self) -> Result<(), DriverError> {
        self.machine.store(regs::CTRL, regs::CTRL_SOFT_RESET_MASK)?;
        let clock = self.clock_hz;
        self.machine.wait_idle(
            "the device does not come back from reset",
            self.drain_cycles,
            clock,
        )?;
        self.machine.store(regs::IRQ_STATUS, u32::MAX)?;
        self.machine.space.memory.clear(self.completion, 16);
        self.program.clear();
        Ok(())
    }

    fn elapse(&mut self, ps: Duration, bytes: u64) -> Result<(), DriverError> {
        self.elapse_moving(ps, bytes, 0)
    }

    fn counters(&mut self) -> Result<Counters, DriverError> {
        self.machine.load_counters()
    }
}
