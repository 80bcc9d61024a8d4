//! The `cpu` backend: plain FP32 products on the host, of a checkpoint's weights or of an image's
//! dequantized ones. The reference for everything else, and what the PS could do alone.

use std::sync::Arc;

use macromac_driver::{DriverError, PassShape, Profile};
use macromac_format::{GROUP, TILE};
use rayon::prelude::*;

use crate::host_device::{HostDevice, Product};
use crate::kernels::vector::tile_product;
use crate::source::Source;

/// Tiles that a task takes: enough work to pay for starting it.
const TILES_PER_TASK: usize = 16;
/// Vectors that share a product: each widening of the weights serves so many.
const BATCH: usize = 8;

/// FP32 products of a source's weights.
#[derive(Debug)]
pub struct CpuProduct {
    source: Arc<Source>,
    shapes: Vec<PassShape>,
    x: Vec<f32>,
}

/// The `cpu` backend for a model.
pub fn cpu_device(source: Arc<Source>) -> HostDevice<CpuProduct> {
    let shapes = pass_shapes(&source);
    let product = CpuProduct {
        source,
        shapes: shapes.clone(),
        x: Vec::new(),
    };
    HostDevice::new(product, shapes)
}

/// Shapes of a model's passes, by pass number.
pub fn pass_shapes(source: &Source) -> Vec<PassShape> {
    let passes = source.architecture().passes(source.head());
    passes
        .iter()
        .map(|p| PassShape { n: p.n, k: p.k })
        .collect()
}

impl Product for CpuProduct {
    fn profile(&self) -> Option<Profile> {
        None
    }

    fn batch(&self) -> usize {
        BATCH
    }

    fn product(
        &mut self,
        pass: usize,
        vectors: usize,
        x: &[f32],
        y: &mut [f32],
    ) -> Result<(), DriverError> {
        let PassShape { n, k } = self.shapes[pass];
        let stride = k.next_multiple_of(GROUP);
        self.x.clear();
        for x in x.chunks_exact(k) {
            self.x.extend_from_slice(x);
            self.x.resize(self.x.len().next_multiple_of(stride), 0.0);
        }
        let (source, x) = (&self.source, &self.x);
        // One task's rows of every vector. A row's sum is made by one task alone, so the split does not show in the bits.
        let mut tasks: Vec<Vec<&mut [f32]>> = Vec::new();
        tasks.resize_with(n.div_ceil(TILE * TILES_PER_TASK), || {
            Vec::with_capacity(vectors)
        });
        for y in y.chunks_exact_mut(n) {
            for (task, rows) in tasks.iter_mut().zip(y.chunks_mut(TILE * TILES_PER_TASK)) {
                task.push(rows);
            }
        }
        tasks.into_par_iter().enumerate().for_each_init(
            || vec![0.0; TILE * stride],
            |weights, (task, mut rows)| {
                for i in 0..rows[0].len().div_ceil(TILE) {
                    // The weights are widened once for all vectors.
                    source.tile(pass, n, k, task * TILES_PER_TASK + i, weights);
                    for (y, x) in rows.iter_mut().zip(x.chunks_exact(stride)) {
                        let end = y.len().min(TILE * (i + 1));
                        let y = &mut y[TILE * i..end];
                        y.copy_from_slice(&tile_product(weights, x)[..y.len()]);
                    }
                }
            },
        );
        Ok(())
    }
}
