//! How long the PS takes: four Cortex-A53 at 1.333 GHz, by a table that is derived from the compiled kernels.
//!
//! For a kernel on T threads that runs C cycles and moves D bytes of DDR:
//!
//! ```text
//! time = max(1 us, C / T / 1.333 GHz, D / bandwidth(T)) + (T > 1 ? barrier : 0) + cache lines x maintenance + call
//! ```
//!
//! * C is cycles an element, from [`table`] (`make ps-table`: static analysis of each loop of the aarch64 assembly
//!   by llvm-mca's model of the A53, which takes every load for a hit of the first-level cache), times elements;
//!   for attention the slowest thread counts.
//! * D: what comes from or goes to DDR rather than the caches (32 KiB each, 1 MiB together): norm weights and
//!   biases (a token passes until they are needed again), the key-value cache, what the accelerator
//!   reads and writes. Vectors between two kernels stay in the caches.
//! * Every constant names its source below. No board has been measured.
//!
//! The profile [`Profile::Paper`] charges Table I of the paper in place of all this.

pub mod loops;
pub mod report;

pub mod table;

use std::time::Duration;

use crate::attention;
use crate::cache::{CacheType, PIECE, VALUES};
use table::Table;

/// Clock of the A53 cores of the KV260's K26 in Hz (data sheet: 1.333 GHz).
pub const CLOCK_HZ: f64 = 1.333e9;
/// Cores.
pub const CORES: usize = 4;
/// DDR bandwidth that the A53 cores reach together, in bytes a second: the most that was measured on a KV260.
pub const BANDWIDTH: f64 = 5.7e9;
/// The same for one core: an assumption, half of what four reach.
pub const BANDWIDTH_OF_ONE: f64 = BANDWIDTH / 2.0;
/// The least a kernel takes, in seconds: call, tail and first misses. An assumption, and a generous one.
pub const LAUNCH: f64 = 1e-6;
/// Sharing work out to waiting threads and meeting again, in seconds: an assumption. Each way is one line of
/// cache that four cores of a cluster pass around, some tens of nanoseconds a hop.
pub const BARRIER: f64 = 2e-6;
/// Cleaning or invalidating one line of cache by address, in cycles: an assumption (an instruction that goes
/// through to the second-level cache, and a line written back).
pub const LINE_CYCLES: f64 = 40.0;
/// The call into the kernel that does it, for any number of lines, in seconds: an assumption.
pub const CALL: f64 = 1e-6;
/// Bytes of a line.
pub const LINE: usize = 64;
/// Cycles of one double-precision angle ([`crate::rotary::angles`]): 17 divisions of 29 cycles (Arm's
/// optimization guide of the A55, the A53's has none) that depend on one another two by two, and 40 operations of 4 to 8.
pub const ANGLE_CYCLES: f64 = 700.0;

/// Whether the short kernels of a batch of so many vectors are shared out, each vector to one thread: for fewer it would not pay.
pub fn shares_out_vectors(vectors: usize) -> bool {
    vectors >= CORES
}

/// Whether the PL sees the caches of the cores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Coherency {
    /// The PL's accesses are snooped (HPC port with broadcasting set): no maintenance.
    #[default]
    Coherent,
    /// Activations are cleaned and results invalidated, line by line.
    NonCoherent,
}

/// Where the charges come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// The table of the compiled kernels.
    #[default]
    Derived,
    /// The same by the model of the core's successor, the A55, which lets results finish out of order, as both
    /// cores do; the A53's makes a load wait for the multiply-adds before it. The truth lies nearer to this one.
    Successor,
    /// Table I of the paper, scaled by shape.
    Paper,
}

