//! What a run leaves beside its image after each layer, so that the same command goes on where it was interrupted.
//!
//! For an image `NAME` it is the folder `NAME.partial`: `state.json` says of what (checkpoint, text, options), `layer-N.bin` holds the
//! matrices of layer N and the vectors that scales were folded into, `residual-N.bin` the residual stream after it. Each file is
//! written under another name, synced and renamed, and ends with a checksum that covers `state.json` too: what is there is whole
//! and belongs to this run, or it is not used. A run that ends well removes the folder.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use half::f16;
use macromac_format::QuantMatrix;
use serde_json::Value;

use super::Folded;
use crate::InferError;

const FINGERPRINT: &str = "state.json";
const UNFINISHED: &str = "unfinished";
/// Bytes of the checksum at the end of a file.
const CRC: usize = 4;

/// The folder of a run.
#[derive(Debug)]
pub struct State {
    dir: PathBuf,
    /// Checksum that the files' own begin with.
    seed: u32,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Nothing: a new run.
    Nothing,
    /// Layers 0 to n - 1 of this run.
    Layers(usize),
    /// Another run, which was removed: these entries of `state.json` differ.
    Other(Vec<String>),
}

impl State {
    /// Opens the folder `dir` for a run that `fingerprint` describes, a JSON object; makes it if it is not there. Another run's
    /// state is removed.
    ///
    /// # Errors
    /// [`InferError::Input`] if the folder holds something else; [`InferError::Io`] if it cannot be read or written.
    pub fn open(dir: &Path, fingerprint: &Value) -> Result<(Self, Found), InferError> {
        let mut text = serde_json::to_vec_pretty(fingerprint).expect("JSON is plain data");
        text.push(b'\n');
        let state = State {
            dir: dir.to_owned(),
            seed: crc32c::crc32c(&text),
        };
        let names = state.names()?;
        let path = dir.join(FINGERPRINT);
        let old = match fs::read(&path) {
            Ok(bytes) => Some(bytes),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
            Err(e) => return Err(InferError::io(&path, "read")(e)),
        };
        if old.as_ref() == Some(&text) {
            let found = match state.finished(&names)? {
                0 => Found::Nothing,
                n => Found::Layers(n),
            };
            return Ok((state, found));
        }
        for name in &names {
            let path = dir.join(name);
            fs::remove_file(&path).map_err(InferError::io(&path, "remove"))?;
        }
        fs::create_dir_all(dir).map_err(InferError::io(dir, "create"))?;
        state.write(FINGERPRINT, &text)?;
        let found = match old {
            None => Found::Nothing,
            Some(old) => Found::Other(differences(&old, fingerprint)),
        };
        Ok((state, found))
    }

    /// Bytes that a run's files take at most, for `weights` weights and a residual stream of `numbers` FP32 numbers.
    pub fn bytes(weights: u64, numbers: u64) -> u64 {
        // Half a byte and a share of scale and zero a weight; the older residual goes when the newer one is there.
        weights * 5 / 8 + 2 * 4 * numbers + (1 << 20)
    }

    /// Bytes of the files that are in the folder `dir`; 0 if it is not there.
    pub fn present(dir: &Path) -> u64 {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        entries
            .filter_map(|e| e.metadata().ok())
            .map(|m| m.len())
            .sum()
    }

