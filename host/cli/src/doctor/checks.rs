//! The checks; each gives a remark, or what is wrong.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use macromac_driver::{
    Accelerator, BufferId, BufferUse, Device, DriverError, LinuxPlatform, Platform, SegmentRef,
    Step,
};
use macromac_format::Packing;

use super::matrix::{Matrix, ROW, compare};

const LAUNCHES: usize = 200;

type Board = Device<LinuxPlatform>;

pub fn product(device: &mut Board, matrix: &Matrix) -> Result<String> {
    device.set_program(&[0], 1)?;
    let mut y = vec![0.0; matrix.shape.n];
    for seed in 0..3 {
        let (x, expected) = matrix.question(seed);
        device.run_step(&x, &mut y)?;
        compare(&expected, &y)?;
    }
    Ok(String::new())
}

pub fn rows(device: &mut Board, matrix: &Matrix) -> Result<String> {
    device.set_program(&[0], 1)?;
    let (x, expected) = matrix.question(5);
    let ticket = device.submit(&x)?;
    let first = device.wait_rows(ticket, ROW)?;
    ensure!(first >= ROW, "waited for {ROW} rows, {first} are finished");
    let mut y = vec![0.0; first];
    device.read_rows(ticket, 0, 0, &mut y)?;
    compare(&expected[..first], &y)?;
    let mut y = vec![0.0; matrix.shape.n];
    device.finish(ticket, matrix.shape.n, &mut y)?;
    compare(&expected, &y)?;
    Ok(format!("{first} of {} were there first", matrix.shape.n))
}

pub fn in_flight(device: &mut Board, matrices: [&Matrix; 2]) -> Result<String> {
    device.set_program(&[0, 1], 1)?;
    for seed in 0..4 {
        let questions = matrices.map(|matrix| matrix.question(seed));
        let first = device.submit(&questions[0].0)?;
        let second = device.submit(&questions[1].0)?;
        for (ticket, (_, expected)) in [first, second].into_iter().zip(&questions) {
            let mut y = vec![0.0; expected.len()];
            device.finish(ticket, expected.len(), &mut y)?;
            compare(expected, &y)?;
        }
    }
    Ok(String::new())
}

pub fn vectors(device: &mut Board, matrix: &Matrix) -> Result<String> {
    let batch = device.batch();
    device.set_program(&[0], batch)?;
    let questions: Vec<_> = (0..batch).map(|seed| matrix.question(seed + 1)).collect();
    let x: Vec<f32> = questions.iter().flat_map(|(x, _)| x.clone()).collect();
    let expected: Vec<f32> = questions.iter().flat_map(|(_, y)| y.clone()).collect();
    let ticket = device.submit(&x)?;
    let mut y = vec![0.0; expected.len()];
    device.finish(ticket, matrix.shape.n, &mut y)?;
    compare(&expected, &y)?;
    Ok(format!("{batch} vectors"))
}

/// What a step costs from handing over its activations to having its results.
#[derive(Clone)]
pub struct Costs {
    pub median: Duration,
    pub least: Duration,
    pub waits: u64,
    pub syncs: u64,
}

impl std::fmt::Display for Costs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            median,
            least,
            waits,
            syncs,
        } = self;
        write!(
            f,
            "median {median:.1?}, least {least:.1?}; of {LAUNCHES} steps {waits} slept in the kernel, {syncs} calls were for caches"
        )
    }
}

pub fn launch(device: &mut Board, matrix: &Matrix) -> Result<Costs> {
    device.set_program(&[1], 1)?;
    let (x, expected) = matrix.question(2);
    let mut y = vec![0.0; matrix.shape.n];
    let mut times = Vec::with_capacity(LAUNCHES);
    for _ in 0..LAUNCHES {
        let begun = Instant::now();
        device.run_step(&x, &mut y)?;
        times.push(begun.elapsed());
    }
    compare(&expected, &y)?;
    times.sort_unstable();
    let calls = device.platform().system_calls();
    ensure!(
        calls.others == 0,
        "{} system calls that were neither to wait nor for caches",
        calls.others
    );
    Ok(Costs {
        median: times[LAUNCHES / 2],
        least: times[0],
        waits: calls.waits,
        syncs: calls.syncs,
    })
}

/// The weights of the first pass are the platform's first buffer.
pub fn used(device: &mut Board) -> Result<String> {
    device.set_program(&[0, 1], 1)?;
    match device.platform_mut().free(BufferId(1)) {
        Err(DriverError::BadBuffer { reason, .. }) if reason.contains("uses it") => Ok(reason),
        other => bail!("expected a refusal, found {other:?}"),
    }
}

pub fn outside(device: &mut Board) -> Result<String> {
    let platform = device.platform_mut();
    let kinds = [
        BufferUse::Weights,
        BufferUse::Activations,
        BufferUse::Results,
    ];
    let mut buffers = [BufferId(0); 3];
    for (buffer, usage) in buffers.iter_mut().zip(kinds) {
        *buffer = platform.alloc(4096, usage)?;
    }
    let [weights, activations, results] = buffers.map(|buffer| SegmentRef { buffer, offset: 0 });
    let step = Step {
        groups: 1,
        tile_rows: 33,
        report_tile_rows: 0,
        vectors: 1,
        packing: Packing::Single,
        weights: [weights; 4],
        activations,
        results,
    };
    let refused = platform.load_program(&[step]);
    for buffer in buffers {
        platform.free(buffer)?;
    }
    match refused {
        Err(DriverError::BadStep { step: 0, reason })
            if reason.contains("are outside of buffer") =>
        {
            Ok(reason)
        }
        other => bail!("expected a refused step, found {other:?}"),
    }
}

pub fn too_large(device: &mut Board) -> Result<String> {
    match device.platform_mut().alloc(1 << 40, BufferUse::Weights) {
        Err(error @ DriverError::OutOfMemory { .. }) => Ok(error.to_string()),
        other => bail!("expected a refusal, found {other:?}"),
    }
}

pub fn reset(device: &mut Board, matrix: &Matrix) -> Result<String> {
    let (x, expected) = matrix.question(9);
    device.set_program(&[1], 1)?;
    device.reset()?;
    match device.submit(&x) {
        Err(DriverError::Sequence(_)) => {}
        other => bail!("expected that no program is loaded, found {other:?}"),
    }
    device.set_program(&[1], 1)?;
    let mut y = vec![0.0; matrix.shape.n];
    device.run_step(&x, &mut y)?;
    compare(&expected, &y)?;
    Ok(String::new())
}
