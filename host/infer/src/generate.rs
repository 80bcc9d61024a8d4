//! A prompt and its continuation.

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

/// A continuation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generated {
    /// The text; what was given to `on_text`, joined.
    pub text: String,
    /// Its tokens, without the one that ended it.
    pub tokens: Vec<u32>,
    /// Why it ended.
    pub stop: Stop,
}

/// Feeds `prompt` to a fresh session and generates its continuation; text goes to `on_text` as
/// soon as it is certain, whole characters at a time.
///
/// # Errors
/// [`InferError`] if the prompt is empty, does not fit the context or has unknown ids, if an
/// option is out of range, or if the device fails.
pub fn generate(
    model: &Model,
    tokenizer: &Tokenizer,
    session: &mut Session,
    prompt: &[u32],
    options: &Options,
    mut on_text: impl FnMut(&str),
) -> Result<Generated, InferError> {
    model.check_tokens(prompt)?;
    let context = model.architecture().max_position_embeddings;
    let mut sampler = Sampler::new(options.sampling, model.architecture().vocab_size)?;
    let mut stream = tokenizer.stream();
    let mut out = Generated {
        text: String::new(),
        tokens: Vec::new(),
        stop: Stop::Length,
    };
    prompt.iter().for_each(|t| sampler.note(*t));
    let (last, first) = prompt
        .split_last()
        .expect("check_tokens refuses an empty prompt");
    if options.max_tokens == 0 {
        return Ok(out);
    }
    for token in first {
        session.feed(*token)?;
    }
    let mut token = *last;
    loop {
        token = sampler.sample(session.logits_after(token)?);
        if model.eos().contains(&token) && !options.ignore_eos {
            out.stop = Stop::Eos;
            break;
        }
        sampler.note(token);
        out.tokens.push(token);
        let text = stream.push(token)?;
        on_text(&text);
        out.text += &text;
        if out.tokens.len() == options.max_tokens {
            break;
        }
        if session.position() == context {
            out.stop = Stop::Context;
            break;
        }
    }
    let rest = stream.finish()?;
    on_text(&rest);
    out.text += &rest;
    Ok(out)
}
