//! Writing an image: all or nothing.
//!
//! The image grows in a hidden folder beside its destination and is renamed to it when it is
//! complete and on disk, or exchanged in one step for an older image. Whatever fails before, the
//! hidden folder is removed. A run that is killed leaves it behind without its lock; the next run
//! with the same destination removes it.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with};

use crate::error::ImageError;
use crate::image::Image;
use crate::layout::{Layout, PORTS};
use crate::manifest::{
    ALIGN, BIN_FILE, Crc, DType, FileEntry, MAGIC, MANIFEST_FILE, Manifest, PassEntry,
    Quantization, SIDE_FILES, SegmentEntry, TensorEntry,
};
use crate::model::Architecture;
use crate::packing::Packing;

/// An image under construction; dropped before [`ImageWriter::finish`], it leaves nothing behind.
#[derive(Debug)]
pub struct ImageWriter {
    out: PathBuf,
    temp: Staging,
    bin: BufWriter<File>,
    at: u64,
    packing: Packing,
    passes: Vec<PassEntry>,
    tensors: Vec<TensorEntry>,
    files: Vec<FileEntry>,
}

/// A hidden folder beside a destination: locked while it is alive, removed when it is dropped.
#[derive(Debug)]
pub struct Staging {
    dir: PathBuf,
    _lock: File,
}

