//! Section: each workload with its metrics, its blocks, its latencies and its pairs.

use askama::Template;
use c10k_reports::format;

use super::change::{percent, share};
use super::chart::{Drawn, blocks, forest, latency, shift};
use super::context::Page;
use super::raw::Raw;
use super::words::{self, sign, title};
use crate::gate::BLOCKS_FILE;
use crate::plan::Workload;
use crate::series::Unjudged;
use crate::verdict::{Judged, Verdict};

#[derive(Template)]
#[template(path = "workload.html")]
struct WorkloadSection<'a> {
    index: usize,
    workload: &'a Workload,
    rate: Option<String>,
    null: bool,
    forest: Option<Drawn>,
    rows: Vec<Row>,
    unjudged: Vec<(String, &'a Unjudged)>,
    blocks: Vec<Drawn>,
    latencies: Vec<Drawn>,
    /// Reason why there are no charts of latencies.
    no_latencies: Option<&'a str>,
    raw: Raw,
    blocks_file: &'static str,
}

/// A metric in the table.
struct Row {
    title: String,
    key: String,
    decides: bool,
    ratio: String,
    change: String,
    interval: String,
    /// Ratio of the copy of the base.
    null: String,
    margin: String,
    reason: String,
    regressed: bool,
    verdict: String,
    why: &'static str,
    seen: String,
}

pub fn render(page: &Page) -> askama::Result<String> {
    let workloads = page.gate.plan.workloads.iter().enumerate();
    workloads.map(|(index, workload)| section(page, index, workload)).collect()
}

fn section(page: &Page, index: usize, workload: &Workload) -> askama::Result<String> {
    let metrics = page.metrics(&workload.name);
    let (latencies, no_latencies) = match &page.latencies[index] {
        Ok(latencies) => {
            let charts =
                [latency::draw(latencies, &workload.name), shift::draw(latencies, &workload.name)];
            (charts.into_iter().flatten().collect(), None)
        }
        Err(reason) => (Vec::new(), Some(reason.as_str()).filter(|_| judges_latencies(page))),
    };
    let is_here = |one: &&Unjudged| one.workload == workload.name;
    let mut unjudged: Vec<&Unjudged> =
        page.gate.judgement.unjudged.iter().filter(is_here).collect();
    unjudged.sort_by_key(|one| words::place(&one.key));
    let deciding = metrics.iter().filter(|one| one.series.decides);
    let section = WorkloadSection {
        index,
        workload,
        rate: workload.rate_rps.map(|rate| format::count(rate.round() as u64)),
        null: page.gate.plan.null,
        forest: forest::draw(page, &metrics, &workload.name),
        rows: metrics.iter().filter_map(|judged| row(page, judged)).collect(),
        unjudged: unjudged.into_iter().map(|one| (words::metric_title(&one.key), one)).collect(),
        blocks: deciding.filter_map(|judged| blocks::draw(page, judged)).collect(),
        latencies,
        no_latencies,
        raw: Raw::of(page, &workload.name),
        blocks_file: BLOCKS_FILE,
    };
    section.render()
}

/// Returns true if latencies are judged. Otherwise, as in a gate of counts, their charts are not
/// missed.
fn judges_latencies(page: &Page) -> bool {
    page.gate.plan.margins.iter().any(|(key, _)| key.starts_with("latency_"))
}

fn row(page: &Page, judged: &Judged) -> Option<Row> {
    let ratio = judged.ratio()?;
    let key = judged.series.quantity.key();
    let margin = page.gate.plan.margins.iter().find(|(known, _)| *known == key);
    let null = page.gate.judgement.null_of(judged);
    let copy_alarms = null.is_some_and(Judged::is_alarm) && judged.verdict == Verdict::Undecided;
    let null = null.and_then(Judged::ratio).map(|ratio| format!("{:.4}", ratio.ratio));
    Some(Row {
        title: title(&judged.series.quantity),
        key: key.to_owned(),
        decides: judged.series.decides,
        ratio: format!("{:.4}", ratio.ratio),
        change: percent(ratio.ratio.ln()),
        interval: ratio.interval.map_or_else(
            || format::MISSING.to_owned(),
            |(low, high)| format!("{low:.4}–{high:.4}"),
        ),
        null: null.unwrap_or_else(|| format::MISSING.to_owned()),
        margin: share(judged.share(judged.series.margin)),
        reason: margin.map_or_else(String::new, |(_, margin)| margin.reason.clone()),
        regressed: judged.verdict == Verdict::Regressed,
        verdict: format!("{} {}", sign(judged.verdict), judged.verdict),
        why: if copy_alarms { "the copy of the base differs from it, too" } else { "" },
        seen: judged.seen(),
    })
}
