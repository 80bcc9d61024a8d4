//! What is found out before the work: an interrupted run's layers, and room on the disk.

use std::path::{Path, PathBuf};

use macromac_format::Layout;
use macromac_format::manifest::{ALIGN, SIDE_FILES};
use macromac_format::model::PASSES_PER_LAYER;
use macromac_format::writer::resolve;

use super::PackOptions;
use crate::InferError;
use crate::awq::state::{Found, State};
use crate::checkpoint::Checkpoint;

/// The folder beside an image where AWQ keeps its layers.
pub(super) fn partial(out: &Path) -> Result<PathBuf, InferError> {
    let mut name = resolve(out)?.into_os_string();
    name.push(".partial");
    Ok(name.into())
}

/// Bytes that packing takes on the disk, at most.
pub(super) fn needed_bytes(checkpoint: &Checkpoint, options: &PackOptions) -> u64 {
    let arch = checkpoint.architecture();
    let head = options.head(checkpoint);
    let passes = arch.passes(head);
    let matrices = passes
        .iter()
        .map(|p| 4 * Layout::new(p.n, p.k).segment_bytes() as u64);
    let tensors = arch.tensors(head).into_iter().map(|t| {
        let numbers = t.shape.iter().product::<usize>() as u64;
        // Vectors may become FP32; matrices stay as they are, FP16 at least.
        let bytes = match t.shape.len() {
            1 => 4,
            _ => checkpoint.head().0.bytes() as u64,
        };
        (numbers * bytes).next_multiple_of(ALIGN)
    });
    let side_files = SIDE_FILES.iter().map(|name| {
        let meta = std::fs::metadata(checkpoint.dir().join(name));
        meta.map_or(0, |m| m.len())
    });
    // A manifest is a few hundred kilobytes.
    let image = matrices.sum::<u64>() + tensors.sum::<u64>() + side_files.sum::<u64>() + (1 << 20);
    let state = options.calibration.as_ref().map_or(0, |c| {
        let layers = &passes[..arch.num_hidden_layers * PASSES_PER_LAYER];
        let weights = layers.iter().map(|p| (p.n * p.k) as u64).sum();
        State::bytes(weights, (c.tokens.len() * arch.hidden_size) as u64)
    });
    image + state
}

/// What the user should know of the state that was found.
pub(super) fn note(partial: &Path, found: &Found) -> Option<String> {
    let partial = partial.display();
    match found {
        Found::Nothing => None,
        Found::Layers(n) => Some(format!("{partial}: resuming at layer {n}")),
        Found::Other(what) => Some(format!(
            "{partial}: expected what an interrupted run of the same command left, found another's (other {}): removed, \
             starting anew",
            what.join(", ")
        )),
    }
}
