//! The client's side of one connection, without I/O: it receives the bytes of the server and
//! reports when a response is complete.
//!
//! Every response is checked for its status and its framing, byte by byte (RFC 9112, section 6.3).

use memchr::memchr;

use crate::head::{Framing, head_end};
use crate::protocol_error::{MAX_HEAD_BYTES, MAX_LINE_BYTES};

pub use crate::head::{Head, KnownHead};
pub use crate::protocol_error::{ProtocolError, Reason};

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
    /// that ends with it; `None` if the response is cut off.
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
                Ok((left == 0)
                    .then_some((taken, Next::State(State::Chunk { head, part: Part::DataEnd }))))
            }
            State::Chunk { head, part } => {
                let Some((line, taken)) = self.line(bytes)? else {
                    return Ok(None);
                };
                let at = |reason| ProtocolError::new(reason, &line);
                let part = match part {
                    Part::SizeLine => {
                        match chunk_size(&line).ok_or_else(|| at(Reason::ChunkSize))? {
                            0 => Part::Trailer,
                            left => {
                                self.body_bytes = self.body_bytes.saturating_add(left);
                                Part::Data { left }
                            }
                        }
                    }
                    Part::DataEnd if line.is_empty() => Part::SizeLine,
                    Part::Trailer if line.is_empty() => {
                        return Ok(Some((taken, Next::Whole(head))));
                    }
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
        let (head, taken) = if let Some(found) = known.meaning_of(bytes, self.partial.is_empty()) {
            found
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
            let head = known.learn(&self.partial[..end], to_head)?;
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
            return if is_long {
                Err(ProtocolError::new(Reason::LongLine, &self.partial))
            } else {
                Ok(None)
            };
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

/// Returns true if these bytes may still become a head, so that garbage without a line end is
/// refused at once and not only after [`MAX_HEAD_BYTES`].
fn could_be_http(bytes: &[u8]) -> bool {
    let expected = b"HTTP/1.";
    let length = bytes.len().min(expected.len());
    bytes[..length] == expected[..length]
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
    use crate::protocol_error::MAX_HEADERS;

    /// Reads responses from `bytes` in pieces of `step` bytes. Returns their statuses, and true if
    /// a response is incomplete at the end.
    fn read(bytes: &[u8], step: usize) -> (Vec<u16>, Result<bool, Reason>) {
        let mut connection = Connection::default();
        let mut known = KnownHead::default();
        let mut statuses = Vec::new();
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

    const RESPONSES: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello\
        HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHELLO\
        HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n\
        HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0A\r\n0123456789\r\n0\r\nT: x\r\n\r\n\
        HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n\
        HTTP/1.1 201 Created\nX: a\n b\nContent-Length: 2\n\r\nok";

    #[test]
    fn any_split_of_the_bytes_gives_the_same_responses() {
        for step in 1..=RESPONSES.len() {
            assert_eq!(
                read(RESPONSES.as_bytes(), step),
                (vec![200, 200, 204, 200, 404, 201], Ok(false)),
                "pieces of {step}"
            );
        }
    }

    #[test]
    fn a_response_without_a_length_ends_with_the_connection() {
        let mut connection = Connection::default();
        let mut known = KnownHead::default();
        let bytes = b"HTTP/1.1 200 OK\r\n\r\nas long as it lasts";
        assert_eq!(connection.receive(bytes, false, &mut known), Ok(Progress::Partial));
        assert!(
            connection.receive_end().is_some_and(|head| head.status == 200 && !head.keep_alive)
        );
    }

    #[test]
    fn a_response_that_the_connection_cuts_off_does_not_count() {
        for bytes in ["", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell"] {
            let mut connection = Connection::default();
            let mut known = KnownHead::default();
            assert_eq!(
                connection.receive(bytes.as_bytes(), false, &mut known),
                Ok(Progress::Partial)
            );
            assert_eq!(connection.receive_end(), None, "{bytes:?}");
        }
    }

    #[test]
    fn the_response_to_head_has_no_body() {
        let mut connection = Connection::default();
        let mut known = KnownHead::default();
        let bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
        let progress = connection.receive(bytes, true, &mut known).unwrap();
        assert!(matches!(progress, Progress::Whole { consumed, .. } if consumed == bytes.len()));
    }

    #[test]
    fn refuses_invalid_responses_and_says_why() {
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
            (
                head("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello"),
                Reason::TwoFramings,
            ),
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
    fn accepts_heads_that_other_clients_accept() {
        let many =
            format!("HTTP/1.1 200 OK\r\n{}Content-Length: 2\r\n\r\nok", "X: y\r\n".repeat(150));
        let long =
            format!("HTTP/1.1 200 OK\r\nX: {}\r\nContent-Length: 2\r\n\r\nok", "y".repeat(70_000));
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
                assert_eq!(
                    read(bytes.as_bytes(), step),
                    (vec![200], Ok(false)),
                    "{shown:?} in {step}s"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic_and_alike_in_any_split(
            bytes in prop::collection::vec(any::<u8>(), 0..300), at in 0..300usize, prefix in 0..5usize, step in 1..50usize,
        ) {
            // Mutated real responses reach deeper states than random bytes alone.
            let cut = at.min(RESPONSES.len());
            let input = [&RESPONSES.as_bytes()[..cut], &bytes[..bytes.len() * prefix / 5]].concat();
            let whole = read(&input, input.len().max(1));
            let in_pieces = read(&input, step);
            prop_assert_eq!(whole.0, in_pieces.0);
            prop_assert_eq!(whole.1.is_ok(), in_pieces.1.is_ok());
        }
    }
}
