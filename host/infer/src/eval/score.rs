//! Equation 1 of the paper: one number out of accuracy, memory and speed.
//!
//! ```text
//! score = 0.4 A / max(A) + 0.2 M / max(M) + 0.2 P / max(P) + 0.2 D / max(D)
//! ```
//!
//! A, M, P and D are the ratios of accuracy, memory, prefill throughput and decode throughput; more is
//! better in each. The maxima are over the entries that are compared, or given, where the best entry is
//! not in the list.

use crate::InferError;

/// The ratios, in the order of the equation.
pub const RATIOS: [&str; 4] = ["accuracy", "memory", "prefill", "decode"];
/// Their weights; the sum is 1.
pub const WEIGHTS: [f64; 4] = [0.4, 0.2, 0.2, 0.2];

/// An entry's score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// What each ratio adds.
    pub terms: [f64; 4],
    /// Their sum.
    pub score: f64,
}

/// The maxima over the entries, each at least what `given` names.
///
/// # Errors
/// [`InferError::Input`] if a ratio or a maximum is negative or no finite number, or a given maximum is
/// below an entry.
pub fn maxima(entries: &[[f64; 4]], given: [Option<f64>; 4]) -> Result<[f64; 4], InferError> {
    let mut out = [0.0; 4];
    for (r, name) in RATIOS.iter().enumerate() {
        let usable = |what: &str, v: f64| match v.is_finite() && v >= 0.0 {
            true => Ok(v),
            false => Err(InferError::Input(format!(
                "{what}: expected a finite number of at least 0, found {v}"
            ))),
        };
        for (i, entry) in entries.iter().enumerate() {
            let v = usable(&format!("{name} ratio of entry {}", i + 1), entry[r])?;
            out[r] = f64::max(out[r], v);
        }
        if let Some(max) = given[r] {
            let max = usable(&format!("largest {name} ratio"), max)?;
            if max < out[r] {
                return Err(InferError::Input(format!(
                    "largest {name} ratio: expected at least {}, which an entry has, found {max}",
                    out[r]
                )));
            }
            out[r] = max;
        }
    }
    Ok(out)
}

/// The score of an entry. Where no entry has anything of a ratio (its maximum is 0), it adds 0.
pub fn score(entry: [f64; 4], maxima: [f64; 4]) -> Score {
    let terms = std::array::from_fn(|r| match maxima[r] > 0.0 {
        true => WEIGHTS[r] * (entry[r] / maxima[r]),
        false => 0.0,
    });
    Score {
        terms,
        score: terms.iter().sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_in_everything_scores_one_and_maxima_come_from_all_entries() {
        let entries = [[64.79, 1.0, 1.0, 2.8], [61.97, 2.12, 1.0, 5.1]];
        let m = maxima(&entries, [None; 4]).unwrap();
        assert_eq!(m, [64.79, 2.12, 1.0, 5.1]);
        let s = score(entries[1], m);
        assert!((s.score - (0.4 * 61.97 / 64.79 + 0.6)).abs() < 1e-12);
        assert!((score(m, m).score - 1.0).abs() < 1e-12);
        assert_eq!(score([1.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]).score, 0.4);
    }

    #[test]
    fn what_is_no_ratio_is_named() {
        let e = maxima(&[[1.0; 4], [1.0, -2.0, 1.0, 1.0]], [None; 4]).unwrap_err();
        assert!(e.to_string().contains("memory ratio of entry 2"), "{e}");
        let e = maxima(&[[f64::NAN; 4]], [None; 4]).unwrap_err();
        assert!(e.to_string().contains("accuracy"), "{e}");
        let e = maxima(&[[2.0; 4]], [None, None, None, Some(1.0)]).unwrap_err();
        assert!(e.to_string().contains("largest decode"), "{e}");
    }
}
