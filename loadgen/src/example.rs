//! One example of each kind of failure, and the status codes of all responses: a count by kind says
//! that something is wrong, an example says what is wrong.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Names of the kinds of failure, in the order in which they are reported.
pub const KINDS: [&str; 5] = ["connect", "reset", "timeout", "status", "protocol"];

/// One example in words of each kind of failure that occurred: the place, and what happened.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct ErrorExamples {
    /// Address and error of a connection that could not be made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect: Option<String>,
    /// Address and error of a connection that broke off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reset: Option<String>,
    /// Address of a request without a response, and the progress that it made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// All status codes from 400 with their counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Address, reason, and the faulty line where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
}

impl ErrorExamples {
    /// Takes over examples of kinds that have no example yet.
    pub fn merge(&mut self, other: &Self) {
        let Self { connect, reset, timeout, status, protocol } = self;
        for (mine, theirs) in [
            (connect, &other.connect),
            (reset, &other.reset),
            (timeout, &other.timeout),
            (status, &other.status),
            (protocol, &other.protocol),
        ] {
            if mine.is_none() {
                mine.clone_from(theirs);
            }
        }
    }

    /// Returns true if there is no example.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the kinds that have an example, in the order of [`KINDS`].
    pub fn by_kind(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let Self { connect, reset, timeout, status, protocol } = self;
        let examples = [connect, reset, timeout, status, protocol];
        KINDS
            .into_iter()
            .zip(examples)
            .filter_map(|(kind, example)| Some((kind, example.as_deref()?)))
    }
}

/// Responses by status code. In JSON, an object: code → count.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(into = "BTreeMap<String, u64>", try_from = "BTreeMap<String, u64>")]
#[cfg_attr(test, schemars(with = "BTreeMap<String, u64>"))]
pub struct StatusCodes {
    /// Counts in the order of the first responses, so that the usual code is found at once.
    counts: Vec<(u16, u64)>,
}

impl StatusCodes {
    /// Counts a response.
    pub fn count(&mut self, code: u16) {
        self.add(code, 1);
    }

    /// Adds the counts of another worker or of another interval.
    pub fn merge(&mut self, other: &Self) {
        for &(code, count) in &other.counts {
            self.add(code, count);
        }
    }

    /// Returns true if there was no response.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Returns the counts by class, such as `2xx`, in ascending order.
    pub fn classes(&self) -> Vec<(String, u64)> {
        let mut classes = BTreeMap::new();
        for (code, count) in &self.counts {
            *classes.entry(code / 100).or_default() += count;
        }
        classes.into_iter().map(|(class, count)| (format!("{class}xx"), count)).collect()
    }

    /// Returns the codes from 400 with their counts, the most frequent first: `404 (12 times), 503
    /// (once)`; `None` if there are no such codes.
    pub fn failures(&self) -> Option<String> {
        let mut failures: Vec<_> = self.counts.iter().filter(|(code, _)| *code >= 400).collect();
        failures.sort_by_key(|(code, count)| (std::cmp::Reverse(*count), *code));
        let texts = failures.into_iter().map(|(code, count)| match count {
            1 => format!("{code} (once)"),
            count => format!("{code} ({count} times)"),
        });
        Some(texts.collect::<Vec<_>>().join(", ")).filter(|text| !text.is_empty())
    }

    fn add(&mut self, code: u16, count: u64) {
        match self.counts.iter_mut().find(|(known, _)| *known == code) {
            Some((_, total)) => *total += count,
            None => self.counts.push((code, count)),
        }
    }
}

impl From<StatusCodes> for BTreeMap<String, u64> {
    fn from(codes: StatusCodes) -> Self {
        codes.counts.into_iter().map(|(code, count)| (code.to_string(), count)).collect()
    }
}

impl TryFrom<BTreeMap<String, u64>> for StatusCodes {
    type Error = std::num::ParseIntError;

    fn try_from(counts: BTreeMap<String, u64>) -> Result<Self, Self::Error> {
        let counts = counts.into_iter().map(|(code, count)| Ok((code.parse()?, count)));
        Ok(Self { counts: counts.collect::<Result<_, Self::Error>>()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_example_of_a_kind_stays() {
        let example = |text: &str| Some(text.to_owned());
        let mut mine = ErrorExamples { reset: example("first"), ..ErrorExamples::default() };
        let theirs = ErrorExamples {
            reset: example("second"),
            connect: example("third"),
            ..ErrorExamples::default()
        };
        mine.merge(&theirs);
        assert_eq!(mine.by_kind().collect::<Vec<_>>(), [("connect", "third"), ("reset", "first")]);
        assert!(ErrorExamples::default().is_empty() && !mine.is_empty());
    }

    #[test]
    fn status_codes_are_counted_by_code_and_reported_by_class() {
        let mut codes = StatusCodes::default();
        for code in [200, 404, 503, 404, 204] {
            codes.count(code);
        }
        let mut all = codes.clone();
        all.merge(&codes);
        let classes =
            [("2xx", 4), ("4xx", 4), ("5xx", 2)].map(|(class, count)| (class.to_owned(), count));
        assert_eq!(all.classes(), classes);
        assert_eq!(codes.failures().unwrap(), "404 (2 times), 503 (once)");
        assert_eq!(StatusCodes::default().failures(), None);
    }

    #[test]
    fn status_codes_are_an_object_in_json() {
        let codes = StatusCodes { counts: vec![(200, 7), (404, 1)] };
        let json = serde_json::to_string(&codes).unwrap();
        assert_eq!(json, r#"{"200":7,"404":1}"#);
        assert_eq!(serde_json::from_str::<StatusCodes>(&json).unwrap(), codes);
    }
}
