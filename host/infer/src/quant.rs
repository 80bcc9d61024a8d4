//! Round-to-nearest INT4: asymmetric, one FP16 scale and one zero for 64 weights of a row.

use half::f16;
use macromac_format::{GROUP, QuantMatrix};
use rayon::prelude::*;

/// The largest quantized value.
const MAX_Q: f32 = 15.0;

/// A weight or a scale that INT4 with FP16 scales cannot hold.
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
    /// The weights of a group span more than 15 FP16 scales can reach.
    #[error(
        "row {row}, group {group}: expected weights that span at most 15 x 65504, found a span of {span}"
    )]
    Span {
        /// Output channel.
        row: usize,
        /// Group.
        group: usize,
        /// Largest minus smallest weight.
        span: f32,
    },
}

/// Scale and zero of a group.
///
/// scale = (max - min) / 15 with 0 between min and max, so that 0 is always representable and a
/// group of one sign is not clipped; at least 2^-24, the smallest FP16, so that a group of zeros
/// needs no exception. zero = round(-min / scale) with the scale as FP16 holds it.
fn group_params(w: &[f32]) -> (f16, u8) {
    let min = w.iter().fold(0f32, |m, v| m.min(*v));
    let max = w.iter().fold(0f32, |m, v| m.max(*v));
    // Divided before subtracted, for the difference may exceed FP32.
    let scale = f16::from_f32(max / MAX_Q - min / MAX_Q).max(f16::from_bits(1));
    let zero = (-min / scale.to_f32()).round_ties_even().clamp(0.0, MAX_Q);
    (scale, zero as u8)
}

/// Quantizes one row of weights into `q`, `scales` and `zeros` (one of each a group).
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
    if let Some(column) = w.iter().position(|v| !v.is_finite()) {
        return Err(QuantError::NotFinite {
            row,
            column,
            value: w[column],
        });
    }
    for (group, (w, q)) in w.chunks(GROUP).zip(q.chunks_mut(GROUP)).enumerate() {
        let (scale, zero) = group_params(w);
        if !scale.is_finite() {
            let max = w.iter().fold(0f32, |m, v| m.max(*v));
            let span = max - w.iter().fold(0f32, |m, v| m.min(*v));
            return Err(QuantError::Span { row, group, span });
        }
        scales[group] = scale;
        zeros[group] = zero;
        let (scale, zero) = (scale.to_f32(), f32::from(zero));
        for (q, w) in q.iter_mut().zip(w) {
            *q = ((w / scale).round_ties_even() + zero).clamp(0.0, MAX_Q) as u8;
        }
    }
    Ok(())
}

/// Quantizes a matrix [N, K] whose rows `row(n, out)` delivers in FP32.
///
/// # Errors
/// [`QuantError`] of one of the rows that have one.
pub fn quantize(
    n: usize,
    k: usize,
    row: impl Fn(usize, &mut [f32]) + Sync,
) -> Result<QuantMatrix, QuantError> {
    let groups = k.div_ceil(GROUP);
    let mut m = QuantMatrix {
        n,
        k,
        q: vec![0; n * k],
        scales: vec![f16::ZERO; n * groups],
        zeros: vec![0; n * groups],
    };
    m.q.par_chunks_mut(k)
        .zip(m.scales.par_chunks_mut(groups))
        .zip(m.zeros.par_chunks_mut(groups))
        .enumerate()
        .try_for_each_init(
            || vec![0.0; k],
            |w, (n, ((q, scales), zeros))| {
                row(n, w);
                quantize_row(n, w, q, scales, zeros)
            },
        )?;
    Ok(m)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(w: &[f32]) -> QuantMatrix {
        quantize(1, w.len(), |_, out| out.copy_from_slice(w)).unwrap()
    }

    #[test]
    fn zeros_stay_zeros() {
        let m = one(&[0.0; 70]);
        assert!((0..70).all(|k| m.weight(0, k) == 0.0));
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
        let r = quantize(1, 64, |_, out| out.copy_from_slice(&w));
        assert!(matches!(
            r,
            Err(QuantError::NotFinite {
                row: 0,
                column: 9,
                ..
            })
        ));
        w[9] = 3e38;
        let r = quantize(1, 64, |_, out| out.copy_from_slice(&w));
        assert!(matches!(
            r,
            Err(QuantError::Span {
                row: 0,
                group: 0,
                ..
            })
        ));
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
    }
}
