//! Opening an image: everything is checked before anything is used.

use std::borrow::Cow;
use std::fs::File;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use serde::Deserialize;

use crate::block::GROUP;
use crate::error::ImageError;
use crate::layout::{Layout, PORTS};
use crate::manifest::{
    ALIGN, BIN_FILE, Crc, DType, MAGIC, MANIFEST_FILE, Manifest, PassEntry, SIDE_FILES,
};
use crate::model::{Architecture, Head};
use crate::packing::Packing;

/// An opened image: `model.bin` mapped, every size, checksum and reserved bit verified.
#[derive(Debug)]
pub struct Image {
    dir: PathBuf,
    manifest: Manifest,
    bin: Mmap,
}

/// A tensor of an image.
#[derive(Debug, Clone, Copy)]
pub struct TensorView<'a> {
    /// Number format of `bytes`.
    pub dtype: DType,
    /// Dimensions, outermost first.
    pub shape: &'a [usize],
    /// Little-endian numbers.
    pub bytes: &'a [u8],
}

/// The two fields that every version has; read before the rest so that a newer version is named.
#[derive(Deserialize)]
struct Header {
    format: String,
    version: u64,
}

impl Image {
    /// Opens and verifies the image in folder `dir`.
    ///
    /// # Errors
    /// [`ImageError`] names the file, the segment and the reason; nothing is partly loaded.
    pub fn open(dir: &Path) -> Result<Self, ImageError> {
        let path = dir.join(MANIFEST_FILE);
        let manifest = read_manifest(&path)?;
        check_manifest(&path, &manifest)?;
        for f in &manifest.files {
            let path = dir.join(&f.name);
            let bytes = std::fs::read(&path).map_err(ImageError::io(&path, "read"))?;
            check_crc(&path, "the file", f.bytes, f.crc32c, &bytes)?;
        }
        let path = dir.join(BIN_FILE);
        let bin = map_bin(&path, manifest.bin_bytes)?;
        let image = Image {
            dir: dir.to_owned(),
            manifest,
            bin,
        };
        image.check_contents(&path)?;
        Ok(image)
    }

    /// Whether folder `dir` claims to be an image (its `model.json` has the magic word), whatever
    /// its version and state.
    pub fn claims(dir: &Path) -> bool {
        std::fs::read(dir.join(MANIFEST_FILE)).is_ok_and(|bytes| {
            serde_json::from_slice::<Header>(&bytes).is_ok_and(|h| h.format == MAGIC)
        })
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What `model.json` says.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The model's shape.
    pub fn architecture(&self) -> &Architecture {
        &self.manifest.architecture
    }

    /// The passes in the order of the program; the index is the pass id.
    pub fn passes(&self) -> &[PassEntry] {
        &self.manifest.passes
    }

    /// The id of a pass by its name.
    pub fn pass_id(&self, name: &str) -> Option<usize> {
        self.passes().iter().position(|p| p.name == name)
    }

    /// Placement of the blocks of a pass.
    ///
    /// # Panics
    /// If there is no pass of this id.
    pub fn layout(&self, pass: usize) -> Layout {
        let [n, k] = self.passes()[pass].shape;
        Layout::new(n, k).packed(self.packing())
    }

    /// Format of the passes.
    pub fn packing(&self) -> Packing {
        self.manifest.packing()
    }

    /// The bytes of a pass in format 1, one segment a port.
    ///
    /// # Panics
    /// If there is no pass of this id.
    pub fn single_segments(&self, pass: usize) -> [Cow<'_, [u8]>; PORTS] {
        let groups = self.layout(pass).groups();
        self.segments(pass).map(|bytes| match self.packing() {
            Packing::Single => Cow::Borrowed(bytes),
            packing => Cow::Owned(packing.unpack(bytes, groups)),
        })
    }

    /// The bytes of a pass, one segment a port.
    ///
    /// # Panics
    /// If there is no pass of this id.
    pub fn segments(&self, pass: usize) -> [&[u8]; PORTS] {
        let entry = &self.passes()[pass];
        std::array::from_fn(|p| {
            let s = &entry.segments[p];
            self.slice(s.offset, s.bytes)
        })
    }

    /// A tensor by its name.
    pub fn tensor(&self, name: &str) -> Option<TensorView<'_>> {
        let t = self.manifest.tensors.iter().find(|t| t.name == name)?;
        Some(TensorView {
            dtype: t.dtype,
            shape: &t.shape,
            bytes: self.slice(t.offset, t.bytes),
        })
    }

