//! The client's side of one connection, without I/O: it receives the bytes of the server and
//! reports when a response is complete.
//!
//! Every response is checked for its status and its framing, byte by byte (RFC 9112, section 6.3).
//! [`KnownHead`] makes that cheap: servers repeat themselves, and a head that was parsed before
//! only needs to be compared.

use std::fmt;

use memchr::{memchr, memchr_iter};

/// Longest head of a response that is read, as in curl.
pub(crate) const MAX_HEAD_BYTES: usize = 300 * 1024;

/// Longest line that gives a chunk's size, and longest trailer line.
const MAX_LINE_BYTES: usize = 8 * 1024;

/// Meaning of a response's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The status code.
    pub status: u16,
    /// True if the server keeps the connection open after this response.
    pub keep_alive: bool,
    /// Kind of the request as the response names it, a number of [`KnownHead::kinds`]; none if it
    /// names none.
    pub kind: Option<u8>,
    framing: Framing,
}

impl Head {
    /// Returns true if a response to GET has a body that was asked for, which may be empty (RFC
    /// 9110, section 6.4.1).
    pub fn has_body(&self) -> bool {
        matches!(self.status, 200..300) && self.status != 204
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
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

/// Most kinds that are told apart. A server that names more means something else by the field.
const MAX_KINDS: usize = 8;

impl Kinds {
    /// Returns the number of the kind that the value of a field `Server-Timing` begins with: the
    /// name of its first metric.
    fn number(&mut self, value: &[u8]) -> Option<u8> {
        let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
        let name = value.trim_ascii_start().split(|byte| !is_token(byte)).next().unwrap_or_default();
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

/// Error for bytes that are not a response in HTTP/1.1: the reason, and the line at fault if one is
/// known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtocolError {
    reason: Reason,
    line: Option<String>,
}

/// Fault of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The bytes do not begin with `HTTP/1.`.
    #[error("the answer does not begin with HTTP/1.")]
    NotHttp,
    /// The head has no end within [`MAX_HEAD_BYTES`].
    #[error("the head of the answer is longer than {} KiB", MAX_HEAD_BYTES / 1024)]
    LongHead,
    /// The head has more than [`MAX_HEADERS`] fields.
    #[error("the head of the answer has more than {MAX_HEADERS} fields")]
    ManyFields,
    /// The grammar does not allow the head.
    #[error("the head of the answer has an {0}")]
    Head(httparse::Error),
    /// The end of the head is in doubt.
    #[error("the head of the answer has no clear end")]
    HeadEnd,
    /// `Content-Length` has several values, or none that is a number.
    #[error("Content-Length is not one number")]
    Length,
    /// `Content-Length` beside `Transfer-Encoding` allows response splitting; an honest server does
    /// not send both.
    #[error("Content-Length stands beside Transfer-Encoding")]
    TwoFramings,
    /// The server switches protocols: what follows is not HTTP/1.1 (RFC 9110, section 15.2.2).
    #[error("the server switches to another protocol")]
    Switched,
    /// The size of a chunk is not hexadecimal.
    #[error("the size of a chunk is not a number")]
    ChunkSize,
    /// A chunk has bytes beyond its size.
    #[error("a chunk is longer than its size")]
    ChunkEnd,
    /// A line between chunks is longer than [`MAX_LINE_BYTES`].
    #[error("a line between chunks is longer than {} KiB", MAX_LINE_BYTES / 1024)]
    LongLine,
    /// A line between chunks ends with a bare LF, which RFC 9112, section 2.2, allows in heads
    /// only.
    #[error("a line between chunks does not end with CRLF")]
    LineEnd,
    /// Bytes follow the response: the length that it gave was wrong, or there are two responses.
    #[error("bytes follow the answer")]
    Excess,
}

/// Most bytes of a line that are shown: enough to see which protocol it is.
const SHOWN_BYTES: usize = 80;

impl ProtocolError {
    /// Creates an error about the line that `bytes` begin with.
    pub fn new(reason: Reason, bytes: &[u8]) -> Self {
        let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default().trim_ascii_end();
        let shown = line[..line.len().min(SHOWN_BYTES)].escape_ascii();
        let line = format!("{shown}{}", if line.len() > SHOWN_BYTES { "…" } else { "" });
        Self { reason, line: Some(line) }
    }

    /// Creates an error about the head that `bytes` begin with. The parser names no position, so
    /// that only faults of the status line have a line.
    fn of_head(reason: Reason, bytes: &[u8]) -> Self {
        match reason {
            Reason::NotHttp
            | Reason::Switched
            | Reason::Head(httparse::Error::Status | httparse::Error::Version) => Self::new(reason, bytes),
            _ => Self { reason, line: None },
        }
    }

    fn of_field(reason: Reason, field: &httparse::Header<'_>) -> Self {
        Self::new(reason, &[field.name.as_bytes(), b": ", field.value].concat())
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.line {
            Some(line) => write!(f, "{}: \"{line}\"", self.reason),
            None => self.reason.fmt(f),
        }
    }
}

/// Result of receiving bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The response is not complete yet.
    Partial,
    /// The response is complete, and `consumed` of the bytes belong to it.
    Whole { head: Head, consumed: usize },
}

/// Reader of the responses of one connection, one after the other.
#[derive(Debug, Default)]
pub struct Connection {
    state: State,
    /// Bytes of a head, chunk line or trailer that came in pieces.
    partial: Vec<u8>,
    /// Length of the response's body, as far as it is known.
    body_bytes: u64,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Head,
    Length {
        head: Head,
        left: u64,
    },
    Chunk {
        head: Head,
        part: Part,
    },
    UntilClose {
        head: Head,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    SizeLine,
    Data { left: u64 },
    DataEnd,
    Trailer,
}

impl Connection {
    #[cfg(test)]
    fn is_within(&self) -> bool {
        self.state != State::Head || !self.partial.is_empty()
    }

