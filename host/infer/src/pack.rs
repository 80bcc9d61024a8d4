//! Checkpoint in, image or AutoAWQ checkpoint out.

mod before;
mod head;

use std::path::Path;

use macromac_format::manifest::SIDE_FILES;
use macromac_format::{DType, GROUP, Head, Packing, Quantization};

use self::before::{needed_bytes, note, partial};
pub use self::head::pack_head;
use self::head::{add_head_tensor, head_pass, named, of_head, rounded_head};
use crate::awq::Awq;
use crate::awq::state::State;
use crate::checkpoint::Checkpoint;
use crate::config::read_eos;
use crate::export::{self, Format, Output};
use crate::fused::PassKind;
use crate::quant::quantize;
use crate::room::check_room;
use crate::scan::check_finite;
use crate::{InferError, Tokenizer};

/// Text for AWQ's activations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calibration {
    /// Its tokens.
    pub tokens: Vec<u32>,
    /// Tokens that see each other; an incomplete last window is dropped.
    pub window: usize,
}

/// What the caller may choose.
#[derive(Debug, Clone, Default)]
pub struct PackOptions {
    /// Quantize by AWQ with this text; `None`: round to nearest.
    pub calibration: Option<Calibration>,
    /// Where the output matrix is computed; `None`: [`Checkpoint::default_head`].
    pub head: Option<Head>,
    /// Input channels that share a scale and a zero, 64 or 128; `None`: those of an AutoAWQ checkpoint, else 64.
    pub group_size: Option<usize>,
    /// What is written.
    pub format: Format,
    /// Format of the image; only the `kv260` profile reads another than [`Packing::Single`].
    pub packing: Packing,
}

/// Names that a message lists before it only counts.
const NAMES: usize = 8;

impl PackOptions {
    /// What packing a checkpoint with these options does, in a line for the user.
    pub fn describe(&self, checkpoint: &Checkpoint) -> String {
        let head = match self.head(checkpoint) {
            Head::Int4 if checkpoint.quantization().is_some() || self.calibration.is_some() => {
                "INT4 head (round-to-nearest)"
            }
            Head::Int4 => "INT4 head",
            Head::Int8 => "INT8 head (round-to-nearest)",
            Head::Fp16 if self.format == Format::AutoAwq => "FP16 head",
            Head::Fp16 => "FP16 head on the PS",
        };
        let layers = self.describe_layers(checkpoint);
        match self.format {
            Format::Image => format!("{layers}, {head}"),
            Format::AutoAwq => format!("{layers}, {head}, written as an AutoAWQ checkpoint"),
        }
    }

    /// The same of the layers alone.
    pub fn describe_layers(&self, checkpoint: &Checkpoint) -> String {
        let group = self.group(checkpoint);
        match checkpoint.quantization() {
            Some(_) => format!("AutoAWQ's INT4 weights as they are, group size {group}"),
            None => match &self.calibration {
                None => {
                    format!("round-to-nearest INT4, asymmetric, group size {group}, FP16 scales")
                }
                Some(c) => format!(
                    "AWQ INT4, asymmetric, group size {group}, FP16 scales, calibrated on {} tokens \
                     in windows of {}",
                    c.tokens.len() / c.window * c.window,
                    c.window
                ),
            },
        }
    }

    fn head(&self, checkpoint: &Checkpoint) -> Head {
        let default = match self.format {
            Format::Image => checkpoint.default_head(),
            Format::AutoAwq => Head::Fp16,
        };
        self.head.unwrap_or(default)
    }

    fn group(&self, checkpoint: &Checkpoint) -> usize {
        let own = checkpoint.quantization().map(|q| q.group_size);
        self.group_size.or(own).unwrap_or(GROUP)
    }