/// One launch of a kernel on one vector; shapes in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    /// One embedding row of `n`.
    Embed {
        /// Width.
        n: usize,
    },
    /// Cosines and sines of a position for heads of width `d`.
    Angles {
        /// Width of a head.
        d: usize,
    },
    /// RMSNorm of `n`.
    RmsNorm {
        /// Width.
        n: usize,
    },
    /// Residual: `n` additions.
    Add {
        /// Width.
        n: usize,
    },
    /// Bias of q, k and v: `n` additions.
    Bias {
        /// Width.
        n: usize,
    },
    /// Rotary embedding of `heads` heads of width `d`.
    Rotate {
        /// Query and key heads.
        heads: usize,
        /// Width of a head.
        d: usize,
    },
    /// Appending `rows` rows of width `d` (keys and values) to the cache.
    Push {
        /// Rows.
        rows: usize,
        /// Width of a head.
        d: usize,
        /// Format of the cache.
        cache: CacheType,
    },
    /// Attention of neighbouring positions: one launch for all of them, `charge`'s vectors being 1.
    Attend {
        /// Positions that attend.
        queries: usize,
        /// Query heads.
        heads: usize,
        /// Key-value heads.
        kv_heads: usize,
        /// Width of a head.
        d: usize,
        /// Positions that the first attends to; each further one sees one more.
        positions: usize,
        /// Format of the cache.
        cache: CacheType,
    },
    /// SwiGLU of `n`.
    Silu {
        /// Width.
        n: usize,
    },
    /// Largest of `n` logits, and whether all are finite.
    Peak {
        /// Vocabulary.
        n: usize,
    },
    /// Activations of `n` to the accelerator.
    Submit {
        /// Numbers.
        n: usize,
    },
    /// Results of `n` from the accelerator.
    Collect {
        /// Numbers.
        n: usize,
    },
    /// `part` results of `all`, the others coming by themselves.
    CollectPart {
        /// Numbers in all.
        all: usize,
        /// Numbers of this part.
        part: usize,
    },
    /// An FP16 matrix [n, k] times a vector.
    MatrixF16 {
        /// Rows.
        n: usize,
        /// Columns.
        k: usize,
    },
    /// An FP32 matrix [n, k] times a vector.
    MatrixF32 {
        /// Rows.
        n: usize,
        /// Columns.
        k: usize,
    },
}

/// What a launch costs.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Charge {
    /// Time of the PS.
    pub time: Duration,
    /// Bytes of DDR read and written by the PS meanwhile.
    pub ddr_bytes: u64,
}

impl std::ops::AddAssign for Charge {
    fn add_assign(&mut self, other: Charge) {
        self.time += other.time;
        self.ddr_bytes += other.ddr_bytes;
    }
}

/// The cost model of the PS.
#[derive(Debug, Clone, PartialEq)]
pub struct PsTime {
    profile: Profile,
    coherency: Coherency,
    /// Factor on every time: 2 for the pessimistic headline.
    factor: f64,
    table: Table,
}

/// Raw cost before launch, bandwidth and barriers are applied.
#[derive(Default)]
struct Work {
    /// Cycles of all threads together, or of the slowest times the threads.
    cycles: f64,
    /// DDR bytes for each vector of a batch.
    bytes: usize,
    /// DDR bytes once for a batch: weights.
    shared_bytes: usize,
    /// Whether the kernel is shared out to all cores.
    shared_out: bool,
    /// Whether the vectors of a batch are, one to a core, where there are enough of them.
    by_vector: bool,
    /// Bytes whose lines are cleaned or invalidated.
    maintained: usize,
}

impl PsTime {
    /// The model of a profile.
    pub fn new(profile: Profile, coherency: Coherency) -> Self {
        PsTime {
            profile,
            coherency,
            factor: 1.0,
            table: Table::committed(),
        }
    }

    /// The same with every time multiplied by `factor`.
    pub fn times(mut self, factor: f64) -> Self {
        self.factor *= factor;
        self
    }