impl Drop for Staging {
    fn drop(&mut self) {
        // After finish() this is the older image, or nothing. Nobody is left to tell of an error.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

impl ImageWriter {
    /// Begins an image that will be the folder `out`.
    ///
    /// # Errors
    /// [`ImageError::Refused`] if `out` exists and is neither empty nor an image, or if another
    /// process is writing to it; [`ImageError::Io`] if the folder beside it cannot be made.
    pub fn create(out: &Path) -> Result<Self, ImageError> {
        let out = resolve(out)?;
        check_destination(&out)?;
        let temp = Staging::create(&out)?;
        let path = temp.dir.join(BIN_FILE);
        let bin = File::create_new(&path).map_err(ImageError::io(&path, "create"))?;
        Ok(ImageWriter {
            out,
            temp,
            bin: BufWriter::with_capacity(1 << 20, bin),
            at: 0,
            packing: Packing::default(),
            passes: Vec::new(),
            tensors: Vec::new(),
            files: Vec::new(),
        })
    }

    /// Sets the format, before the first pass is added; otherwise it is format 1.
    pub fn packing(mut self, packing: Packing) -> Self {
        self.packing = packing;
        self
    }

    /// Appends a pass of `n` x `k` weights, whose segments are in format 1 whatever that of the image. Passes are added in the order of
    /// [`Architecture::passes`].
    ///
    /// # Errors
    /// [`ImageError::Io`] if writing fails.
    ///
    /// # Panics
    /// If a segment has not the length that the shape demands.
    pub fn add_pass(
        &mut self,
        name: &str,
        n: usize,
        k: usize,
        segments: &[impl AsRef<[u8]>; PORTS],
    ) -> Result<(), ImageError> {
        let layout = Layout::new(n, k);
        let mut entries = Vec::with_capacity(PORTS);
        for s in segments {
            let s = s.as_ref();
            assert_eq!(s.len(), layout.segment_bytes(), "segment of {name}");
            let (offset, bytes, crc32c) = match self.packing {
                Packing::Single => self.append(s)?,
                other => self.append(&other.pack(s, layout.groups()))?,
            };
            entries.push(SegmentEntry {
                offset,
                bytes,
                crc32c,
            });
        }
        self.passes.push(PassEntry {
            name: name.to_owned(),
            shape: [n, k],
            padded: [layout.n_padded(), layout.k_padded()],
            segments: entries.try_into().expect("one entry a port"),
        });
        Ok(())
    }

    /// Appends a tensor. Tensors are added in the order of [`Architecture::tensors`].
    ///
    /// # Errors
    /// [`ImageError::Io`] if writing fails.
    pub fn add_tensor(
        &mut self,
        name: &str,
        dtype: DType,
        shape: &[usize],
        data: &[u8],
    ) -> Result<(), ImageError> {
        let (offset, bytes, crc32c) = self.append(data)?;
        self.tensors.push(TensorEntry {
            name: name.to_owned(),
            dtype,
            shape: shape.to_vec(),
            offset,
            bytes,
            crc32c,
        });
        Ok(())
    }

    /// Puts a file beside `model.json`.
    ///
    /// # Errors
    /// [`ImageError::Io`] if writing fails.
    ///
    /// # Panics
    /// If it is none of [`SIDE_FILES`].
    pub fn add_file(&mut self, name: &str, data: &[u8]) -> Result<(), ImageError> {
        assert!(SIDE_FILES.contains(&name), "an image carries no {name}");
        write_synced(&self.temp.dir.join(name), data)?;
        self.files.push(FileEntry {
            name: name.to_owned(),
            bytes: data.len() as u64,
            crc32c: Crc::of(data),
        });
        Ok(())
    }

    /// Writes `model.json`, waits until all is on disk and moves the image to its destination.
    /// Returns the length of `model.bin`.
    ///
    /// # Errors
    /// [`ImageError`]; the destination is then as it was.
    pub fn finish(
        mut self,
        architecture: Architecture,
        quantization: Quantization,
    ) -> Result<u64, ImageError> {
        let path = self.temp.dir.join(BIN_FILE);
        self.bin.flush().map_err(ImageError::io(&path, "write"))?;
        self.bin
            .get_ref()
            .sync_all()
            .map_err(ImageError::io(&path, "write"))?;
        let mut manifest = Manifest {
            format: MAGIC.into(),
            version: self.packing.version(),
            crc32c: Crc(0),
            macro_stride: self.packing.macro_stride(),
            architecture,
            quantization,
            bin_bytes: self.at,
            passes: std::mem::take(&mut self.passes),
            tensors: std::mem::take(&mut self.tensors),
            files: std::mem::take(&mut self.files),
        };
        manifest.crc32c = manifest.own_crc();
        let mut json = serde_json::to_vec_pretty(&manifest).expect("a manifest is plain data");
        json.push(b'\n');
        write_synced(&self.temp.dir.join(MANIFEST_FILE), &json)?;
        sync_dir(&self.temp.dir)?;
        self.publish()?;
        Ok(self.at)
    }

    fn publish(&self) -> Result<(), ImageError> {
        // Somebody may have put files there while the image was being written.
        check_destination(&self.out)?;
        let moved = if Image::claims(&self.out) {
            exchange(&self.temp.dir, &self.out)
        } else {
            fs::rename(&self.temp.dir, &self.out)
        };
        moved.map_err(ImageError::io(&self.out, "move the finished image there"))?;
        sync_dir(parent(&self.out))
    }

    /// Appends aligned bytes; returns offset, length and checksum.
    fn append(&mut self, data: &[u8]) -> Result<(u64, u64, Crc), ImageError> {
        let offset = self.at;
        let bytes = data.len() as u64;
        let padding = vec![0; (bytes.next_multiple_of(ALIGN) - bytes) as usize];
        self.bin
            .write_all(data)
            .and_then(|()| self.bin.write_all(&padding))
            .map_err(ImageError::io(&self.temp.dir.join(BIN_FILE), "write"))?;
        self.at += bytes + padding.len() as u64;
        Ok((offset, bytes, Crc::of(data)))
    }
}

impl Staging {
    /// The folder for something that will be `out`, empty: what a killed run left there is removed.
    ///
    /// # Errors
    /// [`ImageError::Refused`] if another process is writing there; [`ImageError::Io`] if the folder
    /// cannot be made.
    ///
    /// # Panics
    /// If `out` is no path of [`resolve`].
    pub fn create(out: &Path) -> Result<Self, ImageError> {
        let name = out
            .file_name()
            .expect("resolve() leaves a name")
            .to_string_lossy();
        let dir = parent(out).join(format!(".{name}.macromac-partial"));
        if let Err(e) = fs::create_dir(&dir) {
            if e.kind() != std::io::ErrorKind::AlreadyExists {
                return Err(ImageError::io(&dir, "create")(e));
            }
        }
        let lock = File::open(&dir).map_err(ImageError::io(&dir, "open"))?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Err(ImageError::Refused {
                path: out.to_owned(),
                reason: "another process is writing there".into(),
            });
        }
        // What a killed run left. From here on the folder is ours, so Drop may remove it.
        let temp = Staging { dir, _lock: lock };
        for entry in fs::read_dir(&temp.dir).map_err(ImageError::io(&temp.dir, "read"))? {
            let path = entry.map_err(ImageError::io(&temp.dir, "read"))?.path();
            fs::remove_file(&path).map_err(ImageError::io(&path, "remove"))?;
        }
        Ok(temp)
    }

    /// The hidden folder.
    pub fn path(&self) -> &Path {
        &self.dir
    }
}

/// A destination as an absolute path without links, so that a rename replaces what it names.
///
/// # Errors
/// [`ImageError::Refused`] if it has no name of its own; [`ImageError::Io`] if the folder above it is
/// not there.
pub fn resolve(out: &Path) -> Result<PathBuf, ImageError> {
    if let Ok(path) = out.canonicalize() {
        if path.file_name().is_some() {
            return Ok(path);
        }
    }
    let refused = |reason: &str| ImageError::Refused {
        path: out.to_owned(),
        reason: reason.to_owned(),
    };
    let name = out
        .file_name()
        .ok_or_else(|| refused("an image needs a folder of its own"))?;
    if out.is_symlink() {
        return Err(refused("it is a link that leads nowhere"));
    }
    let above = out
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let above = above.canonicalize().map_err(ImageError::io(
        above,
        "find the folder that shall hold the image",
    ))?;
    Ok(above.join(name))
}

/// Refuses everything but nothing, an empty folder, and an image that holds no foreign file.
fn check_destination(out: &Path) -> Result<(), ImageError> {
    let refused = |reason: String| ImageError::Refused {
        path: out.to_owned(),
        reason,
    };
    match fs::symlink_metadata(out) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(ImageError::io(out, "examine")(e)),
        Ok(meta) if !meta.is_dir() => return Err(refused("is not a folder".into())),
        Ok(_) => {}
    }
    let mut foreign = None;
    let mut empty = true;
    for entry in fs::read_dir(out).map_err(ImageError::io(out, "read"))? {
        let entry = entry.map_err(ImageError::io(out, "read"))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        empty = false;
        let known = name == MANIFEST_FILE || name == BIN_FILE || SIDE_FILES.contains(&&*name);
        if !known || !entry.file_type().is_ok_and(|t| t.is_file()) {
            foreign = Some(name);
        }
    }
    match foreign {
        _ if empty => Ok(()),
        Some(name) => Err(refused(format!(
            "the folder is not empty: it holds \"{name}\""
        ))),
        None if Image::claims(out) => Ok(()),
        None => Err(refused("the folder is not empty and holds no image".into())),
    }
}

