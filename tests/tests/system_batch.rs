//! The `kv260` profile on the simulated board, by the driver's queue code: several vectors a pass, two steps in flight, both weight
//! formats; every bit is golden's.

mod system_support;

use macromac_board::inject::{Direction, Effect, Injection, When};
use macromac_board::{Board, BoardConfig};
use macromac_driver::{Accelerator, Device, DeviceFault, DriverError, PassWeights, Profile};
use macromac_format::Packing;
use macromac_golden::group::{Format, GroupDims, run_pass};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use system_support::{Matrix, compare, fault};

/// A matrix in one of the two formats.
struct Packed {
    matrix: Matrix,
    packing: Packing,
    segments: [Vec<u8>; 4],
}

impl Packed {
    fn random(n: usize, k: usize, packing: Packing, seed: u64) -> Self {
        let matrix = Matrix::random(n, k, seed);
        let groups = matrix.dims.groups;
        let segments = std::array::from_fn(|port| packing.pack(&matrix.segments[port], groups));
        Self {
            matrix,
            packing,
            segments,
        }
    }

    fn weights(&self) -> PassWeights<'_> {
        PassWeights {
            shape: self.matrix.shape,
            packing: self.packing,
            segments: std::array::from_fn(|port| &self.segments[port][..]),
        }
    }

    /// What the device must give for vectors that lie one behind the other.
    fn golden(&self, x: &[f32]) -> Vec<f32> {
        let (shape, dims) = (self.matrix.shape, self.matrix.dims);
        let format = match self.packing {
            Packing::Single => Format::One,
            Packing::Quad => Format::Two,
        };
        let dims = GroupDims {
            format,
            ..dims.into()
        };
        let segments = std::array::from_fn(|port| &self.segments[port][..]);
        x.chunks_exact(shape.k)
            .flat_map(|x| {
                let mut padded = x.to_vec();
                padded.resize(64 * dims.groups, 0.0);
                let mut y = vec![0.0; 32 * dims.tile_rows];
                run_pass(dims, segments, 1, &padded, &mut y).expect("golden");
                y.truncate(shape.n);
                y
            })
            .collect()
    }

    fn inputs(&self, vectors: usize, seed: u64) -> Vec<f32> {
        (0..vectors)
            .flat_map(|v| self.matrix.input(seed + 1000 * v as u64))
            .collect()
    }
}

fn config(memory: u64, batch: u32) -> BoardConfig {
    let config = match memory {
        0 => BoardConfig::ideal(),
        1 => BoardConfig::typical(5),
        seed => BoardConfig::random(seed),
    };
    BoardConfig {
        batch,
        dma_bytes: 1 << 26,
        ..config.with_profile(Profile::Kv260)
    }
}

fn device(config: BoardConfig, matrices: &[Packed]) -> Device<Board> {
    let weights: Vec<_> = matrices.iter().map(Packed::weights).collect();
    Device::new(Board::new(config).expect("board"), &weights).expect("device")
}

fn matrices() -> Vec<Packed> {
    [(1, 1), (96, 256), (40, 100), (64, 1024), (300, 192)]
        .into_iter()
        .enumerate()
        .map(|(at, (n, k))| Packed::random(n, k, Packing::ALL[at % 2], at as u64))
        .collect()
}

/// Rounds of a program in which each step has as many vectors as chance gives it, one step ahead of the results.
fn rounds(device: &mut Device<Board>, matrices: &[Packed], vectors: usize, seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let program = [0, 1, 2, 3, 4, 1, 4];
    device.set_program(&program, vectors).unwrap();
    let mut flight = None;
    for step in 0..2 * program.len() {
        let packed = &matrices[program[step % program.len()]];
        let given = rng.random_range(1..=vectors);
        let x = packed.inputs(given, seed + step as u64);
        let ticket = device.submit(&x).unwrap();
        check(device, flight.replace((ticket, packed, x)));
    }
    check(device, flight);
}

