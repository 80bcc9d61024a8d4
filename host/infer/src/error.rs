//! Errors of inference: what was expected, what was found, what to do.

use std::path::{Path, PathBuf};

use macromac_driver::DriverError;
use macromac_format::ImageError;

/// Why a model could not be loaded, packed or run.
#[derive(Debug, thiserror::Error)]
pub enum InferError {
    /// The operating system refused.
    #[error("{}: cannot {action}", path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// What was tried, as a verb.
        action: &'static str,
        /// The system's reason; not part of this error's own text, as it is its source.
        source: std::io::Error,
    },
    /// A file of a checkpoint is not what it must be.
    #[error("{}: {reason}", path.display())]
    Checkpoint {
        /// The file or folder.
        path: PathBuf,
        /// Expected, found and what to do.
        reason: String,
    },
    /// An image could not be opened or written.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The device failed.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// The request cannot be served: prompt, token ids, options.
    #[error("{0}")]
    Input(String),
    /// The arithmetic left the numbers.
    #[error(
        "the logits at position {position} hold {value} for token {token}: the weights are damaged \
         or this model overflows the backend's arithmetic; compare with --backend cpu"
    )]
    NotANumber {
        /// Position in the sequence.
        position: usize,
        /// Token id.
        token: usize,
        /// The value.
        value: f32,
    },
}

impl InferError {
    /// Wraps an I/O error for use in `map_err`.
    pub(crate) fn io<'a>(
        path: &'a Path,
        action: &'static str,
    ) -> impl FnOnce(std::io::Error) -> InferError + 'a {
        move |source| InferError::Io {
            path: path.to_owned(),
            action,
            source,
        }
    }

    /// A checkpoint error.
    pub(crate) fn checkpoint(path: &Path, reason: impl Into<String>) -> Self {
        InferError::Checkpoint {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }
}
