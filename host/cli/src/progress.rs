//! Progress of a long command: a bar where someone watches, a few lines where nobody does.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

use crate::output;

/// Lines that a log gets.
const LINES: usize = 8;

/// Progress over a known number of items, on standard error.
pub struct Progress {
    what: &'static str,
    total: usize,
    /// Only if standard error is a terminal.
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Begins; `what` is the plural of an item.
    pub fn new(what: &'static str, total: usize) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(total as u64);
            let style =
                format!("{{bar:40}} {{pos}}/{{len}} {what} {{msg}} {{elapsed}}, {{eta}} left");
            bar.set_style(ProgressStyle::with_template(&style).expect("a valid template"));
            bar
        });
        Progress { what, total, bar }
    }

    /// `done` items are finished; `message` says what they come to.
    pub fn at(&self, done: usize, message: &str) {
        match &self.bar {
            Some(bar) => {
                bar.set_position(done as u64);
                bar.set_message(message.to_owned());
            }
            // Whenever another eighth is full.
            None if done * LINES / self.total != (done - 1) * LINES / self.total => {
                let (what, total) = (self.what, self.total);
                output::note(format!("{done}/{total} {what} {message}").trim_end());
            }
            None => {}
        }
    }

    /// Ends; the bar disappears.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
