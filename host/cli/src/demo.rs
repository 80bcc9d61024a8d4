//! The demonstration model that the program carries along.

use anyhow::{Context, Result};
use tempfile::TempDir;

/// Its files; `models/demo/README.md` has source and notice.
const FILES: [(&str, &[u8]); 5] = [
    (
        "config.json",
        include_bytes!("../../../models/demo/config.json"),
    ),
    (
        "generation_config.json",
        include_bytes!("../../../models/demo/generation_config.json"),
    ),
    (
        "model.safetensors",
        include_bytes!("../../../models/demo/model.safetensors"),
    ),
    (
        "tokenizer.json",
        include_bytes!("../../../models/demo/tokenizer.json"),
    ),
    (
        "tokenizer_config.json",
        include_bytes!("../../../models/demo/tokenizer_config.json"),
    ),
];

/// Writes the model into a temporary folder, which is removed with the value.
pub fn extract() -> Result<TempDir> {
    let dir = temp_dir()?;
    for (name, bytes) in FILES {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).with_context(|| {
            format!(
                "{}: cannot write the built-in model; set TMPDIR to a folder with room",
                path.display()
            )
        })?;
    }
    Ok(dir)
}

/// A temporary folder.
pub fn temp_dir() -> Result<TempDir> {
    tempfile::Builder::new()
        .prefix("macromac-")
        .tempdir()
        .with_context(|| {
            format!(
                "{}: cannot create a temporary folder; set TMPDIR to a folder that is writable",
                std::env::temp_dir().display()
            )
        })
}
