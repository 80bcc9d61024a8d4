//! A server in the test's own process, on a device that a test holds in its hands.

// Each test file uses its part of this module.
#![allow(dead_code)]

use std::net::{SocketAddr, TcpListener};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use macromac_driver::{Accelerator, Counters, DriverError, PassShape, Profile, Results, Ticket};
use macromac_infer::{
    ChatTemplate, Checkpoint, Model, Sampling, Source, Tokenizer, golden_device, pack,
};
use macromac_serve::{About, Config, Limits, ServeError, Served, Until, serve};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// Passes of a token of the demonstration model, one submission each: six layers of four, and the head.
pub const PASSES: usize = 25;

/// What a test does to the device.
#[derive(Debug, Default)]
pub struct Hand {
    state: Mutex<State>,
    bell: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Submissions that may still pass; `None`: any number.
    permits: Option<usize>,
    submitted: usize,
    /// Someone waits for a permit.
    waits: bool,
    /// The next submission fails.
    fails: bool,
    /// Resets fail.
    dead: bool,
    resets: usize,
    /// Tokens that shall be chosen next, the last one first.
    script: Vec<u32>,
}

impl Hand {
    /// Lets `n` further submissions pass and no more.
    pub fn allow(&self, n: usize) {
        self.state.lock().unwrap().permits = Some(n);
        self.bell.notify_all();
    }

    /// Lets all pass from now on.
    pub fn open(&self) {
        self.state.lock().unwrap().permits = None;
        self.bell.notify_all();
    }

    /// Waits until the device is asked for something that it may not do yet.
    pub fn wait_until_held(&self) {
        let mut state = self.state.lock().unwrap();
        while !state.waits {
            let (next, timeout) = self
                .bell
                .wait_timeout(state, Duration::from_secs(60))
                .unwrap();
            assert!(
                !timeout.timed_out(),
                "the device was not asked for anything"
            );
            state = next;
        }
    }

    pub fn fail_next(&self, dead: bool) {
        let mut state = self.state.lock().unwrap();
        (state.fails, state.dead) = (true, dead);
    }

    pub fn resets(&self) -> usize {
        self.state.lock().unwrap().resets
    }

    pub fn submitted(&self) -> usize {
        self.state.lock().unwrap().submitted
    }

    /// Makes the model choose these tokens next.
    pub fn script(&self, tokens: &[u32]) {
        self.state.lock().unwrap().script = tokens.iter().rev().copied().collect();
    }
}

/// The golden device, as far as the hand lets it.
struct Held {
    inner: Box<dyn Accelerator>,
    hand: Arc<Hand>,
    program: Vec<usize>,
    next: usize,
    /// The head's last step, and the token that it shall choose.
    scripted: Option<(Ticket, u32)>,
    /// Its logits.
    changed: Vec<f32>,
}

impl Accelerator for Held {
    fn profile(&self) -> Option<Profile> {
        self.inner.profile()
    }

    fn batch(&self) -> usize {
        self.inner.batch()
    }

    fn passes(&self) -> &[PassShape] {
        self.inner.passes()
    }

    fn set_program(&mut self, program: &[usize], vectors: usize) -> Result<(), DriverError> {
        (self.program, self.next) = (program.to_vec(), 0);
        self.inner.set_program(program, vectors)
    }

    fn submit(&mut self, x: &[f32]) -> Result<Ticket, DriverError> {
        let mut state = self.hand.state.lock().unwrap();
        while state.permits == Some(0) {
            state.waits = true;
            self.hand.bell.notify_all();
            state = self.hand.bell.wait(state).unwrap();
        }
        state.waits = false;
        state.permits = state.permits.map(|n| n - 1);
        state.submitted += 1;
        if std::mem::take(&mut state.fails) {
            return Err(DriverError::Sequence("a planted fault".into()));
        }
        let ticket = self.inner.submit(x)?;
        let head = self.inner.passes().len() - 1;
        if self.program[self.next] == head {
            self.scripted = state.script.pop().map(|token| (ticket, token));
        }
        self.next = (self.next + 1) % self.program.len();
        Ok(ticket)
    }

    fn wait_rows(&mut self, ticket: Ticket, rows: usize) -> Result<usize, DriverError> {
        self.inner.wait_rows(ticket, rows)
    }

