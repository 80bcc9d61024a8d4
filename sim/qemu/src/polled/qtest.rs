//! The interrupt, by the socket that QEMU has for its own tests: it can move any line of any device.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// How long QEMU may take to make its socket.
const START: Duration = Duration::from_secs(60);

/// One input of the guest's interrupt controller.
pub struct Qtest {
    stream: UnixStream,
    /// `DEVICE INPUTS NUMBER`
    line: String,
    /// Set when QEMU is gone or has refused something, which is why.
    end: Arc<OnceLock<Option<String>>>,
    /// Edges so far.
    pub edges: u64,
}

impl Qtest {
    /// Waits for QEMU's socket; `line` is `DEVICE INPUTS NUMBER`: an object of QEMU, its inputs' name, which of them.
    ///
    /// # Errors
    /// If there is no such socket after a minute.
    pub fn connect(path: &Path, line: &str) -> Result<Self> {
        let begun = Instant::now();
        loop {
            match UnixStream::connect(path) {
                Ok(stream) => return Self::over(stream, line),
                Err(error) if begun.elapsed() >= START => {
                    return Err(error)
                        .with_context(|| format!("no QEMU answers on {}", path.display()));
                }
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// A connection that is there.
    ///
    /// # Errors
    /// If it cannot be read from a thread of its own.
    pub fn over(stream: UnixStream, line: &str) -> Result<Self> {
        let answers = BufReader::new(stream.try_clone()?);
        let end = Arc::new(OnceLock::new());
        let told = Arc::clone(&end);
        std::thread::spawn(move || {
            let refused = answers
                .lines()
                .map_while(Result::ok)
                .find(|answer| answer.trim_end() != "OK");
            // Only this thread sets it.
            let _ = told.set(refused);
        });
        Ok(Self {
            stream,
            line: line.into(),
            end,
            edges: 0,
        })
    }

    /// A rising edge, which the controller remembers, and a falling one, which it does not.
    pub fn pulse(&mut self) {
        let line = &self.line;
        let commands = format!("set_irq_in {line} 1\nset_irq_in {line} 0\n");
        // Whether QEMU is gone is found out by the other thread.
        let _ = self.stream.write_all(commands.as_bytes());
        self.edges += 1;
    }

    /// `None`: QEMU is there. `Some`: it is gone, or has answered this to an edge.
    pub fn end(&self) -> Option<&Option<String>> {
        self.end.get()
    }
}
