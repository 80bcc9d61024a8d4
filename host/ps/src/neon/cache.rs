//! Conversions of the key-value cache, and its rows as attention reads them; see [`crate::cache`].

use super::intrinsics::*;

use half::f16;

use crate::cache::BLOCK;

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

/// Cached rows whose numbers come out in FP32, exactly as in the portable form.
pub trait Rows: Copy {
    /// Numbers `i .. i + 8` of row `j`.
    ///
    /// # Safety
    /// The row must exist and have D numbers, and `i` be a multiple of 8 below D.
    unsafe fn load8<const D: usize>(self, j: usize, i: usize) -> [float32x4_t; 2];
}

/// Rows of FP32.
#[derive(Clone, Copy)]
pub struct F32Rows {
    /// The first number.
    pub at: *const f32,
}

/// Rows of FP16.
#[derive(Clone, Copy)]
pub struct F16Rows {
    /// The first number.
    pub at: *const f16,
}

/// Rows of blocks of bytes.
#[derive(Clone, Copy)]
pub struct Q8Rows {
    /// The first byte.
    pub at: *const i8,
    /// The first scale.
    pub scales: *const f32,
}

impl Rows for F32Rows {
    #[inline(always)]
    unsafe fn load8<const D: usize>(self, j: usize, i: usize) -> [float32x4_t; 2] {
        // SAFETY: the caller vouches for the eight numbers.
        unsafe {
            let at = self.at.add(j * D + i);
            [vld1q_f32(at), vld1q_f32(at.add(4))]
        }
    }
}

impl Rows for F16Rows {
    #[inline(always)]
    unsafe fn load8<const D: usize>(self, j: usize, i: usize) -> [float32x4_t; 2] {
        // SAFETY: the caller vouches for the eight numbers.
        unsafe {
            let h = vreinterpretq_f16_u16(vld1q_u16(self.at.add(j * D + i).cast()));
            [vcvt_f32_f16(vget_low_f16(h)), vcvt_high_f32_f16(h)]
        }
    }
}

impl Rows for Q8Rows {
    #[inline(always)]
    unsafe fn load8<const D: usize>(self, j: usize, i: usize) -> [float32x4_t; 2] {
        // SAFETY: the caller vouches for the eight numbers, and every block of a row has its scale.
        unsafe {
            let q = vmovl_s8(vld1_s8(self.at.add(j * D + i)));
            let s = vld1q_dup_f32(self.scales.add(j * D.div_ceil(BLOCK) + i / BLOCK));
            [
                vmulq_f32(vcvtq_f32_s32(vmovl_s16(vget_low_s16(q))), s),
                vmulq_f32(vcvtq_f32_s32(vmovl_high_s16(q)), s),
            ]
        }
    }
}
