//! Progress of the packer: a bar where someone watches, else a line a layer.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{FormattedDuration, ProgressBar, ProgressStyle};
use macromac_infer::pack::PackProgress;

use crate::output;

/// Steps of the bar.
const STEPS: f64 = 10_000.0;
/// Commands that are done before that say nothing where nobody watches.
const QUIET: Duration = Duration::from_secs(10);

/// Progress on standard error.
pub struct Progress {
    bar: Option<ProgressBar>,
    began: Instant,
    /// Share of the work that was done when this run began.
    first: Option<f64>,
    /// Layer of the last line.
    layer: Option<String>,
}

impl Progress {
    /// Begins.
    pub fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(STEPS as u64);
            let style = "{bar:40} {percent}% {msg}";
            bar.set_style(ProgressStyle::with_template(style).expect("a valid template"));
            bar
        });
        Progress {
            bar,
            began: Instant::now(),
            first: None,
            layer: None,
        }
    }

    /// The packer is at `p`.
    pub fn at(&mut self, p: PackProgress) {
        if let Some(note) = p.note {
            match &self.bar {
                Some(bar) => bar.suspend(|| output::note(note)),
                None => output::note(note),
            }
            return;
        }
        let elapsed = self.began.elapsed();
        let first = *self.first.get_or_insert(p.share);
        let left = time_left(elapsed, first, p.share)
            .map_or("?".into(), |left| FormattedDuration(left).to_string());
        let times = format!("{} gone, {left} left", FormattedDuration(elapsed));
        if let Some(bar) = &self.bar {
            bar.set_position((p.share * STEPS) as u64);
            bar.set_message(format!("{} {times}", p.next));
            return;
        }
        // "layers.7.qkv" begins layer 7; whatever else comes is no layer.
        let Some(layer) = p
            .next
            .strip_prefix("layers.")
            .and_then(|n| n.split('.').next())
        else {
            return;
        };
        let new = self.layer.as_deref().is_some_and(|l| l != layer);
        if new && elapsed >= QUIET {
            let percent = 100.0 * p.share;
            output::note(&format!(
                "layer {layer} begins: {percent:.1} % done, {times}"
            ));
        }
        self.layer = Some(layer.to_owned());
    }

    /// Ends; the bar disappears.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// The time that the rest takes if it goes as the work since `first` went; `None` while too little is done to tell.
fn time_left(elapsed: Duration, first: f64, share: f64) -> Option<Duration> {
    let done = share - first;
    (done > 1e-4).then(|| Duration::from_secs_f64(elapsed.as_secs_f64() * (1.0 - share) / done))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_of_an_earlier_run_does_not_make_this_one_look_fast() {
        let minute = Duration::from_secs(60);
        assert_eq!(time_left(minute, 0.5, 0.5), None);
        assert_eq!(time_left(minute, 0.5, 0.75), Some(minute));
        assert_eq!(time_left(minute, 0.0, 0.25), Some(3 * minute));
    }
}
