//! Writing an AutoAWQ GEMM checkpoint: all or nothing, like an image.

use std::collections::HashMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use half::f16;
use macromac_format::writer::{Staging, resolve, write_synced};
use macromac_format::{Architecture, DType, GROUP, Head, PORTS, QuantMatrix, TILE};
use rayon::prelude::*;
use serde_json::{Value, json};

use super::folder;
use super::layout::{Shard, autoawq_metadata, autoawq_tensors, header, shards};
use crate::InferError;
use crate::autoawq::{NIBBLE, PackedRef};
use crate::checkpoint::{Checkpoint, tensor_parts};
use crate::fused::PassKind;

/// A safetensors file is at most so long, bytes; AutoAWQ's own default.
pub const MAX_SHARD: u64 = 5_000_000_000;

/// A checkpoint under construction; dropped before [`AutoAwqWriter::finish`], it leaves nothing behind.
#[derive(Debug)]
pub struct AutoAwqWriter {
    out: PathBuf,
    temp: Staging,
    arch: Architecture,
    group_size: usize,
    files: Vec<(Shard, File)>,
    /// Where each tensor goes that is still to come: file, offset, bytes.
    open: HashMap<String, (usize, u64, u64)>,
    passes: usize,
    bytes: u64,
}

impl AutoAwqWriter {
    /// Begins a checkpoint that will be the folder `out`, with the configuration and the tokenizer of `from`, in groups of
    /// `group_size` input channels (64 or 128) and files of at most `max_shard` bytes.
    ///
    /// # Errors
    /// [`InferError`] if `out` holds something that is not to be replaced, if the model's widths do not divide into groups,
    /// or if the folder beside `out` cannot be made.
    pub fn create(
        out: &Path,
        from: &Checkpoint,
        group_size: usize,
        max_shard: u64,
    ) -> Result<Self, InferError> {
        let out = resolve(out)?;
        folder::check_destination(&out)?;
        let arch = from.architecture().clone();
        let tensors = autoawq_tensors(&arch, group_size).map_err(|e| {
            InferError::Input(format!(
                "{e}; this model has no AutoAWQ form, pack it with --format image"
            ))
        })?;
        let temp = Staging::create(&out)?;
        let mut writer = AutoAwqWriter {
            out,
            temp,
            group_size,
            files: Vec::new(),
            open: HashMap::new(),
            passes: 0,
            bytes: 0,
            arch,
        };
        writer.begin_files(shards(tensors, max_shard))?;
        writer.add_file("config.json", &folder::config(from.dir(), group_size)?)?;
        for name in folder::MORE_FILES {
            let path = from.dir().join(name);
            match fs::read(&path) {
                Ok(bytes) => writer.add_file(name, &bytes)?,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => return Err(InferError::io(&path, "read")(e)),
            }
        }
        Ok(writer)
    }

    /// Puts a file beside the weights.
    ///
    /// # Errors
    /// [`InferError`] if it cannot be written.
    pub fn add_file(&mut self, name: &str, data: &[u8]) -> Result<(), InferError> {
        Ok(write_synced(&self.temp.path().join(name), data)?)
    }

    /// Takes a pass of `n` x `k` weights; passes come in the order of [`Architecture::passes`] without the head.
    ///
    /// # Errors
    /// [`InferError`] if writing fails.
    ///
    /// # Panics
    /// If there are more passes than the model has, or a segment is not one.
    pub fn add_pass(
        &mut self,
        n: usize,
        k: usize,
        segments: &[impl AsRef<[u8]>; PORTS],
    ) -> Result<(), InferError> {
        let segments = std::array::from_fn(|port| segments[port].as_ref());
        let m = QuantMatrix::from_segments(n, k, segments).expect("segments of a matrix");
        let (kind, layer) = PassKind::of(&self.arch, self.passes);
        self.passes += 1;
        let parts = kind.parts(&self.arch, layer);
        let mut rows: Vec<Vec<usize>> = parts.iter().map(|(_, n)| vec![0; *n]).collect();
        for row in 0..n {
            // Padding rows belong to the pass, not to the model.
            if let Some((part, of_part)) = kind.locate(&self.arch, row) {
                rows[part][of_part] = row;
            }
        }
        for ((name, _), rows) in parts.iter().zip(&rows) {
            let groups = m.groups();
            // A group of 128 is two of 64 with equal scales and zeros.
            let step = self.group_size / GROUP;
            let lines = groups / step;
            let qweight = words(rows, k, |row, column| m.q[row * k + column]);
            let qzeros = words(rows, lines, |row, g| m.zeros[row * groups + g * step]);
            let scales: Vec<u8> = (0..lines)
                .flat_map(|g| rows.iter().map(move |row| (row, g)))
                .flat_map(|(row, g)| m.scales[row * groups + g * step].to_le_bytes())
                .collect();
            let names = PackedRef::names(name);
            for (name, bytes) in names.iter().zip([qweight, qzeros, scales]) {
                self.put(name, &bytes)?;
            }
        }
        Ok(())
    }