    /// What `kernel` costs for a batch of `vectors`: one launch, weights read once.
    pub fn charge(&self, kernel: Kernel, vectors: usize) -> Charge {
        let work = self.work(kernel);
        let bytes = work.bytes * vectors + work.shared_bytes;
        let seconds = match self.profile {
            Profile::Paper => paper(kernel) * vectors as f64,
            Profile::Derived | Profile::Successor => {
                let by_vector = work.by_vector && shares_out_vectors(vectors);
                // What the slowest core does, in vectors.
                let slowest = match (work.shared_out, by_vector) {
                    (true, _) => vectors as f64 / CORES as f64,
                    (false, true) => vectors.div_ceil(CORES) as f64,
                    (false, false) => vectors as f64,
                };
                let (bandwidth, barrier) = if work.shared_out || by_vector {
                    (BANDWIDTH, BARRIER)
                } else {
                    (BANDWIDTH_OF_ONE, 0.0)
                };
                let maintained = match self.coherency {
                    Coherency::Coherent => 0,
                    Coherency::NonCoherent => work.maintained * vectors,
                };
                let call = if maintained > 0 { CALL } else { 0.0 };
                let lines = maintained.div_ceil(LINE);
                let cycles = work.cycles * slowest;
                (cycles / CLOCK_HZ)
                    .max(bytes as f64 / bandwidth)
                    .max(LAUNCH)
                    + barrier
                    + lines as f64 * LINE_CYCLES / CLOCK_HZ
                    + call
            }
        };
        Charge {
            time: Duration::from_nanos((seconds * self.factor * 1e9).round() as u64),
            ddr_bytes: bytes as u64,
        }
    }

    /// Whether all cores work on a kernel for so many vectors, or one.
    pub fn is_shared_out(&self, kernel: Kernel, vectors: usize) -> bool {
        let work = self.work(kernel);
        work.shared_out || work.by_vector && shares_out_vectors(vectors)
    }

    /// Cycles an element of a loop.
    fn cycles(&self, name: &str) -> f64 {
        self.table.cycles(name, self.profile == Profile::Successor)
    }

    fn work(&self, kernel: Kernel) -> Work {
        let each = |name: &str| self.cycles(name);
        match kernel {
            // A row of INT4 blocks touches one strip of eighteen of each group; the arithmetic is that of a conversion.
            Kernel::Embed { n } => Work {
                cycles: 4.0 * n as f64 * each("widen_f16"),
                bytes: 4 * n,
                ..Work::default()
            },
            Kernel::Angles { d } => Work {
                cycles: d as f64 / 2.0 * ANGLE_CYCLES,
                ..Work::default()
            },
            Kernel::RmsNorm { n } => Work {
                by_vector: true,
                cycles: n as f64 * (each("sum_squares") + each("scale_weighted")),
                shared_bytes: 4 * n,
                ..Work::default()
            },
            Kernel::Add { n } => Work {
                by_vector: true,
                cycles: n as f64 * each("add"),
                ..Work::default()
            },
            Kernel::Bias { n } => Work {
                by_vector: true,
                cycles: n as f64 * each("add"),
                shared_bytes: 4 * n,
                ..Work::default()
            },
            Kernel::Rotate { heads, d } => Work {
                by_vector: true,
                cycles: (heads * d) as f64 * each("rotate"),
                ..Work::default()
            },
            Kernel::Push { rows, d, cache } => Work {
                cycles: (rows * d) as f64
                    * match cache {
                        CacheType::F32 => each("add"),
                        CacheType::F16 => each("narrow_f16"),
                        CacheType::Q8 => each("quantize"),
                    }
                    // Half of the rows are keys, whose numbers go to places apart.
                    + (rows * d) as f64 / 2.0 * each("every_eighth"),
                bytes: rows * cache.row_bytes(d),
                ..Work::default()
            },
            Kernel::Attend {
                queries,
                heads,
                kv_heads,
                d,
                positions,
                cache,
            } => self.attention(queries, [heads, kv_heads], d, positions, cache),
            Kernel::Silu { n } => Work {
                cycles: n as f64 * each("silu_product"),
                shared_out: n >= crate::vector::SILU_SHARED_FROM,
                ..Work::default()
            },
            Kernel::Peak { n } => Work {
                cycles: n as f64 * each("peak"),
                bytes: 4 * n,
                shared_out: n >= crate::vector::PEAK_SHARED_FROM,
                ..Work::default()
            },
            // Read or written once in the caches, once in DDR.
            Kernel::Submit { n } => Work {
                cycles: n as f64 * each("add"),
                by_vector: true,
                bytes: 4 * n,
                maintained: 4 * n,
                ..Work::default()
            },
            Kernel::Collect { n } => self.work(Kernel::CollectPart { all: n, part: n }),
            Kernel::CollectPart { all, part } => Work {
                cycles: part as f64 * each("add"),
                // Where the copy does not fit the second-level cache beside all else, it goes back to DDR.
                by_vector: true,
                bytes: if all > 64 * 1024 { 8 * part } else { 4 * part },
                maintained: 4 * part,
                ..Work::default()
            },
            Kernel::MatrixF16 { n, k } => Work {
                cycles: (n * k) as f64 * each("head_f16"),
                shared_bytes: 2 * n * k,
                shared_out: true,
                ..Work::default()
            },
            Kernel::MatrixF32 { n, k } => Work {
                cycles: (n * k) as f64 * each("matrix_f32"),
                shared_bytes: 4 * n * k,
                shared_out: true,
                ..Work::default()
            },
        }
    }

