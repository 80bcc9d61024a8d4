//! An accelerator that only keeps time.

use std::time::Duration;

use macromac_driver::{Accelerator, Counters, DriverError, PassShape, Profile, Ticket};
use macromac_format::{GROUP, Layout, PORTS, Packing};

use crate::config::ModelConfig;
use crate::stream::Stream;

/// Bytes of a beat of any port, and of a strip.
const BEAT: usize = 16;
/// Tile rows from which a pass reports progress, and how often: as the queue code of the driver asks for it.
const REPORT_FROM: usize = 32;
const REPORTS: usize = 16;
/// Output channels of a tile row.
const ROW: usize = 32;

/// A step that was submitted.
#[derive(Debug, Clone)]
struct Step {
    ticket: Ticket,
    pass: usize,
    given: usize,
    /// When the last strip of the first tile row was taken, cycles.
    first_row: f64,
    /// When the last strip of the last one was.
    end: f64,
}

/// An [`Accelerator`] with results that are all zero and a clock that runs as the real one's would.
#[derive(Debug)]
pub struct ModelDevice {
    config: ModelConfig,
    passes: Vec<PassShape>,
    packing: Packing,
    program: Vec<usize>,
    vectors: usize,
    next: usize,
    tickets: u64,
    recent: [Option<Step>; 2],
    stream: Stream,
    /// The PS's clock, cycles.
    now: f64,
    /// When the unit is free, and when the activation loader is.
    unit_free: f64,
    loader_free: f64,
    counters: Counters,
}

impl ModelDevice {
    /// A device that holds matrices of these shapes in blocks of this packing.
    pub fn new(config: ModelConfig, passes: Vec<PassShape>, packing: Packing) -> Self {
        let rate = (config.memory_bytes / (PORTS * BEAT) as f64).min(1.0);
        ModelDevice {
            stream: Stream::new(config.fifo_strips as f64, rate),
            config,
            passes,
            packing,
            program: Vec::new(),
            vectors: 1,
            next: 0,
            tickets: 0,
            recent: [None, None],
            now: 0.0,
            unit_free: 0.0,
            loader_free: 0.0,
            counters: Counters::default(),
        }
    }

    /// Cycles that memory needs for `bytes`, at its long-term rate.
    fn memory_cycles(&self, bytes: usize) -> f64 {
        bytes as f64 / self.config.memory_bytes
    }

    /// Traffic of others than the weight ports: what memory does for them it does not do for the stream.
    pub fn disturb(&mut self, bytes: usize) {
        // A memory faster than the ports has that much to spare.
        let spare = self.config.memory_bytes / (PORTS * BEAT) as f64;
        let cost = if spare > 1.0 { 0.0 } else { 1.0 };
        self.stream
            .disturb(cost * bytes as f64 / (PORTS * BEAT) as f64);
    }

    /// When the results of so many rows can be seen by the PS.
    fn visible(&self, step: &Step, rows: usize) -> f64 {
        let layout = Layout::new(self.passes[step.pass].n, self.passes[step.pass].k);
        let tile_rows = layout.tile_rows();
        let tail = self.config.overhead.store + self.config.overhead.record;
        let wanted = rows.div_ceil(ROW).max(1);
        let reported = if tile_rows < REPORT_FROM {
            tile_rows
        } else {
            tile_rows.min(wanted.next_multiple_of(tile_rows.div_ceil(REPORTS)))
        };
        let rest = (tile_rows - 1).max(1) as f64;
        let row = (step.end - step.first_row) / rest;
        step.first_row + row * (reported - 1) as f64 + tail
    }

    fn find(&self, ticket: Ticket) -> Result<&Step, DriverError> {
        let mut recent = self.recent.iter().flatten();
        recent.find(|s| s.ticket == ticket).ok_or_else(|| {
            DriverError::Sequence(
                "this ticket has expired: read results before the second submission after it"
                    .into(),
            )
        })
    }
}

impl Accelerator for ModelDevice {
    fn profile(&self) -> Option<Profile> {
        Some(self.config.profile)
    }

    fn batch(&self) -> usize {
        self.config.batch
    }

    fn passes(&self) -> &[PassShape] {
        &self.passes
    }

    fn set_program(&mut self, program: &[usize], vectors: usize) -> Result<(), DriverError> {
        if self.program == program && self.vectors == vectors && self.next == 0 {
            return Ok(());
        }
        if vectors == 0 || vectors > self.config.batch {
            return Err(DriverError::Shape {
                what: "vectors of a program, 1 to the device's batch".into(),
                expected: self.config.batch,
                found: vectors,
            });
        }
        if let Some(step) = program.iter().position(|pass| *pass >= self.passes.len()) {
            return Err(DriverError::BadStep {
                step,
                reason: format!(
                    "pass {} does not exist, the model has {}",
                    program[step],
                    self.passes.len()
                ),
            });
        }
        if program.is_empty() {
            return Err(DriverError::BadStep {
                step: 0,
                reason: "the program is empty; it needs at least one pass".into(),
            });
        }
        self.now = self.now.max(self.unit_free);
        self.stream.restart(self.now);
        (self.unit_free, self.loader_free) = (self.now, self.now);
        self.program = program.to_vec();
        (self.vectors, self.next) = (vectors, 0);
        self.recent = [None, None];
        Ok(())
    }

