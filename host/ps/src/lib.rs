//! What the board's Arm cores (the PS) compute, in one written order - the same bits on x86-64 and aarch64, with
//! and without FMA instructions, for any number of threads - and how long it takes there ([`time`]).
//!
//! Rules of the order:
//! * A dot product ([`vector::dot`], rows of a matrix) and a sum of exponentials have four partial sums: term i goes to
//!   partial sum i mod 4 with one fused multiply-add (or addition), in rising order of i, starting from +0. The fold is
//!   `(s0 + s1) + (s2 + s3)`.
//! * A sum of squares (RMSNorm) has sixteen: term i goes to partial sum i mod 16. The fold makes four of them, `s_l = (p_l + p_(l+4)) + (p_(l+8) + p_(l+12))`, then one as above. A
//!   Cortex-A53 needs eight cycles until it can add to the same register again; many dot products at
//!   a time fill them, one long sum does not, so it has four chains of four lanes.
//! * Attention's scores are one chain each, `s = fma(q_i, k_i, s)` in rising i from +0, then one product with 1/sqrt(d). From 64 positions on
//!   these are cut in two ([`attention::halves`]); in each half the largest score m, `p_j = e^(s_j - m)`, their sum, and the
//!   chain of `p_j v_j` in rising position from +0. The halves meet as `fma(o1, w1, o0 w0)`, w being `e^(m_half - m)` times
//!   one over `fma(e1, sum1, e0 sum0)`.
//! * Where a product is added to something, it is a fused multiply-add. Every other operation is
//!   one IEEE operation (+, -, x, /, square root) in FP32, round to nearest even, with subnormals.
//! * exp is [`math::exp`]; sine, cosine and power are FP64 basic operations in the order of
//!   [`rotary`], rounded to FP32 once. No kernel calls the platform's mathematics library.
//! * Parallel work is split by output (row, head): a result never depends on the split.
//!
//! Each kernel has a portable form and one in NEON intrinsics (module `neon`), chosen by the target; tests on
//! aarch64 compare the two, and `tests/digests.rs` compares machines. The macro `fused!` compiles the portable form twice on
//! x86-64, with FMA instructions and without; `mul_add` rounds once either way, so both give the same bits.
#![warn(missing_docs)]

pub mod attention;
pub mod cache;
pub mod head;
pub mod math;
#[cfg(target_arch = "aarch64")]
pub mod neon;
pub mod rotary;
pub mod team;
pub mod time;
pub mod vector;

/// Partial sums of a dot product.
pub const LANES: usize = 4;

/// Partial sums of a sum over one vector: four chains of [`LANES`].
pub const LONG: usize = 4 * LANES;

/// Whether kernels may use FMA instructions.
#[cfg(target_arch = "x86_64")]
#[inline]
pub fn has_fma() -> bool {
    #[cfg(any(test, feature = "portable"))]
    if portable::forced() {
        return false;
    }
    std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma")
}

/// Whether kernels take their NEON form: always, but for a test that compares the two.
#[cfg(target_arch = "aarch64")]
#[inline]
pub fn use_neon() -> bool {
    #[cfg(any(test, feature = "portable"))]
    if portable::forced() {
        return false;
    }
    true
}

/// Defines a kernel: its portable form, compiled for FMA instructions where they may be absent, and after `neon` what
/// aarch64 takes in its place.
#[macro_export]
macro_rules! fused {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) $(-> $ret:ty)? $body:block
     $(neon $neon:block)?) => {
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
                if $crate::has_fma() {
                    // SAFETY: has_fma() asked the processor for both features.
                    return unsafe { fast($($arg),*) };
                }
            }
            $(
                #[cfg(target_arch = "aarch64")]
                if $crate::use_neon() {
                    return $neon;
                }
            )?
            body($($arg),*)
        }
    };
}
/// Lets a test run the plain portable form of a kernel; for other crates' tests by the feature `portable`.
#[cfg(any(test, feature = "portable"))]
pub mod portable {
    use std::cell::Cell;

    thread_local!(static FORCED: Cell<bool> = const { Cell::new(false) });

    pub(crate) fn forced() -> bool {
        FORCED.get()
    }

    /// Runs `f` on this thread as the target would (FMA instructions, NEON) and in the plain portable form.
    pub fn both<T>(f: impl Fn() -> T) -> (T, T) {
        let fast = f();
        FORCED.set(true);
        let slow = f();
        FORCED.set(false);
        (fast, slow)
    }
}
