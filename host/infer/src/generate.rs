//! A prompt and its continuation.

use macromac_driver::Counters;

use crate::InferError;
use crate::lookup::{self, Lookup};
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
    /// Tokens that [`crate::lookup`] may propose for a pass, fewer where the device shares a pass among fewer vectors; 0: off.
    pub lookup: usize,
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
    /// Whoever was told of the tokens had enough.
    Asked,
}

/// A token that was chosen and does not end the text.
#[derive(Debug, Clone, Copy)]
pub struct Chosen<'a> {
    /// Its id.
    pub token: u32,
    /// The text that is certain now and was not before: whole characters, maybe none.
    pub text: &'a str,
    /// Logits of the whole vocabulary that it was chosen from, before any penalty.
    pub logits: &'a [f32],
}

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Go {
    /// With the next token.
    On,
    /// No further.
    Stop,
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
    /// What the proposals came to; `None` without [`Options::lookup`].
    pub lookup: Option<Lookup>,
}

/// Checks what can be wrong with options on a device that shares a pass among `batch` vectors.
///
/// # Errors
/// [`InferError::Input`] if an option is out of range, or lookup is asked for where it cannot work.
pub fn check_options(options: &Options, vocab: usize, batch: usize) -> Result<(), InferError> {
    Sampler::new(options.sampling, vocab)?;
    if options.lookup > 0 && options.sampling.temperature != 0.0 {
        return Err(InferError::Input(format!(
            "--lookup verifies the most probable tokens: expected --temp 0, found {}; leave one of the two away",
            options.sampling.temperature
        )));
    }
    if options.lookup > 0 && batch < 2 {
        return Err(InferError::Input(
            "--lookup needs a pass that several vectors share: this device has one vector a pass; use --profile kv260"
                .into(),
        ));
    }
    Ok(())
}

/// Feeds `prompt` to a session and generates its continuation; text goes to `on_text` as
/// soon as it is certain, whole characters at a time; an error that it returns ends the generation.
///
/// # Errors
/// As [`generate_each`], or what `on_text` returned.
pub fn generate(
    model: &Model,
    tokenizer: &Tokenizer,
    session: &mut Session,
    prompt: &[u32],
    options: &Options,
    mut on_text: impl FnMut(&str) -> Result<(), InferError>,
) -> Result<Generated, InferError> {
    let ends = if options.ignore_eos { &[] } else { model.eos() };
    let mut told = 0;
    let g = generate_each(
        model,
        tokenizer,
        session,
        prompt,
        options,
        ends,
        &mut |chosen| {
            told += chosen.text.len();
            on_text(chosen.text)?;
            Ok(Go::On)
        },
    )?;
    on_text(&g.text[told..])?;
    Ok(g)
}

/// As [`generate`], ending at any of `ends` whatever [`Options::ignore_eos`] says; `each` is told of every token that stays, and may
/// end the text behind it. What the end of the text makes certain (half a character) is in the result alone.
///
/// The session is fresh, or what it was fed is the beginning of `prompt`: that is not fed again.
///
/// # Errors
/// [`InferError`] if the prompt is empty, does not fit the context or has unknown ids, if an
/// option is out of range ([`check_options`]), if the device fails, or what `each` returned.
///
/// # Panics
/// If the session was fed the whole prompt or more: its last token gives the first token of the text.
pub fn generate_each(
    model: &Model,
    tokenizer: &Tokenizer,
    session: &mut Session,
    prompt: &[u32],
    options: &Options,
    ends: &[u32],
    each: &mut dyn FnMut(&Chosen) -> Result<Go, InferError>,
) -> Result<Generated, InferError> {
    model.check_tokens(prompt)?;
    let context = model.architecture().max_position_embeddings;
    let vocab = model.architecture().vocab_size;
    let batch = session.device().batch();
    check_options(options, vocab, batch)?;
    let mut sampler = Sampler::new(options.sampling, vocab)?;
    let mut stream = tokenizer.stream();
    let mut text = String::new();
    let mut stop = None;
    let mut lookup = Lookup::default();
    // Tokens of a draft at most: what is left of a pass beside the token that is certain.
    let longest = options.lookup.min(batch - 1);
    session.expect_vectors(longest + 1);
    prompt.iter().for_each(|t| sampler.note(*t));
    let first = prompt.len() - 1;
    let start = session.device().counters()?;
    session.feed_batch(&prompt[session.position()..first])?;
    let decode_start = session.device().counters()?;
    // Prompt and answer; the last of them is not yet fed.
    let mut history = prompt.to_vec();
    while stop.is_none() {
        let left = options.max_tokens - (history.len() - prompt.len());
        let position = session.position();
        if left == 0 || position == context {
            stop = Some(if left == 0 {
                Stop::Length
            } else {
                Stop::Context
            });
            break;
        }
        let room = longest.min(left - 1).min(context - position - 1);
        let mut fed = history[position..].to_vec();
        fed.extend(lookup::draft(&history, room));
        lookup.passes += 1;
        lookup.drafted += fed.len() - 1;
        let mut chosen = Vec::new();
        let (fed, mut valid) = (&fed[..], true);
        session.peaks_each(fed, |i, logits, peak| {
            // Logits behind a token that the model did not choose mean nothing.
            if !valid {
                return Ok(());
            }
            let token = sampler.sample_peak(logits, peak);
            chosen.push(token);
            if ends.contains(&token) {
                stop = Some(Stop::Eos);
                valid = false;
                return Ok(());
            }
            sampler.note(token);
            let new = stream.push(token)?;
            text += &new;
            valid = fed.get(i + 1) == Some(&token);
            let chosen = Chosen {
                token,
                text: &new,
                logits,
            };
            if each(&chosen)? == Go::Stop {
                stop = Some(Stop::Asked);
                valid = false;
            }
            Ok(())
        })?;
        lookup.chosen += chosen.len();
        lookup.accepted += chosen.iter().zip(&fed[1..]).filter(|(a, b)| a == b).count();
        // What was fed beyond the last token that stays is forgotten.
        session.rewind(position + chosen.len());
        if stop == Some(Stop::Eos) {
            chosen.pop();
        }
        history.extend(chosen);
    }
    text += &stream.finish()?;
    let end = session.device().counters()?;
    let measured = match (start, decode_start, end) {
        (Some(start), Some(decode_start), Some(end)) => Some(Measured {
            start,
            decode_start,
            end,
            decoded: lookup.chosen,
        }),
        _ => None,
    };
    Ok(Generated {
        text,
        tokens: history.split_off(prompt.len()),
        stop: stop.unwrap_or(Stop::Length),
        measured,
        lookup: (options.lookup > 0).then_some(lookup),
    })
}