    fn submit(&mut self, x: &[f32]) -> Result<Ticket, DriverError> {
        let Some(&pass) = self.program.get(self.next) else {
            return Err(DriverError::Sequence("submit: set a program first".into()));
        };
        let PassShape { n, k } = self.passes[pass];
        let given = x.len() / k;
        if x.len() % k != 0 || given == 0 || given > self.vectors {
            return Err(DriverError::Shape {
                what: format!(
                    "activations of pass {pass}, {} vectors of {k} at most",
                    self.vectors
                ),
                expected: k * self.vectors,
                found: x.len(),
            });
        }
        if let [Some(old), _] = &self.recent {
            self.now = self.now.max(self.visible(old, self.passes[old.pass].n));
        }
        let layout = Layout::new(n, k);
        let (groups, tile_rows) = (layout.groups(), layout.tile_rows());
        let strips = self.packing.tile_strips(groups) as f64;
        let a_group = strips / groups as f64;
        let (x_bytes, y_bytes) = (
            self.vectors * groups * GROUP * 4,
            self.vectors * tile_rows * ROW * 4,
        );
        // Activations come a beat a cycle, or as memory allows.
        let group_bytes = self.vectors * GROUP * 4;
        let group_load = ((group_bytes / BEAT) as f64).max(self.memory_cycles(group_bytes));
        let load = self.now.max(self.loader_free) + self.config.overhead.load;
        self.loader_free = load + group_load * groups as f64;
        self.disturb(x_bytes);
        // The first tile row follows its load group by group.
        let mut at = self.unit_free;
        for group in 1..=groups {
            let there = load + group_load * group as f64 + self.config.overhead.convert;
            at = self.stream.take(a_group, 1.0, at.max(there));
        }
        let first_row = at;
        let begun = load + group_load + self.config.overhead.convert;
        self.disturb(y_bytes);
        // Results leave at a beat a cycle; a row of many vectors and few groups is bound by that.
        let row = strips.max((self.vectors * ROW * 4 / BEAT) as f64);
        let rest = (tile_rows - 1) as f64;
        let end = self.stream.take(strips * rest, row / strips, first_row);
        self.unit_free = end;
        let ticket = Ticket::new(self.tickets);
        self.tickets += 1;
        self.next = (self.next + 1) % self.program.len();
        let step = Step {
            ticket,
            pass,
            given,
            first_row,
            end,
        };
        let c = &mut self.counters;
        c.steps += 1;
        c.stream_cycles += (end - begun.max(0.0)).max(0.0) as u64;
        c.weight_bytes += (strips as u64) * (tile_rows * PORTS * BEAT) as u64;
        c.strips
            .iter_mut()
            .for_each(|s| *s += strips as u64 * tile_rows as u64);
        let newest = self.recent[1].take();
        self.recent = [newest, Some(step)];
        Ok(ticket)
    }

    fn wait_rows(&mut self, ticket: Ticket, rows: usize) -> Result<usize, DriverError> {
        let step = self.find(ticket)?;
        let n = self.passes[step.pass].n;
        if rows > n {
            return Err(DriverError::Shape {
                what: format!("rows of pass {} to wait for, at most", step.pass),
                expected: n,
                found: rows,
            });
        }
        let (at, all) = (self.visible(step, rows), self.visible(step, n));
        self.now = self.now.max(at);
        Ok(if all <= self.now { n } else { rows })
    }

    fn read_rows(
        &mut self,
        ticket: Ticket,
        vector: usize,
        first: usize,
        out: &mut [f32],
    ) -> Result<(), DriverError> {
        let step = self.find(ticket)?;
        let n = self.passes[step.pass].n;
        if vector >= step.given || first + out.len() > n {
            return Err(DriverError::Shape {
                what: format!("rows of pass {} to read, at most", step.pass),
                expected: n,
                found: first + out.len(),
            });
        }
        out.fill(0.0);
        Ok(())
    }

    fn elapse(&mut self, ps: Duration, bytes: u64) -> Result<(), DriverError> {
        self.disturb(bytes as usize);
        self.now += ps.as_secs_f64() * self.config.clock_hz as f64;
        Ok(())
    }

    fn reset(&mut self) -> Result<(), DriverError> {
        self.program.clear();
        self.next = 0;
        self.recent = [None, None];
        Ok(())
    }

    fn counters(&mut self) -> Result<Option<Counters>, DriverError> {
        self.counters.cycles = self.now.round() as u64;
        Ok(Some(self.counters))
    }
}
