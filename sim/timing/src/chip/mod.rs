//! The accelerator without its data: every register of `mm_core` that decides when something happens, cycle by cycle.
//!
//! Each part follows the module of the RTL that it names, state for state, so that a cycle here is a cycle there; what is left out
//! is values (weights, activations, sums), faults and attributes. `sim/timing/tests/against_rtl.rs` holds it to the RTL's counters.

mod activations;
mod fifo;
mod reader;
mod results;
mod steps;
mod stream;
mod times;
mod unit;

use macromac_driver::Profile;

use crate::config::ModelConfig;
use activations::{ActReader, Loader};
use fifo::Prefetch;
use reader::{Command, Reader, ReaderSize};
use results::{Edge, Results};
use steps::{Fetch, Issue, STEPS_AHEAD};
use stream::StreamCtrl;
use unit::Unit;

pub use reader::Burst;
pub use results::{Record, Write};
pub use steps::Descriptor;
pub use times::{Counts, PassTimes};

/// Weight ports.
pub const WEIGHT_PORTS: usize = 4;
/// Number of the data port.
pub const DATA: usize = 4;
/// Beats of a descriptor.
const DESC_BEATS: u32 = 4;
/// Tags of the data port's reads.
const DESCRIPTOR: u8 = 0;
const ACTIVATIONS: u8 = 1;

/// What memory drives.
#[derive(Debug, Clone, Copy, Default)]
pub struct Inputs {
    /// ARREADY of each port.
    pub ar_ready: [bool; 5],
    /// A beat on R of each port, and whether it is its burst's last.
    pub r: [Option<bool>; 5],
    /// AWREADY.
    pub aw_ready: bool,
    /// WREADY.
    pub w_ready: bool,
    /// BVALID.
    pub b: bool,
}

/// What the device drives.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outputs {
    /// AR of each port.
    pub ar: [Option<Burst>; 5],
    /// AW.
    pub aw: Option<Write>,
    /// WVALID.
    pub w: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Run,
    Drain,
    Flush,
}

/// What software stores.
#[derive(Debug, Clone, Default)]
pub struct Registers {
    /// `DOORBELL`
    pub doorbell: u32,
    /// A program starts with the next edge.
    pub start: bool,
    /// It ends with the next edge, when the released steps are done.
    pub stop: bool,
    /// The ring.
    pub ring: Vec<Descriptor>,
    /// Address of the ring.
    pub ring_base: u64,
    /// Address of the completion record.
    pub record: u64,
}

/// The device.
#[derive(Debug, Clone)]
pub struct Chip {
    state: State,
    stop: bool,
    snapshot: u32,
    /// Registers that software stores to.
    pub registers: Registers,
    fetch: Fetch,
    issue: Issue,
    readers: [Reader; WEIGHT_PORTS],
    /// Bursts by which each weight port is ahead, and how many it may be (`mm_lead_limiter`).
    lead: [u32; WEIGHT_PORTS],
    max_lead: Option<u32>,
    data: Reader,
    fifos: [Prefetch; WEIGHT_PORTS],
    loader: Loader,
    acts: ActReader,
    stream: StreamCtrl,
    unit: Unit,
    results: Results,
    /// The end of a stopping program is seen a cycle late: whether steps were left in the cycle before.
    late: bool,
    busy: bool,
    /// Performance counters.
    pub counts: Counts,
}

impl Chip {
    /// A device that has just been reset.
    pub fn new(config: &ModelConfig) -> Self {
        let paper = config.profile == Profile::Paper;
        let staged = !paper;
        let size = ReaderSize {
            staged,
            burst_beats: config.burst_beats,
            outstanding: config.outstanding,
            credit: config.fifo_strips as u32,
            queue: STEPS_AHEAD,
        };
        let data = ReaderSize {
            credit: config.outstanding as u32 * config.burst_beats,
            queue: 4,
            ..size
        };
        Chip {
            state: State::Idle,
            stop: false,
            snapshot: 0,
            registers: Registers::default(),
            fetch: Fetch::new(),
            issue: Issue::new(config.staged && staged),
            readers: std::array::from_fn(|_| Reader::new(size)),
            lead: [0; WEIGHT_PORTS],
            max_lead: config.max_lead,
            data: Reader::new(data),
            fifos: std::array::from_fn(|_| Prefetch::new(staged)),
            loader: Loader::new(config.profile),
            acts: ActReader::new(config.profile),
            stream: StreamCtrl::new(),
            unit: Unit::new(paper),
            results: Results::new(config.batch > 1, config.staged),
            late: config.staged,
            busy: false,
            counts: Counts::default(),
        }
    }

    /// `STATUS.idle`
    pub fn idle(&self) -> bool {
        self.state == State::Idle
    }

