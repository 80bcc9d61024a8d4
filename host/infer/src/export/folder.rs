//! The folder of an AutoAWQ checkpoint: its files beside the weights, and whether it may be replaced.

use std::fs;
use std::path::Path;

use macromac_format::manifest::SIDE_FILES;
use serde_json::{Value, json};

use crate::InferError;
use crate::config::read_json;

/// Files that go along as they are, beside [`SIDE_FILES`].
pub(super) const MORE_FILES: [&str; 6] = [
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "merges.txt",
    "special_tokens_map.json",
    "vocab.json",
];
/// Field of `config.json` that tells our checkpoints, which may be replaced, from others, which may not.
const MARK: &str = "quantized_by";
const MARKED: &str = "macromac";
/// Says which file of several holds a tensor.
pub(super) const INDEX: &str = "model.safetensors.index.json";

/// The `config.json` of the checkpoint in folder `dir`, with how the weights are quantized now.
///
/// # Errors
/// [`InferError`] if it cannot be read.
pub(super) fn config(dir: &Path, group_size: usize) -> Result<Vec<u8>, InferError> {
    let mut config = read_json(&dir.join("config.json"))?;
    let fields = config
        .as_object_mut()
        .expect("Checkpoint::open read a model from it");
    fields.insert("torch_dtype".into(), "float16".into());
    if fields.contains_key("dtype") {
        // transformers 5 writes it so.
        fields.insert("dtype".into(), "float16".into());
    }
    fields.insert(MARK.into(), MARKED.into());
    let quantization = json!({
        "bits": 4, "group_size": group_size, "modules_to_not_convert": null, "quant_method": "awq",
        "version": "gemm", "zero_point": true,
    });
    fields.insert("quantization_config".into(), quantization);
    Ok(pretty(&config))
}

/// JSON as a file holds it.
pub(super) fn pretty(json: &Value) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(json).expect("plain data");
    bytes.push(b'\n');
    bytes
}

/// Whether there is a checkpoint of ours to replace. Refused is everything but nothing, an empty folder, and such a
/// checkpoint without foreign files.
///
/// # Errors
/// [`InferError::Input`] with what is in the way.
pub(super) fn check_destination(out: &Path) -> Result<bool, InferError> {
    let refused = |found: &str| {
        InferError::Input(format!(
            "{}: expected a folder that does not exist, is empty or holds an AutoAWQ checkpoint written by macromac, \
             found {found}; choose another",
            out.display()
        ))
    };
    let entries = match fs::read_dir(out) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(e) if e.kind() == std::io::ErrorKind::NotADirectory => {
            return Err(refused("a file"));
        }
        Err(e) => return Err(InferError::io(out, "read")(e)),
        Ok(entries) => entries,
    };
    let mut empty = true;
    for entry in entries {
        let entry = entry.map_err(InferError::io(out, "read"))?;
        empty = false;
        let name = entry.file_name().to_string_lossy().into_owned();
        let weights = name.starts_with("model") && name.ends_with(".safetensors");
        let known = weights
            || name == "config.json"
            || name == INDEX
            || SIDE_FILES.iter().chain(&MORE_FILES).any(|f| *f == name);
        if !known || !entry.file_type().is_ok_and(|t| t.is_file()) {
            return Err(refused(&format!("\"{name}\" in it")));
        }
    }
    if empty {
        return Ok(false);
    }
    let ours = read_json(&out.join("config.json")).is_ok_and(|c| c[MARK] == MARKED);
    match ours {
        true => Ok(true),
        false => Err(refused("another checkpoint")),
    }
}
