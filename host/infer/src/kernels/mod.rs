//! What the PS computes, in one written order: the same bits on x86-64 and aarch64, with and
//! without FMA instructions, for any number of threads.
//!
//! Rules:
//! * A sum over n terms has four partial sums; term i goes to partial sum i mod 4 with one fused
//!   multiply-add, in rising order of i, starting from +0. The fold is `(s0 + s1) + (s2 + s3)`.
//! * Where a product is added to something, it is a fused multiply-add. Every other operation is
//!   one IEEE operation (+, -, x, /, square root) in FP32, round to nearest even, with subnormals.
//! * exp is [`math::exp`]; sine and cosine ([`rotary`]), logarithm and power ([`math`]) are FP64 basic operations in the order that
//!   is written there, rounded to FP32 once. No kernel calls the platform's mathematics library.
//! * Parallel work is split by output (row, head): a result never depends on the split.
//!
//! The macro `fused!` compiles each kernel twice on x86-64, with FMA instructions and without; `mul_add`
//! rounds once either way, so both give the same bits.

pub mod attention;
pub mod head;
pub mod math;
pub mod rotary;
pub mod vector;

/// Partial sums of a sum.
pub const LANES: usize = 4;

/// Whether kernels may use FMA instructions.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(crate) fn has_fma() -> bool {
    #[cfg(test)]
    if portable::forced() {
        return false;
    }
    std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma")
}

/// Defines a kernel that is compiled for FMA instructions where they may be absent.
macro_rules! fused {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        $vis fn $name($($arg: $type),*) $(-> $ret)? {
            #[inline(always)]
            fn body($($arg: $type),*) $(-> $ret)? $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma")]
                unsafe fn fast($($arg: $type),*) $(-> $ret)? {
                    body($($arg),*)
                }
                if $crate::kernels::has_fma() {
                    // SAFETY: has_fma() asked the processor for both features.
                    return unsafe { fast($($arg),*) };
                }
            }
            body($($arg),*)
        }
    };
}
pub(crate) use fused;

/// Lets a test run a kernel without FMA instructions.
#[cfg(test)]
pub(crate) mod portable {
    use std::cell::Cell;

    thread_local!(static FORCED: Cell<bool> = const { Cell::new(false) });

    pub(crate) fn forced() -> bool {
        FORCED.get()
    }

    /// Runs `f` on this thread with and without FMA instructions.
    pub(crate) fn both<T>(f: impl Fn() -> T) -> (T, T) {
        let fast = f();
        FORCED.set(true);
        let slow = f();
        FORCED.set(false);
        (fast, slow)
    }
}