    /// What it drives in this cycle.
    #[inline]
    pub fn outputs(&self) -> Outputs {
        Outputs {
            ar: [
                self.readers[0].ar(),
                self.readers[1].ar(),
                self.readers[2].ar(),
                self.readers[3].ar(),
                self.data.ar(),
            ],
            aw: self.results.aw(),
            w: self.results.w(),
        }
    }

    fn released(&self) -> u32 {
        if self.stop {
            self.snapshot
        } else {
            self.registers.doorbell
        }
    }

    /// Released steps are left.
    fn busy(&self) -> bool {
        let left = self.released().wrapping_sub(self.results.record().steps) as i32;
        self.state == State::Run && left > 0
    }

    /// Nothing will happen in it before memory or software does something: a cycle only counts.
    pub fn still(&self) -> bool {
        let run = matches!(self.state, State::Idle | State::Run) && !self.stop;
        let asked = self.registers.start || self.registers.stop;
        if !run || asked || !self.ports_still() || !self.data.still(false) {
            return false;
        }
        let enable = self.state == State::Run;
        let fetch = self.fetch.still() && !(self.fetch.pushes() && self.room() && enable);
        let issue = self.issue.still(self.released());
        let fed = self.stream.fed(self.acts.valid());
        let starved = !fed || !self.fifos.iter().all(Prefetch::valid);
        let quiet = fetch && issue && self.loader.still() && self.acts.still(&self.loader);
        quiet
            && starved
            && self.stream.still()
            && self.unit.still()
            && self.results.still()
            && self.fifos.iter().all(Prefetch::still)
    }

    fn ports_still(&self) -> bool {
        let mut ports = self.readers.iter().zip(&self.lead);
        let held = |lead: &u32| self.max_lead.is_some_and(|most| *lead >= most);
        let settled = self.lead.contains(&0);
        settled && ports.all(|(reader, lead)| reader.still(held(lead)))
    }

    /// Lets `cycles` pass in which nothing happens, as [`still`](Self::still) says.
    pub fn skip(&mut self, cycles: u64) {
        if cycles % 2 == 1 {
            self.unit.turn_phase();
        }
        if self.state == State::Run {
            let reason = self.reason(false);
            self.counts.add(&reason, cycles);
        }
    }

    /// The pass at the units, if it has at least so many tile rows: rows left, the strip next in its row being the first; strips of a row.
    pub fn long_pass(&self, least: u32) -> Option<(u32, u32)> {
        self.stream.row_begins(least)
    }

    /// The units are at no pass of at least so many tile rows.
    pub fn between_long_passes(&self, least: u32) -> bool {
        !self.stream.in_step_of(least)
    }

    /// Beats of the pass at the units that each port has asked for ahead of the units; `None` if a reader is not in that pass any more.
    pub fn ahead(&self, rows_left: u32, row_strips: u32) -> Option<[u32; WEIGHT_PORTS]> {
        // The collector must be in the same step, too.
        self.results.rows_left().filter(|left| *left >= rows_left)?;
        let mut ahead = [0; WEIGHT_PORTS];
        for (ahead, reader) in ahead.iter_mut().zip(&self.readers) {
            let left = reader.left()?;
            *ahead = (rows_left * row_strips).checked_sub(left)?;
            if *ahead > reader.reach() {
                return None;
            }
        }
        Some(ahead)
    }

    /// So many tile rows of the pass at the units are over at once: for a pass that goes on as it did. Nothing under way changes.
    pub fn jump(&mut self, rows: u32, row_strips: u32) {
        self.stream.jump(rows);
        self.acts.jump(rows);
        self.results.jump(rows);
        for reader in &mut self.readers {
            reader.jump(rows * row_strips);
        }
    }

    /// All queues behind the fetcher have room.
    fn room(&self) -> bool {
        self.issue.steps.ready() && self.readers.iter().all(Reader::ready)
    }

    /// Which counters count in this cycle.
    #[inline]
    fn reason(&self, fire: bool) -> times::Cycle {
        times::Cycle {
            fire,
            streaming: self.stream.begun() || fire,
            filled: std::array::from_fn(|p| self.fifos[p].valid()),
            fed: self.stream.fed(self.acts.valid()),
            blocked: self.results.blocked(self.unit.result()),
            released: self.stream.busy(),
        }
    }

