//! Round to nearest, asymmetric: one FP16 scale and one zero for a group of weights of a row, in INT4 or INT8.
//!
//! Groups have 64 or 128 weights. Either way there is a scale and a zero for every 64, as blocks hold them: a group of 128
//! is two with equal ones.

use half::f16;
use macromac_format::int8::MAX_SCALE;
use macromac_format::{GROUP, Int8Matrix, QuantMatrix};
use rayon::prelude::*;

/// A weight or a scale that the number format cannot hold.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum QuantError {
    /// A weight is NaN or infinite.
    #[error("weight [{row}, {column}]: expected a finite number, found {value}")]
    NotFinite {
        /// Output channel.
        row: usize,
        /// Input channel.
        column: usize,
        /// The weight.
        value: f32,
    },
    /// The weights of a group span more than their scale can reach.
    #[error(
        "row {row}, group {group}: expected weights that span at most {steps} x {largest}, found a span of {span}"
    )]
    Span {
        /// Output channel.
        row: usize,
        /// Group.
        group: usize,
        /// Largest minus smallest weight.
        span: f32,
        /// Steps between the smallest and the largest quantized value.
        steps: f32,
        /// Largest scale.
        largest: f16,
    },
}

/// What a weight may be quantized to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Width {
    Int4,
    Int8,
}

impl Width {
    /// The largest quantized value.
    fn max_q(self) -> f32 {
        match self {
            Width::Int4 => 15.0,
            Width::Int8 => 255.0,
        }
    }

    /// The largest scale. That of INT8 is written 16-fold beside itself.
    fn max_scale(self) -> f16 {
        match self {
            Width::Int4 => f16::MAX,
            Width::Int8 => MAX_SCALE,
        }
    }

    /// The FP16 scale for an exact one: for INT4 the nearest; for INT8 the next that is not smaller. One that is rounded down
    /// clips the ends of the range: by 15 x 2^-11 of a step at most for an INT4 scale that is normal, but by an eighth of a
    /// step for an INT8 one, and by many steps where it is subnormal and has few bits.
    fn scale(self, exact: f32) -> f16 {
        let nearest = f16::from_f32(exact).max(f16::from_bits(1));
        match self {
            Width::Int8 if nearest.to_f32() < exact => f16::from_bits(nearest.to_bits() + 1),
            _ => nearest,
        }
    }

    /// Scale and zero of a group.
    ///
    /// scale = (max - min) / max_q with 0 between min and max, so that 0 is always representable and a group of one sign is
    /// not clipped; at least 2^-24, the smallest FP16, so that a group of zeros needs no exception. zero = round(-min /
    /// scale) with the scale as FP16 holds it.
    fn group_params(self, w: &[f32]) -> (f16, u8) {
        let min = w.iter().fold(0f32, |m, v| m.min(*v));
        let max = w.iter().fold(0f32, |m, v| m.max(*v));
        // Divided before subtracted, for the difference may exceed FP32.
        let scale = self.scale(max / self.max_q() - min / self.max_q());
        let zero = (-min / scale.to_f32()).round_ties_even();
        (scale, zero.clamp(0.0, self.max_q()) as u8)
    }
}

/// Quantizes one row of weights to INT4 in groups of 64 into `q`, `scales` and `zeros` (one of each a group).
///
/// # Errors
/// [`QuantError`]; `row` is only for its message.
pub fn quantize_row(
    row: usize,
    w: &[f32],
    q: &mut [u8],
    scales: &mut [f16],
    zeros: &mut [u8],
) -> Result<(), QuantError> {
    row_in(Width::Int4, GROUP, row, w, (q, scales, zeros))
}

/// The same in groups of `group_size`, a multiple of 64 that divides the row or is 64; one scale and one zero for every 64
/// weights.
///
/// # Errors
/// As [`quantize_row`].
pub fn quantize_row_in(
    group_size: usize,
    row: usize,
    w: &[f32],
    q: &mut [u8],
    scales: &mut [f16],
    zeros: &mut [u8],
) -> Result<(), QuantError> {
    row_in(Width::Int4, group_size, row, w, (q, scales, zeros))
}

