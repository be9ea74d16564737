//! Section: what not to read out of the numbers below.

use askama::Template;
use c10k_loadgen::percentile::SAMPLES_BEYOND;

use super::context::Page;

#[derive(Template)]
#[template(path = "caution.html")]
struct Caution {
    interval: String,
    /// What tells subjects apart.
    comparison: Option<String>,
    samples_beyond: u64,
}

pub fn render(page: &Page) -> askama::Result<String> {
    let interval = page.results.interval();
    let comparison = page.results.comparison();
    Caution { interval, comparison, samples_beyond: SAMPLES_BEYOND }.render()
}
