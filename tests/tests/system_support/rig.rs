//! A program on a board without the queue code: tests that look closer than a driver does.

use std::time::Duration;

use macromac_board::{Board, BoardConfig};
use macromac_driver::{BufferId, BufferUse, Completion, DriverError, Platform, SegmentRef, Step};
use macromac_format::Packing;

use super::{Matrix, compare};

/// What results hold before the device writes them; no sum gives this NaN.
const POISON: u8 = 0xFF;

/// Matrices as the steps of a ring, each step with buffers of its own.
pub struct Rig {
    pub board: Board,
    pub steps: Vec<Step>,
    pub matrices: Vec<Matrix>,
    released: u32,
}

impl Rig {
    /// Loads the matrices and starts the ring; every `report` tile rows are reported.
    pub fn new(config: BoardConfig, matrices: Vec<Matrix>, report: u16) -> Self {
        let mut board = Board::new(config).expect("board");
        let mut steps = Vec::new();
        for matrix in &matrices {
            let weights = std::array::from_fn(|port| {
                let bytes = &matrix.segments[port];
                let buffer = board.alloc(bytes.len(), BufferUse::Weights).expect("alloc");
                board.write(buffer, 0, bytes).expect("write");
                SegmentRef { buffer, offset: 0 }
            });
            let mut vector = |values: usize, usage| SegmentRef {
                buffer: board.alloc(4 * values, usage).expect("alloc"),
                offset: 0,
            };
            steps.push(Step {
                groups: matrix.dims.groups as u16,
                tile_rows: matrix.dims.tile_rows as u16,
                report_tile_rows: report,
                vectors: 1,
                packing: Packing::Single,
                weights,
                activations: vector(matrix.dims.inputs(), BufferUse::Activations),
                results: vector(matrix.dims.outputs(), BufferUse::Results),
            });
        }
        let mut rig = Self {
            board,
            steps,
            matrices,
            released: 0,
        };
        rig.start().expect("program");
        rig
    }

    /// (Re)starts the ring from its first step, with poisoned results.
    pub fn start(&mut self) -> Result<(), DriverError> {
        self.released = 0;
        for (step, matrix) in self.steps.iter().zip(&self.matrices) {
            let poison = vec![POISON; 4 * matrix.dims.outputs()];
            self.board.write(step.results.buffer, 0, &poison)?;
        }
        self.board.load_program(&self.steps)
    }

    /// Activations of sequence number `s`.
    pub fn input(&self, s: u32) -> Vec<f32> {
        self.matrices[s as usize % self.matrices.len()].input(u64::from(s) + 77)
    }

    /// Writes the activations of the next `count` steps and rings once.
    pub fn release(&mut self, count: u32) -> Result<(), DriverError> {
        for s in self.released..self.released + count {
            let index = s as usize % self.steps.len();
            let mut x = self.input(s);
            x.resize(self.matrices[index].dims.inputs(), 0.0);
            let bytes: Vec<u8> = x.iter().flat_map(|value| value.to_le_bytes()).collect();
            self.board
                .write(self.steps[index].activations.buffer, 0, &bytes)?;
        }
        self.released += count;
        self.board.doorbell(self.released)
    }

    /// Waits for all steps that were released.
    pub fn finish(&mut self) -> Result<Completion, DriverError> {
        self.board
            .wait(self.released, u32::MAX, Duration::from_millis(20))
    }

    /// The results of sequence number `s` as they are in memory, padding included.
    pub fn results(&mut self, s: u32) -> Vec<f32> {
        let index = s as usize % self.steps.len();
        let mut bytes = vec![0; 4 * self.matrices[index].dims.outputs()];
        self.board
            .read(self.steps[index].results.buffer, 0, &mut bytes)
            .expect("read");
        bytes
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect()
    }

    /// Everything of step `s`, padding included, as golden has it.
    pub fn golden(&self, s: u32) -> Vec<f32> {
        let matrix = &self.matrices[s as usize % self.matrices.len()];
        let whole = Matrix {
            shape: macromac_driver::PassShape {
                n: matrix.dims.outputs(),
                ..matrix.shape
            },
            dims: matrix.dims,
            segments: matrix.segments.clone(),
        };
        whole.golden(&self.input(s))
    }

    /// What the completion record says is true: the last step it counts and the rows it names are in memory.
    pub fn check_reported(&mut self) -> Completion {
        let seen = self.board.completion();
        if seen.steps_done > 0 {
            let s = seen.steps_done - 1;
            compare(&self.results(s), &self.golden(s), 0);
        }
        if seen.rows_done > 0 {
            let (got, expected) = (self.results(seen.steps_done), self.golden(seen.steps_done));
            compare(&got[..seen.rows_done as usize], &expected, 0);
        }
        seen
    }

    /// A whole round of the ring, compared.
    pub fn round(&mut self) -> Result<(), DriverError> {
        for _ in 0..self.steps.len() {
            self.release(1)?;
            self.finish()?;
            let s = self.released - 1;
            compare(&self.results(s), &self.golden(s), 0);
        }
        Ok(())
    }

    /// Recovers: no more errors on purpose, reset, start, one round.
    pub fn recover(&mut self) {
        self.board.injector().clear();
        self.board.reset().expect("reset");
        self.start().expect("start after reset");
        self.round().expect("round after reset");
    }

    /// The weight buffer of a port of step 0.
    pub fn weights(&self, port: usize) -> BufferId {
        self.steps[0].weights[port].buffer
    }
}
