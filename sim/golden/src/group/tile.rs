//! One output-channel tile for several vectors, formula by formula.
//!
//! Scalar and slow on purpose: a unit testbench compares with this, and so do the tests of
//! [`super::run_pass`]'s vectorized form.

use super::view::{Format, View};
use super::{Group, convert, term};
use crate::fp::{self, NAN_BITS};
use crate::macro_block::{self, GROUP, ReservedBits, TILE};

/// A vector as the unit takes it: block floating point, and whether it holds an infinity or a NaN.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Vector {
    /// Groups in rising order.
    pub groups: Vec<Group>,
    /// Every result is NaN.
    pub nan: bool,
}

impl Vector {
    /// Converts FP32 activations, 64 a group.
    ///
    /// # Panics
    /// If `x` is not whole groups.
    pub fn new(x: &[f32]) -> Self {
        assert_eq!(x.len() % GROUP, 0, "activations come in groups of {GROUP}");
        let groups: Vec<Group> = x
            .chunks_exact(GROUP)
            .map(|acts| convert(acts.try_into().expect("a chunk of GROUP")))
            .collect();
        let nan = groups.iter().any(|group| !group.is_finite());
        Vector { groups, nan }
    }
}

/// The eight results of a tile for each vector.
///
/// `bytes`: the tile in `format`; every vector has the tile's number of groups.
///
/// # Errors
/// The first group with reserved bits set in its zeros strip (in format 2: the first group of its quad).
///
/// # Panics
/// If the vectors differ in length, or `bytes` does not hold their number of groups.
pub fn tile(format: Format, bytes: &[u8], vectors: &[Vector]) -> Result<Vec<[f32; TILE]>, usize> {
    let groups = vectors.first().map_or(0, |v| v.groups.len());
    let view = View::new(format, bytes, groups);
    let mut results = vec![[0.0; TILE]; vectors.len()];
    for g in 0..groups {
        let block = view.group(g).map_err(|ReservedBits| g)?;
        for (vector, acc) in vectors.iter().zip(&mut results) {
            assert_eq!(vector.groups.len(), groups, "groups of a vector");
            let Group { exponent, m } = vector.groups[g];
            for (c, acc) in acc.iter_mut().enumerate() {
                let weight =
                    |k| macro_block::nibble(block.word(k), c) - macro_block::nibble(block.zeros, c);
                let sum: i32 = (0..GROUP).map(|k| weight(k) * i32::from(m[k])).sum();
                *acc = fp::add(*acc, term(sum, block.scales[c], exponent));
            }
        }
    }
    for (vector, y) in vectors.iter().zip(&mut results) {
        if vector.nan {
            *y = [f32::from_bits(NAN_BITS); TILE];
        }
    }
    Ok(results)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The worked example of docs/arithmetic.md.
    #[test]
    fn worked_example() {
        let mut bytes = [0u8; 288];
        for c in 0..TILE {
            bytes[2 * c..][..2].copy_from_slice(&0x3800u16.to_le_bytes());
        }
        bytes[16..20].fill(0x11);
        for k in 0..GROUP {
            bytes[32 + 4 * k..][..4].fill(0x11 * (k % 4) as u8);
        }
        let mut x = [1.0; GROUP];
        x[0] = 3.0;
        let y = tile(Format::One, &bytes, &[Vector::new(&x)]).unwrap();
        // E = 128: 3 becomes 24576, 1 becomes 8192; S = 64/4 x 2 x 8192 - 2 x 8192.
        assert_eq!(y, [[15.0; TILE]]);
    }
}