    /// One clock.
    #[inline]
    pub fn cycle(&mut self, i: &Inputs) {
        let (enable, flush) = (self.state == State::Run, self.state == State::Flush);
        let drain = !enable;
        let start = self.state == State::Idle && self.registers.start;

        // What happens in this cycle, from registers and inputs alone.
        let act_valid = self.acts.valid();
        let filled = self.fifos.iter().all(Prefetch::valid);
        let valid = filled && self.stream.fed(act_valid) && (enable || self.stream.offered());
        let fire = valid && self.unit.ready(flush, act_valid);
        let strip = fire.then(|| self.stream.next());
        let act_pop = fire && self.stream.weight();
        let release = fire && self.stream.ends();
        let moves = self
            .results
            .moves(enable, self.unit.result(), i.aw_ready, i.w_ready);
        let beat = i.r[DATA].is_some() && !drain;
        let act_beat = beat && self.data.tag() == ACTIVATIONS;
        let desc_wish = self.fetch.wants() && enable;
        let data_ready = self.data.ready() && !drain;
        let desc_asked = desc_wish && data_ready;
        let act_want = self.loader.want();
        let act_asked = act_want.is_some() && data_ready && !desc_wish;
        let push = self.fetch.pushes() && enable && self.room();
        let pushed = push.then(|| self.registers.ring[self.fetch.index()]);
        let sinks =
            self.loader.ready() && self.acts.ready() && self.stream.ready() && self.results.ready();
        let issued = if enable && sinks && !flush {
            self.issue.released(self.released())
        } else {
            None
        };
        if enable {
            let reason = self.reason(fire);
            self.counts.add(&reason, 1);
        }
        if release {
            self.counts.next();
        }

        // The edge.
        let state = self.next_state(start);
        self.busy = self.busy();
        self.edge_ports(i, drain, flush, fire, pushed);
        let command = if desc_asked {
            Some(Command {
                beat: self.registers.ring_base / 16 + 4 * self.fetch.index() as u64,
                beats: DESC_BEATS,
                tag: DESCRIPTOR,
            })
        } else {
            act_want.filter(|_| act_asked).map(|step| Command {
                beat: step.activations / 16,
                beats: 16 * step.groups * step.vectors,
                tag: ACTIVATIONS,
            })
        };
        self.data
            .edge(drain, true, command, i.ar_ready[DATA], i.r[DATA], beat);
        let ring = self.registers.ring.len();
        self.fetch
            .edge(start, flush, desc_asked, beat && !act_beat, push, ring);
        let released = self.released();
        self.issue
            .edge(enable, flush, released, pushed, issued.is_some());
        self.acts.edge(flush, &self.loader, issued, act_pop);
        self.loader
            .edge(flush, issued, act_asked, act_beat, release);
        self.stream.edge(flush, issued, valid, fire);
        self.unit.edge(flush, strip, moves.row_in);
        let edge = Edge {
            flush,
            enable,
            clear: start,
            aw_ready: i.aw_ready,
            response: i.b,
            record_address: self.registers.record,
        };
        let done = self.results.edge(moves, &edge, issued);
        self.counts.steps += u64::from(done);
        if self.registers.stop && !self.stop {
            self.snapshot = self.registers.doorbell;
        }
        self.stop = match self.state {
            State::Flush => false,
            State::Run => self.stop || self.registers.stop,
            _ => self.stop,
        };
        if start {
            self.registers.doorbell = 0;
            self.counts.at = 0;
        }
        (self.registers.start, self.registers.stop) = (false, false);
        self.state = state;
    }

    fn next_state(&self, start: bool) -> State {
        match self.state {
            State::Idle if start => State::Run,
            State::Run if self.stop => {
                let busy = if self.late { self.busy } else { self.busy() };
                let idle = self.results.writer_idle() && !self.results.pending();
                if !busy && idle {
                    State::Drain
                } else {
                    State::Run
                }
            }
            State::Drain => {
                let readers = self.readers.iter().all(Reader::idle) && self.data.idle();
                if readers && self.results.writer_idle() {
                    State::Flush
                } else {
                    State::Drain
                }
            }
            State::Flush => State::Idle,
            same => same,
        }
    }

    #[inline]
    fn edge_ports(
        &mut self,
        i: &Inputs,
        drain: bool,
        flush: bool,
        pop: bool,
        step: Option<Descriptor>,
    ) {
        let row = step.map(|s| s.row_strips() * s.tile_rows);
        let all_ahead = self.lead.iter().all(|lead| *lead != 0);
        for p in 0..WEIGHT_PORTS {
            let command = step.map(|s| Command {
                beat: s.weights[p] / 16,
                beats: row.unwrap_or(0),
                tag: 0,
            });
            let allowed = self.max_lead.is_none_or(|most| self.lead[p] < most);
            let beat = i.r[p].is_some();
            self.counts.beats[p] += u64::from(beat && !drain);
            let issued = self.readers[p].edge(drain, allowed, command, i.ar_ready[p], i.r[p], pop);
            self.lead[p] = match (issued, all_ahead) {
                _ if drain || self.max_lead.is_none() => 0,
                (true, false) => self.lead[p] + 1,
                (false, true) => self.lead[p] - 1,
                _ => self.lead[p],
            };
            if flush {
                self.fifos[p].flush();
            } else {
                self.fifos[p].edge(beat && !drain, pop);
            }
        }
    }
}
