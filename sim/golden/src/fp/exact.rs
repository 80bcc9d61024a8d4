//! The operators in integer arithmetic, on bit patterns: the definition that the fast path must
//! equal.
//!
//! Nothing here touches a floating-point register. A finite non-zero number is
//! `(-1)^sign × frac × 2^exp` with an integer `frac`; the sum or product of two of them is formed
//! without any loss in 128 bits (or with a sticky bit that stands for the lost tail), then rounded
//! once by [`round`], then flushed.

use super::NAN_BITS;

const SIGN: u32 = 0x8000_0000;
const INFINITY: u32 = 0x7F80_0000;

/// An operand after rule 1 (subnormal read as zero).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Operand {
    Nan,
    Infinity,
    Zero,
    /// Value `frac × 2^exp`, 2^23 <= frac < 2^24.
    Finite {
        exp: i32,
        frac: u32,
    },
}

/// Splits a bit pattern into its sign (0 or 0x80000000) and what it stands for.
fn split(bits: u32) -> (u32, Operand) {
    let biased = (bits >> 23) & 0xFF;
    let mantissa = bits & 0x007F_FFFF;
    let operand = match (biased, mantissa) {
        (0xFF, 0) => Operand::Infinity,
        (0xFF, _) => Operand::Nan,
        (0, _) => Operand::Zero,
        _ => Operand::Finite {
            exp: biased as i32 - 150,
            frac: mantissa | 0x0080_0000,
        },
    };
    (bits & SIGN, operand)
}

/// Rounds `(-1)^sign × frac × 2^exp`, frac != 0, to binary32 as IEEE does (ties to even, gradual
/// underflow, overflow to infinity), and then flushes a subnormal result to the zero of its sign.
pub fn round(sign: u32, exp: i32, frac: u128) -> u32 {
    let length = 128 - frac.leading_zeros() as i32;
    // Weight of the last kept bit: 24 significant bits, but never finer than 2^-149.
    let unit = (exp + length - 24).max(-149);
    let drop = unit - exp;
    let kept = if drop <= 0 {
        // Exact: shift up. At most 23 places, because frac then has fewer than 24 bits.
        frac << -drop
    } else if drop > length {
        // Below half a unit.
        0
    } else {
        let drop = drop as u32;
        let tail = frac & ((1 << drop) - 1);
        let half = 1 << (drop - 1);
        let kept = frac >> drop;
        kept + u128::from(tail > half || (tail == half && kept & 1 == 1))
    };
    // kept <= 2^24; 2^24 means that rounding carried into the next binade.
    let (kept, unit) = if kept == 1 << 24 {
        (1 << 23, unit + 1)
    } else {
        (kept, unit)
    };
    let kept = kept as u32;
    if kept < 1 << 23 {
        return sign; // subnormal or zero after rounding
    }
    let biased = unit + 150;
    if biased >= 255 {
        return sign | INFINITY;
    }
    sign | ((biased as u32) << 23) | (kept & 0x007F_FFFF)
}

/// a + b.
pub fn add(a: u32, b: u32) -> u32 {
    let (sign_a, op_a) = split(a);
    let (sign_b, op_b) = split(b);
    match (op_a, op_b) {
        (Operand::Nan, _) | (_, Operand::Nan) => NAN_BITS,
        (Operand::Infinity, Operand::Infinity) if sign_a != sign_b => NAN_BITS,
        (Operand::Infinity, _) => sign_a | INFINITY,
        (_, Operand::Infinity) => sign_b | INFINITY,
        // (-0) + (-0) = -0, every other sum of zeros is +0.
        (Operand::Zero, Operand::Zero) => sign_a & sign_b,
        (Operand::Zero, Operand::Finite { .. }) => b,
        (Operand::Finite { .. }, Operand::Zero) => a,
        (Operand::Finite { exp: ea, frac: fa }, Operand::Finite { exp: eb, frac: fb }) => {
            // 64 bits below the larger operand's unit; what lies deeper becomes a sticky bit, which
            // rounding cannot tell from the real tail (the sum keeps at least 63 exact bits above
            // it).
            let low = ea.min(eb).max(ea.max(eb) - 64);
            let align = |exp: i32, frac: u32| -> i128 {
                let up = exp - low;
                if up >= 0 {
                    i128::from(frac) << up
                } else {
                    let down = (-up).min(100) as u32;
                    let wide = i128::from(frac);
                    let lost = wide & ((1 << down) - 1) != 0;
                    (wide >> down) | i128::from(lost)
                }
            };
            let value = |sign: u32, magnitude: i128| if sign == 0 { magnitude } else { -magnitude };
            let sum = value(sign_a, align(ea, fa)) + value(sign_b, align(eb, fb));
            if sum == 0 {
                return 0; // x + (-x) = +0
            }
            round(if sum < 0 { SIGN } else { 0 }, low, sum.unsigned_abs())
        }
    }
}

