//! Claims: a published statement, and the findings that are needed for it to hold.

use serde::{Deserialize, Serialize};

use super::parameters::Parameters;

/// A published statement and its test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The statement, in a sentence.
    pub says: String,
    /// Author of the statement, and the place where it was published.
    pub source: String,
    /// Predicates that must all hold.
    pub predicate: Vec<Predicate>,
}

/// A number of a cell, or its ratio to the same number of another cell, and its bounds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Predicate {
    /// Key of the metric.
    pub metric: String,
    /// Cell that the number belongs to.
    pub of: Selector,
    /// Cell whose number divides that of `of`, round by round; `None` for the number itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<Selector>,
    /// Bound that the number or ratio must be above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above: Option<f64>,
    /// Bound that the number or ratio must be below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<f64>,
}

/// Selection of a cell: its subject, and as many of its parameters as are needed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Selector {
    /// Name of the subject.
    pub subject: String,
    /// Parameters of the cell: axis key → value.
    #[serde(flatten)]
    pub parameters: Parameters,
}

impl Selector {
    /// Returns true if the selector means a cell of `subject` with `parameters`.
    pub fn means(&self, subject: &str, parameters: &Parameters) -> bool {
        let has = |(key, value): (&String, _)| parameters.get(key) == Some(value);
        self.subject == subject && self.parameters.iter().all(has)
    }
}
