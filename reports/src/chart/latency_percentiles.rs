//! Chart: response time by percentile, the subjects of one workload together, on an axis that gives
//! each further nine as much space as the one before (as the plotter of `HdrHistogram` by Gil Tene
//! does).

use c10k_loadgen::measurement::Times;
use c10k_loadgen::percentile::last_known;

use super::axis::{self, Axis};
use super::kind::WorkloadChart;
use super::palette::look;
use super::percentile_curve;
use super::reading::doubts_note;
use super::single::{self, Single};
use crate::metric::by_key;
use crate::results::{CellResult, Results};

/// The chart.
pub const CHART: WorkloadChart = WorkloadChart {
    name: "latency-percentiles",
    caption: "How long the slowest requests take; lower is better. Curve: all rounds together, which a single slow round \
              may shape. Whisker: the percentile over the rounds. A curve ends where fewer than \
              10 requests lie beyond it.",
    draw,
};

/// Percentiles of single rounds: quantile (0 to 1) and metric.
const OF_ROUNDS: [(f64, &str); 4] = [
    (0.5, "response_p50_us"),
    (0.9, "response_p90_us"),
    (0.99, "response_p99_us"),
    (0.999, "response_p999_us"),
];

fn draw(results: &Results, workload: usize) -> Option<String> {
    let cells: Vec<&CellResult> = results.of_workload(workload).collect();
    let curves: Vec<Curve> = cells.iter().filter_map(|cell| Curve::of(cell)).collect();
    let high_quantile = curves.iter().map(|curve| curve.last_quantile).reduce(f64::max)?;
    let x = Axis::percentiles(high_quantile);
    let ranges = curves.iter().map(Curve::with_rounds_ns);
    let (low, high) = ranges.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))?;
    let y = Axis::covering("response", low, high, axis::time);

    let title =
        format!("Response time by percentile: {}", results.environment.workloads[workload].name);
    let note = format!(
        "to the last byte, without the wait before a connect; whisker: {}{}",
        results.interval(),
        doubts_note(&cells)
    );
    let marked: Vec<f64> = x.ticks.iter().map(|(quantile, _)| *quantile).collect();
    let chart = Single { title: &title, note: &note, x, y };
    Some(chart.draw(results, &cells, |canvas, panel| {
        for curve in &curves {
            let look = look(curve.cell.subject);
            let places: Vec<_> = percentile_curve::points(curve.times, curve.last_quantile)
                .map(|(quantile, ns)| panel.at(quantile, ns))
                .collect();
            let in_doubt = !curve.cell.doubts().is_empty();
            single::curve(canvas, &places, look, in_doubt);
            for quantile in
                marked.iter().copied().filter(|quantile| *quantile <= curve.last_quantile)
            {
                if let Some((low_ns, high_ns)) = curve.rounds_at(quantile) {
                    canvas.whisker(
                        panel.at(quantile, low_ns),
                        panel.at(quantile, high_ns),
                        look.color,
                    );
                }
                let place = panel.at(quantile, curve.at(quantile));
                single::point(canvas, place, look, in_doubt);
            }
        }
    }))
}

/// The response times of one cell, as far as the samples go.
struct Curve<'a> {
    cell: &'a CellResult,
    times: &'a Times,
    /// Last quantile that has enough samples beyond it and is known in spite of failures.
    last_quantile: f64,
    /// Smallest response time, and response time at the last quantile, in nanoseconds.
    range_ns: (f64, f64),
}

impl<'a> Curve<'a> {
    fn of(cell: &'a CellResult) -> Option<Self> {
        let times = cell.response()?;
        let last_quantile = last_known(times.len(), cell.response_known_to());
        // With too few samples even for a median, there is no useful curve.
        (last_quantile >= 0.5).then(|| {
            let range_ns = (times.min() as f64, times.value_at_quantile(last_quantile) as f64);
            Self { cell, times, last_quantile, range_ns }
        })
    }

    /// Returns the ends of the spread of the rounds at `quantile` (0 to 1), in nanoseconds; `None`
    /// if the rounds have no such percentile, or if there is only one round.
    fn rounds_at(&self, quantile: f64) -> Option<(f64, f64)> {
        let (_, key) = OF_ROUNDS.iter().find(|(known, _)| (known - quantile).abs() < 1e-9)?;
        let spread = self.cell.value(by_key(key)?)?.spread;
        (spread.rounds > 1).then_some((spread.low * 1e3, spread.high * 1e3))
    }

    /// Returns the range that the curve and the whiskers cover, in nanoseconds.
    fn with_rounds_ns(&self) -> (f64, f64) {
        let shown = OF_ROUNDS.iter().filter(|(quantile, _)| *quantile <= self.last_quantile);
        let whiskers = shown.filter_map(|(quantile, _)| self.rounds_at(*quantile));
        whiskers
            .fold(self.range_ns, |range, whisker| (range.0.min(whisker.0), range.1.max(whisker.1)))
    }

    /// Returns the response time in nanoseconds at `quantile` (0 to 1).
    fn at(&self, quantile: f64) -> f64 {
        self.times.value_at_quantile(quantile) as f64
    }
}