/// a × b.
pub fn mul(a: u32, b: u32) -> u32 {
    let (sign_a, op_a) = split(a);
    let (sign_b, op_b) = split(b);
    let sign = sign_a ^ sign_b;
    match (op_a, op_b) {
        (Operand::Nan, _) | (_, Operand::Nan) => NAN_BITS,
        (Operand::Infinity, Operand::Zero) | (Operand::Zero, Operand::Infinity) => NAN_BITS,
        (Operand::Infinity, _) | (_, Operand::Infinity) => sign | INFINITY,
        (Operand::Zero, _) | (_, Operand::Zero) => sign,
        (Operand::Finite { exp: ea, frac: fa }, Operand::Finite { exp: eb, frac: fb }) => {
            round(sign, ea + eb, u128::from(fa) * u128::from(fb))
        }
    }
}

/// a × i: the product with the integer's own FP32 form, so `a × 0` has the sign of a.
pub fn mul_int(a: u32, i: i32) -> u32 {
    let sign = if i < 0 { SIGN } else { 0 };
    let integer = if i == 0 {
        0
    } else {
        round(sign, 0, u128::from(i.unsigned_abs()))
    };
    mul(a, integer)
}

/// FP16 bits to FP32 bits.
pub fn from_f16(bits: u16) -> u32 {
    let bits = u32::from(bits);
    let sign = (bits & 0x8000) << 16;
    let biased = (bits >> 10) & 0x1F;
    let mantissa = bits & 0x3FF;
    match (biased, mantissa) {
        (31, 0) => sign | INFINITY,
        (31, _) => NAN_BITS,
        (0, 0) => sign,
        (0, _) => round(sign, -24, u128::from(mantissa)),
        _ => round(sign, biased as i32 - 25, u128::from(mantissa | 0x400)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn product_that_rounds_up_to_the_smallest_normal_stays() {
        // (1 - 2^-24) × 2^-126 is exactly halfway between 2^-126 - 2^-149 and 2^-126: even wins.
        assert_eq!(mul(0x3F7F_FFFF, 0x0080_0000), 0x0080_0000);
        // One unit less rounds down to a subnormal and is flushed.
        assert_eq!(mul(0x3F7F_FFFE, 0x0080_0000), 0);
        assert_eq!(mul(0xBF7F_FFFE, 0x0080_0000), SIGN);
    }

    #[test]
    fn special_operands() {
        assert_eq!(mul(0x0000_0001, INFINITY), NAN_BITS); // subnormal times infinity
        assert_eq!(add(INFINITY, INFINITY | SIGN), NAN_BITS);
        assert_eq!(add(SIGN, SIGN), SIGN);
        assert_eq!(add(SIGN, 0), 0);
        assert_eq!(add(0xC000_0000, 0x4000_0000), 0);
        assert_eq!(mul_int(0xBF80_0000, 0), SIGN);
        assert_eq!(mul_int(INFINITY, 0), NAN_BITS);
        assert_eq!(mul_int(0x3F80_0000, -15), 0xC170_0000);
    }
}
