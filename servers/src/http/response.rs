//! Writing responses: the status line, the headers that every response has, and refusals.

use super::request::Version;
use super::status::Status;
use crate::site::mix::Kind;

/// Whole response of a server that takes no more connections: it has no memory, process or
/// descriptor for one.
pub const UNAVAILABLE: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 24\r\n\
    Retry-After: 1\r\nConnection: close\r\n\r\n503 Service Unavailable\n";

/// Interim response to `Expect: 100-continue`.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Upper limit of the bytes that [`write_fixed_head`] writes, without the content type.
pub const FIXED_HEAD_BYTES: usize = 160;

/// Upper limit of the bytes that [`finish_head`] writes.
pub const HEAD_END_BYTES: usize = 68;

/// Upper limit of the bytes that [`write_status`] writes.
pub const STATUS_BYTES: usize = FIXED_HEAD_BYTES + TEXT_PLAIN.len() + HEAD_END_BYTES + 40;

/// Content type of most responses.
pub const TEXT_PLAIN: &str = "text/plain";

/// State of the connection after a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// The connection stays open; a client of HTTP/1.0 has to be told.
    KeepAlive(Version),
    /// The connection closes.
    Close(Version),
}

impl After {
    /// Returns the version of the request.
    pub fn version(self) -> Version {
        match self {
            Self::KeepAlive(version) | Self::Close(version) => version,
        }
    }
}

/// Writes the status line and the headers that do not change from request to request.
pub fn write_fixed_head(
    out: &mut Vec<u8>,
    status: Status,
    content_type: &str,
    content_length: usize,
) {
    out.extend_from_slice(status.line().as_bytes());
    out.extend_from_slice(b"\r\nServer: c10k\r\nContent-Type: ");
    out.extend_from_slice(content_type.as_bytes());
    out.extend_from_slice(b"\r\nContent-Length: ");
    out.extend_from_slice(itoa::Buffer::new().format(content_length).as_bytes());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(status.headers().as_bytes());
}

/// Writes the rest of the head.
pub fn finish_head(out: &mut Vec<u8>, after: After, date: &[u8]) {
    out.extend_from_slice(b"Date: ");
    out.extend_from_slice(date);
    out.extend_from_slice(match after {
        After::Close(_) => b"\r\nConnection: close\r\n\r\n",
        After::KeepAlive(Version::Http10) => b"\r\nConnection: keep-alive\r\n\r\n",
        After::KeepAlive(Version::Http11) => b"\r\n\r\n",
    });
}

/// Writes a whole response whose body is its status in words; `with_body` is false for HEAD.
pub fn write_status(out: &mut Vec<u8>, status: Status, after: After, with_body: bool, date: &[u8]) {
    write_words(out, status, "", after, with_body, date);
}

/// Writes a whole response to a request for `/mixed`, which names the kind of the request;
/// `with_body` is false for HEAD.
pub fn write_mixed(out: &mut Vec<u8>, kind: Kind, after: After, with_body: bool, date: &[u8]) {
    write_words(out, Status::Ok, kind.field(), after, with_body, date);
}

fn write_words(
    out: &mut Vec<u8>,
    status: Status,
    field: &str,
    after: After,
    with_body: bool,
    date: &[u8],
) {
    let text = status.text();
    write_fixed_head(out, status, TEXT_PLAIN, text.len() + 1);
    out.extend_from_slice(field.as_bytes());
    finish_head(out, after, date);
    if with_body {
        out.extend_from_slice(text.as_bytes());
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_states_its_own_length() {
        let text = std::str::from_utf8(UNAVAILABLE).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
    }

    #[test]
    fn no_response_takes_more_memory_than_is_reserved_for_it() {
        let date = [b'a'; 29];
        for status in [
            Status::RequestHeaderFieldsTooLarge,
            Status::MethodNotAllowed,
            Status::ServiceUnavailable,
        ] {
            for after in [
                After::Close(Version::Http11),
                After::KeepAlive(Version::Http10),
                After::KeepAlive(Version::Http11),
            ] {
                let (mut fixed, mut end, mut whole) = (Vec::new(), Vec::new(), Vec::new());
                write_fixed_head(&mut fixed, status, TEXT_PLAIN, usize::MAX);
                finish_head(&mut end, after, &date);
                write_status(&mut whole, status, after, true, &date);
                let mut mixed = Vec::new();
                write_mixed(&mut mixed, Kind::Cheap, after, true, &date);
                assert!(fixed.len() <= FIXED_HEAD_BYTES + TEXT_PLAIN.len(), "{}", fixed.len());
                assert!(
                    end.len() <= HEAD_END_BYTES && whole.len().max(mixed.len()) <= STATUS_BYTES
                );
            }
        }
    }
}
