//! TOML files that people write: read strictly, and what is wrong with one is told in one line with
//! its number.

use anyhow::Result;
use serde::de::DeserializeOwned;

/// Reads `text`.
///
/// # Errors
/// With the number of the line and what is wrong there.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T> {
    toml::from_str(text).map_err(|error| one_line(text, &error))
}

/// The parser explains over several lines; an error here has one.
fn one_line(text: &str, error: &toml::de::Error) -> anyhow::Error {
    let line = error.span().map_or(1, |span| line_of(text, span.start));
    anyhow::anyhow!("line {line}: {}", error.message().replace('\n', " "))
}

/// The number of the line, from 1, in which a byte lies.
pub fn line_of(text: &str, byte: usize) -> usize {
    text[..byte].matches('\n').count() + 1
}
