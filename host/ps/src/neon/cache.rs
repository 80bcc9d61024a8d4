//! Conversions of the key-value cache, and its numbers as attention reads them; see [`crate::cache`].

use super::intrinsics::*;

use half::f16;

use crate::cache::{BLOCK, PIECE, VALUES};

/// As [`crate::cache::narrow`].
#[inline(never)]
pub fn narrow(x: &[f32], out: &mut [f16]) {
    assert_eq!(x.len(), out.len(), "numbers to convert");
    let whole = x.len() / 4 * 4;
    for i in (0..whole).step_by(4) {
        // SAFETY: i + 4 <= whole, which both slices hold.
        unsafe {
            let h = vcvt_f16_f32(vld1q_f32(x.as_ptr().add(i)));
            vst1_u16(out.as_mut_ptr().add(i).cast(), vreinterpret_u16_f16(h));
        }
    }
    for (o, x) in out[whole..].iter_mut().zip(&x[whole..]) {
        *o = f16::from_f32(*x);
    }
}

/// As [`crate::cache::widen`].
#[inline(never)]
pub fn widen(x: &[f16], out: &mut [f32]) {
    assert_eq!(x.len(), out.len(), "numbers to convert");
    let whole = x.len() / 4 * 4;
    for i in (0..whole).step_by(4) {
        // SAFETY: i + 4 <= whole, which both slices hold.
        unsafe {
            let h = vreinterpret_f16_u16(vld1_u16(x.as_ptr().add(i).cast()));
            vst1q_f32(out.as_mut_ptr().add(i), vcvt_f32_f16(h));
        }
    }
    for (o, x) in out[whole..].iter_mut().zip(&x[whole..]) {
        *o = x.to_f32();
    }
}

/// Cached numbers that come out in FP32, exactly as in the portable form: pieces of eight, step after step.
pub trait Numbers: Copy {
    /// Steps `4 four .. 4 four + 4`.
    ///
    /// # Safety
    /// They must be there.
    unsafe fn four(self, four: usize) -> [[float32x4_t; 2]; 4];

    /// Step `k`.
    ///
    /// # Safety
    /// It must be there.
    unsafe fn one(self, k: usize) -> [float32x4_t; 2];

    /// Tile `tile` of keys from here, `d` steps each.
    ///
    /// # Safety
    /// It must be there.
    unsafe fn tile(self, tile: usize, d: usize) -> Self;

    /// Columns `8 piece ..` of a block of values.
    ///
    /// # Safety
    /// They must be there.
    unsafe fn piece(self, piece: usize) -> Self;
}

/// FP32.
#[derive(Clone, Copy)]
pub struct F32s {
    /// The first number.
    pub at: *const f32,
}

/// FP16.
#[derive(Clone, Copy)]
pub struct F16s {
    /// The first number.
    pub at: *const f16,
}

/// Keys in bytes: a scale for each position and block of numbers.
#[derive(Clone, Copy)]
pub struct Q8Keys {
    /// The first byte.
    pub at: *const i8,
    /// The first of eight scales.
    pub scales: *const f32,
}

/// Values in bytes: a scale for each position and block of columns.
#[derive(Clone, Copy)]
pub struct Q8Values {
    /// The first byte.
    pub at: *const i8,
    /// The scale of the first position.
    pub scales: *const f32,
}

macro_rules! places {
    ($($scales:ident)?) => {
        #[inline(always)]
        unsafe fn tile(self, tile: usize, d: usize) -> Self {
            // SAFETY: the caller vouches for the tile.
            unsafe {
                Self {
                    at: self.at.add(tile * d * PIECE),
                    $($scales: self.$scales.add(tile * d.div_ceil(BLOCK) * PIECE),)?
                }
            }
        }

        #[inline(always)]
        unsafe fn piece(self, piece: usize) -> Self {
            // SAFETY: the caller vouches for the columns.
            unsafe {
                Self {
                    at: self.at.add(piece * VALUES * PIECE),
                    $($scales: self.$scales.add(piece * PIECE / BLOCK * VALUES),)?
                }
            }
        }
    };
}

impl Numbers for F32s {
    #[inline(always)]
    unsafe fn four(self, four: usize) -> [[float32x4_t; 2]; 4] {
        // SAFETY: the caller vouches for the steps.
        std::array::from_fn(|k| unsafe { self.one(4 * four + k) })
    }

    #[inline(always)]
    unsafe fn one(self, k: usize) -> [float32x4_t; 2] {
        // SAFETY: the caller vouches for the step.
        unsafe {
            let at = self.at.add(k * PIECE);
            [vld1q_f32(at), vld1q_f32(at.add(4))]
        }
    }

    places!();
}

impl Numbers for F16s {
    #[inline(always)]
    unsafe fn four(self, four: usize) -> [[float32x4_t; 2]; 4] {
        // SAFETY: the caller vouches for the steps.
        std::array::from_fn(|k| unsafe { self.one(4 * four + k) })
    }

    #[inline(always)]
    unsafe fn one(self, k: usize) -> [float32x4_t; 2] {
        // SAFETY: the caller vouches for the step.
        unsafe {
            let h = vreinterpretq_f16_u16(vld1q_u16(self.at.add(k * PIECE).cast()));
            [vcvt_f32_f16(vget_low_f16(h)), vcvt_high_f32_f16(h)]
        }
    }

    places!();
}

/// Eight bytes as numbers.
///
/// # Safety
/// They must be there.
#[inline(always)]
unsafe fn bytes(at: *const i8) -> [float32x4_t; 2] {
    // SAFETY: as the caller says.
    let q = vmovl_s8(unsafe { vld1_s8(at) });
    let low = vcvtq_f32_s32(vmovl_s16(vget_low_s16(q)));
    [low, vcvtq_f32_s32(vmovl_high_s16(q))]
}

impl Numbers for Q8Keys {
    #[inline(always)]
    unsafe fn four(self, four: usize) -> [[float32x4_t; 2]; 4] {
        // SAFETY: the caller vouches for the steps.
        std::array::from_fn(|k| unsafe { self.one(4 * four + k) })
    }

    #[inline(always)]
    unsafe fn one(self, k: usize) -> [float32x4_t; 2] {
        // SAFETY: the caller vouches for the step, and every block has its eight scales.
        unsafe {
            let q = bytes(self.at.add(k * PIECE));
            let s = self.scales.add(k / BLOCK * PIECE);
            [
                vmulq_f32(q[0], vld1q_f32(s)),
                vmulq_f32(q[1], vld1q_f32(s.add(4))),
            ]
        }
    }

    places!(scales);
}

impl Numbers for Q8Values {
    #[inline(always)]
    unsafe fn four(self, four: usize) -> [[float32x4_t; 2]; 4] {
        // SAFETY: the caller vouches for the steps.
        std::array::from_fn(|k| unsafe { self.one(4 * four + k) })
    }

    #[inline(always)]
    unsafe fn one(self, k: usize) -> [float32x4_t; 2] {
        // SAFETY: the caller vouches for the step, and every position has its scale.
        unsafe {
            let s = vld1q_dup_f32(self.scales.add(k));
            bytes(self.at.add(k * PIECE)).map(|q| vmulq_f32(q, s))
        }
    }

    places!(scales);
}
