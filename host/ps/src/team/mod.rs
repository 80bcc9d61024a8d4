//! Threads that share out the short work between two passes.
//!
//! A generated token has hundreds of kernels of some microseconds. A thread that sleeps costs tens of microseconds to wake, as
//! much as the kernel; so the members of the team look for work in a loop for a while ([`set_patience`]) before they sleep, and nobody waits for
//! a member that has not come: whoever arrives takes the next job, and the caller works too.
//!
//! One piece of work is shared at a time. A call from inside a job, or while another thread's work is shared, runs on its caller
//! alone, as does everything inside [`alone`].

mod round;

use std::cell::{Cell, UnsafeCell};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use round::Round;

/// Threads of a team at most, the caller among them.
const MOST: usize = 64;
/// How long a member looks for work before it sleeps, unless [`set_patience`] says otherwise: on a machine that does other things too,
/// not long.
const PATIENCE: Duration = Duration::from_micros(20);

static TEAM: OnceLock<Team> = OnceLock::new();
static THREADS: AtomicUsize = AtomicUsize::new(0);
static PATIENCE_NS: AtomicU64 = AtomicU64::new(PATIENCE.as_nanos() as u64);

thread_local!(static ALONE: Cell<bool> = const { Cell::new(false) });

/// Sets the number of threads, the caller's among them; without it there are as many as processors. False if the team has
/// already been called with another number.
pub fn set_threads(threads: usize) -> bool {
    THREADS.store(threads.clamp(1, MOST), Ordering::Relaxed);
    TEAM.get().is_none_or(|team| team.threads == threads)
}

/// Threads that work is shared out to.
pub fn threads() -> usize {
    TEAM.get().map_or_else(wanted, |team| team.threads)
}

fn wanted() -> usize {
    match THREADS.load(Ordering::Relaxed) {
        0 => thread::available_parallelism().map_or(1, |n| n.get().min(MOST)),
        n => n,
    }
}

/// How long a member looks for work before it sleeps. Longer than a pass of the accelerator, and none sleeps while a token is generated; each then keeps
/// a processor busy.
pub fn set_patience(patience: Duration) {
    let ns = u64::try_from(patience.as_nanos()).unwrap_or(u64::MAX);
    PATIENCE_NS.store(ns, Ordering::Relaxed);
}

/// Runs `f` with all its work on this thread.
pub fn alone<R>(f: impl FnOnce() -> R) -> R {
    struct Before(bool);
    impl Drop for Before {
        fn drop(&mut self) {
            ALONE.set(self.0);
        }
    }
    let _before = Before(ALONE.replace(true));
    f()
}

/// Calls `job` with each number below `jobs`, in any order and on any thread of the team.
///
/// # Panics
/// If a job does; the others may have run or not.
pub fn run(jobs: usize, job: &(dyn Fn(usize) + Sync)) {
    TEAM.get_or_init(|| Team::new(wanted())).run(jobs, job);
}

/// [`run`] for each item, which it gives away.
pub fn each<I: Send>(items: impl Iterator<Item = I>, f: impl Fn(I) + Sync) {
    map(items, f);
}

/// What `f` makes of each item, in order.
pub fn map<I: Send, R: Send>(items: impl Iterator<Item = I>, f: impl Fn(I) -> R + Sync) -> Vec<R> {
    TEAM.get_or_init(|| Team::new(wanted())).map(items, f)
}

struct Team {
    threads: usize,
    round: Arc<Round>,
}

impl Team {
    /// Starts the members; fewer than asked for where the system has no more threads to give.
    fn new(threads: usize) -> Self {
        let round = Arc::new(Round::new());
        let member = |i| {
            let round = round.clone();
            thread::Builder::new()
                .name(format!("team-{i}"))
                .spawn(move || alone(|| attend(&round)))
        };
        let started = (1..threads).map(member).take_while(Result::is_ok).count();
        Team {
            threads: 1 + started,
            round,
        }
    }

    fn run(&self, jobs: usize, job: &(dyn Fn(usize) + Sync)) {
        let shared =
            jobs > 1 && self.threads > 1 && !ALONE.get() && alone(|| self.round.lead(jobs, job));
        if !shared {
            (0..jobs).for_each(job);
        }
    }

    fn map<I: Send, R: Send>(
        &self,
        items: impl Iterator<Item = I>,
        f: impl Fn(I) -> R + Sync,
    ) -> Vec<R> {
        let items: Vec<Place<I>> = items.map(Place::of).collect();
        let results: Vec<Place<R>> = items.iter().map(|_| Place::empty()).collect();
        self.run(items.len(), &|i| {
            // SAFETY: each number comes once, so nobody else has this item or this result.
            unsafe { results[i].put(f(items[i].take())) };
        });
        // SAFETY: every job has run, or `run` has panicked.
        results.iter().map(|r| unsafe { r.take() }).collect()
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.round.dissolve();
    }
}

/// A member's life.
fn attend(round: &Round) {
    let mut last = Some(0);
    while let Some(epoch) = last {
        let begin = Instant::now();
        let patience = Duration::from_nanos(PATIENCE_NS.load(Ordering::Relaxed));
        last = round.follow(epoch, || begin.elapsed() < patience);
    }
}

/// Something that one thread puts here and one takes away.
struct Place<T>(UnsafeCell<Option<T>>);

// SAFETY: values cross threads (T: Send); that only one thread at a time is here is up to the callers of `put` and `take`.
unsafe impl<T: Send> Sync for Place<T> {}

impl<T> Place<T> {
    fn of(value: T) -> Self {
        Place(UnsafeCell::new(Some(value)))
    }

    fn empty() -> Self {
        Place(UnsafeCell::new(None))
    }

    /// # Safety
    /// Nobody else may be here meanwhile.
    unsafe fn put(&self, value: T) {
        // SAFETY: by contract.
        unsafe { *self.0.get() = Some(value) };
    }

    /// # Safety
    /// Nobody else may be here meanwhile.
    unsafe fn take(&self) -> T {
        // SAFETY: by contract.
        let value = unsafe { (*self.0.get()).take() };
        value.expect("each place is filled once and emptied once")
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
