//! FP32 activations to block floating point.

use crate::macro_block::GROUP;

/// Bits of a mantissa besides its sign.
const MANTISSA_BITS: u32 = 15;

/// 64 activations with one exponent: activation k is worth about `m[k] × 2^(exponent - 141)`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Group {
    /// Largest biased exponent field of the group (E); 0 if all are zero, 255 if one is infinite or
    /// NaN.
    pub exponent: u8,
    /// Mantissas, -32767..=32767; all 0 if `exponent` is 255, where they mean nothing.
    pub m: [i16; GROUP],
}

impl Group {
    /// Whether all of the group's activations are finite.
    pub fn is_finite(&self) -> bool {
        self.exponent != 255
    }
}

/// Converts a group: `m = rne(a × 2^(14 - (E - 127)))`, saturated; subnormal activations are zeros.
pub fn convert(acts: &[f32; GROUP]) -> Group {
    let field = |a: f32| (a.to_bits() >> 23 & 255) as u8;
    let exponent = acts.iter().map(|&a| field(a)).max().unwrap_or(0);
    if exponent == 255 {
        return Group {
            exponent,
            m: [0; GROUP],
        };
    }
    let m = acts.map(|a| {
        if field(a) == 0 {
            return 0;
        }
        // a = ±fraction × 2^(field - 150), so m = rne(fraction / 2^shift) with at least 9 places.
        let fraction = u64::from(a.to_bits() & 0x7F_FFFF | 0x80_0000);
        let shift = u32::from(exponent - field(a)) + 24 - MANTISSA_BITS;
        if shift > 24 + 1 {
            return 0; // below a quarter
        }
        let (kept, tail) = (fraction >> shift, fraction & ((1 << shift) - 1));
        let half = 1 << (shift - 1);
        let up = tail > half || (tail == half && kept & 1 == 1);
        let magnitude = (kept + u64::from(up)).min((1 << MANTISSA_BITS) - 1) as i16;
        if a.is_sign_negative() {
            -magnitude
        } else {
            magnitude
        }
    });
    Group { exponent, m }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(acts: &[f32]) -> Group {
        let mut all = [0.0; GROUP];
        all[..acts.len()].copy_from_slice(acts);
        convert(&all)
    }

    #[test]
    fn the_largest_fills_the_mantissa_and_rounding_saturates() {
        let g = group(&[
            1.0,
            -1.0,
            0.5,
            1.999_999_9,
            2f32.powi(-14),
            -(2f32.powi(-14)),
        ]);
        assert_eq!(g.exponent, 127);
        assert_eq!(g.m[..7], [16384, -16384, 8192, 32767, 1, -1, 0]);
        // 32767.5 would round to 32768, which has no place.
        let g = group(&[32767.5, -32767.5, 32767.25, 32766.5]);
        assert_eq!(g.exponent, 141);
        assert_eq!(g.m[..4], [32767, -32767, 32767, 32766]);
    }

    #[test]
    fn ties_go_to_even_and_small_ones_vanish() {
        let unit = 2f32.powi(-14);
        let g = group(&[
            1.0,
            0.5 * unit,
            1.5 * unit,
            -2.5 * unit,
            0.75 * unit,
            0.25 * unit,
        ]);
        assert_eq!(g.m[1..6], [0, 2, -2, 1, 0]);
        let above = f32::from_bits((0.5 * unit).to_bits() + 1);
        assert_eq!(group(&[1.0, above, -above, 1e-30]).m[1..4], [1, -1, 0]);
    }

    #[test]
    fn zeros_subnormals_and_the_ends_of_the_range() {
        let subnormal = f32::from_bits(0x807F_FFFF);
        for acts in [[0.0, -0.0], [subnormal, 0.0]] {
            assert_eq!(
                group(&acts),
                Group {
                    exponent: 0,
                    m: [0; GROUP]
                }
            );
        }
        let g = group(&[f32::MIN_POSITIVE, subnormal]);
        assert_eq!((g.exponent, g.m[0], g.m[1]), (1, 16384, 0));
        let g = group(&[f32::MAX, f32::MIN_POSITIVE]);
        assert_eq!((g.exponent, g.m[0], g.m[1]), (254, 32767, 0));
        for bad in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
            assert!(!group(&[1.0, bad]).is_finite());
        }
    }

    /// The formula in f64, where it is exact: the quotient has 24 bits and is only scaled.
    #[test]
    fn equals_the_formula_for_random_groups() {
        let mut seed = 7u64;
        for _ in 0..20_000 {
            let acts: [f32; GROUP] = std::array::from_fn(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let bits = (seed >> 32) as u32;
                // Exponents within 20 of each other.
                f32::from_bits(bits & 0x807F_FFFF | (100 + (seed >> 8) as u32 % 20) << 23)
            });
            let g = convert(&acts);
            for (a, m) in acts.iter().zip(g.m) {
                let exact = f64::from(*a) * 2f64.powi(14 - (i32::from(g.exponent) - 127));
                let want = exact.round_ties_even().clamp(-32767.0, 32767.0);
                assert_eq!(f64::from(m), want, "{a:e} with E = {}", g.exponent);
            }
        }
    }
}
