//! `macromac doctor`: is the accelerator there, does it compute, and what does a step cost?

use std::path::PathBuf;

/// What `doctor` looks at.
#[derive(clap::Args)]
pub struct DoctorArgs {
    /// Device file
    #[arg(long, value_name = "FILE", default_value = "/dev/macromac0")]
    device: PathBuf,
    /// Print TAP, for test programs
    #[arg(long)]
    tap: bool,
}

/// The kernel module is for Linux.
#[cfg(not(target_os = "linux"))]
pub fn doctor(_args: &DoctorArgs) -> anyhow::Result<()> {
    anyhow::bail!("doctor: expected Linux with the kernel module macromac")
}

#[cfg(target_os = "linux")]
pub use on_linux::doctor;

#[cfg(target_os = "linux")]
mod on_linux {
    use std::time::{Duration, Instant};

    use anyhow::{Result, bail, ensure};
    use macromac_driver::{
        Accelerator, BufferId, BufferUse, Device, DriverError, LinuxPlatform, PassShape,
        PassWeights, Platform, SegmentRef, Step,
    };
    use macromac_format::{GROUP, MACRO_BYTES, PORTS, Packing, TILE};

    use super::DoctorArgs;
    use crate::output;

    /// Tile rows and groups of the matrices that are multiplied: one that reports its progress, one as small as can be.
    const LARGE: (usize, usize) = (40, 3);
    const SMALL: (usize, usize) = (1, 1);
    const ROW: usize = TILE * PORTS;
    const LAUNCHES: usize = 200;
    /// A simulated device is slow.
    const PATIENCE: Duration = Duration::from_secs(60);

    type Board = Device<LinuxPlatform>;

    /// A matrix whose products are exact in every arithmetic: weight c + p for channel c of port p's tiles, scale 1, zero 0.
    struct Matrix {
        shape: PassShape,
        segments: [Vec<u8>; PORTS],
    }

    impl Matrix {
        fn new((tile_rows, groups): (usize, usize)) -> Self {
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

        fn pass(&self) -> PassWeights<'_> {
            PassWeights {
                shape: self.shape,
                packing: Packing::Single,
                segments: self.segments.each_ref().map(Vec::as_slice),
            }
        }

        /// Small integers, and what comes of them.
        fn question(&self, seed: usize) -> (Vec<f32>, Vec<f32>) {
            let x: Vec<f32> = (0..self.shape.k)
                .map(|k| ((k * 7 + seed) % 13) as f32)
                .collect();
            let sum: f32 = x.iter().sum();
            let y = (0..self.shape.n).map(|n| (n % TILE + n / TILE % PORTS) as f32 * sum);
            (x, y.collect())
        }
    }