    /// Keeps a finished layer and the residual stream after it.
    ///
    /// # Errors
    /// [`InferError::Io`] if the disk is full or fails.
    pub fn keep(
        &self,
        layer: usize,
        matrices: &[QuantMatrix],
        folded: &Folded,
        residual: &[f32],
    ) -> Result<(), InferError> {
        let mut bytes = Vec::new();
        for m in matrices {
            put_matrix(&mut bytes, m);
        }
        for v in [&folded.input_norm, &folded.post_norm, &folded.qkv_bias] {
            put_numbers(&mut bytes, v);
        }
        self.write_checked(&layer_file(layer), bytes)?;
        let mut bytes = Vec::with_capacity(4 * residual.len() + 12);
        put_numbers(&mut bytes, residual);
        // From here on the layer counts.
        self.write_checked(&residual_file(layer), bytes)?;
        if let Some(before) = layer.checked_sub(1) {
            let path = self.dir.join(residual_file(before));
            match fs::remove_file(&path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(InferError::io(&path, "remove")(e));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// A finished layer, with `matrices` matrices.
    ///
    /// # Errors
    /// [`InferError`] if it cannot be read or is damaged.
    pub fn layer(
        &self,
        layer: usize,
        matrices: usize,
    ) -> Result<(Vec<QuantMatrix>, Folded), InferError> {
        let name = layer_file(layer);
        let damaged = || self.damaged(&name);
        let bytes = self.read_checked(&name)?.ok_or_else(damaged)?;
        let mut rest = &bytes[..];
        let mut take = || {
            let found: Option<Vec<_>> = (0..matrices).map(|_| take_matrix(&mut rest)).collect();
            let folded = Folded {
                input_norm: take_numbers(&mut rest)?,
                post_norm: take_numbers(&mut rest)?,
                qkv_bias: take_numbers(&mut rest)?,
            };
            found.map(|m| (m, folded))
        };
        take().ok_or_else(damaged)
    }

    /// The residual stream after a finished layer.
    ///
    /// # Errors
    /// [`InferError`] if it cannot be read or is damaged.
    pub fn residual(&self, layer: usize) -> Result<Vec<f32>, InferError> {
        let name = residual_file(layer);
        let bytes = self.read_checked(&name)?;
        let numbers = bytes.and_then(|b| take_numbers(&mut &b[..]));
        numbers.ok_or_else(|| self.damaged(&name))
    }

    /// Removes the folder: the image is there.
    ///
    /// # Errors
    /// [`InferError::Io`] if that fails.
    pub fn remove(self) -> Result<(), InferError> {
        for name in self.names()? {
            let path = self.dir.join(name);
            fs::remove_file(&path).map_err(InferError::io(&path, "remove"))?;
        }
        fs::remove_dir(&self.dir).map_err(InferError::io(&self.dir, "remove"))
    }

    /// Names of the files in the folder, all of which a run wrote.
    fn names(&self) -> Result<Vec<String>, InferError> {
        let refused = |found: &str| {
            InferError::Input(format!(
                "{}: expected nothing, or what an interrupted run left, found {found}; move it away or choose another \
                 name for the image",
                self.dir.display()
            ))
        };
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) if e.kind() == std::io::ErrorKind::NotADirectory => {
                return Err(refused("a file"));
            }
            Err(e) => return Err(InferError::io(&self.dir, "read")(e)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(InferError::io(&self.dir, "read"))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let numbered = ["layer-", "residual-"].iter().any(|kind| {
                let number = name.strip_prefix(kind).and_then(|n| n.strip_suffix(".bin"));
                number.is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()))
            });
            let ours = numbered || name == FINGERPRINT || name == UNFINISHED;
            if !ours || !entry.file_type().is_ok_and(|t| t.is_file()) {
                return Err(refused(&format!("\"{name}\" in it")));
            }
            names.push(name);
        }
        Ok(names)
    }

    /// How many layers are whole, from the first, with the residual stream after the last of them.
    fn finished(&self, names: &[String]) -> Result<usize, InferError> {
        let mut layers = 0;
        while names.contains(&layer_file(layers))
            && self.read_checked(&layer_file(layers))?.is_some()
        {
            layers += 1;
        }
        for n in (1..=layers).rev() {
            let name = residual_file(n - 1);
            if names.contains(&name) && self.read_checked(&name)?.is_some() {
                return Ok(n);
            }
        }
        Ok(0)
    }

    fn write_checked(&self, name: &str, mut bytes: Vec<u8>) -> Result<(), InferError> {
        let crc = crc32c::crc32c_append(self.seed, &bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        self.write(name, &bytes)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), InferError> {
        let unfinished = self.dir.join(UNFINISHED);
        let mut file = File::create(&unfinished).map_err(InferError::io(&unfinished, "create"))?;
        file.write_all(bytes)
            .and_then(|()| file.sync_all())
            .map_err(InferError::io(&unfinished, "write"))?;
        let path = self.dir.join(name);
        fs::rename(&unfinished, &path).map_err(InferError::io(&path, "write"))?;
        File::open(&self.dir)
            .and_then(|d| d.sync_all())
            .map_err(InferError::io(&self.dir, "write"))
    }

    /// A file without its checksum; `None` if that is wrong.
    fn read_checked(&self, name: &str) -> Result<Option<Vec<u8>>, InferError> {
        let path = self.dir.join(name);
        let mut bytes = fs::read(&path).map_err(InferError::io(&path, "read"))?;
        let Some(at) = bytes.len().checked_sub(CRC) else {
            return Ok(None);
        };
        let want = crc32c::crc32c_append(self.seed, &bytes[..at]).to_le_bytes();
        let whole = bytes[at..] == want;
        bytes.truncate(at);
        Ok(whole.then_some(bytes))
    }

    fn damaged(&self, name: &str) -> InferError {
        InferError::Input(format!(
            "{}: expected what an interrupted run left, found another content; remove the folder and start again",
            self.dir.join(name).display()
        ))
    }
}

fn layer_file(layer: usize) -> String {
    format!("layer-{layer}.bin")
}

fn residual_file(layer: usize) -> String {
    format!("residual-{layer}.bin")
}

/// Names of the entries that an older fingerprint has otherwise.
fn differences(old: &[u8], new: &Value) -> Vec<String> {
    let old: Value = serde_json::from_slice(old).unwrap_or(Value::Null);
    let entries = new.as_object().into_iter().flatten();
    let differ = entries.filter(|(key, v)| old.get(key) != Some(v));
    differ.map(|(key, _)| key.replace('_', " ")).collect()
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    out.extend_from_slice(&(count as u64).to_le_bytes());
}

fn put_numbers(out: &mut Vec<u8>, v: &[f32]) {
    put_count(out, v.len());
    out.extend(v.iter().flat_map(|v| v.to_le_bytes()));
}

/// Rows, columns, weights two a byte (k is even), scales, zeros.
fn put_matrix(out: &mut Vec<u8>, m: &QuantMatrix) {
    put_count(out, m.n);
    put_count(out, m.k);
    out.extend(m.q.chunks(2).map(|q| q[0] | q[1] << 4));
    out.extend(m.scales.iter().flat_map(|s| s.to_le_bytes()));
    out.extend_from_slice(&m.zeros);
}

fn take<'b>(bytes: &mut &'b [u8], count: usize) -> Option<&'b [u8]> {
    let (head, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(head)
}

