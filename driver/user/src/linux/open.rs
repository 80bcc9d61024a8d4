//! What an opened device is, or why it cannot be used.

use std::io::{self, ErrorKind};

use super::uapi;
use crate::{Capabilities, DriverError, Profile};

/// Why a device file cannot be opened, and what to do.
pub fn unavailable(device: &str, error: &io::Error) -> DriverError {
    DriverError::Unavailable(match error.kind() {
        ErrorKind::NotFound => format!(
            "{device}: expected the accelerator's device file, found none; load the kernel module (modprobe macromac) and see that \
             the device tree has its node (dmesg)"
        ),
        ErrorKind::PermissionDenied => format!(
            "{device}: expected permission to read and write, found none; join the group that owns it (ls -l {device})"
        ),
        ErrorKind::ResourceBusy => {
            format!("{device}: another program uses the accelerator; wait until it ends")
        }
        _ => format!("{device}: cannot be opened: {error}; the kernel's log (dmesg) may say more"),
    })
}

/// Hardware parameters from the kernel's answer.
pub fn capabilities(query: &uapi::macromac_query) -> Result<Capabilities, DriverError> {
    let profile = match query.arithmetic {
        0 => Profile::Paper,
        1 => Profile::Kv260,
        other => {
            return Err(DriverError::Capability(format!(
                "arithmetic {other} is unknown to this software, it knows 0 (paper) and 1 (kv260)"
            )));
        }
    };
    Ok(Capabilities {
        profile,
        ports: query.ports,
        batch: query.batch,
        group_size: query.group_size,
        macro_strips: query.macro_strips,
        fifo_strips: query.fifo_strips,
        max_k: query.max_groups.saturating_mul(query.group_size),
        config_hash: query.config_hash,
    })
}
