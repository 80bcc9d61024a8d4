//! Errors of the driver crate.

use std::time::Duration;

use crate::rules::range_name;

/// What made the device halt (the sticky error register).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceFault {
    /// A read was answered with SLVERR or DECERR; `port` 0..3 are the weight ports, 4 the data port.
    BusRead {
        /// Port number.
        port: u8,
        /// Address of the burst.
        address: u64,
    },
    /// A write was answered with SLVERR or DECERR (data port).
    BusWrite {
        /// Address of the burst.
        address: u64,
    },
    /// A read or write was answered with an error; where, the kernel says relative to the program.
    BusAt {
        /// A write.
        write: bool,
        /// Port number.
        port: u8,
        /// Ring index of the step.
        step: u32,
        /// Range of that step: 0 to 3 the weights of a port, 4 activations, 5 results; `None`: none of them.
        range: Option<u8>,
        /// Byte in that range.
        offset: u64,
    },
    /// The driver gave the device up: it did not stop or drain.
    NoReaction,
    /// A descriptor has an unknown version, a zero size, a size over the limits, or reserved bits set.
    BadDescriptor {
        /// Index in the ring.
        index: u32,
    },
    /// The reserved bits of a zeros strip are not zero: the weights in memory are not AWQ_MACRO blocks.
    ReservedBits {
        /// Port (= unit) that saw it.
        port: u8,
    },
    /// No progress within the watchdog's limit.
    Watchdog,
    /// A cause code that this software does not know.
    Unknown {
        /// The code.
        code: u32,
    },
}

impl std::fmt::Display for DeviceFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::BusRead { port, address } => {
                write!(
                    f,
                    "bus error on a read of port {port} at address {address:#x}"
                )
            }
            Self::BusWrite { address } => write!(f, "bus error on a write at address {address:#x}"),
            Self::BusAt {
                write,
                port,
                step,
                range,
                offset,
            } => {
                let kind = if *write { "write" } else { "read" };
                write!(f, "bus error on a {kind} of port {port} at ")?;
                match range {
                    Some(range) => {
                        let range = range_name((*range).into());
                        write!(f, "byte {offset} of the {range} of ring step {step}")
                    }
                    None => write!(f, "an address outside of its buffers (ring step {step})"),
                }
            }
            Self::NoReaction => f.write_str("it does not react any more"),
            Self::BadDescriptor { index } => write!(f, "bad descriptor at ring index {index}"),
            Self::ReservedBits { port } => write!(
                f,
                "reserved bits set in a zeros strip on port {port}: the weights are not AWQ_MACRO blocks"
            ),
            Self::Watchdog => write!(f, "the watchdog saw no progress"),
            Self::Unknown { code } => write!(f, "unknown cause {code:#x}"),
        }
    }
}

/// What can go wrong between software and device.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// A vector or matrix does not fit the pass.
    #[error("{what}: expected {expected}, found {found}")]
    Shape {
        /// Which quantity.
        what: String,
        /// Required size.
        expected: usize,
        /// Given size.
        found: usize,
    },
    /// DMA memory is exhausted.
    #[error(
        "out of DMA memory: {asked} bytes asked for, {left} left; use a smaller model or enlarge the reserved region"
    )]
    OutOfMemory {
        /// Bytes asked for.
        asked: u64,
        /// Bytes left.
        left: u64,
    },
    /// A buffer handle or range is not valid.
    #[error("buffer {buffer}: {reason}")]
    BadBuffer {
        /// The handle.
        buffer: u32,
        /// What is wrong with it.
        reason: String,
    },
    /// A step of a program breaks a rule.
    #[error("step {step} of the program: {reason}")]
    BadStep {
        /// Index in the program.
        step: usize,
        /// The rule it breaks, with values.
        reason: String,
    },
    /// Calls in the wrong order.
    #[error("{0}")]
    Sequence(String),
    /// The device halted.
    #[error("the device halted: {fault} (step {step}); reset it and load the program again")]
    Fault {
        /// Cause.
        fault: DeviceFault,
        /// Steps completed before the fault.
        step: u32,
    },
    /// The device did not answer in time.
    #[error("no answer within {after:?}: {what}; steps done {steps_done}, rows done {rows_done}")]
    Timeout {
        /// Limit.
        after: Duration,
        /// What was waited for.
        what: String,
        /// Progress at that time.
        steps_done: u32,
        /// Progress at that time.
        rows_done: u32,
    },
    /// The device's hardware does not suit the model.
    #[error("the device does not suit this model: {0}")]
    Capability(String),
    /// The device cannot be opened or used: what was expected, what was found, what to do.
    #[error("{0}")]
    Unavailable(String),
    /// A call to the kernel failed in a way that it should not.
    #[error("{device}: {call} failed: {error}; the kernel's log (dmesg) may say more")]
    System {
        /// The device file.
        device: String,
        /// What was asked for.
        call: &'static str,
        /// The kernel's answer.
        error: std::io::Error,
    },
    /// The simulator reported a broken rule (protocol violation, failed assertion).
    #[error("simulation: {0}")]
    Simulation(String),
}
