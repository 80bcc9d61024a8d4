//! Exponential and power in FP32, and the FP64 functions that powers are made of: basic IEEE operations alone, so that every machine
//! has the same bits.

/// 1.5 x 2^23: added and subtracted, it rounds to an integer, which then lies in the low bits.
pub(crate) const ROUND: f32 = 12_582_912.0;

/// ln 2 in two parts, the first with 15 significant bits: its products with n are exact.
pub(crate) const LN2_HIGH: f32 = 0.693_145_75;
pub(crate) const LN2_LOW: f32 = 1.428_606_8e-6;

/// e^x in FP32, within 2 units in the last place; 0 below -104, infinity above 88.73.
///
/// x = n ln 2 + r with n the nearest integer to x / ln 2 and |r| <= 0.3466 (ln 2 in two parts, the
/// first with 15 significant bits, after Cody and Waite), e^r by its Taylor polynomial of degree 7 (the
/// remainder is below 2^-27 of the value), then 2^n in two factors so that neither overflows early.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    let x = x.clamp(-105.0, 90.0);
    let shifted = x.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = n.mul_add(-LN2_HIGH, x);
    let r = n.mul_add(-LN2_LOW, r);
    let mut p = 1.0 / 5040.0;
    p = f32::mul_add(p, r, 1.0 / 720.0);
    p = f32::mul_add(p, r, 1.0 / 120.0);
    p = f32::mul_add(p, r, 1.0 / 24.0);
    p = f32::mul_add(p, r, 1.0 / 6.0);
    p = f32::mul_add(p, r, 0.5);
    p = f32::mul_add(p, r, 1.0);
    p = f32::mul_add(p, r, 1.0);
    // NaN gives some integer here and stays NaN through p.
    let n = (shifted.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
    let half = (n >> 1).clamp(-100, 100);
    let rest = n.wrapping_sub(half).clamp(-100, 100);
    p * power_of_two(half) * power_of_two(rest)
}

/// 2^n for n in -126..=127.
#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits(((n + 127) as u32) << 23)
}

/// ln 2 with its last 21 bits zero, and the rest; products with |n| < 2^20 of the first are exact.
const LN2_HIGH_64: f64 = 0.693_147_180_369_123_8;
const LN2_LOW_64: f64 = 1.908_214_929_270_587_7e-10;

/// `x^exponent` for a finite x > 0 and an exponent within -4..=4, rounded once from FP64.
pub fn power(x: f32, exponent: f32) -> f32 {
    exp64(f64::from(exponent) * ln(f64::from(x))) as f32
}

/// Natural logarithm of a finite normal x > 0: x = m 2^e with m in [0.75, 1.5), and
/// ln m = 2 (t + t^3/3 + t^5/5 + ...) with t = (m - 1)/(m + 1), |t| <= 0.2.
pub(super) fn ln(x: f64) -> f64 {
    let (mut m, mut e) = (x, 0.0);
    while m >= 1.5 {
        m *= 0.5;
        e += 1.0;
    }
    while m < 0.75 {
        m *= 2.0;
        e -= 1.0;
    }
    let t = (m - 1.0) / (m + 1.0);
    let t2 = t * t;
    let mut sum = 0.0;
    for i in (0..14).rev() {
        sum = sum * t2 + 1.0 / f64::from(2 * i + 1);
    }
    e * LN2_HIGH_64 + (e * LN2_LOW_64 + 2.0 * t * sum)
}

/// e^x for -700 < x < 700 by its Taylor series to degree 14 around the nearest multiple of ln 2.
pub(super) fn exp64(x: f64) -> f64 {
    let n = (x * std::f64::consts::LOG2_E + 0.5).floor();
    let r = (x - n * LN2_HIGH_64) - n * LN2_LOW_64;
    let mut p = 1.0;
    for i in (1..=14).rev() {
        p = p * r / f64::from(i) + 1.0;
    }
    p * f64::from_bits(((n as i64 + 1023) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_within_two_units_in_the_last_place() {
        let mut worst = 0f64;
        for i in -1_000_000..1_000_000 {
            let x = i as f32 * 8.7e-5;
            let want = f64::from(x).exp();
            let ulp =
                f64::from(f32::from_bits((want as f32).to_bits() + 1)) - f64::from(want as f32);
            worst = worst.max((f64::from(exp(x)) - want).abs() / ulp);
        }
        assert!(worst < 2.0, "{worst} units");
    }

    #[test]
    fn exp_at_the_edges() {
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(-1000.0), 0.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(f32::INFINITY), f32::INFINITY);
        assert_eq!(exp(89.0), f32::INFINITY);
        assert!(exp(88.7).is_finite());
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn power_is_the_library_s() {
        for x in [1e-38f32, 1e-8, 0.3, 0.75, 1.0, 1.5, 77.0, 3e37] {
            for exponent in [-1.0f32, -0.35, 0.0, 0.05, 0.5, 1.0] {
                let want = f64::from(x).powf(f64::from(exponent));
                let have = f64::from(power(x, exponent));
                assert!((have / want - 1.0).abs() < 6e-8, "{x}^{exponent}: {have}");
            }
        }
    }

    #[test]
    fn logarithm_and_exponential_in_fp64_are_the_library_s() {
        for x in [1.0, 1.5, 1e4, 5e5, 1e6, 1.7e9] {
            assert!((ln(x) - x.ln()).abs() < 1e-14 * (1.0 + x.ln()));
            assert!((ln(1.0 / x) + x.ln()).abs() < 1e-14 * (1.0 + x.ln()));
            for i in -64..64 {
                let x = f64::from(i) / 64.0 * x.ln();
                assert!((exp64(x) / x.exp() - 1.0).abs() < 1e-14);
            }
        }
    }
}
