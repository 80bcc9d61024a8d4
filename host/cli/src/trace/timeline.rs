//! A record as tracks of spans.

use macromac_driver::{Counters, PortStalls, Profile};
use macromac_format::{Architecture, Layout, PORTS};
use macromac_infer::fused::PassKind;
use macromac_infer::kernels::time::{CORES, PsTime, report};
use serde_json::{Value, json};

use super::{Record, Run};

/// A line of the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Track {
    /// A core of the PS.
    Core(usize),
    /// The four units, in lock step.
    Units,
    /// What the units wait for between two passes.
    Waits,
    /// Weights on a port.
    Port(usize),
    /// Activations and descriptors on the data port.
    Activations,
    /// Results on the data port.
    Results,
}

/// A span on a track; microseconds of simulated time since the watch began.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Where it is drawn.
    pub track: Track,
    /// What happens.
    pub name: String,
    /// When it begins.
    pub begin: f64,
    /// How long it takes.
    pub time: f64,
    /// More about it.
    pub args: Value,
}

/// Stall cycles of the units, a mean of the ports.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Stalls {
    /// Memory did not keep up.
    pub no_data: f64,
    /// The PS had not released the step, or its activations were not there.
    pub no_activations: f64,
    /// Results were not rid of.
    pub no_room: f64,
    /// The unit's own pattern, or another port's data.
    pub lock_step: f64,
}

/// A pass on the units; cycles since the watch began.
#[derive(Debug, Clone, PartialEq)]
pub struct Pass {
    /// Pass of the image.
    pub pass: usize,
    /// Which matrix.
    pub kind: PassKind,
    /// First strip.
    pub begin: u64,
    /// Behind the last strip.
    pub end: u64,
    /// Between the end of the step before and the end of this one; `None` where no counters were read.
    pub stalls: Option<Stalls>,
}

/// The kernels of the PS.
#[derive(Debug, Clone, PartialEq)]
pub struct PsSpan {
    /// What ran.
    pub name: &'static str,
    /// The matrix that it works for, where it does: whose activations or results it moves.
    pub kind: Option<PassKind>,
    /// When it begins, microseconds.
    pub begin: f64,
    /// How long it takes.
    pub time: f64,
}

/// What is known of the model and the device.
pub struct Shape<'a> {
    /// The model.
    pub architecture: &'a Architecture,
    /// Its passes, as packed.
    pub layouts: Vec<Layout>,
    /// Clock of the PL, Hz.
    pub clock_hz: u64,
    /// Arithmetic of the device.
    pub profile: Profile,
    /// What the PS is charged by.
    pub ps_time: Option<&'a PsTime>,
}

/// A run as tracks.
#[derive(Debug, Clone, Default)]
pub struct Timeline {
    /// Clock of the PL, Hz.
    pub clock_hz: u64,
    /// Length, microseconds.
    pub length: f64,
    /// Cycles from first to last strip of every pass, by the device's own counter.
    pub stream_cycles: u64,
    /// Spans; those of a track do not overlap.
    pub events: Vec<Event>,
    /// Passes on the units, in order.
    pub passes: Vec<Pass>,
    /// Kernels of the PS, in order.
    pub ps: Vec<PsSpan>,
    /// Spans in which weights crossed any port.
    pub streaming: Vec<(f64, f64)>,
}

/// Name of a matrix in pictures and tables.
pub fn name(kind: PassKind) -> &'static str {
    match kind {
        PassKind::Qkv => "qkv",
        PassKind::O => "o",
        PassKind::GateUp => "gate_up",
        PassKind::Down => "down",
        PassKind::LmHead => "lm_head",
    }
}

/// Cycles from the last strip of a step to the last beat of its results: measured where the first strip is known by its activations.
fn lag(profile: Profile) -> u64 {
    match profile {
        Profile::Paper => 40,
        Profile::Kv260 => 60,
    }
}

/// Cycles from there to the moment when the PS knows, on the model, whose results cross no port.
const RECORD: u64 = 80;
/// Reads of the data port that are shorter than that are descriptors.
const DESCRIPTOR_BEATS: u64 = 16;

