//! Points of a curve of times by percentile: as many as can be distinguished, up to the end of the
//! samples.

use std::iter;

use c10k_loadgen::measurement::Times;

/// Number of points for each halving of the share of slower requests: about one every 2 px.
const POINTS_PER_HALVING: u32 = 16;

/// Returns points of quantile (0 to 1) and time in nanoseconds, from the fastest request to the
/// request at the quantile `last`.
pub fn points(times: &Times, last: f64) -> impl Iterator<Item = (f64, f64)> {
    let end = (last, times.value_at_quantile(last) as f64);
    let between = times.iter_quantiles(POINTS_PER_HALVING);
    let between =
        between.map(|point| (point.quantile_iterated_to(), point.value_iterated_to() as f64));
    let supported = between.take_while(move |(quantile, _)| *quantile < last);
    iter::once((0.0, times.min() as f64)).chain(supported.skip(1)).chain(iter::once(end))
}