    /// Returns the length of the body of the last complete response.
    pub fn body_bytes(&self) -> u64 {
        self.body_bytes
    }

    /// Takes bytes that the server sent. `to_head` says that the request was HEAD, whose response
    /// has no body.
    pub fn receive(
        &mut self,
        bytes: &[u8],
        to_head: bool,
        known: &mut KnownHead,
    ) -> Result<Progress, ProtocolError> {
        let mut consumed = 0;
        loop {
            let rest = &bytes[consumed..];
            let Some((taken, state)) = self.step(rest, to_head, known)? else {
                return Ok(Progress::Partial);
            };
            consumed += taken;
            match state {
                Next::State(state) => self.state = state,
                Next::Whole(head) => {
                    self.state = State::Head;
                    return Ok(Progress::Whole { head, consumed });
                }
            }
        }
    }

    /// Takes the end of the connection, which the server closed. Returns the head of the response
    /// that ends with it; none if the response is cut off.
    pub fn receive_end(&mut self) -> Option<Head> {
        match std::mem::take(&mut self.state) {
            State::UntilClose { head } => Some(head),
            _ => None,
        }
    }

    fn step(
        &mut self,
        bytes: &[u8],
        to_head: bool,
        known: &mut KnownHead,
    ) -> Result<Option<(usize, Next)>, ProtocolError> {
        match self.state {
            State::Head => self.step_head(bytes, to_head, known),
            State::Length { head, left } => {
                let taken = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                let left = left - taken as u64;
                self.state = State::Length { head, left };
                Ok((left == 0).then_some((taken, Next::Whole(head))))
            }
            State::UntilClose { .. } => {
                self.body_bytes += bytes.len() as u64;
                Ok(None)
            }
            State::Chunk { head, part: Part::Data { left } } => {
                let taken = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                let left = left - taken as u64;
                self.state = State::Chunk { head, part: Part::Data { left } };
                Ok((left == 0).then_some((taken, Next::State(State::Chunk { head, part: Part::DataEnd }))))
            }
            State::Chunk { head, part } => {
                let Some((line, taken)) = self.line(bytes)? else {
                    return Ok(None);
                };
                let at = |reason| ProtocolError::new(reason, &line);
                let part = match part {
                    Part::SizeLine => match chunk_size(&line).ok_or_else(|| at(Reason::ChunkSize))? {
                        0 => Part::Trailer,
                        left => {
                            self.body_bytes = self.body_bytes.saturating_add(left);
                            Part::Data { left }
                        }
                    },
                    Part::DataEnd if line.is_empty() => Part::SizeLine,
                    Part::Trailer if line.is_empty() => return Ok(Some((taken, Next::Whole(head)))),
                    Part::Trailer => Part::Trailer,
                    Part::DataEnd | Part::Data { .. } => return Err(at(Reason::ChunkEnd)),
                };
                Ok(Some((taken, Next::State(State::Chunk { head, part }))))
            }
        }
    }

