//! Text files that a user hands us.

use std::path::Path;

use anyhow::{Context, Result};

/// Reads a text.
///
/// # Errors
/// If the file cannot be read or is not UTF-8, with the offset of the first byte that is none.
pub fn read(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).with_context(|| format!("{}: cannot read", path.display()))?;
    String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        anyhow::anyhow!(
            "{}: expected UTF-8 text, found another byte at offset {at}",
            path.display()
        )
    })
}
