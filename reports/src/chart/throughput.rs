//! Chart: throughput of each subject under one workload, with the spread over rounds.

use super::{WorkloadChart, bars};
use crate::results::CellResult;

/// The chart.
pub const CHART: WorkloadChart = WorkloadChart {
    name: "throughput",
    caption: "Completed requests per second; more is better. In a closed loop this is bounded by the generator too.",
    draw: |results, workload| {
        let quantity = bars::Quantity {
            name: "Throughput",
            unit: "requests per second",
            of: CellResult::throughput_rps,
        };
        bars::draw(results, workload, &quantity)
    },
};
