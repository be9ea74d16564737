//! Section: the claim that a run tests, and the run's finding about it.

use askama::Template;

use super::context::Page;
use crate::results::{Finding, Judged, judge_claim};

#[derive(Template)]
#[template(path = "claim.html")]
struct Section<'a> {
    judged: Judged<'a>,
    refuted: bool,
}

pub fn render(page: &Page) -> askama::Result<String> {
    let Some(judged) = judge_claim(page.results) else { return Ok(String::new()) };
    let refuted = judged.finding == Finding::Refuted;
    Section { judged, refuted }.render()
}
