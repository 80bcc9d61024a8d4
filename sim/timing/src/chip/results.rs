//! Results: rows into the collector's FIFO, bursts out of it, and the record that tells so.
//! (`mm_result_collector`, `mm_axi_writer`, `mm_completion`.)

use std::collections::VecDeque;

use super::fifo::Fifo;
use super::reader::Burst;
use super::steps::Descriptor;

/// Words of 32 bytes that the FIFO holds (512 beats), and words of a row of 128.
const FIFO_WORDS: u32 = 256;
const ROW_WORDS: u32 = 4;
/// Bursts without a response.
const IN_FLIGHT: usize = 8;
/// Steps that the collector holds.
const STEPS_HELD: usize = 4;

/// A completion record: steps complete, rows of the next one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Record {
    /// Steps complete since the program was started.
    pub steps: u32,
    /// Rows of the next one that are in memory.
    pub rows: u32,
}

/// What the response to a burst tells.
#[derive(Debug, Clone, Copy)]
struct Told {
    /// Of a record.
    record: bool,
    rows: u32,
    report: bool,
    last: bool,
}

/// A write burst on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Write {
    /// Address and length.
    pub burst: Burst,
    /// What it holds, if it is a record.
    pub record: Option<Record>,
}

/// The burst that comes next.
#[derive(Debug, Clone, Copy, Default)]
struct Plan {
    need: u32,
    last: bool,
    due: bool,
    tile_rows: u32,
}

#[derive(Debug, Clone)]
pub(super) struct Results {
    staged: bool,
    // collector
    word: u32,
    half: bool,
    level: u32,
    out: bool,
    steps: Fifo<Descriptor>,
    step: Option<Descriptor>,
    address: u64,
    rows_left: u32,
    since: u32,
    burst_rows: u32,
    avail: u32,
    at: u32,
    /// Cycles that the plan of the next burst has had; 4 are enough.
    planned: u32,
    // writer
    /// A burst waits in a register before the writer.
    queued: bool,
    waiting: Option<(Burst, Told)>,
    aw: Option<Write>,
    /// Beats left of the burst that leaves, and whether it is a record.
    w: Option<(u32, bool)>,
    told: VecDeque<Told>,
    // completion
    record: Record,
    pending: bool,
}

/// What happens in a cycle.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Moves {
    /// The units' results are taken.
    pub row_in: bool,
    in_fire: bool,
    /// A beat leaves.
    pub w_fire: bool,
    w_ends: bool,
    out_fire: bool,
    take_record: bool,
    /// The collector's next burst is taken, by the writer or the register before it; the writer takes the one in that register.
    take_burst: bool,
    take_waiting: bool,
    plan: Plan,
}

/// What others do at an edge.
#[derive(Debug, Clone, Copy)]
pub(super) struct Edge {
    pub flush: bool,
    pub enable: bool,
    /// Nothing is done yet: a program starts.
    pub clear: bool,
    /// AWREADY
    pub aw_ready: bool,
    /// BVALID
    pub response: bool,
    /// Address of the completion record.
    pub record_address: u64,
}

impl Results {
    /// For a device with several vectors a pass (`wide`); `staged` as [`ModelConfig`](crate::ModelConfig) has it.
    pub fn new(wide: bool, staged: bool) -> Self {
        Results {
            queued: wide && staged,
            waiting: None,
            staged: wide,
            word: 0,
            half: false,
            level: 0,
            out: false,
            steps: Fifo::new(STEPS_HELD),
            step: None,
            address: 0,
            rows_left: 0,
            since: 0,
            burst_rows: 4,
            avail: 0,
            at: 0,
            planned: 0,
            aw: None,
            w: None,
            told: VecDeque::with_capacity(IN_FLIGHT + 1),
            record: Record::default(),
            pending: false,
        }
    }

    pub fn ready(&self) -> bool {
        self.steps.ready()
    }

    pub fn record(&self) -> Record {
        self.record
    }

    pub fn pending(&self) -> bool {
        self.pending
    }

    pub fn writer_idle(&self) -> bool {
        self.waiting.is_none() && self.aw.is_none() && self.w.is_none() && self.told.is_empty()
    }

    pub fn jump(&mut self, rows: u32) {
        let Some(step) = &self.step else {
            return;
        };
        self.rows_left -= rows * step.vectors;
        self.address += 128 * u64::from(rows * step.vectors);
        self.record.rows += 32 * rows;
    }

    /// Rows of results that no burst has claimed; `None` without a step.
    pub fn rows_left(&self) -> Option<u32> {
        self.step.as_ref().map(|step| self.rows_left / step.vectors)
    }

    /// Results wait and the FIFO is full.
    pub fn blocked(&self, offered: bool) -> bool {
        offered && self.level == FIFO_WORDS
    }

    pub fn aw(&self) -> Option<Write> {
        self.aw
    }

    /// WVALID
    pub fn w(&self) -> bool {
        self.w.is_some_and(|(_, record)| record || self.out)
    }

    /// Nothing moves by itself.
    pub fn still(&self) -> bool {
        let idle = self.aw.is_none() && self.w.is_none() && self.waiting.is_none() && !self.pending;
        let quiet = self.avail == 0 && self.level == 0 && self.planned >= 4;
        idle && (self.step.is_some() && quiet || self.step.is_none() && self.steps.is_empty())
    }

    fn plan(&self, step: &Descriptor) -> Plan {
        let last = self.rows_left <= self.burst_rows;
        let need = if last {
            self.rows_left
        } else {
            self.burst_rows
        };
        let tile_rows = (self.at + need) / step.vectors;
        let due = step.report != 0 && self.since + tile_rows >= step.report;
        Plan {
            need,
            last,
            due,
            tile_rows,
        }
    }