impl Shape<'_> {
    fn label(&self, pass: usize) -> String {
        match PassKind::of(self.architecture, pass) {
            (PassKind::LmHead, _) => "lm_head".into(),
            (kind, layer) => format!("{layer} {}", name(kind)),
        }
    }

    /// Beats of a pass on one port.
    fn weight_beats(&self, pass: usize) -> u64 {
        (self.layouts[pass].segment_bytes() / 16) as u64
    }

    /// Beats of its results.
    fn result_beats(&self, pass: usize, vectors: usize) -> u64 {
        (self.layouts[pass].n_padded() * vectors / 4) as u64
    }
}

/// Finds out when the n-th beat crossed a port; questions come in rising order.
struct Beats<'r> {
    runs: std::slice::Iter<'r, Run>,
    run: Option<Run>,
    before: u64,
}

impl<'r> Beats<'r> {
    fn new(runs: &'r [Run]) -> Self {
        let mut runs = runs.iter();
        let run = runs.next().copied();
        Beats {
            runs,
            run,
            before: 0,
        }
    }

    fn when(&mut self, beat: u64) -> Option<u64> {
        loop {
            let run = self.run?;
            if beat < self.before + run.beats {
                let part = (beat - self.before) as f64 / (run.beats - 1).max(1) as f64;
                return Some(run.first + ((run.last - run.first) as f64 * part).round() as u64);
            }
            self.before += run.beats;
            self.run = self.runs.next().copied();
        }
    }
}

/// Makes tracks of a record.
pub fn timeline(record: &Record, shape: &Shape) -> Timeline {
    let mut t = Timeline {
        clock_hz: shape.clock_hz,
        ..Timeline::default()
    };
    let us = |cycle: u64| cycle.saturating_sub(record.span.0) as f64 * 1e6 / shape.clock_hz as f64;
    if let (Some(first), Some(last)) = (record.first, record.last) {
        t.stream_cycles = last.stream_cycles - first.stream_cycles;
    }
    t.length = us(record.span.1);
    ps(&mut t, record, shape, &us);
    units(&mut t, record, shape, &us);
    if let Some(traffic) = &record.traffic {
        for port in 0..PORTS {
            weights(&mut t, record, shape, port, &traffic.read[port], &us);
        }
        t.streaming = union(&traffic.read[..PORTS], &us);
        data(&mut t, record, shape, &traffic.read[PORTS], &us);
        results(&mut t, record, shape, &traffic.written, &us);
    }
    t.events.sort_by(|a, b| {
        (a.begin, a.track)
            .partial_cmp(&(b.begin, b.track))
            .expect("times are numbers")
    });
    t
}

impl Timeline {
    /// What lies behind `cut` (microseconds), which becomes 0; spans that cross it are cut.
    pub fn since(mut self, cut: f64) -> Timeline {
        let clip = |begin: &mut f64, time: &mut f64| {
            let end = *begin + *time;
            *begin = (*begin - cut).max(0.0);
            *time = end - cut - *begin;
            *time > 0.0
        };
        self.events.retain_mut(|e| clip(&mut e.begin, &mut e.time));
        self.ps.retain_mut(|k| clip(&mut k.begin, &mut k.time));
        let cycles = (cut * self.clock_hz as f64 / 1e6).round() as u64;
        self.passes.retain(|p| p.begin >= cycles);
        for pass in &mut self.passes {
            pass.begin -= cycles;
            pass.end -= cycles;
        }
        self.streaming.retain(|(_, end)| *end > cut);
        for (begin, end) in &mut self.streaming {
            *begin = (*begin - cut).max(0.0);
            *end -= cut;
        }
        self.length -= cut;
        self
    }
}

/// When any of the ports moved data.
fn union(ports: &[Vec<Run>], us: &impl Fn(u64) -> f64) -> Vec<(f64, f64)> {
    let mut all: Vec<(u64, u64)> = ports
        .iter()
        .flatten()
        .map(|r| (r.first, r.last + 1))
        .collect();
    all.sort_unstable();
    let mut joined: Vec<(u64, u64)> = Vec::new();
    for (begin, end) in all {
        match joined.last_mut() {
            Some((_, last)) if begin <= *last => *last = end.max(*last),
            _ => joined.push((begin, end)),
        }
    }
    let times = joined.into_iter();
    times.map(|(begin, end)| (us(begin), us(end))).collect()
}

