//! A checkpoint of full size with random weights: names, shapes, number format and file layout of a real one.
//!
//! The values mean nothing but are plausible, so that quantizer, kernels and accelerator see what they would see:
//! bell-shaped weights whose spread differs by row, norm weights and biases with a few outlier channels, and a residual
//! stream whose outliers sit in fixed channels. They depend on the seed alone, not on machine or threads:
//! every piece of a tensor has its own ChaCha8 stream, and no mathematics library is called.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use half::bf16;
use macromac_format::writer::{Staging, resolve};
use macromac_format::{Architecture, Head};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::InferError;
use crate::config::read_config;
use crate::fused::PassKind;
use crate::room::check_room;

/// Numbers of a tensor that one random stream makes.
const PIECE: usize = 1 << 16;
/// Pieces that are made before they are written.
const PIECES_AT_ONCE: usize = 64;
/// Standard deviation of a weight.
const SPREAD: f32 = 0.02;
/// One input channel in so many is an outlier channel.
const OUTLIER_EVERY: usize = 113;
/// By how much an outlier channel exceeds the others.
const OUTLIER_GAIN: f32 = 8.0;

/// What a tensor is, which says how its values are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A weight matrix.
    Matrix,
    /// A matrix whose results are added to the residual stream.
    ToResidual,
    /// Weights of a norm.
    Norm,
    /// A bias of q or v.
    Bias,
    /// The bias of k, whose outliers are larger in Qwen2.5 than anywhere else.
    KeyBias,
}

/// A tensor of the file.
#[derive(Debug)]
struct Planned {
    name: String,
    shape: Vec<usize>,
    kind: Kind,
}

impl Planned {
    fn numbers(&self) -> usize {
        self.shape.iter().product()
    }
}

/// How far the writer is.
#[derive(Debug, Clone, Copy)]
pub struct SynthProgress<'a> {
    /// Bytes written.
    pub done: u64,
    /// Bytes in all.
    pub total: u64,
    /// Name of the tensor that is being written.
    pub tensor: &'a str,
}

/// Writes the checkpoint folder `out`: `files` as they are, one of them `config.json`, and a `model.safetensors` in BF16 for
/// the model that it describes. Returns the length of `model.safetensors`. All or nothing: the folder appears when
/// it is complete.
///
/// # Errors
/// [`InferError`] if `out` is there and not empty, if the disk has not enough room, or if writing fails.
pub fn synthesize(
    out: &Path,
    files: &[(&str, &[u8])],
    seed: u64,
    mut progress: impl FnMut(SynthProgress),
) -> Result<u64, InferError> {
    let out = resolve(out)?;
    check_destination(&out)?;
    let staging = Staging::create(&out)?;
    let dir = staging.path();
    for (name, bytes) in files {
        let path = dir.join(name);
        fs::write(&path, bytes).map_err(InferError::io(&path, "write"))?;
    }
    let arch = read_config(&dir.join("config.json"))?;
    let plan = plan(&arch);
    let header = header(&plan);
    let total = header.len() as u64 + 2 * plan.iter().map(|t| t.numbers() as u64).sum::<u64>();
    check_room(dir, &out, total)?;

    let path = dir.join("model.safetensors");
    let file = File::create_new(&path).map_err(InferError::io(&path, "create"))?;
    let mut file = BufWriter::with_capacity(1 << 20, file);
    let write = |file: &mut BufWriter<File>, bytes: &[u8]| {
        file.write_all(bytes)
            .map_err(InferError::io(&path, "write"))
    };
    write(&mut file, &header)?;
    let mut done = header.len() as u64;
    for (index, tensor) in plan.iter().enumerate() {
        let pieces = tensor.numbers().div_ceil(PIECE);
        for first in (0..pieces).step_by(PIECES_AT_ONCE) {
            progress(SynthProgress {
                done,
                total,
                tensor: &tensor.name,
            });
            let made: Vec<Vec<u8>> = (first..pieces.min(first + PIECES_AT_ONCE))
                .into_par_iter()
                .map(|piece| values(&arch, tensor, index, piece, seed))
                .collect();
            for bytes in made {
                write(&mut file, &bytes)?;
                done += bytes.len() as u64;
            }
        }
    }
    let file = file
        .into_inner()
        .map_err(|e| InferError::io(&path, "write")(e.into_error()))?;
    file.sync_all().map_err(InferError::io(&path, "write"))?;
    // Somebody may have put files there meanwhile; a rename replaces an empty folder only.
    check_destination(&out)?;
    fs::rename(dir, &out).map_err(InferError::io(&out, "move the finished checkpoint there"))?;
    progress(SynthProgress {
        done: total,
        total,
        tensor: "",
    });
    Ok(total)
}

fn check_destination(out: &Path) -> Result<(), InferError> {
    let refused = |found: String| {
        InferError::Input(format!(
            "{}: expected a folder that does not exist or is empty, found {found}; choose another",
            out.display()
        ))
    };
    match fs::read_dir(out) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::NotADirectory => Err(refused("a file".into())),
        Err(e) => Err(InferError::io(out, "read")(e)),
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(entry) => {
                let entry = entry.map_err(InferError::io(out, "read"))?;
                Err(refused(format!(
                    "\"{}\" in it",
                    entry.file_name().to_string_lossy()
                )))
            }
        },
    }
}

