//! Devices without hardware: the ring and its bookkeeping, over any way to compute a product.

use std::ops::Range;
use std::time::Duration;

use macromac_driver::{Accelerator, Counters, DriverError, PassShape, Profile, Results, Ticket};

/// Computes one pass: `Y = W X`.
pub trait Product {
    /// Arithmetic of the products; `None` for plain FP32.
    fn profile(&self) -> Option<Profile>;

    /// Vectors that a pass may share, at least 1.
    fn batch(&self) -> usize;

    /// Multiplies the matrix of pass `pass` with each vector of `x` (`vectors` x K values, vector after vector) into `y`
    /// (`vectors` x N values).
    ///
    /// # Errors
    /// If the pass cannot be computed.
    fn product(
        &mut self,
        pass: usize,
        vectors: usize,
        x: &[f32],
        y: &mut [f32],
    ) -> Result<(), DriverError>;
}

/// An [`Accelerator`] that computes each step when it is submitted.
#[derive(Debug)]
pub struct HostDevice<P> {
    inner: P,
    passes: Vec<PassShape>,
    program: Vec<usize>,
    vectors: usize,
    next: usize,
    /// Tickets given out.
    tickets: u64,
    /// The last two steps, the older one first.
    recent: [Step; 2],
}

/// Results of a step.
#[derive(Debug, Default)]
struct Step {
    ticket: Option<Ticket>,
    /// Output channels.
    n: usize,
    /// N values a vector, vector after vector.
    results: Vec<f32>,
}

impl<P: Product> HostDevice<P> {
    /// A device whose passes have these shapes.
    pub fn new(inner: P, passes: Vec<PassShape>) -> Self {
        HostDevice {
            inner,
            passes,
            program: Vec::new(),
            vectors: 1,
            next: 0,
            tickets: 0,
            recent: Default::default(),
        }
    }
}

impl<P: Product> Accelerator for HostDevice<P> {
    fn profile(&self) -> Option<Profile> {
        self.inner.profile()
    }

    fn batch(&self) -> usize {
        self.inner.batch()
    }

    fn passes(&self) -> &[PassShape] {
        &self.passes
    }

    fn set_program(&mut self, program: &[usize], vectors: usize) -> Result<(), DriverError> {
        if program.is_empty() {
            return Err(DriverError::Sequence(
                "set_program: expected at least one pass, found none".into(),
            ));
        }
        for (step, pass) in program.iter().enumerate() {
            if *pass >= self.passes.len() {
                return Err(DriverError::BadStep {
                    step,
                    reason: format!("expected a pass below {}, found {pass}", self.passes.len()),
                });
            }
        }
        if vectors == 0 || vectors > self.batch() {
            return Err(DriverError::Shape {
                what: "vectors of a program, 1 to the device's batch".into(),
                expected: self.batch(),
                found: vectors,
            });
        }
        self.program = program.to_vec();
        self.vectors = vectors;
        self.forget();
        Ok(())
    }

    fn submit(&mut self, x: &[f32]) -> Result<Ticket, DriverError> {
        let Some(&pass) = self.program.get(self.next) else {
            return Err(DriverError::Sequence("submit: set a program first".into()));
        };
        let PassShape { n, k } = self.passes[pass];
        let given = x.len() / k;
        if x.len() % k != 0 || given == 0 || given > self.vectors {
            return Err(DriverError::Shape {
                what: format!(
                    "activations of pass {pass}, {} vectors of {k} at most",
                    self.vectors
                ),
                expected: k * self.vectors,
                found: x.len(),
            });
        }
        self.recent.swap(0, 1);
        let step = &mut self.recent[1];
        step.ticket = None;
        step.n = n;
        step.results.clear();
        step.results.resize(given * n, 0.0);
        self.inner.product(pass, given, x, &mut step.results)?;
        let ticket = Ticket::new(self.tickets);
        step.ticket = Some(ticket);
        self.tickets += 1;
        self.next = (self.next + 1) % self.program.len();
        Ok(ticket)
    }

    fn wait_rows(&mut self, ticket: Ticket, rows: usize) -> Result<usize, DriverError> {
        let step = self.find(ticket)?;
        check("rows waited for", step.n, rows)?;
        Ok(step.n)
    }

    fn results(&mut self, ticket: Ticket, rows: Range<usize>) -> Result<Results<'_>, DriverError> {
        let step = self.find(ticket)?;
        check("rows read", step.n, rows.end)?;
        let vectors = step.results.len() / step.n;
        Ok(Results::in_order(&step.results, step.n, vectors, &rows))
    }

    fn elapse(&mut self, _ps: Duration, _bytes: u64) -> Result<(), DriverError> {
        Ok(())
    }

    fn reset(&mut self) -> Result<(), DriverError> {
        self.program.clear();
        self.forget();
        Ok(())
    }

    fn counters(&mut self) -> Result<Option<Counters>, DriverError> {
        Ok(None)
    }
}

