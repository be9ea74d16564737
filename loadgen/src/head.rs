//! Meaning of a response's head: status, framing of the body, and whether the connection stays.
//!
//! [`KnownHead`] makes this cheap: servers repeat their heads, and a head that was parsed before
//! only needs to be compared.

use memchr::memchr_iter;

use crate::protocol_error::{MAX_HEADERS, ProtocolError, Reason};

/// Meaning of a response's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The status code.
    pub status: u16,
    /// True if the server keeps the connection open after this response.
    pub keep_alive: bool,
    /// Index of the request's kind in `KnownHead::kinds`; `None` if the response names no kind.
    pub kind: Option<u8>,
    pub(crate) framing: Framing,
}

impl Head {
    /// Returns true if a response to GET has a body that was asked for, which may be empty (RFC
    /// 9110, section 6.4.1).
    pub fn has_body(&self) -> bool {
        matches!(self.status, 200..300) && self.status != 204
    }
}

/// End of a response's body (RFC 9112, section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(u64),
    Chunked,
    UntilClose,
}

/// Last head that was parsed, with its meaning.
#[derive(Debug, Default)]
pub struct KnownHead {
    bytes: Vec<u8>,
    meaning: Option<Head>,
    kinds: Kinds,
}

/// Kinds of requests that responses have named, in the order in which they came.
#[derive(Debug, Default)]
struct Kinds(Vec<String>);

/// Most kinds that are kept apart. A server that names more uses the field for something else.
const MAX_KINDS: usize = 8;

impl Kinds {
    /// Returns the index of the kind that the value of a field `Server-Timing` begins with: the
    /// name of its first metric.
    fn number(&mut self, value: &[u8]) -> Option<u8> {
        let is_token =
            |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
        let name =
            value.trim_ascii_start().split(|byte| !is_token(byte)).next().unwrap_or_default();
        let name = std::str::from_utf8(name).ok().filter(|name| !name.is_empty())?;
        let known = self.0.iter().position(|known| known == name);
        let number = known.or_else(|| {
            (self.0.len() < MAX_KINDS).then(|| {
                self.0.push(name.to_owned());
                self.0.len() - 1
            })
        });
        number.map(|number| number as u8)
    }
}

impl KnownHead {
    /// Returns the name of the kind with this index.
    pub fn kind(&self, number: u8) -> &str {
        &self.kinds.0[usize::from(number)]
    }

    /// Returns the meaning of this head and its length, if `bytes` begin with it and are the
    /// beginning of a response.
    pub(crate) fn meaning_of(&self, bytes: &[u8], is_begin: bool) -> Option<(Head, usize)> {
        let head = self.meaning.filter(|_| is_begin && bytes.starts_with(&self.bytes))?;
        Some((head, self.bytes.len()))
    }

    /// Parses a complete head, and keeps it with its meaning.
    pub(crate) fn learn(&mut self, bytes: &[u8], to_head: bool) -> Result<Head, ProtocolError> {
        let head = parse(bytes, to_head, &mut self.kinds)?;
        self.bytes.clear();
        self.bytes.extend_from_slice(bytes);
        self.meaning = Some(head);
        Ok(head)
    }
}

/// Returns the end of the head that `bytes` begin with, which is right after the empty line. The
/// search begins at `from`. A line may end with a bare LF (RFC 9112, section 2.2).
pub(crate) fn head_end(bytes: &[u8], from: usize) -> Option<usize> {
    let ends = memchr_iter(b'\n', &bytes[from..]).map(|end| from + end + 1);
    let mut ends = ends.map(|line| (line, &bytes[line..]));
    ends.find_map(|(line, next)| match next {
        [b'\n', ..] => Some(line + 1),
        [b'\r', b'\n', ..] => Some(line + 2),
        _ => None,
    })
}

/// Fields that are read without a memory allocation: most servers send about a dozen.
const USUAL_HEADERS: usize = 64;

/// Reads a complete head and passes its status, version and fields to `then`. A folded field is one
/// field, and whitespace in its value may be a fold (RFC 9112, section 5.2).
pub(crate) fn with_head<T>(
    bytes: &[u8],
    then: impl FnOnce(&httparse::Response<'_, '_>) -> Result<T, Reason>,
) -> Result<T, Reason> {
    let mut usual = [httparse::EMPTY_HEADER; USUAL_HEADERS];
    let mut many = Vec::new();
    let mut response = httparse::Response::new(&mut usual);
    let mut config = httparse::ParserConfig::default();
    config.allow_obsolete_multiline_headers_in_responses(true);
    let mut parsed = config.parse_response(&mut response, bytes);
    if parsed == Err(httparse::Error::TooManyHeaders) {
        many.resize(MAX_HEADERS, httparse::EMPTY_HEADER);
        response = httparse::Response::new(&mut many);
        parsed = config.parse_response(&mut response, bytes);
    }
    match parsed {
        Ok(httparse::Status::Complete(length)) if length == bytes.len() => then(&response),
        Ok(_) => Err(Reason::HeadEnd),
        Err(httparse::Error::TooManyHeaders) => Err(Reason::ManyFields),
        Err(error) => Err(Reason::Head(error)),
    }
}

