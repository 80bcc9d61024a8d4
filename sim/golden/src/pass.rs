//! A whole pass: one weight matrix in four segments times one activation vector.
//!
//! The bits of every result are those of [`crate::block::tile`]; what differs is the speed. Tile
//! rows are shared out to threads; within a tile the eight output channels are the lanes of a
//! vector, so no addition ever changes place. Flushing of inputs and the one form of NaN are
//! hoisted out of the loop: intermediate values are flushed already, and a NaN stays a NaN whatever
//! its payload.
//!
//! Flushing of results is hoisted too, wherever the activations show that nothing can be flushed
//! (`cannot_underflow`): nearly always.

use rayon::prelude::*;
use thiserror::Error;

use crate::fp;
use crate::macro_block::{self, GROUP, Header, MACRO_BYTES, TILE};

/// Ports (segments of a pass).
pub const PORTS: usize = 4;
/// Output channels of a tile row: one tile a port.
pub const ROW_CHANNELS: usize = PORTS * TILE;

/// Padded size of a pass.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PassDims {
    /// Groups of 64 input channels, at least 1.
    pub groups: usize,
    /// Rows of tiles, at least 1; a row is one tile on each of the four ports (32 output channels).
    pub tile_rows: usize,
}

impl PassDims {
    /// Activations of the pass.
    pub fn inputs(&self) -> usize {
        GROUP * self.groups
    }

    /// Results of the pass.
    pub fn outputs(&self) -> usize {
        ROW_CHANNELS * self.tile_rows
    }

    /// Bytes of each of the four segments.
    pub fn segment_bytes(&self) -> usize {
        MACRO_BYTES * self.groups * self.tile_rows
    }
}

/// Why a pass cannot be computed.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum GoldenError {
    /// A pass has at least one group and one tile row.
    #[error("a pass needs at least 1 group and 1 tile row, got {groups} and {tile_rows}")]
    EmptyPass {
        /// Groups asked for.
        groups: usize,
        /// Tile rows asked for.
        tile_rows: usize,
    },
    /// A pass has at least one vector.
    #[error("a pass needs at least 1 vector, got 0")]
    NoVectors,
    /// A segment has not the length that dimensions and weight format ask for.
    #[error("segment of port {port}: expected {expected} bytes, got {got}")]
    SegmentLength {
        /// Port, 0..4.
        port: usize,
        /// Bytes that the dimensions ask for.
        expected: usize,
        /// Bytes given.
        got: usize,
    },
    /// The activations are not `64 × groups` a vector.
    #[error("activations: expected {expected} values, got {got}")]
    ActivationLength {
        /// Values that the dimensions ask for.
        expected: usize,
        /// Values given.
        got: usize,
    },
    /// The results are not `32 × tile_rows` a vector.
    #[error("results: expected room for {expected} values, got {got}")]
    ResultLength {
        /// Values that the dimensions ask for.
        expected: usize,
        /// Values given.
        got: usize,
    },
    /// The reserved bits of a macro's zero strip are set.
    #[error("port {port}, macro {macro_index}: reserved bits of the zero strip are set")]
    ReservedBits {
        /// Port, 0..4.
        port: usize,
        /// Macro within the port's segment, counted from 0.
        macro_index: usize,
    },
}

/// Computes a pass: `y[32·row + 8·port + c]` from the tile `row` of segment `port`.
///
/// * `segments`: the four segments, each `tile_rows × groups` macros of 288 bytes;
/// * `x`: `64 × groups` activations;
/// * `y`: `32 × tile_rows` results, every NaN as 7FC00000.
///
/// # Errors
///
/// Lengths that do not match `shape`, or a macro with reserved bits set: the one that the hardware
/// meets first (lowest tile row, then lowest group, then lowest port). `y` then holds no meaningful
/// values.
pub fn run_pass(
    shape: PassDims,
    segments: [&[u8]; PORTS],
    x: &[f32],
    y: &mut [f32],
) -> Result<(), GoldenError> {
    check(shape, &segments, x, y)?;
    let acts: Vec<f32> = x.iter().map(|&a| fp::flush(a)).collect();
    let tile_row_bytes = MACRO_BYTES * shape.groups;
    let tile_dot = select_tile_dot(cannot_underflow(&acts));

    let first_bad = y
        .par_chunks_mut(ROW_CHANNELS)
        .enumerate()
        // Sharing out costs about a microsecond; a piece is at least some 64 KiB of weights.
        .with_min_len((16_384 / tile_row_bytes).max(1))
        .filter_map(|(row, results)| {
            let bytes = row * tile_row_bytes..(row + 1) * tile_row_bytes;
            let mut first_bad: Option<(usize, usize)> = None;
            for (port, segment) in segments.iter().enumerate() {
                match tile_dot(&segment[bytes.clone()], &acts) {
                    Ok(tile) => results[TILE * port..][..TILE].copy_from_slice(&tile),
                    Err(group) => {
                        let bad = (row * shape.groups + group, port);
                        first_bad = Some(first_bad.map_or(bad, |first| first.min(bad)));
                    }
                }
            }
            first_bad
        })
        .min();

    match first_bad {
        None => Ok(()),
        Some((macro_index, port)) => Err(GoldenError::ReservedBits { port, macro_index }),
    }
}

