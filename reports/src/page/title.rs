//! Section: the suite, its purpose and its date, and the first thing that a reader must know: if
//! the run is incomplete or has problems.

use askama::Template;

use super::context::Page;
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
    problems: Vec<String>,
    notes: &'a [String],
}

pub fn render(page: &Page) -> askama::Result<String> {
    let results = page.results;
    let environment = &results.environment;
    let (made, planned) = (results.measurements(), results.planned_measurements());
    let interrupted = (made < planned).then(|| {
        let unmeasured = match results.count(State::NotMeasured) {
            0 => String::new(),
            count => format!(" {} not measured at all.", cells_are(count)),
        };
        format!(
            "This run was interrupted, or is still under way: {made} of {planned} measurements were \
             made.{unmeasured}"
        )
    });
    let told = |state, what: &str| {
        let count = results.count(state);
        (count > 0).then(|| format!("In {} {what}.", cells(count)))
    };
    let problems = [
        told(State::Failed, "a measurement or a request failed"),
        told(State::NotValid, "a check failed or connections were not served"),
    ];
    let title = Title {
        suite: &environment.suite,
        purpose: &environment.purpose,
        date: format::date(&environment.started_utc),
        index: page.place.index.as_deref(),
        interrupted,
        problems: problems.into_iter().flatten().collect(),
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
