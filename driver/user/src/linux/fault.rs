//! From the kernel's numbers to the driver's errors, and from steps to the kernel's structures.

use super::uapi;
use crate::rules::{BrokenRule, range_name};
use crate::{BufferUse, Capabilities, DeviceFault, DriverError, SegmentRef, Step};

/// Cause of a device that the kernel has given up.
const NO_REACTION: u32 = 0x100;

/// The error of a halted device, after so many complete steps.
pub fn error(fault: &uapi::macromac_fault, steps_done: u32) -> DriverError {
    let port = fault.port as u8;
    let fault = match fault.cause {
        1 | 2 => DeviceFault::BusAt {
            write: fault.cause == 2,
            port,
            step: fault.step,
            range: u8::try_from(fault.range).ok(),
            offset: fault.offset,
        },
        3 => DeviceFault::BadDescriptor { index: fault.step },
        4 => DeviceFault::ReservedBits { port },
        5 => DeviceFault::Watchdog,
        NO_REACTION => DeviceFault::NoReaction,
        code => DeviceFault::Unknown { code },
    };
    DriverError::Fault {
        fault,
        step: steps_done,
    }
}

/// A step as the kernel wants it.
pub fn step(step: &Step) -> uapi::macromac_step {
    let range = |at: &SegmentRef| uapi::macromac_range {
        handle: at.buffer.0,
        pad: 0,
        offset: at.offset,
    };
    uapi::macromac_step {
        groups: step.groups,
        tile_rows: step.tile_rows,
        report_tile_rows: step.report_tile_rows,
        vectors: step.vectors,
        macro_strips: step.packing.macro_strips() as u8,
        weights: std::array::from_fn(|port| range(&step.weights[port])),
        activations: range(&step.activations),
        results: range(&step.results),
    }
}

/// A program without steps, or with too many.
pub fn bad_count(found: usize, max: usize) -> DriverError {
    DriverError::BadStep {
        step: found,
        reason: BrokenRule::Steps { max, found }.to_string(),
    }
}

/// Why the kernel has refused a program. `known` gives what a buffer is for and its bytes.
pub fn bad_step(
    load: &uapi::macromac_program_load,
    steps: &[Step],
    caps: &Capabilities,
    max_steps: usize,
    known: impl Fn(u32) -> Option<(BufferUse, u64)>,
) -> DriverError {
    let index = load.bad_step as usize;
    let rule = load.bad_rule;
    let Some(step) = steps.get(index) else {
        return bad_count(steps.len(), max_steps);
    };
    let number = load.bad_range as usize;
    let (at, bytes) = match number {
        0..=3 => (&step.weights[number], step.segment_bytes()),
        4 => (&step.activations, step.activation_bytes()),
        _ => (&step.results, step.result_bytes()),
    };
    let range = &range_name(number);
    let (buffer, offset) = (at.buffer.0, at.offset);
    let of_buffer = known(buffer);
    let reason = match rule {
        uapi::MACROMAC_RULE_GROUPS => BrokenRule::Groups {
            max: caps.max_k / caps.group_size.max(1),
            found: step.groups,
        }
        .to_string(),
        uapi::MACROMAC_RULE_TILE_ROWS => BrokenRule::TileRows.to_string(),
        uapi::MACROMAC_RULE_VECTORS => BrokenRule::Vectors {
            max: caps.batch,
            found: step.vectors,
        }
        .to_string(),
        uapi::MACROMAC_RULE_STRIPS => BrokenRule::Strips {
            profile: caps.profile.name(),
            found: step.packing.macro_strips(),
        }
        .to_string(),
        uapi::MACROMAC_RULE_HANDLE => BrokenRule::Handle { range, buffer }.to_string(),
        uapi::MACROMAC_RULE_USAGE => BrokenRule::Usage {
            range,
            buffer,
            usage: of_buffer.map_or("something else", |(usage, _)| usage.name()),
        }
        .to_string(),
        uapi::MACROMAC_RULE_ALIGN => BrokenRule::Align {
            range,
            found: offset,
        }
        .to_string(),
        uapi::MACROMAC_RULE_BOUNDS => BrokenRule::Bounds {
            range,
            bytes,
            offset,
            buffer,
            has: of_buffer.map_or(0, |(_, bytes)| bytes),
        }
        .to_string(),
        uapi::MACROMAC_RULE_STEPS => {
            return bad_count(steps.len(), max_steps);
        }
        other => format!(
            "the kernel module refuses it by rule {other}, which this program does not know"
        ),
    };
    DriverError::BadStep {
        step: index,
        reason,
    }
}
