//! Placeholders such as `{port}` in the words of a command and in the files of a server.
//!
//! Only a lower-case name between braces is a placeholder: configurations have braces of their own.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::LazyLock;

use regex::{Captures, Regex};

static PLACEHOLDER: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\{([a-z_]+)\}").expect("the expression is valid"));

/// Values of placeholders, by name.
#[derive(Debug, Default)]
pub struct Values<'a>(BTreeMap<&'a str, String>);

impl<'a> Values<'a> {
    /// Sets the value of `{name}`.
    pub fn set(&mut self, name: &'a str, value: impl Display) {
        self.0.insert(name, format!("{value}"));
    }

    /// Returns the text with its values filled in; a placeholder without a value stays as it is.
    pub fn fill(&self, text: &str) -> String {
        let value = |found: &Captures<'_>| match self.0.get(&found[1]) {
            Some(value) => Cow::Borrowed(value.as_str()),
            None => Cow::Owned(found[0].to_owned()),
        };
        PLACEHOLDER.replace_all(text, value).into_owned()
    }
}

/// Returns the names of the placeholders in a text.
pub fn names(text: &str) -> impl Iterator<Item = &str> {
    PLACEHOLDER.captures_iter(text).filter_map(|found| found.get(1).map(|name| name.as_str()))
}

/// Returns the text with `by` in place of every placeholder.
pub fn replace_all<'a>(text: &'a str, by: &str) -> Cow<'a, str> {
    PLACEHOLDER.replace_all(text, by)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_what_it_knows_and_leaves_all_other_braces() {
        let mut values = Values::default();
        values.set("port", 80);
        let text = "events { } types {} {port} {Port} {dir} {port}x";
        assert_eq!(values.fill(text), "events { } types {} 80 {Port} {dir} 80x");
        assert_eq!(names(text).collect::<Vec<_>>(), ["port", "dir", "port"]);
    }
}
