//! Runs the checks and prints what comes of them.

use std::time::Duration;

use anyhow::{Result, ensure};
use macromac_driver::{Device, LinuxPlatform, Platform};

use super::DoctorArgs;
use super::checks::{in_flight, launch, outside, product, reset, rows, too_large, used, vectors};
use super::matrix::Matrix;
use crate::output;

/// Tile rows and groups of the matrices that are multiplied: one that reports its progress, one as small as can be.
const LARGE: (usize, usize) = (40, 3);
const SMALL: (usize, usize) = (1, 1);
/// A simulated device is slow.
const PATIENCE: Duration = Duration::from_secs(60);

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
