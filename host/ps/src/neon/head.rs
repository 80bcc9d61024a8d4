//! FP16 rows times an FP32 vector; see [`crate::head`].

use super::intrinsics::*;

use half::f16;
use macromac_format::TILE;

use crate::vector::fold;

/// Products of eight rows of FP16, [8, K] one after the other, with `x`, K long: the eight sums are what is in flight.
///
/// # Panics
/// If `rows` is not 8 K long, or K no multiple of 8.
#[inline(never)]
pub fn f16_tile_product(rows: &[f16], x: &[f32]) -> [f32; TILE] {
    let k = x.len();
    assert!(rows.len() == TILE * k && k % 8 == 0, "eight rows of K");
    let mut s = [vdupq_n_f32(0.0); TILE];
    for i in (0..k).step_by(8) {
        // SAFETY: i + 8 <= K; row r begins at r K.
        unsafe {
            let (x0, x1) = (
                vld1q_f32(x.as_ptr().add(i)),
                vld1q_f32(x.as_ptr().add(i + 4)),
            );
            let w: [uint16x8_t; TILE] =
                std::array::from_fn(|r| vld1q_u16(rows.as_ptr().add(r * k + i).cast()));
            let w = w.map(|w| vreinterpretq_f16_u16(w));
            for r in 0..TILE {
                s[r] = vfmaq_f32(s[r], vcvt_f32_f16(vget_low_f16(w[r])), x0);
            }
            for r in 0..TILE {
                s[r] = vfmaq_f32(s[r], vcvt_high_f32_f16(w[r]), x1);
            }
        }
    }
    s.map(|s| {
        let mut lanes = [0f32; 4];
        // SAFETY: the array has four places.
        unsafe { vst1q_f32(lanes.as_mut_ptr(), s) };
        fold(lanes)
    })
}
