//! The output matrix on the PS: FP16 weights widened exactly, products as in [`super::vector`].

use macromac_format::{DType, TILE};

use super::LANES;
use super::team;
use super::vector::tile_product;

/// Tiles that a task takes: enough work to pay for starting it.
const TILES_PER_TASK: usize = 32;

/// `y = W x` with W [N, K] in number format `dtype`, row after row in `weights`; every output is
/// one sum in the written order, whatever the number of threads.
///
/// # Panics
/// If `weights` is not N x K numbers long, with N of `y` and K of `x`.
pub fn head_product(dtype: DType, weights: &[u8], x: &[f32], y: &mut [f32]) {
    let k = x.len();
    let row_bytes = k * dtype.bytes();
    assert_eq!(weights.len(), y.len() * row_bytes, "bytes of the head");
    // A row is filled up to whole lanes; the zeros add +0 to sums that began at +0.
    let stride = k.next_multiple_of(LANES);
    let mut padded = x.to_vec();
    padded.resize(stride, 0.0);
    let tasks = y.chunks_mut(TILE * TILES_PER_TASK);
    let tasks = tasks.zip(weights.chunks(TILE * TILES_PER_TASK * row_bytes));
    team::each(tasks, |(y, weights)| {
        let mut tile = vec![0.0; TILE * stride];
        let tiles = weights.chunks(TILE * row_bytes);
        for (y, weights) in y.chunks_mut(TILE).zip(tiles) {
            #[cfg(target_arch = "aarch64")]
            if let Some(rows) = f16_tile(dtype, weights, k) {
                y.copy_from_slice(&crate::neon::head::f16_tile_product(rows, x));
                continue;
            }
            let rows = weights.chunks_exact(row_bytes);
            for (row, out) in rows.zip(tile.chunks_exact_mut(stride)) {
                dtype.widen(row, &mut out[..k]);
            }
            // Rows beyond the last of the matrix are left over from before, and cut.
            y.copy_from_slice(&tile_product(&tile, &padded)[..y.len()]);
        }
    });
}

/// Eight rows of FP16 as the NEON form takes them: whole, aligned, K a multiple of 8.
#[cfg(target_arch = "aarch64")]
fn f16_tile(dtype: DType, weights: &[u8], k: usize) -> Option<&[half::f16]> {
    let fits = dtype == DType::F16 && k % 8 == 0 && weights.len() == TILE * k * 2;
    let aligned = weights.as_ptr().cast::<half::f16>().is_aligned();
    (fits && aligned && crate::use_neon()).then(|| {
        // SAFETY: aligned, of the right length, and every pattern of 16 bits is an f16.
        unsafe { std::slice::from_raw_parts(weights.as_ptr().cast(), weights.len() / 2) }
    })
}

#[cfg(test)]
mod tests {
    use super::super::vector::dot;
    use super::*;
    use half::f16;

    #[test]
    fn every_output_is_the_written_sum() {
        for (n, k) in [(1, 1), (19, 70), (600, 64)] {
            let w: Vec<f16> = (0..n * k)
                .map(|i| f16::from_f32((i as f32 * 0.37).sin()))
                .collect();
            let x: Vec<f32> = (0..k).map(|i| (i as f32 * 0.11).cos() * 3.0).collect();
            let bytes: Vec<u8> = w.iter().flat_map(|v| v.to_le_bytes()).collect();
            let mut y = vec![0.0; n];
            head_product(DType::F16, &bytes, &x, &mut y);
            for (row, y) in w.chunks(k).zip(y) {
                let row: Vec<f32> = row.iter().map(|v| v.to_f32()).collect();
                assert_eq!(y.to_bits(), dot(&row, &x).to_bits());
            }
        }
    }
}
