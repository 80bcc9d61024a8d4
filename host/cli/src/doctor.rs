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
pub use run::doctor;

#[cfg(target_os = "linux")]
mod checks;
#[cfg(target_os = "linux")]
mod matrix;
#[cfg(target_os = "linux")]
mod run;