    /// The whole of `model.bin`.
    pub fn bin(&self) -> &[u8] {
        &self.bin
    }

    fn slice(&self, offset: u64, bytes: u64) -> &[u8] {
        // check_extents has seen that both fit the file, so they fit usize.
        &self.bin[offset as usize..(offset + bytes) as usize]
    }

    fn check_contents(&self, path: &Path) -> Result<(), ImageError> {
        for (id, pass) in self.passes().iter().enumerate() {
            for (port, bytes) in self.segments(id).into_iter().enumerate() {
                let part = format!("segment {} port {port}", pass.name);
                let entry = &pass.segments[port];
                check_crc(path, &part, entry.bytes, entry.crc32c, bytes)?;
                let groups = self.layout(id).groups();
                let tiles = bytes.chunks_exact(self.packing().tile_bytes(groups));
                for (i, tile) in tiles.enumerate() {
                    let checked = self.packing().check_reserved(tile, groups);
                    checked.map_err(|(group, e)| ImageError::Damaged {
                        path: path.to_owned(),
                        part: format!("{part} block {}", i * groups + group),
                        expected: "an AWQ_MACRO".into(),
                        found: e.to_string(),
                    })?;
                }
            }
        }
        for t in &self.manifest.tensors {
            let bytes = self.slice(t.offset, t.bytes);
            check_crc(
                path,
                &format!("tensor {}", t.name),
                t.bytes,
                t.crc32c,
                bytes,
            )?;
        }
        Ok(())
    }
}

fn read_manifest(path: &Path) -> Result<Manifest, ImageError> {
    let bytes = std::fs::read(path).map_err(ImageError::io(path, "read"))?;
    let wrong = |reason| ImageError::Manifest {
        path: path.to_owned(),
        reason,
    };
    let not_json = |e: serde_json::Error| wrong(format!("not the manifest of an image: {e}"));
    let header: Header = serde_json::from_slice(&bytes).map_err(not_json)?;
    if header.format != MAGIC {
        return Err(wrong(format!(
            "format: expected \"{MAGIC}\", found \"{}\"",
            header.format.escape_default()
        )));
    }
    if Packing::of_version(header.version).is_none() {
        return Err(ImageError::Version {
            path: path.to_owned(),
            found: header.version,
            supported: Packing::ALL.map(Packing::version),
        });
    }
    let manifest: Manifest = serde_json::from_slice(&bytes).map_err(not_json)?;
    let own = manifest.own_crc();
    if own != manifest.crc32c {
        return Err(wrong(format!(
            "its CRC-32C: expected {}, found {own}; the file is damaged or was edited",
            manifest.crc32c
        )));
    }
    Ok(manifest)
}

