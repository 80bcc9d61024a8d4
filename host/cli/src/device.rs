//! The device of each backend.

use anyhow::Result;
use clap::ValueEnum;
use macromac_driver::{Accelerator, Profile};
use macromac_infer::{cpu_device, golden_device};

use crate::args::{Backend, ModelArgs};
use crate::load::Loaded;
use crate::trace::Probe;

/// Builds the device that `--backend` and `--profile` name and gives it the model's weights.
pub fn device(args: &ModelArgs, loaded: &Loaded) -> Result<Box<dyn Accelerator>> {
    match args.backend {
        Backend::Cpu => Ok(Box::new(cpu_device(loaded.source.clone()))),
        Backend::Golden => Ok(Box::new(golden_device(
            loaded.source.clone(),
            args.profile.into(),
        )?)),
        Backend::Rtl => simulated(args, loaded),
    }
}

/// Devices that a command may use at the same time for independent sequences: one a
/// thread, but one simulated board in all.
pub fn side_by_side(args: &ModelArgs) -> usize {
    match args.backend {
        Backend::Rtl => 1,
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
        Backend::Golden | Backend::Rtl => Some(Profile::from(args.profile).name()),
    }
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
    use macromac_driver::{Device, PassWeights};
    use macromac_infer::{Source, cpu::pass_shapes};

    let Source::Image(image) = &*loaded.source else {
        unreachable!("load() packs a checkpoint for this backend");
    };
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
    let shapes = pass_shapes(&loaded.source);
    let passes: Vec<PassWeights> = shapes
        .into_iter()
        .enumerate()
        .map(|(pass, shape)| PassWeights {
            shape,
            packing: image.packing(),
            segments: image.segments(pass),
        })
        .collect();
    Ok(Device::new(Board::new(config)?, &passes)?)
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
