//! Section: what not to read out of the numbers below.

use askama::Template;

use super::context::Page;
use crate::statistics::percentile::SAMPLES_BEYOND;

#[derive(Template)]
#[template(path = "caution.html")]
struct Caution {
    interval: String,
    samples_beyond: u64,
}

pub fn render(page: &Page) -> askama::Result<String> {
    let interval = page.results.interval();
    Caution { interval, samples_beyond: SAMPLES_BEYOND }.render()
}
