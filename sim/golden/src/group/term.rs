//! An exact group sum times its scale.

use crate::fp::{self, NAN_BITS, exact};

/// `rn(sum × scale × 2^(exponent - 127 - 14))`: one rounding of the exact product.
///
/// * `sum`: the sum over the group of (q - z) × m;
/// * `scale`: bits of the FP16 scale;
/// * `exponent`: the group's E, 0..=254.
///
/// A sum of 0 with a finite scale gives +0, whatever the sign of the scale. Otherwise signs, infinities and NaN are
/// those of the product.
pub fn term(sum: i32, scale: u16, exponent: u8) -> f32 {
    let sign = (u32::from(scale >> 15) << 31) ^ if sum < 0 { 1 << 31 } else { 0 };
    let (field, fraction) = (i32::from(scale >> 10 & 31), u32::from(scale & 0x3FF));
    let bits = match (field, fraction, sum) {
        (31, 0, 0) => NAN_BITS,
        (31, 0, _) => sign | 0x7F80_0000,
        (31, _, _) => NAN_BITS,
        (_, _, 0) => 0,
        (0, 0, _) => sign,
        _ => {
            // scale = ±significand × 2^unit
            let (significand, unit) = match field {
                0 => (fraction, -24),
                _ => (fraction | 0x400, field - 25),
            };
            let product = u128::from(sum.unsigned_abs()) * u128::from(significand);
            exact::round(sign, unit + i32::from(exponent) - 141, product)
        }
    };
    f32::from_bits(bits)
}

/// What [`term`] gives, by the processor's own arithmetic: in f64 the product of a 26-bit sum, an 11-bit scale and a
/// power of two is exact, so the conversion to f32 is the only rounding.
///
/// `scale` is the widened scale, `power` is `2^(exponent - 141)`. A NaN has any payload.
#[inline(always)]
pub(super) fn term_f64(sum: i32, scale: f64, power: f64) -> f32 {
    let product = fp::flush((f64::from(sum) * scale * power) as f32);
    // Only a finite scale makes a zero of a zero sum.
    if sum == 0 && product == 0.0 {
        0.0
    } else {
        product
    }
}

/// `2^(exponent - 141)`.
#[inline(always)]
pub(super) fn power(exponent: u8) -> f64 {
    f64::from_bits((u64::from(exponent) + 1023 - 141) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both forms, their bits equal.
    fn bits(sum: i32, scale: u16, exponent: u8) -> u32 {
        let defined = term(sum, scale, exponent).to_bits();
        let wide = f64::from(fp::from_f16(scale));
        let quick = fp::canonical(term_f64(sum, wide, power(exponent))).to_bits();
        assert_eq!(quick, defined, "{sum} x {scale:#06x}, E = {exponent}");
        defined
    }

    const SIGN: u32 = 1 << 31;
    const INF: u32 = 0x7F80_0000;

    #[test]
    fn special_operands() {
        for (sum, scale, want) in [
            (0, 0x8000, 0),
            (0, 0xBC00, 0),
            (5, 0x8000, SIGN),
            (-5, 0x0000, SIGN),
            (-5, 0x8000, 0),
            (0, 0x7C00, NAN_BITS),
            (0, 0xFC00, NAN_BITS),
            (1, 0xFC00, INF | SIGN),
            (-1, 0xFC00, INF),
            (0, 0x7C01, NAN_BITS),
            (3, 0xFFFF, NAN_BITS),
        ] {
            for exponent in [0, 1, 127, 254] {
                assert_eq!(bits(sum, scale, exponent), want, "{sum} x {scale:#06x}");
            }
        }
    }

    #[test]
    fn the_ends_of_the_range() {
        assert_eq!(bits(1 << 14, 0x3C00, 127), 1f32.to_bits());
        assert_eq!(bits(-(1 << 25), 0x7BFF, 254), INF | SIGN);
        // 2^-126 exactly, and what rounds up to it: (2^25 - 1) × 2^-151 lies above the last tie.
        assert_eq!(bits(1, 0x3C00, 15), 0x0080_0000);
        assert_eq!(bits((1 << 25) - 1, 0x0001, 14), 0x0080_0000);
        assert_eq!(bits(-((1 << 25) - 3), 0x0001, 14), SIGN);
        assert_eq!(bits(-1, 0x0001, 1), SIGN);
    }

    /// Long division instead of shifts: the two multiples of the last place around the exact product, and
    /// the nearer one. Shares nothing with either form.
    fn by_neighbours(sum: i32, scale: u16, exponent: u8) -> u32 {
        let negative = (sum < 0) != (scale & 0x8000 != 0);
        let field = i32::from(scale >> 10 & 31);
        let small = u128::from(scale & 0x3FF);
        let significand = if field == 0 { small } else { small + 1024 };
        let unit = if field == 0 { -24 } else { field - 25 };
        // |product| = whole × 2^place
        let (whole, place) = (
            u128::from(sum.unsigned_abs()) * significand,
            unit + i32::from(exponent) - 141,
        );
        let sign = if negative { SIGN } else { 0 };
        if whole == 0 {
            return if sum == 0 { 0 } else { sign };
        }
        // Candidate places of the last bit, finest first; the first that needs at most 24 bits.
        for last in -149..=104 {
            let (lower, rest, one) = if last <= place {
                let factor = 1u128.checked_shl((place - last) as u32);
                let Some(lower) = factor.and_then(|f| whole.checked_mul(f)) else {
                    continue;
                };
                (lower, 0, 1)
            } else if last - place < 127 {
                let one = 1u128 << (last - place);
                (whole / one, whole % one, one)
            } else {
                (0, whole, u128::MAX)
            };
            if lower >= 1 << 24 {
                continue;
            }
            let rounded = match (2 * rest).cmp(&one) {
                std::cmp::Ordering::Less => lower,
                std::cmp::Ordering::Greater => lower + 1,
                std::cmp::Ordering::Equal => lower + lower % 2,
            };
            if rounded == 1 << 24 && last == 104 {
                return sign | INF;
            }
            if rounded < 1 << 23 {
                return sign; // only at the finest place: subnormal
            }
            // 2^24 has one bit too many for the field's formula, and the carry puts it right.
            let biased = (last + 149) as u32;
            return sign | ((biased << 23) + rounded as u32);
        }
        sign | INF
    }

    #[test]
    fn both_forms_equal_an_independent_computation() {
        let mut seed = 3u64;
        let mut random = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            seed >> 16
        };
        for round in 0..400_000 {
            let size = random() % 26;
            let sum = ((random() % (1 << size)) as i32 + (1 << size)).min(64 * 15 * 32767);
            let sum = if random() % 2 == 0 { sum } else { -sum };
            let scale = (random() % 0x10000) as u16;
            // Each second one near the ends.
            let exponent = match round % 4 {
                0 => random() % 40,
                1 => 215 + random() % 40,
                _ => random() % 255,
            } as u8;
            if scale & 0x7C00 == 0x7C00 {
                continue;
            }
            let got = bits(sum, scale, exponent);
            assert_eq!(
                got,
                by_neighbours(sum, scale, exponent),
                "{sum} {scale:#06x} {exponent}"
            );
        }
    }
}
