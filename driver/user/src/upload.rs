//! From a model's weight matrices to buffers of a platform: capability checks, placement, upload.

use macromac_format::{GROUP, Layout, PORTS, Packing, STRIPS, TILE};

use crate::{BufferUse, Capabilities, DriverError, PassShape, Platform, Profile, SegmentRef};

/// Alignment of everything that a descriptor points to.
pub(crate) const ALIGN: usize = 4096;

/// One weight matrix as an image holds it.
#[derive(Debug, Clone, Copy)]
pub struct PassWeights<'a> {
    /// Real (unpadded) shape.
    pub shape: PassShape,
    /// Layout of the blocks; only the `kv260` profile knows another than [`Packing::Single`].
    pub packing: Packing,
    /// The bytes for each port, padding included: `tile_rows` tiles of `groups` blocks each, where `tile_rows` is N / 32 and
    /// `groups` is K / 64, both rounded up.
    pub segments: [&'a [u8]; PORTS],
}

/// A weight matrix in device memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pass {
    pub shape: PassShape,
    pub groups: u16,
    pub tile_rows: u16,
    pub packing: Packing,
    pub weights: [SegmentRef; PORTS],
}

impl Pass {
    /// Bytes of a vector's padded activations.
    pub fn activation_bytes(&self) -> usize {
        usize::from(self.groups) * GROUP * 4
    }

    /// Bytes of a vector's padded results.
    pub fn result_bytes(&self) -> usize {
        usize::from(self.tile_rows) * TILE * PORTS * 4
    }

    /// Cycles that this pass takes when nothing stalls: a strip of every port a cycle, or, if that is more, a beat a cycle of what
    /// the data port moves for `vectors` vectors.
    pub fn ideal_cycles(&self, vectors: usize) -> u64 {
        let strips = usize::from(self.tile_rows) * self.packing.tile_strips(self.groups.into());
        let beats = vectors * (self.activation_bytes() + self.result_bytes()) / 16;
        strips.max(beats) as u64
    }
}

/// Refuses a device whose hardware parameters this software and its image format cannot use.
pub(crate) fn check_capabilities(caps: &Capabilities) -> Result<(), DriverError> {
    let rules = [
        ("weight ports", PORTS, caps.ports),
        ("input channels a group", GROUP, caps.group_size),
        ("strips a macro", STRIPS, caps.macro_strips),
    ];
    if caps.batch == 0 || caps.batch > u32::from(u8::MAX) {
        return Err(DriverError::Capability(format!(
            "vectors a pass: expected 1 to {}, the device has {}; load a bitstream that fits",
            u8::MAX,
            caps.batch
        )));
    }
    for (what, expected, found) in rules {
        if expected as u64 != u64::from(found) {
            return Err(DriverError::Capability(format!(
                "{what}: images of this version are made for {expected}, the device has {found}; \
                 load a bitstream that fits"
            )));
        }
    }
    Ok(())
}

/// Checks one matrix against the limits of the device; gives its padded size in groups and tile rows.
fn padded_size(
    index: usize,
    pass: &PassWeights<'_>,
    caps: &Capabilities,
) -> Result<(u16, u16), DriverError> {
    let PassShape { n, k } = pass.shape;
    if n == 0 || k == 0 {
        return Err(DriverError::Shape {
            what: format!("pass {index}: channels of a matrix [{n}, {k}], the smaller number"),
            expected: 1,
            found: 0,
        });
    }
    if k.div_ceil(GROUP) > caps.max_k as usize / GROUP {
        return Err(DriverError::Capability(format!(
            "pass {index} has {k} input channels, the device's activation buffer holds {}; \
             use a bitstream with a larger one",
            caps.max_k
        )));
    }
    let count = |count: usize, what: &str| {
        u16::try_from(count).map_err(|_| {
            DriverError::Capability(format!(
                "pass {index} [{n}, {k}] has {count} {what}, a descriptor counts at most {}; \
                 split the matrix",
                u16::MAX
            ))
        })
    };
    if pass.packing != Packing::Single && caps.profile == Profile::Paper {
        return Err(DriverError::Capability(format!(
            "pass {index} is in weight format {}, profile {} reads format 1; pack the checkpoint in format 1",
            pass.packing.version(),
            caps.profile.name()
        )));
    }
    let layout = Layout::new(n, k);
    let groups = count(layout.groups(), "groups of 64 inputs")?;
    let tile_rows = count(layout.tile_rows(), "tile rows of 32 outputs")?;
    let expected = usize::from(tile_rows) * pass.packing.tile_bytes(groups.into());
    for (port, segment) in pass.segments.iter().enumerate() {
        if segment.len() != expected {
            return Err(DriverError::Shape {
                what: format!("pass {index} [{n}, {k}]: bytes of port {port}'s segment"),
                expected,
                found: segment.len(),
            });
        }
    }
    Ok((groups, tile_rows))
}

/// Checks all matrices first, then allocates one buffer a matrix (its four segments, each on a 4 KiB line) and fills it.
pub(crate) fn upload<P: Platform>(
    platform: &mut P,
    caps: &Capabilities,
    passes: &[PassWeights<'_>],
) -> Result<Vec<Pass>, DriverError> {
    if passes.is_empty() {
        return Err(DriverError::Shape {
            what: "weight matrices of the model".into(),
            expected: 1,
            found: 0,
        });
    }
    let sizes = passes
        .iter()
        .enumerate()
        .map(|(index, pass)| padded_size(index, pass, caps))
        .collect::<Result<Vec<_>, _>>()?;
    let mut placed = Vec::with_capacity(passes.len());
    for (pass, (groups, tile_rows)) in passes.iter().zip(sizes) {
        let bytes = pass.segments[0].len();
        let stride = bytes.next_multiple_of(ALIGN);
        // The buffer ends where the last segment's data ends, so that a read past it is a read outside the buffer.
        let buffer = platform.alloc((PORTS - 1) * stride + bytes, BufferUse::Weights)?;
        let weights = std::array::from_fn(|port| SegmentRef {
            buffer,
            offset: (port * stride) as u64,
        });
        for (place, segment) in weights.iter().zip(&pass.segments) {
            platform.write(buffer, place.offset, segment)?;
        }
        placed.push(Pass {
            shape: pass.shape,
            groups,
            tile_rows,
            packing: pass.packing,
            weights,
        });
    }
    Ok(placed)
}
