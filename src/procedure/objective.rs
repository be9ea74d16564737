//! Objectives: the conditions that a server has to meet, such as `p99 < 5ms and errors < 0.1%`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use c10k_loadgen::Summary;
use c10k_loadgen::check::Verdict;
use c10k_loadgen::percentile::samples_for;
use c10k_loadgen::summary::Percentiles;

use crate::nearest::nearest;
use crate::time;

/// Text that joins conditions.
const AND: &str = " and ";

/// A percentile: its name, its quantile, and the function that gets its value.
type Percentile = (&'static str, f64, fn(&Percentiles) -> f64);

const PERCENTILES: [Percentile; 5] = [
    ("p50", 0.5, |times| times.p50),
    ("p90", 0.9, |times| times.p90),
    ("p95", 0.95, |times| times.p95),
    ("p99", 0.99, |times| times.p99),
    ("p99.9", 0.999, |times| times.p99_9),
];

const ERRORS: &str = "errors";

/// Standard deviations by which the number of random arrivals may fall short. Chance exceeds this
/// once in 30,000 steps.
const CHANCE: f64 = 4.0;

/// Name of the check that finds a growing queue of requests.
const OFFERED_RATE: &str = "offered-rate";

/// Conditions that all have to hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Objective {
    text: String,
    conditions: Vec<Condition>,
}

#[derive(Debug, Clone, Copy)]
enum Condition {
    /// A percentile of the latency, counted from the intended send, is below this time.
    Latency { percentile: Percentile, below: Duration },
    /// The share of the due requests that fail, or have no response in the end, is below this
    /// share.
    Errors { below: f64 },
}

impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Objective {
    /// Returns the reason why a measurement does not meet the objective, with the number; `None` if
    /// it does. A measurement that left more and more requests behind never meets it, because it
    /// was only too short for its latency to show that.
    pub fn broken_by(&self, measured: &Summary) -> Option<String> {
        let broken = self.conditions.iter().find_map(|condition| condition.broken_by(measured));
        broken.or_else(|| left_behind(measured))
    }

    /// Returns the number of requests that a measurement needs so that all of its conditions can be
    /// judged. It allows for random arrivals, whose number may fall short by chance.
    pub fn requests(&self) -> f64 {
        let needed = self.conditions.iter().map(Condition::requests).max().unwrap_or(1) as f64;
        needed + CHANCE * needed.sqrt()
    }
}

impl Condition {
    fn broken_by(&self, measured: &Summary) -> Option<String> {
        match *self {
            Self::Latency { percentile: (name, quantile, value), below } => {
                let times = &measured.latency_us;
                if !times.supports(quantile) {
                    return Some(format!("{name} is not known from {} requests", times.count));
                }
                let us = value(times);
                let bound = if times.is_bound(quantile) { "at least " } else { "" };
                let is_broken = us >= below.as_secs_f64() * 1e6;
                is_broken
                    .then(|| format!("{name} is {bound}{:.2?}", Duration::from_secs_f64(us / 1e6)))
            }
            Self::Errors { below } => {
                let share = error_share(measured);
                (share >= below).then(|| format!("{:.2} % fail", share * 100.0))
            }
        }
    }

    fn requests(&self) -> u64 {
        match *self {
            Self::Latency { percentile: (_, quantile, _), .. } => samples_for(quantile),
            // A single failed request must not reach the limit.
            Self::Errors { below } => (2.0 / below).ceil() as u64,
        }
    }
}

fn left_behind(measured: &Summary) -> Option<String> {
    let check = measured.checks.iter().find(|check| check.name == OFFERED_RATE)?;
    (check.verdict == Verdict::Fail).then(|| check.detail.clone())
}

/// Returns the requests without a good response, as a share of those that were due.
pub fn error_share(measured: &Summary) -> f64 {
    let requests = &measured.requests;
    let lost = requests.intended.saturating_sub(requests.completed);
    lost as f64 / requests.intended.max(1) as f64
}

impl fmt::Display for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Latency { percentile: (name, ..), below } => {
                write!(f, "{name} < {}", humantime::format_duration(below))
            }
            Self::Errors { below } => write!(f, "{ERRORS} < {}%", below * 100.0),
        }
    }
}