/// Kernels, one after the other within each time that the device was told of.
fn ps(t: &mut Timeline, record: &Record, shape: &Shape, us: &impl Fn(u64) -> f64) {
    let kind = |pass: usize| PassKind::of(shape.architecture, pass).0;
    let mut kernels = record.kernels.iter().peekable();
    let mut at: f64 = 0.0;
    for (told, elapsed) in record.elapsed.iter().enumerate() {
        // What is left of a cycle is carried on: a group may begin where the one before has its last nanoseconds.
        at = at.max(us(elapsed.begin));
        while let Some(spent) = kernels.next_if(|k| k.told == told) {
            let time = spent.charge.time.as_nanos() as f64 / 1e3;
            let name = report::name(spent.kernel);
            let next = record.steps.get(elapsed.next_step).map(|s| kind(s.pass));
            let of = match name {
                "activations out" => next,
                "results in" | "logits in" | "residual" => elapsed.after.map(kind),
                _ => None,
            };
            t.ps.push(PsSpan {
                name,
                kind: of,
                begin: at,
                time,
            });
            let shared_out = |ps: &PsTime| ps.is_shared_out(spent.kernel, spent.vectors);
            let cores = if shape.ps_time.is_some_and(shared_out) {
                CORES
            } else {
                1
            };
            if time > 0.0 {
                t.events.extend((0..cores).map(|core| Event {
                    track: Track::Core(core),
                    name: name.into(),
                    begin: at,
                    time,
                    args: json!({ "ddr_bytes": spent.charge.ddr_bytes }),
                }));
            }
            at += time;
        }
    }
}

/// Passes, and the gaps between them.
fn units(t: &mut Timeline, record: &Record, shape: &Shape, us: &impl Fn(u64) -> f64) {
    let written = record.traffic.as_ref().map(|t| &t.written[..]);
    let mut results = written.map(Beats::new);
    let (mut beats, mut free) = (0, record.span.0);
    let mut before = record.first;
    for step in &record.steps {
        beats += shape.result_beats(step.pass, step.vectors);
        let last = results.as_mut().and_then(|r| r.when(beats - 1));
        let tail = lag(shape.profile);
        let end = match last {
            Some(cycle) => cycle - tail.min(cycle),
            None => step.done.saturating_sub(tail + RECORD),
        };
        let (end, mut begin) = (end.max(free), step.submitted.max(free));
        let mut stalls = None;
        if let (Some(now), Some(old)) = (step.counters, before) {
            begin = free.max(end.saturating_sub(now.stream_cycles - old.stream_cycles));
            stalls = Some(difference(&old, &now));
        }
        let begin = begin.min(end);
        let label = shape.label(step.pass);
        wait(t, &label, us(free), us(begin), stalls);
        t.events.push(Event {
            track: Track::Units,
            name: label,
            begin: us(begin),
            time: us(end) - us(begin),
            args: json!({
                "cycles": end - begin,
                "strips": shape.weight_beats(step.pass),
                "vectors": step.vectors,
                "stall_cycles_since_the_step_before": stalls.map(Stalls::json),
            }),
        });
        t.passes.push(Pass {
            pass: step.pass,
            kind: PassKind::of(shape.architecture, step.pass).0,
            begin: begin - record.span.0,
            end: end - record.span.0,
            stalls,
        });
        free = end;
        before = step.counters.or(before);
    }
}

/// The gap before a pass.
fn wait(t: &mut Timeline, label: &str, begin: f64, end: f64, stalls: Option<Stalls>) {
    if end <= begin {
        return;
    }
    let gap = (end - begin) * t.clock_hz as f64 / 1e6;
    // The counters speak of gap and pass together; nothing but missing activations or weights keeps the units from beginning.
    let name = match stalls {
        Some(s) if s.no_activations < gap / 2.0 => "no data",
        _ => "no activations",
    };
    t.events.push(Event {
        track: Track::Waits,
        name: name.into(),
        begin,
        time: end - begin,
        args: json!({ "before": label }),
    });
}

impl Stalls {
    /// As a JSON object.
    pub fn json(self) -> Value {
        json!({
            "no_data": self.no_data,
            "no_activations": self.no_activations,
            "no_room": self.no_room,
            "lock_step": self.lock_step,
        })
    }
}

