//! Filters of cells: `AXIS=VALUE`, or a regular expression over `SUBJECT/WORKLOAD`.

use std::fmt;

use anyhow::{Context, Result, bail};
use c10k_reports::record::Parameters;
use regex::Regex;

use super::axis;
use crate::nearest::nearest;

/// Text that stands for the value of an axis that a cell does not use, as in `rate=none`.
const NONE: &str = "none";

/// A condition that selects cells.
#[derive(Debug, Clone)]
pub struct Filter {
    text: String,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    /// The value of an axis equals this text.
    Axis { key: &'static str, value: String },
    /// The label of the cell matches.
    Label(Regex),
}

impl Filter {
    /// Returns true if the filter accepts a cell.
    pub fn lets_through(&self, label: &str, parameters: &Parameters) -> bool {
        match &self.kind {
            Kind::Label(regex) => regex.is_match(label),
            Kind::Axis { key, value } => {
                parameters.get(*key).map_or_else(|| NONE.to_owned(), ToString::to_string) == *value
            }
        }
    }
}

impl std::str::FromStr for Filter {
    type Err = anyhow::Error;

    /// Reads `AXIS=VALUE` if the text begins with a word and `=`, else a regular expression.
    fn from_str(text: &str) -> Result<Self> {
        let is_key =
            |key: &str| !key.is_empty() && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        let kind = match text.split_once('=') {
            Some((key, value)) if is_key(key) => match axis::find(key) {
                Some(axis) => Kind::Axis { key: axis.key, value: value.to_owned() },
                None => {
                    bail!(
                        "there is no axis `{key}`{}",
                        nearest(key, axis::ALL.iter().map(|axis| axis.key))
                    )
                }
            },
            _ => Kind::Label(
                Regex::new(text).with_context(|| format!("`{text}` is no regular expression"))?,
            ),
        };
        Ok(Self { text: text.to_owned(), kind })
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use c10k_reports::record::Parameter;

    use super::*;

    fn lets_through(filter: &str) -> bool {
        let parameters = Parameters::from([("connections".to_owned(), Parameter::Count(64))]);
        filter.parse::<Filter>().unwrap().lets_through("epoll/short-64", &parameters)
    }

    #[test]
    fn an_axis_filter_compares_whole_values() {
        assert!(lets_through("connections=64"));
        assert!(!lets_through("connections=6"));
        assert!(lets_through("rate=none"));
    }

    #[test]
    fn anything_else_is_a_regular_expression_over_the_label() {
        assert!(lets_through("^epoll/.*64"));
        assert!(!lets_through("^short"));
    }

    #[test]
    fn an_unknown_axis_is_refused_with_the_nearest() {
        let error = "conections=64".parse::<Filter>().unwrap_err().to_string();
        assert!(error.contains("`connections`"), "{error}");
        assert!("(".parse::<Filter>().is_err());
    }
}
