//! What happened when: a device is watched while a model runs on it, and the run becomes tracks of spans.
//!
//! [`Traced`] stands between a session and its device and notes when steps are submitted, waited for and read and how long the
//! PS computes; the session notes its kernels; the board notes when beats crossed its ports. [`timeline`] puts the
//! three together, [`chrome`] writes what Perfetto reads, [`operations`] sums up.
//!
//! Watching costs no simulated time. The stall counters are registers, so reading them does; that time is taken off what the PS
//! is charged next, so that the device is released as early as without.

pub mod chrome;
pub mod operations;
mod probe;
pub mod timeline;

use std::ops::Range;
use std::time::Duration;

use macromac_driver::{Accelerator, Counters, DriverError, PassShape, Profile, Results, Ticket};
use macromac_infer::clock::Spent;

pub use probe::{Probe, Run, Traffic};
pub use timeline::{Event, Timeline, Track};

/// A step as the PS saw it; cycles of the PL.
#[derive(Debug, Clone)]
pub struct Step {
    ticket: Ticket,
    /// Pass of the image.
    pub pass: usize,
    /// Vectors of the program.
    pub vectors: usize,
    /// The activations are in memory and the doorbell has been rung.
    pub submitted: u64,
    /// The PS has seen it complete; 0 before.
    pub done: u64,
    /// Counters when it was, if no other step was under way.
    pub counters: Option<Counters>,
}

/// The PS computed.
#[derive(Debug, Clone, Copy)]
pub struct Elapsed {
    /// First cycle.
    pub begin: u64,
    /// The pass whose results were waited for last.
    pub after: Option<usize>,
    /// The step that is submitted next, as an index.
    pub next_step: usize,
}

/// A program was set.
#[derive(Debug, Clone)]
pub struct Program {
    /// Passes of its ring.
    pub passes: Vec<usize>,
    /// Vectors of each step.
    pub vectors: usize,
    /// Beats that the weight ports had read before its first.
    pub beats: [u64; 4],
}

/// All that was noted of a run.
#[derive(Debug, Default)]
pub struct Record {
    /// First and last cycle.
    pub span: (u64, u64),
    /// Steps in the order of submission.
    pub steps: Vec<Step>,
    /// Times that the PS computed, as many as the session told of.
    pub elapsed: Vec<Elapsed>,
    /// Programs in order.
    pub programs: Vec<Program>,
    /// Beats that the weight ports had read when the watch began.
    pub beats: [u64; 4],
    /// Beats on the ports; `None` where the device has none.
    pub traffic: Option<Traffic>,
    /// Counters before the first step.
    pub first: Option<Counters>,
    /// Counters at the end.
    pub last: Option<Counters>,
    /// Kernels of the PS in order.
    pub kernels: Vec<Spent>,
    /// Cycles at which somebody asked for the counters: where a measurement begins or ends.
    pub marks: Vec<u64>,
}

/// A device that is watched.
pub struct Traced<'d> {
    inner: &'d mut dyn Probe,
    record: Record,
    next: usize,
    last_waited: Option<usize>,
    /// Read counters when a step is done.
    sample: bool,
    /// Time that reading counters took and the PS has not been relieved of.
    debt: Duration,
    clock_hz: u64,
}

impl<'d> Traced<'d> {
    /// Watches `inner`, whose clock is `clock_hz`, from now on. `charged`: the PS's time is charged, so there is time to read counters in.
    ///
    /// # Errors
    /// If the device's counters cannot be read.
    pub fn new(
        inner: &'d mut dyn Probe,
        clock_hz: u64,
        charged: bool,
    ) -> Result<Self, DriverError> {
        inner.watch();
        let first = inner.counters()?;
        let begin = inner.cycle()?;
        let record = Record {
            span: (begin, begin),
            beats: inner.weight_beats(),
            first,
            ..Record::default()
        };
        Ok(Traced {
            inner,
            record,
            next: 0,
            last_waited: None,
            sample: charged,
            debt: Duration::ZERO,
            clock_hz,
        })
    }

    /// Ends the watch; `kernels` is what the session noted meanwhile.
    ///
    /// # Errors
    /// If the device fails.
    pub fn end(mut self, kernels: Vec<Spent>) -> Result<Record, DriverError> {
        self.record.span.1 = self.inner.cycle()?;
        self.record.traffic = self.inner.traffic();
        self.record.last = self.inner.counters()?;
        self.record.kernels = kernels;
        Ok(self.record)
    }

