//! The queue code: a model's matrices on a platform, stepped through as a ring.

use std::ops::Range;
use std::sync::Mutex;
use std::time::Duration;

use macromac_format::{GROUP, PORTS, TILE};

use crate::results::Tiling;
use crate::ring::{SLOTS, ahead, slot};
use crate::upload::{ALIGN, Pass, check_capabilities, upload};
use crate::{
    Accelerator, BufferId, BufferUse, Completion, Counters, DriverError, PassShape, PassWeights,
    Platform, Profile, Results, SegmentRef, Step, Ticket,
};

/// A pass of at least so many tile rows reports its progress on the way; a shorter one is over before a report would help.
const REPORT_FROM_TILE_ROWS: u16 = 32;
/// Progress reports of one pass. Each costs a write that waits for the results before it.
const REPORTS_PER_PASS: u16 = 16;
/// A step that takes so many times longer than its unstalled stream has hung.
const SLOWEST: u32 = 50;
/// What a step may take besides its stream: interrupts, scheduling, a busy memory.
const DEFAULT_PATIENCE: Duration = Duration::from_millis(50);

/// Vectors from which activations are put in place by several threads.
const SHARED_FROM: usize = 4;
/// Into so many parts: one for each of the board's cores.
const SHARES: usize = 4;

/// Calls a job with each number below the given one, perhaps on several threads.
pub type Share = fn(usize, &(dyn Fn(usize) + Sync));

fn on_this_thread(jobs: usize, job: &(dyn Fn(usize) + Sync)) {
    (0..jobs).for_each(job);
}

/// Output channels of a tile row.
const ROW: usize = TILE * PORTS;
/// More rows than a step can have: a wait for them ends with the step.
const WHOLE_STEP: u32 = u32::MAX;

/// The program that runs, and where it stands.
struct Loaded {
    /// As given by `set_program`.
    program: Vec<usize>,
    /// Vectors of every step.
    vectors: usize,
    /// Pass of each step in the ring: the program, or the program twice if it is a single step.
    ring: Vec<usize>,
    /// Ring index of the next submission. Kept apart from `submitted`, since most ring lengths do not divide 2^32.
    next: usize,
    /// Steps submitted since the program was loaded, modulo 2^32; equals the doorbell.
    submitted: u32,
    /// The last two submissions, the older one first: those that may be in flight, and whose results are still there.
    recent: [Option<Submitted>; 2],
}

/// A submitted step.
#[derive(Clone, Copy)]
struct Submitted {
    ticket: Ticket,
    /// The doorbell that released it: it is complete when so many steps are done.
    doorbell: u32,
    pass: usize,
    slot: usize,
    /// Vectors that were given.
    vectors: usize,
    /// Results of each vector known to be in memory, padding cut off.
    finished: usize,
}

impl Loaded {
    fn find(&mut self, ticket: Ticket) -> Result<&mut Submitted, DriverError> {
        let mut recent = self.recent.iter_mut().flatten();
        recent.find(|step| step.ticket == ticket).ok_or_else(|| {
            DriverError::Sequence(
                "this ticket has expired: its results were there until the second submission after it".into(),
            )
        })
    }
}

/// A model on a platform: the hardware's [`Accelerator`].
///
/// Weights are uploaded once. A program is written to the device's ring when it is set and replayed from then on;
/// a step costs its vectors in, one doorbell, one wait and its vectors out.
pub struct Device<P: Platform> {
    platform: P,
    profile: Profile,
    shapes: Vec<PassShape>,
    passes: Vec<Pass>,
    activations: Slots,
    results: Slots,
    batch: usize,
    loaded: Option<Loaded>,
    /// Tickets given out.
    tickets: u64,
    share: Share,
    patience: Duration,
}

/// One buffer that holds the vectors of [`SLOTS`] steps.
struct Slots {
    buffer: BufferId,
    stride: u64,
}

impl Slots {
    fn new<P: Platform>(
        platform: &mut P,
        bytes: usize,
        usage: BufferUse,
    ) -> Result<Self, DriverError> {
        let stride = bytes.next_multiple_of(ALIGN);
        let buffer = platform.alloc(SLOTS * stride, usage)?;
        Ok(Self {
            buffer,
            stride: stride as u64,
        })
    }

