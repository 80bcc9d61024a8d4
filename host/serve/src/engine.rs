//! The thread that owns the device: one request after the other.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use macromac_infer::conversation::Answer;
use macromac_infer::{
    Chosen, Conversation, Event, Go, InferError, Options, Stop, Stops, check_options,
};
use tokio::sync::mpsc::UnboundedSender;

use crate::error::ApiError;
use crate::logprobs::Entry;
use crate::metrics::{Ended, Took};
use crate::queue::Waiting;
use crate::{Build, Shared};

/// A request that is ready to be worked on.
#[derive(Debug)]
pub struct Job {
    /// For the log.
    pub path: &'static str,
    pub prompt: Vec<u32>,
    pub options: Options,
    /// Tokens that end the answer.
    pub ends: Vec<u32>,
    /// Texts that end it.
    pub stops: Vec<String>,
    /// Whether the cache may be used.
    pub reuse: bool,
    /// How many most probable tokens to tell with each; `None`: tell no probabilities.
    pub logprobs: Option<usize>,
    /// Where the answer goes. It is closed when nobody waits for it.
    pub pieces: UnboundedSender<Piece>,
}

impl Waiting for Job {
    fn is_gone(&self) -> bool {
        self.pieces.is_closed()
    }
}

/// A piece of an answer, in order; the last one is `Done` or `Failed`.
#[derive(Debug)]
pub enum Piece {
    /// Text that is certain, and probabilities of tokens that begin in it.
    Text(String, Vec<Entry>),
    Done(Box<Done>),
    Failed(ApiError),
}

/// The end of an answer.
#[derive(Debug, Clone, Copy)]
pub struct Done {
    /// Ended by the model or a stop string, and not by a limit.
    pub complete: bool,
    pub took: Took,
}

/// Builds the device and works until the queue is closed.
///
/// # Errors
/// If the device cannot be built, or does not come back after a fault.
pub fn run(shared: &Arc<Shared>, build: Build) -> Result<(), String> {
    let mut device = build()?;
    let lookup = Options {
        lookup: shared.config.lookup,
        ..Options::default()
    };
    let vocab = shared.served.model.architecture().vocab_size;
    check_options(&lookup, vocab, device.batch()).map_err(|e| e.to_string())?;
    let mut conversation = Conversation::new(&shared.served.model, device.as_mut());
    shared.ready.store(true, Ordering::Release);
    while let Some(job) = shared.queue.pop() {
        shared.metrics.begin();
        let mut work = Work::new(shared, &job);
        let answer = work.answer(&mut conversation);
        let broken = matches!(answer, Err(InferError::Driver(_)));
        let (ended, last) = work.end(answer);
        // Counted before the client knows: who has its answer finds it in the metrics.
        let clock_hz = shared.config.about.clock_hz;
        shared.metrics.end(ended, &work.took, clock_hz);
        shared.log(&work.line(ended));
        // A client that has gone needs no last piece.
        let _ = job.pieces.send(last);
        if broken {
            conversation
                .reset()
                .map_err(|e| format!("the device did not come back after a fault: {e}"))?;
        }
    }
    Ok(())
}

/// A job in progress.
struct Work<'a> {
    shared: &'a Shared,
    job: &'a Job,
    begun: Instant,
    /// When the first token was there.
    first: Option<Instant>,
    /// Tokens that were in the cache before the first piece of the prompt was fed.
    reused: Option<usize>,
    stops: Stops,
    /// Bytes and characters that were chosen, and bytes that were sent.
    chosen: usize,
    characters: usize,
    sent: usize,
    /// Probabilities of tokens whose text is held back, with the bytes before them.
    pending: Vec<(usize, Entry)>,
    took: Took,
}

impl<'a> Work<'a> {
    fn new(shared: &'a Shared, job: &'a Job) -> Self {
        Work {
            shared,
            job,
            begun: Instant::now(),
            first: None,
            reused: None,
            stops: Stops::new(job.stops.clone()),
            chosen: 0,
            characters: 0,
            sent: 0,
            pending: Vec::new(),
            took: Took {
                prompt: job.prompt.len(),
                ..Took::default()
            },
        }
    }

