//! The accelerator as a device of a virtual machine: the verilated `mm_top`, whose memory ports read and write the guest's RAM.
//! With a new QEMU it sits behind a vfio-user socket: its registers are BAR 0, its interrupt line is INTA. With an old one its
//! registers are a piece of the guest's RAM, and its interrupt is moved by QEMU's test socket.
//!
//! * [`device`]: the model, in a thread of its own, whose clock runs only while something can change;
//! * [`front`]: what the device needs of the way to a guest;
//! * [`vfio`], [`backend`], [`pci`]: the first way, and the thread that talks to QEMU;
//! * [`polled`]: the second way;
//! * [`guest`]: the guest's memory, and the window of it that the device may touch;
//! * [`test_page`]: registers beside the device's, for tests: errors on purpose, counts.

mod backend;
mod device;
mod front;
mod guest;
mod pci;
mod polled;
mod report;
mod test_page;
#[cfg(test)]
mod testing;
mod vfio;

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use anyhow::{Context, Result, bail};
use clap::{Parser, ValueEnum};
use macromac_driver::Profile;
use memmap2::MmapOptions;

use device::Device;
use guest::Region;
use polled::{Page, Polled, Qtest};
use report::Report;
use vfio::Vfio;

/// Serves the simulated accelerator to one QEMU, until QEMU ends.
#[derive(Debug, Parser)]
struct Args {
    /// Where QEMU finds the device (vfio-user): a Unix socket that must not exist yet
    #[arg(long, required_unless_present = "ram", conflicts_with = "ram")]
    socket: Option<PathBuf>,
    /// Without vfio-user: the file that is the guest's RAM from address 0 on
    #[arg(long, requires_all = ["registers", "qtest", "interrupt"])]
    ram: Option<PathBuf>,
    /// Without vfio-user: address of the registers in RAM
    #[arg(long, value_parser = number)]
    registers: Option<u64>,
    /// Without vfio-user: QEMU's qtest socket
    #[arg(long)]
    qtest: Option<PathBuf>,
    /// Without vfio-user: the interrupt as qtest names it: DEVICE INPUTS NUMBER
    #[arg(long)]
    interrupt: Option<String>,
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

fn number(text: &str) -> Result<u64> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    number.with_context(|| format!("expected a number, as in 4096 or 0x1000, found {text}"))
}

fn window(text: &str) -> Result<(u64, u64)> {
    let (first, bytes) = text
        .split_once(':')
        .context("expected FIRST:BYTES, as in 0x50000000:0x4000000")?;
    let (first, bytes) = (number(first)?, number(bytes)?);
    if bytes == 0 || first % 4096 != 0 || bytes % 4096 != 0 || first.checked_add(bytes).is_none() {
        bail!("expected multiples of 4096 and at least one page, found {first:#x}:{bytes:#x}");
    }
    Ok((first, bytes))
}

/// A QEMU with vfio-user: its messages come in this thread, the clock runs in another.
/// Gives what was counted also where the connection broke, and whether it did.
fn serve_vfio(
    socket: &Path,
    device: impl FnOnce() -> Result<Device> + Send + 'static,
) -> Result<(Report, Result<()>)> {
    let (requests, inbox) = mpsc::channel();
    let clock =
        std::thread::spawn(move || device().map(|device| device.serve(&mut Vfio::new(inbox))));
    let served = backend::serve(socket, requests);
    // The channel is closed: the clock stops, and the device says what it has seen.
    let report = match clock.join() {
        Ok(report) => report?,
        Err(_) => bail!("the simulation's thread has panicked"),
    };
    Ok((report, served))
}

/// Any QEMU, whose RAM is a file.
fn serve_polled(args: &Args, ram: &Path, mut device: Device) -> Result<Report> {
    let (Some(registers), Some(qtest), Some(line)) = (args.registers, &args.qtest, &args.interrupt)
    else {
        bail!("--ram: expected --registers, --qtest and --interrupt, too");
    };
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(ram)
        .with_context(|| format!("cannot open {}", ram.display()))?;
    let bytes = file.metadata()?.len();
    let (first, length) = args.window;
    for (what, end) in [
        ("registers", registers.saturating_add(polled::BYTES)),
        ("window", first + length),
    ] {
        if end > bytes {
            bail!(
                "expected the {what} in the memory's {bytes:#x} bytes, found them to end at {end:#x}"
            );
        }
    }
    let map = MmapOptions::new().map_raw(&file)?;
    device.memory().map(Region { address: 0, map });
    let page = Page::new(&file, registers)?;
    let wire = Qtest::connect(qtest, line)?;
    Ok(device.serve(&mut Polled::new(page, wire)))
}

fn main() -> Result<()> {
    let args = Args::parse();
    let profile = match args.profile {
        ProfileArg::Paper => Profile::Paper,
        ProfileArg::Kv260 => Profile::Kv260,
    };
    let (memory, window) = (args.memory, args.window);
    let device = move || Device::new(profile, memory, window);
    let (report, served) = match (&args.socket, &args.ram) {
        (Some(socket), _) => serve_vfio(socket, device)?,
        (None, Some(ram)) => (serve_polled(&args, ram, device()?)?, Ok(())),
        (None, None) => bail!("expected --socket or --ram"),
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