    /// Whether a checkpoint can be packed so, before any work.
    ///
    /// # Errors
    /// [`InferError`] if the group size is neither 64 nor 128, is not that of an AutoAWQ checkpoint, or does not divide
    /// the input channels of a matrix; the matrices are named as in the checkpoint.
    pub fn check(&self, checkpoint: &Checkpoint) -> Result<(), InferError> {
        let group = self.group(checkpoint);
        if ![GROUP, 2 * GROUP].contains(&group) {
            return Err(InferError::Input(format!(
                "group size: expected {GROUP} or {}, found {group}",
                2 * GROUP
            )));
        }
        if let Some(q) = checkpoint.quantization().filter(|q| q.group_size != group) {
            return Err(InferError::checkpoint(
                checkpoint.dir(),
                format!(
                    "group size: expected {}, for AutoAWQ's weights are taken as they are, found {group}; \
                     leave --group-size away",
                    q.group_size
                ),
            ));
        }
        // A row's end is padded to 64, so it need not fill a group of 64; one of 128 would reach beyond its blocks.
        if group == GROUP {
            return Ok(());
        }
        let arch = checkpoint.architecture();
        let quantized = arch.passes(self.head(checkpoint)).len();
        let mut bad = Vec::new();
        // The shapes with an INT4 head: the pass of an INT8 one has K doubled.
        for (id, pass) in arch.passes(Head::Int4)[..quantized].iter().enumerate() {
            let (kind, layer) = PassKind::of(arch, id);
            if pass.k % group != 0 {
                let parts = kind.parts(arch, layer).into_iter();
                bad.extend(parts.map(|(name, _)| format!("{name} (K = {})", pass.k)));
            }
        }
        if bad.is_empty() {
            return Ok(());
        }
        let more = match bad.len().saturating_sub(NAMES) {
            0 => String::new(),
            n => format!(" and {n} more"),
        };
        bad.truncate(NAMES);
        Err(InferError::checkpoint(
            checkpoint.dir(),
            format!(
                "group size {group}: expected input channels K in multiples of {group}, found {}{more}; \
                 use --group-size {GROUP}",
                bad.join(", ")
            ),
        ))
    }
}

/// How far the packer is.
#[derive(Debug, Clone, Copy)]
pub struct PackProgress<'a> {
    /// Passes done.
    pub done: usize,
    /// Passes in all.
    pub total: usize,
    /// Name of the pass that comes next, empty at the end.
    pub next: &'a str,
    /// Share of the work that is done, 0 to 1; within a layer that is quantized by AWQ it rises by chunks of the text.
    pub share: f64,
    /// Something that the user should read.
    pub note: Option<&'a str>,
}

/// [`pack_with`] default options.
///
/// # Errors
/// As [`pack_with`].
pub fn pack(
    checkpoint: &Checkpoint,
    out: &Path,
    progress: impl FnMut(PackProgress),
) -> Result<u64, InferError> {
    pack_with(checkpoint, out, &PackOptions::default(), progress)
}

