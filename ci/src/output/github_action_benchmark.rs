//! The result for github-action-benchmark: `customBiggerIsBetter` and `customSmallerIsBetter`,
//! lists of named numbers (its README, "Tools" and "customBiggerIsBetter"). The numbers are ratios
//! of candidate to base, because an absolute time of another day comes from another machine.

use serde::Serialize;

use super::format::Format;
use crate::gate::Gate;
use crate::series::Quantity;
use crate::verdict::Judged;

/// Metrics for which more is better.
pub(super) const BIGGER_IS_BETTER: Format =
    Format { file: "custom-bigger-is-better.json", write: |gate| Ok(write(gate, true)?) };

/// Metrics for which less is better.
pub(super) const SMALLER_IS_BETTER: Format =
    Format { file: "custom-smaller-is-better.json", write: |gate| Ok(write(gate, false)?) };

/// A number of the list.
#[derive(Debug, Serialize)]
struct Entry {
    name: String,
    unit: &'static str,
    value: f64,
    /// Half of the width of the interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    range: Option<String>,
    extra: String,
}

fn write(gate: &Gate, bigger_is_better: bool) -> serde_json::Result<String> {
    let is_meant = |judged: &&Judged| matches!(&judged.series.quantity, Quantity::Metric { more_is_better, .. } if *more_is_better == bigger_is_better);
    let entries: Vec<Entry> =
        gate.judgement.judged.iter().filter(is_meant).filter_map(entry).collect();
    Ok(serde_json::to_string_pretty(&entries)? + "\n")
}

fn entry(judged: &Judged) -> Option<Entry> {
    let ratio = judged.ratio()?;
    Some(Entry {
        name: format!("{}: {}", judged.series.workload, judged.series.quantity.key()),
        unit: "candidate/base",
        value: ratio.ratio,
        range: ratio.interval.map(|(low, high)| format!("± {:.4}", (high - low) / 2.0)),
        extra: judged.verdict.to_string(),
    })
}