    fn attention(
        &self,
        queries: usize,
        [heads, kv_heads]: [usize; 2],
        d: usize,
        positions: usize,
        cache: CacheType,
    ) -> Work {
        let successor = self.profile == Profile::Successor;
        let format = match cache {
            CacheType::F32 => "f32",
            CacheType::F16 => "f16",
            CacheType::Q8 => "q8",
        };
        // The table has the loops for two, four and seven heads; a part is charged as the next of them, eight heads by the loop of seven.
        let of = |what: &str, h: usize| match h {
            0..=2 => (2, format!("{what}_2")),
            3..=4 => (4, format!("{what}_4")),
            _ => (h.max(7), what.to_owned()),
        };
        let each = |what: &str, h: usize| {
            let (h, name) = of(what, h);
            h as f64 * self.cycles(&name)
        };
        let product = |what: &str, h: usize, n: usize, times: usize| {
            let what = format!("{what}_{format}");
            let around = self.table.around(&of(&what, h).1, successor);
            (n * d) as f64 * each(&what, h) + times as f64 * around
        };
        // Cycles of a part of h heads over n positions: one tile of scores is eight positions, one of sums eight columns of a block.
        let cost = |h: usize, n: usize| {
            let tiles = n.div_ceil(PIECE);
            let columns = n.div_ceil(VALUES) * d.div_ceil(PIECE);
            product("scores", h, tiles * PIECE, tiles)
                + product("columns", h, n, columns)
                // Three positions that fill no four, charged always.
                + (h * 3 * d) as f64 * self.cycles("last_columns")
                + n as f64 * (each("largest", h) + each("exponentials", h))
        };
        let mut threads = vec![0f64; CORES];
        for h in (0..kv_heads).flat_map(|_| attention::parts(heads / kv_heads)) {
            for half in 0..2 {
                let one = |i: usize| match attention::halves(positions + i)[half].len() {
                    0 => 0.0,
                    n => cost(h, n) + (h * d) as f64 * self.cycles("add"),
                };
                let least = (0..CORES)
                    .min_by(|a, b| threads[*a].total_cmp(&threads[*b]))
                    .expect("there are cores");
                threads[least] += (0..queries).map(one).sum::<f64>();
            }
        }
        let shared_out = attention::is_shared_out(queries * heads * d, positions);
        let all: f64 = threads.iter().sum();
        let slowest = threads.into_iter().fold(0.0, f64::max);
        // The halves meet on one thread.
        let meet = (queries * heads * d) as f64 * self.cycles("weigh");
        let cycles = if shared_out {
            (slowest + meet) * CORES as f64
        } else {
            all + meet
        };
        Work {
            cycles,
            // Read once for all queries.
            bytes: 2 * kv_heads * (positions + queries - 1) * cache.row_bytes(d),
            shared_out,
            ..Work::default()
        }
    }
}