    fn answer(&mut self, conversation: &mut Conversation) -> Result<Answer, InferError> {
        let job = self.job;
        if !job.reuse {
            conversation.forget();
        }
        let shared = self.shared;
        conversation.generate(
            &shared.served.tokenizer,
            &job.prompt,
            &job.options,
            &job.ends,
            &mut |event| {
                if let Event::Prompt(fed) = event {
                    self.took.computed = fed - *self.reused.get_or_insert(fed);
                }
                if job.is_gone() || shared.cancelled() {
                    return Ok(Go::Stop);
                }
                match event {
                    Event::Prompt(_) => Ok(Go::On),
                    Event::Token(chosen) => self.token(chosen),
                }
            },
        )
    }

    fn token(&mut self, chosen: &Chosen) -> Result<Go, InferError> {
        if self.first.is_none() {
            self.first = Some(Instant::now());
            // Where no piece was fed, the last token alone was.
            let before = self.took.prompt - 1;
            self.took.computed = self.took.prompt - self.reused.unwrap_or(before);
        }
        if let Some(top) = self.job.logprobs {
            let tokenizer = &self.shared.served.tokenizer;
            let entry = Entry::new(tokenizer, chosen.logits, chosen.token, top, self.characters)?;
            self.pending.push((self.chosen, entry));
        }
        self.text(chosen.text);
        Ok(if self.stops.hit() { Go::Stop } else { Go::On })
    }

    /// Takes text that was chosen and sends what is certain now.
    fn text(&mut self, text: &str) {
        self.chosen += text.len();
        self.characters += text.chars().count();
        let certain = self.stops.push(text);
        self.send(certain, false);
    }

    /// Sends text with the probabilities of tokens that begin in it; with those of all that are left, if it is the `last`.
    fn send(&mut self, text: String, last: bool) {
        self.sent += text.len();
        let begun = self
            .pending
            .iter()
            .take_while(|(at, _)| last || *at < self.sent);
        let begun = begun.count();
        let entries: Vec<Entry> = self
            .pending
            .drain(..begun)
            .map(|(_, entry)| entry)
            .collect();
        if !text.is_empty() || !entries.is_empty() {
            // The next look at the channel notices that nobody listens.
            let _ = self.job.pieces.send(Piece::Text(text, entries));
        }
    }

    /// How the request ended, and the last piece for the client.
    fn end(&mut self, answer: Result<Answer, InferError>) -> (Ended, Piece) {
        let now = Instant::now();
        let first = self.first.unwrap_or(now);
        self.took.prompt_time = first - self.begun;
        self.took.decode_time = now - first;
        let answer = match answer {
            Ok(answer) => answer,
            Err(e) => return (Ended::Failed, Piece::Failed(e.into())),
        };
        let generated = answer.generated;
        self.took.reused = answer.reused;
        self.took.generated = generated.tokens.len();
        self.took.measured = generated.measured;
        let complete = match generated.stop {
            Stop::Eos => true,
            Stop::Length | Stop::Context => false,
            Stop::Asked if self.stops.hit() => true,
            Stop::Asked if self.job.is_gone() => {
                return (Ended::Cancelled, Piece::Failed(ApiError::ending()));
            }
            Stop::Asked => return (Ended::Failed, Piece::Failed(ApiError::ending())),
        };
        // Half a character, and what might have become a stop string.
        self.text(&generated.text[self.chosen..]);
        if !self.stops.hit() {
            let rest = self.stops.finish();
            self.send(rest, true);
        }
        let done = Done {
            complete: complete || self.stops.hit(),
            took: self.took,
        };
        (Ended::Answered, Piece::Done(Box::new(done)))
    }

    /// A line for the log.
    fn line(&self, ended: Ended) -> String {
        let took = &self.took;
        let time: Duration = self.begun.elapsed();
        format!(
            "{}: {ended:?}; {} prompt tokens ({} of them in the cache) + {} generated in {:.2} s",
            self.job.path,
            took.prompt,
            took.reused,
            took.generated,
            time.as_secs_f64()
        )
        .to_lowercase()
    }
}
