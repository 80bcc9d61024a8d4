//! The exponential in FP32.

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
}
