//! An accelerator that only keeps time.

use std::time::Duration;

use macromac_driver::{
    Accelerator, Counters, Device, DriverError, PassShape, PassWeights, Profile, Ticket,
};
use macromac_format::{Layout, Packing};

use crate::board::ModelBoard;
use crate::chip::PassTimes;
use crate::config::ModelConfig;

/// An [`Accelerator`] with results that are all zero and the real one's clock: the driver's queue code on a [`ModelBoard`].
pub struct ModelDevice {
    device: Device<ModelBoard>,
    program: Vec<usize>,
    /// By pass, of programs that are gone.
    past: Vec<PassTimes>,
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
            device: Device::new(ModelBoard::new(config)?, &weights)?,
            program: Vec::new(),
            past: vec![PassTimes::default(); passes.len()],
        })
    }

    /// The board under the queue code.
    pub fn board(&self) -> &ModelBoard {
        self.device.platform()
    }

    /// Where the time went, by pass: every cycle since the first program was set is in one of them.
    pub fn pass_times(&self) -> Vec<PassTimes> {
        let mut times = self.past.clone();
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
        self.device.set_program(program, vectors)?;
        if total(self.board().passes()) < old {
            self.past = before;
        }
        self.program = program.to_vec();
        Ok(())
    }

    fn submit(&mut self, x: &[f32]) -> Result<Ticket, DriverError> {
        self.device.submit(x)
    }

    fn wait_rows(&mut self, ticket: Ticket, rows: usize) -> Result<usize, DriverError> {
        self.device.wait_rows(ticket, rows)
    }

    fn read_rows(
        &mut self,
        ticket: Ticket,
        vector: usize,
        first: usize,
        out: &mut [f32],
    ) -> Result<(), DriverError> {
        self.device.read_rows(ticket, vector, first, out)
    }

    fn elapse(&mut self, ps: Duration, bytes: u64) -> Result<(), DriverError> {
        self.device.elapse(ps, bytes)
    }

    fn reset(&mut self) -> Result<(), DriverError> {
        self.past = self.pass_times();
        self.program.clear();
        self.device.reset()
    }

    fn counters(&mut self) -> Result<Option<Counters>, DriverError> {
        self.device.counters()
    }
}
