//! The accelerator as a device of a virtual machine: the verilated `mm_top` behind a vfio-user socket of QEMU. Its registers
//! are BAR 0, its memory ports read and write the guest's RAM, its interrupt line is INTA.
//!
//! * [`backend`]: vfio-user's side, in the thread that talks to QEMU;
//! * [`device`]: the model's side, in a thread of its own, whose clock runs only while something can change;
//! * [`guest`]: the guest's memory, and the window of it that the device may touch;
//! * [`test_page`]: registers beside the device's, for tests: errors on purpose, counts.

mod backend;
mod device;
mod guest;
mod pci;
mod report;
mod test_page;

use std::path::PathBuf;
use std::sync::mpsc;

use anyhow::{Context, Result, bail};
use clap::{Parser, ValueEnum};
use macromac_driver::Profile;

/// Serves the simulated accelerator to one QEMU (vfio-user), until QEMU ends.
#[derive(Debug, Parser)]
struct Args {
    /// Where QEMU finds the device: a Unix socket that must not exist yet
    #[arg(long)]
    socket: PathBuf,
    /// Arithmetic of the device
    #[arg(long, value_enum, default_value_t = ProfileArg::Paper)]
    profile: ProfileArg,
    /// When memory answers
    #[arg(long, value_enum, default_value_t = device::Memory::Ideal)]
    memory: device::Memory,
    /// Physical addresses that the device may read and write: FIRST:BYTES
    #[arg(long, value_parser = window)]
    window: (u64, u64),
    /// Where to write what was counted, at the end (JSON)
    #[arg(long)]
    summary: Option<PathBuf>,
}

/// Arithmetic of the accelerator.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum ProfileArg {
    /// FP32 processing elements
    Paper,
    /// Exact group sums
    Kv260,
}

fn window(text: &str) -> Result<(u64, u64)> {
    let number = |text: &str| match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    let (first, bytes) = text
        .split_once(':')
        .context("expected FIRST:BYTES, as in 0x50000000:0x4000000")?;
    let (first, bytes) = (number(first)?, number(bytes)?);
    if bytes == 0 || first % 4096 != 0 || bytes % 4096 != 0 || first.checked_add(bytes).is_none() {
        bail!("expected multiples of 4096 and at least one page, found {first:#x}:{bytes:#x}");
    }
    Ok((first, bytes))
}

fn main() -> Result<()> {
    let args = Args::parse();
    let profile = match args.profile {
        ProfileArg::Paper => Profile::Paper,
        ProfileArg::Kv260 => Profile::Kv260,
    };
    let (requests, inbox) = mpsc::channel();
    let clock = std::thread::spawn(move || -> Result<report::Report> {
        let device = device::Device::new(profile, args.memory, args.window)?;
        Ok(device.serve(&inbox))
    });
    let served = backend::serve(&args.socket, requests);
    // The channel is closed: the clock stops, and the device says what it has seen.
    let report = match clock.join() {
        Ok(report) => report?,
        Err(_) => bail!("the simulation's thread has panicked"),
    };
    if let Some(path) = &args.summary {
        let json = serde_json::to_string_pretty(&report)?;
        std::fs::write(path, json + "\n")
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    served?;
    match report.failure {
        Some(failure) => bail!("{failure}"),
        None => Ok(()),
    }
}
