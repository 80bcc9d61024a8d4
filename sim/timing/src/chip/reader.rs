//! `mm_axi_reader`: segments become bursts, as credits, bursts in flight and the other readers allow.

use std::collections::VecDeque;

use super::fifo::Fifo;

/// A segment to read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Command {
    /// First beat, in beats of 16 bytes.
    pub beat: u64,
    /// Beats.
    pub beats: u32,
    /// Whose it is.
    pub tag: u8,
}

/// A burst on an address channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Burst {
    /// First byte.
    pub address: u64,
    /// Beats of 16 bytes.
    pub beats: u32,
}

/// Parameters of a reader.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReaderSize {
    /// The next burst is planned in cycles of its own.
    pub staged: bool,
    pub burst_beats: u32,
    pub outstanding: usize,
    pub credit: u32,
    pub queue: usize,
}

#[derive(Debug, Clone)]
pub(super) struct Reader {
    size: ReaderSize,
    queue: Fifo<Command>,
    segment: Option<Command>,
    ar: Option<Burst>,
    credit: u32,
    /// Tags of the bursts in flight, oldest first.
    flying: VecDeque<u8>,
    /// Stages of the plan that are done.
    planned: u8,
    line_room: u32,
    plan: (u32, bool),
    room: bool,
}

impl Reader {
    pub fn new(size: ReaderSize) -> Self {
        Reader {
            size,
            queue: Fifo::new(size.queue),
            segment: None,
            ar: None,
            credit: size.credit,
            flying: VecDeque::with_capacity(size.outstanding + 1),
            planned: 0,
            line_room: 0,
            plan: (0, false),
            room: false,
        }
    }

    /// A command would be taken, but for draining.
    pub fn ready(&self) -> bool {
        self.queue.ready()
    }

    /// Tag of the beats that come next.
    pub fn tag(&self) -> u8 {
        self.flying.front().copied().unwrap_or_default()
    }

    /// ARVALID and what goes with it.
    pub fn ar(&self) -> Option<Burst> {
        self.ar
    }

    pub fn idle(&self) -> bool {
        self.ar.is_none()
            && self.segment.is_none()
            && self.flying.is_empty()
            && self.queue.is_empty()
    }

    fn plan_now(&self, segment: &Command) -> (u32, bool) {
        let line = self.size.burst_beats;
        let room = line - (segment.beat as u32 & (line - 1));
        (room.min(segment.beats), segment.beats <= room)
    }

    /// Beats of its segment that it has not asked for.
    pub fn left(&self) -> Option<u32> {
        self.segment.as_ref().map(|segment| segment.beats)
    }

    /// Beats by which it can be ahead of the units.
    pub fn reach(&self) -> u32 {
        self.size.credit
    }

    /// So many beats of the segment, whole bursts, are as if they had never been there.
    pub fn jump(&mut self, beats: u32) {
        if let Some(segment) = &mut self.segment {
            segment.beat += u64::from(beats);
            segment.beats -= beats;
        }
    }

    /// What `issue` looks at, besides the address channel and the other readers: the burst that may go.
    #[inline]
    pub fn wish(&self) -> bool {
        let Some(segment) = &self.segment else {
            return false;
        };
        let room = if self.size.staged {
            self.planned & 4 != 0 && self.room
        } else {
            self.credit >= self.plan_now(segment).0
        };
        room && self.flying.len() != self.size.outstanding
    }

    /// Nothing moves in it by itself: it waits for memory, for room, for work, or is held by the others.
    pub fn still(&self, held: bool) -> bool {
        let planned = match &self.segment {
            // The plan has settled: its last stage looks at the credits only.
            Some(segment) if self.size.staged => {
                self.planned == 7 && self.room == (self.credit >= self.plan_now(segment).0)
            }
            Some(_) => true,
            None => self.queue.is_empty(),
        };
        self.ar.is_none() && (held || !self.wish()) && planned
    }

    /// One edge. `allowed`: the other readers do not hold this one back; `last`: a beat came, and was it its burst's last. Says whether
    /// a burst is asked for.
    #[inline]
    pub fn edge(
        &mut self,
        drain: bool,
        allowed: bool,
        command: Option<Command>,
        ar_ready: bool,
        last: Option<bool>,
        pop: bool,
    ) -> bool {
        if self.segment.is_none() && command.is_none() && self.queue.is_empty() && !drain {
            // Nothing to ask for.
            self.planned = 0;
            if ar_ready {
                self.ar = None;
            }
            self.credit += u32::from(pop);
            if last == Some(true) {
                self.flying.pop_front();
            }
            return false;
        }
        let waits = command.is_none() && self.ar.is_none() && !drain && self.queue.settled();
        if waits && self.planned == 7 && self.segment.is_some() && !(allowed && self.wish()) {
            // It waits for memory, room or the others: all that can change is the room for the planned burst.
            self.room = self.credit >= self.plan.0;
            self.credit += u32::from(pop);
            if last == Some(true) {
                self.flying.pop_front();
            }
            return false;
        }
        let issue = !drain && allowed && (self.ar.is_none() || ar_ready) && self.wish();
        let (len, ends) = match &self.segment {
            Some(_) if self.size.staged => self.plan,
            Some(segment) => self.plan_now(segment),
            None => (0, false),
        };
        let head = self.queue.front();
        let take = head.is_some() && (self.segment.is_none() || (issue && ends));
        if self.size.staged {
            self.edge_plan(drain || issue || take);
        }
        if ar_ready {
            self.ar = None;
        }
        if last == Some(true) {
            self.flying.pop_front();
        }
        if let (true, Some(segment)) = (issue, &mut self.segment) {
            self.ar = Some(Burst {
                address: segment.beat * 16,
                beats: len,
            });
            self.flying.push_back(segment.tag);
            segment.beat += u64::from(len);
            segment.beats -= len;
            self.credit -= len;
            if ends {
                self.segment = None;
            }
        }
        self.credit += u32::from(pop);
        if take {
            self.segment = head;
        }
        if drain {
            self.segment = None;
            self.credit = self.size.credit;
            self.queue.flush();
        } else {
            self.queue.edge(command, take);
        }
        issue
    }

    fn edge_plan(&mut self, again: bool) {
        let valid = self.segment.is_some();
        if let Some(segment) = &self.segment {
            let line = self.size.burst_beats;
            self.room = self.credit >= self.plan.0;
            self.plan = (
                self.line_room.min(segment.beats),
                segment.beats <= self.line_room,
            );
            self.line_room = line - (segment.beat as u32 & (line - 1));
        }
        self.planned = if again {
            0
        } else {
            (self.planned << 1 | u8::from(valid)) & 7
        };
    }
}
