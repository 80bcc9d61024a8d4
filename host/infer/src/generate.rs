//! A prompt and its continuation.

use macromac_driver::Counters;

use crate::InferError;
use crate::model::Model;
use crate::sampler::{Sampler, Sampling};
use crate::session::Session;
use crate::tokenizer::Tokenizer;

/// What to generate.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Tokens at most.
    pub max_tokens: usize,
    /// Go on past the end-of-text token.
    pub ignore_eos: bool,
    /// How to choose tokens.
    pub sampling: Sampling,
}

/// Why generation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// As many tokens as asked for.
    Length,
    /// The model ended its text.
    Eos,
    /// The context is full.
    Context,
}

/// What the device counted, at three moments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measured {
    /// Before the first token.
    pub start: Counters,
    /// Before the last token of the prompt, whose logits give the first token of the text.
    pub decode_start: Counters,
    /// After the last token.
    pub end: Counters,
    /// Tokens that were sampled between the last two, the one that ended the text included.
    pub decoded: usize,
}

/// A continuation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generated {
    /// The text; what was given to `on_text`, joined.
    pub text: String,
    /// Its tokens, without the one that ended it.
    pub tokens: Vec<u32>,
    /// Why it ended.
    pub stop: Stop,
    /// What the device counted; `None` where nothing is counted.
    pub measured: Option<Measured>,
}

/// Feeds `prompt` to a fresh session and generates its continuation; text goes to `on_text` as
/// soon as it is certain, whole characters at a time; an error that it returns ends the generation.
///
/// # Errors
/// [`InferError`] if the prompt is empty, does not fit the context or has unknown ids, if an
/// option is out of range, if the device fails, or what `on_text` returned.
pub fn generate(
    model: &Model,
    tokenizer: &Tokenizer,
    session: &mut Session,
    prompt: &[u32],
    options: &Options,
    mut on_text: impl FnMut(&str) -> Result<(), InferError>,
) -> Result<Generated, InferError> {
    model.check_tokens(prompt)?;
    let context = model.architecture().max_position_embeddings;
    let mut sampler = Sampler::new(options.sampling, model.architecture().vocab_size)?;
    let mut stream = tokenizer.stream();
    let (mut text, mut tokens, mut stop) = (String::new(), Vec::new(), Stop::Length);
    prompt.iter().for_each(|t| sampler.note(*t));
    let (last, first) = prompt
        .split_last()
        .expect("check_tokens refuses an empty prompt");
    let start = session.device().counters()?;
    for token in first {
        session.feed(*token)?;
    }
    let decode_start = session.device().counters()?;
    let mut decoded = 0;
    let mut token = *last;
    while tokens.len() < options.max_tokens {
        if session.position() == context {
            stop = Stop::Context;
            break;
        }
        let logits = session.logits_after(token)?;
        token = if sampler.is_greedy() {
            session.peak()
        } else {
            sampler.sample(logits)
        };
        decoded += 1;
        if model.eos().contains(&token) && !options.ignore_eos {
            stop = Stop::Eos;
            break;
        }
        sampler.note(token);
        tokens.push(token);
        let new = stream.push(token)?;
        on_text(&new)?;
        text += &new;
    }
    let rest = stream.finish()?;
    on_text(&rest)?;
    text += &rest;
    let end = session.device().counters()?;
    let measured = match (start, decode_start, end) {
        (Some(start), Some(decode_start), Some(end)) => Some(Measured {
            start,
            decode_start,
            end,
            decoded,
        }),
        _ => None,
    };
    Ok(Generated {
        text,
        tokens,
        stop,
        measured,
    })
}
