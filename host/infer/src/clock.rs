//! What the PS's work costs a device that keeps time.

use macromac_driver::{Accelerator, DriverError};

use crate::kernels::time::{Charge, Kernel, PsTime};

/// A kernel that was charged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spent {
    /// What ran.
    pub kernel: Kernel,
    /// On how many vectors.
    pub vectors: usize,
    /// What it cost.
    pub charge: Charge,
    /// How often the device had been told of time before: its cost is part of the next [`Accelerator::elapse`].
    pub told: usize,
}

/// Adds up what kernels cost until the device is told; without a model of the PS it costs nothing.
#[derive(Debug)]
pub struct Clock<'a> {
    ps: Option<&'a PsTime>,
    due: Charge,
    /// All that was charged so far.
    spent: Charge,
    told: usize,
    /// Every kernel, where somebody wants to know.
    log: Option<Vec<Spent>>,
}

impl<'a> Clock<'a> {
    /// A clock that charges by `ps`.
    pub fn new(ps: Option<&'a PsTime>) -> Self {
        Clock {
            ps,
            due: Charge::default(),
            spent: Charge::default(),
            told: 0,
            log: None,
        }
    }

    /// Charges a kernel on a batch of `vectors`.
    pub fn charge(&mut self, kernel: Kernel, vectors: usize) {
        if let Some(ps) = self.ps {
            let charge = ps.charge(kernel, vectors);
            self.due += charge;
            self.spent += charge;
            let told = self.told;
            self.log.iter_mut().for_each(|log| {
                log.push(Spent {
                    kernel,
                    vectors,
                    charge,
                    told,
                });
            });
        }
    }

    /// Lets the device's time run on by what is due.
    ///
    /// # Errors
    /// If the device reports a fault meanwhile.
    pub fn tell(&mut self, device: &mut dyn Accelerator) -> Result<(), DriverError> {
        let due = std::mem::take(&mut self.due);
        if due == Charge::default() {
            return Ok(());
        }
        self.told += 1;
        device.elapse(due.time, due.ddr_bytes)
    }

    /// From now on every kernel is noted; counting of [`Spent::told`] begins anew. What was noted before is returned.
    pub fn log(&mut self) -> Vec<Spent> {
        self.told = 0;
        self.log.replace(Vec::new()).unwrap_or_default()
    }

    /// All that was charged so far.
    pub fn spent(&self) -> Charge {
        self.spent
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::kernels::cache::CacheType;
    use crate::kernels::time::{Coherency, Profile};

    fn ps() -> PsTime {
        PsTime::new(Profile::Derived, Coherency::Coherent)
    }

    fn attend(queries: usize, positions: usize) -> Kernel {
        Kernel::Attend {
            queries,
            heads: 14,
            kv_heads: 2,
            d: 64,
            positions,
            cache: CacheType::F16,
        }
    }

    fn spent(ps: &PsTime, kernels: &[(Kernel, usize)]) -> Charge {
        let mut clock = Clock::new(Some(ps));
        kernels.iter().for_each(|(k, n)| clock.charge(*k, *n));
        assert_eq!(clock.due, clock.spent);
        clock.spent()
    }

    #[test]
    fn charges_are_the_sum_of_the_kernels() {
        let ps = ps();
        let kernels = [
            (Kernel::RmsNorm { n: 896 }, 8),
            (attend(1, 300), 1),
            (Kernel::Peak { n: 151_936 }, 1),
            (Kernel::RmsNorm { n: 896 }, 8),
        ];
        let mut sum = Charge::default();
        kernels.iter().for_each(|(k, n)| sum += ps.charge(*k, *n));
        assert_eq!(spent(&ps, &kernels), sum);
        assert!(sum.time > Duration::from_micros(4) && sum.ddr_bytes > 0);
        let mut free = Clock::new(None);
        free.charge(attend(1, 300), 1);
        assert_eq!(free.spent(), Charge::default());
    }

    #[test]
    fn attention_costs_more_with_context_and_twice_as_much_at_factor_two() {
        let (ps, twice) = (ps(), ps().times(2.0));
        let mut last = Charge::default();
        for positions in (1..3000).step_by(64) {
            let one = spent(&ps, &[(attend(1, positions), 1)]);
            assert!(one.time >= last.time && one.ddr_bytes > last.ddr_bytes);
            let two = spent(&twice, &[(attend(1, positions), 1)]);
            assert!(two.time.abs_diff(one.time * 2) <= Duration::from_nanos(1));
            assert_eq!(two.ddr_bytes, one.ddr_bytes);
            last = one;
        }
    }

    #[test]
    fn a_batch_reads_the_cache_once() {
        let ps = ps();
        let batch = spent(&ps, &[(attend(8, 500), 1)]);
        let alone: Vec<_> = (500..508).map(|n| (attend(1, n), 1)).collect();
        let alone = spent(&ps, &alone);
        assert_eq!(
            batch.ddr_bytes,
            spent(&ps, &[(attend(1, 507), 1)]).ddr_bytes
        );
        assert!(batch.time < alone.time && batch.time > alone.time / 2);
    }

    #[test]
    fn pieces_of_rows_add_up() {
        let ps = ps();
        let all = 151_936;
        let part = all / 16;
        let whole = spent(&ps, &[(Kernel::Collect { n: all }, 1)]);
        let parts = spent(&ps, &[(Kernel::CollectPart { all, part }, 1); 16]);
        assert_eq!(parts.ddr_bytes, whole.ddr_bytes);
        assert!(parts.time.abs_diff(whole.time) < Duration::from_nanos(16));
        // A launch and a barrier each, but no more than that.
        let whole = spent(&ps, &[(Kernel::Silu { n: 4864 }, 1)]);
        let parts = spent(&ps, &[(Kernel::Silu { n: 1216 }, 1); 4]);
        assert!(parts.time >= whole.time);
        assert!(parts.time <= whole.time + 4 * Duration::from_micros(3));
    }
}