fn parse(bytes: &[u8], to_head: bool, kinds: &mut Kinds) -> Result<Head, ProtocolError> {
    let read = with_head(bytes, |response| Ok(meaning(response, bytes, to_head, kinds)));
    read.map_err(|reason| ProtocolError::of_head(reason, bytes))?
}

fn meaning(
    response: &httparse::Response<'_, '_>,
    bytes: &[u8],
    to_head: bool,
    kinds: &mut Kinds,
) -> Result<Head, ProtocolError> {
    let at = |reason| ProtocolError::of_head(reason, bytes);
    let (status, version) =
        response.code.zip(response.version).ok_or_else(|| at(Reason::HeadEnd))?;
    if status == 101 {
        return Err(at(Reason::Switched));
    }
    let mut length = None;
    let mut chunked = None;
    let mut close = false;
    let mut keep_alive = false;
    let mut kind = None;
    for header in response.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") {
            let value = content_length(header.value.trim_ascii());
            let value = value.filter(|&value| length.is_none_or(|(before, _)| before == value));
            let value = value.ok_or_else(|| ProtocolError::of_field(Reason::Length, header))?;
            length = Some((value, header));
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            let last = header.value.rsplit(|&byte| byte == b',').next().unwrap_or_default();
            chunked = Some(last.trim_ascii().eq_ignore_ascii_case(b"chunked"));
        } else if header.name.eq_ignore_ascii_case("connection") {
            for option in header.value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
                close |= option.eq_ignore_ascii_case(b"close");
                keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
            }
        } else if header.name.eq_ignore_ascii_case("server-timing") {
            kind = kind.or_else(|| kinds.number(header.value));
        }
    }
    let framing = match (chunked, length) {
        _ if to_head || matches!(status, 100..200 | 204 | 304) => Framing::Length(0),
        (Some(_), Some((_, header))) => {
            return Err(ProtocolError::of_field(Reason::TwoFramings, header));
        }
        (Some(true), None) => Framing::Chunked,
        (Some(false) | None, None) => Framing::UntilClose,
        (None, Some((length, _))) => Framing::Length(length),
    };
    let keep_alive = !close && (version == 1 || keep_alive) && framing != Framing::UntilClose;
    Ok(Head { status, keep_alive, kind, framing })
}

fn content_length(value: &[u8]) -> Option<u64> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(value).ok().filter(|_| digits).and_then(|text| text.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_timing_names_the_kind_of_the_request() {
        let mut known = KnownHead::default();
        let mut kind = |field: &str| {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{field}\r\n");
            let head = known.learn(head.as_bytes(), false).unwrap();
            head.kind.map(|kind| known.kind(kind).to_owned())
        };
        assert_eq!(kind(""), None);
        for (field, name) in [
            ("Server-Timing: cheap", "cheap"),
            ("server-timing:db;dur=53, app;dur=47.2", "db"),
            ("Server-Timing: cheap\r\nServer-Timing: wait", "cheap"),
        ] {
            assert_eq!(kind(&format!("{field}\r\n")).as_deref(), Some(name), "{field}");
        }
        assert_eq!(kind("Server-Timing: ;\r\n"), None);
        for name in 0..MAX_KINDS {
            kind(&format!("Server-Timing: {name}\r\n"));
        }
        assert_eq!(kind("Server-Timing: one-too-many\r\n"), None);
    }

    #[test]
    fn keep_alive_depends_on_version_framing_and_connection_field() {
        let keep_alive =
            |head: &str| parse(head.as_bytes(), false, &mut Kinds::default()).unwrap().keep_alive;
        assert!(keep_alive("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
        assert!(!keep_alive("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: Close\r\n\r\n"));
        assert!(!keep_alive("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"));
        assert!(keep_alive(
            "HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n"
        ));
        assert!(!keep_alive("HTTP/1.1 200 OK\r\n\r\n"));
    }

    #[test]
    fn a_folded_field_is_one_field() {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: x,\r\n close\r\n\r\n";
        let head = parse(head, false, &mut Kinds::default());
        assert!(!head.unwrap().keep_alive);
    }

    #[test]
    fn an_error_of_a_head_shows_the_field_at_fault_if_it_is_known() {
        let shown = |head: &str| {
            let head = format!("HTTP/1.1 {head}\r\n\r\n");
            parse(head.as_bytes(), false, &mut Kinds::default()).unwrap_err().to_string()
        };
        for (head, line) in [
            ("200 OK\r\nX: y\r\nContent-Length: 0x5", "\"Content-Length: 0x5\""),
            ("200 OK\r\nContent-Length: 5\r\ncontent-length: 6", "\"content-length: 6\""),
            ("200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 7", "\"Content-Length: 7\""),
            ("abc OK\r\nX: y", "\"HTTP/1.1 abc OK\""),
            ("101 Switching Protocols\r\nUpgrade: h2c", "\"HTTP/1.1 101 Switching Protocols\""),
            ("200 OK\r\nX: y\r\nno colon", "the head of the response has an invalid header name"),
        ] {
            assert!(shown(head).ends_with(line), "{} and not {line}", shown(head));
        }
    }
}