    /// The step is done: notes when, and reads the counters where they speak of it alone.
    fn done(&mut self, ticket: Ticket) -> Result<(), DriverError> {
        let now = self.inner.cycle()?;
        let steps = &mut self.record.steps;
        let Some(index) = steps.iter().position(|s| s.ticket == ticket) else {
            return Ok(());
        };
        if steps[index].done != 0 {
            return Ok(());
        }
        steps[index].done = now;
        self.last_waited = Some(steps[index].pass);
        let alone = index + 1 == steps.len() && (index == 0 || steps[index - 1].done != 0);
        if self.sample && alone {
            self.record.steps[index].counters = self.read_counters()?;
        }
        Ok(())
    }

    /// Reads the counters; what that takes is taken off the PS's next time.
    fn read_counters(&mut self) -> Result<Option<Counters>, DriverError> {
        let now = self.inner.cycle()?;
        let counters = self.inner.counters()?;
        if self.sample {
            let cycles = self.inner.cycle()? - now;
            self.debt += Duration::from_nanos(cycles * 1_000_000_000 / self.clock_hz);
        }
        Ok(counters)
    }
}

impl Accelerator for Traced<'_> {
    fn profile(&self) -> Option<Profile> {
        self.inner.profile()
    }

    fn batch(&self) -> usize {
        self.inner.batch()
    }

    fn passes(&self) -> &[PassShape] {
        self.inner.passes()
    }

    fn set_program(&mut self, program: &[usize], vectors: usize) -> Result<(), DriverError> {
        let begin = self.inner.cycle()?;
        self.inner.set_program(program, vectors)?;
        // A program that is there already is not loaded anew and takes no time; the first one always counts.
        let now = self.inner.cycle()?;
        let same = self
            .record
            .programs
            .last()
            .is_some_and(|p| p.passes == program && p.vectors == vectors && begin == now);
        if !same {
            self.next = 0;
            self.record.programs.push(Program {
                passes: program.to_vec(),
                vectors,
                beats: self.inner.weight_beats(),
            });
        }
        Ok(())
    }

    fn submit(&mut self, x: &[f32]) -> Result<Ticket, DriverError> {
        let ticket = self.inner.submit(x)?;
        let submitted = self.inner.cycle()?;
        if let Some(program) = self.record.programs.last() {
            self.record.steps.push(Step {
                ticket,
                pass: program.passes[self.next],
                vectors: program.vectors,
                submitted,
                done: 0,
                counters: None,
            });
            self.next = (self.next + 1) % program.passes.len();
        }
        Ok(ticket)
    }

    fn wait_rows(&mut self, ticket: Ticket, rows: usize) -> Result<usize, DriverError> {
        let finished = self.inner.wait_rows(ticket, rows)?;
        let step = self.record.steps.iter().rev().find(|s| s.ticket == ticket);
        if let Some(pass) = step.map(|s| s.pass) {
            self.last_waited = Some(pass);
            // More rows than were asked for may be there: then nobody asks again.
            if finished >= self.inner.passes()[pass].n {
                self.done(ticket)?;
            }
        }
        Ok(finished)
    }

    fn results(&mut self, ticket: Ticket, rows: Range<usize>) -> Result<Results<'_>, DriverError> {
        self.inner.results(ticket, rows)
    }

    fn elapse(&mut self, ps: Duration, bytes: u64) -> Result<(), DriverError> {
        let owed = self.debt.min(ps);
        self.debt -= owed;
        let paid = owed.as_nanos() * u128::from(self.clock_hz) / 1_000_000_000;
        let now = self.inner.cycle()?;
        self.record.elapsed.push(Elapsed {
            // The registers were read instead of computing.
            begin: now.saturating_sub(paid as u64),
            after: self.last_waited,
            next_step: self.record.steps.len(),
        });
        self.inner.elapse(ps - owed, bytes)
    }

    fn reset(&mut self) -> Result<(), DriverError> {
        self.inner.reset()
    }

    fn counters(&mut self) -> Result<Option<Counters>, DriverError> {
        let now = self.inner.cycle()?;
        self.record.marks.push(now);
        self.read_counters()
    }
}