fn check(
    shape: PassDims,
    segments: &[&[u8]; PORTS],
    x: &[f32],
    y: &[f32],
) -> Result<(), GoldenError> {
    let PassDims { groups, tile_rows } = shape;
    if groups == 0 || tile_rows == 0 {
        return Err(GoldenError::EmptyPass { groups, tile_rows });
    }
    let expected = shape.segment_bytes();
    for (port, segment) in segments.iter().enumerate() {
        if segment.len() != expected {
            return Err(GoldenError::SegmentLength {
                port,
                expected,
                got: segment.len(),
            });
        }
    }
    if x.len() != shape.inputs() {
        return Err(GoldenError::ActivationLength {
            expected: shape.inputs(),
            got: x.len(),
        });
    }
    if y.len() != shape.outputs() {
        return Err(GoldenError::ResultLength {
            expected: shape.outputs(),
            got: y.len(),
        });
    }
    Ok(())
}

/// One tile: the bytes of its macros in rising order of group, and flushed activations; `Err` is
/// the first group whose reserved bits are set.
type TileDot = fn(&[u8], &[f32]) -> Result<Lanes, usize>;

/// Whether no product and no sum of a pass with these activations can be subnormal, whatever its weights.
///
/// Let every activation be zero or at least 2^-76. A scale is zero or at least 2^-24 (the smallest
/// FP16), so rn(a × s) is zero or at least 2^-100, and so is its product with an integer. A number of at
/// least 2^-100 is a multiple of 2^-123. Sums of such multiples are multiples again, also after
/// rounding, which only drops lower bits: they are zero or at least 2^-123, never below 2^-126.
/// Infinities stay what they are; a NaN among the activations is left to the careful form.
fn cannot_underflow(acts: &[f32]) -> bool {
    const SMALLEST: f32 = f32::from_bits((127 - 76) << 23);
    acts.iter().all(|a| *a == 0.0 || a.abs() >= SMALLEST)
}

/// The widest form that this processor runs, without flushing where `plain`. All forms are one source
/// and give the same bits: none of them reorders an addition or fuses a multiplication.
fn select_tile_dot(plain: bool) -> TileDot {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        return match plain {
            true => |macros, x| {
                // SAFETY: the only requirement is AVX2, and the processor was just asked for it.
                unsafe { tile_dot_avx2::<false>(macros, x) }
            },
            false => |macros, x| {
                // SAFETY: as above.
                unsafe { tile_dot_avx2::<true>(macros, x) }
            },
        };
    }
    match plain {
        true => tile_dot::<false>,
        false => tile_dot::<true>,
    }
}

/// [`tile_dot`] compiled for 256-bit vectors: eight output channels in one register.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn tile_dot_avx2<const FLUSH: bool>(macros: &[u8], x: &[f32]) -> Result<Lanes, usize> {
    tile_dot::<FLUSH>(macros, x)
}

/// One value an output channel.
type Lanes = [f32; TILE];

// What follows is inlined whole into each form above: a closure or a function of its own would be
// compiled for the processor's base features and passed arrays through memory.

/// [`fp::flush`], where it is needed.
#[inline(always)]
fn flush<const FLUSH: bool>(x: f32) -> f32 {
    if FLUSH { fp::flush(x) } else { x }
}

#[inline(always)]
fn add<const FLUSH: bool>(a: Lanes, b: Lanes) -> Lanes {
    let mut sum = [0.0; TILE];
    for c in 0..TILE {
        sum[c] = flush::<FLUSH>(a[c] + b[c]);
    }
    sum
}

