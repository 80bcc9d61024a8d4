//! The `golden` backend: every product by the bit-exact reference of the accelerator.

use std::sync::Arc;

use macromac_driver::{DriverError, Profile};
use macromac_format::Image;
use macromac_golden::{PassDims, run_pass};

use crate::InferError;
use crate::cpu::pass_shapes;
use crate::host_device::{HostDevice, Product};
use crate::source::Source;

/// Golden products of an image's blocks.
#[derive(Debug)]
pub struct GoldenProduct {
    source: Arc<Source>,
    x: Vec<f32>,
    y: Vec<f32>,
}

/// The `golden` backend for an image.
///
/// # Errors
/// [`InferError::Input`] if the source is a checkpoint: its weights have no blocks.
pub fn golden_device(source: Arc<Source>) -> Result<HostDevice<GoldenProduct>, InferError> {
    if let Source::Checkpoint(c) = &*source {
        return Err(InferError::Input(format!(
            "{}: expected an image, found a checkpoint; pack it first",
            c.dir().display()
        )));
    }
    let shapes = pass_shapes(&source);
    Ok(HostDevice::new(
        GoldenProduct {
            source,
            x: Vec::new(),
            y: Vec::new(),
        },
        shapes,
    ))
}

impl GoldenProduct {
    fn image(&self) -> &Image {
        match &*self.source {
            Source::Image(i) => i,
            Source::Checkpoint(_) => unreachable!("golden_device refuses checkpoints"),
        }
    }
}

impl Product for GoldenProduct {
    fn profile(&self) -> Option<Profile> {
        Some(Profile::Paper)
    }

    fn product(&mut self, pass: usize, x: &[f32], y: &mut [f32]) -> Result<(), DriverError> {
        let layout = self.image().layout(pass);
        let dims = PassDims {
            groups: layout.groups(),
            tile_rows: layout.tile_rows(),
        };
        let (mut padded_x, mut padded_y) =
            (std::mem::take(&mut self.x), std::mem::take(&mut self.y));
        padded_x.clear();
        padded_x.extend_from_slice(x);
        padded_x.resize(layout.k_padded(), 0.0);
        padded_y.resize(layout.n_padded(), 0.0);
        let done = run_pass(dims, self.image().segments(pass), &padded_x, &mut padded_y);
        y.copy_from_slice(&padded_y[..y.len()]);
        (self.x, self.y) = (padded_x, padded_y);
        done.map_err(|e| DriverError::Simulation(format!("golden, pass {pass}: {e}")))
    }
}