/// Swaps two folders in one step where the file system can, else in two with a way back.
fn exchange(new: &Path, old: &Path) -> std::io::Result<()> {
    match renameat_with(CWD, new, CWD, old, RenameFlags::EXCHANGE) {
        Ok(()) => return Ok(()),
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::NOTSUP) => {}
        Err(e) => return Err(e.into()),
    }
    let mut aside = new.as_os_str().to_owned();
    aside.push("-old");
    let aside = PathBuf::from(aside);
    fs::rename(old, &aside)?;
    if let Err(e) = fs::rename(new, old) {
        fs::rename(&aside, old)?;
        return Err(e);
    }
    fs::remove_dir_all(&aside)
}

fn write_synced(path: &Path, data: &[u8]) -> Result<(), ImageError> {
    let mut file = File::create_new(path).map_err(ImageError::io(path, "create"))?;
    file.write_all(data)
        .and_then(|()| file.sync_all())
        .map_err(ImageError::io(path, "write"))
}

fn sync_dir(dir: &Path) -> Result<(), ImageError> {
    File::open(dir)
        .and_then(|d| d.sync_all())
        .map_err(ImageError::io(dir, "write"))
}

fn parent(path: &Path) -> &Path {
    path.parent().expect("resolve() leaves a folder above")
}
