//! Errors of images: each names the file, the part of it and the reason, and says what to do.

use std::path::{Path, PathBuf};

/// Why an image could not be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The operating system refused.
    #[error("{}: cannot {action}", path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// What was tried, as a verb ("open", "write").
        action: &'static str,
        /// The system's reason; not part of this error's own text, as it is its source.
        source: std::io::Error,
    },
    /// `model.json` is not what an image of this version holds.
    #[error("{}: {reason}; pack the checkpoint again", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The image is of a format version that this program does not read.
    #[error(
        "{}: image format version {found}, this program reads versions {supported:?}; \
         pack the checkpoint again with this program, or use the newer one", path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Version in the file.
        found: u64,
        /// Versions that this program reads.
        supported: [u32; 2],
    },
    /// A part of the image contradicts `model.json`.
    #[error(
        "{}: {part}: expected {expected}, found {found}; \
         the image is damaged: copy it again or pack the checkpoint again", path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Segment or tensor.
        part: String,
        /// What `model.json` says.
        expected: String,
        /// What is there.
        found: String,
    },
    /// The output folder holds something that is not an image.
    #[error("{}: {reason}; choose a folder that does not exist, or an older image", path.display())]
    Refused {
        /// The folder.
        path: PathBuf,
        /// Why it is refused.
        reason: String,
    },
}

impl ImageError {
    /// Wraps an I/O error for use in `map_err`.
    pub(crate) fn io<'a>(
        path: &'a Path,
        action: &'static str,
    ) -> impl FnOnce(std::io::Error) -> ImageError + 'a {
        move |source| ImageError::Io {
            path: path.to_owned(),
            action,
            source,
        }
    }
}
