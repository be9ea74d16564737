//! Axes and parameters: the properties that vary between cells, as data for charts and tables.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Property that varies between cells: its key in [`Parameters`], and the way it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Axis {
    /// The key, such as `connections`.
    pub key: String,
    /// Title in a chart, such as `connections at once`.
    pub title: String,
    /// Unit of its values, such as `requests/s`; empty if they have none.
    #[serde(default)]
    pub unit: String,
    /// Scale of its values.
    pub scale: Scale,
}

/// Scale of the values of an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// Numbers, evenly spaced.
    Linear,
    /// Numbers, spaced by their logarithm; zero has a place of its own at the low end.
    Log,
    /// Names without an order.
    Category,
}

/// Parameters of a cell: axis key → value.
pub type Parameters = BTreeMap<String, Parameter>;

/// The value of an axis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Parameter {
    /// A count.
    Count(u64),
    /// Any other number.
    Number(f64),
    /// A name.
    Text(String),
}

impl Parameter {
    /// Returns the value as a number; `None` for a name.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Count(count) => Some(*count as f64),
            Self::Number(number) => Some(*number),
            Self::Text(_) => None,
        }
    }
}

impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}