    fn at(&self, slot: usize) -> SegmentRef {
        SegmentRef {
            buffer: self.buffer,
            offset: slot as u64 * self.stride,
        }
    }
}

impl<P: Platform> Device<P> {
    /// Checks that the device suits the model, allocates its buffers and uploads its weights. Passes are numbered as they
    /// are given.
    ///
    /// # Errors
    /// [`DriverError::Capability`] or [`DriverError::Shape`] before anything is allocated; then whatever the
    /// platform says.
    pub fn new(mut platform: P, passes: &[PassWeights<'_>]) -> Result<Self, DriverError> {
        let caps = platform.capabilities();
        check_capabilities(&caps)?;
        let passes = upload(&mut platform, &caps, passes)?;
        let batch = caps.batch as usize;
        let largest =
            |bytes: fn(&Pass) -> usize| batch * passes.iter().map(bytes).max().unwrap_or(0);
        let (x, y) = (largest(Pass::activation_bytes), largest(Pass::result_bytes));
        let activations = Slots::new(&mut platform, x, BufferUse::Activations)?;
        let results = Slots::new(&mut platform, y, BufferUse::Results)?;
        Ok(Self {
            platform,
            profile: caps.profile,
            shapes: passes.iter().map(|pass| pass.shape).collect(),
            passes,
            activations,
            results,
            batch,
            loaded: None,
            tickets: 0,
            share: on_this_thread,
            patience: DEFAULT_PATIENCE,
        })
    }

    /// Sets what a step may take, besides 50 times its unstalled stream, before it is given up. On the simulated board
    /// this is simulated time.
    pub fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// Sets what puts activations in place on several threads, where several vectors share a step. Without it, it is done on the caller's.
    pub fn share_copies(&mut self, share: Share) {
        self.share = share;
    }

    /// The platform under the device.
    pub fn platform(&self) -> &P {
        &self.platform
    }

    /// The platform under the device, to be looked at or disturbed by tests.
    pub fn platform_mut(&mut self) -> &mut P {
        &mut self.platform
    }

    /// The descriptor-level step of ring index `index`.
    fn step(&self, ring: &[usize], index: usize, vectors: usize) -> Step {
        let pass = &self.passes[ring[index]];
        let slot = slot(index, ring.len());
        let report_tile_rows = if pass.tile_rows < REPORT_FROM_TILE_ROWS {
            0
        } else {
            pass.tile_rows.div_ceil(REPORTS_PER_PASS)
        };
        Step {
            groups: pass.groups,
            tile_rows: pass.tile_rows,
            report_tile_rows,
            // set_program has seen that it is at most the batch, and check_capabilities that this fits.
            vectors: vectors as u8,
            packing: pass.packing,
            weights: pass.weights,
            activations: self.activations.at(slot),
            results: self.results.at(slot),
        }
    }

    /// How long a wait for `pass` may take: as much again goes to the step that may run before it.
    fn limit(&self, pass: &Pass, vectors: usize) -> Duration {
        let cycles = pass.ideal_cycles(vectors) as f64;
        let ideal = Duration::from_secs_f64(cycles / self.profile.clock_hz() as f64);
        self.patience + 2 * SLOWEST * ideal
    }

    /// After an error of the platform nothing is known about the ring: it must be loaded again.
    fn lost<T>(&mut self, result: Result<T, DriverError>) -> Result<T, DriverError> {
        if result.is_err() {
            self.loaded = None;
        }
        result
    }

    /// Waits until the step before the newest is complete, so that its slot may be written again.
    fn make_room(&mut self) -> Result<(), DriverError> {
        let loaded = loaded(&mut self.loaded)?;
        // Two in flight after the coming submission: the newest one now, and that one.
        let [Some(old), _] = loaded.recent else {
            return Ok(());
        };
        let vectors = loaded.vectors;
        if ahead(self.platform.completion().steps_done, old.doorbell) >= 0 {
            return Ok(());
        }
        let limit = self.limit(&self.passes[old.pass], vectors);
        let waited = self.platform.wait(old.doorbell, WHOLE_STEP, limit);
        self.lost(waited)?;
        Ok(())
    }

    /// Takes note of what a completion record says about a step; gives its finished rows.
    fn note(&mut self, ticket: Ticket, seen: Completion) -> Result<usize, DriverError> {
        let step = loaded(&mut self.loaded)?.find(ticket)?;
        let n = self.passes[step.pass].shape.n;
        let lead = ahead(seen.steps_done, step.doorbell);
        if lead >= 0 {
            step.finished = n;
        } else if lead == -1 {
            step.finished = step.finished.max(n.min(seen.rows_done as usize));
        }
        Ok(step.finished)
    }
}

/// A function of the field alone, so that the other fields stay free to borrow.
fn loaded(field: &mut Option<Loaded>) -> Result<&mut Loaded, DriverError> {
    field.as_mut().ok_or_else(|| {
        DriverError::Sequence(
            "no program is loaded (or it was lost with an error): set a program first, \
             after a fault reset the device before that"
                .into(),
        )
    })
}

/// Writes vectors of `k` numbers as a step for `vectors` vectors has them: group after group, of each group vector after vector, zeros where there is none.
fn interleave(x: &[f32], k: usize, vectors: usize, bytes: &mut [u8], share: Share) {
    let groups = bytes.len() / (4 * GROUP * vectors);
    let part = groups.div_ceil(SHARES).max(1);
    let parts = bytes.chunks_mut(part * vectors * 4 * GROUP);
    let parts: Vec<_> = parts.map(Mutex::new).collect();
    share(parts.len(), &|i| {
        // Nobody else has this part.
        let Ok(mut bytes) = parts[i].lock() else {
            return;
        };
        let places = bytes.chunks_exact_mut(4 * GROUP).enumerate();
        for (at, place) in places {
            let (group, vector) = (i * part + at / vectors, at % vectors);
            let x = x.chunks_exact(k).nth(vector).unwrap_or_default();
            let x = &x[x.len().min(group * GROUP)..x.len().min((group + 1) * GROUP)];
            let (given, rest) = place.split_at_mut(4 * x.len());
            for (bytes, x) in given.chunks_exact_mut(4).zip(x) {
                bytes.copy_from_slice(&x.to_le_bytes());
            }
            rest.fill(0);
        }
    });
}

impl<P: Platform> Accelerator for Device<P> {
    fn profile(&self) -> Option<Profile> {
        Some(self.profile)
    }

