//! Section: results of the validity checks, each complaint in words with its cell and its rounds.

use askama::Template;
use c10k_loadgen::check::Verdict;

use super::context::Page;
use crate::format;
use crate::results::{self, Results, Tally, tallies};

#[derive(Template)]
#[template(path = "checks.html")]
struct Checks<'a> {
    checks: Vec<Check<'a>>,
}

/// One check.
struct Check<'a> {
    tally: &'a Tally,
    /// Number of cells that did not pass, in words.
    cells: String,
    complaints: Vec<Complaint<'a>>,
}

/// Complaint of the check about one cell.
struct Complaint<'a> {
    subject: &'a str,
    workload: &'a str,
    failed: bool,
    detail: &'a str,
    rounds: String,
}

pub fn render(page: &Page) -> askama::Result<String> {
    let tallies = tallies(page.results);
    if tallies.is_empty() {
        return Ok(String::new());
    }
    Checks { checks: tallies.iter().map(|tally| check(page.results, tally)).collect() }.render()
}

fn check<'a>(results: &'a Results, tally: &'a Tally) -> Check<'a> {
    let mut complaints: Vec<&results::Complaint> = tally.complaints.iter().collect();
    // Failures come first; within a verdict, the order of the suite stays.
    complaints.sort_by_key(|complaint| std::cmp::Reverse(complaint.verdict));
    Check {
        tally,
        cells: cells(&complaints),
        complaints: complaints.into_iter().map(|complaint| words(results, complaint)).collect(),
    }
}

/// Counts the complaints by verdict, in words such as `failed in 2 cells, warned in 1 cell`.
fn cells(complaints: &[&results::Complaint]) -> String {
    let count = |verdict, word: &str| {
        let cells =
            complaints.iter().filter(|complaint| complaint.verdict == verdict).count() as u64;
        (cells > 0).then(|| format!("{word} in {}", format::plural(cells, "cell")))
    };
    let parts = [count(Verdict::Fail, "failed"), count(Verdict::Warn, "warned")];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn words<'a>(results: &'a Results, complaint: &'a results::Complaint) -> Complaint<'a> {
    Complaint {
        subject: &results.environment.subjects[complaint.subject].name,
        workload: &results.environment.workloads[complaint.workload].name,
        failed: complaint.is_failure(),
        detail: &complaint.detail,
        rounds: complaint.rounds_in_words(),
    }
}
