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

    fn product(&mut self, pass: usize, x: &[f32], y: &mut [f32]) -> Result<(), DriverError> {
        let PassShape { n, k } = self.shapes[pass];
        let stride = k.next_multiple_of(GROUP);
        self.x.clear();
        self.x.extend_from_slice(x);
        self.x.resize(stride, 0.0);
        let (source, x) = (&self.source, &self.x);
        // A row's sum is made by one task alone, so the split does not show in the bits.
        y.par_chunks_mut(TILE * TILES_PER_TASK)
            .enumerate()
            .for_each_init(
                || vec![0.0; TILE * stride],
                |weights, (task, y)| {
                    for (i, y) in y.chunks_mut(TILE).enumerate() {
                        source.tile(pass, n, k, task * TILES_PER_TASK + i, weights);
                        y.copy_from_slice(&tile_product(weights, x)[..y.len()]);
                    }
                },
            );
        Ok(())
    }
}
