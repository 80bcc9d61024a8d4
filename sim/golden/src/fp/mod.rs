//! The FP32 operators of the PL (`docs/arithmetic.md` section 1).
//!
//! [`add`] and [`mul`] use the processor's own `f32` arithmetic, which Rust guarantees to be IEEE
//! 754 with round to nearest even and gradual underflow, and put the project's rules around it as
//! selects that compile to a few vector instructions. [`exact`] computes the same values from
//! integers alone; tests hold the two against each other and against Berkeley TestFloat.

pub mod exact;

/// Bits of the only NaN that an operator returns.
pub const NAN_BITS: u32 = 0x7FC0_0000;

/// Replaces a subnormal by the zero of its sign; everything else, NaN included, is unchanged.
///
/// This is rule 1 (of an input) and rule 2 (of a result that is rounded already).
#[inline(always)]
pub fn flush(x: f32) -> f32 {
    // "not below" rather than "at least", so that a NaN is kept; a mask rather than a branch, so
    // that the compiler can do it for eight columns at once.
    let below = x.abs() < f32::MIN_POSITIVE;
    let keep = if below { 0x8000_0000 } else { 0xFFFF_FFFF };
    f32::from_bits(x.to_bits() & keep)
}

/// Gives every NaN its one form, 7FC00000.
#[inline(always)]
pub fn canonical(x: f32) -> f32 {
    if x.is_nan() {
        f32::from_bits(NAN_BITS)
    } else {
        x
    }
}

/// a + b.
#[inline(always)]
pub fn add(a: f32, b: f32) -> f32 {
    canonical(flush(flush(a) + flush(b)))
}

/// a × b.
#[inline(always)]
pub fn mul(a: f32, b: f32) -> f32 {
    canonical(flush(flush(a) * flush(b)))
}

/// a × i for the integer i = q − z; defined as `a × float(i)`.
///
/// The hardware accepts −15..=15; the function is defined for every integer that an `f32` holds
/// exactly.
#[inline(always)]
pub fn mul_int(a: f32, i: i32) -> f32 {
    mul(a, i as f32)
}

/// FP16 bits to FP32: exact for every finite number, subnormal ones included; NaN becomes 7FC00000.
#[inline(always)]
pub fn from_f16(bits: u16) -> f32 {
    // Exponent and fraction at the places of FP32, then the difference of the biases (127 - 15) as a
    // factor: exact, and right for subnormals too. No branch, so that eight can be done at once.
    const REBIAS: f32 = f32::from_bits((127 + 112) << 23);
    let magnitude = u32::from(bits & 0x7FFF) << 13;
    let finite = (f32::from_bits(magnitude) * REBIAS).to_bits();
    let special = magnitude | 0x7F80_0000;
    let value = if bits & 0x7C00 == 0x7C00 {
        special
    } else {
        finite
    };
    canonical(f32::from_bits(value | u32::from(bits & 0x8000) << 16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_f16_is_that_of_the_half_crate_for_every_input() {
        for bits in 0..=u16::MAX {
            let want = canonical(half::f16::from_bits(bits).to_f32());
            assert_eq!(from_f16(bits).to_bits(), want.to_bits(), "{bits:#06x}");
        }
    }
}
