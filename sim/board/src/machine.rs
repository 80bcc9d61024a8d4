//! The model in its surroundings: one clock, the memory behind five ports, the register bus, the interrupt line.

use std::time::Instant;

use macromac_driver::{BufferUse, DriverError, Profile};
use macromac_rtl::{mm_top, mm_top_kv260, mm_top_kv260_b1, mm_top_kv260_b16};

use crate::axi::{Attributes, Limits, LiteMaster, LiteRequest, ReadSlave, World, WriteSlave};
use crate::buffers::Owner;
use crate::config::BoardConfig;
use crate::inject::Injector;
use crate::pins;
use crate::space::Space;
use crate::violation::{Checked, Interface, Rule, Violation};
use crate::watch::{Traffic, Watch};
use macromac_ddr::PsTraffic;
use macromac_ddr::timing::{MemoryTiming, PORTS};

/// Longest burst of the contract (`BurstBeats`).
const BURST_BEATS: u32 = 64;
/// Most bursts in flight of the contract (`MaxOutstanding`).
const OUTSTANDING: usize = 8;
/// Cycles for which reset is held.
const RESET_CYCLES: u32 = 8;

/// Number of the data port among the memory ports.
const DATA: usize = 4;

/// What each port may read.
const READABLE: [&[Owner]; PORTS] = [
    &[Owner::Buffer(BufferUse::Weights)],
    &[Owner::Buffer(BufferUse::Weights)],
    &[Owner::Buffer(BufferUse::Weights)],
    &[Owner::Buffer(BufferUse::Weights)],
    &[Owner::Ring, Owner::Buffer(BufferUse::Activations)],
];
/// What the data port may write.
const WRITABLE: &[Owner] = &[Owner::Buffer(BufferUse::Results), Owner::Completion];

/// Model, memory and buses. Everything that takes time goes through [`Machine::step`].
pub struct Machine<S> {
    model: mm_top::Dut,
    cycle: u64,
    reads: [ReadSlave; PORTS],
    write: WriteSlave,
    lite: LiteMaster,
    /// What is behind the memory ports.
    pub space: S,
    timing: Box<dyn MemoryTiming>,
    /// Errors on purpose.
    pub injector: Injector,
    irq: bool,
    /// The first violation or failure; nothing can be trusted after it.
    failed: Option<String>,
    wall_ns: u64,
    watch: Option<Watch>,
}

impl<S: Space> Machine<S> {
    /// Powers the board up and resets the device.
    ///
    /// # Errors
    /// If there is no such device, or it breaks a rule in reset.
    pub fn new(config: BoardConfig, space: S) -> Result<Self, DriverError> {
        let limits = limits(config.weight_attributes, config.data_attributes);
        let mut machine = Self {
            model: model(&config)?,
            cycle: 0,
            reads: std::array::from_fn(|p| ReadSlave::new(p, limits[p], READABLE[p])),
            write: WriteSlave::new(DATA, limits[DATA], WRITABLE),
            lite: LiteMaster::default(),
            space,
            timing: config.memory.build(config.seed),
            injector: Injector::default(),
            irq: false,
            failed: None,
            wall_ns: 0,
            watch: None,
        };
        machine.lite.set_hold(config.register_hold);
        if let Some(path) = config.waves {
            machine
                .model
                .trace_open(&path)
                .map_err(|e| DriverError::Simulation(e.to_string()))?;
        }
        machine.power_up()?;
        Ok(machine)
    }

    fn power_up(&mut self) -> Result<(), DriverError> {
        self.model.set_reset(true);
        for cycle in 0..RESET_CYCLES {
            self.clock(|machine| {
                // Synchronous reset: the outputs are defined once an edge has seen it.
                match pins::any_valid(&machine.model.o) {
                    Some(name) if cycle > 1 => Err(Box::new(Violation {
                        interface: Interface::Registers,
                        what: name,
                        rule: Rule::ValidInReset,
                        cycle: machine.cycle,
                        found: format!("{name} is high"),
                    })),
                    _ => Ok(()),
                }
            })?;
        }
        self.model.set_reset(false);
        Ok(())
    }

