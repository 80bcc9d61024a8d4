//! A product whose result is known.

use anyhow::{Result, bail};
use macromac_driver::{PassShape, PassWeights};
use macromac_format::{GROUP, MACRO_BYTES, PORTS, Packing, TILE};

/// Output channels of a tile row.
pub const ROW: usize = TILE * PORTS;

/// A matrix whose products are exact in every arithmetic: weight c + p for channel c of port p's tiles, scale 1, zero 0.
pub struct Matrix {
    /// Its real shape.
    pub shape: PassShape,
    segments: [Vec<u8>; PORTS],
}

impl Matrix {
    /// Of so many tile rows and groups.
    pub fn new((tile_rows, groups): (usize, usize)) -> Self {
        let segments = std::array::from_fn(|port| {
            let word: u32 = (0..TILE).map(|c| ((c + port) as u32) << (4 * c)).sum();
            let mut block = [0; MACRO_BYTES];
            for scale in block[..16].chunks_exact_mut(2) {
                scale.copy_from_slice(&0x3C00u16.to_le_bytes());
            }
            for input in block[32..].chunks_exact_mut(4) {
                input.copy_from_slice(&word.to_le_bytes());
            }
            block.repeat(tile_rows * groups)
        });
        let shape = PassShape {
            n: tile_rows * ROW,
            k: groups * GROUP,
        };
        Self { shape, segments }
    }

    /// For the driver.
    pub fn pass(&self) -> PassWeights<'_> {
        PassWeights {
            shape: self.shape,
            packing: Packing::Single,
            segments: self.segments.each_ref().map(Vec::as_slice),
        }
    }

    /// Small integers, and what comes of them.
    pub fn question(&self, seed: usize) -> (Vec<f32>, Vec<f32>) {
        let x: Vec<f32> = (0..self.shape.k)
            .map(|k| ((k * 7 + seed) % 13) as f32)
            .collect();
        let sum: f32 = x.iter().sum();
        let y = (0..self.shape.n).map(|n| (n % TILE + n / TILE % PORTS) as f32 * sum);
        (x, y.collect())
    }
}

/// The first row that is not what it should be.
pub fn compare(expected: &[f32], found: &[f32]) -> Result<()> {
    let wrong = expected
        .iter()
        .zip(found)
        .position(|(e, f)| e.to_bits() != f.to_bits());
    match wrong {
        None => Ok(()),
        Some(row) => bail!(
            "row {row}: expected {}, found {}",
            expected[row],
            found[row]
        ),
    }
}
