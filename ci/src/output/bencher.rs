//! The result in Bencher Metric Format: benchmark → measure → value with its bounds (Bencher's
//! documentation, "Bencher Metric Format"). Values are ratios of candidate to base.

use std::collections::BTreeMap;

use serde::Serialize;

use super::format::Format;
use crate::gate::Gate;

/// The result in Bencher Metric Format.
pub(super) const FORMAT: Format = Format { file: "bencher.json", write: |gate| Ok(write(gate)?) };

#[derive(Debug, Serialize)]
struct Metric {
    value: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    lower_value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upper_value: Option<f64>,
}

/// Writes all metrics that have a ratio.
fn write(gate: &Gate) -> serde_json::Result<String> {
    let mut benchmarks: BTreeMap<&str, BTreeMap<&str, Metric>> = BTreeMap::new();
    for judged in &gate.judgement.judged {
        let Some(ratio) = judged.ratio() else { continue };
        let metric = Metric {
            value: ratio.ratio,
            lower_value: ratio.interval.map(|(low, _)| low),
            upper_value: ratio.interval.map(|(_, high)| high),
        };
        let of_workload = benchmarks.entry(&judged.series.workload).or_default();
        of_workload.insert(judged.series.quantity.key(), metric);
    }
    Ok(serde_json::to_string_pretty(&benchmarks)? + "\n")
}
