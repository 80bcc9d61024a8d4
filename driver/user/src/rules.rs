//! The rules of a step, in words. Whoever validates a program (the simulated board, or the kernel module, which names the
//! rule by number) says the same of it.

/// Most steps a ring may have (RING_STEPS has 16 bits).
pub const MAX_STEPS: usize = 0xFFFF;

/// Alignment of every offset in a step, in bytes.
pub const ALIGN: u64 = 4096;

/// A broken rule of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrokenRule<'a> {
    /// The program has no steps, or too many.
    Steps {
        /// Most that it may have.
        max: usize,
        /// Those it has.
        found: usize,
    },
    /// Number of groups.
    Groups {
        /// Most that the device takes.
        max: u32,
        /// Those of the step.
        found: u16,
    },
    /// No tile rows.
    TileRows,
    /// Number of vectors.
    Vectors {
        /// The device's batch.
        max: u32,
        /// Those of the step.
        found: u8,
    },
    /// A weight format that the device does not have.
    Strips {
        /// Name of its profile.
        profile: &'a str,
        /// Strips of the step's macros.
        found: usize,
    },
    /// No such buffer.
    Handle {
        /// What lies there.
        range: &'a str,
        /// The handle.
        buffer: u32,
    },
    /// The buffer is for something else.
    Usage {
        /// What lies there.
        range: &'a str,
        /// The handle.
        buffer: u32,
        /// What it is for.
        usage: &'a str,
    },
    /// Offset not on a page.
    Align {
        /// What lies there.
        range: &'a str,
        /// The offset in bytes.
        found: u64,
    },
    /// Longer than the buffer.
    Bounds {
        /// What lies there.
        range: &'a str,
        /// Length in bytes.
        bytes: u64,
        /// First byte in the buffer.
        offset: u64,
        /// The handle.
        buffer: u32,
        /// The buffer's length in bytes.
        has: u64,
    },
}

/// Why a handle is refused.
pub const NO_SUCH_BUFFER: &str = "no such buffer: it was never allocated, or it was freed";

impl std::fmt::Display for BrokenRule<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Self::Steps { max, found } => {
                write!(f, "a program has 1 to {max} steps, found {found}")
            }
            Self::Groups { max, found } => write!(f, "groups must be 1 to {max}, found {found}"),
            Self::TileRows => f.write_str("tile_rows must be 1 to 65535, found 0"),
            Self::Vectors { max, found } => write!(f, "vectors must be 1 to {max}, found {found}"),
            Self::Strips { profile, found } => {
                write!(
                    f,
                    "macro_strips must be 18 in profile {profile}, found {found}"
                )
            }
            Self::Handle { range, buffer } => {
                write!(f, "{range}: buffer {buffer}: {NO_SUCH_BUFFER}")
            }
            Self::Usage {
                range,
                buffer,
                usage,
            } => write!(f, "{range}: buffer {buffer} was allocated for {usage}"),
            Self::Align { range, found } => {
                write!(
                    f,
                    "{range}: offset must be a multiple of {ALIGN}, found {found}"
                )
            }
            Self::Bounds {
                range,
                bytes,
                offset,
                buffer,
                has,
            } => write!(
                f,
                "{range}: {bytes} bytes from offset {offset} on are outside of buffer {buffer}, it has {has} bytes"
            ),
        }
    }
}

/// Name of a step's range: 0 to 3 the weights of a port, 4 activations, 5 results.
pub fn range_name(range: usize) -> String {
    match range {
        0..=3 => format!("weights of port {range}"),
        4 => "activations".into(),
        _ => "results".into(),
    }
}