    fn step_head(
        &mut self,
        bytes: &[u8],
        to_head: bool,
        known: &mut KnownHead,
    ) -> Result<Option<(usize, Next)>, ProtocolError> {
        let (head, taken) = if let Some(head) = known.meaning_of(bytes, self.partial.is_empty()) {
            (head, known.bytes.len())
        } else {
            let before = self.partial.len();
            self.partial.extend_from_slice(bytes);
            let at = |reason| ProtocolError::of_head(reason, &self.partial);
            if !could_be_http(&self.partial) {
                return Err(at(Reason::NotHttp));
            }
            // The end may lie across the boundary of two pieces.
            let end = head_end(&self.partial, before.saturating_sub(2));
            if end.unwrap_or(self.partial.len()) > MAX_HEAD_BYTES {
                return Err(at(Reason::LongHead));
            }
            let Some(end) = end else { return Ok(None) };
            let head = parse(&self.partial[..end], to_head, &mut known.kinds)?;
            known.bytes.clear();
            known.bytes.extend_from_slice(&self.partial[..end]);
            known.meaning = Some(head);
            self.partial.clear();
            (head, end - before)
        };
        self.body_bytes = match head.framing {
            Framing::Length(length) => length,
            Framing::Chunked | Framing::UntilClose => 0,
        };
        let next = match head.framing {
            // An interim response: the final one follows (RFC 9110, section 15.2).
            _ if (100..200).contains(&head.status) => Next::State(State::Head),
            Framing::Length(0) => Next::Whole(head),
            Framing::Length(left) => Next::State(State::Length { head, left }),
            Framing::Chunked => Next::State(State::Chunk { head, part: Part::SizeLine }),
            Framing::UntilClose => Next::State(State::UntilClose { head }),
        };
        Ok(Some((taken, next)))
    }

    /// Returns the next line without its end, joined from pieces if necessary, and the number of
    /// `bytes` that it took.
    fn line(&mut self, bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, ProtocolError> {
        let Some(end) = memchr(b'\n', bytes) else {
            self.partial.extend_from_slice(bytes);
            let is_long = self.partial.len() > MAX_LINE_BYTES;
            return if is_long { Err(ProtocolError::new(Reason::LongLine, &self.partial)) } else { Ok(None) };
        };
        let mut line = std::mem::take(&mut self.partial);
        line.extend_from_slice(&bytes[..end]);
        if line.len() > MAX_LINE_BYTES {
            return Err(ProtocolError::new(Reason::LongLine, &line));
        }
        if line.last() != Some(&b'\r') {
            return Err(ProtocolError::new(Reason::LineEnd, &line));
        }
        line.pop();
        Ok(Some((line, end + 1)))
    }
}

enum Next {
    State(State),
    Whole(Head),
}

impl KnownHead {
    /// Returns the name of a kind.
    pub fn kind(&self, number: u8) -> &str {
        &self.kinds.0[usize::from(number)]
    }