fn take_count(bytes: &mut &[u8]) -> Option<usize> {
    let count = take(bytes, 8)?.try_into().expect("eight bytes");
    usize::try_from(u64::from_le_bytes(count)).ok()
}

fn take_numbers(bytes: &mut &[u8]) -> Option<Vec<f32>> {
    let count = take_count(bytes)?;
    let numbers = take(bytes, count.checked_mul(4)?)?.chunks_exact(4);
    Some(
        numbers
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect(),
    )
}

fn take_matrix(bytes: &mut &[u8]) -> Option<QuantMatrix> {
    let (n, k) = (take_count(bytes)?, take_count(bytes)?);
    let mut m = QuantMatrix {
        n,
        k,
        q: Vec::new(),
        scales: Vec::new(),
        zeros: Vec::new(),
    };
    let pairs = take(bytes, n.checked_mul(k)? / 2)?;
    m.q = pairs.iter().flat_map(|b| [b & 15, b >> 4]).collect();
    let groups = n.checked_mul(m.groups())?;
    let scales = take(bytes, groups.checked_mul(2)?)?.chunks_exact(2);
    m.scales = scales.map(|b| f16::from_le_bytes([b[0], b[1]])).collect();
    m.zeros = take(bytes, groups)?.to_vec();
    Some(m)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn matrix(seed: u8) -> QuantMatrix {
        QuantMatrix {
            n: 2,
            k: 128,
            q: (0..=255).map(|i: u8| i.wrapping_mul(seed) & 15).collect(),
            scales: (0..4)
                .map(|i| f16::from_bits(i * 1000 + u16::from(seed)))
                .collect(),
            zeros: vec![0, 15, seed, 8],
        }
    }

    fn folded(v: f32) -> Folded {
        Folded {
            input_norm: vec![v; 3],
            post_norm: vec![-v],
            qkv_bias: Vec::new(),
        }
    }

    #[test]
    fn layers_come_back_and_damaged_ones_do_not_count() {
        let above = tempfile::tempdir().unwrap();
        let dir = above.path().join("image.partial");
        let run = json!({ "text": 1 });
        let (state, found) = State::open(&dir, &run).unwrap();
        assert_eq!(found, Found::Nothing);
        for layer in 0..3 {
            let kept = [matrix(layer as u8 + 3), matrix(7)];
            state
                .keep(layer, &kept, &folded(layer as f32), &[layer as f32; 5])
                .unwrap();
        }
        let (state, found) = State::open(&dir, &run).unwrap();
        assert_eq!(found, Found::Layers(3));
        assert_eq!(
            state.layer(1, 2).unwrap(),
            (vec![matrix(4), matrix(7)], folded(1.0))
        );
        assert_eq!(state.residual(2).unwrap(), [2.0; 5]);
        assert!(!dir.join("residual-1.bin").exists());
        assert!(State::present(&dir) <= State::bytes(3 * 512, 5));

        // A layer in the middle: without it, and without a residual before it, nothing is left.
        let path = dir.join("layer-1.bin");
        let mut bytes = fs::read(&path).unwrap();
        bytes[20] ^= 1;
        fs::write(&path, bytes).unwrap();
        assert_eq!(State::open(&dir, &run).unwrap().1, Found::Nothing);
        assert!(state.layer(1, 2).is_err());
        // The residual of the last layer is not there yet: the run died between the two files.
        state
            .keep(1, &[matrix(4), matrix(7)], &folded(1.0), &[1.0; 5])
            .unwrap();
        fs::remove_file(dir.join("residual-2.bin")).unwrap();
        assert_eq!(State::open(&dir, &run).unwrap().1, Found::Layers(2));
        state.remove().unwrap();
        assert!(!dir.exists());
    }

    #[test]
    fn another_run_starts_anew_and_foreign_files_are_left_alone() {
        let above = tempfile::tempdir().unwrap();
        let dir = above.path().join("image.partial");
        let (state, _) = State::open(&dir, &json!({ "text": 1, "window": 4 })).unwrap();
        state.keep(0, &[matrix(3)], &folded(0.0), &[0.0]).unwrap();
        let (_, found) = State::open(&dir, &json!({ "text": 2, "window": 4 })).unwrap();
        assert_eq!(found, Found::Other(vec!["text".into()]));
        assert!(!dir.join("layer-0.bin").exists());

        fs::write(dir.join("holiday.jpg"), "x").unwrap();
        let e = State::open(&dir, &json!({ "text": 3 }))
            .unwrap_err()
            .to_string();
        assert!(e.contains("holiday.jpg"), "{e}");
        assert!(dir.join("holiday.jpg").exists() && dir.join(FINGERPRINT).exists());
    }
}
