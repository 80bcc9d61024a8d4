//! FP32 matrix products of the quantizer, in the written order of [`crate::kernels`], so that its choices do not depend on
//! the number of threads.

use macromac_format::TILE;
use rayon::prelude::*;

use crate::kernels::vector::tile_product;

/// Rows of the left matrix that a task takes.
const ROWS_PER_TASK: usize = 32;

/// `A B^T` of A [m, k] and B [n, k], row after row; k is a multiple of 4.
pub fn matmul_nt(a: &[f32], b: &[f32], k: usize) -> Vec<f32> {
    let n = b.len() / k;
    let mut out = vec![0.0; a.len() / k * n];
    out.par_chunks_mut(ROWS_PER_TASK * n)
        .zip(a.par_chunks(ROWS_PER_TASK * k))
        .for_each(|(out, a)| {
            let mut last = vec![0.0; TILE * k];
            for (t, tile) in b.chunks(TILE * k).enumerate() {
                let rows = tile.len() / k;
                let tile = if rows == TILE {
                    tile
                } else {
                    last[..tile.len()].copy_from_slice(tile);
                    &last
                };
                for (a, out) in a.chunks_exact(k).zip(out.chunks_exact_mut(n)) {
                    out[t * TILE..][..rows].copy_from_slice(&tile_product(tile, a)[..rows]);
                }
            }
        });
    out
}

/// `X^T X / tokens` of X [tokens, k]: what the error of a matrix with these inputs depends on.
pub fn gram(x: &[f32], k: usize) -> Vec<f32> {
    let tokens = x.len() / k;
    let padded = tokens.next_multiple_of(4);
    let mut transposed = vec![0.0; k * padded];
    transposed
        .par_chunks_mut(padded)
        .enumerate()
        .for_each(|(column, out)| {
            for (out, row) in out.iter_mut().zip(x.chunks_exact(k)) {
                *out = row[column];
            }
        });
    let mut g = matmul_nt(&transposed, &transposed, padded);
    let share = 1.0 / tokens as f32;
    g.iter_mut().for_each(|v| *v *= share);
    g
}
