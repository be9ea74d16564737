//! Section: the smallest change that this gate would have detected, and its false-alarm rate. A
//! verdict without these two numbers is worth nothing: a gate that can detect nothing finds no
//! regression.

use askama::Template;

use super::change::share;
use super::context::Page;
use super::words::{self, metric_title};
use crate::power::SEEN;
use crate::verdict::{FALSE_ALARMS, Judged};

#[derive(Template)]
#[template(path = "sensitivity.html")]
struct Sensitivity<'a> {
    alarms: String,
    seen: String,
    workloads: Vec<&'a str>,
    rows: Vec<Row<'a>>,
}

struct Row<'a> {
    title: String,
    decides: bool,
    margin: String,
    /// Smallest detectable change under each workload.
    cells: Vec<String>,
    reason: &'a str,
}

pub fn render(page: &Page) -> askama::Result<String> {
    let plan = &page.gate.plan;
    let workloads: Vec<&str> =
        plan.workloads.iter().map(|workload| workload.name.as_str()).collect();
    let mut margins: Vec<_> = plan.margins.iter().collect();
    margins.sort_by_key(|(key, margin)| (!margin.decides, words::place(key)));
    let rows = margins.into_iter().map(|(key, margin)| Row {
        title: metric_title(key),
        decides: margin.decides,
        margin: share(margin.margin),
        cells: workloads.iter().map(|workload| smallest(page, workload, key)).collect(),
        reason: &margin.reason,
    });
    let (alarms, seen) = (share(FALSE_ALARMS), share(SEEN));
    Sensitivity { alarms, seen, rows: rows.collect(), workloads: workloads.clone() }.render()
}

fn smallest(page: &Page, workload: &str, key: &str) -> String {
    let is_meant = |one: &&Judged| one.series.quantity.key() == key;
    match page.gate.judgement.judged_of(workload).find(is_meant) {
        None => "not judged".to_owned(),
        Some(one) => one.seen(),
    }
}

impl Judged {
    /// Returns the smallest change that this gate would have called a regression.
    pub(super) fn seen(&self) -> String {
        self.smallest_detectable
            .map_or_else(|| "none".to_owned(), |effect| share(self.share(effect)))
    }
}
