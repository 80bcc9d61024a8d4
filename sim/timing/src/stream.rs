//! Weights between memory and units: a prefetch FIFO that memory fills at its rate and the units empty at theirs.
//!
//! A fluid model: strips are a quantity, not items. One FIFO stands for all four, which advance in lock step.

/// The FIFO and the clock that it was last looked at. Times are PL cycles.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    /// Strips that the FIFO of a port holds at most.
    capacity: f64,
    /// Strips a port and cycle that memory delivers to an eager reader.
    rate: f64,
    /// Strips in the FIFO; negative: memory owes them, because it served others first.
    level: f64,
    now: f64,
}

impl Stream {
    /// A FIFO that begins to fill at time 0.
    pub fn new(capacity: f64, rate: f64) -> Self {
        Stream {
            capacity,
            rate,
            level: 0.0,
            now: 0.0,
        }
    }

    /// Everything prefetched is dropped; the FIFO fills again from `at` on.
    pub fn restart(&mut self, at: f64) {
        self.level = 0.0;
        self.now = at;
    }

    /// The FIFO fills until `at`; nothing happens if that has passed.
    pub fn idle_until(&mut self, at: f64) {
        if at > self.now {
            self.level = self.capacity.min(self.level + self.rate * (at - self.now));
            self.now = at;
        }
    }

    /// Takes `strips` of each port from `at` on, one in `pace` cycles at best; the time when the last one is taken.
    pub fn take(&mut self, strips: f64, pace: f64, at: f64) -> f64 {
        self.idle_until(at);
        let paced = strips * pace;
        let starved = (strips - self.level) / self.rate;
        let cycles = paced.max(starved);
        self.level = self.capacity.min(self.level + self.rate * cycles - strips);
        self.now += cycles;
        self.now
    }

    /// Memory moves `strips` of each port's worth for somebody else.
    pub fn disturb(&mut self, strips: f64) {
        self.level -= strips;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_fifo_hides_a_slow_memory_until_it_is_empty() {
        let mut s = Stream::new(100.0, 0.5);
        s.idle_until(1000.0);
        // 100 strips are there, 50 come while 100 are taken, and so on: 200 at full pace.
        assert_eq!(s.take(150.0, 1.0, 1000.0), 1150.0);
        assert_eq!(s.take(150.0, 1.0, 1150.0), 1400.0);
        assert_eq!(s.take(10.0, 1.0, 1400.0), 1420.0);
    }

    #[test]
    fn a_gap_refills_it_and_others_cost_their_share() {
        let mut s = Stream::new(100.0, 0.5);
        s.take(10.0, 1.0, 0.0);
        s.idle_until(60.0);
        assert_eq!(s.take(20.0, 1.0, 60.0), 80.0);
        s.disturb(15.0);
        assert_eq!(s.take(5.0, 1.0, 80.0), 100.0);
    }

    #[test]
    fn a_memory_that_keeps_up_leaves_the_pace_to_the_units() {
        let mut s = Stream::new(100.0, 1.0);
        assert_eq!(s.take(1000.0, 1.0, 10.0), 1010.0);
        assert_eq!(s.take(10.0, 2.0, 1010.0), 1030.0);
    }
}
