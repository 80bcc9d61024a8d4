//! How one piece of work is offered to the members of a team, done, and withdrawn.
//!
//! ```text
//! caller:  work := ...   state := (epoch + 1, open, 0)   take jobs   state: closed   wait until nobody is inside
//! member:  look until the epoch is new   if open: state: one more inside   take jobs   state: one less
//! ```
//!
//! A member comes in only while the round is open, and the caller leaves only when nobody is inside: so the work, which is borrowed, is never
//! touched after `lead` returns. Tested under loom, which tries every order of the accesses that the memory model allows, up to
//! three preemptions (`make test-threads`).

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

#[cfg(loom)]
use loom::{
    cell::UnsafeCell,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    sync::{Condvar, Mutex},
    thread::yield_now,
};
#[cfg(not(loom))]
use std::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    sync::{Condvar, Mutex},
    thread::yield_now,
};

/// As loom's, which sees who is in it.
#[cfg(not(loom))]
struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

#[cfg(not(loom))]
impl<T> UnsafeCell<T> {
    fn new(value: T) -> Self {
        UnsafeCell(std::cell::UnsafeCell::new(value))
    }

    fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }

    fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}

/// Between two looks. To loom it is nothing, or it would let all others run first.
fn pause() {
    #[cfg(not(loom))]
    std::hint::spin_loop();
}

/// Of the state: the round takes members in. Above it is the round's number, below it how many are inside.
const OPEN: u64 = 1 << 31;
const INSIDE: u64 = OPEN - 1;
const EPOCH: u32 = 32;
/// No round will follow.
const OVER: u64 = !OPEN;
/// Looks between two readings of the clock, or until others may run; more would only be more of the same to loom.
const LOOKS: u32 = if cfg!(loom) { 1 } else { 100 };

/// What is to be done.
#[derive(Clone, Copy)]
struct Work {
    jobs: usize,
    /// Borrowed from the caller of `lead`.
    job: *const (dyn Fn(usize) + Sync),
}

/// What caller and members share.
pub struct Round {
    state: AtomicU64,
    /// Written by the caller while nobody is inside.
    work: UnsafeCell<Option<Work>>,
    /// The next job that nobody has taken.
    next: AtomicUsize,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    /// Held by the caller whose work is shared.
    caller: Mutex<()>,
    sleepers: AtomicUsize,
    sleep: Mutex<()>,
    wake: Condvar,
}

// SAFETY: `work` is written only by the holder of `caller` while the round is closed and nobody is inside, and read only from inside; `state`
// orders the two. What it points to is Sync, and lives until `lead` returns.
unsafe impl Sync for Round {}
// SAFETY: as above; nothing in it belongs to a thread.
unsafe impl Send for Round {}

impl Round {
    pub fn new() -> Self {
        Round {
            state: AtomicU64::new(0),
            work: UnsafeCell::new(None),
            next: AtomicUsize::new(0),
            panic: Mutex::new(None),
            caller: Mutex::new(()),
            sleepers: AtomicUsize::new(0),
            sleep: Mutex::new(()),
            wake: Condvar::new(),
        }
    }

    /// Does jobs `0..jobs` together with whatever members come; false, and nothing done, if another caller is at it.
    ///
    /// # Panics
    /// With the panic of a job.
    pub fn lead(&self, jobs: usize, job: &(dyn Fn(usize) + Sync)) -> bool {
        let Ok(caller) = self.caller.try_lock() else {
            return false;
        };
        // SAFETY: only the lifetime changes; `take_part` is the only user, and nobody is in it when this function returns.
        let job: *const (dyn Fn(usize) + Sync) = unsafe {
            std::mem::transmute::<&(dyn Fn(usize) + Sync), &'static (dyn Fn(usize) + Sync)>(job)
        };
        // SAFETY: this thread holds `caller`, the round is closed and nobody is inside.
        self.work
            .with_mut(|work| unsafe { *work = Some(Work { jobs, job }) });
        self.next.store(0, Ordering::Relaxed);
        let epoch = (self.state.load(Ordering::Relaxed) >> EPOCH).wrapping_add(1);
        self.state.store(epoch << EPOCH | OPEN, Ordering::SeqCst);
        // Who falls asleep says so before it looks at the state for the last time.
        if self.sleepers.load(Ordering::SeqCst) > 0 {
            let _asleep = self.sleep.lock();
            self.wake.notify_all();
        }
        self.take_part();
        self.state.fetch_and(!OPEN, Ordering::AcqRel);
        let mut looks = 0;
        while self.state.load(Ordering::Acquire) & INSIDE != 0 {
            looks += 1;
            // A member that has lost its processor needs this one.
            if looks % LOOKS == 0 {
                yield_now();
            } else {
                pause();
            }
        }
        let panic = self.panic.lock().map_or(None, |mut panic| panic.take());
        drop(caller);
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
        true
    }

