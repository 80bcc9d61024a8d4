//! Log-probabilities of tokens.

use crate::{InferError, Session};

/// Natural logarithm of the probability that softmax gives `token`, in FP64.
///
/// # Panics
/// If there is no logit for `token`.
pub fn log_probability(logits: &[f32], token: u32) -> f64 {
    // Subtracting the maximum keeps every exponential at or below 1.
    let max = logits.iter().fold(f32::NEG_INFINITY, |m, v| m.max(*v));
    let max = f64::from(max);
    let sum: f64 = logits.iter().map(|v| (f64::from(*v) - max).exp()).sum();
    f64::from(logits[token as usize]) - max - sum.ln()
}

/// Log-probability of each of `continuations` after `prompt`: the sum over its tokens, each given
/// all tokens before it; not divided by the length.
///
/// The session must be fresh; the prompt goes through it once, whatever the number of continuations.
///
/// # Errors
/// [`InferError::Input`] if the prompt or a continuation is empty or does not fit the context; what
/// the session fails with.
pub fn continuations(
    session: &mut Session,
    prompt: &[u32],
    continuations: &[Vec<u32>],
) -> Result<Vec<f64>, InferError> {
    let (Some((last, first)), false) = (
        prompt.split_last(),
        continuations.iter().any(|c| c.is_empty()),
    ) else {
        return Err(InferError::Input(
            "expected a prompt and continuations of at least one token each, found an empty one"
                .into(),
        ));
    };
    session.feed_batch(first)?;
    let logits = session.logits_after(*last)?;
    let mut sums: Vec<f64> = continuations
        .iter()
        .map(|c| log_probability(logits, c[0]))
        .collect();
    for (c, sum) in continuations.iter().zip(&mut sums) {
        session.rewind(prompt.len());
        session.logits_each(&c[..c.len() - 1], |i, logits| {
            *sum += log_probability(logits, c[i + 1]);
            Ok(())
        })?;
    }
    Ok(sums)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_sum_to_one_and_large_logits_do_not_overflow() {
        let logits = [1000.0, 999.0, -1000.0, 998.5];
        let sum: f64 = (0..4).map(|t| log_probability(&logits, t).exp()).sum();
        assert!((sum - 1.0).abs() < 1e-15, "{sum}");
        // ln(1 / (1 + e^-1 + e^-2000 + e^-1.5))
        let want = -(1.0 + (-1f64).exp() + (-1.5f64).exp()).ln();
        assert!((log_probability(&logits, 0) - want).abs() < 1e-15);
        assert_eq!(log_probability(&[3.0], 0), 0.0);
    }
}
