//! The client's side of one connection without I/O: it is fed what the server sent and says when an answer is whole.
//!
//! Every answer is checked for its status and its framing, byte by byte (RFC 9112, section 6.3). What makes that cheap
//! is [`KnownHead`]: servers repeat themselves, and a head that was parsed before needs only to be compared.

use memchr::memchr;
use memchr::memmem;

/// The longest head of an answer that is read.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// The longest line that gives a chunk's size, and the longest trailer line.
const MAX_LINE_BYTES: usize = 8 * 1024;

/// What the framing of an answer's head means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The status code.
    pub status: u16,
    /// Whether the server keeps the connection open behind this answer.
    pub keep_alive: bool,
    framing: Framing,
}

impl Head {
    /// Whether an answer to GET has a body that was asked for, which may be empty (RFC 9110,
    /// section 6.4.1).
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

/// The last head that was seen, with what it means.
#[derive(Debug, Default)]
pub struct KnownHead {
    bytes: Vec<u8>,
    meaning: Option<Head>,
}

/// The server's words are not an answer in HTTP/1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProtocolError;

/// What came of feeding bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The answer goes on.
    Partial,
    /// It is whole, and `consumed` of the bytes belonged to it.
    Whole { head: Head, consumed: usize },
}

/// Reads the answers of one connection, one after the other.
#[derive(Debug, Default)]
pub struct Connection {
    state: State,
    /// The bytes of a head, chunk line or trailer that came in pieces.
    partial: Vec<u8>,
    /// Length of the answer's body, as far as it is known.
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

    /// Length of the body of the last answer that was whole.
    pub fn body_bytes(&self) -> u64 {
        self.body_bytes
    }

    /// Takes what the server sent. `to_head` tells that the request was HEAD, whose answer has no body.
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

    /// Takes the news that the server closed the connection: the end of some answers, the loss of others.
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
                let part = match part {
                    Part::SizeLine => match chunk_size(&line)? {
                        0 => Part::Trailer,
                        left => {
                            self.body_bytes = self.body_bytes.saturating_add(left);
                            Part::Data { left }
                        }
                    },
                    Part::DataEnd if line.is_empty() => Part::SizeLine,
                    Part::Trailer if line.is_empty() => return Ok(Some((taken, Next::Whole(head)))),
                    Part::Trailer => Part::Trailer,
                    Part::DataEnd | Part::Data { .. } => return Err(ProtocolError),
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
        let (head, taken) = if self.partial.is_empty() && known.begins(bytes) {
            (known.meaning.ok_or(ProtocolError)?, known.bytes.len())
        } else {
            let before = self.partial.len();
            self.partial.extend_from_slice(bytes);
            // The end may lie across the seam of two pieces.
            let from = before.saturating_sub(3);
            let end = memmem::find(&self.partial[from..], b"\r\n\r\n").map(|end| from + end + 4);
            if end.unwrap_or(self.partial.len()) > MAX_HEAD_BYTES || !could_be_http(&self.partial) {
                return Err(ProtocolError);
            }
            let Some(end) = end else { return Ok(None) };
            let head = parse(&self.partial[..end], to_head)?;
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
            // An interim answer: the real one follows (RFC 9110, section 15.2).
            _ if (100..200).contains(&head.status) => Next::State(State::Head),
            Framing::Length(0) => Next::Whole(head),
            Framing::Length(left) => Next::State(State::Length { head, left }),
            Framing::Chunked => Next::State(State::Chunk { head, part: Part::SizeLine }),
            Framing::UntilClose => Next::State(State::UntilClose { head }),
        };
        Ok(Some((taken, next)))
    }