impl FromStr for Objective {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let conditions: Vec<Condition> = text.split(AND).map(str::parse).collect::<Result<_>>()?;
        let has_latency =
            conditions.iter().any(|condition| matches!(condition, Condition::Latency { .. }));
        ensure!(has_latency, "an objective names a percentile, such as `p99 < 5ms`");
        let told: Vec<String> = conditions.iter().map(ToString::to_string).collect();
        Ok(Self { text: told.join(AND), conditions })
    }
}

impl FromStr for Condition {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, limit) = text
            .split_once('<')
            .with_context(|| format!("`{text}` is no condition such as `p99 < 5ms`"))?;
        let (name, limit) = (name.trim(), limit.trim());
        if name == ERRORS {
            let percent: Option<f64> =
                limit.strip_suffix('%').and_then(|percent| percent.trim().parse().ok());
            let percent = percent.filter(|percent| *percent > 0.0 && *percent <= 100.0);
            let percent =
                percent.with_context(|| format!("`{limit}` is no percentage such as `0.1%`"))?;
            return Ok(Self::Errors { below: percent / 100.0 });
        }
        let Some(&percentile) = PERCENTILES.iter().find(|(known, ..)| *known == name) else {
            let known = PERCENTILES.iter().map(|(known, ..)| *known).chain([ERRORS]);
            bail!("there is no `{name}` in an objective{}", nearest(name, known))
        };
        Ok(Self::Latency { percentile, below: time::parse_positive(limit)? })
    }
}

#[cfg(test)]
mod tests {
    use c10k_loadgen::measurement::{Bytes, Connections, Errors, Generator, Requests};

    use super::*;

    fn objective(text: &str) -> Objective {
        text.parse().unwrap()
    }

    fn measured(change: impl FnOnce(&mut Summary)) -> Summary {
        let times =
            Percentiles { count: 10_000, p50: 100.0, p99: 4_000.0, ..Percentiles::default() };
        let requests =
            Requests { intended: 10_000, sent: 10_000, completed: 10_000, ..Requests::default() };
        let json = serde_json::json!({
            "version": 1, "target": "", "loop": "open", "throughput_rps": 10_000.0, "duration_s": 1.0,
            "requests": requests, "connections": Connections::default(), "errors": Errors::default(),
            "latency_us": times, "service_us": times, "connect_us": times, "first_byte_us": times,
            "bytes": Bytes::default(), "generator": Generator::default(),
        });
        let mut summary: Summary = serde_json::from_value(json).unwrap();
        change(&mut summary);
        summary
    }

    #[test]
    fn all_conditions_have_to_hold() {
        let objective = objective("p99 < 5ms and errors < 0.1%");
        assert_eq!(objective.broken_by(&measured(|_| {})), None);
        let slow = measured(|summary| summary.latency_us.p99 = 5_000.0);
        assert_eq!(objective.broken_by(&slow).as_deref(), Some("p99 is 5.00ms"));
        let failing = measured(|summary| summary.requests.completed = 9_990);
        assert_eq!(objective.broken_by(&failing).as_deref(), Some("0.10 % fail"));
    }

    #[test]
    fn a_percentile_that_is_not_known_does_not_hold() {
        let few = measured(|summary| summary.latency_us.count = 100);
        let reason = objective("p99 < 5ms").broken_by(&few).unwrap();
        assert!(reason.contains("not known"), "{reason}");
    }

    #[test]
    fn a_measurement_needs_requests_for_each_condition() {
        for (text, needed) in [
            ("p99 < 5ms", 1_000.0),
            ("p99 < 5ms and errors < 0.1%", 2_000.0),
            ("p99.9 < 5ms", 10_000.0),
        ] {
            let requests = objective(text).requests();
            assert!((needed..1.2 * needed).contains(&requests), "{text}: {requests}");
        }
    }

    #[test]
    fn a_mistake_in_an_objective_is_reported_with_the_next_step() {
        for (text, expected) in [
            ("p99", "such as `p99 < 5ms`"),
            ("p98 < 5ms", "`p9"),
            ("p99 < 5", "write a time"),
            ("errors < 1%", "names a percentile"),
            ("p99 < 5ms and errors < 0%", "percentage"),
            ("p99 < 5ms and error < 1%", "did you mean `errors`"),
        ] {
            let error = format!("{:#}", text.parse::<Objective>().unwrap_err());
            assert!(error.contains(expected), "{text}: {error}");
        }
        assert_eq!(
            objective("p99<5ms and  errors <0.10%").to_string(),
            "p99 < 5ms and errors < 0.1%"
        );
    }
}
