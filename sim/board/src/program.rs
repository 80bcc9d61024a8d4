//! From steps with buffer handles to descriptors with addresses. The kernel module makes the same checks: a process can never
//! make the device touch memory that was not given to it.

use macromac_driver::rules::{ALIGN, BrokenRule, MAX_STEPS, range_name};
use macromac_driver::{BufferUse, Capabilities, DriverError, Profile, SegmentRef, Step};
use macromac_format::Packing;
use macromac_format::descriptor::{DESCRIPTOR_BYTES, Descriptor, FLAG_INTERRUPT};

use crate::buffers::{Buffers, Owner};

/// Checks a program against buffers and device.
pub fn validate(steps: &[Step], buffers: &Buffers, caps: &Capabilities) -> Result<(), DriverError> {
    if steps.is_empty() || steps.len() > MAX_STEPS {
        let rule = BrokenRule::Steps {
            max: MAX_STEPS,
            found: steps.len(),
        };
        return Err(DriverError::BadStep {
            step: steps.len(),
            reason: rule.to_string(),
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
    let broken = |rule: BrokenRule| Err(rule.to_string());
    if step.groups == 0 || u32::from(step.groups) > max_groups {
        return broken(BrokenRule::Groups {
            max: max_groups,
            found: step.groups,
        });
    }
    if step.tile_rows == 0 {
        return broken(BrokenRule::TileRows);
    }
    if step.vectors == 0 || u32::from(step.vectors) > caps.batch {
        return broken(BrokenRule::Vectors {
            max: caps.batch,
            found: step.vectors,
        });
    }
    if step.packing != Packing::Single && caps.profile == Profile::Paper {
        return broken(BrokenRule::Strips {
            profile: caps.profile.name(),
            found: step.packing.macro_strips(),
        });
    }
    for (port, segment) in step.weights.iter().enumerate() {
        let bytes = step.segment_bytes();
        place(port, segment, bytes, BufferUse::Weights, buffers)?;
    }
    let (x, y) = (step.activation_bytes(), step.result_bytes());
    place(4, &step.activations, x, BufferUse::Activations, buffers)?;
    place(5, &step.results, y, BufferUse::Results, buffers)
}

/// Checks one range: alignment, buffer, use, bounds.
fn place(
    range: usize,
    at: &SegmentRef,
    bytes: u64,
    usage: BufferUse,
    buffers: &Buffers,
) -> Result<(), String> {
    let range = &range_name(range);
    let (number, offset) = (at.buffer.0, at.offset);
    let broken = |rule: BrokenRule| Err(rule.to_string());
    if offset % ALIGN != 0 {
        return broken(BrokenRule::Align {
            range,
            found: offset,
        });
    }
    let Ok(buffer) = buffers.get(number) else {
        return broken(BrokenRule::Handle {
            range,
            buffer: number,
        });
    };
    if buffer.owner != Owner::Buffer(usage) {
        return broken(BrokenRule::Usage {
            range,
            buffer: number,
            usage: &buffer.owner.to_string(),
        });
    }
    match offset.checked_add(bytes) {
        Some(end) if end <= buffer.bytes => Ok(()),
        _ => broken(BrokenRule::Bounds {
            range,
            bytes,
            offset,
            buffer: number,
            has: buffer.bytes,
        }),
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