/// The tensors of a Qwen2 checkpoint, in the order of the file: by name.
fn plan(arch: &Architecture) -> Vec<Planned> {
    let mut list = Vec::new();
    let mut push = |name: String, shape: Vec<usize>, kind| list.push(Planned { name, shape, kind });
    let hidden = arch.hidden_size;
    let embedding = "model.embed_tokens.weight";
    push(
        embedding.into(),
        vec![arch.vocab_size, hidden],
        Kind::Matrix,
    );
    push("model.norm.weight".into(), vec![hidden], Kind::Norm);
    for (id, pass) in arch.passes(Head::Int4).iter().enumerate() {
        let (kind, layer) = PassKind::of(arch, id);
        let spread = match kind {
            PassKind::O | PassKind::Down => Kind::ToResidual,
            PassKind::Qkv | PassKind::GateUp | PassKind::LmHead => Kind::Matrix,
        };
        for (name, rows) in kind.parts(arch, layer) {
            // A tied head is the embedding, which is there already.
            if name != embedding {
                push(name, vec![rows, pass.k], spread);
            }
        }
    }
    for layer in 0..arch.num_hidden_layers {
        let name = |part: &str| format!("model.layers.{layer}.{part}");
        push(name("input_layernorm.weight"), vec![hidden], Kind::Norm);
        push(
            name("post_attention_layernorm.weight"),
            vec![hidden],
            Kind::Norm,
        );
        push(
            name("self_attn.q_proj.bias"),
            vec![arch.q_width()],
            Kind::Bias,
        );
        push(
            name("self_attn.k_proj.bias"),
            vec![arch.kv_width()],
            Kind::KeyBias,
        );
        push(
            name("self_attn.v_proj.bias"),
            vec![arch.kv_width()],
            Kind::Bias,
        );
    }
    list.sort_by(|a, b| a.name.cmp(&b.name));
    list
}

/// Length and header of the safetensors file, filled up with blanks to a multiple of 8 as the library does.
fn header(plan: &[Planned]) -> Vec<u8> {
    let mut json = String::from("{\"__metadata__\":{\"format\":\"pt\"}");
    let mut at = 0;
    for t in plan {
        let to = at + 2 * t.numbers();
        let entry = serde_json::json!(t.shape);
        // Written by hand, for the order of the tensors matters and names need no escapes.
        json += &format!(
            ",\"{}\":{{\"dtype\":\"BF16\",\"shape\":{entry},\"data_offsets\":[{at},{to}]}}",
            t.name
        );
        at = to;
    }
    json.push('}');
    let length = json.len().next_multiple_of(8);
    let mut bytes = (length as u64).to_le_bytes().to_vec();
    bytes.extend(json.bytes());
    bytes.resize(8 + length, b' ');
    bytes
}

/// A piece of a tensor in BF16.
fn values(arch: &Architecture, t: &Planned, index: usize, piece: usize, seed: u64) -> Vec<u8> {
    let from = piece * PIECE;
    let to = (from + PIECE).min(t.numbers());
    let columns = *t.shape.last().expect("a tensor has a dimension");
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream((index as u64) << 32 | piece as u64);
    // What a layer adds to the residual stream shrinks with their number, as trained models are initialized.
    let share = 1.0 / (2.0 * arch.num_hidden_layers as f32).sqrt();
    let mut out = Vec::with_capacity(2 * (to - from));
    for i in from..to {
        let (row, column) = (i / columns, i % columns);
        let noise = bell(rng.random());
        let v = match t.kind {
            Kind::Matrix => noise * SPREAD * row_gain(row),
            Kind::ToResidual => noise * SPREAD * row_gain(row) * share * outlier(row),
            Kind::Norm => (1.0 + 0.2 * noise) * outlier(column).sqrt(),
            Kind::Bias => 0.1 * noise * outlier(column),
            Kind::KeyBias => noise * outlier(column),
        };
        out.extend_from_slice(&bf16::from_f32(v).to_le_bytes());
    }
    out
}

/// How much wider than others a row is: 0.5 to 1.5.
fn row_gain(row: usize) -> f32 {
    0.5 + (row * 37 % 64) as f32 / 63.0
}

/// The gain of an output or input channel of the residual stream.
fn outlier(channel: usize) -> f32 {
    if channel % OUTLIER_EVERY == OUTLIER_EVERY / 2 {
        OUTLIER_GAIN
    } else {
        1.0
    }
}

/// A number of standard deviation 1 and mean 0, nearly normal: the sum of four uniform ones.
fn bell(bits: u64) -> f32 {
    let sum: u32 = (0..4).map(|i| (bits >> (16 * i) & 0xffff) as u32).sum();
    // Four times the variance 1/12 of a uniform number is 1/3.
    (sum as f32 / 65535.0 - 2.0) * 3f32.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = include_str!("../../../models/qwen2.5-0.5b/config.json");

    /// Sizes that are published for the real file.
    #[test]
    fn the_file_has_the_layout_of_the_real_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        fs::write(&path, CONFIG).unwrap();
        let plan = plan(&read_config(&path).unwrap());
        let header = header(&plan);
        let data: usize = plan.iter().map(|t| 2 * t.numbers()).sum();
        assert_eq!((plan.len(), header.len()), (290, 32_288));
        assert_eq!(header.len() + data, 988_097_824);
        let have = plan
            .iter()
            .map(|t| (t.name.clone(), "BF16".to_owned(), t.shape.clone()));
        let manifest = include_str!("../../../tests/data/manifest/qwen2.5-0.5b-bf16.txt");
        let want = crate::export::layout::tests::listed(manifest, 24);
        assert_eq!(have.collect::<Vec<_>>(), want);
    }

    #[test]
    fn bell_has_mean_0_and_deviation_1() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let n = 100_000;
        let v: Vec<f32> = (0..n).map(|_| bell(rng.random())).collect();
        let mean = v.iter().sum::<f32>() / n as f32;
        let square = v.iter().map(|v| v * v).sum::<f32>() / n as f32;
        assert!(
            mean.abs() < 0.02 && (square - 1.0).abs() < 0.02,
            "{mean} {square}"
        );
    }
}