    /// Takes a tensor by its name in an image ([`Architecture::tensors`]), rounds it to FP16 (to nearest even) and writes
    /// the checkpoint tensors it is made of.
    ///
    /// # Errors
    /// [`InferError::Input`] if FP16 cannot hold a number of it, with its place; [`InferError`] if writing fails.
    ///
    /// # Panics
    /// If it is no tensor of the model or comes twice.
    pub fn add_tensor(&mut self, name: &str, dtype: DType, data: &[u8]) -> Result<(), InferError> {
        let mut data = data;
        for (name, shape) in tensor_parts(&self.arch, name) {
            let numbers: usize = shape.iter().product();
            let (part, rest) = data.split_at(numbers * dtype.bytes());
            data = rest;
            let columns = *shape.last().expect("a tensor has a dimension");
            let bytes = halves(&name, dtype, part, columns)?;
            self.put(&name, &bytes)?;
        }
        Ok(())
    }

    /// Waits until all is on disk and moves the checkpoint to its destination. Returns the bytes of the safetensors files.
    ///
    /// # Errors
    /// [`InferError`]; the destination is then as it was.
    ///
    /// # Panics
    /// If a tensor never came.
    pub fn finish(self) -> Result<u64, InferError> {
        assert!(self.open.is_empty(), "never came: {:?}", self.open.keys());
        for (shard, file) in &self.files {
            let path = self.temp.path().join(&shard.file);
            file.sync_all().map_err(InferError::io(&path, "write"))?;
        }
        // Somebody may have put files there meanwhile.
        let replace = folder::check_destination(&self.out)?;
        self.temp.publish(&self.out, replace)?;
        Ok(self.bytes)
    }

    fn begin_files(&mut self, list: Vec<Shard>) -> Result<(), InferError> {
        let metadata = autoawq_metadata(&self.arch);
        let mut map = serde_json::Map::new();
        let mut total = 0;
        for (index, shard) in list.into_iter().enumerate() {
            let header = header(&shard.tensors, &metadata);
            let mut at = header.len() as u64;
            for t in &shard.tensors {
                self.open.insert(t.name.clone(), (index, at, t.bytes()));
                map.insert(t.name.clone(), Value::from(shard.file.clone()));
                at += t.bytes();
                total += t.bytes();
            }
            let path = self.temp.path().join(&shard.file);
            let file = File::create_new(&path).map_err(InferError::io(&path, "create"))?;
            file.write_all_at(&header, 0)
                .map_err(InferError::io(&path, "write"))?;
            self.bytes += at;
            self.files.push((shard, file));
        }
        if self.files.len() > 1 {
            let index = json!({ "metadata": { "total_size": total }, "weight_map": map });
            self.add_file(folder::INDEX, &folder::pretty(&index))?;
        }
        Ok(())
    }

    fn put(&mut self, name: &str, bytes: &[u8]) -> Result<(), InferError> {
        let (file, at, expected) = self.open.remove(name).expect("a tensor that is to come");
        assert_eq!(bytes.len() as u64, expected, "bytes of {name}");
        let (shard, file) = &self.files[file];
        file.write_all_at(bytes, at)
            .map_err(InferError::io(&self.temp.path().join(&shard.file), "write"))
    }
}

/// [`super::Output`] of an AutoAWQ checkpoint, whose head must not be asked for in another form than FP16.
pub(crate) fn begin(
    out: &Path,
    from: &Checkpoint,
    head: Head,
    group_size: usize,
) -> Result<super::Output, InferError> {
    if head != Head::Fp16 {
        return Err(InferError::Input(format!(
            "--head {}: expected fp16 with --format autoawq, for AutoAWQ keeps the output matrix in FP16; leave \
             --head out, or pack an image",
            head.name()
        )));
    }
    let writer = AutoAwqWriter::create(out, from, group_size, MAX_SHARD)?;
    Ok(super::Output::AutoAwq(Box::new(writer)))
}

/// Packs `value(row, line)`, 0..=15, of some rows: a line after the other, eight rows in a word, in AutoAWQ's order.
fn words(rows: &[usize], lines: usize, value: impl Fn(usize, usize) -> u8 + Sync) -> Vec<u8> {
    let width = rows.len() / TILE * 4;
    let mut bytes = vec![0; lines * width];
    bytes
        .par_chunks_exact_mut(width)
        .enumerate()
        .for_each(|(line, out)| {
            for (out, rows) in out.chunks_exact_mut(4).zip(rows.chunks_exact(TILE)) {
                let nibbles = rows.iter().zip(NIBBLE);
                let word = nibbles.fold(0, |word, (row, nibble)| {
                    word | u32::from(value(*row, line)) << (4 * nibble)
                });
                out.copy_from_slice(&word.to_le_bytes());
            }
        });
    bytes
}

/// Rounds a tensor to FP16.
fn halves(name: &str, dtype: DType, data: &[u8], columns: usize) -> Result<Vec<u8>, InferError> {
    let mut wide = vec![0.0; columns];
    let mut out = Vec::with_capacity(data.len() / dtype.bytes() * 2);
    for (row, bytes) in data.chunks_exact(columns * dtype.bytes()).enumerate() {
        dtype.widen(bytes, &mut wide);
        for (column, v) in wide.iter().enumerate() {
            let half = f16::from_f32(*v);
            if !half.is_finite() {
                return Err(InferError::Input(format!(
                    "{name}: [{row}, {column}]: expected a number that FP16 holds (at most 65504), found {v}; an \
                     AutoAWQ checkpoint cannot hold this model, pack it with --format image"
                )));
            }
            out.extend_from_slice(&half.to_le_bytes());
        }
    }
    Ok(out)
}