/// Writes the image folder or the AutoAWQ checkpoint `out` of a checkpoint; returns the bytes of its weights
/// (`model.bin`, or the safetensors). Weights in full precision are quantized by AWQ if there is a calibration
/// text, else rounded to nearest; AutoAWQ's are taken as they are. The output matrix is rounded to nearest
/// either way. An older one there is replaced in one step; after an error nothing is left of the new one. AWQ keeps each
/// finished layer in a folder beside it (`NAME.partial`), so that the same call goes on after an interruption, to the same
/// bytes.
///
/// # Errors
/// As [`PackOptions::check`], before any work; [`InferError`] if a weight cannot be quantized, the tokenizer is unusable, the
/// format cannot hold the head that is asked for, or the folder cannot be written.
pub fn pack_with(
    checkpoint: &Checkpoint,
    out: &Path,
    options: &PackOptions,
    mut progress: impl FnMut(PackProgress),
) -> Result<u64, InferError> {
    options.check(checkpoint)?;
    let arch = checkpoint.architecture();
    let head = options.head(checkpoint);
    let group_size = options.group(checkpoint);
    let mut awq = match &options.calibration {
        Some(c) => Some(Awq::new(checkpoint, &c.tokens, c.window, group_size)?),
        None => None,
    };
    let mut writer = match options.format {
        Format::Image => export::image(out, options.packing)?,
        Format::AutoAwq => export::autoawq::begin(out, checkpoint, head, group_size)?,
    };
    let partial = partial(out)?;
    check_room(
        partial.parent().unwrap_or(Path::new("/")),
        out,
        needed_bytes(checkpoint, options).saturating_sub(State::present(&partial)),
    )?;
    let weights = check_finite(checkpoint)?;
    if let Some(awq) = &mut awq {
        if let Some(note) = note(&partial, &awq.keep_state(&partial, weights)?) {
            progress(PackProgress {
                done: 0,
                total: 1,
                next: "",
                share: 0.0,
                note: Some(&note),
            });
        }
    }
    add_side_files(&mut writer, checkpoint.dir())?;
    let passes = arch.passes(head);
    let total = passes.len();
    for (done, p) in passes.iter().enumerate() {
        let mut at = |share| {
            progress(PackProgress {
                done,
                total,
                next: &p.name,
                share,
                note: None,
            });
        };
        if awq.is_none() {
            at(done as f64 / total as f64);
        }
        let matrix = match (checkpoint.quantized(done), &mut awq) {
            (Some(m), _) => m,
            _ if done == head_pass(checkpoint) => rounded_head(checkpoint, head, group_size)?,
            (None, Some(awq)) => awq.matrix(done, &mut at)?,
            (None, None) => quantize(p.n, p.k, group_size, |row, out| {
                checkpoint.pass_row(done, row, out)
            })
            .map_err(|e| named(checkpoint, &p.name, e))?,
        };
        writer.add_pass(&p.name, p.n, p.k, &matrix.to_segments())?;
    }
    for t in arch.tensors(head) {
        if of_head(&t.name) {
            add_head_tensor(&mut writer, checkpoint, head, options.format, &t)?;
        } else if let Some(folded) = awq.as_ref().and_then(|a| a.folded(&t.name)) {
            let bytes: Vec<u8> = folded.iter().flat_map(|v| v.to_le_bytes()).collect();
            writer.add_tensor(&t.name, DType::F32, &t.shape, &bytes)?;
        } else {
            let (dtype, bytes) = checkpoint.tensor(&t.name)?;
            writer.add_tensor(&t.name, dtype, &t.shape, &bytes)?;
        }
    }
    let quantization = Quantization {
        method: if checkpoint.quantization().is_some() || awq.is_some() {
            "awq"
        } else {
            "rtn"
        }
        .into(),
        bits: 4,
        group_size,
        head,
    };
    let bytes = writer.finish(arch.clone(), quantization)?;
    if let Some(awq) = awq {
        awq.finish()?;
    }
    progress(PackProgress {
        done: total,
        total,
        next: "",
        share: 1.0,
        note: None,
    });
    Ok(bytes)
}

/// The files of a checkpoint that the output carries along.
fn add_side_files(writer: &mut Output, dir: &Path) -> Result<(), InferError> {
    for name in SIDE_FILES {
        let path = dir.join(name);
        match std::fs::read(&path) {
            Ok(bytes) => writer.add_file(name, &bytes)?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(InferError::io(&path, "read")(e)),
        }
    }
    if !dir.join("generation_config.json").exists() && !writer.has_config() {
        // An image has no config.json, where such a checkpoint may name its end tokens.
        let eos = serde_json::json!({ "eos_token_id": read_eos(dir)? });
        writer.add_file("generation_config.json", eos.to_string().as_bytes())?;
    }
    if dir.join("tokenizer.json").exists() {
        // A broken one is better found now than on the board.
        Tokenizer::open(dir)?;
    }
    Ok(())
}
