//! Definition of a check: what each file of this folder holds, and the forms of its result.

use serde::{Deserialize, Serialize};

use crate::measurement::Measurement;

/// A validity test of one measurement.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    /// Name in kebab case.
    pub name: &'static str,
    /// Judges a measurement; `None` if the check does not apply to it.
    pub(super) judge: fn(&Measurement) -> Option<Judgement>,
}

/// Result of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Judgement {
    /// Verdict in one word.
    pub verdict: Verdict,
    /// Sentence with the numbers behind the verdict, and with the next step if something is wrong.
    pub detail: String,
    /// Meaning for the numbers, if the check did not pass.
    pub effect: Option<Effect>,
}

/// Meaning of a check that did not pass, for the numbers of its measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// The generator set the pace: the server can do at least this throughput.
    ThroughputIsABound,
    /// Other programs took processors from one side: another run would show other numbers.
    Disturbed,
    /// Some connections had no response: percentiles and costs are of the served connections only.
    ServedConnectionsOnly,
}

/// Degree to which a measurement can be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It can be believed in this respect.
    Pass,
    /// It can be believed if the detail is kept in mind.
    Warn,
    /// It can't be believed.
    Fail,
}

/// Result of one check of a measurement, as it is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CheckOutcome {
    /// Name of the check, such as `littles-law`.
    pub name: String,
    /// Verdict in one word.
    pub verdict: Verdict,
    /// Sentence with the numbers behind the verdict.
    pub detail: String,
    /// Meaning for the numbers; absent if the check passed or the detail says everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<Effect>,
}

impl Check {
    /// Judges a measurement; `None` if the check does not apply to it.
    pub fn outcome(&self, measured: &Measurement) -> Option<CheckOutcome> {
        let Judgement { verdict, detail, effect } = (self.judge)(measured)?;
        Some(CheckOutcome { name: self.name.to_owned(), verdict, detail, effect })
    }
}

impl Judgement {
    pub(super) fn new(verdict: Verdict, detail: String) -> Self {
        Self { verdict, detail, effect: None }
    }

    /// Adds the effect on the numbers, unless the check passed.
    pub(super) fn with_effect(self, effect: Effect) -> Self {
        Self { effect: (self.verdict != Verdict::Pass).then_some(effect), ..self }
    }
}

impl Verdict {
    /// Judges a value by its size: above `fail` it fails, above `warn` it warns.
    pub(super) fn above(value: f64, warn: f64, fail: f64) -> Self {
        match value {
            value if value > fail => Self::Fail,
            value if value > warn => Self::Warn,
            _ => Self::Pass,
        }
    }
}

/// Formats a share as a percentage with at least two significant digits.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let digits = if percent == 0.0 || percent >= 10.0 {
        0
    } else {
        (1.0 - percent.log10().floor()) as usize
    };
    format!("{percent:.digits$} %")
}

/// Formats nanoseconds for people.
pub(super) fn time(nanoseconds: u64) -> String {
    match nanoseconds as f64 {
        ns if ns < 1e6 => format!("{:.1} µs", ns / 1e3),
        ns => format!("{:.1} ms", ns / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_keep_two_digits() {
        let texts = [0.0, 0.000_12, 0.0123, 0.5, 1.0].map(percent);
        assert_eq!(texts, ["0 %", "0.012 %", "1.2 %", "50 %", "100 %"]);
    }
}