/// Waits for a step and compares all of its vectors.
fn check(device: &mut Device<Board>, step: Option<(macromac_driver::Ticket, &Packed, Vec<f32>)>) {
    let Some((ticket, packed, x)) = step else {
        return;
    };
    let golden = packed.golden(&x);
    let mut y = vec![0.0; golden.len()];
    device
        .finish(ticket, packed.matrix.shape.n, &mut y)
        .unwrap();
    compare(&y, &golden, 0);
}

#[test]
fn several_vectors_equal_golden() {
    let matrices = matrices();
    for (batch, memories) in [(8, 0..4), (1, 1..3), (16, 1..3)] {
        for memory in memories {
            let mut device = device(config(memory, batch), &matrices);
            assert_eq!(device.batch(), batch as usize);
            // Less than the batch, one, and all of it, on the same device.
            for vectors in [batch.div_ceil(2), 1, batch] {
                rounds(
                    &mut device,
                    &matrices,
                    vectors as usize,
                    7 + u64::from(vectors),
                );
            }
        }
    }
}

#[test]
fn a_single_vector_costs_its_strips() {
    let matrices = [Packed::random(256, 896, Packing::Quad, 3)];
    let mut device = device(config(0, 8), &matrices);
    device.set_program(&[0], 1).unwrap();
    let x = matrices[0].inputs(1, 5);
    let mut y = vec![0.0; 256];
    for _ in 0..3 {
        device.run_step(&x, &mut y).unwrap();
        compare(&y, &matrices[0].golden(&x), 0);
    }
    let counters = device.counters().unwrap().unwrap();
    let strips = Packing::Quad.tile_strips(14) as u64 * 8;
    assert_eq!(counters.strips, [3 * strips; 4]);
    assert_eq!(counters.stream_cycles, 3 * strips);
}

#[test]
fn what_the_profile_does_not_have_is_refused() {
    let batch = BoardConfig {
        batch: 5,
        ..BoardConfig::ideal().with_profile(Profile::Kv260)
    };
    assert!(matches!(Board::new(batch), Err(DriverError::Capability(_))));
    let matrices = [Packed::random(64, 64, Packing::Quad, 1)];
    let weights: Vec<_> = matrices.iter().map(Packed::weights).collect();
    // Format 2 is not for paper.
    let paper = Board::new(BoardConfig::ideal()).unwrap();
    let refused = Device::new(paper, &weights).and_then(|mut device| device.set_program(&[0], 1));
    assert!(refused.is_err());
    let mut device = device(config(0, 8), &matrices);
    assert!(device.set_program(&[0], 9).is_err());
    assert!(device.set_program(&[0], 0).is_err());
    device.set_program(&[0], 8).unwrap();
}

#[test]
fn faults_and_back() {
    let matrices = matrices();
    let mut device = device(config(1, 8), &matrices);
    for round in 0..4u64 {
        let port = round as usize;
        device.platform_mut().injector().add(Injection {
            port,
            direction: Direction::Read,
            when: When::Burst(3),
            effect: Effect::SlaveError,
        });
        let failed = (|| -> Result<(), DriverError> {
            device.set_program(&[1, 3, 4], 5)?;
            for (step, at) in [1, 3, 4].into_iter().enumerate() {
                let x = matrices[at].inputs(5, round + step as u64);
                let ticket = device.submit(&x)?;
                let mut y = vec![0.0; 5 * matrices[at].matrix.shape.n];
                device.finish(ticket, matrices[at].matrix.shape.n, &mut y)?;
            }
            Ok(())
        })();
        let (cause, _) = fault(failed);
        assert!(
            matches!(cause, DeviceFault::BusRead { port: found, .. } if usize::from(found) == port),
            "{cause:?}"
        );
        device.platform_mut().injector().clear();
        device.reset().unwrap();
        rounds(&mut device, &matrices, 3, round);
    }
}
