//! Registers by name: capabilities, counters, the error registers, over real bus accesses.

use std::time::Duration;

use macromac_driver::{Capabilities, Counters, DeviceFault, DriverError, PortStalls, Profile};
use macromac_format::regs;

use crate::axi::LiteRequest;
use crate::machine::Machine;
use crate::space::Space;

/// Cycles between two looks at STATUS while the device drains.
const POLL: u64 = 20;

impl<S: Space> Machine<S> {
    /// Loads a register.
    pub fn load(&mut self, register: u32) -> Result<u32, DriverError> {
        self.access(LiteRequest::Read(register as u16))
    }

    /// Stores to a register.
    pub fn store(&mut self, register: u32, value: u32) -> Result<(), DriverError> {
        self.access(LiteRequest::Write(register as u16, value))
            .map(drop)
    }

    /// Stores an address to a pair of registers.
    pub fn store_address(&mut self, low: u32, address: u64) -> Result<(), DriverError> {
        self.store(low, address as u32)?;
        self.store(low + 4, (address >> 32) as u32)
    }

    /// A 64-bit counter: high, low, high again.
    pub fn load_counter(&mut self, low: u32) -> Result<u64, DriverError> {
        let mut high = self.load(low + 4)?;
        loop {
            let value = self.load(low)?;
            let again = self.load(low + 4)?;
            if again == high {
                return Ok(u64::from(high) << 32 | u64::from(value));
            }
            high = again;
        }
    }

    /// Identification and hardware parameters; refuses a device that is not MacroMac or of another interface.
    pub fn load_capabilities(&mut self) -> Result<Capabilities, DriverError> {
        let (id, version) = (self.load(regs::ID)?, self.load(regs::VERSION)?);
        let major = version >> regs::VERSION_MAJOR_SHIFT;
        let known = regs::VERSION_RESET >> regs::VERSION_MAJOR_SHIFT;
        if id != regs::ID_RESET || major != known {
            return Err(DriverError::Capability(format!(
                "identification {id:#010x}, interface version {major}; expected {:#010x} and {known}",
                regs::ID_RESET
            )));
        }
        let (cap0, cap1, cap2) = (
            self.load(regs::CAP0)?,
            self.load(regs::CAP1)?,
            self.load(regs::CAP2)?,
        );
        let field = |value: u32, mask: u32, shift: u32| (value & mask) >> shift;
        let profile = match field(
            cap0,
            regs::CAP0_ARITHMETIC_MASK,
            regs::CAP0_ARITHMETIC_SHIFT,
        ) {
            0 => Profile::Paper,
            1 => Profile::Kv260,
            other => {
                return Err(DriverError::Capability(format!(
                    "arithmetic {other} is unknown to this software, it knows 0 (paper) and 1 (kv260)"
                )));
            }
        };
        let group_size = field(
            cap0,
            regs::CAP0_GROUP_SIZE_MASK,
            regs::CAP0_GROUP_SIZE_SHIFT,
        );
        let groups = field(
            cap2,
            regs::CAP2_MAX_GROUPS_MASK,
            regs::CAP2_MAX_GROUPS_SHIFT,
        );
        Ok(Capabilities {
            profile,
            ports: field(cap0, regs::CAP0_PORTS_MASK, regs::CAP0_PORTS_SHIFT),
            batch: field(cap0, regs::CAP0_BATCH_MASK, regs::CAP0_BATCH_SHIFT),
            group_size,
            macro_strips: field(
                cap0,
                regs::CAP0_MACRO_STRIPS_MASK,
                regs::CAP0_MACRO_STRIPS_SHIFT,
            ),
            fifo_strips: cap1,
            max_k: groups * group_size,
            config_hash: self.load(regs::CONFIG_HASH)?,
        })
    }

    /// All performance counters.
    pub fn load_counters(&mut self) -> Result<Counters, DriverError> {
        let mut counters = Counters {
            cycles: self.load_counter(regs::CYCLES_LO)?,
            stream_cycles: self.load_counter(regs::STREAM_CYCLES_LO)?,
            steps: self.load_counter(regs::STEPS_LO)?,
            ..Counters::default()
        };
        for port in 0..4 {
            let base = regs::PORT_BASE + port as u32 * regs::PORT_STRIDE;
            let mut load = |offset| self.load_counter(base + offset);
            counters.weight_bytes += 16 * load(regs::PORT_BEATS_LO)?;
            counters.strips[port] = load(regs::PORT_STRIPS_LO)?;
            counters.stalls[port] = PortStalls {
                no_data: load(regs::PORT_NO_DATA_LO)?,
                no_activations: load(regs::PORT_NO_ACTIVATIONS_LO)?,
                no_room: load(regs::PORT_NO_ROOM_LO)?,
                lock_step: load(regs::PORT_LOCK_STEP_LO)?,
            };
        }
        counters.sim_wall_ns = self.wall_ns();
        Ok(counters)
    }

    /// The fault that the error registers hold, if any: they do so from its first cycle on, the record and the interrupt come when
    /// the bus is drained.
    pub fn check_fault(&mut self) -> Result<(), DriverError> {
        match self.load(regs::ERR_CAUSE)? & regs::ERR_CAUSE_CAUSE_MASK {
            0 => Ok(()),
            _ => Err(self.load_fault()),
        }
    }

    /// What the error registers say; an error of type [`DriverError::Fault`] unless they cannot be read.
    pub fn load_fault(&mut self) -> DriverError {
        self.try_load_fault().unwrap_or_else(|error| error)
    }

    fn try_load_fault(&mut self) -> Result<DriverError, DriverError> {
        let cause = self.load(regs::ERR_CAUSE)?;
        let low = self.load(regs::ERR_ADDR_LO)?;
        let address = u64::from(self.load(regs::ERR_ADDR_HI)?) << 32 | u64::from(low);
        let step = self.load(regs::STEPS_DONE)?;
        let port = ((cause & regs::ERR_CAUSE_PORT_MASK) >> regs::ERR_CAUSE_PORT_SHIFT) as u8;
        let index = cause >> regs::ERR_CAUSE_STEP_SHIFT;
        let fault = match cause & regs::ERR_CAUSE_CAUSE_MASK {
            1 => DeviceFault::BusRead { port, address },
            2 => DeviceFault::BusWrite { address },
            3 => DeviceFault::BadDescriptor { index },
            4 => DeviceFault::ReservedBits { port },
            5 => DeviceFault::Watchdog,
            code => DeviceFault::Unknown { code },
        };
        Ok(DriverError::Fault { fault, step })
    }

    /// Waits until STATUS.idle, at most `limit` cycles.
    pub fn wait_idle(&mut self, what: &str, limit: u64, clock_hz: u64) -> Result<(), DriverError> {
        let end = self.cycle() + limit;
        loop {
            let status = self.load(regs::STATUS)?;
            if status & regs::STATUS_IDLE_MASK != 0 {
                return self.check_idle();
            }
            if status & regs::STATUS_FAULTED_MASK != 0 && status & regs::STATUS_DRAINING_MASK == 0 {
                return Err(self.load_fault());
            }
            if self.cycle() >= end {
                return Err(DriverError::Timeout {
                    after: Duration::from_secs_f64(limit as f64 / clock_hz as f64),
                    what: format!("{what}; STATUS is {status:#x}"),
                    steps_done: self.load(regs::STEPS_DONE)?,
                    rows_done: 0,
                });
            }
            self.run(POLL, |_| false)?;
        }
    }
}
