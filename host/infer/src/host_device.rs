//! Devices without hardware: the ring and its bookkeeping, over any way to compute a product.

use std::time::Duration;

use macromac_driver::{Accelerator, Counters, DriverError, PassShape, Profile};

/// Computes one pass: `y = W x`.
pub trait Product {
    /// Arithmetic of the products; `None` for plain FP32.
    fn profile(&self) -> Option<Profile>;

    /// Multiplies the matrix of pass `pass` with `x` (K values) into `y` (N values).
    ///
    /// # Errors
    /// If the pass cannot be computed.
    fn product(&mut self, pass: usize, x: &[f32], y: &mut [f32]) -> Result<(), DriverError>;
}

/// An [`Accelerator`] that computes each step when it is submitted.
#[derive(Debug)]
pub struct HostDevice<P> {
    inner: P,
    passes: Vec<PassShape>,
    program: Vec<usize>,
    next: usize,
    results: Vec<f32>,
}

impl<P: Product> HostDevice<P> {
    /// A device whose passes have these shapes.
    pub fn new(inner: P, passes: Vec<PassShape>) -> Self {
        HostDevice {
            inner,
            passes,
            program: Vec::new(),
            next: 0,
            results: Vec::new(),
        }
    }
}

impl<P: Product> Accelerator for HostDevice<P> {
    fn profile(&self) -> Option<Profile> {
        self.inner.profile()
    }

    fn passes(&self) -> &[PassShape] {
        &self.passes
    }

    fn set_program(&mut self, program: &[usize]) -> Result<(), DriverError> {
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
        self.program = program.to_vec();
        self.next = 0;
        self.results.clear();
        Ok(())
    }

    fn submit(&mut self, x: &[f32]) -> Result<(), DriverError> {
        let Some(&pass) = self.program.get(self.next) else {
            return Err(DriverError::Sequence("submit: set a program first".into()));
        };
        let shape = self.passes[pass];
        if x.len() != shape.k {
            return Err(DriverError::Shape {
                what: format!("activations of pass {pass}"),
                expected: shape.k,
                found: x.len(),
            });
        }
        self.results.clear();
        self.results.resize(shape.n, 0.0);
        self.inner.product(pass, x, &mut self.results)?;
        self.next = (self.next + 1) % self.program.len();
        Ok(())
    }

    fn wait_rows(&mut self, rows: usize) -> Result<usize, DriverError> {
        self.check_rows("rows waited for", rows)?;
        Ok(self.results.len())
    }

    fn read_rows(&mut self, first: usize, out: &mut [f32]) -> Result<(), DriverError> {
        self.check_rows("rows read", first.saturating_add(out.len()))?;
        out.copy_from_slice(&self.results[first..first + out.len()]);
        Ok(())
    }

    fn elapse(&mut self, _ps: Duration) -> Result<(), DriverError> {
        Ok(())
    }

    fn reset(&mut self) -> Result<(), DriverError> {
        self.program.clear();
        self.next = 0;
        self.results.clear();
        Ok(())
    }

    fn counters(&mut self) -> Result<Option<Counters>, DriverError> {
        Ok(None)
    }
}

impl<P> HostDevice<P> {
    fn check_rows(&self, what: &str, rows: usize) -> Result<(), DriverError> {
        if rows <= self.results.len() {
            return Ok(());
        }
        Err(DriverError::Shape {
            what: format!("{what} (results of the submitted step)"),
            expected: self.results.len(),
            found: rows,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Ones;
    impl Product for Ones {
        fn profile(&self) -> Option<Profile> {
            None
        }
        fn product(&mut self, pass: usize, x: &[f32], y: &mut [f32]) -> Result<(), DriverError> {
            y.fill(x.iter().sum::<f32>() + pass as f32);
            Ok(())
        }
    }

    #[test]
    fn the_program_is_a_ring_and_misuse_is_named() {
        let shapes = vec![PassShape { n: 2, k: 3 }, PassShape { n: 1, k: 2 }];
        let mut d = HostDevice::new(Ones, shapes);
        assert!(matches!(d.submit(&[1.0; 3]), Err(DriverError::Sequence(_))));
        assert!(matches!(d.set_program(&[]), Err(DriverError::Sequence(_))));
        assert!(matches!(
            d.set_program(&[0, 2]),
            Err(DriverError::BadStep { step: 1, .. })
        ));
        d.set_program(&[0, 1]).unwrap();
        assert!(matches!(
            d.submit(&[1.0; 4]),
            Err(DriverError::Shape { expected: 3, .. })
        ));
        for _ in 0..2 {
            let mut y = [0.0; 2];
            d.run_step(&[1.0; 3], &mut y).unwrap();
            assert_eq!(y, [3.0; 2]);
            assert!(matches!(d.wait_rows(3), Err(DriverError::Shape { .. })));
            d.run_step(&[1.0; 2], &mut y[..1]).unwrap();
            assert_eq!(y[0], 3.0);
        }
        d.reset().unwrap();
        assert!(matches!(d.submit(&[1.0; 3]), Err(DriverError::Sequence(_))));
    }
}
