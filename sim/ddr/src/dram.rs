//! Banks, buses and refresh, and the scheduler that decides which command goes out in a memory clock.
//!
//! First ready, first come: of the row hits that the timing rules allow, the oldest; else a row is opened, else one is closed, for
//! the oldest request that needs it. Rows stay open. Reads and writes are served in turns of one direction.

use super::config::QueueConfig;
use super::jedec::{BURST, DdrRate, Timings};
use super::map::{self, BANKS, GROUPS};

/// No row is open.
const CLOSED: u32 = u32::MAX;
const READ: usize = 0;
const WRITE: usize = 1;
/// Waiting times are looked at again after so many clocks at the latest.
const LOOK: u64 = 16;

/// A line of 64 bytes to read or write.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    bank: u8,
    row: u32,
    /// Writes; otherwise reads.
    pub write: bool,
    /// Controller port.
    pub way: u8,
    /// The port's own number for it.
    pub tag: u32,
    since: u64,
}

impl Request {
    pub fn new(address: u64, write: bool, way: u8, tag: u32) -> Self {
        Self {
            bank: map::bank(address) as u8,
            row: map::row(address),
            write,
            way,
            tag,
            since: 0,
        }
    }
}

/// A served request and when its data has passed the memory's data lines.
#[derive(Debug, Clone, Copy)]
pub(super) struct Done {
    pub request: Request,
    pub at: u64,
}

/// What the memory did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DramCounters {
    /// Memory clocks.
    pub clocks: u64,
    /// Lines of 64 bytes read.
    pub reads: u64,
    /// Lines of 64 bytes written.
    pub writes: u64,
    /// Rows opened.
    pub activates: u64,
    /// Refreshes of all banks.
    pub refreshes: u64,
    /// Turns of the data lines from reading to writing.
    pub turns: u64,
}

#[derive(Debug, Clone, Copy)]
struct Bank {
    row: u32,
    next_activate: u64,
    next_precharge: u64,
    next_access: u64,
    /// Hits since the row was opened that passed an older request for another row.
    passed: u32,
}

/// Requests for one bank in one direction, oldest first, and where the first hit is.
#[derive(Debug, Default)]
struct Waiting {
    list: Vec<Request>,
    hit: Option<usize>,
}

impl Waiting {
    fn look(&mut self, from: usize, row: u32) {
        let found = self.list[from..].iter().position(|r| r.row == row);
        self.hit = found.map(|place| from + place);
    }
}

/// The devices and the queue in front of them.
pub(super) struct Dram {
    timings: Timings,
    queue: QueueConfig,
    banks: [Bank; BANKS],
    waiting: [[Waiting; BANKS]; 2],
    count: [u32; 2],
    /// Direction of the data lines.
    direction: usize,
    /// First clock of the next read or write command, by direction and bank group.
    access_after: [[u64; GROUPS]; 2],
    /// First clock of the next activate, by bank group.
    activate_after: [u64; GROUPS],
    /// The last four activates, for tFAW.
    activates: [u64; 4],
    refresh_due: u64,
    refreshing: bool,
    /// Nothing can happen before, unless something is pushed.
    wake: u64,
    pub counters: DramCounters,
}

