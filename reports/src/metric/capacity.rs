//! Metrics of cells that are measured by a search: the highest rate that meets an objective, and
//! the latency just below that rate.

use super::definition::{Bound, Drawn, Format, Metric, PLAIN};
use crate::record::Record;
use crate::statistics::lead::Better;

/// Highest rate at which the server meets the objective.
pub const CAPACITY: Metric = Metric {
    key: "capacity_rps",
    title: "Capacity",
    unit: "requests/s",
    meaning: "The highest rate, offered in an open loop, at which the server meets the objective \
              of the workload. It lies between this rate and the lowest one above it that was \
              measured and did not hold, up to 3 % higher.",
    better: Some(Better::Higher),
    of: |record| record.search.as_ref().map(|search| search.holds_rps),
    headline: true,
    drawn: Drawn::CurvesAndBars,
    bound: Some(Bound {
        applies: |record| record.search.as_ref().is_some_and(|search| search.breaks_rps.is_none()),
        by_generator: true,
        reason: "the load generator could not send more",
    }),
    ..PLAIN
};

/// Median of the latency at nine tenths of the capacity.
pub const P50_AT_90_PERCENT: Metric = Metric {
    key: "latency_p50_at_90_percent_us",
    title: "Latency p50 at 90 % of the capacity",
    unit: "µs",
    meaning: "Median of the latency from the intended send time, in an open loop at nine tenths of the capacity.",
    format: Format::Time,
    of: |record| p50_at(record, 90),
    // Each cell has a rate of its own, so that the shortest time is not the best.
    marked: false,
    of_every_round: true,
    ..PLAIN
};

/// Returns the median latency of the step at that share of the capacity, in microseconds. `None` if
/// the capacity is only a lower bound: the share of the true one is not known.
fn p50_at(record: &Record, percent: u32) -> Option<f64> {
    let search = record.search.as_ref().filter(|search| search.breaks_rps.is_some())?;
    search.steps.iter().find(|step| step.percent() == Some(percent))?.p50_us
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use crate::record::{Search, SearchReason, SearchStep};

    fn step(share: Option<f64>, p50_us: f64) -> SearchStep {
        SearchStep {
            why: SearchReason::Share,
            offered_rps: 900.0,
            share,
            goodput_rps: 900.0,
            error_share: 0.0,
            p50_us: Some(p50_us),
            p99_us: None,
            p999_us: None,
            broken: None,
            disturbed: false,
            by_generator: false,
        }
    }

    #[test]
    fn the_latency_close_below_the_capacity_is_that_of_its_own_step() {
        let mut record = fixture::measured("epoll", "search", 1);
        assert_eq!((P50_AT_90_PERCENT.of)(&record), None);
        let steps =
            vec![step(None, 1.0), step(Some(0.8), 2.0), step(Some(0.9), 3.0), step(Some(1.0), 4.0)];
        let objective = "p99 < 5ms".to_owned();
        let search = Search { objective, holds_rps: 1000.0, breaks_rps: Some(1020.0), steps };
        record.search = Some(search.clone());
        assert_eq!((P50_AT_90_PERCENT.of)(&record), Some(3.0));
        record.search = Some(Search { breaks_rps: None, ..search });
        assert_eq!((P50_AT_90_PERCENT.of)(&record), None);
    }
}
