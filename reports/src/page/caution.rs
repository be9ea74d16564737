//! Section: warnings about conclusions that the numbers below do not support.

use askama::Template;
use c10k_loadgen::percentile::SAMPLES_BEYOND;

use super::context::Page;

#[derive(Template)]
#[template(path = "caution.html")]
struct Caution {
    interval: String,
    /// Method that distinguishes subjects, in sentences; `None` if nothing was measured.
    comparison: Option<String>,
    samples_beyond: u64,
}

pub fn render(page: &Page) -> askama::Result<String> {
    let interval = page.results.interval();
    let comparison = page.results.comparison();
    Caution { interval, comparison, samples_beyond: SAMPLES_BEYOND }.render()
}
