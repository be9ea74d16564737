//! Margins: how much worse each metric may become, with the reason for each size. They are data
//! (`ci/margins.toml`), and a user's own file can replace them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The margins of this project.
const BUILT_IN: &str = include_str!("../margins.toml");

/// Key of a metric → its margin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Margins(BTreeMap<String, Margin>);

/// Largest tolerated worsening of a metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Margin {
    /// Margin as a share of the base: 0.02 for 2 %.
    pub margin: f64,
    /// True if the gate stays undecided while this metric is undecided.
    #[serde(default)]
    pub decides: bool,
    /// Lower bound of the values: smaller values count as this bound, so that a change from zero
    /// has a ratio, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor: Option<f64>,
    /// The reason for this size, for the reader of a report.
    pub reason: String,
}

/// Reason why margins can't be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each says it in its message")]
pub enum MarginError {
    #[error("cannot read {}: {cause}", path.display())]
    Unreadable { path: PathBuf, cause: std::io::Error },
    #[error("the margins {}: {cause}", path.display())]
    InFile { path: PathBuf, cause: Box<MarginError> },
    #[error("line {line}: {message}")]
    Malformed { line: usize, message: String },
    #[error("there is no metric `{0}`; a record's `metrics` has all keys")]
    UnknownMetric(String),
    #[error("the margin of `{key}` is {margin}; write a share above 0 and below 1, such as 0.02")]
    OutOfRange { key: String, margin: f64 },
    #[error("neither more nor less of `{0}` is better, so that it cannot regress; leave it out")]
    NoDirection(String),
    #[error(
        "no metric decides, so that every verdict would be undecided; give one of them `decides = true`"
    )]
    NothingDecides,
}

impl Margins {
    /// Returns the margins of this project.
    pub fn built_in() -> Self {
        Self::parse(BUILT_IN).expect("the margins of this project are valid")
    }

    /// Reads the margins of a user's file, or returns the margins of this project if there is no
    /// file.
    ///
    /// # Errors
    /// When the file can't be read, or no verdict can follow from its content.
    pub fn read(file: Option<&Path>) -> Result<Self, MarginError> {
        let Some(path) = file else { return Ok(Self::built_in()) };
        let text = fs::read_to_string(path)
            .map_err(|cause| MarginError::Unreadable { path: path.to_owned(), cause })?;
        let in_file = |cause| MarginError::InFile { path: path.to_owned(), cause: Box::new(cause) };
        Self::parse(&text).map_err(in_file)
    }

    /// Reads the text of a file of margins.
    pub fn parse(text: &str) -> Result<Self, MarginError> {
        let margins: Self = toml::from_str(text).map_err(|error| malformed(text, &error))?;
        margins.iter().try_for_each(|(key, margin)| check(key, margin))?;
        if margins.decide() { Ok(margins) } else { Err(MarginError::NothingDecides) }
    }

    /// Returns true if at least one metric decides. Without a deciding metric, a gate is always
    /// undecided.
    pub fn decide(&self) -> bool {
        self.iter().any(|(_, margin)| margin.decides)
    }

    /// Keeps only the metrics whose key `is_meant` accepts.
    #[must_use]
    pub fn only(mut self, is_meant: impl Fn(&str) -> bool) -> Self {
        self.0.retain(|key, _| is_meant(key));
        self
    }

    /// Returns all margins, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Margin)> {
        self.0.iter().map(|(key, margin)| (key.as_str(), margin))
    }
}

fn check(key: &str, &Margin { margin, .. }: &Margin) -> Result<(), MarginError> {
    let metric = c10k_reports::metric::by_key(key);
    let metric = metric.ok_or_else(|| MarginError::UnknownMetric(key.to_owned()))?;
    if metric.better.is_none() {
        return Err(MarginError::NoDirection(key.to_owned()));
    }
    if margin > 0.0 && margin < 1.0 {
        Ok(())
    } else {
        Err(MarginError::OutOfRange { key: key.to_owned(), margin })
    }
}

/// Converts an error of the parser, whose message has several lines, into an error on one line.
fn malformed(text: &str, error: &toml::de::Error) -> MarginError {
    let before = error.span().map_or("", |span| &text[..span.start]);
    let line = before.matches('\n').count() + 1;
    MarginError::Malformed { line, message: error.message().replace('\n', " ") }
}

impl Margin {
    /// Returns the margin on the scale of logarithms of ratios, where worse is positive: 2 % is a
    /// ratio of 1.02, or of 0.98 if more is better.
    pub fn log(&self, more_is_better: bool) -> f64 {
        if more_is_better { -(-self.margin).ln_1p() } else { self.margin.ln_1p() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_margin_of_this_project_has_a_reason() {
        assert!(Margins::built_in().iter().all(|(_, margin)| !margin.reason.is_empty()));
    }

    #[test]
    fn a_margin_is_a_share_of_the_base_in_either_direction() {
        let margin = Margin { margin: 0.02, decides: true, floor: None, reason: String::new() };
        assert!((margin.log(false).exp() - 1.02).abs() < 1e-12);
        assert!(((-margin.log(true)).exp() - 0.98).abs() < 1e-12);
    }

    #[test]
    fn a_mistake_is_named() {
        let table =
            |key: &str, margin: &str| format!("[{key}]\nmargin = {margin}\nreason = \"r\"\n");
        let error = |text: &str| Margins::parse(text).unwrap_err().to_string();
        assert!(error(&table("cpu", "0.02")).contains("`cpu`"));
        assert!(error(&table("throughput_rps", "2")).contains("above 0 and below 1"));
        assert!(error(&table("throughput_rps", "nan")).contains("above 0 and below 1"));
        assert!(error("[throughput_rps]\nmargin = 0.1\n").contains("reason"));
        assert!(
            error(&table("tasks", "0.1")).contains("neither more nor less of `tasks` is better")
        );
        assert!(
            error(&table("throughput_rps", "0.1")).contains("give one of them `decides = true`")
        );
        let line = error("[throughput_rps]\nmargin = \n");
        assert!(line.starts_with("line 2: ") && !line.contains('\n'), "{line}");
    }
}