    /// Returns the meaning of `bytes`, if they begin with this head and are the begin of a
    /// response.
    fn meaning_of(&self, bytes: &[u8], is_begin: bool) -> Option<Head> {
        self.meaning.filter(|_| is_begin && bytes.starts_with(&self.bytes))
    }
}

/// Returns the end of the head that `bytes` begin with, which is behind an empty line. The search
/// begins at `from`. A line may end with a bare LF (RFC 9112, section 2.2).
pub(crate) fn head_end(bytes: &[u8], from: usize) -> Option<usize> {
    let ends = memchr_iter(b'\n', &bytes[from..]).map(|end| from + end + 1);
    let mut ends = ends.map(|line| (line, &bytes[line..]));
    ends.find_map(|(line, next)| match next {
        [b'\n', ..] => Some(line + 1),
        [b'\r', b'\n', ..] => Some(line + 2),
        _ => None,
    })
}

/// Returns true if these bytes may still become a head: garbage without a line end is refused at
/// once and not only at [`MAX_HEAD_BYTES`].
fn could_be_http(bytes: &[u8]) -> bool {
    let expected = b"HTTP/1.";
    let length = bytes.len().min(expected.len());
    bytes[..length] == expected[..length]
}

/// Fields that are read without a memory allocation: most servers send about a dozen.
const USUAL_HEADERS: usize = 64;

/// Most fields of a head, as in curl.
const MAX_HEADERS: usize = 5000;

/// Reads a complete head and hands its status, version and fields to `then`. A folded field is one
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
    let (status, version) = response.code.zip(response.version).ok_or_else(|| at(Reason::HeadEnd))?;
    if status == 101 {
        return Err(at(Reason::Switched));
    }
    let (mut length, mut chunked, mut close, mut keep_alive, mut kind) = (None, None, false, false, None);
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
        (Some(_), Some((_, header))) => return Err(ProtocolError::of_field(Reason::TwoFramings, header)),
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

fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii_end();
    let valid = !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit);
    let digits = std::str::from_utf8(digits).ok().filter(|_| valid);
    digits.and_then(|digits| u64::from_str_radix(digits, 16).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads responses from `bytes` in pieces of `step` bytes. Returns their statuses, and true if
    /// a response is incomplete at the end.
    fn read(bytes: &[u8], step: usize) -> (Vec<u16>, Result<bool, Reason>) {
        let (mut connection, mut known, mut statuses) =
            (Connection::default(), KnownHead::default(), Vec::new());
        for mut piece in bytes.chunks(step) {
            while !piece.is_empty() {
                match connection.receive(piece, false, &mut known) {
                    Ok(Progress::Partial) => break,
                    Ok(Progress::Whole { head, consumed }) => {
                        statuses.push(head.status);
                        piece = &piece[consumed..];
                    }
                    Err(error) => return (statuses, Err(error.reason)),
                }
            }
        }
        (statuses, Ok(connection.is_within()))
    }

    const ANSWERS: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello\
        HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHELLO\
        HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n\
        HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0A\r\n0123456789\r\n0\r\nT: x\r\n\r\n\
        HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n\
        HTTP/1.1 201 Created\nX: a\n b\nContent-Length: 2\n\r\nok";

    #[test]
    fn an_answer_may_name_what_its_request_was() {
        let (mut connection, mut known) = (Connection::default(), KnownHead::default());
        let mut kind = |field: &str| {
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{field}\r\n");
            match connection.receive(answer.as_bytes(), false, &mut known) {
                Ok(Progress::Whole { head, .. }) => head.kind.map(|kind| known.kind(kind).to_owned()),
                other => panic!("{other:?}"),
            }
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
    fn any_split_of_the_bytes_gives_the_same_answers() {
        for step in 1..=ANSWERS.len() {
            assert_eq!(
                read(ANSWERS.as_bytes(), step),
                (vec![200, 200, 204, 200, 404, 201], Ok(false)),
                "pieces of {step}"
            );
        }
    }

    #[test]
    fn an_answer_without_a_length_ends_with_the_connection() {
        let (mut connection, mut known) = (Connection::default(), KnownHead::default());
        let bytes = b"HTTP/1.1 200 OK\r\n\r\nas long as it lasts";
        assert_eq!(connection.receive(bytes, false, &mut known), Ok(Progress::Partial));
        assert!(connection.receive_end().is_some_and(|head| head.status == 200 && !head.keep_alive));
    }

    #[test]
    fn a_connection_that_ends_within_an_answer_has_none() {
        for bytes in ["", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell"] {
            let (mut connection, mut known) = (Connection::default(), KnownHead::default());
            assert_eq!(connection.receive(bytes.as_bytes(), false, &mut known), Ok(Progress::Partial));
            assert_eq!(connection.receive_end(), None, "{bytes:?}");
        }
    }

    #[test]
    fn the_answer_to_head_has_no_body() {
        let (mut connection, mut known) = (Connection::default(), KnownHead::default());
        let bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
        let progress = connection.receive(bytes, true, &mut known).unwrap();
        assert!(matches!(progress, Progress::Whole { consumed, .. } if consumed == bytes.len()));
    }

    #[test]
    fn tells_who_keeps_the_connection_open() {
        let keep_alive =
            |head: &str| parse(head.as_bytes(), false, &mut Kinds::default()).unwrap().keep_alive;
        assert!(keep_alive("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
        assert!(!keep_alive("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: Close\r\n\r\n"));
        assert!(!keep_alive("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"));
        assert!(keep_alive("HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n"));
        assert!(!keep_alive("HTTP/1.1 200 OK\r\n\r\n"));
    }

    #[test]
    fn refuses_what_is_no_answer_and_says_why() {
        let head = |rest: &str| format!("HTTP/1.1 200 OK\r\n{rest}");
        let chunked = |rest: &str| head("Transfer-Encoding: chunked\r\n\r\n") + rest;
        for (bytes, reason) in [
            ("garbage".to_owned(), Reason::NotHttp),
            ("HTTP/2 200 OK\r\n\r\n".into(), Reason::NotHttp),
            ("HTTP/1.1 abc OK\r\n\r\n".into(), Reason::Head(httparse::Error::Status)),
            ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n".into(), Reason::Switched),
            (head("no colon\r\n\r\n"), Reason::Head(httparse::Error::HeaderName)),
            (head(&"X: y\r\n".repeat(MAX_HEADERS + 1)) + "\r\n", Reason::ManyFields),
            (head(&"X: 0123456789\r\n".repeat(MAX_HEAD_BYTES / 10)), Reason::LongHead),
            (head("Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"), Reason::Length),
            (head("Content-Length: -5\r\n\r\nhello"), Reason::Length),
            (head("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello"), Reason::TwoFramings),
            (chunked("xyz\r\n"), Reason::ChunkSize),
            (chunked("3\r\nabcd\r\n"), Reason::ChunkEnd),
            (chunked("3\nabc\r\n"), Reason::LineEnd),
            (chunked(&"0".repeat(MAX_LINE_BYTES + 1)), Reason::LongLine),
        ] {
            let shown = &bytes[..bytes.len().min(80)];
            assert_eq!(read(bytes.as_bytes(), 999_999).1, Err(reason), "{shown:?}");
            assert_eq!(read(bytes.as_bytes(), 999).1, Err(reason), "{shown:?} in pieces");
        }
    }

    #[test]
    fn takes_heads_as_other_clients_do() {
        let many = format!("HTTP/1.1 200 OK\r\n{}Content-Length: 2\r\n\r\nok", "X: y\r\n".repeat(150));
        let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\nContent-Length: 2\r\n\r\nok", "y".repeat(70_000));
        for bytes in [
            "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\tc\r\nContent-Length: 2\r\n\r\nok",
            "HTTP/1.1 200 OK\r\nContent-Length:\r\n 2\r\n\r\nok",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip,\r\n chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\n\r\nok",
            &many,
            &long,
        ] {
            let shown = &bytes[..bytes.len().min(80)];
            for step in [1, 7, bytes.len()] {
                assert_eq!(read(bytes.as_bytes(), step), (vec![200], Ok(false)), "{shown:?} in {step}s");
            }
        }
    }

    #[test]
    fn a_folded_field_is_one_field() {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: x,\r\n close\r\n\r\n";
        let head = parse(head, false, &mut Kinds::default());
        assert!(!head.unwrap().keep_alive);
    }

    #[test]
    fn an_error_shows_the_line_that_it_is_about() {
        let error = ProtocolError::new(Reason::NotHttp, b"SSH-2.0-\x01\r\nmore");
        let text = "the answer does not begin with HTTP/1.: \"SSH-2.0-\\x01\"";
        assert_eq!(error.to_string(), text);
        let long = ProtocolError::new(Reason::Excess, &[b'x'; 1000]).to_string();
        assert!(long.ends_with("x…\"") && long.len() < 200, "{long}");
    }

    #[test]
    fn an_error_of_a_head_shows_the_field_and_no_line_where_none_is_known() {
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
            ("200 OK\r\nX: y\r\nno colon", "the head of the answer has an invalid header name"),
        ] {
            assert!(shown(head).ends_with(line), "{} and not {line}", shown(head));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_split_differently(
            bytes in prop::collection::vec(any::<u8>(), 0..300), at in 0..300usize, prefix in 0..5usize, step in 1..50usize,
        ) {
            // Mutilated responses reach deeper states than noise alone.
            let cut = at.min(ANSWERS.len());
            let input = [&ANSWERS.as_bytes()[..cut], &bytes[..bytes.len() * prefix / 5]].concat();
            let (whole, in_pieces) = (read(&input, input.len().max(1)), read(&input, step));
            prop_assert_eq!(whole.0, in_pieces.0);
            prop_assert_eq!(whole.1.is_ok(), in_pieces.1.is_ok());
        }
    }
}
