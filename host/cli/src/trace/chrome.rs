//! The trace-event format, which Perfetto (ui.perfetto.dev) and Chrome's about:tracing read.
//!
//! Source: "Trace Event Format", The Chromium Authors. Used are metadata events (`M`), complete events (`X`) and counters (`C`);
//! `ts` and `dur` are microseconds of simulated time.

use std::path::Path;

use anyhow::{Context, Result};
use macromac_format::PORTS;
use macromac_infer::kernels::time::CORES;
use serde_json::{Value, json};

use super::{Event, Timeline, Track};

/// "Processes" of the picture.
const PS: u32 = 1;
const PL: u32 = 2;
const DDR: u32 = 3;

impl Track {
    /// All of them, in the order in which they are shown.
    pub fn all() -> Vec<Track> {
        let mut all: Vec<Track> = (0..CORES).map(Track::Core).collect();
        all.extend([Track::Units, Track::Waits]);
        all.extend((0..PORTS).map(Track::Port));
        all.extend([Track::Activations, Track::Results]);
        all
    }

    /// Process and thread.
    fn ids(self) -> (u32, usize) {
        match self {
            Track::Core(core) => (PS, 1 + core),
            Track::Units => (PL, 1),
            Track::Waits => (PL, 2),
            Track::Port(port) => (DDR, 1 + port),
            Track::Activations => (DDR, 1 + PORTS),
            Track::Results => (DDR, 2 + PORTS),
        }
    }

    /// What it is called.
    pub fn title(self) -> String {
        match self {
            Track::Core(core) => format!("core {core}"),
            Track::Units => "units".into(),
            Track::Waits => "units wait".into(),
            Track::Port(port) => format!("weights, port {port}"),
            Track::Activations => "activations in".into(),
            Track::Results => "results out".into(),
        }
    }
}

/// The timeline as a trace; `about` says what was run and what kind of figure it is.
pub fn trace(timeline: &Timeline, mut about: Value) -> Value {
    about["stream_cycles"] = timeline.stream_cycles.into();
    about["length_us"] = timeline.length.into();
    let mut events = Vec::new();
    for (pid, name) in [(PS, "PS"), (PL, "PL"), (DDR, "memory ports")] {
        events.push(json!({
            "ph": "M", "name": "process_name", "pid": pid, "tid": 0, "ts": 0, "args": { "name": name },
        }));
    }
    for track in Track::all() {
        let (pid, tid) = track.ids();
        events.push(json!({
            "ph": "M", "name": "thread_name", "pid": pid, "tid": tid, "ts": 0, "args": { "name": track.title() },
        }));
    }
    let mut timed: Vec<(f64, Value)> = timeline.events.iter().map(complete).collect();
    timed.extend(counters(timeline));
    timed.sort_by(|a, b| a.0.total_cmp(&b.0));
    events.extend(timed.into_iter().map(|(_, event)| event));
    json!({
        "displayTimeUnit": "ns",
        "otherData": about,
        "traceEvents": events,
    })
}

fn complete(e: &Event) -> (f64, Value) {
    let (pid, tid) = e.track.ids();
    let event = json!({
        "ph": "X", "name": e.name, "pid": pid, "tid": tid, "ts": e.begin, "dur": e.time, "args": e.args,
    });
    (e.begin, event)
}

/// How many of the units' cycles each reason cost since the step before, percent.
fn counters(timeline: &Timeline) -> Vec<(f64, Value)> {
    let mut from = 0.0;
    let mut all = Vec::new();
    for pass in &timeline.passes {
        let to = pass.end as f64 * 1e6 / timeline.clock_hz as f64;
        if let Some(s) = pass.stalls {
            let cycles = (to - from) * timeline.clock_hz as f64 / 1e6;
            let percent = |stalled: f64| (100.0 * stalled / cycles.max(1.0)).min(100.0);
            let event = json!({
                "ph": "C", "name": "stalled, %", "pid": PL, "tid": 0, "ts": from,
                "args": {
                    "no data": percent(s.no_data),
                    "no activations": percent(s.no_activations),
                    "no room": percent(s.no_room),
                    "lock step": percent(s.lock_step),
                },
            });
            all.push((from, event));
        }
        from = to;
    }
    all
}

/// Writes a trace to a file.
pub fn write(path: &Path, trace: &Value) -> Result<()> {
    let text = serde_json::to_string(trace)? + "\n";
    std::fs::write(path, text).with_context(|| format!("{}: cannot write", path.display()))
}
