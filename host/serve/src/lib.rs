//! HTTP for one model on one accelerator, as llama.cpp's server and OpenAI's interface have it.
//!
//! * what is served, and until when: [`serve`], [`Served`], [`Config`];
//! * connections that cannot be abused: `http`; paths: `routes`, `auth`, `metrics`; what goes wrong: `error`;
//! * a request: `fields` and `request` (what it asks), `messages`, `completions` (from there to the queue), `reply` (JSON and events);
//! * one after the other: `queue`, `engine` (the thread that owns the device), `logprobs`.
#![warn(missing_docs)]

mod auth;
mod completions;
mod engine;
mod error;
mod fields;
mod http;
mod logprobs;
mod messages;
mod metrics;
mod queue;
mod reply;
mod request;
mod routes;

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use macromac_driver::Accelerator;
use macromac_infer::{ChatTemplate, Model, Sampling, Tokenizer};
use tokio::sync::{mpsc, oneshot};

use metrics::Metrics;
use queue::Queue;

/// What is served.
#[derive(Debug)]
pub struct Served {
    /// The PS side of the model.
    pub model: Arc<Model>,
    /// Its tokenizer.
    pub tokenizer: Arc<Tokenizer>,
    /// How it wants messages written; without one there are no chat completions.
    pub template: Option<ChatTemplate>,
}

/// Which device computes, for figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// Backend, as on the command line.
    pub backend: String,
    /// Arithmetic of the accelerator, where there is one.
    pub profile: Option<&'static str>,
    /// What kind of figure its cycles are; `None` where none are counted.
    pub kind: Option<&'static str>,
    /// Its clock, Hz.
    pub clock_hz: u64,
}

/// What clients may cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Requests that wait, besides the one that is worked on.
    pub queue: usize,
    /// Connections at a time; further ones wait to be accepted.
    pub connections: usize,
    /// Bytes of a request's body.
    pub body_bytes: usize,
    /// Until a request's head is there; connections without a request are closed after it as well.
    pub head: Duration,
    /// Until its body is there.
    pub body: Duration,
    /// Until a client takes something of what it is sent.
    pub write: Duration,
    /// For the request that is worked on when the server is told to end.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            queue: 64,
            connections: 128,
            body_bytes: 1 << 20,
            head: Duration::from_secs(10),
            body: Duration::from_secs(20),
            write: Duration::from_secs(30),
            grace: Duration::from_secs(10),
        }
    }
}

/// How it is served.
pub struct Config {
    /// The model's name.
    pub alias: String,
    /// Folder of the model, for `/props`.
    pub path: String,
    /// Keys of which a request must bring one; none: anybody may ask.
    pub api_keys: Vec<String>,
    /// Tokens of prompt and answer together, at most the model's.
    pub context: usize,
    /// Tokens of an answer, whatever a request asks; `None`: as the context allows.
    pub predict: Option<usize>,
    /// What a request does not say.
    pub sampling: Sampling,
    /// Whether a request that names no seed is given one of its own instead of `sampling`'s.
    pub random_seed: bool,
    /// Tokens that the text so far may propose, for greedy requests; 0: off.
    pub lookup: usize,
    /// The device.
    pub about: About,
    /// What clients may cost.
    pub limits: Limits,
    /// Told a line for every request that was answered, and what else the operator should know.
    pub log: Box<dyn Fn(&str) + Send + Sync>,
}

/// Builds the device, on the thread that will own it.
pub type Build = Box<dyn FnOnce() -> Result<Box<dyn Accelerator>, String> + Send>;

/// When the server ends.
pub enum Until {
    /// At SIGINT or SIGTERM.
    Signals,
    /// At a message.
    Told(mpsc::UnboundedReceiver<()>),
}

/// Why the server ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The system refused a socket, a thread, or signals.
    #[error("cannot serve")]
    Io(#[from] std::io::Error),
    /// The device could not be built, or did not come back after a fault.
    #[error("{0}")]
    Device(String),
}

/// What all parts share.
struct Shared {
    served: Served,
    config: Config,
    queue: Queue,
    metrics: Metrics,
    /// The device is there.
    ready: AtomicBool,
    /// Nothing is worked on any more.
    cancel: AtomicBool,
    /// When the server began, seconds since 1970.
    since: u64,
}

impl Shared {
    fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    fn cancelled(&self) -> bool {
        self.cancel.load(Ordering::Acquire)
    }

    fn log(&self, line: &str) {
        (self.config.log)(line);
    }
}

/// Serves until it is told to end: no further connection is taken then, waiting requests are refused, the one that is worked on may
/// finish for [`Limits::grace`] or until the server is told once more. The device is idle and dropped when this returns.
///
/// # Errors
/// [`ServeError`] if sockets, threads or signals cannot be had, or the device fails for good.
pub fn serve(
    listener: TcpListener,
    served: Served,
    config: Config,
    build: Build,
    until: Until,
) -> Result<(), ServeError> {
    let shared = Arc::new(Shared {
        queue: Queue::new(config.limits.queue),
        metrics: Metrics::default(),
        ready: AtomicBool::new(false),
        cancel: AtomicBool::new(false),
        since: reply::now(),
        served,
        config,
    });
    let (ended, mut end) = oneshot::channel();
    let engine = {
        let shared = shared.clone();
        std::thread::Builder::new()
            .name("engine".into())
            .spawn(move || {
                let result = engine::run(&shared, build);
                // Nobody listens only if the server has failed already.
                let _ = ended.send(());
                result
            })?
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let served = runtime.block_on(http::serve(&shared, listener, until, &mut end));
    // Whatever went wrong above, the engine stops within a token.
    shared.cancel.store(true, Ordering::Release);
    shared.queue.close();
    let result = engine.join();
    served?;
    match result {
        Ok(result) => result.map_err(ServeError::Device),
        Err(_) => Err(ServeError::Device(
            "the thread that runs the device panicked; its message is above".into(),
        )),
    }
}
