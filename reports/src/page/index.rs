//! The page of all runs: their list, and the newest in full.

use askama::Template;

use super::context::{Page, Place};
use super::document::{document, run_sections};
use crate::chart::Figures;
use crate::error::Error;
use crate::format;
use crate::record::Run;
use crate::results::{Results, State};

/// A run in the list.
pub struct Listed {
    name: String,
    /// Link to the run's page; `None` if the page is not written.
    link: Option<String>,
    /// Short findings of the run, or the reason why the run cannot be read.
    found: Result<Found, String>,
}

struct Found {
    suite: String,
    date: String,
    revision: String,
    good: usize,
    not_valid: usize,
    failed: usize,
    not_measured: usize,
}

#[derive(Template)]
#[template(path = "runs.html")]
struct Runs<'a> {
    runs: &'a [Listed],
    gate: Option<&'a str>,
}

impl Listed {
    /// Creates the entry of the run in the folder `name`; `run` is the result of reading it.
    pub fn of(name: String, link: Option<String>, run: Result<Run, Error>) -> Self {
        let found = run
            .map(|run| Found::of(&Results::without_histograms(run)))
            .map_err(|error| error.to_string());
        Self { name, link, found }
    }
}

impl Found {
    fn of(results: &Results) -> Self {
        let environment = &results.environment;
        Self {
            suite: environment.suite.clone(),
            date: format::date(&environment.started_utc),
            revision: short_revision(&environment.revision),
            good: results.count(State::Good),
            not_valid: results.count(State::NotValid),
            failed: results.count(State::Failed),
            not_measured: results.count(State::NotMeasured),
        }
    }
}

/// Shortens a revision to 12 characters of its hash: short enough for a phone, and long enough to
/// be unique in any repository of this size. The text after the hash, such as `-dirty`, stays.
fn short_revision(revision: &str) -> String {
    let (hash, rest) = revision.split_at(revision.find('-').unwrap_or(revision.len()));
    hash.chars().take(12).chain(rest.chars()).collect()
}

/// Renders the page that lists `runs`, newest first, links to the page of the newest `gate`, and
/// shows the `newest` run in full.
pub fn index_page(
    runs: &[Listed],
    gate: Option<&str>,
    newest: Option<(&Results, &Figures, &Place)>,
) -> Result<String, Error> {
    let mut sections = vec![Runs { runs, gate }.render()?];
    if let Some((results, figures, place)) = newest {
        sections.extend(run_sections(&Page { results, figures, place })?);
    }
    document("c10k: reports", &sections)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_revision_still_says_that_the_source_was_changed() {
        assert_eq!(short_revision("0123456789abcdef0123-dirty"), "0123456789ab-dirty");
        assert_eq!(short_revision("unknown"), "unknown");
    }
}
