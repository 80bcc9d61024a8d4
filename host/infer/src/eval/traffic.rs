//! Bytes of DDR that one token moves, counted from the image: what its head costs in time.

use macromac_format::layout::PORTS;
use macromac_format::{GROUP, Head, Image, TILE};
use serde::Serialize;

/// Bytes of FP32.
const F32: u64 = 4;
/// Bytes that the data port moves for a group of activations, and for a tile row of results (docs/architecture.md,
/// section 3): FP32, padding included.
const GROUP_BYTES: u64 = GROUP as u64 * F32;
const TILE_ROW_BYTES: u64 = (TILE * PORTS) as u64 * F32;

/// DDR traffic of one token whose logits are wanted, bytes. The key-value cache is left out: it grows with the position, and is
/// the same for every head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Traffic {
    /// The weight ports: every segment of the program once.
    pub pl_weights: u64,
    /// The data port: activations read and results written by each step.
    pub pl_data: u64,
    /// The PS: an FP16 head once, the blocks or the row of the token's embedding, norms and biases as FP32.
    pub ps_reads: u64,
}

impl Traffic {
    /// All bytes.
    pub fn total(&self) -> u64 {
        self.pl_weights + self.pl_data + self.ps_reads
    }
}

/// Counts the traffic of an image's token.
pub fn traffic(image: &Image) -> Traffic {
    let (arch, manifest) = (image.architecture(), image.manifest());
    let segments = manifest.passes.iter().flat_map(|p| &p.segments);
    let pl_data = (0..manifest.passes.len()).map(|id| {
        let l = image.layout(id);
        l.groups() as u64 * GROUP_BYTES + l.tile_rows() as u64 * TILE_ROW_BYTES
    });
    let mut ps_reads = 0;
    for t in &manifest.tensors {
        let numbers: u64 = t.shape.iter().map(|d| *d as u64).product();
        ps_reads += match t.name.as_str() {
            "embedding" | "lm_head" => 0,
            _ => numbers * F32,
        };
    }
    if manifest.quantization.head == Head::Fp16 {
        ps_reads += image
            .tensor(arch.head_tensor())
            .map_or(0, |t| t.bytes.len() as u64);
    }
    ps_reads += match (image.tensor("embedding"), manifest.passes.last()) {
        (Some(t), _) => (arch.hidden_size * t.dtype.bytes()) as u64,
        // A word of a block holds eight rows, so one row touches every strip of its blocks.
        (None, Some(head)) => image.packing().tile_bytes(head.padded[1] / GROUP) as u64,
        (None, None) => 0,
    };
    Traffic {
        pl_weights: segments.map(|s| s.bytes).sum(),
        pl_data: pl_data.sum(),
        ps_reads,
    }
}
