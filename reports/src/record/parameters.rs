//! Axes and parameters: what varies between cells, as data that charts and tables are made of.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Something that varies between cells: its key in [`Parameters`], and how it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Axis {
    /// The key, such as `connections`.
    pub key: String,
    /// Title in a chart, such as `connections at once`.
    pub title: String,
    /// Unit of its values, such as `requests/s`; empty where they have none.
    #[serde(default)]
    pub unit: String,
    /// Scale of its values.
    pub scale: Scale,
}

/// Scale of the values of an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// Numbers, evenly.
    Linear,
    /// Numbers, by their logarithm; zero has a place of its own at the low end.
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
    /// Another number.
    Number(f64),
    /// A name.
    Text(String),
}

impl Parameter {
    /// The value as a number; nothing for a name.
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
