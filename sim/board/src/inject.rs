//! Errors on purpose: bad responses, ports that hang.

/// Direction of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// AR and R.
    Read,
    /// AW, W and B.
    Write,
}

/// Which bursts are hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Each that touches this address; of a read only the beat that holds it.
    Address(u64),
    /// The n-th burst of the port in this direction from now on, counted from 0; all its beats.
    Burst(u64),
}

/// What happens to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Response SLVERR.
    SlaveError,
    /// Response DECERR.
    DecodeError,
    /// No response until [`Injector::clear`].
    Hang,
}

/// One error to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Injection {
    /// Memory port: 0..=3 weights, 4 data.
    pub port: usize,
    /// Direction.
    pub direction: Direction,
    /// Which bursts.
    pub when: When,
    /// What happens.
    pub effect: Effect,
}

/// AXI response codes.
pub mod response {
    /// Success.
    pub const OKAY: u8 = 0;
    /// The slave failed.
    pub const SLVERR: u8 = 2;
    /// Nobody is at the address.
    pub const DECERR: u8 = 3;
}

/// What the injector makes of one burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Response code of the bad beats.
    pub response: u8,
    /// First and one past the last bad beat.
    pub bad: (u32, u32),
    /// No answer before the injector is cleared.
    pub hang: bool,
}

impl Verdict {
    const GOOD: Self = Self {
        response: response::OKAY,
        bad: (0, 0),
        hang: false,
    };

    /// An answer for a burst that nobody takes.
    pub fn refused(beats: u32) -> Self {
        Self {
            response: response::DECERR,
            bad: (0, beats),
            hang: false,
        }
    }

    /// Response code of a beat.
    pub fn response(&self, beat: u32) -> u8 {
        if beat >= self.bad.0 && beat < self.bad.1 {
            self.response
        } else {
            response::OKAY
        }
    }
}

/// The errors that are planned.
#[derive(Default)]
pub struct Injector {
    planned: Vec<Planned>,
}

struct Planned {
    injection: Injection,
    seen: u64,
}

impl Injector {
    /// Plans one more.
    pub fn add(&mut self, injection: Injection) {
        self.planned.push(Planned { injection, seen: 0 });
    }

    /// Forgets all plans; ports that hang go on.
    pub fn clear(&mut self) {
        self.planned.clear();
    }

    /// Is a port's direction held up?
    pub fn hangs(&self, port: usize, direction: Direction) -> bool {
        self.planned.iter().any(|planned| {
            let injection = planned.injection;
            injection.port == port
                && injection.direction == direction
                && injection.effect == Effect::Hang
        })
    }

    /// Judges a burst as it is accepted.
    pub fn judge(
        &mut self,
        port: usize,
        direction: Direction,
        address: u64,
        beats: u32,
    ) -> Verdict {
        let mut verdict = Verdict::GOOD;
        for planned in &mut self.planned {
            let Injection {
                port: p,
                direction: d,
                when,
                effect,
            } = planned.injection;
            if (p, d) != (port, direction) {
                continue;
            }
            let nth = planned.seen;
            planned.seen += 1;
            let bad = match when {
                When::Burst(n) if n == nth => (0, beats),
                When::Address(at) if at >= address && (at - address) / 16 < u64::from(beats) => {
                    let beat = ((at - address) / 16) as u32;
                    (beat, beat + 1)
                }
                _ => continue,
            };
            match effect {
                Effect::Hang => verdict.hang = true,
                Effect::SlaveError => {
                    verdict = Verdict {
                        response: response::SLVERR,
                        bad,
                        ..verdict
                    }
                }
                Effect::DecodeError => {
                    verdict = Verdict {
                        response: response::DECERR,
                        bad,
                        ..verdict
                    };
                }
            }
        }
        verdict
    }
}
