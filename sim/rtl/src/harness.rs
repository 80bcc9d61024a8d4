//! Runs a testbench: seed, clock, watchdog, checks, and the waveform of a failure.

use std::cell::Cell;
use std::env;
use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::model::waves_dir;
use crate::{Model, Pause, Pauser, Verilated};

/// Cycles of waveform kept before a failure.
const WINDOW: u64 = 2_000;
/// A testbench that does not say otherwise ends after this many cycles without progress.
const WATCHDOG: u64 = 10_000;

/// A device under test with its clock, its random numbers and its checks.
///
/// Everything random comes from the seed, so a run with the same seed is the same run.
pub struct Harness<T: Verilated> {
    /// The device under test.
    pub dut: Model<T>,
    rng: ChaCha8Rng,
    streams: u64,
    watchdog: u64,
    last_progress: u64,
    wave: Option<(PathBuf, u64)>,
    cycle_cell: std::rc::Rc<Cell<u64>>,
}

/// The seed of a testbench: `MACROMAC_SEED` if set (`random` draws one from the clock), otherwise fixed by
/// its name, so that a run without the variable is the same everywhere.
pub fn seed_of(name: &str) -> u64 {
    match env::var("MACROMAC_SEED").as_deref() {
        Ok("random") => {
            let mut hasher = DefaultHasher::new();
            (std::time::SystemTime::now(), name).hash(&mut hasher);
            hasher.finish() >> 32
        }
        Ok(text) if !text.is_empty() => text
            .parse()
            .unwrap_or_else(|_| panic!("MACROMAC_SEED={text}: expected a number or 'random'")),
        // FNV-1a: stays the same with every compiler.
        _ => {
            name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
            }) >> 32
        }
    }
}

/// Runs a testbench on a fresh model.
///
/// The seed is printed first. When the testbench panics (a failed check, a failed assertion of the RTL,
/// the watchdog), the cycle, the seed and the command to replay it are printed, and it is run once more
/// with the same seed, now writing the last cycles before the failure to an FST file under
/// `target/waves/`. With `MACROMAC_WAVES=1` (or `=PATH`) the whole first run is written instead;
/// `MACROMAC_WAVES=0` switches the second run off.
///
/// # Panics
///
/// When the testbench does.
pub fn run<T: Verilated>(name: &str, testbench: impl Fn(&mut Harness<T>)) {
    let seed = seed_of(name);
    println!("{}: {name}: seed {seed}", T::NAME);
    let request = env::var("MACROMAC_WAVES").unwrap_or_default();
    let default_path = waves_dir().join(format!("{}-{}-{seed}.fst", T::NAME, file_name(name)));
    let wave = match request.as_str() {
        "" | "0" => None,
        "1" => Some((default_path.clone(), 0)),
        path => Some((PathBuf::from(path), 0)),
    };
    let traced = wave.is_some();
    let Err((panic, cycle)) = attempt(seed, wave, &testbench) else {
        return;
    };

    println!("{}: {name}: FAILED in cycle {cycle}, seed {seed}", T::NAME);
    println!(
        "replay: {}; MACROMAC_WAVES=1 writes the whole waveform",
        replay_command(seed)
    );
    if traced {
        println!(
            "waveform: {}",
            if request == "1" {
                default_path.display().to_string()
            } else {
                request
            }
        );
    } else if request != "0" {
        let from = cycle.saturating_sub(WINDOW);
        match attempt(seed, Some((default_path.clone(), from)), &testbench) {
            Err((_, again)) if again == cycle => {
                println!(
                    "waveform from cycle {from} (second run, same seed): {}",
                    default_path.display()
                );
            }
            _ => println!("no waveform: the second run with the same seed took another way"),
        }
    }
    resume_unwind(panic);
}

/// One run; on a panic its payload and the cycle it came in.
fn attempt<T: Verilated>(
    seed: u64,
    wave: Option<(PathBuf, u64)>,
    testbench: &impl Fn(&mut Harness<T>),
) -> Result<(), (Box<dyn std::any::Any + Send>, u64)> {
    let mut harness = Harness::new(seed, wave);
    let cycle = harness.cycle_cell.clone();
    // The harness is dropped whole after a panic, so no broken state can be seen.
    catch_unwind(AssertUnwindSafe(|| {
        testbench(&mut harness);
        drop(harness);
    }))
    .map_err(|panic| (panic, cycle.get()))
}