    fn batch(&self) -> usize {
        self.batch
    }

    fn passes(&self) -> &[PassShape] {
        &self.shapes
    }

    fn set_program(&mut self, program: &[usize], vectors: usize) -> Result<(), DriverError> {
        if let Some(loaded) = &self.loaded {
            let same = loaded.program == program && loaded.vectors == vectors;
            if same && loaded.next % program.len() == 0 {
                return Ok(());
            }
        }
        if vectors == 0 || vectors > self.batch {
            return Err(DriverError::Shape {
                what: "vectors of a program, 1 to the device's batch".into(),
                expected: self.batch,
                found: vectors,
            });
        }
        if program.is_empty() {
            return Err(DriverError::BadStep {
                step: 0,
                reason: "the program is empty; it needs at least one pass".into(),
            });
        }
        if let Some((step, pass)) = program
            .iter()
            .enumerate()
            .find(|(_, pass)| **pass >= self.passes.len())
        {
            return Err(DriverError::BadStep {
                step,
                reason: format!(
                    "pass {pass} does not exist, the model has passes 0 to {}",
                    self.passes.len() - 1
                ),
            });
        }
        // A ring of one step would have two neighbours in one slot.
        let ring = if program.len() == 1 {
            [program[0]; 2].to_vec()
        } else {
            program.to_vec()
        };
        let steps: Vec<Step> = (0..ring.len())
            .map(|index| self.step(&ring, index, vectors))
            .collect();
        // Whatever ran before is stopped or lost from here on.
        self.loaded = None;
        self.platform.load_program(&steps)?;
        self.loaded = Some(Loaded {
            program: program.to_vec(),
            vectors,
            ring,
            next: 0,
            submitted: 0,
            recent: [None; 2],
        });
        Ok(())
    }