    /// The next line without its end, pieced together if it has to be, and how many of `bytes` it took.
    fn line(&mut self, bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, ProtocolError> {
        let Some(end) = memchr(b'\n', bytes) else {
            self.partial.extend_from_slice(bytes);
            return if self.partial.len() > MAX_LINE_BYTES { Err(ProtocolError) } else { Ok(None) };
        };
        let mut line = std::mem::take(&mut self.partial);
        line.extend_from_slice(&bytes[..end]);
        if line.len() > MAX_LINE_BYTES {
            return Err(ProtocolError);
        }
        match line.pop() {
            Some(b'\r') => Ok(Some((line, end + 1))),
            _ => Err(ProtocolError),
        }
    }
}

enum Next {
    State(State),
    Whole(Head),
}

impl KnownHead {
    fn begins(&self, bytes: &[u8]) -> bool {
        !self.bytes.is_empty() && bytes.starts_with(&self.bytes)
    }
}

/// Whether a head may still come of this beginning: garbage without a line end should not wait for its 64 KiB.
fn could_be_http(bytes: &[u8]) -> bool {
    let expected = b"HTTP/1.";
    let length = bytes.len().min(expected.len());
    bytes[..length] == expected[..length]
}

/// Most servers send a dozen header fields; this leaves room for talkative ones.
const MAX_HEADERS: usize = 128;

fn parse(bytes: &[u8], to_head: bool) -> Result<Head, ProtocolError> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length == bytes.len() => {}
        _ => return Err(ProtocolError),
    }
    let (Some(status), Some(version)) = (response.code, response.version) else {
        return Err(ProtocolError);
    };
    let (mut length, mut chunked, mut close, mut keep_alive) = (None, None, false, false);
    for header in response.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") {
            let value = content_length(header.value)?;
            if length.replace(value).is_some_and(|before| before != value) {
                return Err(ProtocolError);
            }
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            let last = header.value.rsplit(|&byte| byte == b',').next().unwrap_or_default();
            chunked = Some(last.trim_ascii().eq_ignore_ascii_case(b"chunked"));
        } else if header.name.eq_ignore_ascii_case("connection") {
            for option in header.value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
                close |= option.eq_ignore_ascii_case(b"close");
                keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
            }
        }
    }
    let framing = match (chunked, length) {
        _ if to_head || matches!(status, 100..200 | 204 | 304) => Framing::Length(0),
        // A length beside a transfer coding is how responses are split; nobody sends it in good faith.
        (Some(_), Some(_)) => return Err(ProtocolError),
        (Some(true), None) => Framing::Chunked,
        (Some(false) | None, None) => Framing::UntilClose,
        (None, Some(length)) => Framing::Length(length),
    };
    let keep_alive = !close && (version == 1 || keep_alive) && framing != Framing::UntilClose;
    Ok(Head { status, keep_alive, framing })
}

fn content_length(value: &[u8]) -> Result<u64, ProtocolError> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(value).ok().filter(|_| digits).and_then(|text| text.parse().ok()).ok_or(ProtocolError)
}

fn chunk_size(line: &[u8]) -> Result<u64, ProtocolError> {
    let digits = line.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii_end();
    let valid = !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit);
    std::str::from_utf8(digits)
        .ok()
        .filter(|_| valid)
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .ok_or(ProtocolError)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads answers from `bytes` in pieces of `step` bytes; gives their statuses and what became of the rest.
    fn read(bytes: &[u8], step: usize) -> (Vec<u16>, Result<bool, ProtocolError>) {
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
                    Err(error) => return (statuses, Err(error)),
                }
            }
        }
        (statuses, Ok(connection.is_within()))
    }

    const ANSWERS: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello\
        HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHELLO\
        HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n\
        HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0A\r\n0123456789\r\n0\r\nT: x\r\n\r\n\
        HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";

    #[test]
    fn any_split_of_the_bytes_gives_the_same_answers() {
        for step in 1..=ANSWERS.len() {
            assert_eq!(
                read(ANSWERS.as_bytes(), step),
                (vec![200, 200, 204, 200, 404], Ok(false)),
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
        let keep_alive = |head: &str| parse(head.as_bytes(), false).unwrap().keep_alive;
        assert!(keep_alive("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
        assert!(!keep_alive("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: Close\r\n\r\n"));
        assert!(!keep_alive("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"));
        assert!(keep_alive("HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n"));
        assert!(!keep_alive("HTTP/1.1 200 OK\r\n\r\n"));
    }

    #[test]
    fn refuses_what_is_no_answer() {
        for bytes in [
            "garbage",
            "HTTP/2 200 OK\r\n\r\n",
            "HTTP/1.1 abc OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\r\n",
        ] {
            assert_eq!(read(bytes.as_bytes(), 999).1, Err(ProtocolError), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_split_differently(
            bytes in prop::collection::vec(any::<u8>(), 0..300), at in 0..300usize, prefix in 0..5usize, step in 1..50usize,
        ) {
            // Mutilated answers go deeper than noise alone.
            let cut = at.min(ANSWERS.len());
            let input = [&ANSWERS.as_bytes()[..cut], &bytes[..bytes.len() * prefix / 5]].concat();
            let (whole, in_pieces) = (read(&input, input.len().max(1)), read(&input, step));
            prop_assert_eq!(whole.0, in_pieces.0);
            prop_assert_eq!(whole.1.is_ok(), in_pieces.1.is_ok());
        }
    }
}
