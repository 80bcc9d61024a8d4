//! How probable a token was, and which were most probable.

use macromac_infer::{InferError, Tokenizer};

/// A token and the logarithm of its probability.
#[derive(Debug, Clone, PartialEq)]
pub struct Probable {
    /// Its text; U+FFFD where it is not whole characters.
    pub token: String,
    /// Natural logarithm.
    pub logprob: f64,
}

/// A token of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The token that was chosen.
    pub chosen: Probable,
    /// The most probable ones, falling.
    pub top: Vec<Probable>,
    /// Characters of the answer before it.
    pub offset: usize,
}

impl Entry {
    /// Of `token` among `logits`, with the `top` most probable ones: the model's own probabilities, before temperature and penalties.
    ///
    /// # Errors
    /// If the tokenizer refuses an id.
    pub fn new(
        tokenizer: &Tokenizer,
        logits: &[f32],
        token: u32,
        top: usize,
        offset: usize,
    ) -> Result<Self, InferError> {
        let values = logprobs(logits, token, top);
        let mut all = values.into_iter().map(|(id, logprob)| {
            Ok(Probable {
                token: tokenizer.decode(&[id])?,
                logprob,
            })
        });
        let chosen = all.next().expect("the chosen one is the first")?;
        Ok(Entry {
            chosen,
            top: all.collect::<Result<_, InferError>>()?,
            offset,
        })
    }
}

/// `token`, then the `top` most probable ones, ties to the lower id; each with the logarithm of its probability.
fn logprobs(logits: &[f32], token: u32, top: usize) -> Vec<(u32, f64)> {
    let max = f64::from(logits.iter().copied().fold(f32::MIN, f32::max));
    let sum: f64 = logits.iter().map(|l| (f64::from(*l) - max).exp()).sum();
    let logprob = |id: &u32| f64::from(logits[*id as usize]) - max - sum.ln();
    let mut order: Vec<u32> = (0..logits.len() as u32).collect();
    let falling = |a: &u32, b: &u32| {
        logits[*b as usize]
            .total_cmp(&logits[*a as usize])
            .then(a.cmp(b))
    };
    let top = top.min(order.len());
    if top > 0 && top < order.len() {
        order.select_nth_unstable_by(top - 1, falling);
    }
    order.truncate(top);
    order.sort_unstable_by(falling);
    std::iter::once(token)
        .chain(order)
        .map(|id| (id, logprob(&id)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_those_of_the_softmax() {
        // Weights 1, 2, 4, 1: of 8.
        let logits = [0.0, 2f32.ln(), 4f32.ln(), 0.0];
        let found = logprobs(&logits, 3, 3);
        let ids: Vec<u32> = found.iter().map(|f| f.0).collect();
        assert_eq!(ids, [3, 2, 1, 0]);
        for ((_, found), share) in found.iter().zip([1.0, 4.0, 2.0, 1.0f64]) {
            assert!(
                (found - (share / 8.0).ln()).abs() < 1e-6,
                "{found}, {share} eighths"
            );
        }
        assert_eq!(logprobs(&logits, 1, 0).len(), 1);
        assert_eq!(logprobs(&logits, 1, 99).len(), 5);
        let extreme = logprobs(&[-3e38, 3e38], 0, 2);
        assert!(extreme.iter().all(|(_, l)| l.is_finite()), "{extreme:?}");
    }
}
