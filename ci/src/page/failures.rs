//! Section: failures. They come before all times, because a server that drops requests is fast.

use askama::Template;
use c10k_reports::format;

use super::context::Page;
use super::latencies::{arms, mean};
use super::words::{sign, title};
use crate::block::{Arm, Slice};
use crate::series::Quantity;
use crate::verdict::{Judged, Verdict};

#[derive(Template)]
#[template(path = "failures.html")]
struct Failures {
    null: bool,
    rows: Vec<Row>,
}

struct Row {
    what: String,
    workload: String,
    /// Share of failures of each server.
    shares: Vec<String>,
    difference: String,
    regressed: bool,
    verdict: String,
}

pub fn render(page: &Page) -> askama::Result<String> {
    let rows = page.gate.judgement.judged.iter().filter_map(|judged| row(page, judged));
    Failures { null: page.gate.plan.null, rows: rows.collect() }.render()
}

fn row(page: &Page, judged: &Judged) -> Option<Row> {
    let quantity = &judged.series.quantity;
    let unit = unit(quantity)?;
    let workload = &judged.series.workload;
    let share = |arm: &Arm| {
        format::percent(mean(page.gate, workload, *arm, |slice| failed(quantity, slice)))
    };
    Some(Row {
        what: format!("{}, share of {unit}", title(quantity)),
        workload: workload.clone(),
        shares: arms(page.gate).iter().map(share).collect(),
        difference: difference(judged),
        regressed: judged.verdict == Verdict::Regressed,
        verdict: format!("{} {}", sign(judged.verdict), judged.verdict),
    })
}

/// Returns the unit that can fail; `None` for a metric.
fn unit(quantity: &Quantity) -> Option<&'static str> {
    match quantity {
        Quantity::Metric { .. } => None,
        Quantity::FailedRequests => Some("requests"),
        Quantity::FailedCheck(_) => Some("slices"),
    }
}

/// Returns the share of failures in a slice.
fn failed(quantity: &Quantity, slice: &Slice) -> f64 {
    match quantity {
        Quantity::Metric { .. } => 0.0,
        Quantity::FailedRequests => slice.failed_share,
        Quantity::FailedCheck(check) => f64::from(u8::from(slice.failed_checks.contains(check))),
    }
}

/// Returns the difference in the share of failures, with its sign.
pub fn difference(judged: &Judged) -> String {
    let sign = if judged.estimate < 0.0 { "" } else { "+" };
    let unit = unit(&judged.series.quantity).unwrap_or_default();
    format!("{sign}{} of {unit}", format::percent(judged.estimate))
}