    /// PL cycles since power-up.
    pub fn cycle(&self) -> u64 {
        self.cycle
    }

    /// The processor's share of the memory over the coming cycles.
    pub fn ps_traffic(&mut self, traffic: PsTraffic) {
        self.timing.ps_traffic(traffic);
    }

    /// What the memory has not taken of it.
    pub fn ps_owed(&self) -> u64 {
        self.timing.ps_owed()
    }

    /// The interrupt line.
    pub fn irq(&self) -> bool {
        self.irq
    }

    /// Wall-clock time spent in the simulation.
    pub fn wall_ns(&self) -> u64 {
        self.wall_ns
    }

    /// Bursts in flight on the memory ports.
    pub fn outstanding(&self) -> usize {
        let reads: usize = self.reads.iter().map(ReadSlave::outstanding).sum();
        reads + self.write.outstanding() + self.write.unmatched()
    }

    /// Expects other AxCACHE and AxPROT from the next burst on, as AXI_ATTR says when a program starts.
    pub fn set_attributes(&mut self, weights: Attributes, data: Attributes) {
        for (port, slave) in self.reads.iter_mut().enumerate() {
            slave.set_attributes(if port == DATA { data } else { weights });
        }
        self.write.set_attributes(data);
    }

    /// Completion records that reached memory.
    pub fn records(&self) -> u64 {
        self.write.records
    }

    /// Beats that each port has read.
    pub fn beats_read(&self) -> [u64; PORTS] {
        std::array::from_fn(|port| self.reads[port].beats)
    }

    /// Beats written.
    pub fn beats_written(&self) -> u64 {
        self.write.beats
    }

    /// Begins to note when beats cross the memory ports; forgets what was noted before.
    pub fn watch(&mut self) {
        self.watch = Some(Watch::new(self.beats_read(), self.write.results));
    }

    /// Ends it; what was noted.
    pub fn watched(&mut self) -> Option<Traffic> {
        self.watch.take().map(|watch| watch.traffic)
    }

    /// Runs until `done` or for `limit` cycles; `done` is asked before each cycle. Says whether it was done.
    pub fn run(
        &mut self,
        limit: u64,
        mut done: impl FnMut(&mut Self) -> bool,
    ) -> Result<bool, DriverError> {
        let begun = Instant::now();
        let end = self.cycle.saturating_add(limit);
        let result = loop {
            if done(self) {
                break Ok(true);
            }
            if self.cycle >= end {
                break Ok(false);
            }
            if let Err(error) = self.step() {
                break Err(error);
            }
        };
        self.wall_ns += begun.elapsed().as_nanos() as u64;
        result
    }

    /// One access to a register, as many cycles as it takes.
    pub fn access(&mut self, request: LiteRequest) -> Result<u32, DriverError> {
        self.alive()?;
        self.lite.start(request, self.cycle);
        pins::drive_lite(&mut self.model.i, &self.lite.pins);
        let mut value = None;
        let begun = Instant::now();
        while value.is_none() {
            value = self.step()?;
        }
        self.wall_ns += begun.elapsed().as_nanos() as u64;
        Ok(value.unwrap_or_default())
    }

    /// The device says that it is idle: nothing may be in flight.
    pub fn check_idle(&mut self) -> Result<(), DriverError> {
        let reads = self.reads.iter().position(|slave| slave.outstanding() != 0);
        let (writes, beats) = (self.write.outstanding(), self.write.unmatched());
        let (port, found) = match (reads, writes, beats) {
            (Some(port), ..) => (port, format!("{} reads", self.reads[port].outstanding())),
            (None, 0, 0) => return Ok(()),
            (None, 0, beats) => (DATA, format!("{beats} written beats without an address")),
            (None, writes, _) => (DATA, format!("{writes} writes")),
        };
        let violation = Violation {
            interface: Interface::of_port(port),
            what: "at idle",
            rule: if writes == 0 && reads.is_none() {
                Rule::DataWithoutAddress
            } else {
                Rule::BusyWhileIdle
            },
            cycle: self.cycle,
            found: format!("{found} in flight"),
        };
        self.fail(violation.to_string())
    }

