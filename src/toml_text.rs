//! TOML files that people write. They are read strictly, and an error is one line that names the
//! line of the file.

use anyhow::Result;
use serde::de::DeserializeOwned;

use crate::nearest::nearest;

/// Parses `text`.
///
/// # Errors
/// When `text` is not valid. The error names the line and what is wrong there.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T> {
    toml::from_str(text).map_err(|error| one_line(text, &error))
}

/// Shortens an error of the parser, which has several lines, to one line.
fn one_line(text: &str, error: &toml::de::Error) -> anyhow::Error {
    let line = error.span().map_or(1, |span| line_of(text, span.start));
    anyhow::anyhow!("line {line}: {}", with_nearest(&error.message().replace('\n', " ")))
}

/// Returns the message of the parser, with the nearest name in place of the list of all expected
/// names. Messages with a list are `unknown field` or `unknown variant`, followed by "`x`, expected
/// one of `a`, `b`".
fn with_nearest(message: &str) -> String {
    let Some((unknown, expected)) = message.split_once(", expected one of ") else {
        return message.to_owned();
    };
    let quoted = |text| -> Vec<&str> { str::split(text, '`').skip(1).step_by(2).collect() };
    match (&quoted(unknown)[..], quoted(expected)) {
        ([wrong], known) if unknown.starts_with("unknown ") => {
            unknown.to_owned() + &nearest(wrong, known.into_iter())
        }
        _ => message.to_owned(),
    }
}

/// Returns the number of the line, from 1, that contains a byte.
pub fn line_of(text: &str, byte: usize) -> usize {
    text[..byte].matches('\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_of_the_expected_names_is_suggested() {
        let message = "unknown field `round`, expected one of `name`, `rounds`";
        assert_eq!(with_nearest(message), "unknown field `round`; did you mean `rounds`?");
        for message in ["missing field `name`", "invalid type: string, expected one of these"] {
            assert_eq!(with_nearest(message), message);
        }
    }
}
