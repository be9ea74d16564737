//! A metric as data: everything that a table, a chart or the gate has to know of a number.

use crate::format;
use crate::record::Record;
use crate::statistics::lead::Better;

/// A number of a measurement, with what is needed to compute, show and compare it.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its key in [`Record::metrics`], which ends in its unit.
    pub key: &'static str,
    /// Title, such as `Throughput`.
    pub title: &'static str,
    /// Unit of its value, such as `requests/s`.
    pub unit: &'static str,
    /// Definition, in a sentence for the reader of a page.
    pub meaning: &'static str,
    /// The better direction; nothing where neither is better.
    pub better: Option<Better>,
    /// Notation of its value.
    pub format: Format,
    /// Its value, where the record holds what it is computed from.
    pub of: fn(&Record) -> Option<f64>,
    /// Whether it has a column in the summary.
    pub headline: bool,
    /// Charts that show it.
    pub drawn: Drawn,
    /// Whether tables mark its best value, where one direction is better.
    pub marked: bool,
    /// Whether it has no value over rounds where one of them has none. The rounds with enough
    /// requests for a percentile are the fast ones, and their median would flatter.
    pub of_every_round: bool,
    /// What makes its value a lower bound; nothing where it is always exact.
    pub bound: Option<Bound>,
}

/// What makes a value a lower bound.
#[derive(Debug, Clone, Copy)]
pub struct Bound {
    /// Whether the value of a record is one.
    pub applies: fn(&Record) -> bool,
    /// Whether the generator causes it, and not requests without an answer.
    pub by_generator: bool,
    /// The reason, to go on after "at least this much" and a colon.
    pub reason: &'static str,
}

/// Notation of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A number with three digits; its unit stands elsewhere.
    Number,
    /// A count, without digits that say nothing; its unit stands elsewhere.
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
    /// None: tables only.
    Nowhere,
    /// Curves for each question.
    Curves,
    /// Curves for each question, and bars for each workload.
    CurvesAndBars,
}

/// The fields that most metrics share. A metric is written as what differs from them.
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
    /// The unit where [`Format::text`] does not write it; empty where it does.
    pub fn unit_beside(&self) -> &'static str {
        match self.format {
            Format::Number | Format::Count => self.unit,
            Format::Time | Format::Bytes | Format::Share => "",
        }
    }
}

impl Bound {
    /// What a reader has to know of such a value.
    pub fn sentence(self) -> String {
        format!("At least this much: {}.", self.reason)
    }
}

impl Format {
    /// `value` as a reader sees it.
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