/// The products of input channel `k` of the group.
#[inline(always)]
fn product<const FLUSH: bool>(
    block: &[u8; MACRO_BYTES],
    head: &Header,
    acts: &[f32; GROUP],
    k: usize,
) -> Lanes {
    let word = macro_block::weights(block, k);
    let mut product = [0.0; TILE];
    for (c, lane) in product.iter_mut().enumerate() {
        let scaled = flush::<FLUSH>(acts[k] * head.scale[c]);
        *lane = flush::<FLUSH>(scaled * (macro_block::nibble(word, c) - head.zero[c]) as f32);
    }
    product
}

/// Levels 1 and 2 of the tree over the four input channels from `k` on: "lo" or "hi" of a step.
#[inline(always)]
fn half<const FLUSH: bool>(
    block: &[u8; MACRO_BYTES],
    head: &Header,
    acts: &[f32; GROUP],
    k: usize,
) -> Lanes {
    let low = add::<FLUSH>(
        product::<FLUSH>(block, head, acts, k),
        product::<FLUSH>(block, head, acts, k + 1),
    );
    let high = add::<FLUSH>(
        product::<FLUSH>(block, head, acts, k + 2),
        product::<FLUSH>(block, head, acts, k + 3),
    );
    add::<FLUSH>(low, high)
}

/// Levels 1 to 3 over the eight input channels from `k` on: a step.
#[inline(always)]
fn step<const FLUSH: bool>(
    block: &[u8; MACRO_BYTES],
    head: &Header,
    acts: &[f32; GROUP],
    k: usize,
) -> Lanes {
    let low = half::<FLUSH>(block, head, acts, k);
    add::<FLUSH>(low, half::<FLUSH>(block, head, acts, k + 4))
}

#[inline(always)]
fn tile_dot<const FLUSH: bool>(macros: &[u8], x: &[f32]) -> Result<Lanes, usize> {
    let mut window = [[0.0; TILE]; 2];
    let blocks = macros.chunks_exact(MACRO_BYTES).zip(x.chunks_exact(GROUP));
    for (group, (block, acts)) in blocks.enumerate() {
        let block: &[u8; MACRO_BYTES] = block.try_into().expect("a chunk of MACRO_BYTES");
        let acts: &[f32; GROUP] = acts.try_into().expect("a chunk of GROUP");
        let Ok(head) = macro_block::header(block) else {
            return Err(group);
        };
        // A pair of steps, so that the window's two places need no index.
        for pair in 0..GROUP / 16 {
            let k = 16 * pair;
            let even = step::<FLUSH>(block, &head, acts, k);
            let odd = step::<FLUSH>(block, &head, acts, k + 8);
            if group == 0 && pair == 0 {
                window = [even, odd];
            } else {
                window = [add::<FLUSH>(window[0], even), add::<FLUSH>(window[1], odd)];
            }
        }
    }
    Ok(add::<FLUSH>(window[0], window[1]).map(fp::canonical))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// At the border of [`cannot_underflow`], with the smallest scales and sums that cancel, the form
    /// without flushing gives the bits of the careful one.
    #[test]
    fn what_cannot_underflow_is_the_same_without_flushing() {
        let mut seed = 1u32;
        let mut random = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            seed >> 8
        };
        for round in 0..200 {
            let mut macros = vec![0u8; 2 * MACRO_BYTES];
            for block in macros.chunks_exact_mut(MACRO_BYTES) {
                block.fill_with(|| random() as u8);
                block[20..32].fill(0);
                for c in 0..TILE {
                    // Subnormal FP16, the smallest one among them.
                    let scale = 1 + (random() % if round % 2 == 0 { 1 } else { 40 }) as u16;
                    block[2 * c..][..2].copy_from_slice(&scale.to_le_bytes());
                }
            }
            let x: Vec<f32> = (0..2 * GROUP)
                .map(|_| match random() % 4 {
                    0 => 0.0,
                    r => {
                        let bits = ((127 - 76) << 23) + (random() & 0xFF_FFFF) * (r & 1);
                        f32::from_bits(bits | (random() & 1) << 31)
                    }
                })
                .collect();
            assert!(cannot_underflow(&x));
            let bits = |form: TileDot| form(&macros, &x).unwrap().map(f32::to_bits);
            assert_eq!(bits(tile_dot::<false>), bits(tile_dot::<true>));
            assert_eq!(bits(select_tile_dot(true)), bits(tile_dot::<true>));
        }
        let below = f32::from_bits(((127 - 76) << 23) - 1);
        for careful in [below, -below, f32::NAN] {
            assert!(!cannot_underflow(&[1.0, careful]));
        }
    }
}
