//! Chart: CPU time that a server spends per request, against the number of connections. It shows which models pay for
//! connections that merely exist.

use super::{OverviewChart, connections};
use crate::results::CellResult;

/// The chart.
pub const CHART: OverviewChart = OverviewChart {
    name: "overview-cpu",
    caption: "CPU time of the server, user and kernel, per completed request; lower is better. Whiskers show the spread \
              over rounds.",
    draw: |results| {
        let quantity = connections::Quantity {
            title: "Server CPU per request by number of connections",
            unit: "µs of CPU time per request",
            of: CellResult::cpu_us_per_request,
        };
        connections::draw(results, &quantity)
    },
};
