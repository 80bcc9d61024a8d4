//! From steps with buffer handles to descriptors with addresses. The kernel module makes the same checks: a process can never
//! make the device touch memory that was not given to it.

use macromac_driver::{BufferUse, Capabilities, DriverError, Profile, SegmentRef, Step};
use macromac_format::Packing;
use macromac_format::descriptor::{DESCRIPTOR_BYTES, Descriptor, FLAG_INTERRUPT};

use crate::buffers::{ALIGN, Buffers, Owner};

/// Most steps a ring may have (RING_STEPS has 16 bits).
pub const MAX_STEPS: usize = 0xFFFF;

/// Checks a program against buffers and device.
pub fn validate(steps: &[Step], buffers: &Buffers, caps: &Capabilities) -> Result<(), DriverError> {
    if steps.is_empty() || steps.len() > MAX_STEPS {
        return Err(DriverError::BadStep {
            step: steps.len(),
            reason: format!(
                "a program has 1 to {MAX_STEPS} steps, found {}",
                steps.len()
            ),
        });
    }
    for (index, step) in steps.iter().enumerate() {
        check(step, buffers, caps).map_err(|reason| DriverError::BadStep {
            step: index,
            reason,
        })?;
    }
    Ok(())
}

fn check(step: &Step, buffers: &Buffers, caps: &Capabilities) -> Result<(), String> {
    let max_groups = caps.max_k / caps.group_size.max(1);
    if step.groups == 0 || u32::from(step.groups) > max_groups {
        return Err(format!(
            "groups must be 1 to {max_groups}, found {}",
            step.groups
        ));
    }
    if step.tile_rows == 0 {
        return Err("tile_rows must be 1 to 65535, found 0".into());
    }
    if step.vectors == 0 || u32::from(step.vectors) > caps.batch {
        return Err(format!(
            "vectors must be 1 to {}, found {}",
            caps.batch, step.vectors
        ));
    }
    if step.packing != Packing::Single && caps.profile == Profile::Paper {
        return Err(format!(
            "macro_strips must be 18 in profile paper, found {}",
            step.packing.macro_strips()
        ));
    }
    for (port, segment) in step.weights.iter().enumerate() {
        place(
            &format!("weights of port {port}"),
            segment,
            step.segment_bytes(),
            BufferUse::Weights,
            buffers,
        )?;
    }
    place(
        "activations",
        &step.activations,
        step.activation_bytes(),
        BufferUse::Activations,
        buffers,
    )?;
    let y = step.result_bytes();
    place("results", &step.results, y, BufferUse::Results, buffers)
}

/// Checks one range: alignment, buffer, use, bounds.
fn place(
    what: &str,
    at: &SegmentRef,
    bytes: u64,
    usage: BufferUse,
    buffers: &Buffers,
) -> Result<(), String> {
    if at.offset % ALIGN != 0 {
        return Err(format!(
            "{what}: offset must be a multiple of {ALIGN}, found {}",
            at.offset
        ));
    }
    let buffer = buffers
        .get(at.buffer.0)
        .map_err(|error| format!("{what}: {error}"))?;
    if buffer.owner != Owner::Buffer(usage) {
        return Err(format!(
            "{what}: buffer {} was allocated for {}",
            at.buffer.0, buffer.owner
        ));
    }
    match at.offset.checked_add(bytes) {
        Some(end) if end <= buffer.bytes => Ok(()),
        _ => Err(format!(
            "{what}: {bytes} bytes from offset {} on are outside of buffer {}, it has {} bytes",
            at.offset, at.buffer.0, buffer.bytes
        )),
    }
}

/// The bytes of the ring; the steps must be valid.
pub fn encode(steps: &[Step], buffers: &Buffers, interrupts: bool) -> Result<Vec<u8>, DriverError> {
    let address = |at: &SegmentRef| {
        buffers
            .get(at.buffer.0)
            .map(|buffer| buffer.address + at.offset)
    };
    let mut ring = Vec::with_capacity(steps.len() * DESCRIPTOR_BYTES);
    for step in steps {
        let mut weights = [0; 4];
        for (to, at) in weights.iter_mut().zip(&step.weights) {
            *to = address(at)?;
        }
        let descriptor = Descriptor {
            macro_strips: step.packing.macro_strips() as u8,
            flags: if interrupts { FLAG_INTERRUPT } else { 0 },
            groups: step.groups,
            tile_rows: step.tile_rows,
            report_tile_rows: step.report_tile_rows,
            vectors: step.vectors,
            activations: address(&step.activations)?,
            results: address(&step.results)?,
            weights,
        };
        ring.extend_from_slice(&descriptor.encode());
    }
    Ok(ring)
}
