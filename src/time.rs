//! Times on the command line and in suites, within bounds that keep sums of them from overflowing.

use std::time::Duration;

use anyhow::{Result, ensure};
use humantime::format_duration;

/// The longest time that a user may set.
pub const LONGEST: Duration = Duration::from_hours(24);

/// Shortest measured part. Even on a fast machine, one request takes a notable share of it.
pub const SHORTEST_MEASURED: Duration = Duration::from_millis(1);

/// Time before each send of an open loop in which a worker of the generator spins instead of
/// sleeping. `c10k load` has the same default.
pub const SPIN: Duration = Duration::from_micros(100);

/// Reads `300ms`, `2s`, `1min 30s`.
pub fn parse(text: &str) -> Result<Duration> {
    parse_from(Duration::ZERO, text)
}

/// Reads a time that is not zero.
pub fn parse_positive(text: &str) -> Result<Duration> {
    parse_from(Duration::from_nanos(1), text)
}

/// Reads the length of a measurement.
pub fn parse_measured(text: &str) -> Result<Duration> {
    parse_from(SHORTEST_MEASURED, text)
}

/// Reads a time of at least `shortest`.
pub fn parse_from(shortest: Duration, text: &str) -> Result<Duration> {
    let time = humantime::parse_duration(text);
    let fits = time.as_ref().is_ok_and(|time| (shortest..=LONGEST).contains(time));
    ensure!(
        fits,
        "write a time such as 300ms or 1min 30s, from {} to {}",
        format_duration(shortest),
        format_duration(LONGEST)
    );
    Ok(time?)
}
