//! The `golden` backend: every product by the bit-exact reference of the accelerator.

use std::sync::Arc;

use macromac_driver::{DriverError, Profile};
use macromac_format::{GROUP, Image, PORTS, Packing, TILE};
use macromac_golden::{PassDims, group, run_pass};

use crate::InferError;
use crate::cpu::pass_shapes;
use crate::host_device::{HostDevice, Product};
use crate::source::Source;

/// Vectors that a pass shares in the `kv260` profile, as in its hardware. More would change no bit.
const KV260_BATCH: usize = 8;

/// Golden products of an image's blocks.
#[derive(Debug)]
pub struct GoldenProduct {
    source: Arc<Source>,
    profile: Profile,
    x: Vec<f32>,
    y: Vec<f32>,
}

/// The `golden` backend for an image, in the arithmetic of a profile.
///
/// # Errors
/// [`InferError::Input`] if the source is a checkpoint, whose weights have no blocks, or an image in a format that the
/// profile does not read.
pub fn golden_device(
    source: Arc<Source>,
    profile: Profile,
) -> Result<HostDevice<GoldenProduct>, InferError> {
    match &*source {
        Source::Checkpoint(c) => {
            return Err(InferError::Input(format!(
                "{}: expected an image, found a checkpoint; pack it first",
                c.dir().display()
            )));
        }
        Source::Image(i) if i.packing() != Packing::Single && profile == Profile::Paper => {
            return Err(InferError::Input(format!(
                "{}: image format {}, profile {} reads format 1; choose --profile {} or pack with --format 1",
                i.dir().display(),
                i.packing().version(),
                profile.name(),
                Profile::Kv260.name()
            )));
        }
        Source::Image(_) => {}
    }
    let shapes = pass_shapes(&source);
    let product = GoldenProduct {
        source,
        profile,
        x: Vec::new(),
        y: Vec::new(),
    };
    Ok(HostDevice::new(product, shapes))
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
        Some(self.profile)
    }

    fn batch(&self) -> usize {
        match self.profile {
            Profile::Paper => 1,
            Profile::Kv260 => KV260_BATCH,
        }
    }

    fn product(
        &mut self,
        pass: usize,
        vectors: usize,
        x: &[f32],
        y: &mut [f32],
    ) -> Result<(), DriverError> {
        let (mut device_x, mut device_y) =
            (std::mem::take(&mut self.x), std::mem::take(&mut self.y));
        let layout = self.image().layout(pass);
        let (groups, tile_rows) = (layout.groups(), layout.tile_rows());
        to_device(x, vectors, groups, &mut device_x);
        device_y.resize(layout.n_padded() * vectors, 0.0);
        let segments = self.image().segments(pass);
        let done = match self.profile {
            Profile::Paper => {
                let dims = PassDims { groups, tile_rows };
                run_pass(dims, segments, &device_x, &mut device_y)
            }
            Profile::Kv260 => {
                let format = match layout.packing {
                    Packing::Single => group::Format::One,
                    Packing::Quad => group::Format::Two,
                };
                let dims = group::GroupDims {
                    groups,
                    tile_rows,
                    format,
                };
                // Whether a NaN was seen shows in the results.
                group::run_pass(dims, segments, vectors, &device_x, &mut device_y).map(drop)
            }
        };
        from_device(&device_y, vectors, y);
        (self.x, self.y) = (device_x, device_y);
        done.map_err(|e| DriverError::Simulation(format!("golden, pass {pass}: {e}")))
    }
}

/// Vectors one after the other into the device's order: group g of vector v is piece `g * vectors + v`. Padding is +0.
fn to_device(x: &[f32], vectors: usize, groups: usize, out: &mut Vec<f32>) {
    out.clear();
    out.resize(GROUP * groups * vectors, 0.0);
    let pieces = out.chunks_exact_mut(GROUP).enumerate();
    for (at, out) in pieces {
        let (group, vector) = (at / vectors, at % vectors);
        let x = &x[x.len() / vectors * vector..x.len() / vectors * (vector + 1)];
        let x = &x[GROUP * group..x.len().min(GROUP * (group + 1))];
        out[..x.len()].copy_from_slice(x);
    }
}

/// And back: tile row r of vector v is piece `r * vectors + v`. Padding is cut.
fn from_device(results: &[f32], vectors: usize, y: &mut [f32]) {
    let n = y.len() / vectors;
    for (vector, y) in y.chunks_exact_mut(n).enumerate() {
        let rows = results
            .chunks_exact(TILE * PORTS)
            .skip(vector)
            .step_by(vectors);
        for (y, row) in y.chunks_mut(TILE * PORTS).zip(rows) {
            y.copy_from_slice(&row[..y.len()]);
        }
    }
}
