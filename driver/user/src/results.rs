//! Finished results, to be read by several threads at once.

use std::ops::Range;

/// Memory that the device has written.
pub trait Memory: Sync {
    /// Copies bytes from `at` on.
    ///
    /// # Panics
    /// If they are not all inside: [`View`] was made for what is.
    fn copy(&self, at: u64, out: &mut [u8]);
}

impl Memory for Vec<f32> {
    fn copy(&self, at: u64, out: &mut [u8]) {
        let bytes: &[u8] = bytemuck::cast_slice(self);
        out.copy_from_slice(&bytes[at as usize..][..out.len()]);
    }
}

/// What is read where nothing is computed.
struct Zeros;

impl Memory for Zeros {
    fn copy(&self, _at: u64, out: &mut [u8]) {
        out.fill(0);
    }
}

/// A piece of a buffer, its caches made ready for reading.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// What holds it.
    pub memory: &'a dyn Memory,
    /// Where it begins there.
    pub at: u64,
}

impl View<'static> {
    /// Zeros, as many as are asked for.
    pub fn zeros() -> Self {
        View {
            memory: &Zeros,
            at: 0,
        }
    }
}

/// Where results lie: pieces of `row` output channels, those of the layout's vectors one after the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tiling {
    /// Output channels of a piece, at least 1.
    pub row: usize,
    /// Vectors of the layout: a program's, not all of which a step may have been given.
    pub vectors: usize,
}

impl Tiling {
    /// Index of output channel `channel` of a vector.
    fn index(self, vector: usize, channel: usize) -> usize {
        (channel / self.row * self.vectors + vector) * self.row + channel % self.row
    }

    /// The indices among which channels `rows` of all vectors lie.
    pub fn span(self, rows: &Range<usize>) -> Range<usize> {
        match self.vectors {
            1 => rows.clone(),
            vectors => {
                let piece = self.row * vectors;
                rows.start / self.row * piece..rows.end.div_ceil(self.row) * piece
            }
        }
    }
}

/// Finished output channels of a step, all its vectors.
#[derive(Clone, Copy)]
pub struct Results<'a> {
    view: View<'a>,
    /// Index that the view begins with.
    origin: usize,
    tiling: Tiling,
    /// First channel, and behind the last.
    rows: (usize, usize),
    /// Vectors that the step was given.
    vectors: usize,
}

impl<'a> Results<'a> {
    /// Of a view that begins with the first index of `rows`.
    pub(crate) fn new(
        view: View<'a>,
        tiling: Tiling,
        rows: &Range<usize>,
        vectors: usize,
    ) -> Results<'a> {
        Results {
            view,
            origin: tiling.span(rows).start,
            tiling,
            rows: (rows.start, rows.end),
            vectors,
        }
    }

    /// Channels `rows` of `vectors` vectors of `n` channels, which lie vector after vector in `memory`.
    pub fn in_order(
        memory: &'a Vec<f32>,
        n: usize,
        vectors: usize,
        rows: &Range<usize>,
    ) -> Results<'a> {
        let tiling = Tiling {
            row: n.max(1),
            vectors,
        };
        let at = 4 * tiling.span(rows).start as u64;
        Results::new(View { memory, at }, tiling, rows, vectors)
    }

    /// Zeros for channels `rows` of any number of vectors.
    pub fn zeros(rows: &Range<usize>) -> Results<'static> {
        let one = Tiling {
            row: rows.end.max(1),
            vectors: 1,
        };
        Results::new(View::zeros(), one, rows, usize::MAX)
    }

    /// Vectors that can be read.
    pub fn vectors(&self) -> usize {
        self.vectors
    }

    /// Copies the channels of vector `vector`.
    ///
    /// # Panics
    /// If there is no such vector, or `out` has not their length.
    pub fn read(&self, vector: usize, out: &mut [f32]) {
        let (first, end) = self.rows;
        assert!(vector < self.vectors, "vector {vector} of {}", self.vectors);
        assert_eq!(out.len(), end - first, "channels");
        let row = self.tiling.row;
        let mut channel = first;
        while channel < end {
            let upto = end.min((channel / row + 1) * row);
            let out = &mut out[channel - first..upto - first];
            let index = self.tiling.index(vector, channel) - self.origin;
            let at = self.view.at + 4 * index as u64;
            self.view.memory.copy(at, bytemuck::cast_slice_mut(out));
            for value in out {
                *value = f32::from_bits(u32::from_le(value.to_bits()));
            }
            channel = upto;
        }
    }
}
