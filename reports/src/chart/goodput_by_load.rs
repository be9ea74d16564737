//! Chart: requests answered well, by load. It shows if a server that is offered more than its
//! capacity continues to answer as many.

use super::axis::{self, Axis};
use super::by_load::{self, ByLoad};
use super::kind::WorkloadChart;

/// The chart.
pub const CHART: WorkloadChart = WorkloadChart {
    name: "goodput-by-load",
    caption: "Requests answered well per second, as a share of the highest rate that holds the objective. A server that is \
              offered more should go on to answer as many.",
    draw: |results, workload| by_load::draw(&GOODPUT, results, workload),
};

const GOODPUT: ByLoad = ByLoad {
    title: "Goodput by load",
    note: "completed requests, as a share of the capacity",
    of: |step, holds_rps| Some(step.goodput_rps / holds_rps),
    axis: |_, high| Axis::from_zero("goodput", high * 1.05, axis::share),
};
