//! Reading past the body of a request: its framing is followed to the byte, its content discarded.

use memchr::memchr;

use super::request::{Framing, MAX_BODY_BYTES, MAX_HEAD_BYTES};
use super::status::Status;

/// Longest line that gives a chunk's size, extensions included; no well-meaning client sends a
/// longer one.
const MAX_CHUNK_LINE_BYTES: usize = 256;

/// Progress through a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyReader {
    Length { left: u64 },
    Chunked { part: Part, total: u64 },
    Done,
}

/// Next part of a chunked body (RFC 9112, section 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    SizeLine,
    Data { left: u64 },
    DataEnd,
    Trailer { read: usize },
}

impl BodyReader {
    pub fn new(framing: Framing) -> Self {
        match framing {
            Framing::None => Self::Done,
            Framing::Length(left) => Self::Length { left },
            Framing::Chunked => Self::Chunked { part: Part::SizeLine, total: 0 },
        }
    }

    /// Consumes as much of `input` as possible and returns the number of bytes consumed.
    pub fn consume(&mut self, input: &[u8]) -> Result<usize, Status> {
        let mut consumed = 0;
        loop {
            let rest = &input[consumed..];
            let step = match self {
                Self::Done => None,
                Self::Length { left } => take_data(left, rest),
                Self::Chunked { part, total } => part.step(rest, total)?,
            };
            let Some(step) = step else { return Ok(consumed) };
            consumed += step.consumed;
            if step.body_ended {
                *self = Self::Done;
            }
        }
    }
}

struct Step {
    consumed: usize,
    body_ended: bool,
}

/// Consumes at most `left` bytes of data; returns `None` if there are none in `input`.
fn take_data(left: &mut u64, input: &[u8]) -> Option<Step> {
    let consumed = input.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
    *left -= consumed as u64;
    (consumed > 0).then_some(Step { consumed, body_ended: *left == 0 })
}

impl Part {
    fn step(&mut self, input: &[u8], total: &mut u64) -> Result<Option<Step>, Status> {
        match *self {
            Self::Data { ref mut left } => {
                let step = take_data(left, input);
                if *left == 0 {
                    *self = Self::DataEnd;
                }
                Ok(step.map(|step| Step { body_ended: false, ..step }))
            }
            Self::SizeLine => {
                let Some(line) = line(input, MAX_CHUNK_LINE_BYTES, Status::BadRequest)? else {
                    return Ok(None);
                };
                let size = chunk_size(line)?;
                *total = total.saturating_add(size);
                if *total > MAX_BODY_BYTES {
                    return Err(Status::ContentTooLarge);
                }
                *self =
                    if size == 0 { Self::Trailer { read: 0 } } else { Self::Data { left: size } };
                Ok(Some(Step { consumed: line.len() + 2, body_ended: false }))
            }
            Self::DataEnd => {
                let Some(_) = line(input, 0, Status::BadRequest)? else {
                    return Ok(None);
                };
                *self = Self::SizeLine;
                Ok(Some(Step { consumed: 2, body_ended: false }))
            }
            Self::Trailer { ref mut read } => {
                let too_large = Status::RequestHeaderFieldsTooLarge;
                let Some(line) = line(input, MAX_HEAD_BYTES - *read, too_large)? else {
                    return Ok(None);
                };
                *read = (*read + line.len() + 2).min(MAX_HEAD_BYTES);
                Ok(Some(Step { consumed: line.len() + 2, body_ended: line.is_empty() }))
            }
        }
    }
}

/// Returns the line that `input` begins with, without its CRLF, or `None` while its end is missing.
/// A bare CR or LF is refused, a line longer than `limit` is answered with `too_long`.
fn line(input: &[u8], limit: usize, too_long: Status) -> Result<Option<&[u8]>, Status> {
    let within = &input[..input.len().min(limit + 2)];
    match memchr(b'\r', within) {
        None if memchr(b'\n', within).is_some() => Err(Status::BadRequest),
        None if input.len() > limit + 1 => Err(too_long),
        None => Ok(None),
        Some(end) if memchr(b'\n', &within[..end]).is_some() => Err(Status::BadRequest),
        Some(end) if end > limit => Err(too_long),
        Some(end) => match input.get(end + 1) {
            None => Ok(None),
            Some(b'\n') => Ok(Some(&input[..end])),
            Some(_) => Err(Status::BadRequest),
        },
    }
}

/// Parses the size in a chunk's line: hexadecimal digits, then nothing or extensions after a
/// semicolon.
fn chunk_size(line: &[u8]) -> Result<u64, Status> {
    let digits = line.split(|&byte| byte == b';').next().unwrap_or_default();
    let valid = !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit);
    std::str::from_utf8(digits)
        .ok()
        .filter(|_| valid)
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .ok_or(Status::BadRequest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `input` in pieces of `step` bytes and returns the number of bytes left after the body.
    fn read(framing: Framing, input: &[u8], step: usize) -> Result<Option<usize>, u16> {
        let mut reader = BodyReader::new(framing);
        let (mut consumed, mut available) = (0, 0);
        while reader != BodyReader::Done && available < input.len() {
            available = (available + step).min(input.len());
            consumed +=
                reader.consume(&input[consumed..available]).map_err(|status| status as u16)?;
        }
        Ok((reader == BodyReader::Done).then(|| input.len() - consumed))
    }

    #[test]
    fn finds_the_end_of_a_chunked_body_in_any_split() {
        let body = b"5;ext=\"x\"\r\nhello\r\n000A\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n";
        for step in 1..=body.len() {
            assert_eq!(read(Framing::Chunked, body, step), Ok(Some(0)), "in pieces of {step}");
        }
        assert_eq!(read(Framing::Chunked, &[&body[..], b"GET"].concat(), 999), Ok(Some(3)));
    }

    #[test]
    fn refuses_malformed_chunks() {
        for body in [
            "\r\n",
            "g\r\n",
            "5 \r\nhello",
            "0x5\r\n",
            "-1\r\n",
            "5\nhello",
            "5\rhello",
            "5\r\nhelloX\r\n",
            "5;a\nb\r\n",
        ] {
            assert_eq!(read(Framing::Chunked, body.as_bytes(), 999), Err(400), "{body:?}");
        }
        assert_eq!(read(Framing::Chunked, b"fffffffffffffffff\r\n", 999), Err(400));
        assert_eq!(read(Framing::Chunked, b"1000001\r\n", 999), Err(413));
        assert_eq!(read(Framing::Chunked, &[b'0'; 300], 1), Err(400));
        assert_eq!(
            read(Framing::Chunked, format!("0\r\nX: {}", "a".repeat(20_000)).as_bytes(), 999),
            Err(431)
        );
    }

    #[test]
    fn counts_a_length_to_the_byte() {
        assert_eq!(read(Framing::Length(5), b"helloGET", 999), Ok(Some(3)));
        assert_eq!(read(Framing::Length(5), b"hell", 1), Ok(None));
    }
}