    /// What happens in this cycle.
    #[inline]
    pub fn moves(&self, enable: bool, offered: bool, aw_ready: bool, w_ready: bool) -> Moves {
        let mut moves = Moves::default();
        moves.in_fire = offered && self.level != FIFO_WORDS;
        moves.row_in = moves.in_fire && self.word == ROW_WORDS - 1;
        if let Some((left, record)) = self.w {
            moves.w_fire = (record || self.out) && w_ready;
            moves.w_ends = moves.w_fire && left == 0;
            moves.out_fire = !record && self.out && w_ready;
        }
        let wants_record = self.pending && enable;
        if !wants_record && self.avail == 0 && self.waiting.is_none() {
            return moves;
        }
        let can_take = (self.aw.is_none() || aw_ready)
            && (self.w.is_none() || moves.w_ends)
            && self.told.len() != IN_FLIGHT;
        moves.take_record = can_take && wants_record;
        moves.take_waiting = can_take && !wants_record && self.waiting.is_some();
        let free = if self.queued {
            self.waiting.is_none()
        } else {
            can_take && !wants_record
        };
        if let (Some(step), true) = (&self.step, free && enable) {
            if !self.staged || self.planned >= 4 {
                moves.plan = self.plan(step);
                moves.take_burst = self.avail >= moves.plan.need;
            }
        }
        moves
    }

    /// One edge; says whether a step is complete.
    #[inline]
    pub fn edge(&mut self, moves: Moves, edge: &Edge, step: Option<Descriptor>) -> bool {
        let told = if edge.response {
            self.told.pop_front()
        } else {
            None
        };
        self.edge_writer(&moves, edge.aw_ready, edge.record_address);
        let done = self.edge_completion(&moves, edge.enable, edge.clear, told);
        self.edge_collector(&moves, edge.flush, step);
        done
    }

    #[inline]
    fn edge_writer(&mut self, moves: &Moves, aw_ready: bool, record_address: u64) {
        if aw_ready {
            self.aw = None;
        }
        if moves.w_ends {
            self.w = None;
        } else if let (true, Some((left, _))) = (moves.w_fire, &mut self.w) {
            *left -= 1;
        }
        if moves.take_record {
            self.aw = Some(Write {
                burst: Burst {
                    address: record_address,
                    beats: 1,
                },
                record: Some(self.record),
            });
            self.w = Some((0, true));
            self.told.push_back(Told {
                record: true,
                rows: 0,
                report: false,
                last: false,
            });
        }
        let burst = moves.take_burst.then(|| {
            let Plan {
                need,
                last,
                due,
                tile_rows,
            } = moves.plan;
            let burst = Burst {
                address: self.address,
                beats: 8 * need,
            };
            let told = Told {
                record: false,
                rows: tile_rows,
                report: due || last,
                last,
            };
            (burst, told)
        });
        let leaves = if self.queued {
            let leaves = self.waiting.filter(|_| moves.take_waiting);
            if leaves.is_some() || burst.is_some() {
                self.waiting = burst;
            }
            leaves
        } else {
            burst
        };
        if let Some((burst, told)) = leaves {
            self.w = Some((burst.beats - 1, false));
            self.told.push_back(told);
            self.aw = Some(Write {
                burst,
                record: None,
            });
        }
    }

    fn edge_completion(
        &mut self,
        moves: &Moves,
        enable: bool,
        clear: bool,
        told: Option<Told>,
    ) -> bool {
        if moves.take_record {
            self.pending = false;
        }
        let mut done = false;
        if let Some(told) = told.filter(|t| !t.record && enable) {
            self.record.rows += 32 * told.rows;
            self.pending |= told.report;
            if told.last {
                done = true;
                self.record.steps = self.record.steps.wrapping_add(1);
                self.record.rows = 0;
            }
        }
        self.pending &= enable;
        if clear {
            self.record = Record::default();
        }
        done
    }

    #[inline]
    fn edge_collector(&mut self, moves: &Moves, flush: bool, step: Option<Descriptor>) {
        // Words into the FIFO (mm_fifo) and half words out of it.
        let pop = moves.out_fire && self.half;
        let filled = self.level != u32::from(self.out);
        if !self.out || pop {
            self.out = filled;
        }
        self.level = self.level + u32::from(moves.in_fire) - u32::from(pop);
        self.word = (self.word + u32::from(moves.in_fire)) & 3;
        self.half ^= moves.out_fire;
        self.avail += u32::from(moves.row_in);
        self.planned = if self.step.is_some() {
            (self.planned + 1).min(4)
        } else {
            0
        };
        let mut free = self.step.is_none();
        if moves.take_burst {
            let plan = moves.plan;
            let vectors = self.step.map_or(1, |s| s.vectors);
            self.avail -= plan.need;
            self.address += 128 * u64::from(plan.need);
            self.rows_left -= plan.need;
            self.since = if plan.due {
                0
            } else {
                self.since + plan.tile_rows
            };
            self.at = (self.at + plan.need) % vectors;
            self.planned = 0;
            if plan.last {
                self.step = None;
                free = true;
            }
        }
        let head = self.steps.front().filter(|_| free);
        if let Some(head) = head {
            self.step = Some(head);
            self.address = head.results;
            self.rows_left = head.tile_rows * head.vectors;
            (self.since, self.at, self.planned) = (0, 0, 0);
            self.burst_rows = match (head.report, head.vectors) {
                (1, 1) => 1,
                (1..=3, 1) | (1, ..=3) => 2,
                _ => 4,
            };
        }
        if flush {
            self.steps.flush();
            self.step = None;
            (self.word, self.half, self.level, self.out, self.avail) = (0, false, 0, false, 0);
        } else if step.is_some() || !self.steps.is_empty() {
            self.steps.edge(step, head.is_some());
        }
    }
}
