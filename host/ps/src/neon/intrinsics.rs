//! The intrinsics that the kernels use. Those that touch no memory are safe here: every aarch64 has NEON, and the
//! standard library marks them unsafe for callers compiled without it.

pub use std::arch::aarch64::{
    float16x4_t, float16x8_t, float32x2_t, float32x4_t, int8x8_t, int16x4_t, int16x8_t, int32x4_t,
    uint16x4_t, uint16x8_t, uint32x4_t, vld1_s8, vld1_u16, vld1q_dup_f32, vld1q_f32, vld1q_u16,
    vst1_f32, vst1_u16, vst1q_f32, vst1q_u32,
};

macro_rules! safe {
    ($($name:ident $(<const $n:ident>)? ($($arg:ident: $type:ty),*) -> $ret:ty;)*) => {
        $(
            #[doc = concat!("As `std::arch::aarch64::", stringify!($name), "`.")]
            #[inline(always)]
            pub fn $name $(<const $n: i32>)? ($($arg: $type),*) -> $ret {
                // SAFETY: NEON is there on every aarch64, and no memory is touched.
                unsafe { std::arch::aarch64::$name $(::<$n>)? ($($arg),*) }
            }
        )*
    };
}

safe! {
    vdupq_n_f32(a: f32) -> float32x4_t;
    vaddq_f32(a: float32x4_t, b: float32x4_t) -> float32x4_t;
    vsubq_f32(a: float32x4_t, b: float32x4_t) -> float32x4_t;
    vmulq_f32(a: float32x4_t, b: float32x4_t) -> float32x4_t;
    vmulq_n_f32(a: float32x4_t, b: f32) -> float32x4_t;
    vdivq_f32(a: float32x4_t, b: float32x4_t) -> float32x4_t;
    vnegq_f32(a: float32x4_t) -> float32x4_t;
    vget_low_f32(a: float32x4_t) -> float32x2_t;
    vpaddq_f32(a: float32x4_t, b: float32x4_t) -> float32x4_t;
    vminq_f32(a: float32x4_t, b: float32x4_t) -> float32x4_t;
    vmaxq_f32(a: float32x4_t, b: float32x4_t) -> float32x4_t;
    vmaxnmq_f32(a: float32x4_t, b: float32x4_t) -> float32x4_t;
    vmaxnmvq_f32(a: float32x4_t) -> f32;
    vfmaq_f32(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t;
    vfmsq_f32(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t;
    vfmaq_n_f32(a: float32x4_t, b: float32x4_t, c: f32) -> float32x4_t;
    vfmaq_laneq_f32<const LANE>(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t;
    vrecpsq_f32(a: float32x4_t, b: float32x4_t) -> float32x4_t;
    vcgtq_f32(a: float32x4_t, b: float32x4_t) -> uint32x4_t;
    vcaleq_f32(a: float32x4_t, b: float32x4_t) -> uint32x4_t;
    vbslq_f32(a: uint32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t;
    vbslq_u32(a: uint32x4_t, b: uint32x4_t, c: uint32x4_t) -> uint32x4_t;
    vdupq_n_u32(a: u32) -> uint32x4_t;
    vandq_u32(a: uint32x4_t, b: uint32x4_t) -> uint32x4_t;
    vaddq_u32(a: uint32x4_t, b: uint32x4_t) -> uint32x4_t;
    vminvq_u32(a: uint32x4_t) -> u32;
    vdupq_n_s32(a: i32) -> int32x4_t;
    vaddq_s32(a: int32x4_t, b: int32x4_t) -> int32x4_t;
    vsubq_s32(a: int32x4_t, b: int32x4_t) -> int32x4_t;
    vshrq_n_s32<const N>(a: int32x4_t) -> int32x4_t;
    vshlq_n_s32<const N>(a: int32x4_t) -> int32x4_t;
    vreinterpretq_s32_f32(a: float32x4_t) -> int32x4_t;
    vreinterpretq_f32_s32(a: int32x4_t) -> float32x4_t;
    vcvtq_f32_s32(a: int32x4_t) -> float32x4_t;
    vmovl_s8(a: int8x8_t) -> int16x8_t;
    vmovl_s16(a: int16x4_t) -> int32x4_t;
    vmovl_high_s16(a: int16x8_t) -> int32x4_t;
    vget_low_s16(a: int16x8_t) -> int16x4_t;
    vreinterpret_f16_u16(a: uint16x4_t) -> float16x4_t;
    vreinterpret_u16_f16(a: float16x4_t) -> uint16x4_t;
    vreinterpretq_f16_u16(a: uint16x8_t) -> float16x8_t;
    vget_low_f16(a: float16x8_t) -> float16x4_t;
    vcvt_f16_f32(a: float32x4_t) -> float16x4_t;
    vcvt_f32_f16(a: float16x4_t) -> float32x4_t;
    vcvt_high_f32_f16(a: float16x8_t) -> float32x4_t;
}