fn row_in(
    width: Width,
    group_size: usize,
    row: usize,
    w: &[f32],
    (q, scales, zeros): (&mut [u8], &mut [f16], &mut [u8]),
) -> Result<(), QuantError> {
    if let Some(column) = w.iter().position(|v| !v.is_finite()) {
        return Err(QuantError::NotFinite {
            row,
            column,
            value: w[column],
        });
    }
    let blocks = group_size / GROUP;
    let params = scales.chunks_mut(blocks).zip(zeros.chunks_mut(blocks));
    let weights = w.chunks(group_size).zip(q.chunks_mut(group_size));
    for (group, ((w, q), (scales, zeros))) in weights.zip(params).enumerate() {
        let (scale, zero) = width.group_params(w);
        if scale > width.max_scale() {
            let max = w.iter().fold(0f32, |m, v| m.max(*v));
            return Err(QuantError::Span {
                row,
                group,
                span: max - w.iter().fold(0f32, |m, v| m.min(*v)),
                steps: width.max_q(),
                largest: width.max_scale(),
            });
        }
        scales.fill(scale);
        zeros.fill(zero);
        let (scale, zero) = (scale.to_f32(), f32::from(zero));
        for (q, w) in q.iter_mut().zip(w) {
            *q = ((w / scale).round_ties_even() + zero).clamp(0.0, width.max_q()) as u8;
        }
    }
    Ok(())
}

/// Quantizes a matrix [N, K] to INT4 in groups of `group_size`; `row(n, out)` delivers its rows in FP32.
///
/// # Errors
/// [`QuantError`] of one of the rows that have one.
pub fn quantize(
    n: usize,
    k: usize,
    group_size: usize,
    row: impl Fn(usize, &mut [f32]) + Sync,
) -> Result<QuantMatrix, QuantError> {
    let (q, scales, zeros) = matrix(Width::Int4, [n, k], group_size, row)?;
    Ok(QuantMatrix {
        n,
        k,
        q,
        scales,
        zeros,
    })
}

/// Quantizes a matrix [N, K] to INT8, as [`quantize`] does to INT4.
///
/// # Errors
/// [`QuantError`] of one of the rows that have one.
pub fn quantize_int8(
    n: usize,
    k: usize,
    group_size: usize,
    row: impl Fn(usize, &mut [f32]) + Sync,
) -> Result<Int8Matrix, QuantError> {
    let (q, scales, zeros) = matrix(Width::Int8, [n, k], group_size, row)?;
    Ok(Int8Matrix {
        n,
        k,
        q,
        scales,
        zeros,
    })
}

/// Weights, scales and zeros of a matrix.
type Parts = (Vec<u8>, Vec<f16>, Vec<u8>);

