//! Times as on the command line and in suites, within bounds that no sum of them exceeds.

use std::time::Duration;

use anyhow::{Result, ensure};

/// The longest time that can be asked for.
const LONGEST: Duration = Duration::from_hours(24);

/// Reads `300ms`, `2s`, `1min 30s`.
pub fn parse(text: &str) -> Result<Duration> {
    let time = humantime::parse_duration(text)?;
    ensure!(time <= LONGEST, "it is longer than {}", humantime::format_duration(LONGEST));
    Ok(time)
}

/// Reads a time that is not zero.
pub fn parse_positive(text: &str) -> Result<Duration> {
    let time = parse(text)?;
    ensure!(!time.is_zero(), "it must be longer than nothing");
    Ok(time)
}