    /// Remembers a failure for good and returns it.
    #[cold]
    pub fn fail<T>(&mut self, what: String) -> Result<T, DriverError> {
        // The waveform must be whole when somebody looks at it after the error.
        self.model.trace_close();
        self.failed = Some(what.clone());
        Err(DriverError::Simulation(what))
    }

    /// An error if the simulation has failed before.
    pub fn alive(&self) -> Result<(), DriverError> {
        self.failed
            .clone()
            .map_or(Ok(()), |what| Err(DriverError::Simulation(what)))
    }

    /// One cycle; the value of a register access that ended in it.
    fn step(&mut self) -> Result<Option<u32>, DriverError> {
        self.clock(Self::exchange)
    }

    /// One clock: settle, what the board does at the edge, edge. The inputs that the board decides on reach the model in the next
    /// settle, as those of registers would.
    #[inline]
    fn clock<T>(&mut self, board: impl FnOnce(&mut Self) -> Checked<T>) -> Result<T, DriverError> {
        self.alive()?;
        if let Err(failure) = self.model.settle() {
            return self.fail(failure.to_string());
        }
        let exchanged = board(self);
        if let Err(failure) = self.model.edge() {
            return self.fail(failure.to_string());
        }
        self.cycle += 1;
        exchanged.or_else(|violation| self.fail(violation.to_string()))
    }

    /// All handshakes of the cycle, and what the board drives in the next one.
    #[inline]
    fn exchange(&mut self) -> Checked<Option<u32>> {
        let (o, i) = (&self.model.o, &mut self.model.i);
        self.timing.tick(self.cycle);
        let mut world = World {
            cycle: self.cycle,
            space: &mut self.space,
            timing: &mut *self.timing,
            injector: &mut self.injector,
        };
        for (port, slave) in self.reads.iter_mut().enumerate() {
            slave.cycle(pins::read_master(o, port), &mut world)?;
            pins::drive_read(i, port, slave.ar_ready, slave.r);
        }
        self.write.cycle(pins::write_master(o), &mut world)?;
        pins::drive_write(i, self.write.aw_ready, self.write.w_ready, self.write.b);
        self.irq = o.irq != 0;
        if let Some(watch) = &mut self.watch {
            let read = std::array::from_fn(|port| self.reads[port].beats);
            watch.look(self.cycle, read, self.write.results);
        }
        let access = self.lite.cycle(pins::lite_slave(o), self.cycle)?;
        pins::drive_lite(i, &self.lite.pins);
        Ok(access)
    }
}

/// The verilated device of a configuration. All have the same pins.
fn model(config: &BoardConfig) -> Result<mm_top::Dut, DriverError> {
    let seed = config.seed;
    Ok(match (config.profile, config.batch) {
        (Profile::Paper, 1) => mm_top::Dut::new(seed),
        (Profile::Kv260, 1) => mm_top::Dut::of::<mm_top_kv260_b1::Top>(seed),
        (Profile::Kv260, 8) => mm_top::Dut::of::<mm_top_kv260::Top>(seed),
        (Profile::Kv260, 16) => mm_top::Dut::of::<mm_top_kv260_b16::Top>(seed),
        (profile, batch) => {
            return Err(DriverError::Capability(format!(
                "there is no model of {} with {batch} vectors a pass: paper has 1, kv260 1, 8 or 16",
                profile.name()
            )));
        }
    })
}

fn limits(weights: Attributes, data: Attributes) -> [Limits; PORTS] {
    std::array::from_fn(|port| Limits {
        burst_beats: BURST_BEATS,
        outstanding: OUTSTANDING,
        attributes: if port == DATA { data } else { weights },
    })
}
