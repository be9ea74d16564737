//! A metric as data: everything that a table, a chart or the gate needs to know about a number.

use crate::format;
use crate::record::Record;
use crate::statistics::lead::Better;

/// A number that a measurement gives, with everything that is needed to compute, show and compare
/// it.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Key in [`Record::metrics`], which ends in the unit.
    pub key: &'static str,
    /// Title, such as `Throughput`.
    pub title: &'static str,
    /// Unit of the value, such as `requests/s`. For a share, it says of what: `of one CPU`.
    pub unit: &'static str,
    /// Definition, in a sentence for the reader of a page.
    pub meaning: &'static str,
    /// Better direction; `None` if neither direction is better.
    pub better: Option<Better>,
    /// Notation of the value.
    pub format: Format,
    /// Function that computes the value; `None` if the record lacks an input or a divisor is zero.
    pub of: fn(&Record) -> Option<f64>,
    /// True if the metric has a column in the summary.
    pub headline: bool,
    /// Charts that show the metric.
    pub drawn: Drawn,
    /// True if tables mark the best value, provided that one direction is better.
    pub marked: bool,
    /// True if there is no value over all rounds as soon as one round has none. The rounds with
    /// enough requests for a percentile are the fast ones, so their median would be too good.
    pub of_every_round: bool,
    /// Condition that makes the value a lower bound; `None` if the value is always exact.
    pub bound: Option<Bound>,
}

/// Condition that makes a value a lower bound.
#[derive(Debug, Clone, Copy)]
pub struct Bound {
    /// Function that returns true if the value of a record is a lower bound.
    pub applies: fn(&Record) -> bool,
    /// True if the generator is the cause, false if requests without a response are.
    pub by_generator: bool,
    /// Reason, as a phrase that follows "at least this much" and a colon.
    pub reason: &'static str,
}

/// Notation of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A number with three significant digits; its unit is shown elsewhere.
    Number,
    /// A count without trailing zeros; its unit is shown elsewhere.
    Count,
    /// Microseconds, in the unit of time that fits.
    Time,
    /// Bytes, in the binary unit that fits.
    Bytes,
    /// A share (0 to 1), as a percentage.
    Share,
}

/// Charts that show a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drawn {
    /// No chart: only tables show the metric.
    Nowhere,
    /// Curves for each question.
    Curves,
    /// Curves for each question, and bars for each workload.
    CurvesAndBars,
}

/// Fields that most metrics share. The definition of a metric lists only the fields that differ.
pub(super) const PLAIN: Metric = Metric {
    key: "",
    title: "",
    unit: "",
    meaning: "",
    better: Some(Better::Lower),
    format: Format::Number,
    of: |_| None,
    headline: false,
    drawn: Drawn::Nowhere,
    marked: true,
    of_every_round: false,
    bound: None,
};

impl Metric {
    /// Returns the unit if [`Format::text`] does not write it; otherwise an empty string.
    pub fn unit_beside(&self) -> &'static str {
        match self.format {
            Format::Number | Format::Count => self.unit,
            Format::Time | Format::Bytes | Format::Share => "",
        }
    }
}

impl Bound {
    /// Explains to a reader that a value is a lower bound, with the reason.
    pub fn sentence(self) -> String {
        format!("At least this much: {}.", self.reason)
    }
}

impl Format {
    /// Formats `value` for a reader.
    pub fn text(self, value: f64) -> String {
        match self {
            Self::Number => format::significant(value),
            Self::Count => format::tick(value),
            Self::Time => format::time_ns(value * 1e3),
            Self::Bytes => format::bytes(value),
            Self::Share => format::percent(value),
        }
    }
}
