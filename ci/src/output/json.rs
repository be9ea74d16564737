//! The result as one JSON object, version 1.

use serde::Serialize;

use super::format::Format;
use crate::gate::Gate;
use crate::verdict::{Judged, Judgement, Verdict};

/// The result as one JSON object.
pub const FORMAT: Format = Format { file: "gate.json", write: |gate| Ok(write(gate)?) };

#[derive(Serialize)]
struct Whole<'a> {
    version: u32,
    verdict: Verdict,
    blocks: usize,
    cells: Vec<Cell<'a>>,
}

#[derive(Serialize)]
pub(crate) struct Cell<'a> {
    pub(crate) workload: &'a str,
    metrics: Vec<Metric<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unjudged: Vec<Unjudged<'a>>,
}

#[derive(Serialize)]
struct Metric<'a> {
    key: &'a str,
    /// Ratio of candidate to base; absent for a share of failures, which has a `difference`.
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    difference: Option<f64>,
    low: Option<f64>,
    high: Option<f64>,
    verdict: Verdict,
    /// Smallest detectable change, as a share of the base.
    smallest_detectable: Option<f64>,
    margin: f64,
    p_beyond_margin: f64,
    p_no_effect: f64,
}

#[derive(Serialize)]
struct Unjudged<'a> {
    key: &'a str,
    reason: &'a str,
}

fn write(gate: &Gate) -> serde_json::Result<String> {
    let judgement = &gate.judgement;
    let cells =
        judgement.workloads().into_iter().map(|workload| cell(judgement, workload)).collect();
    let whole = Whole { version: 1, verdict: judgement.verdict, blocks: gate.blocks.len(), cells };
    Ok(serde_json::to_string_pretty(&whole)? + "\n")
}

/// Builds the cell of one workload.
pub(crate) fn cell<'a>(judgement: &'a Judgement, workload: &'a str) -> Cell<'a> {
    let unjudged = judgement.unjudged.iter().filter(|one| one.workload == workload);
    Cell {
        workload,
        metrics: judgement.judged_of(workload).map(metric).collect(),
        unjudged: unjudged.map(|one| Unjudged { key: &one.key, reason: &one.reason }).collect(),
    }
}

fn metric(judged: &Judged) -> Metric<'_> {
    let ratio = judged.ratio();
    let ends = ratio.map_or(judged.interval, |ratio| ratio.interval);
    Metric {
        key: judged.series.quantity.key(),
        ratio: ratio.map(|ratio| ratio.ratio),
        difference: ratio.is_none().then_some(judged.estimate),
        low: ends.map(|ends| ends.0),
        high: ends.map(|ends| ends.1),
        verdict: judged.verdict,
        smallest_detectable: judged.smallest_detectable.map(|effect| judged.share(effect)),
        margin: judged.share(judged.series.margin),
        p_beyond_margin: judged.p_beyond_margin,
        p_no_effect: judged.p_no_effect,
    }
}
