//! When data crossed the memory ports: for pictures of a run. It looks and never touches, so a watched run takes the same cycles.

use macromac_ddr::timing::PORTS;

/// Cycles without a beat that end a [`Run`].
const PAUSE: u64 = 24;

/// Beats of a port that followed each other without a longer pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Cycle of the first beat.
    pub first: u64,
    /// Cycle of the last beat.
    pub last: u64,
    /// Beats of 16 bytes.
    pub beats: u64,
}

/// Traffic of the ports since [`Board::watch`](crate::Board::watch), in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Read by port 0..=3 (weights) and by the data port.
    pub read: [Vec<Run>; PORTS],
    /// Results written by the data port, without completion records.
    pub written: Vec<Run>,
}

/// Counts of beats, looked at every cycle.
#[derive(Debug)]
pub(crate) struct Watch {
    seen: [u64; PORTS + 1],
    pub traffic: Traffic,
}

impl Watch {
    /// Begins where the ports stand.
    pub fn new(read: [u64; PORTS], written: u64) -> Self {
        Watch {
            seen: joined(read, written),
            traffic: Traffic::default(),
        }
    }

    /// Notes what crossed in `cycle`.
    pub fn look(&mut self, cycle: u64, read: [u64; PORTS], written: u64) {
        let now = joined(read, written);
        if now == self.seen {
            return;
        }
        let ports = self.traffic.read.iter_mut();
        let runs = ports.chain(std::iter::once(&mut self.traffic.written));
        for ((runs, seen), now) in runs.zip(self.seen).zip(now) {
            let beats = now - seen;
            match runs.last_mut() {
                _ if beats == 0 => {}
                Some(run) if cycle - run.last <= PAUSE => {
                    run.last = cycle;
                    run.beats += beats;
                }
                _ => runs.push(Run {
                    first: cycle,
                    last: cycle,
                    beats,
                }),
            }
        }
        self.seen = now;
    }
}

fn joined(read: [u64; PORTS], written: u64) -> [u64; PORTS + 1] {
    std::array::from_fn(|port| read.get(port).copied().unwrap_or(written))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beats_that_follow_each_other_are_one_run() {
        let mut watch = Watch::new([7; PORTS], 3);
        watch.look(10, [7, 8, 7, 7, 7], 3);
        watch.look(11, [7, 9, 7, 7, 7], 4);
        watch.look(12, [7, 9, 7, 7, 7], 4);
        watch.look(11 + PAUSE, [7, 10, 7, 7, 7], 4);
        watch.look(12 + 2 * PAUSE, [7, 11, 7, 7, 7], 4);
        let run = |first, last, beats| Run { first, last, beats };
        assert_eq!(
            watch.traffic.read[1],
            [
                run(10, 11 + PAUSE, 3),
                run(12 + 2 * PAUSE, 12 + 2 * PAUSE, 1)
            ]
        );
        assert_eq!(watch.traffic.written, [run(11, 11, 1)]);
        assert!(watch.traffic.read[0].is_empty());
    }
}