    /// Sends the members home. There must be no caller any more.
    pub fn dissolve(&self) {
        self.state.store(OVER, Ordering::SeqCst);
        let _asleep = self.sleep.lock();
        self.wake.notify_all();
    }

    /// Waits for a round that is not `last`, takes part in it if it is still open, and returns its number; `None` when the team is dissolved. Looks
    /// for it while `patient` says so, then sleeps.
    pub fn follow(&self, last: u64, patient: impl FnMut() -> bool) -> Option<u64> {
        let mut state = self.wait(last, patient);
        if state == OVER {
            return None;
        }
        let epoch = state >> EPOCH;
        while state & OPEN != 0 && state >> EPOCH == epoch {
            let joined = self.state.compare_exchange_weak(
                state,
                state + 1,
                Ordering::Acquire,
                Ordering::Relaxed,
            );
            match joined {
                Ok(_) => {
                    self.take_part();
                    self.state.fetch_sub(1, Ordering::Release);
                    break;
                }
                Err(now) => state = now,
            }
        }
        Some(epoch)
    }

    /// The state, if its round is not `last`. One that is over already counts: where there was work there will be more.
    fn news(&self, last: u64, order: Ordering) -> Option<u64> {
        let state = self.state.load(order);
        (state >> EPOCH != last).then_some(state)
    }

    fn wait(&self, last: u64, mut patient: impl FnMut() -> bool) -> u64 {
        loop {
            for _ in 0..LOOKS {
                if let Some(state) = self.news(last, Ordering::Relaxed) {
                    return state;
                }
                pause();
            }
            if !patient() {
                break;
            }
        }
        let Ok(mut asleep) = self.sleep.lock() else {
            unreachable!("nobody panics while holding it");
        };
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        let state = loop {
            if let Some(state) = self.news(last, Ordering::SeqCst) {
                break state;
            }
            asleep = match self.wake.wait(asleep) {
                Ok(asleep) => asleep,
                Err(_) => unreachable!("nobody panics while holding it"),
            };
        };
        self.sleepers.fetch_sub(1, Ordering::Relaxed);
        state
    }

    /// Does jobs until none is left. Only from inside, or by the caller.
    fn take_part(&self) {
        // SAFETY: the caller of `lead` wrote it before it opened the round, and does not change it before this one has left.
        let Some(work) = self.work.with(|work| unsafe { *work }) else {
            return;
        };
        loop {
            let i = self.next.fetch_add(1, Ordering::Relaxed);
            if i >= work.jobs {
                return;
            }
            // SAFETY: the caller of `lead`, who lent it, waits until this thread has left.
            let job = unsafe { &*work.job };
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| job(i))) {
                if let Ok(mut first) = self.panic.lock() {
                    first.get_or_insert(panic);
                }
            }
        }
    }
}

#[cfg(all(test, loom))]
mod tests {
    use super::*;
    use loom::cell::UnsafeCell as Watched;
    use std::sync::Arc;

    /// Numbers, each of which one job at a time changes.
    struct Places<'a>(&'a [Watched<usize>; 2]);

    // SAFETY: loom fails the test if two threads are at one number.
    unsafe impl Sync for Places<'_> {}

    impl Places<'_> {
        fn add(&self, i: usize, n: usize) {
            // SAFETY: job i alone is here, as loom checks.
            self.0[i].with_mut(|p| unsafe { *p += n });
        }
    }

    /// Two rounds over two places each, one member; each place is written by whoever takes the job, and read by the caller afterwards.
    fn rounds(looks: usize) {
        let mut model = loom::model::Builder::new();
        // More would take hours; what was planted to try the test was found with three.
        model.preemption_bound = Some(3);
        model.check(move || {
            let round = Arc::new(Round::new());
            let member = {
                let round = round.clone();
                loom::thread::spawn(move || {
                    let mut left = looks;
                    let mut patient = || {
                        left = left.saturating_sub(1);
                        left > 0
                    };
                    let mut last = 0;
                    while let Some(epoch) = round.follow(last, &mut patient) {
                        last = epoch;
                    }
                    last
                })
            };
            let places = [Watched::new(0), Watched::new(0)];
            for turn in 1..=2 {
                let places = Places(&places);
                assert!(round.lead(2, &|i| places.add(i, turn * (i + 1))));
            }
            for (i, place) in places.iter().enumerate() {
                // SAFETY: nobody is at work any more.
                place.with(|p| assert_eq!(unsafe { *p }, 3 * (i + 1)));
            }
            round.dissolve();
            assert!(member.join().unwrap() <= 2);
        });
    }

    #[test]
    fn a_member_that_sleeps() {
        rounds(0);
    }

    #[test]
    fn a_member_that_looks_for_a_while() {
        rounds(2);
    }
}
