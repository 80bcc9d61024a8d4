//! Room on the disk, asked for before the work.

use std::path::Path;

use crate::InferError;

/// Refuses to begin what cannot end: `out`, whose folder `dir` exists, takes `needed` bytes.
///
/// # Errors
/// [`InferError::Input`] if the file system of `dir` has less.
pub fn check_room(dir: &Path, out: &Path, needed: u64) -> Result<(), InferError> {
    let disk = rustix::fs::statvfs(dir).map_err(|e| InferError::io(dir, "examine")(e.into()))?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    if free >= needed {
        return Ok(());
    }
    Err(InferError::Input(format!(
        "{}: expected {needed} bytes of free disk space, found {free}; make room or choose a folder \
         on another disk",
        out.display()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_with_both_numbers() {
        let dir = tempfile::tempdir().unwrap();
        check_room(dir.path(), dir.path(), 1).unwrap();
        let e = check_room(dir.path(), Path::new("image"), u64::MAX).unwrap_err();
        let text = e.to_string();
        assert!(
            text.contains("image: expected 18446744073709551615 bytes"),
            "{text}"
        );
    }
}
