//! A whole pass in exact group sums: one weight matrix in four segments, several vectors.

use rayon::prelude::*;

use super::convert::{Group, convert};
use super::fast::{self, Operand, TileDot};
use super::term::power;
use super::view::{Format, View};
use crate::fp::{self, NAN_BITS};
use crate::macro_block::{GROUP, TILE};
use crate::pass::{GoldenError, PORTS, PassDims, ROW_CHANNELS};

/// Padded size of a pass and layout of its weights.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GroupDims {
    /// Groups of 64 input channels, at least 1.
    pub groups: usize,
    /// Rows of tiles, at least 1.
    pub tile_rows: usize,
    /// Layout of the macros.
    pub format: Format,
}

impl From<PassDims> for GroupDims {
    /// Weights in [`Format::One`].
    fn from(dims: PassDims) -> Self {
        GroupDims {
            groups: dims.groups,
            tile_rows: dims.tile_rows,
            format: Format::One,
        }
    }
}

impl GroupDims {
    /// Bytes of each of the four segments.
    pub fn segment_bytes(&self) -> usize {
        self.format.tile_bytes(self.groups) * self.tile_rows
    }
}

/// Computes a pass for `vectors` vectors, in the memory layout of the device (docs/architecture.md section 3). Returns
/// whether an activation is infinite or NaN; all results of its vector are then 7FC00000.
///
/// * `segments`: the four segments, each `tile_rows` tiles in the dimensions' format;
/// * `x`: activations; group g of vector v are the 64 values from `(g × vectors + v) × 64` on;
/// * `y`: results; tile row r of vector v are the 32 values from `(r × vectors + v) × 32` on.
///
/// # Errors
/// Lengths that do not match, or a macro with reserved bits set: the one that the hardware meets first (lowest
/// tile row, then lowest group, then lowest port). `y` then holds no meaningful values.
pub fn run_pass(
    dims: impl Into<GroupDims>,
    segments: [&[u8]; PORTS],
    vectors: usize,
    x: &[f32],
    y: &mut [f32],
) -> Result<bool, GoldenError> {
    run_with(fast::select(), dims.into(), segments, vectors, x, y)
}

fn run_with(
    tile_dot: TileDot,
    dims: GroupDims,
    segments: [&[u8]; PORTS],
    vectors: usize,
    x: &[f32],
    y: &mut [f32],
) -> Result<bool, GoldenError> {
    check(dims, &segments, vectors, x, y)?;
    let mut nan = vec![false; vectors];
    let operands: Vec<Operand> = x
        .chunks_exact(GROUP)
        .enumerate()
        .map(|(at, acts)| {
            let Group { exponent, m } = convert(acts.try_into().expect("a chunk of GROUP"));
            nan[at % vectors] |= exponent == 255;
            Operand {
                m,
                power: power(exponent),
            }
        })
        .collect();
    let tile_bytes = dims.format.tile_bytes(dims.groups);

    let first_bad = y
        .par_chunks_mut(ROW_CHANNELS * vectors)
        .enumerate()
        // Sharing out costs about a microsecond; a piece is at least some 64 KiB of weights and vectors.
        .with_min_len((16_384 / (tile_bytes * vectors)).max(1))
        .filter_map(|(row, results)| {
            let mut first_bad: Option<(usize, usize)> = None;
            let mut acc = vec![[0.0; TILE]; vectors];
            for (port, segment) in segments.iter().enumerate() {
                let tile = &segment[row * tile_bytes..][..tile_bytes];
                acc.fill([0.0; TILE]);
                match tile_dot(
                    &View::new(dims.format, tile, dims.groups),
                    &operands,
                    &mut acc,
                ) {
                    Ok(()) => spread(&acc, &nan, port, results),
                    Err(group) => {
                        let bad = (row * dims.groups + group, port);
                        first_bad = Some(first_bad.map_or(bad, |first| first.min(bad)));
                    }
                }
            }
            first_bad
        })
        .min();

    match first_bad {
        None => Ok(nan.contains(&true)),
        Some((macro_index, port)) => Err(GoldenError::ReservedBits { port, macro_index }),
    }
}

/// Puts the results of a port's tile at their places in a tile row.
fn spread(acc: &[[f32; TILE]], nan: &[bool], port: usize, results: &mut [f32]) {
    let rows = results.chunks_exact_mut(ROW_CHANNELS);
    for ((acc, nan), row) in acc.iter().zip(nan).zip(rows) {
        let tile = match nan {
            true => [f32::from_bits(NAN_BITS); TILE],
            false => acc.map(fp::canonical),
        };
        row[TILE * port..][..TILE].copy_from_slice(&tile);
    }
}

fn check(
    dims: GroupDims,
    segments: &[&[u8]; PORTS],
    vectors: usize,
    x: &[f32],
    y: &[f32],
) -> Result<(), GoldenError> {
    let GroupDims {
        groups, tile_rows, ..
    } = dims;
    if groups == 0 || tile_rows == 0 {
        return Err(GoldenError::EmptyPass { groups, tile_rows });
    }
    if vectors == 0 {
        return Err(GoldenError::NoVectors);
    }
    let expected = dims.segment_bytes();
    for (port, segment) in segments.iter().enumerate() {
        if segment.len() != expected {
            let got = segment.len();
            return Err(GoldenError::SegmentLength {
                port,
                expected,
                got,
            });
        }
    }
    let expected = GROUP * groups * vectors;
    if x.len() != expected {
        let got = x.len();
        return Err(GoldenError::ActivationLength { expected, got });
    }
    let expected = ROW_CHANNELS * tile_rows * vectors;
    if y.len() != expected {
        let got = y.len();
        return Err(GoldenError::ResultLength { expected, got });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The portable form has the bits of the processor's.
    #[test]
    fn every_form_gives_the_same_bits() {
        let dims = GroupDims {
            groups: 5,
            tile_rows: 3,
            format: Format::One,
        };
        let mut seed = 11u32;
        let mut random = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            seed >> 8
        };
        for vectors in [1, 3, 8] {
            let segments: [Vec<u8>; PORTS] = std::array::from_fn(|_| {
                let mut bytes: Vec<u8> =
                    (0..dims.segment_bytes()).map(|_| random() as u8).collect();
                for block in bytes.chunks_exact_mut(288) {
                    block[20..32].fill(0);
                }
                bytes
            });
            let x: Vec<f32> = (0..GROUP * dims.groups * vectors)
                .map(|_| f32::from_bits(random() << 9 & 0xBFFF_FFFF | (random() & 1) << 31))
                .collect();
            let results = [fast::select(), fast::portable].map(|form| {
                let mut y = vec![1.0; ROW_CHANNELS * dims.tile_rows * vectors];
                let segments = segments.each_ref().map(Vec::as_slice);
                run_with(form, dims, segments, vectors, &x, &mut y).unwrap();
                y.into_iter().map(f32::to_bits).collect::<Vec<_>>()
            });
            assert_eq!(results[0], results[1]);
        }
    }
}
