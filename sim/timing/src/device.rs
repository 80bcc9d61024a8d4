//! An accelerator that only keeps time.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use macromac_driver::{
    Accelerator, Counters, Device, DriverError, PassShape, PassWeights, Profile, Results, Ticket,
};
use macromac_format::{Layout, Packing};

use crate::board::ModelBoard;
use crate::chip::PassTimes;
use crate::config::ModelConfig;
use crate::skip::{Call, Skip};

/// Tickets that are remembered: more than may be in flight.
const TICKETS: usize = 4;

/// An [`Accelerator`] with results that are all zero and the real one's clock: the driver's queue code on a [`ModelBoard`].
///
/// [`shortened`](Self::shortened), it steps only some of many equal layers and of the rows of a long pass, and takes the others' time from these.
pub struct ModelDevice {
    device: Device<ModelBoard>,
    clock_hz: u64,
    /// The program as the device has it.
    program: Vec<usize>,
    /// By pass, of programs that are gone.
    past: Vec<PassTimes>,
    skip: Option<Skip>,
    /// Tickets given out, and the device's own for them, the newest last.
    tickets: VecDeque<(u64, Ticket)>,
    given: u64,
}

impl ModelDevice {
    /// A device that holds matrices of these shapes in blocks of this packing. No weights are needed.
    ///
    /// # Errors
    /// As [`Device::new`], for shapes that the device does not take or that do not fit into its memory.
    pub fn new(
        config: ModelConfig,
        passes: &[PassShape],
        packing: Packing,
    ) -> Result<Self, DriverError> {
        let bytes = |shape: &PassShape| {
            let layout = Layout::new(shape.n, shape.k);
            layout.tile_rows() * packing.tile_bytes(layout.groups())
        };
        // Never touched, so never given memory by the system.
        let zeros = vec![0; passes.iter().map(bytes).max().unwrap_or(0)];
        let weights: Vec<PassWeights> = passes
            .iter()
            .map(|shape| PassWeights {
                shape: *shape,
                packing,
                segments: [&zeros[..bytes(shape)]; 4],
            })
            .collect();
        Ok(ModelDevice {
            clock_hz: config.clock_hz,
            device: Device::new(ModelBoard::new(config)?, &weights)?,
            program: Vec::new(),
            past: vec![PassTimes::default(); passes.len()],
            skip: None,
            tickets: VecDeque::new(),
            given: 0,
        })
    }

    /// The same, but quick: of a program's equal layers three are stepped, and of a pass of more than a thousand tile rows as many as it
    /// takes to see that it goes on like that. Sums of [`pass_times`](Self::pass_times) over the layers stay right; a single layer's do not.
    #[must_use]
    pub fn shortened(mut self) -> Self {
        self.device.platform_mut().shorten();
        self.skip = Some(Skip::default());
        self
    }

    /// The board under the queue code.
    pub fn board(&self) -> &ModelBoard {
        self.device.platform()
    }

    fn give(&mut self, own: Ticket) -> Ticket {
        let ticket = Ticket::new(self.given);
        self.given += 1;
        self.tickets.push_back((ticket.number(), own));
        if self.tickets.len() > TICKETS {
            self.tickets.pop_front();
        }
        ticket
    }

    /// The device's own ticket; one that nobody has if this one is long gone.
    fn own(&self, ticket: Ticket) -> Ticket {
        let mut known = self.tickets.iter();
        let found = known.find(|(number, _)| *number == ticket.number());
        found.map_or(Ticket::new(u64::MAX), |(_, own)| *own)
    }

    /// Plays a call again, if calls are played.
    fn play(&mut self, call: Call) -> bool {
        match &mut self.skip {
            Some(skip) if skip.playing() => {
                skip.play(call, self.clock_hz);
                true
            }
            _ => false,
        }
    }

    fn note(&mut self, call: Call, before: u64) {
        let cycles = self.board().cycle() - before;
        if let Some(skip) = &mut self.skip {
            skip.note(call, cycles);
        }
    }

