//! Faults of a response: bytes that are not HTTP/1.1, or more of them than a client should read.

use std::fmt;

/// Longest head of a response that is read, as in curl.
pub(crate) const MAX_HEAD_BYTES: usize = 300 * 1024;

/// Longest line that gives a chunk's size, and longest trailer line.
pub(crate) const MAX_LINE_BYTES: usize = 8 * 1024;

/// Most fields of a head, as in curl.
pub(crate) const MAX_HEADERS: usize = 5000;

/// Error for bytes that are not a response in HTTP/1.1: the reason, and the line at fault if one is
/// known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtocolError {
    pub(crate) reason: Reason,
    line: Option<String>,
}

/// Fault of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The bytes do not begin with `HTTP/1.`.
    #[error("the response does not begin with HTTP/1.")]
    NotHttp,
    /// The head has no end within `MAX_HEAD_BYTES`.
    #[error("the head of the response is longer than {} KiB", MAX_HEAD_BYTES / 1024)]
    LongHead,
    /// The head has more than `MAX_HEADERS` fields.
    #[error("the head of the response has more than {MAX_HEADERS} fields")]
    ManyFields,
    /// The grammar does not allow the head.
    #[error("the head of the response has an {0}")]
    Head(httparse::Error),
    /// The end of the head is ambiguous.
    #[error("the head of the response has no clear end")]
    HeadEnd,
    /// `Content-Length` has several values, or a value that is not a number.
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
    /// A line between chunks is longer than `MAX_LINE_BYTES`.
    #[error("a line between chunks is longer than {} KiB", MAX_LINE_BYTES / 1024)]
    LongLine,
    /// A line between chunks ends with a bare LF, which RFC 9112, section 2.2, allows in heads
    /// only.
    #[error("a line between chunks does not end with CRLF")]
    LineEnd,
    /// Bytes follow the response: the length that it gave was wrong, or there are two responses.
    #[error("bytes follow the response")]
    Excess,
}

/// Most bytes of a line that are shown: enough to recognise the protocol.
const SHOWN_BYTES: usize = 80;

impl ProtocolError {
    /// Creates an error about the line that `bytes` begin with.
    pub fn new(reason: Reason, bytes: &[u8]) -> Self {
        let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default().trim_ascii_end();
        let shown = line[..line.len().min(SHOWN_BYTES)].escape_ascii();
        let line = format!("{shown}{}", if line.len() > SHOWN_BYTES { "…" } else { "" });
        Self { reason, line: Some(line) }
    }

    /// Creates an error about the head that `bytes` begin with. The parser gives no position, so
    /// that only an error about the status line includes the line.
    pub(crate) fn of_head(reason: Reason, bytes: &[u8]) -> Self {
        match reason {
            Reason::NotHttp
            | Reason::Switched
            | Reason::Head(httparse::Error::Status | httparse::Error::Version) => {
                Self::new(reason, bytes)
            }
            _ => Self { reason, line: None },
        }
    }

    /// Creates an error about a field of a head.
    pub(crate) fn of_field(reason: Reason, field: &httparse::Header<'_>) -> Self {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_shows_the_line_at_fault() {
        let error = ProtocolError::new(Reason::NotHttp, b"SSH-2.0-\x01\r\nmore");
        let text = "the response does not begin with HTTP/1.: \"SSH-2.0-\\x01\"";
        assert_eq!(error.to_string(), text);
        let long = ProtocolError::new(Reason::Excess, &[b'x'; 1000]).to_string();
        assert!(long.ends_with("x…\"") && long.len() < 200, "{long}");
    }
}
