//! The device of each backend.

use anyhow::{Context, Result};
use clap::ValueEnum;
use macromac_driver::{Accelerator, PassWeights, Profile};
use macromac_infer::cpu::pass_shapes;
use macromac_infer::kernels::team;
use macromac_infer::{Source, cpu_device, golden_device};

use crate::args::{Backend, ModelArgs};
use crate::load::Loaded;
use crate::trace::Probe;

/// How long threads look for work before they sleep, with a device at hand.
#[cfg(target_os = "linux")]
const SPIN: std::time::Duration = std::time::Duration::from_millis(1);

/// Builds the device that `--backend` and `--profile` name and gives it the model's weights.
pub fn device(args: &ModelArgs, loaded: &Loaded) -> Result<Box<dyn Accelerator>> {
    match args.backend {
        Backend::Cpu => Ok(Box::new(cpu_device(loaded.source.clone()))),
        Backend::Golden => Ok(Box::new(golden_device(
            loaded.source.clone(),
            args.profile.into(),
        )?)),
        Backend::Rtl => simulated(args, loaded),
        Backend::Device => real(args, loaded),
    }
}

/// Devices that a command may use at the same time for independent sequences: one a
/// thread, but one board in all.
pub fn side_by_side(args: &ModelArgs) -> usize {
    match args.backend {
        Backend::Rtl | Backend::Device => 1,
        Backend::Cpu | Backend::Golden => usize::MAX,
    }
}

/// Name of a backend as on the command line.
pub fn name(backend: Backend) -> String {
    let value = backend.to_possible_value();
    let value = value.expect("no backend is hidden");
    value.get_name().to_owned()
}

/// Name of the arithmetic that a device for `args` computes in; `None` for plain FP32.
pub fn profile(args: &ModelArgs) -> Option<&'static str> {
    match args.backend {
        Backend::Cpu => None,
        Backend::Golden | Backend::Rtl | Backend::Device => {
            Some(Profile::from(args.profile).name())
        }
    }
}

/// The model's matrices as they lie in its image.
fn weights(source: &Source) -> Vec<PassWeights<'_>> {
    let Source::Image(image) = source else {
        unreachable!("load() packs a checkpoint for this backend");
    };
    let shapes = pass_shapes(source);
    shapes
        .into_iter()
        .enumerate()
        .map(|(pass, shape)| PassWeights {
            shape,
            packing: image.packing(),
            segments: image.segments(pass),
        })
        .collect()
}

/// The accelerator behind the kernel module.
#[cfg(target_os = "linux")]
fn real(args: &ModelArgs, loaded: &Loaded) -> Result<Box<dyn Accelerator>> {
    use macromac_driver::{Device, LinuxPlatform, Platform};

    let patience = std::time::Duration::try_from_secs_f64(args.patience)
        .with_context(|| format!("--patience: expected seconds, found {}", args.patience))?;
    let platform = LinuxPlatform::open(&args.device)?;
    let (asked, found) = (Profile::from(args.profile), platform.capabilities().profile);
    anyhow::ensure!(
        asked == found,
        "{}: expected profile {}, found a device of profile {}; give --profile {}",
        args.device.display(),
        asked.name(),
        found.name(),
        found.name()
    );
    let mut device = Device::new(platform, &weights(&loaded.source))?;
    device.set_patience(patience);
    device.share_copies(team::run);
    // Nobody sleeps while a token is generated: no pass but the last takes so long.
    team::set_patience(SPIN);
    Ok(Box::new(device))
}

/// The kernel module is for Linux.
#[cfg(not(target_os = "linux"))]
fn real(_args: &ModelArgs, _loaded: &Loaded) -> Result<Box<dyn Accelerator>> {
    anyhow::bail!("--backend device: expected Linux with the kernel module macromac")
}

/// What a run cost in system calls, where there is a device that they are made for.
pub fn calls(args: &ModelArgs, device: &mut dyn Accelerator) -> Result<Option<String>> {
    let (Backend::Device, Some(counted)) = (args.backend, device.counters()?) else {
        return Ok(None);
    };
    let calls = counted.system_calls;
    Ok(Some(format!(
        "device: {} steps, {} cycles; system calls since the program was loaded: {} waits, {} cache syncs, {} others",
        counted.steps, counted.cycles, calls.waits, calls.syncs, calls.others
    )))
}

/// The device for a run that is watched: only the simulated board can be.
pub fn watched(args: &ModelArgs, loaded: &Loaded) -> Result<Box<dyn Probe>> {
    anyhow::ensure!(
        args.backend == Backend::Rtl,
        "--timeline: expected --backend rtl, found {}, which keeps no time",
        name(args.backend)
    );
    Ok(Box::new(board(args, loaded)?))
}

#[cfg(feature = "rtl")]
fn simulated(args: &ModelArgs, loaded: &Loaded) -> Result<Box<dyn Accelerator>> {
    Ok(Box::new(board(args, loaded)?))
}

/// The verilated accelerator on the simulated board, driven by the queue code of the real one.
#[cfg(feature = "rtl")]
fn board(
    args: &ModelArgs,
    loaded: &Loaded,
) -> Result<macromac_driver::Device<macromac_board::Board>> {
    use crate::args::{Ddr, Memory};
    use macromac_board::{Board, BoardConfig, DdrRate};
    use macromac_driver::Device;

    let config = match args.memory {
        Memory::Ideal => BoardConfig::ideal(),
        Memory::Typical => BoardConfig::typical(args.memory_seed),
        Memory::Random => BoardConfig::random(args.memory_seed),
        Memory::Ddr4 => BoardConfig::ddr4(
            match args.ddr {
                Ddr::Mt2133 => DdrRate::Mt2133,
                Ddr::Mt2400 => DdrRate::Mt2400,
            },
            args.memory_seed,
        ),
    }
    .with_profile(args.profile.into())
    .with_clock(args.clock_hz());
    let passes = weights(&loaded.source);
    let mut device = Device::new(Board::new(config)?, &passes)?;
    device.share_copies(team::run);
    Ok(device)
}

/// Built without Verilator, for machines that only need the other backends.
#[cfg(not(feature = "rtl"))]
fn simulated(args: &ModelArgs, loaded: &Loaded) -> Result<Box<dyn Accelerator>> {
    Ok(Box::new(board(args, loaded)?))
}

#[cfg(not(feature = "rtl"))]
fn board(_args: &ModelArgs, _loaded: &Loaded) -> Result<macromac_timing::ModelDevice> {
    anyhow::bail!(
        "--backend rtl: expected a program with the simulated board, found one that was built \
         without it; build with `cargo build --release --features rtl` (needs Verilator)"
    )
}
