//! The device of each backend.

use anyhow::{Result, bail};
use macromac_driver::Accelerator;
use macromac_infer::{cpu_device, golden_device};

use crate::args::{Backend, ModelArgs, ProfileArg};
use crate::load::Loaded;

/// Builds the device that `--backend` and `--profile` name and gives it the model's weights.
pub fn device(args: &ModelArgs, loaded: &Loaded) -> Result<Box<dyn Accelerator>> {
    let ProfileArg::Paper = args.profile;
    Ok(match args.backend {
        Backend::Cpu => Box::new(cpu_device(loaded.source.clone())),
        Backend::Golden => Box::new(golden_device(loaded.source.clone())?),
        Backend::Rtl => bail!("--backend rtl: this build has no simulated board"),
    })
}
