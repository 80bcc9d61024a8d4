//! Exponential and power in FP32, and the FP64 functions that powers are made of: basic IEEE operations alone, so that every machine
//! has the same bits.

/// 1.5 x 2^23: added and subtracted, it rounds to an integer, which then lies in the low bits.
pub(crate) const ROUND: f32 = 12_582_912.0;

/// The same and 127, an exponent's bias: what rounds then has the exponent of 2^n in its low bits.
pub(crate) const ROUND_BIASED: f32 = 12_583_039.0;

/// ln 2 in two parts, the first with 15 significant bits: its products with n are exact.
pub(crate) const LN2_HIGH: f32 = 0.693_145_75;
pub(crate) const LN2_LOW: f32 = 1.428_606_8e-6;

/// Where [`exp`] stops, on either side.
pub(crate) const EXP_LIMIT: f32 = 87.0;

/// Coefficients of r^2 to r^6 in e^r: a minimax fit (Remez) of (e^r - 1 - r) / e^r for |r| <= 0.3466, error 3.1e-9.
pub(crate) const EXP: [f32; 5] = [
    0.499_999_94,
    0.166_665_21,
    0.041_668_39,
    0.008_368_711,
    0.001_381_461,
];

/// The first guess of a reciprocal is the bits of x subtracted from this, which negates the exponent and, roughly, the fraction: 5.1%
/// off at most (counted over the fractions of an octave). Each Newton step squares the error.
pub(crate) const RECIPROCAL: u32 = 0x7EF3_11C7;

/// e^x in FP32 for -87 <= x <= 87, within 2 units in the last place; beyond, what it is at the limit (1.6e-38 and
/// 6.1e37: to softmax and sigmoid as good as 0 and infinity).
///
/// x = n ln 2 + r with n the nearest integer to x / ln 2 and |r| <= 0.3466 (ln 2 in two parts, after Cody and Waite),
/// e^r = 1 + (r + r^2 P(r)), then 2^n.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    let x = x.clamp(-EXP_LIMIT, EXP_LIMIT);
    let shifted = x.mul_add(std::f32::consts::LOG2_E, ROUND_BIASED);
    let n = shifted - ROUND_BIASED;
    let r = n.mul_add(-LN2_HIGH, x);
    let r = n.mul_add(-LN2_LOW, r);
    let r2 = r * r;
    let high = r.mul_add(EXP[3], EXP[2]);
    let low = r.mul_add(EXP[1], EXP[0]);
    let high = r2.mul_add(EXP[4], high);
    let low = r2.mul_add(high, low);
    let t = r2.mul_add(low, r);
    // NaN gives some power here and stays NaN through t.
    let power = f32::from_bits(shifted.to_bits() << 23);
    power.mul_add(t, power)
}

/// 1 / (1 + e^-x), within 4 units in the last place.
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    let d = exp(-x) + 1.0;
    let mut y = f32::from_bits(RECIPROCAL.wrapping_sub(d.to_bits()));
    for _ in 0..3 {
        y *= (-d).mul_add(y, 2.0);
    }
    y
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
        for i in -1_000_000..=1_000_000 {
            let x = i as f32 * 8.7e-5;
            let x = x.clamp(-EXP_LIMIT, EXP_LIMIT);
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
        assert!(exp(-87.0) > f32::MIN_POSITIVE && exp(-87.0) < 2e-38);
        for (x, limit) in [
            (-1000.0, -87.0),
            (f32::NEG_INFINITY, -87.0),
            (f32::INFINITY, 87.0),
        ] {
            assert_eq!(exp(x), exp(limit));
        }
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn sigmoid_is_within_four_units_in_the_last_place() {
        let mut worst = 0f64;
        for i in -900_000..900_000 {
            let x = i as f32 * 1e-4;
            if x < -EXP_LIMIT {
                assert!(sigmoid(x) < 2e-38);
                continue;
            }
            let want = 1.0 / (1.0 + (-f64::from(x)).exp());
            worst = worst.max((f64::from(sigmoid(x)) / want - 1.0).abs());
        }
        assert!(worst < 4.0 * f64::from(f32::EPSILON), "{worst}");
        assert!(sigmoid(f32::NAN).is_nan());
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
