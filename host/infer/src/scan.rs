//! A first look at all weights, before hours of work: is every one a finite number, and which weights are these?

use macromac_format::DType;
use rayon::prelude::*;

use crate::InferError;
use crate::checkpoint::Checkpoint;
use crate::store::TensorRef;

/// Numbers of a tensor that one task looks at.
const PIECE: usize = 1 << 20;
/// Tensors that an error names.
const NAMED: usize = 20;

/// Looks at every number of a checkpoint in full precision; returns a checksum (CRC-32C) of names, shapes and bytes.
///
/// # Errors
/// [`InferError::Checkpoint`] names every tensor with a NaN or an infinity (the first 20 of them) and the place of its first.
pub fn check_finite(checkpoint: &Checkpoint) -> Result<u32, InferError> {
    let mut bad = Vec::new();
    let mut crc = 0;
    for (name, t) in checkpoint.plain_tensors() {
        let head = format!("{name} {:?} [{}, {}]\n", t.dtype, t.rows, t.columns);
        crc = crc32c::crc32c_append(crc, head.as_bytes());
        let bytes = checkpoint.bytes_of(&t);
        let pieces: Vec<(u32, usize, Option<usize>)> = bytes
            .par_chunks(PIECE * t.dtype.bytes())
            .map(|piece| {
                (
                    crc32c::crc32c(piece),
                    piece.len(),
                    first_bad(t.dtype, piece),
                )
            })
            .collect();
        for (i, (piece, length, found)) in pieces.iter().enumerate() {
            crc = crc32c::crc32c_combine(crc, *piece, *length);
            if let Some(at) = found {
                bad.push((name.clone(), t, i * PIECE + at));
            }
        }
        // The first of a tensor is enough.
        bad.dedup_by(|later, first| later.0 == first.0);
    }
    if bad.is_empty() {
        return Ok(crc);
    }
    let named: Vec<String> = bad
        .iter()
        .take(NAMED)
        .map(|(name, t, at)| describe(checkpoint, name, t, *at))
        .collect();
    let more = match bad.len() - named.len() {
        0 => String::new(),
        n => format!(" and {n} more tensors"),
    };
    Err(InferError::checkpoint(
        checkpoint.dir(),
        format!(
            "weights: expected finite numbers, found {}{more} (the first of each tensor); the checkpoint is damaged: \
             download it again",
            named.join(", ")
        ),
    ))
}

/// Index of the first number whose exponent has all bits set: an infinity or NaN.
fn first_bad(dtype: DType, bytes: &[u8]) -> Option<usize> {
    let in_16 = |mask: u16| {
        let is_bad = move |b: &[u8]| u16::from_le_bytes([b[0], b[1]]) & mask == mask;
        // A look without the place first: it runs at the speed of memory.
        let any = bytes.chunks_exact(2).fold(false, |any, b| any | is_bad(b));
        any.then(|| bytes.chunks_exact(2).position(is_bad))
            .flatten()
    };
    match dtype {
        DType::Bf16 => in_16(0x7f80),
        DType::F16 => in_16(0x7c00),
        DType::F32 => bytes.chunks_exact(4).position(|b| {
            u32::from_le_bytes([b[0], b[1], b[2], b[3]]) & 0x7f80_0000 == 0x7f80_0000
        }),
    }
}

fn describe(checkpoint: &Checkpoint, name: &str, t: &TensorRef, at: usize) -> String {
    let width = t.dtype.bytes();
    let mut value = [0.0];
    t.dtype
        .widen(&checkpoint.bytes_of(t)[at * width..][..width], &mut value);
    let place = match t.rows {
        1 => format!("[{at}]"),
        _ => format!("[{}, {}]", at / t.columns, at % t.columns),
    };
    format!("{} at {name} {place}", value[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_bad_number_is_found_and_large_ones_are_not_bad() {
        use half::{bf16, f16};
        for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for at in [0, 7, 99] {
                let mut v = [1.0f32; 100];
                v[at] = bad;
                v[50] = 65504.0;
                let wide: Vec<u8> = v.iter().flat_map(|v| v.to_le_bytes()).collect();
                let b16: Vec<u8> = v
                    .iter()
                    .flat_map(|v| bf16::from_f32(*v).to_le_bytes())
                    .collect();
                let f16: Vec<u8> = v
                    .iter()
                    .flat_map(|v| f16::from_f32(*v).to_le_bytes())
                    .collect();
                assert_eq!(first_bad(DType::F32, &wide), Some(at));
                assert_eq!(first_bad(DType::Bf16, &b16), Some(at));
                assert_eq!(first_bad(DType::F16, &f16), Some(at));
                assert_eq!(first_bad(DType::F32, &wide[4 * at + 4..]), None);
                assert_eq!(first_bad(DType::Bf16, &b16[2 * at + 2..]), None);
                assert_eq!(first_bad(DType::F16, &f16[2 * at + 2..]), None);
            }
        }
    }
}