/// The command line that runs the present test again.
fn replay_command(seed: u64) -> String {
    let program = env::current_exe().unwrap_or_default();
    let program = program
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    // Cargo appends a hash to the name of the test file, and names the thread after the test.
    let file = program
        .rsplit_once('-')
        .map_or(program.as_str(), |(file, _)| file);
    let thread = std::thread::current();
    let test = thread.name().unwrap_or_default();
    format!("MACROMAC_SEED={seed} cargo test -p macromac-tests --test {file} -- {test}")
}

fn file_name(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect()
}

impl<T: Verilated> Harness<T> {
    /// A harness outside [`run`]: for callers that handle failures themselves.
    pub fn new(seed: u64, wave: Option<(PathBuf, u64)>) -> Self {
        let mut harness = Self {
            dut: Model::new(seed),
            rng: ChaCha8Rng::seed_from_u64(seed),
            streams: 0,
            watchdog: WATCHDOG,
            last_progress: 0,
            wave,
            cycle_cell: Default::default(),
        };
        harness.open_wave();
        harness
    }

    /// Holds reset for four cycles and releases it. Inputs stay as they are.
    pub fn reset(&mut self) {
        self.dut.set_reset(true);
        for _ in 0..4 {
            self.step();
        }
        self.dut.set_reset(false);
        self.progress();
    }

    /// One clock cycle; see [`Model`]. The outputs `dut.o` are those just before the rising edge.
    ///
    /// # Panics
    ///
    /// When an assertion of the RTL fails or the watchdog expires.
    pub fn step(&mut self) {
        self.settle();
        self.edge();
    }

    /// First half of a cycle: applies the inputs, reads the outputs.
    ///
    /// # Panics
    ///
    /// When the RTL reports an error.
    pub fn settle(&mut self) {
        if let Err(failure) = self.dut.settle() {
            panic!("{failure}");
        }
    }

    /// Second half of a cycle: the rising edge.
    ///
    /// # Panics
    ///
    /// When an assertion of the RTL fails or the watchdog expires.
    pub fn edge(&mut self) {
        let result = self.dut.edge();
        let cycle = self.dut.cycle();
        self.cycle_cell.set(cycle);
        if let Err(failure) = result {
            panic!("{failure}");
        }
        if cycle - self.last_progress > self.watchdog {
            panic!(
                "watchdog: no progress for {} cycles, since cycle {}",
                self.watchdog, self.last_progress
            );
        }
        if self.wave.as_ref().is_some_and(|(_, from)| *from == cycle) {
            self.open_wave();
        }
    }

    /// Completed clock cycles.
    pub fn cycle(&self) -> u64 {
        self.dut.cycle()
    }

    /// Tells the watchdog that something has moved. The stream helpers do not do it for you.
    pub fn progress(&mut self) {
        self.last_progress = self.dut.cycle();
    }

    /// Sets how many cycles may pass without [`progress`](Self::progress); the default is 10,000.
    pub fn set_watchdog(&mut self, cycles: u64) {
        self.watchdog = cycles;
    }

    /// The testbench's random numbers.
    pub fn rng(&mut self) -> &mut ChaCha8Rng {
        &mut self.rng
    }

    /// A pauser with a random stream of its own, so that adding one does not change the others.
    pub fn pauser(&mut self, pause: Pause) -> Pauser {
        self.streams += 1;
        let mut rng = ChaCha8Rng::seed_from_u64(self.dut.seed());
        rng.set_stream(self.streams);
        Pauser::new(pause, rng)
    }

    /// Compares a value of the device with the reference.
    ///
    /// # Panics
    ///
    /// When they differ, with both values and the cycle.
    #[track_caller]
    pub fn check_eq<V: PartialEq + Debug>(&self, what: &str, got: V, expected: V) {
        if got != expected {
            panic!(
                "{}: {what}: rtl != golden in cycle {} (seed {}): expected {expected:?}, got {got:?}",
                T::NAME,
                self.dut.cycle(),
                self.dut.seed(),
            );
        }
    }

    /// As [`check_eq`](Self::check_eq) for bit patterns: prints both in hexadecimal.
    #[track_caller]
    pub fn check_bits(&self, what: &str, got: impl Into<u64>, expected: impl Into<u64>) {
        let (got, expected) = (got.into(), expected.into());
        if got != expected {
            panic!(
                "{}: {what}: rtl != golden in cycle {} (seed {}): expected {expected:#x}, got {got:#x}",
                T::NAME,
                self.dut.cycle(),
                self.dut.seed(),
            );
        }
    }

    fn open_wave(&mut self) {
        let Some((path, from)) = &self.wave else {
            return;
        };
        if *from != self.dut.cycle() {
            return;
        }
        if let Err(error) = self.dut.trace_open(path) {
            println!("{error}");
        }
    }
}