impl<P> HostDevice<P> {
    fn forget(&mut self) {
        self.next = 0;
        for step in &mut self.recent {
            step.ticket = None;
        }
    }

    fn find(&self, ticket: Ticket) -> Result<&Step, DriverError> {
        let found = self.recent.iter().find(|step| step.ticket == Some(ticket));
        found.ok_or_else(|| {
            DriverError::Sequence(
                "this ticket has expired: its results were there until the second submission after it"
                    .into(),
            )
        })
    }
}

fn check(what: &str, there: usize, asked: usize) -> Result<(), DriverError> {
    if asked <= there {
        return Ok(());
    }
    Err(DriverError::Shape {
        what: format!("{what} (results of the submitted step)"),
        expected: there,
        found: asked,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sum of a vector plus the number of the pass.
    struct Sums;
    impl Product for Sums {
        fn profile(&self) -> Option<Profile> {
            None
        }
        fn batch(&self) -> usize {
            3
        }
        fn product(
            &mut self,
            pass: usize,
            vectors: usize,
            x: &[f32],
            y: &mut [f32],
        ) -> Result<(), DriverError> {
            let (n, k) = (y.len() / vectors, x.len() / vectors);
            for (x, y) in x.chunks(k).zip(y.chunks_mut(n)) {
                y.fill(x.iter().sum::<f32>() + pass as f32);
            }
            Ok(())
        }
    }

    fn device() -> HostDevice<Sums> {
        let shapes = vec![PassShape { n: 2, k: 3 }, PassShape { n: 1, k: 2 }];
        HostDevice::new(Sums, shapes)
    }

    #[test]
    fn the_program_is_a_ring_and_misuse_is_named() {
        let mut d = device();
        assert!(matches!(d.submit(&[1.0; 3]), Err(DriverError::Sequence(_))));
        assert!(matches!(
            d.set_program(&[], 1),
            Err(DriverError::Sequence(_))
        ));
        assert!(matches!(
            d.set_program(&[0, 2], 1),
            Err(DriverError::BadStep { step: 1, .. })
        ));
        for vectors in [0, 4] {
            let refused = d.set_program(&[0], vectors);
            assert!(matches!(
                refused,
                Err(DriverError::Shape { expected: 3, .. })
            ));
        }
        d.set_program(&[0, 1], 1).unwrap();
        for wrong in [0, 4, 6] {
            let refused = d.submit(&vec![1.0; wrong]);
            assert!(matches!(
                refused,
                Err(DriverError::Shape { expected: 3, .. })
            ));
        }
        for _ in 0..2 {
            let mut y = [0.0; 2];
            d.run_step(&[1.0; 3], &mut y).unwrap();
            assert_eq!(y, [3.0; 2]);
            d.run_step(&[1.0; 2], &mut y[..1]).unwrap();
            assert_eq!(y[0], 3.0);
        }
        d.reset().unwrap();
        assert!(matches!(d.submit(&[1.0; 3]), Err(DriverError::Sequence(_))));
    }

    #[test]
    fn two_steps_are_in_flight_and_a_third_expires_the_first() {
        let mut d = device();
        d.set_program(&[0, 1], 3).unwrap();
        let first = d.submit(&[1.0, 1.0, 1.0, 2.0, 2.0, 2.0]).unwrap();
        let second = d.submit(&[0.5; 6]).unwrap();
        let mut y = [0.0; 4];
        d.finish(first, 2, &mut y).unwrap();
        assert_eq!(y, [3.0, 3.0, 6.0, 6.0]);
        assert_eq!(d.wait_rows(second, 1).unwrap(), 1);
        assert!(matches!(
            d.wait_rows(second, 2),
            Err(DriverError::Shape { .. })
        ));
        d.read_rows(second, 2, 0, &mut y[..1]).unwrap();
        assert_eq!(y[0], 2.0);
        // Two vectors were given, so there is no third to read.
        let missing = d.read_rows(first, 2, 0, &mut y[..1]);
        assert!(matches!(
            missing,
            Err(DriverError::Shape {
                expected: 2,
                found: 3,
                ..
            })
        ));
        d.submit(&[0.0; 3]).unwrap();
        assert!(matches!(
            d.wait_rows(first, 1),
            Err(DriverError::Sequence(_))
        ));
        d.read_rows(second, 0, 0, &mut y[..1]).unwrap();
        d.set_program(&[0], 1).unwrap();
        assert!(matches!(
            d.wait_rows(second, 1),
            Err(DriverError::Sequence(_))
        ));
    }
}
