//! Perplexity of a text: exp of the mean negative log-probability of its tokens.
//!
//! The text is tokenized as a whole and cut into windows of equal length that do not overlap; an
//! incomplete last window is dropped. Each window is a sequence of its own. Its first token has
//! nothing before it and is never scored.

use macromac_driver::Accelerator;

use super::loglik::log_probability;
use super::parallel;
use crate::{InferError, Model, Session};

/// Which tokens of a window are scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scored {
    /// All but the first.
    #[default]
    AllButFirst,
    /// Those after the middle, so that each has at least half a window before it: of a window of c
    /// tokens the last c - c/2 - 1, as llama-perplexity does.
    SecondHalf,
}

/// How a text is cut and scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Tokens of a window.
    pub context: usize,
    /// Windows at most; `None`: all.
    pub chunks: Option<usize>,
    /// What is scored.
    pub scored: Scored,
}

impl Options {
    /// The first token of a window that is scored.
    fn first(&self) -> usize {
        match self.scored {
            Scored::AllButFirst => 1,
            Scored::SecondHalf => self.context / 2 + 1,
        }
    }

    /// Cuts a text into its windows, and refuses what cannot be scored.
    ///
    /// # Errors
    /// [`InferError::Input`] if a window does not fit the model's context, has nothing to score, or is
    /// longer than the text; or if a token is not in the vocabulary.
    pub fn windows<'a>(
        &self,
        model: &Model,
        tokens: &'a [u32],
    ) -> Result<Vec<&'a [u32]>, InferError> {
        let (c, limit) = (self.context, model.architecture().max_position_embeddings);
        let wrong = |reason: String| Err(InferError::Input(reason));
        if c > limit {
            return wrong(format!(
                "windows of {c} tokens: expected at most {limit}, the model's context; \
                 give a smaller -c"
            ));
        }
        if self.first() >= c {
            return wrong(format!(
                "windows of {c} tokens: expected at least one token to score, found none; \
                 give a larger -c"
            ));
        }
        let windows: Vec<&[u32]> = tokens
            .chunks_exact(c)
            .take(self.chunks.unwrap_or(usize::MAX))
            .collect();
        if windows.is_empty() {
            return wrong(format!(
                "the text is too short: expected at least one window of {c} tokens, found {} \
                 tokens; give a longer text or a smaller -c",
                tokens.len()
            ));
        }
        for w in &windows {
            model.check_tokens(w)?;
        }
        Ok(windows)
    }
}

/// The figure, and what it is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Perplexity {
    /// exp(nll).
    pub ppl: f64,
    /// Standard error of `ppl`: `ppl` times the standard error of the mean `nll` over tokens; not a number for
    /// a single token.
    pub stderr: f64,
    /// Mean negative log-probability of a token, natural logarithm.
    pub nll: f64,
    /// Tokens scored.
    pub tokens_scored: usize,
}

/// Sums from which the figure follows.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    n: usize,
    sum: f64,
    squares: f64,
}

impl Sums {
    fn add(&mut self, nll: &[f64]) {
        self.n += nll.len();
        self.sum += nll.iter().sum::<f64>();
        self.squares += nll.iter().map(|v| v * v).sum::<f64>();
    }

    fn figure(&self) -> Perplexity {
        let n = self.n as f64;
        let nll = self.sum / n;
        let ppl = nll.exp();
        // Rounding may leave a tiny negative difference where all tokens are equally likely.
        let variance = (self.squares / n - nll * nll).max(0.0);
        Perplexity {
            ppl,
            stderr: (variance / (n - 1.0)).sqrt() * ppl,
            nll,
            tokens_scored: self.n,
        }
    }
}

/// Negative log-probabilities of a window's scored tokens.
///
/// # Errors
/// What the session fails with.
pub fn score_window(
    model: &Model,
    device: &mut dyn Accelerator,
    window: &[u32],
    options: &Options,
) -> Result<Vec<f64>, InferError> {
    let mut session = Session::new(model, device);
    let first = options.first();
    // Nothing follows the last token: it is scored, but not fed.
    let (unscored, rest) = window.split_at(first - 1);
    session.feed_batch(unscored)?;
    let mut nll = Vec::with_capacity(rest.len());
    session.logits_each(&rest[..rest.len() - 1], |i, logits| {
        nll.push(-log_probability(logits, rest[i + 1]));
        Ok(())
    })?;
    Ok(nll)
}

/// Perplexity of `windows` (from [`Options::windows`]), at most `workers` of them at a time, each on a
/// device of its own. `progress` is told after each window how many are finished and what they
/// come to.
///
/// # Errors
/// What `device` or a session fails with.
pub fn perplexity<E: From<InferError> + Send>(
    model: &Model,
    windows: &[&[u32]],
    options: &Options,
    workers: usize,
    device: impl Fn() -> Result<Box<dyn Accelerator>, E> + Sync,
    mut progress: impl FnMut(usize, Perplexity),
) -> Result<Perplexity, E> {
    let (mut done, mut running) = (0, Sums::default());
    let scored = parallel::each(
        windows.len(),
        workers,
        device,
        |i, device| Ok(score_window(model, device, windows[i], options)?),
        |nll: &Vec<f64>| {
            done += 1;
            running.add(nll);
            progress(done, running.figure());
        },
    )?;
    // Summed again in the order of the text: windows end in any order.
    let mut sums = Sums::default();
    scored.iter().for_each(|nll| sums.add(nll));
    Ok(sums.figure())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figure_of_known_probabilities() {
        let mut s = Sums::default();
        s.add(&[1.0, 2.0]);
        s.add(&[3.0]);
        let f = s.figure();
        assert_eq!((f.nll, f.tokens_scored), (2.0, 3));
        assert!((f.ppl - 2f64.exp()).abs() < 1e-12);
        // Sample variance 1, so the standard error of the mean is sqrt(1/3).
        assert!((f.stderr - 2f64.exp() / 3f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn the_second_half_begins_after_the_middle() {
        let o = |context, scored| Options {
            context,
            chunks: None,
            scored,
        };
        assert_eq!(o(512, Scored::SecondHalf).first(), 257);
        assert_eq!(o(5, Scored::SecondHalf).first(), 3);
        assert_eq!(o(512, Scored::AllButFirst).first(), 1);
    }
}