/// Checks everything that can be checked without `model.bin`.
fn check_manifest(path: &Path, m: &Manifest) -> Result<(), ImageError> {
    let check = || -> Result<(), String> {
        expect("macro_stride", m.packing().macro_stride(), m.macro_stride)?;
        expect("quantization.bits", 4, m.quantization.bits)?;
        let sizes = [GROUP, 2 * GROUP];
        if !sizes.contains(&m.quantization.group_size) {
            return Err(format!(
                "quantization.group_size: expected one of {sizes:?}, found {}",
                m.quantization.group_size
            ));
        }
        m.architecture.check()?;
        let passes = m.architecture.passes(m.quantization.head);
        expect("number of passes", passes.len(), m.passes.len())?;
        for (want, have) in passes.iter().zip(&m.passes) {
            expect("name of a pass", &want.name, &have.name)?;
            let what = |field| format!("pass {}: {field}", want.name);
            let l = Layout::new(want.n, want.k).packed(m.packing());
            expect(&what("shape"), [l.n, l.k], have.shape)?;
            expect(&what("padded"), [l.n_padded(), l.k_padded()], have.padded)?;
            for s in &have.segments {
                expect(
                    &what("bytes of a segment"),
                    l.segment_bytes() as u64,
                    s.bytes,
                )?;
            }
        }
        let tensors = m.architecture.tensors(m.quantization.head);
        expect("number of tensors", tensors.len(), m.tensors.len())?;
        for (want, have) in tensors.iter().zip(&m.tensors) {
            expect("name of a tensor", &want.name, &have.name)?;
            let what = |field| format!("tensor {}: {field}", want.name);
            expect(&what("shape"), &want.shape, &have.shape)?;
            let bytes = want.shape.iter().product::<usize>() * have.dtype.bytes();
            expect(&what("bytes"), bytes as u64, have.bytes)?;
            if m.quantization.head == Head::Fp16 && want.name == m.architecture.head_tensor() {
                expect(&what("dtype"), DType::F16, have.dtype)?;
            }
        }
        for f in &m.files {
            if !SIDE_FILES.contains(&f.name.as_str()) {
                return Err(format!(
                    "files: expected one of {SIDE_FILES:?}, found {:?}",
                    f.name
                ));
            }
        }
        check_extents(m)
    };
    check().map_err(|reason| ImageError::Manifest {
        path: path.to_owned(),
        reason,
    })
}

/// Every extent aligned, inside the file, and apart from all others.
fn check_extents(m: &Manifest) -> Result<(), String> {
    let segments = m
        .passes
        .iter()
        .flat_map(|p| p.segments.iter().map(move |s| (&p.name, s)));
    let mut extents: Vec<(u64, u64, &str)> = segments
        .map(|(name, s)| (s.offset, s.bytes, name.as_str()))
        .collect();
    extents.extend(
        m.tensors
            .iter()
            .map(|t| (t.offset, t.bytes, t.name.as_str())),
    );
    extents.sort_unstable();
    let mut free_from = 0;
    for (offset, bytes, name) in extents {
        if offset % ALIGN != 0 {
            return Err(format!("{name}: offset {offset} is no multiple of {ALIGN}"));
        }
        if offset < free_from {
            return Err(format!(
                "{name}: offset {offset} overlaps what ends at {free_from}"
            ));
        }
        free_from = offset
            .checked_add(bytes)
            .filter(|end| *end <= m.bin_bytes)
            .ok_or(format!(
                "{name}: {bytes} bytes at {offset} exceed bin_bytes {}",
                m.bin_bytes
            ))?;
    }
    Ok(())
}

fn expect<T: PartialEq + std::fmt::Debug>(what: &str, want: T, have: T) -> Result<(), String> {
    if want == have {
        return Ok(());
    }
    Err(format!("{what}: expected {want:?}, found {have:?}"))
}

fn check_crc(path: &Path, part: &str, bytes: u64, crc: Crc, data: &[u8]) -> Result<(), ImageError> {
    let damaged = |expected, found| ImageError::Damaged {
        path: path.to_owned(),
        part: part.to_owned(),
        expected,
        found,
    };
    if data.len() as u64 != bytes {
        return Err(damaged(
            format!("{bytes} bytes"),
            format!("{} bytes", data.len()),
        ));
    }
    let found = Crc::of(data);
    if found != crc {
        return Err(damaged(format!("CRC-32C {crc}"), format!("{found}")));
    }
    Ok(())
}

fn map_bin(path: &Path, bin_bytes: u64) -> Result<Mmap, ImageError> {
    let file = File::open(path).map_err(ImageError::io(path, "open"))?;
    let meta = file.metadata().map_err(ImageError::io(path, "examine"))?;
    if !meta.is_file() || meta.len() != bin_bytes {
        return Err(ImageError::Damaged {
            path: path.to_owned(),
            part: "the file".into(),
            expected: format!("{bin_bytes} bytes"),
            found: format!("{} bytes", meta.len()),
        });
    }
    // SAFETY: the mapping is read-only and private to this value. The writer never changes a
    // file in place (a new image is exchanged for the old folder), so the bytes stay as checked
    // unless somebody else writes into the file, which mapping cannot prevent on any system.
    unsafe { Mmap::map(&file) }.map_err(ImageError::io(path, "map"))
}