impl Dram {
    pub fn new(rate: DdrRate, queue: &QueueConfig) -> Self {
        let timings = rate.timings();
        let bank = Bank {
            row: CLOSED,
            next_activate: 0,
            next_precharge: 0,
            next_access: 0,
            passed: 0,
        };
        Self {
            timings,
            queue: *queue,
            banks: [bank; BANKS],
            waiting: Default::default(),
            count: [0; 2],
            direction: READ,
            access_after: [[0; GROUPS]; 2],
            activate_after: [0; GROUPS],
            activates: [0; 4],
            refresh_due: timings.refi,
            refreshing: false,
            wake: 0,
            counters: DramCounters::default(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.count == [0, 0] && !self.refreshing
    }

    /// Nothing can happen before, unless something is pushed.
    pub fn wake(&self) -> u64 {
        self.wake
    }

    /// May a request of this direction be pushed?
    pub fn has_room(&self, write: bool) -> bool {
        if write {
            self.count[WRITE] < self.queue.write_lines
        } else {
            self.count[READ] < self.queue.read_lines
        }
    }

    pub fn push(&mut self, mut request: Request, now: u64) {
        request.since = now;
        let (kind, bank) = (usize::from(request.write), usize::from(request.bank));
        let waiting = &mut self.waiting[kind][bank];
        if waiting.hit.is_none() && request.row == self.banks[bank].row {
            waiting.hit = Some(waiting.list.len());
        }
        waiting.list.push(request);
        self.count[kind] += 1;
        self.wake = 0;
    }

    /// Refreshes that fall due while nothing else is to do.
    pub fn idle_until(&mut self, until: u64) {
        while self.refresh_due < until {
            self.refresh(self.refresh_due);
        }
    }

    fn refresh(&mut self, now: u64) {
        for bank in &mut self.banks {
            bank.row = CLOSED;
            bank.next_activate = bank.next_activate.max(now + self.timings.rfc);
        }
        for waiting in self.waiting.iter_mut().flatten() {
            waiting.hit = None;
        }
        self.refresh_due += self.timings.refi;
        self.refreshing = false;
        self.counters.refreshes += 1;
    }

    /// One memory clock: at most one command.
    #[inline]
    pub fn step(&mut self, now: u64, done: &mut Vec<Done>) {
        if now < self.wake {
            return;
        }
        if self.refreshing || now >= self.refresh_due {
            self.refreshing = true;
            self.wake = self.toward_refresh(now);
            return;
        }
        self.turn(now);
        if self.count[self.direction] == 0 {
            self.wake = now + LOOK;
            return;
        }
        self.wake = match self.command(now, done) {
            Ok(()) => now + 1,
            Err(next) => next.clamp(now + 1, now + LOOK),
        };
    }

    /// Closes all rows, then refreshes; when to look again.
    fn toward_refresh(&mut self, now: u64) -> u64 {
        if self.banks.iter().any(|bank| bank.row != CLOSED) {
            let open = self.banks.iter().filter(|bank| bank.row != CLOSED);
            let ready = open.map(|bank| bank.next_precharge).max().unwrap_or(now);
            if ready > now {
                return ready;
            }
            for bank in &mut self.banks {
                if bank.row != CLOSED {
                    bank.row = CLOSED;
                    bank.next_activate = bank.next_activate.max(now + self.timings.rp);
                }
            }
        }
        let ready = self.banks.iter().map(|bank| bank.next_activate).max();
        let ready = ready.unwrap_or(now);
        if ready > now {
            return ready;
        }
        self.refresh(now);
        now + 1
    }

    /// Chooses the direction.
    fn turn(&mut self, now: u64) {
        let [reads, writes] = self.count;
        if self.direction == WRITE {
            if writes == 0 {
                self.direction = READ;
            }
            return;
        }
        if writes == 0 {
            return;
        }
        let heads = self.waiting[WRITE].iter().filter_map(|w| w.list.first());
        let oldest = heads.map(|request| request.since).min().unwrap_or(now);
        if reads == 0 || writes >= self.queue.write_high || now >= oldest + self.queue.write_age {
            self.direction = WRITE;
            self.counters.turns += 1;
        }
    }

    /// Issues a command, or says when one may be possible.
    fn command(&mut self, now: u64, done: &mut Vec<Done>) -> Result<(), u64> {
        let kind = self.direction;
        let mut next = u64::MAX;
        let mut access: Option<(u64, usize)> = None;
        let mut row: Option<(u64, usize)> = None;
        let faw = self.activates[0] + self.timings.faw;
        for (b, bank) in self.banks.iter().enumerate() {
            let waiting = &self.waiting[kind][b];
            let Some(head) = waiting.list.first() else {
                continue;
            };
            let late = now >= head.since + self.queue.read_age;
            let starved = head.row != bank.row && (late || bank.passed >= self.queue.row_hits);
            if let (Some(hit), false) = (waiting.hit, starved) {
                let ready = bank.next_access.max(self.access_after[kind][map::group(b)]);
                let since = waiting.list[hit].since;
                if ready > now {
                    next = next.min(ready);
                } else if access.is_none_or(|(oldest, _)| since < oldest) {
                    access = Some((since, b));
                }
                continue;
            }
            let ready = if bank.row == CLOSED {
                let rank = self.activate_after[map::group(b)].max(faw);
                bank.next_activate.max(rank)
            } else {
                bank.next_precharge
            };
            if ready > now {
                next = next.min(ready);
            } else if row.is_none_or(|(oldest, _)| head.since < oldest) {
                row = Some((head.since, b));
            }
        }
        match (access, row) {
            (Some((_, b)), _) => self.access(b, now, done),
            (None, Some((_, b))) if self.banks[b].row == CLOSED => self.activate(b, now),
            (None, Some((_, b))) => self.precharge(b, now),
            (None, None) => return Err(next),
        }
        Ok(())
    }

    fn access(&mut self, b: usize, now: u64, done: &mut Vec<Done>) {
        let (t, kind, group) = (self.timings, self.direction, map::group(b));
        let bank = &mut self.banks[b];
        let waiting = &mut self.waiting[kind][b];
        let Some(hit) = waiting.hit else {
            return;
        };
        let request = waiting.list.remove(hit);
        bank.passed += u32::from(hit != 0);
        waiting.look(hit, bank.row);
        self.count[kind] -= 1;
        let other = 1 - kind;
        for g in 0..GROUPS {
            let same = g == group;
            self.access_after[kind][g] = now + if same { t.ccd_l } else { t.ccd_s };
            let turn = match kind {
                READ => t.read_to_write(),
                _ => t.write_to_read(same),
            };
            self.access_after[other][g] = self.access_after[other][g].max(now + turn);
        }
        let (latency, hold) = match kind {
            READ => (t.cl, t.rtp),
            _ => (t.cwl, t.cwl + BURST + t.wr),
        };
        bank.next_precharge = bank.next_precharge.max(now + hold);
        match kind {
            READ => self.counters.reads += 1,
            _ => self.counters.writes += 1,
        }
        done.push(Done {
            request,
            at: now + latency + BURST,
        });
    }

    fn activate(&mut self, b: usize, now: u64) {
        let (t, group) = (self.timings, map::group(b));
        let head = self.waiting[self.direction][b].list.first();
        let row = head.map_or(CLOSED, |head| head.row);
        for kind in [READ, WRITE] {
            self.waiting[kind][b].look(0, row);
        }
        let bank = &mut self.banks[b];
        bank.row = row;
        bank.passed = 0;
        bank.next_access = now + t.rcd;
        bank.next_precharge = now + t.ras;
        bank.next_activate = now + t.rc;
        for g in 0..GROUPS {
            self.activate_after[g] = now + if g == group { t.rrd_l } else { t.rrd_s };
        }
        self.activates.rotate_left(1);
        self.activates[3] = now;
        self.counters.activates += 1;
    }

    fn precharge(&mut self, b: usize, now: u64) {
        self.banks[b].row = CLOSED;
        let next = &mut self.banks[b].next_activate;
        *next = (*next).max(now + self.timings.rp);
        for kind in [READ, WRITE] {
            self.waiting[kind][b].hit = None;
        }
    }
}
