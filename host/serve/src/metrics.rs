//! Counts for Prometheus.

use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use macromac_infer::Measured;

use crate::About;

/// What was counted since the start.
#[derive(Debug, Default)]
pub struct Metrics(Mutex<Counts>);

#[derive(Debug, Default, Clone)]
struct Counts {
    /// Requests by how they ended, in the order of [`Ended::ALL`].
    ended: [u64; Ended::ALL.len()],
    running: bool,
    prompt_tokens: u64,
    reused_tokens: u64,
    generated_tokens: u64,
    prompt_time: Duration,
    decode_time: Duration,
    /// Of the last answer, a second.
    prompt_rate: f64,
    decode_rate: f64,
    prompt_cycles: u64,
    decode_cycles: u64,
    /// Of the last answer, a second of the device's clock.
    device_rate: Option<f64>,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Answered.
    Answered,
    /// The client went away.
    Cancelled,
    /// The server ended, or the device failed.
    Failed,
    /// Refused: the queue was full.
    Refused,
}

impl Ended {
    const ALL: [Ended; 4] = [
        Ended::Answered,
        Ended::Cancelled,
        Ended::Failed,
        Ended::Refused,
    ];

    fn name(self) -> &'static str {
        match self {
            Ended::Answered => "answered",
            Ended::Cancelled => "cancelled",
            Ended::Failed => "failed",
            Ended::Refused => "refused",
        }
    }
}

/// What an answer took.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Took {
    /// Tokens of the prompt.
    pub prompt: usize,
    /// Those of them that were in the cache.
    pub reused: usize,
    /// Those that were computed: the others, or fewer where it was broken off.
    pub computed: usize,
    /// Tokens of the answer, without one that ended it.
    pub generated: usize,
    /// Until the first token was there.
    pub prompt_time: Duration,
    /// From there to the end.
    pub decode_time: Duration,
    /// What the device counted.
    pub measured: Option<Measured>,
}

/// Tokens a second; 0 where no time passed.
pub fn rate(tokens: usize, time: Duration) -> f64 {
    if time.is_zero() {
        return 0.0;
    }
    tokens as f64 / time.as_secs_f64()
}

impl Took {
    /// Tokens that followed the first one, which belongs to the prompt's time.
    pub fn followed(&self) -> usize {
        self.generated.saturating_sub(1)
    }
}

impl Metrics {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        // Numbers alone: none is half written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request is worked on now.
    pub fn begin(&self) {
        self.counts().running = true;
    }

    /// None is worked on any more; `took` what was done for it.
    pub fn end(&self, ended: Ended, took: &Took, clock_hz: u64) {
        let mut c = self.counts();
        c.running = false;
        c.ended[ended as usize] += 1;
        c.prompt_tokens += took.computed as u64;
        c.reused_tokens += took.reused as u64;
        c.generated_tokens += took.generated as u64;
        c.prompt_time += took.prompt_time;
        c.decode_time += took.decode_time;
        c.prompt_rate = rate(took.computed, took.prompt_time);
        c.decode_rate = rate(took.followed(), took.decode_time);
        if let Some(m) = &took.measured {
            let decode = m.end.cycles.saturating_sub(m.decode_start.cycles);
            c.prompt_cycles += m.decode_start.cycles.saturating_sub(m.start.cycles);
            c.decode_cycles += decode;
            c.device_rate =
                (decode > 0).then(|| m.decoded as f64 * clock_hz as f64 / decode as f64);
        }
    }

    /// A request was not taken.
    pub fn refused(&self) {
        self.counts().ended[Ended::Refused as usize] += 1;
    }

    /// Whether a request is worked on.
    pub fn running(&self) -> bool {
        self.counts().running
    }

    /// Everything in Prometheus's text format.
    pub fn text(&self, waiting: usize, about: &About) -> String {
        let c = self.counts().clone();
        let mut out = String::new();
        let mut metric = |name: &str, kind: &str, help: &str, values: &[(String, f64)]| {
            // Writing to a string does not fail.
            let _ = writeln!(
                out,
                "# HELP macromac_{name} {help}\n# TYPE macromac_{name} {kind}"
            );
            for (labels, value) in values {
                let _ = writeln!(out, "macromac_{name}{labels} {value}");
            }
        };
        let one = |value: f64| [(String::new(), value)];
        let ended = Ended::ALL.map(|e| {
            (
                format!("{{result=\"{}\"}}", e.name()),
                c.ended[e as usize] as f64,
            )
        });
        metric(
            "requests_total",
            "counter",
            "Completions by how they ended.",
            &ended,
        );
        metric(
            "requests_processing",
            "gauge",
            "Requests that are worked on.",
            &one(f64::from(u8::from(c.running))),
        );
        metric(
            "requests_deferred",
            "gauge",
            "Requests that wait.",
            &one(waiting as f64),
        );
        metric(
            "prompt_tokens_total",
            "counter",
            "Tokens of prompts that were computed.",
            &one(c.prompt_tokens as f64),
        );
        metric(
            "prompt_tokens_reused_total",
            "counter",
            "Tokens of prompts that the cache held.",
            &one(c.reused_tokens as f64),
        );
        metric(
            "tokens_predicted_total",
            "counter",
            "Tokens of answers.",
            &one(c.generated_tokens as f64),
        );
        metric(
            "prompt_seconds_total",
            "counter",
            "Time on this machine until first tokens.",
            &one(c.prompt_time.as_secs_f64()),
        );
        metric(
            "tokens_predicted_seconds_total",
            "counter",
            "Time on this machine from first tokens to last ones.",
            &one(c.decode_time.as_secs_f64()),
        );
        metric(
            "prompt_tokens_seconds",
            "gauge",
            "Tokens a second of the last prompt, on this machine.",
            &one(c.prompt_rate),
        );
        metric(
            "predicted_tokens_seconds",
            "gauge",
            "Tokens a second of the last answer, on this machine.",
            &one(c.decode_rate),
        );
        if let (Some(kind), Some(profile)) = (about.kind, about.profile) {
            let labels = |more: &str| format!("{{kind=\"{kind}\",profile=\"{profile}\"{more}}}");
            let phases = [
                (labels(",phase=\"prompt\""), c.prompt_cycles as f64),
                (labels(",phase=\"decode\""), c.decode_cycles as f64),
            ];
            metric(
                "pl_cycles_total",
                "counter",
                "Cycles of the accelerator's clock.",
                &phases,
            );
            metric(
                "pl_clock_hertz",
                "gauge",
                "The accelerator's clock.",
                &[(labels(""), about.clock_hz as f64)],
            );
            if let Some(rate) = c.device_rate {
                metric(
                    "pl_predicted_tokens_seconds",
                    "gauge",
                    "Tokens a second of the last answer, by the accelerator's clock.",
                    &[(labels(""), rate)],
                );
            }
        }
        out
    }
}
