//! Text after text on one device: what the key-value cache holds already is not fed again.

use macromac_driver::Accelerator;

use crate::InferError;
use crate::generate::{Chosen, Generated, Go, Options, Stop, generate_each};
use crate::model::Model;
use crate::session::Session;
use crate::tokenizer::Tokenizer;

/// What a generation tells while it goes on.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// A piece of the prompt is about to be fed: so many of its tokens are in the cache.
    Prompt(usize),
    /// A token was chosen.
    Token(&'a Chosen<'a>),
}

/// An answer, and what was not computed for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The continuation; [`Generated::measured`] begins before the first token that was fed.
    pub generated: Generated,
    /// Tokens of the prompt that were in the cache.
    pub reused: usize,
}

/// A session that knows which tokens it holds.
pub struct Conversation<'a> {
    model: &'a Model,
    session: Session<'a>,
    /// What the session was fed.
    held: Vec<u32>,
}

impl<'a> Conversation<'a> {
    /// Begins with nothing, on a device that holds the model's passes.
    pub fn new(model: &'a Model, device: &'a mut dyn Accelerator) -> Self {
        Conversation {
            model,
            session: Session::new(model, device),
            held: Vec::new(),
        }
    }

    /// The device, for its counters.
    pub fn device(&mut self) -> &mut dyn Accelerator {
        self.session.device()
    }

    /// Forgets everything.
    pub fn forget(&mut self) {
        self.session.rewind(0);
        self.held.clear();
    }

    /// Brings the device back after a fault, with nothing held.
    ///
    /// # Errors
    /// If it does not come back.
    pub fn reset(&mut self) -> Result<(), InferError> {
        self.forget();
        Ok(self.session.device().reset()?)
    }

    /// The continuation of `prompt`, which may begin as what was fed before did: the text is the same as on a fresh session. It ends at
    /// any of `ends`; `watch` may end it before each piece of the prompt and after each token ([`Stop::Asked`]).
    ///
    /// # Errors
    /// As [`generate_each`]. Nothing is held afterwards.
    pub fn generate(
        &mut self,
        tokenizer: &Tokenizer,
        prompt: &[u32],
        options: &Options,
        ends: &[u32],
        watch: &mut dyn FnMut(Event) -> Result<Go, InferError>,
    ) -> Result<Answer, InferError> {
        self.model.check_tokens(prompt)?;
        let answer = self.go_on(tokenizer, prompt, options, ends, watch);
        match &answer {
            Ok(answer) => {
                let tokens = answer.generated.tokens.iter();
                self.held = prompt.iter().chain(tokens).copied().collect();
                self.held.truncate(self.session.position());
            }
            Err(_) => self.forget(),
        }
        answer
    }

    fn go_on(
        &mut self,
        tokenizer: &Tokenizer,
        prompt: &[u32],
        options: &Options,
        ends: &[u32],
        watch: &mut dyn FnMut(Event) -> Result<Go, InferError>,
    ) -> Result<Answer, InferError> {
        let session = &mut self.session;
        let common = prompt.iter().zip(&self.held).take_while(|(a, b)| a == b);
        // The last token is fed in any case: its logits give the first token of the text.
        let reused = common.count().min(prompt.len() - 1);
        session.rewind(reused);
        let start = session.device().counters()?;
        for piece in prompt[reused..prompt.len() - 1].chunks(session.round_tokens()) {
            if watch(Event::Prompt(session.position()))? == Go::Stop {
                return Ok(Answer {
                    generated: Generated {
                        text: String::new(),
                        tokens: Vec::new(),
                        stop: Stop::Asked,
                        measured: None,
                        lookup: None,
                    },
                    reused,
                });
            }
            session.feed_batch(piece)?;
        }
        let mut generated = generate_each(
            self.model,
            tokenizer,
            session,
            prompt,
            options,
            ends,
            &mut |chosen| watch(Event::Token(chosen)),
        )?;
        if let (Some(measured), Some(start)) = (&mut generated.measured, start) {
            measured.start = start;
        }
        Ok(Answer { generated, reused })
    }
}
