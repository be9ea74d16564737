//! Chart: throughput against the number of connections. The picture of a whole run.

use super::{OverviewChart, connections};
use crate::results::CellResult;

/// The chart.
pub const CHART: OverviewChart = OverviewChart {
    name: "overview-throughput",
    caption: "Completed requests per second; higher is better. Whiskers show the spread over rounds.",
    draw: |results| {
        let quantity = connections::Quantity {
            title: "Throughput by number of connections",
            unit: "requests per second",
            of: CellResult::throughput_rps,
        };
        connections::draw(results, &quantity)
    },
};
