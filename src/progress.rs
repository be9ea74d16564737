//! Progress of a run: a bar with the remaining time on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::output::note;

/// Progress display on standard error.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
    done: usize,
    total: usize,
}

impl Progress {
    /// Starts with `total` steps, which together take about `estimate`.
    pub fn new(total: usize, estimate: Duration) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(total as u64);
            let style =
                ProgressStyle::with_template("{bar:30} {pos}/{len} · {eta} left · {wide_msg}");
            bar.set_style(style.expect("the template is a constant that is right"));
            bar
        });
        note(&format!("measuring {total} times, {}\n", about(estimate)));
        Self { bar, done: 0, total }
    }

    /// Counts one step as done. On a terminal, messages replace each other. A message that `stays`
    /// also remains visible, which is for results with a problem.
    pub fn advance(&mut self, message: &str, stays: bool) {
        self.done += 1;
        if let Some(bar) = &self.bar {
            if stays {
                bar.println(message);
            }
            bar.set_message(message.to_owned());
            bar.inc(1);
        } else {
            let width = self.total.to_string().len();
            note(&format!("[{:>width$}/{}] {message}\n", self.done, self.total));
        }
    }

    /// Prints a message about a step that is done again.
    pub fn note(&self, message: &str) {
        match &self.bar {
            Some(bar) => bar.println(message),
            None => note(&format!("{message}\n")),
        }
    }

    /// Removes the bar, after the last step or when there will be no more.
    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Writes an estimated time in whole seconds, such as `about 2m 5s`.
pub fn about(estimate: Duration) -> String {
    let whole = Duration::from_secs(estimate.as_secs_f64().round() as u64);
    format!("about {}", humantime::format_duration(whole))
}