    fn results(&mut self, ticket: Ticket, rows: Range<usize>) -> Result<Results<'_>, DriverError> {
        let Some((_, token)) = self.scripted.filter(|(of, _)| *of == ticket) else {
            return self.inner.results(ticket, rows);
        };
        let n = self.inner.passes().last().unwrap().n;
        let results = self.inner.results(ticket, rows.clone())?;
        let vectors = results.vectors();
        self.changed.resize(vectors * n, 0.0);
        for (vector, logits) in self.changed.chunks_mut(n).enumerate() {
            results.read(vector, &mut logits[rows.clone()]);
            if rows.contains(&(token as usize)) {
                logits[token as usize] = 1e4;
            }
        }
        Ok(Results::in_order(&self.changed, n, vectors, &rows))
    }

    fn elapse(&mut self, ps: Duration, bytes: u64) -> Result<(), DriverError> {
        self.inner.elapse(ps, bytes)
    }

    fn reset(&mut self) -> Result<(), DriverError> {
        let mut state = self.hand.state.lock().unwrap();
        state.resets += 1;
        if state.dead {
            return Err(DriverError::Sequence("it stays broken".into()));
        }
        self.inner.reset()
    }

    fn counters(&mut self) -> Result<Option<Counters>, DriverError> {
        self.inner.counters()
    }
}

/// The demonstration model, packed once a test program.
struct Demo {
    source: Arc<Source>,
    model: Arc<Model>,
    tokenizer: Arc<Tokenizer>,
}

fn demo() -> &'static Demo {
    static DEMO: OnceLock<Demo> = OnceLock::new();
    DEMO.get_or_init(|| {
        let checkpoint = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo");
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("image");
        pack(&Checkpoint::open(&checkpoint).unwrap(), &out, |_| {}).unwrap();
        let source = Arc::new(Source::open(&out).unwrap());
        Demo {
            model: Arc::new(Model::load(source.clone()).unwrap()),
            tokenizer: Arc::new(Tokenizer::open(&checkpoint).unwrap()),
            source,
        }
    })
}

pub fn encode(text: &str) -> Vec<u32> {
    demo().tokenizer.encode(text).unwrap()
}

pub struct Server {
    pub at: SocketAddr,
    pub hand: Arc<Hand>,
    stop: UnboundedSender<()>,
    thread: JoinHandle<Result<(), ServeError>>,
}

/// A server of the demonstration model with ChatML.
pub fn server() -> Server {
    server_with(|_| {})
}

/// The same, its configuration changed.
pub fn server_with(change: impl FnOnce(&mut Config)) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let demo = demo();
    let mut config = Config {
        alias: "demo".into(),
        path: "built-in".into(),
        api_keys: Vec::new(),
        context: 512,
        predict: None,
        sampling: Sampling::default(),
        random_seed: true,
        lookup: 0,
        about: About {
            backend: "golden".into(),
            profile: Some("kv260"),
            kind: None,
            clock_hz: 300_000_000,
        },
        limits: Limits::default(),
        log: Box::new(|_| {}),
    };
    change(&mut config);
    let served = Served {
        model: demo.model.clone(),
        tokenizer: demo.tokenizer.clone(),
        template: Some(ChatTemplate::chatml()),
    };
    let hand = Arc::new(Hand::default());
    let held = hand.clone();
    let build = move || -> Result<Box<dyn Accelerator>, String> {
        let inner =
            golden_device(demo.source.clone(), Profile::Kv260).map_err(|e| e.to_string())?;
        Ok(Box::new(Held {
            inner: Box::new(inner),
            hand: held,
            program: Vec::new(),
            next: 0,
            scripted: None,
            changed: Vec::new(),
        }))
    };
    let (stop, told) = unbounded_channel();
    let thread = std::thread::spawn(move || {
        serve(listener, served, config, Box::new(build), Until::Told(told))
    });
    let server = Server {
        at,
        hand,
        stop,
        thread,
    };
    while crate::client::get(at, "/health").status != 200 {
        std::thread::sleep(Duration::from_millis(5));
    }
    server
}

impl Server {
    /// Tells the server to end.
    pub fn tell(&self) {
        self.stop.send(()).unwrap();
    }

    /// Tells it, and waits until it has ended.
    pub fn end(self) -> Result<(), ServeError> {
        let _ = self.stop.send(());
        self.thread.join().unwrap()
    }

    /// Waits until it ends by itself.
    pub fn ended(self) -> Result<(), ServeError> {
        self.thread.join().unwrap()
    }

    /// Waits until a metric has a value.
    pub fn wait_for(&self, name: &str, value: f64) {
        for _ in 0..600 {
            if crate::client::metric(self.at, name) == value {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!(
            "{name}: expected {value}, found {}",
            crate::client::metric(self.at, name)
        );
    }
}