    /// PL cycles since power-up; unlike the counters, which are loaded over the register bus, looking costs none.
    pub fn cycle(&self) -> u64 {
        self.board().cycle() + self.skip.as_ref().map_or(0, |skip| skip.cycles)
    }

    /// Where the time went, by pass: every cycle since the first program was set is in one of them.
    pub fn pass_times(&self) -> Vec<PassTimes> {
        let mut times = self.past.clone();
        if self.program.is_empty() {
            return times;
        }
        // A ring of one step is twice its program.
        let passes = self.program.iter().cycle();
        for (pass, part) in passes.zip(self.board().passes()) {
            times[*pass] += *part;
        }
        times
    }
}

impl Accelerator for ModelDevice {
    fn profile(&self) -> Option<Profile> {
        self.device.profile()
    }

    fn batch(&self) -> usize {
        self.device.batch()
    }

    fn passes(&self) -> &[PassShape] {
        self.device.passes()
    }

    fn set_program(&mut self, program: &[usize], vectors: usize) -> Result<(), DriverError> {
        // Whether the ring is loaded anew, the queue code decides: then its times begin at zero.
        let before = self.pass_times();
        let total = |parts: &[PassTimes]| parts.iter().map(|p| p.cycles).sum::<u64>();
        let old = total(self.board().passes());
        let bad = program.iter().any(|pass| *pass >= self.passes().len());
        let kept = match &mut self.skip {
            // The device itself refuses what does not exist.
            Some(skip) if !bad => skip.program(program, self.device.passes()),
            _ => program.to_vec(),
        };
        self.device.set_program(&kept, vectors)?;
        if total(self.board().passes()) < old {
            self.past = before;
        }
        self.program = kept;
        Ok(())
    }

    fn submit(&mut self, x: &[f32]) -> Result<Ticket, DriverError> {
        let mut place = 0;
        if let Some(skip) = &mut self.skip {
            let (played, left_out) = skip.submit(self.device.platform().counts());
            place = skip.step();
            if let Some((layer, times)) = left_out {
                self.device.platform_mut().count_again(&layer, times);
            }
            if played {
                skip.play(Call::Submit(place), self.clock_hz);
                let ticket = skip.ticket(place).unwrap_or(Ticket::new(u64::MAX));
                return Ok(self.give(ticket));
            }
        }
        let before = self.board().cycle();
        let ticket = self.device.submit(x)?;
        self.note(Call::Submit(place), before);
        if let Some(skip) = &mut self.skip {
            skip.note_ticket(ticket);
        }
        Ok(self.give(ticket))
    }

    fn wait_rows(&mut self, ticket: Ticket, rows: usize) -> Result<usize, DriverError> {
        let call = Call::Wait(self.given.wrapping_sub(ticket.number()), rows);
        if self.play(call) {
            return Ok(rows);
        }
        let before = self.board().cycle();
        let own = self.own(ticket);
        let finished = self.device.wait_rows(own, rows)?;
        self.note(call, before);
        Ok(finished)
    }

    fn results(&mut self, ticket: Ticket, rows: Range<usize>) -> Result<Results<'_>, DriverError> {
        if self.skip.as_ref().is_some_and(Skip::playing) {
            return Ok(Results::zeros(&rows));
        }
        let own = self.own(ticket);
        self.device.results(own, rows)
    }

    fn elapse(&mut self, ps: Duration, bytes: u64) -> Result<(), DriverError> {
        let call = Call::Elapse(ps, bytes);
        if self.play(call) {
            return Ok(());
        }
        let before = self.board().cycle();
        self.device.elapse(ps, bytes)?;
        self.note(call, before);
        Ok(())
    }

    fn reset(&mut self) -> Result<(), DriverError> {
        self.past = self.pass_times();
        self.program.clear();
        self.device.reset()
    }

    fn counters(&mut self) -> Result<Option<Counters>, DriverError> {
        let skipped = self.skip.as_ref().map_or(0, |skip| skip.cycles);
        let counters = self.device.counters()?;
        Ok(counters.map(|c| Counters {
            cycles: c.cycles + skipped,
            ..c
        }))
    }
}
