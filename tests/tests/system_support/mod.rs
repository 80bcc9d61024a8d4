//! What the system tests share: random matrices, golden results, a device on a simulated board.
#![allow(dead_code)] // Each test binary uses its part.

pub mod rig;

use macromac_board::{Board, BoardConfig};
use macromac_driver::{Accelerator, Device, DriverError, PassShape, PassWeights};
use macromac_format::Packing;
use macromac_golden::{PassDims, run_pass};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A matrix in the layout of the device, without the packer: random blocks are enough here.
pub struct Matrix {
    pub shape: PassShape,
    pub dims: PassDims,
    pub segments: [Vec<u8>; 4],
}

impl Matrix {
    /// Random scales, zeros and weights; also in the padding, so that a padded input that is not zero would show.
    pub fn random(n: usize, k: usize, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let dims = PassDims {
            groups: k.div_ceil(64),
            tile_rows: n.div_ceil(32),
        };
        let segments = std::array::from_fn(|_| {
            (0..dims.groups * dims.tile_rows)
                .flat_map(|_| random_macro(&mut rng))
                .collect()
        });
        Self {
            shape: PassShape { n, k },
            dims,
            segments,
        }
    }

    pub fn weights(&self) -> PassWeights<'_> {
        PassWeights {
            shape: self.shape,
            packing: Packing::Single,
            segments: std::array::from_fn(|port| &self.segments[port][..]),
        }
    }

    /// Random activations, some of them zero, subnormal or large.
    pub fn input(&self, seed: u64) -> Vec<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        (0..self.shape.k)
            .map(|_| match rng.random_range(0..50) {
                0 => 0.0,
                1 => f32::from_bits(rng.random_range(1..0x80_0000)),
                2 => rng.random_range(-1e6..1e6),
                _ => rng.random_range(-2.0..2.0),
            })
            .collect()
    }

    /// What the device must give for `x`, to the bit.
    pub fn golden(&self, x: &[f32]) -> Vec<f32> {
        let mut padded = x.to_vec();
        padded.resize(self.dims.inputs(), 0.0);
        let mut y = vec![0.0; self.dims.outputs()];
        let segments = std::array::from_fn(|port| &self.segments[port][..]);
        run_pass(self.dims, segments, &padded, &mut y).expect("golden");
        y.truncate(self.shape.n);
        y
    }
}

fn random_macro(rng: &mut ChaCha8Rng) -> [u8; 288] {
    let mut block = [0; 288];
    rng.fill(&mut block[..]);
    for channel in 0..8 {
        let scale = half::f16::from_f32(rng.random_range(-0.05..0.05));
        block[2 * channel..2 * channel + 2].copy_from_slice(&scale.to_le_bytes());
    }
    block[20..32].fill(0);
    block
}

/// A board with these matrices uploaded.
pub fn device(config: BoardConfig, matrices: &[Matrix]) -> Device<Board> {
    let weights: Vec<_> = matrices.iter().map(Matrix::weights).collect();
    Device::new(Board::new(config).expect("board"), &weights).expect("device")
}

/// One step, compared bit for bit.
pub fn check_step(
    device: &mut Device<Board>,
    matrix: &Matrix,
    seed: u64,
) -> Result<(), DriverError> {
    let x = matrix.input(seed);
    let mut y = vec![0.0; matrix.shape.n];
    device.run_step(&x, &mut y)?;
    compare(&y, &matrix.golden(&x), 0);
    Ok(())
}

/// Bits of results `first ..`.
pub fn compare(got: &[f32], expected: &[f32], first: usize) {
    for (row, (got, expected)) in got.iter().zip(expected).enumerate() {
        assert_eq!(
            got.to_bits(),
            expected.to_bits(),
            "row {}: rtl {got:e}, golden {expected:e}",
            first + row
        );
    }
}

/// The fault of an error, or a panic that says what came instead.
pub fn fault<T: std::fmt::Debug>(
    result: Result<T, DriverError>,
) -> (macromac_driver::DeviceFault, u32) {
    match result {
        Err(DriverError::Fault { fault, step }) => (fault, step),
        other => panic!("expected a fault of the device, got {other:?}"),
    }
}

/// Where a random test starts: printed, and replaced by `MACROMAC_SEED`.
pub fn seed(name: &str) -> u64 {
    let seed = macromac_rtl::seed_of(name);
    println!("{name}: seed {seed} (replay: MACROMAC_SEED={seed})");
    seed
}