    fn submit(&mut self, x: &[f32]) -> Result<Ticket, DriverError> {
        let loaded = loaded(&mut self.loaded)?;
        let (index, len, vectors) = (loaded.next, loaded.ring.len(), loaded.vectors);
        let (number, slot) = (loaded.ring[index], slot(index, len));
        let pass = self.passes[number];
        let k = pass.shape.k;
        let given = x.len() / k;
        if x.len() % k != 0 || given == 0 || given > vectors {
            return Err(DriverError::Shape {
                what: format!("activations of pass {number}, {vectors} vectors of {k} at most"),
                expected: k * vectors,
                found: x.len(),
            });
        }
        self.make_room()?;
        let place = self.activations.at(slot);
        let bytes = vectors * pass.activation_bytes();
        let share = match given {
            SHARED_FROM.. => self.share,
            _ => on_this_thread,
        };
        let written = self
            .platform
            .fill(place.buffer, place.offset, bytes, &|bytes| {
                interleave(x, k, vectors, bytes, share);
            });
        self.lost(written)?;
        let ticket = Ticket::new(self.tickets);
        self.tickets += 1;
        let loaded = crate::device::loaded(&mut self.loaded)?;
        loaded.submitted = loaded.submitted.wrapping_add(1);
        loaded.next = (index + 1) % len;
        let doorbell = loaded.submitted;
        let step = Submitted {
            ticket,
            doorbell,
            pass: number,
            slot,
            vectors: given,
            finished: 0,
        };
        loaded.recent = [loaded.recent[1], Some(step)];
        let rung = self.platform.doorbell(doorbell);
        self.lost(rung)?;
        Ok(ticket)
    }

    fn wait_rows(&mut self, ticket: Ticket, rows: usize) -> Result<usize, DriverError> {
        let loaded = loaded(&mut self.loaded)?;
        let vectors = loaded.vectors;
        let step = *loaded.find(ticket)?;
        let pass = self.passes[step.pass];
        if rows > pass.shape.n {
            return Err(DriverError::Shape {
                what: format!("rows of pass {} to wait for, at most", step.pass),
                expected: pass.shape.n,
                found: rows,
            });
        }
        if rows <= step.finished {
            return Ok(step.finished);
        }
        let limit = self.limit(&pass, vectors);
        // The last rows are finished when the step is: then its slots are free and its counters are final.
        let asked = if rows == pass.shape.n {
            WHOLE_STEP
        } else {
            rows as u32
        };
        let waited = self.platform.wait(step.doorbell, asked, limit);
        let seen = self.lost(waited)?;
        self.note(ticket, seen)
    }

    fn results(&mut self, ticket: Ticket, rows: Range<usize>) -> Result<Results<'_>, DriverError> {
        let loaded = loaded(&mut self.loaded)?;
        let vectors = loaded.vectors;
        let step = *loaded.find(ticket)?;
        let n = self.passes[step.pass].shape.n;
        if rows.end > n {
            return Err(DriverError::Shape {
                what: format!("end of the rows of pass {} to read, at most", step.pass),
                expected: n,
                found: rows.end,
            });
        }
        if rows.end > step.finished {
            let seen = self.platform.completion();
            let finished = self.note(ticket, seen)?;
            if rows.end > finished {
                return Err(DriverError::Sequence(format!(
                    "rows {}..{} are not finished, {finished} are: wait for them first",
                    rows.start, rows.end
                )));
            }
        }
        let tiling = Tiling {
            // One vector's results are one piece of memory, those of several alternate by tile rows.
            row: if vectors == 1 { n.max(1) } else { ROW },
            vectors,
        };
        let span = tiling.span(&rows);
        let place = self.results.at(step.slot);
        let offset = place.offset + 4 * span.start as u64;
        let view = self.platform.view(place.buffer, offset, 4 * span.len())?;
        Ok(Results::new(view, tiling, &rows, step.vectors))
    }

    fn elapse(&mut self, ps: Duration, bytes: u64) -> Result<(), DriverError> {
        let elapsed = self.platform.elapse(ps, bytes);
        self.lost(elapsed)
    }

    fn reset(&mut self) -> Result<(), DriverError> {
        self.loaded = None;
        self.platform.reset()
    }

    fn counters(&mut self) -> Result<Option<Counters>, DriverError> {
        self.platform.counters().map(Some)
    }
}

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;
