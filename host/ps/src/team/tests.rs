use std::panic::AssertUnwindSafe;
use std::sync::atomic::AtomicBool;

use super::*;

/// More threads than some machines have processors.
fn team() -> Team {
    Team::new(4)
}

#[test]
fn every_job_runs_once_however_many_there_are() {
    let team = team();
    for patience in [0, 50, 1_000_000] {
        set_patience(Duration::from_nanos(patience));
        for jobs in (0..40).chain([1000]) {
            let seen: Vec<AtomicUsize> = (0..jobs).map(|_| AtomicUsize::new(0)).collect();
            team.run(jobs, &|i| {
                seen[i].fetch_add(1, Ordering::Relaxed);
            });
            assert!(
                seen.iter().all(|n| n.load(Ordering::Relaxed) == 1),
                "{jobs}"
            );
        }
    }
    set_patience(PATIENCE);
}

#[test]
fn several_threads_take_part() {
    let team = team();
    // A job waits until another has begun: one thread alone would wait for ever.
    let both = [AtomicBool::new(false), AtomicBool::new(false)];
    team.run(2, &|i| {
        both[i].store(true, Ordering::Release);
        while !both[1 - i].load(Ordering::Acquire) {
            std::thread::yield_now();
        }
    });
}

#[test]
fn results_stand_in_order_and_nothing_is_dropped_twice() {
    let team = team();
    let items: Vec<Arc<usize>> = (0..500).map(Arc::new).collect();
    let squares = team.map(items.iter().cloned(), |i| Box::new(*i * *i));
    assert!(squares.iter().enumerate().all(|(i, s)| **s == i * i));
    assert!(items.iter().all(|i| Arc::strong_count(i) == 1));
    let mut numbers = vec![0u32; 103];
    each(numbers.chunks_mut(10).enumerate(), |(i, part)| {
        part.fill(i as u32)
    });
    assert!(numbers.iter().enumerate().all(|(i, n)| *n == i as u32 / 10));
}

#[test]
fn work_inside_of_work_is_done_by_who_asked() {
    let team = team();
    let sum = AtomicUsize::new(0);
    team.run(8, &|i| {
        let me = std::thread::current().id();
        team.run(8, &|j| {
            assert_eq!(std::thread::current().id(), me);
            sum.fetch_add(8 * i + j, Ordering::Relaxed);
        });
    });
    assert_eq!(sum.into_inner(), 63 * 64 / 2);
    let me = std::thread::current().id();
    alone(|| team.run(50, &|_| assert_eq!(std::thread::current().id(), me)));
}

#[test]
fn callers_do_not_disturb_one_another() {
    let team = team();
    std::thread::scope(|scope| {
        for caller in 0..6 {
            let team = &team;
            scope.spawn(move || {
                for turn in 0..300 {
                    let got = team.map(0..20, |i| caller + turn * i);
                    assert!(got.iter().enumerate().all(|(i, x)| *x == caller + turn * i));
                }
            });
        }
    });
}

#[test]
fn a_panic_reaches_the_caller_and_the_team_lives_on() {
    let team = team();
    let done = AtomicUsize::new(0);
    let caught = std::panic::catch_unwind(AssertUnwindSafe(|| {
        team.run(10, &|i| {
            assert!(i != 3, "job three");
            done.fetch_add(1, Ordering::Relaxed);
        });
    }));
    let message = *caught.unwrap_err().downcast::<&str>().unwrap();
    assert_eq!(message, "job three");
    assert_eq!(done.into_inner(), 9);
    assert_eq!(team.map(0..10, |i| i + 1), (1..11).collect::<Vec<_>>());
}

#[test]
fn a_team_that_works_keeps_its_number_of_threads() {
    run(2, &|_| ());
    let threads = threads();
    assert!(set_threads(threads));
    assert!(!set_threads(threads + 1));
    assert_eq!(super::threads(), threads);
}
