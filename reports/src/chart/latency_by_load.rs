//! Chart: the 99th percentile of the latency by load, up to and beyond the capacity of a server.

use super::axis::{self, Axis};
use super::by_load::{self, ByLoad};
use super::kind::WorkloadChart;

/// The chart.
pub const CHART: WorkloadChart = WorkloadChart {
    name: "latency-by-load",
    caption: "The latency that 99 of 100 requests stay below, at shares of the highest rate that holds the objective. Servers \
              of the same capacity differ below it. Beyond it, latency grows with the length of a \
              measurement.",
    draw: |results, workload| by_load::draw(&LATENCY, results, workload),
};

const LATENCY: ByLoad = ByLoad {
    title: "Latency p99 by load",
    note: "from the intended send to the last byte",
    of: |step, _| step.p99_us.map(|us| us * 1e3),
    axis: |low, high| {
        if low > 0.0 {
            Axis::log("p99", low, high, axis::time)
        } else {
            Axis::from_zero("p99", high, axis::time)
        }
    },
};
