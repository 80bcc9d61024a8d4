//! Stall patterns for one side of a handshake.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// How often a side of a handshake pauses.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pause {
    /// Never.
    Never,
    /// `idle` cycles of pause after each active cycle.
    Every {
        /// Cycles of pause.
        idle: u32,
    },
    /// Each cycle is a pause with this probability.
    Random {
        /// 0.0..1.0
        probability: f64,
    },
    /// Active and paused stretches of random length, 1 to the given number of cycles each.
    Bursts {
        /// Longest active stretch.
        active: u32,
        /// Longest pause.
        idle: u32,
    },
}

impl Pause {
    /// A random pattern: the usual choice for a testbench that sweeps seeds.
    pub fn any(rng: &mut ChaCha8Rng) -> Self {
        match rng.random_range(0..4) {
            0 => Self::Never,
            1 => Self::Every {
                idle: rng.random_range(1..4),
            },
            2 => Self::Random {
                probability: rng.random_range(0.05..0.9),
            },
            _ => Self::Bursts {
                active: rng.random_range(1..32),
                idle: rng.random_range(1..32),
            },
        }
    }
}

/// Decides cycle by cycle whether a side of a handshake pauses.
#[derive(Debug, Clone)]
pub struct Pauser {
    pause: Pause,
    rng: ChaCha8Rng,
    paused: bool,
    /// Cycles left in the present stretch.
    left: u32,
}

impl Pauser {
    /// A pauser with its own random stream; see [`Harness::pauser`](crate::Harness::pauser).
    pub fn new(pause: Pause, rng: ChaCha8Rng) -> Self {
        Self {
            pause,
            rng,
            paused: true,
            left: 0,
        }
    }

    /// Call once a cycle: true = pause in this cycle.
    pub fn pause(&mut self) -> bool {
        match self.pause {
            Pause::Never => false,
            Pause::Random { probability } => self.rng.random_bool(probability),
            Pause::Every { idle } => self.stretch(|_, paused| if paused { idle } else { 1 }),
            Pause::Bursts { active, idle } => {
                self.stretch(|rng, paused| rng.random_range(1..=if paused { idle } else { active }))
            }
        }
    }

    fn stretch(&mut self, length: impl Fn(&mut ChaCha8Rng, bool) -> u32) -> bool {
        while self.left == 0 {
            self.paused = !self.paused;
            self.left = length(&mut self.rng, self.paused);
        }
        self.left -= 1;
        self.paused
    }
}
