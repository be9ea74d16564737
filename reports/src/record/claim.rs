//! Claims: a statement that somebody has published, and what would have to be found for it to hold.

use serde::{Deserialize, Serialize};

use super::parameters::Parameters;

/// A published statement and its test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The statement, in a sentence.
    pub says: String,
    /// Who says so, and where.
    pub source: String,
    /// What has to be found, all of it.
    pub predicate: Vec<Predicate>,
}

/// A number of a cell, or its ratio to that of another cell, and its bounds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Predicate {
    /// Key of the metric.
    pub metric: String,
    /// The cell.
    pub of: Selector,
    /// The cell that it is divided by, round by round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<Selector>,
    /// It lies above that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above: Option<f64>,
    /// It lies below that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<f64>,
}

/// Says which cell is meant: its subject, and as many of its parameters as are needed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Selector {
    /// Name of the subject.
    pub subject: String,
    /// Parameters of the cell: axis key → value.
    #[serde(flatten)]
    pub parameters: Parameters,
}

impl Selector {
    /// Whether it means a cell of that subject with those parameters.
    pub fn means(&self, subject: &str, parameters: &Parameters) -> bool {
        let has = |(key, value): (&String, _)| parameters.get(key) == Some(value);
        self.subject == subject && self.parameters.iter().all(has)
    }
}
