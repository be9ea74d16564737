//! Three ways to take the head of a request apart: by a regular expression, by splitting it, and by
//! the parser that the servers use.
//!
//! The first two are written as they are in lecture notes and first attempts, and not better.
//! `docs/PARSERS.md` says what they get wrong, and `tests/parsers.rs` shows it.

use std::sync::LazyLock;

use regex::Regex;

/// Parts of a request, as they stand in its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request<'a> {
    pub method: &'a str,
    pub target: &'a str,
    pub version: &'a str,
    pub fields: Vec<(&'a str, &'a [u8])>,
}

/// A way to take a request apart; it returns `None` if it can't.
pub type Parse = fn(&[u8]) -> Option<Request<'_>>;

/// The three, by name.
pub const ALL: [(&str, Parse); 3] =
    [("regex", by_regex), ("split", by_splitting), ("httparse", by_httparse)];

static LINE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(?<method>\w+) (?<target>\S+) (?<version>HTTP/\d\.\d)\r\n")
        .expect("the expression is valid")
});

static FIELD: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?m)^(?<name>[\w-]+): (?<value>.*)\r$").expect("the expression is valid")
});

/// Matches the request line, and then every line that looks like a field.
pub fn by_regex(bytes: &[u8]) -> Option<Request<'_>> {
    let text = str::from_utf8(bytes).ok()?;
    let line = LINE.captures(text)?;
    let part = |name| line.name(name).map(|part| part.as_str());
    let fields = FIELD.captures_iter(&text[line.get(0)?.end()..]).filter_map(|field| {
        Some((field.name("name")?.as_str(), field.name("value")?.as_str().as_bytes()))
    });
    Some(Request {
        method: part("method")?,
        target: part("target")?,
        version: part("version")?,
        fields: fields.collect(),
    })
}

/// Splits the head into lines, the first line at its spaces and the others at their colons.
pub fn by_splitting(bytes: &[u8]) -> Option<Request<'_>> {
    let (head, _) = str::from_utf8(bytes).ok()?.split_once("\r\n\r\n")?;
    let mut lines = head.split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    Some(Request {
        method,
        target,
        version,
        fields: lines.map(split_field).collect::<Option<_>>()?,
    })
}

fn split_field(line: &str) -> Option<(&str, &[u8])> {
    let (name, value) = line.split_once(':')?;
    Some((name.trim(), value.trim().as_bytes()))
}

/// Has the crate `httparse` do it, as the servers have.
pub fn by_httparse(bytes: &[u8]) -> Option<Request<'_>> {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut fields);
    if request.parse(bytes).ok()?.is_partial() {
        return None;
    }
    Some(Request {
        method: request.method?,
        target: request.path?,
        version: if request.version? == 0 { "HTTP/1.0" } else { "HTTP/1.1" },
        fields: request.headers.iter().map(|field| (field.name, field.value)).collect(),
    })
}
