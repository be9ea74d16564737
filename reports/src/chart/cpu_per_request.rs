//! Chart: CPU time that each subject spends per request under one workload, with the spread over rounds.

use super::{WorkloadChart, bars};
use crate::results::CellResult;

/// The chart.
pub const CHART: WorkloadChart = WorkloadChart {
    name: "cpu-per-request",
    caption: "CPU time of the server, user and kernel, per completed request; less is better. It holds up on a noisy \
              machine better than throughput does.",
    draw: |results, workload| {
        let quantity = bars::Quantity {
            name: "Server CPU per request",
            unit: "µs of CPU time per request",
            of: CellResult::cpu_us_per_request,
        };
        bars::draw(results, workload, &quantity)
    },
};
