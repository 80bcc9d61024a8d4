//! What a run on the simulated board cost.

use std::fmt;

use macromac_driver::{Counters, PortStalls, Profile};
use macromac_infer::Measured;
use serde::Serialize;

/// Stall cycles by reason, one number a port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stalls {
    no_data: [u64; 4],
    no_activations: [u64; 4],
    no_room: [u64; 4],
    lock_step: [u64; 4],
}

/// Figures of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Figures {
    /// PL cycles from the first prompt token to the end.
    pub pl_cycles: u64,
    /// PL cycles of a generated token; `None` if there was none.
    pub cycles_per_token: Option<f64>,
    /// Stalls of the whole run.
    pub stalls: Stalls,
    /// Bytes of weights of the whole run.
    pub bytes_streamed: u64,
    /// Generated tokens a second at the accelerator's clock.
    pub tokens_per_s: Option<f64>,
    /// What kind of figure these are.
    pub figure: &'static str,
    /// Simulated kilohertz; `None` where no time passed.
    pub sim_khz: Option<f64>,
    profile: Profile,
    clock_hz: u64,
    /// Model that the PS was charged by; `None` if it was not.
    ps_time: Option<String>,
}

impl Figures {
    /// Figures from what the device counted at a clock.
    pub fn new(m: &Measured, profile: Profile, clock_hz: u64, ps_time: Option<String>) -> Self {
        let per_port = |of: fn(&PortStalls) -> u64| {
            std::array::from_fn(|p| of(&m.end.stalls[p]) - of(&m.start.stalls[p]))
        };
        let since = |of: fn(&Counters) -> u64, from: &Counters| of(&m.end) - of(from);
        let pl_cycles = since(|c| c.cycles, &m.start);
        let wall_ns = since(|c| c.sim_wall_ns, &m.start);
        let decode = since(|c| c.cycles, &m.decode_start) as f64;
        let cycles_per_token = (m.decoded > 0).then(|| decode / m.decoded as f64);
        Figures {
            pl_cycles,
            cycles_per_token,
            stalls: Stalls {
                no_data: per_port(|s| s.no_data),
                no_activations: per_port(|s| s.no_activations),
                no_room: per_port(|s| s.no_room),
                lock_step: per_port(|s| s.lock_step),
            },
            bytes_streamed: since(|c| c.weight_bytes, &m.start),
            tokens_per_s: cycles_per_token.map(|c| clock_hz as f64 / c),
            figure: "rtl-cosim",
            sim_khz: (wall_ns > 0).then(|| pl_cycles as f64 / wall_ns as f64 * 1e6),
            profile,
            clock_hz,
            ps_time,
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mhz = self.clock_hz as f64 / 1e6;
        writeln!(f, "PL cycles: {}", self.pl_cycles)?;
        if let (Some(cycles), Some(rate)) = (self.cycles_per_token, self.tokens_per_s) {
            writeln!(f, "cycles a generated token: {cycles:.0}")?;
            writeln!(
                f,
                "tokens a second: {rate:.2} at {mhz:.0} MHz, profile {} ({}; {})",
                self.profile.name(),
                self.figure,
                match &self.ps_time {
                    None => "PL time alone, the PS is not charged".to_owned(),
                    Some(model) => format!("PS charged by model {model}"),
                }
            )?;
        }
        let s = &self.stalls;
        for (reason, ports) in [
            ("no data", s.no_data),
            ("no activations", s.no_activations),
            ("no room for results", s.no_room),
            ("lock step", s.lock_step),
        ] {
            writeln!(f, "stall cycles, {reason}, port 0 to 3: {ports:?}")?;
        }
        write!(f, "bytes streamed: {}", self.bytes_streamed)?;
        if let Some(khz) = self.sim_khz {
            write!(f, "\nsimulation speed: {khz:.1} kHz")?;
        }
        Ok(())
    }
}