fn matrix(
    width: Width,
    [n, k]: [usize; 2],
    group_size: usize,
    row: impl Fn(usize, &mut [f32]) + Sync,
) -> Result<Parts, QuantError> {
    let groups = k.div_ceil(GROUP);
    let mut q = vec![0; n * k];
    let (mut scales, mut zeros) = (vec![f16::ZERO; n * groups], vec![0; n * groups]);
    q.par_chunks_mut(k)
        .zip(scales.par_chunks_mut(groups))
        .zip(zeros.par_chunks_mut(groups))
        .enumerate()
        .try_for_each_init(
            || vec![0.0; k],
            |w, (n, ((q, scales), zeros))| {
                row(n, w);
                row_in(width, group_size, n, w, (q, scales, zeros))
            },
        )?;
    Ok((q, scales, zeros))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(w: &[f32]) -> QuantMatrix {
        quantize(1, w.len(), GROUP, |_, out| out.copy_from_slice(w)).unwrap()
    }

    fn one_int8(group_size: usize, w: &[f32]) -> Result<Int8Matrix, QuantError> {
        quantize_int8(1, w.len(), group_size, |_, out| out.copy_from_slice(w))
    }

    /// The value of a weight of the first row.
    fn int8(m: &Int8Matrix, column: usize) -> f32 {
        let g = column / GROUP;
        let q = i32::from(m.q[column]) - i32::from(m.zeros[g]);
        q as f32 * m.scales[g].to_f32()
    }

    #[test]
    fn zeros_stay_zeros() {
        let m = one(&[0.0; 70]);
        assert!((0..70).all(|k| m.weight(0, k) == 0.0));
        let m = one_int8(GROUP, &[0.0; 70]).unwrap();
        assert!((0..70).all(|k| int8(&m, k) == 0.0));
    }

    #[test]
    fn a_group_of_one_sign_is_not_clipped() {
        let w: Vec<f32> = (0..64).map(|i| 5.0 + i as f32 / 64.0).collect();
        let m = one(&w);
        assert_eq!(m.zeros[0], 0);
        let step = m.scales[0].to_f32();
        assert!((0..64).all(|k| (m.weight(0, k) - w[k]).abs() <= 0.51 * step));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let mut w = vec![1.0f32; 64];
        w[9] = f32::NAN;
        let r = quantize(1, 64, GROUP, |_, out| out.copy_from_slice(&w));
        assert!(matches!(
            r,
            Err(QuantError::NotFinite {
                row: 0,
                column: 9,
                ..
            })
        ));
        w[9] = 3e38;
        let r = quantize(1, 64, GROUP, |_, out| out.copy_from_slice(&w));
        assert!(matches!(
            r,
            Err(QuantError::Span {
                row: 0,
                group: 0,
                ..
            })
        ));
    }

    /// 16 times an INT8 scale must be finite in FP16.
    #[test]
    fn an_int8_span_ends_at_255_scales_of_4094() {
        let mut w = vec![0f32; 128];
        w[70] = 255.0 * 4094.0;
        let m = one_int8(GROUP, &w).unwrap();
        assert_eq!((m.scales[1], m.q[70]), (MAX_SCALE, 255));
        m.split();
        w[71] = -1.0;
        let e = one_int8(GROUP, &w).unwrap_err().to_string();
        for word in ["row 0, group 1", "255 x 4094", "1043971"] {
            assert!(e.contains(word), "{word}: {e}");
        }
        // INT4 reaches as far with 15 of its scales.
        w[70] = 15.0 * 65504.0;
        assert_eq!(one(&w).scales[1], f16::MAX);
    }

    /// One half of a group of 128 has the larger weights: both have its scale.
    #[test]
    fn a_group_of_128_is_two_blocks_with_equal_scales_and_zeros() {
        let w: Vec<f32> = (0..256)
            .map(|i| (i as f32 * 0.7).sin() * (1 + i / 64) as f32)
            .collect();
        let m = quantize(1, 256, 2 * GROUP, |_, out| out.copy_from_slice(&w)).unwrap();
        let wide = one_int8(2 * GROUP, &w).unwrap();
        for (scales, zeros) in [(&m.scales, &m.zeros), (&wide.scales, &wide.zeros)] {
            assert_eq!((scales[0], zeros[0]), (scales[1], zeros[1]));
            assert_eq!((scales[2], zeros[2]), (scales[3], zeros[3]));
            assert_ne!(scales[0], scales[2]);
        }
        let narrow = one(&w);
        assert_eq!(m.scales[0], narrow.scales[0].max(narrow.scales[1]));
        for (k, w) in w.iter().enumerate() {
            let step = m.scales[k / GROUP].to_f32();
            assert!((m.weight(0, k) - w).abs() <= 1.02 * step);
        }
    }

    proptest! {
        /// Half a step is what rounding the weight costs; the zero's rounding and the rounding of
        /// the scale to FP16 can shift an end of the range by another half and a bit.
        #[test]
        fn error_is_at_most_a_step(
            w in prop::collection::vec(-3f32..3.0, 1..200), magnitude in -6i32..6
        ) {
            let w: Vec<f32> = w.iter().map(|v| v * 4f32.powi(magnitude)).collect();
            let m = one(&w);
            for (k, w) in w.iter().enumerate() {
                let step = m.scales[k / GROUP].to_f32();
                prop_assert!((m.weight(0, k) - w).abs() <= 1.02 * step);
            }
        }

        /// An INT8 scale is never too small, not even a subnormal one of a few bits: half a step is all that is lost. 4^-12
        /// brings scales down to 2^-24.
        #[test]
        fn an_int8_error_is_at_most_half_a_step(
            w in prop::collection::vec(-3f32..3.0, 1..200), magnitude in -12i32..6
        ) {
            let w: Vec<f32> = w.iter().map(|v| v * 4f32.powi(magnitude)).collect();
            let m = one_int8(GROUP, &w).unwrap();
            for (k, w) in w.iter().enumerate() {
                let step = m.scales[k / GROUP].to_f32();
                prop_assert!((int8(&m, k) - w).abs() <= 0.501 * step, "{} {}", int8(&m, k), w);
            }
        }
    }
}