/// Table I of the paper, in seconds, scaled by shape from one layer of Qwen2.5-0.5B. Its residual additions are in its
/// matrix rows; it names no context for attention and no cost of an output matrix or a sampler.
fn paper(kernel: Kernel) -> f64 {
    let us = |us: f64, n: usize, of: usize| us * 1e-6 * n as f64 / of as f64;
    match kernel {
        // "Token embedding copy and layer initialization", 32 us a layer: charged a layer, with the first norm.
        Kernel::Embed { .. } | Kernel::Angles { .. } => 0.0,
        Kernel::RmsNorm { n } => us(25.0 / 2.0 + 32.0 / 2.0, n, 896),
        Kernel::Bias { n } => us(35.0, n, 1152),
        Kernel::Rotate { heads, d } => us(87.0, heads * d, 16 * 64),
        Kernel::Attend {
            queries, heads, d, ..
        } => us(42.0, queries * heads * d, 14 * 64),
        Kernel::Silu { n } => us(278.0, n, 4864),
        Kernel::MatrixF16 { n, k } | Kernel::MatrixF32 { n, k } => us(
            1815.0 + 839.0 + 8148.0 + 4651.0,
            n * k,
            report::LAYER_WEIGHTS,
        ),
        Kernel::Add { .. }
        | Kernel::Push { .. }
        | Kernel::Peak { .. }
        | Kernel::Submit { .. }
        | Kernel::Collect { .. }
        | Kernel::CollectPart { .. } => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ps() -> PsTime {
        PsTime::new(Profile::Derived, Coherency::Coherent)
    }

    #[test]
    fn every_launch_takes_at_least_a_microsecond_and_its_bytes() {
        let tiny = ps().charge(Kernel::Add { n: 4 }, 1);
        assert_eq!(tiny.time, Duration::from_micros(1));
        let attend = |positions, cache| {
            let kernel = Kernel::Attend {
                queries: 1,
                heads: 14,
                kv_heads: 2,
                d: 64,
                positions,
                cache,
            };
            ps().charge(kernel, 1)
        };
        for positions in [100, 1000, 10_000] {
            for cache in CacheType::ALL {
                let c = attend(positions, cache);
                assert!(c.time.as_secs_f64() >= c.ddr_bytes as f64 / BANDWIDTH);
                assert!(c.time < attend(positions + 100, cache).time);
            }
        }
    }

    #[test]
    fn maintenance_and_factor_add_up() {
        let plain = ps().charge(Kernel::Submit { n: 4864 }, 1).time;
        let kernel = Kernel::Submit { n: 4864 };
        let kept = PsTime::new(Profile::Derived, Coherency::NonCoherent)
            .charge(kernel, 1)
            .time;
        let lines = 4864.0 * 4.0 / 64.0 * LINE_CYCLES / CLOCK_HZ;
        assert!(((kept - plain).as_secs_f64() - lines - CALL).abs() < 2e-9);
        let twice = ps().times(2.0).charge(kernel, 1).time;
        assert!(twice.abs_diff(plain * 2) <= Duration::from_nanos(1));
    }

    #[test]
    fn a_batch_reads_weights_once() {
        let one = ps().charge(Kernel::Bias { n: 1152 }, 1);
        let eight = ps().charge(Kernel::Bias { n: 1152 }, 8);
        assert_eq!(one.ddr_bytes, eight.ddr_bytes);
        assert!(eight.time < one.time * 8);
    }

    #[test]
    fn the_paper_profile_adds_up_to_table_one() {
        let p = PsTime::new(Profile::Paper, Coherency::Coherent);
        let total: Duration = report::layer(1, 1, CacheType::F32)
            .into_iter()
            .chain(report::layer_matrices())
            .map(|k| p.charge(k, 1).time)
            .sum();
        let table = Duration::from_micros(15_952);
        assert!(
            total.abs_diff(table) < Duration::from_micros(1),
            "{total:?}"
        );
    }
}
