//! Independent sequences side by side, each on a device of its own.
//!
//! Sharing one product out to threads costs a few microseconds, as much as a small model's product
//! itself. A sequence that has a thread to itself pays nothing, so evaluation, which has many sequences,
//! shares those out first and products only if there are more threads than sequences. No product
//! depends on the number of threads, so neither does any figure.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

use macromac_driver::Accelerator;

use crate::InferError;
use crate::kernels::team;

/// Runs `job(i, device)` for each i in 0..`jobs` on at most `workers` devices from `device`, and
/// returns the results by i. `done` is told of each job when it is finished, in any order.
///
/// # Errors
/// The error of the lowest job that failed; jobs that had not begun by then are left out.
pub fn each<T, E>(
    jobs: usize,
    workers: usize,
    device: impl Fn() -> Result<Box<dyn Accelerator>, E> + Sync,
    job: impl Fn(usize, &mut dyn Accelerator) -> Result<T, E> + Sync,
    mut done: impl FnMut(&T),
) -> Result<Vec<T>, E>
where
    T: Send,
    E: From<InferError> + Send,
{
    let cores = rayon::current_num_threads();
    let workers = workers.min(jobs).clamp(1, cores);
    let threads = cores / workers;
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let work = |results: mpsc::Sender<(usize, Result<T, E>)>| {
        let mut mine = None;
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            if i >= jobs || failed.load(Ordering::Relaxed) {
                return;
            }
            let result = match &mut mine {
                Some(d) => Ok(d),
                none => device().map(|d| none.insert(d)),
            };
            let result = result.and_then(|d: &mut Box<dyn Accelerator>| job(i, d.as_mut()));
            if result.is_err() {
                failed.store(true, Ordering::Relaxed);
            }
            // The receiver takes everything until the last sender is gone.
            let _ = results.send((i, result));
        }
    };
    let mut results: Vec<Option<Result<T, E>>> = (0..jobs).map(|_| None).collect();
    std::thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        for _ in 0..workers {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            let pool = pool.map_err(|e| {
                InferError::Input(format!("cannot start {threads} threads of {workers}: {e}"))
            })?;
            let (sender, work) = (sender.clone(), &work);
            // Kernels of several sequences would only wait for the same threads.
            let work = move || match workers {
                1 => work(sender),
                _ => team::alone(|| work(sender)),
            };
            scope.spawn(move || pool.install(work));
        }
        drop(sender);
        for (i, result) in receiver {
            if let Ok(value) = &result {
                done(value);
            }
            results[i] = Some(result);
        }
        Ok::<(), E>(())
    })?;
    // Jobs begin in rising order: below the lowest failure everything is finished.
    results.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host_device::{HostDevice, Product};
    use macromac_driver::{DriverError, Profile};

    struct Nothing;
    impl Product for Nothing {
        fn profile(&self) -> Option<Profile> {
            None
        }
        fn batch(&self) -> usize {
            1
        }
        fn product(
            &mut self,
            _: usize,
            _: usize,
            _: &[f32],
            _: &mut [f32],
        ) -> Result<(), DriverError> {
            Ok(())
        }
    }

    fn device() -> Result<Box<dyn Accelerator>, InferError> {
        Ok(Box::new(HostDevice::new(Nothing, Vec::new())))
    }

    #[test]
    fn results_stand_in_order_for_any_number_of_workers() {
        for workers in [0, 1, 3, 100] {
            let mut told = 0;
            let r = each(20, workers, device, |i, _| Ok(i * i), |_| told += 1).unwrap();
            assert_eq!(r, (0..20).map(|i| i * i).collect::<Vec<_>>());
            assert_eq!(told, 20);
        }
        let none = each(0, 2, device, |i, _| Ok(i), |_| ()).unwrap();
        assert!(none.is_empty());
    }

    #[test]
    fn the_lowest_failure_is_the_one_reported() {
        for workers in [1, 4] {
            let r = each(
                50,
                workers,
                device,
                |i, _| match i {
                    0..7 => Ok(i),
                    _ => Err(InferError::Input(format!("job {i}"))),
                },
                |_| (),
            );
            assert_eq!(r.unwrap_err().to_string(), "job 7");
        }
        let broken = || Err(InferError::Input("no device".into()));
        let r = each(3, 2, broken, |i, _| Ok(i), |_| ());
        assert_eq!(r.unwrap_err().to_string(), "no device");
    }
}