fn difference(old: &Counters, now: &Counters) -> Stalls {
    let mean = |of: fn(&PortStalls) -> u64| {
        let ports = now.stalls.iter().zip(&old.stalls);
        let sum: u64 = ports.map(|(now, old)| of(now) - of(old)).sum();
        sum as f64 / PORTS as f64
    };
    Stalls {
        no_data: mean(|s| s.no_data),
        no_activations: mean(|s| s.no_activations),
        no_room: mean(|s| s.no_room),
        lock_step: mean(|s| s.lock_step),
    }
}

/// Segments on a port: a program's readers fetch them in its order, round after round, until another program comes.
fn weights(
    t: &mut Timeline,
    record: &Record,
    shape: &Shape,
    port: usize,
    runs: &[Run],
    us: &impl Fn(u64) -> f64,
) {
    let mut beats = Beats::new(runs);
    let all: u64 = runs.iter().map(|r| r.beats).sum();
    let base = record.beats[port];
    for (i, program) in record.programs.iter().enumerate() {
        let mut from = program.beats[port] - base;
        let until = record
            .programs
            .get(i + 1)
            .map_or(all, |next| next.beats[port] - base);
        for pass in program.passes.iter().cycle() {
            let to = (from + shape.weight_beats(*pass)).min(until);
            let (Some(first), Some(last)) = (beats.when(from), beats.when(to.saturating_sub(1)))
            else {
                break;
            };
            if to <= from {
                break;
            }
            let (begin, end) = (us(first), us(last + 1));
            t.events.push(Event {
                track: Track::Port(port),
                name: shape.label(*pass),
                begin,
                time: end - begin,
                args: json!({
                    "bytes": 16 * (to - from),
                    "gb_per_s": (16 * (to - from)) as f64 / (end - begin) / 1e3,
                }),
            });
            from = to;
        }
    }
}

/// Activations as the data port read them.
fn data(t: &mut Timeline, record: &Record, shape: &Shape, runs: &[Run], us: &impl Fn(u64) -> f64) {
    for run in runs {
        let index = record.steps.partition_point(|s| s.submitted <= run.last);
        let name = match index.checked_sub(1) {
            Some(i) if run.beats >= DESCRIPTOR_BEATS => shape.label(record.steps[i].pass),
            _ => "descriptors".into(),
        };
        t.events.push(Event {
            track: Track::Activations,
            name,
            begin: us(run.first),
            time: us(run.last + 1) - us(run.first),
            args: json!({ "bytes": 16 * run.beats }),
        });
    }
}

/// Results as the data port wrote them, step by step.
fn results(
    t: &mut Timeline,
    record: &Record,
    shape: &Shape,
    runs: &[Run],
    us: &impl Fn(u64) -> f64,
) {
    let (mut beats, mut from) = (Beats::new(runs), 0);
    for step in &record.steps {
        let count = shape.result_beats(step.pass, step.vectors);
        let (Some(first), Some(last)) = (beats.when(from), beats.when(from + count - 1)) else {
            return;
        };
        from += count;
        t.events.push(Event {
            track: Track::Results,
            name: shape.label(step.pass),
            begin: us(first),
            time: us(last + 1) - us(first),
            args: json!({ "bytes": 16 * count }),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_that_move_data_at_the_same_time_count_once() {
        let run = |first, last| Run {
            first,
            last,
            beats: 1,
        };
        let ports = [vec![run(0, 9), run(30, 39)], vec![run(5, 14), run(40, 49)]];
        let joined = union(&ports, &|cycle| cycle as f64);
        assert_eq!(joined, [(0.0, 15.0), (30.0, 50.0)]);
    }

    #[test]
    fn a_beat_is_found_in_its_run() {
        let run = |first, last, beats| Run { first, last, beats };
        let runs = [run(10, 19, 10), run(50, 50, 1), run(60, 80, 11)];
        let mut beats = Beats::new(&runs);
        let found: Vec<_> = [0, 9, 10, 11, 16, 21, 22]
            .iter()
            .map(|b| beats.when(*b))
            .collect();
        let want = [10, 19, 50, 60, 70, 80].map(Some);
        assert_eq!(found[..6], want);
        assert_eq!(found[6], None);
    }
}
