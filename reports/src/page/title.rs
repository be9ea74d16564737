//! Section: what this is, and what a reader must know before anything else: whether it is whole.

use askama::Template;

use super::Page;
use crate::format;
use crate::results::State;

#[derive(Template)]
#[template(path = "title.html")]
struct Title<'a> {
    suite: &'a str,
    purpose: &'a str,
    date: String,
    index: Option<&'a str>,
    interrupted: Option<String>,
    failed: Option<String>,
    notes: &'a [String],
}

pub fn render(page: &Page) -> askama::Result<String> {
    let results = page.results;
    let environment = &results.environment;
    let (made, planned) = (results.measurements(), results.planned_measurements());
    let interrupted = (made < planned).then(|| {
        format!(
            "This run was interrupted, or is still under way: {made} of {planned} measurements were made. \
             {} not measured at all.",
            cells_are(results.count(State::NotMeasured))
        )
    });
    let failed = results.count(State::Failed);
    let failed = (failed > 0).then(|| format!("In {} a measurement or a request failed.", cells(failed)));
    let title = Title {
        suite: &environment.suite,
        purpose: &environment.purpose,
        date: format::date(&environment.started_utc),
        index: page.place.index.as_deref(),
        interrupted,
        failed,
        notes: &results.notes,
    };
    title.render()
}

fn cells(count: usize) -> String {
    format::plural(count as u64, "cell")
}

fn cells_are(count: usize) -> String {
    format!("{} {}", cells(count), if count == 1 { "was" } else { "were" })
}
