//! Writing to standard output and standard error without ever panicking.

use std::io::{self, Write};
use std::path::PathBuf;

use macromac_infer::InferError;

/// Writes to standard output and flushes, so that text appears as it is made.
pub fn print(text: &str) -> Result<(), InferError> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|source| InferError::Io {
            path: PathBuf::from("standard output"),
            action: "write",
            source,
        })
}

/// Writes a line to standard error; that this can fail too is nobody's concern.
pub fn note(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Writes to standard error without a line end.
pub fn echo(text: &str) {
    let mut err = io::stderr().lock();
    let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}

/// Whether an error only says that the reader of our output has gone.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|e| {
        e.downcast_ref::<io::Error>()
            .is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
    })
}