    fn compare(expected: &[f32], found: &[f32]) -> Result<()> {
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

    /// Prints results and counts them.
    struct Report {
        tap: bool,
        checks: usize,
        failed: usize,
    }

    impl Report {
        fn check(&mut self, name: &str, result: Result<String>) -> Result<()> {
            self.checks += 1;
            let (good, remark) = match result {
                Ok(remark) => (true, remark),
                Err(error) => (false, format!("{error:#}")),
            };
            self.failed += usize::from(!good);
            let colon = if remark.is_empty() { "" } else { ": " };
            let line = match (self.tap, good) {
                (true, true) => format!("# {remark}\nok {} - {name}\n", self.checks),
                (true, false) => format!("# {remark}\nnot ok {} - {name}\n", self.checks),
                (false, true) => format!("ok      {name}{colon}{remark}\n"),
                (false, false) => format!("FAILED  {name}{colon}{remark}\n"),
            };
            Ok(output::print(&line)?)
        }
    }

    /// Looks at everything that can be looked at without a model.
    pub fn doctor(args: &DoctorArgs) -> Result<()> {
        let mut report = Report {
            tap: args.tap,
            checks: 0,
            failed: 0,
        };
        let platform = LinuxPlatform::open(&args.device)?;
        let caps = platform.capabilities();
        let caches = if platform.coherent() {
            "coherent"
        } else {
            "not coherent"
        };
        let facts = format!(
            "{}, {} vectors a pass, configuration {:08x}, {caches}",
            caps.profile.name(),
            caps.batch,
            caps.config_hash
        );
        report.check("the device answers", Ok(facts))?;
        let matrices = [Matrix::new(LARGE), Matrix::new(SMALL)];
        let passes: Vec<_> = matrices.iter().map(Matrix::pass).collect();
        let mut device = Device::new(platform, &passes)?;
        device.set_patience(PATIENCE);
        let [large, small] = &matrices;
        report.check("a product is right", product(&mut device, large))?;
        report.check(
            "rows are reported while a step runs",
            rows(&mut device, large),
        )?;
        report.check(
            "two steps may be in flight",
            in_flight(&mut device, [large, small]),
        )?;
        report.check(
            "all vectors of a pass are right",
            vectors(&mut device, large),
        )?;
        let launches = launch(&mut device, small);
        let costs = launches.as_ref().ok().cloned();
        report.check(
            "a small step costs little",
            launches.map(|costs| costs.to_string()),
        )?;
        report.check("a buffer in use stays", used(&mut device))?;
        report.check(
            "a step outside of its buffers is refused",
            outside(&mut device),
        )?;
        report.check(
            "a buffer that does not fit is refused",
            too_large(&mut device),
        )?;
        report.check(
            "a reset forgets the program, not the buffers",
            reset(&mut device, small),
        )?;
        if let (true, Some(costs)) = (args.tap, costs) {
            output::print(&format!(
                "# number launch_us_median {:.1}\n# number launch_us_least {:.1}\n# number launch_waits {}\n1..{}\n",
                costs.median.as_secs_f64() * 1e6,
                costs.least.as_secs_f64() * 1e6,
                costs.waits,
                report.checks
            ))?;
        }
        ensure!(
            report.failed == 0,
            "{} of {} checks failed",
            report.failed,
            report.checks
        );
        Ok(())
    }

    fn product(device: &mut Board, matrix: &Matrix) -> Result<String> {
        device.set_program(&[0], 1)?;
        let mut y = vec![0.0; matrix.shape.n];
        for seed in 0..3 {
            let (x, expected) = matrix.question(seed);
            device.run_step(&x, &mut y)?;
            compare(&expected, &y)?;
        }
        Ok(String::new())
    }

    fn rows(device: &mut Board, matrix: &Matrix) -> Result<String> {
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

    fn in_flight(device: &mut Board, matrices: [&Matrix; 2]) -> Result<String> {
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

    fn vectors(device: &mut Board, matrix: &Matrix) -> Result<String> {
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
    struct Costs {
        median: Duration,
        least: Duration,
        waits: u64,
        syncs: u64,
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

    fn launch(device: &mut Board, matrix: &Matrix) -> Result<Costs> {
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
    fn used(device: &mut Board) -> Result<String> {
        device.set_program(&[0, 1], 1)?;
        match device.platform_mut().free(BufferId(1)) {
            Err(DriverError::BadBuffer { reason, .. }) if reason.contains("uses it") => Ok(reason),
            other => bail!("expected a refusal, found {other:?}"),
        }
    }

    fn outside(device: &mut Board) -> Result<String> {
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
        let [weights, activations, results] =
            buffers.map(|buffer| SegmentRef { buffer, offset: 0 });
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

    fn too_large(device: &mut Board) -> Result<String> {
        match device.platform_mut().alloc(1 << 40, BufferUse::Weights) {
            Err(error @ DriverError::OutOfMemory { .. }) => Ok(error.to_string()),
            other => bail!("expected a refusal, found {other:?}"),
        }
    }

    fn reset(device: &mut Board, matrix: &Matrix) -> Result<String> {
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
}
