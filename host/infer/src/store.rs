//! Tensors of a checkpoint folder: `model.safetensors`, or the shards that
//! `model.safetensors.index.json` lists, mapped into memory.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};

use macromac_format::DType;
use memmap2::Mmap;
use safetensors::tensor::{Dtype, SafeTensors};

use crate::InferError;
use crate::config::read_json;

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// The tensors of a checkpoint.
#[derive(Debug)]
pub struct TensorStore {
    dir: PathBuf,
    files: Vec<(PathBuf, Mmap)>,
    tensors: HashMap<String, Located>,
}

#[derive(Debug)]
struct Located {
    file: usize,
    dtype: Dtype,
    shape: Vec<usize>,
    from: usize,
    to: usize,
}

/// Where a tensor of the expected shape lies.
#[derive(Debug, Clone, Copy)]
pub struct TensorRef {
    file: usize,
    from: usize,
    /// Number format.
    pub dtype: DType,
    /// Rows; 1 for a vector.
    pub rows: usize,
    /// Numbers in a row.
    pub columns: usize,
}

/// Where a tensor of 32-bit integers lies.
#[derive(Debug, Clone, Copy)]
pub struct WordsRef {
    file: usize,
    from: usize,
    to: usize,
}

impl TensorStore {
    /// Maps the safetensors files of folder `dir`.
    ///
    /// # Errors
    /// [`InferError`] names the file that is missing, truncated or malformed.
    pub fn open(dir: &Path) -> Result<Self, InferError> {
        let mut store = TensorStore {
            dir: dir.to_owned(),
            files: Vec::new(),
            tensors: HashMap::new(),
        };
        for name in shard_names(dir)? {
            store.add_file(dir.join(name))?;
        }
        Ok(store)
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether there is a tensor of this name.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Checks that all tensors of these names are there.
    ///
    /// # Errors
    /// [`InferError::Checkpoint`] names all that are not.
    pub fn require(&self, names: &[String]) -> Result<(), InferError> {
        let missing: Vec<&str> = names
            .iter()
            .filter(|n| !self.has(n))
            .map(String::as_str)
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(InferError::checkpoint(
            &self.dir,
            format!(
                "tensors {}: expected by config.json, found no such tensor in {} file(s); is the \
                 checkpoint complete, and config.json its own?",
                missing.join(", "),
                self.files.len()
            ),
        ))
    }

    /// Finds a tensor of 32-bit integers and checks its shape.
    ///
    /// # Errors
    /// [`InferError::Checkpoint`] with what was expected and found.
    pub fn find_words(&self, name: &str, shape: &[usize]) -> Result<WordsRef, InferError> {
        let t = self.locate(name, shape)?;
        if t.dtype != Dtype::I32 {
            return Err(InferError::checkpoint(
                &self.files[t.file].0,
                format!("tensor {name}: expected I32, found {:?}", t.dtype),
            ));
        }
        Ok(WordsRef {
            file: t.file,
            from: t.from,
            to: t.to,
        })
    }

    /// The little-endian words of a tensor of 32-bit integers.
    pub fn words(&self, t: &WordsRef) -> &[u8] {
        &self.files[t.file].1[t.from..t.to]
    }

    /// Finds a tensor and checks its shape.
    fn locate(&self, name: &str, shape: &[usize]) -> Result<&Located, InferError> {
        let t = self.tensors.get(name).ok_or_else(|| {
            InferError::checkpoint(
                &self.dir,
                format!(
                    "tensor {name}: expected shape {shape:?}, found no such tensor in \
                     {} file(s); is the checkpoint complete?",
                    self.files.len()
                ),
            )
        })?;
        let path = &self.files[t.file].0;
        if let [rows, columns] = *shape {
            if rows != columns && t.shape == [columns, rows] {
                return Err(InferError::checkpoint(
                    path,
                    format!(
                        "tensor {name}: expected shape {shape:?} (by config.json), found the \
                         transpose {:?}; transpose it where the checkpoint is made",
                        t.shape
                    ),
                ));
            }
        }
        if t.shape != shape {
            return Err(InferError::checkpoint(
                path,
                format!(
                    "tensor {name}: expected shape {shape:?} (by config.json), found {:?}; \
                     config.json and weights do not belong together",
                    t.shape
                ),
            ));
        }
        Ok(t)
    }

    /// Finds a tensor and checks its shape and number format.
    ///
    /// # Errors
    /// [`InferError::Checkpoint`] with what was expected and found.
    pub fn find(&self, name: &str, shape: &[usize]) -> Result<TensorRef, InferError> {
        let t = self.locate(name, shape)?;
        let path = &self.files[t.file].0;
        let dtype = match t.dtype {
            Dtype::BF16 => DType::Bf16,
            Dtype::F16 => DType::F16,
            Dtype::F32 => DType::F32,
            other => {
                return Err(InferError::checkpoint(
                    path,
                    format!("tensor {name}: expected BF16, F16 or F32, found {other:?}"),
                ));
            }
        };
        let columns = *shape.last().expect("a tensor has a dimension");
        let rows = shape.iter().product::<usize>() / columns;
        // The header was validated against itself; this ties it to the shape that we use.
        assert_eq!(t.to - t.from, rows * columns * dtype.bytes());
        Ok(TensorRef {
            file: t.file,
            from: t.from,
            dtype,
            rows,
            columns,
        })
    }

    /// Names of all tensors and their bytes, in no order.
    pub fn sizes(&self) -> impl Iterator<Item = (&str, u64)> {
        let tensors = self.tensors.iter();
        tensors.map(|(name, t)| (name.as_str(), (t.to - t.from) as u64))
    }

    /// Bytes of the files, headers included.
    pub fn file_bytes(&self) -> u64 {
        self.files.iter().map(|(_, map)| map.len() as u64).sum()
    }

    /// All bytes of a tensor.
    pub fn bytes(&self, t: &TensorRef) -> &[u8] {
        &self.files[t.file].1[t.from..][..t.rows * t.columns * t.dtype.bytes()]
    }

    /// Widens one row to FP32.
    ///
    /// # Panics
    /// If the row does not exist or `out` has not its length.
    pub fn row(&self, t: &TensorRef, row: usize, out: &mut [f32]) {
        assert!(row < t.rows, "row {row} of {}", t.rows);
        let len = t.columns * t.dtype.bytes();
        t.dtype.widen(&self.bytes(t)[row * len..][..len], out);
    }

    fn add_file(&mut self, path: PathBuf) -> Result<(), InferError> {
        let file = File::open(&path).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => InferError::checkpoint(
                &path,
                "expected a safetensors file, found none; download the checkpoint again",
            ),
            _ => InferError::io(&path, "open")(source),
        })?;
        // SAFETY: read-only and private; checkpoints are not written while they are in use, and
        // no reading code relies on bytes staying the same: all offsets were checked once.
        let map = unsafe { Mmap::map(&file) }.map_err(InferError::io(&path, "map"))?;
        let (header, meta) = SafeTensors::read_metadata(&map).map_err(|e| {
            InferError::checkpoint(
                &path,
                format!(
                    "expected a complete safetensors file, found {} bytes that are not one ({e}); \
                     the file is truncated or damaged: download it again",
                    map.len()
                ),
            )
        })?;
        // Eight bytes of length, then the header, then the data.
        let data = 8 + header;
        for (name, info) in meta.tensors() {
            let (from, to) = info.data_offsets;
            let located = Located {
                file: self.files.len(),
                dtype: info.dtype,
                shape: info.shape.clone(),
                from: data + from,
                to: data + to,
            };
            if self.tensors.insert(name.clone(), located).is_some() {
                return Err(InferError::checkpoint(
                    &path,
                    format!("tensor {name}: expected once, found again; the shards overlap"),
                ));
            }
        }
        self.files.push((path, map));
        Ok(())
    }
}

/// The safetensors files of a folder, in order.
fn shard_names(dir: &Path) -> Result<Vec<String>, InferError> {
    if dir.join(SINGLE).exists() {
        return Ok(vec![SINGLE.into()]);
    }
    let path = dir.join(INDEX);
    if !path.exists() {
        return Err(InferError::checkpoint(
            dir,
            format!("expected {SINGLE} or {INDEX}, found neither; is this a checkpoint folder?"),
        ));
    }
    let json = read_json(&path)?;
    let map = json
        .get("weight_map")
        .and_then(|m| m.as_object())
        .ok_or_else(|| {
            InferError::checkpoint(
                &path,
                "weight_map: expected tensor names and files, found nothing",
            )
        })?;
    let mut names = BTreeSet::new();
    for (tensor, file) in map {
        // A shard is a plain file name: an index must not lead out of its folder.
        let name = file
            .as_str()
            .filter(|f| Path::new(f).file_name() == Some(f.as_ref()));
        let name = name.ok_or_else(|| {
            let reason = format!("weight_map: {tensor}: expected a file name, found {file}");
            InferError::checkpoint(&path, reason)
        })?;
        names.insert(name.to_owned());
    }
    Ok(names.into_iter().collect())
}
