//! Writing the responses of `/bytes/N?length=…`, whose length is told in another way than by a right
//! `Content-Length` (RFC 9112, sections 6.3 and 7.1).
//!
//! The whole response is copied into the output, also a large one: such a response is looked at and
//! not measured, and the path of all others has no step for it.

use super::request::Version;
use super::response::{After, HEAD_END_BYTES, TEXT_PLAIN, finish_head};
use super::status::Status;
use crate::site;
use crate::site::lesson::{Lesson, Told};

/// Bytes of a chunk: few enough that a body which is printed shows several of them.
const CHUNK_BYTES: usize = 4096;

/// Upper limit of the bytes around a chunk: its size in hexadecimal digits, and two line ends.
const AROUND_CHUNK_BYTES: usize = 8;

/// Upper limit of the bytes of a head, without its end.
const HEAD_BYTES: usize = 128;

/// Returns an upper limit of the bytes that [`write()`] writes.
pub fn most_bytes(lesson: Lesson, with_body: bool) -> usize {
    let length = lesson.length as usize;
    let chunks = length.div_ceil(CHUNK_BYTES) + 1;
    let body = if with_body { length + chunks * AROUND_CHUNK_BYTES } else { 0 };
    HEAD_BYTES + HEAD_END_BYTES + body
}

/// Writes a whole response; `with_body` is false for HEAD.
pub fn write(out: &mut Vec<u8>, lesson: Lesson, after: After, with_body: bool, date: &[u8]) {
    // HTTP/1.0 has no chunks, so its client is told the length.
    let is_chunked = lesson.told == Told::Chunked && after.version() == Version::Http11;
    let content_length = match lesson.told {
        Told::Chunked if !is_chunked => Some(lesson.length),
        _ => lesson.content_length(),
    };
    out.extend_from_slice(Status::Ok.line().as_bytes());
    out.extend_from_slice(b"\r\nServer: c10k\r\nContent-Type: ");
    out.extend_from_slice(TEXT_PLAIN.as_bytes());
    out.extend_from_slice(b"\r\n");
    if is_chunked {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    if let Some(length) = content_length {
        out.extend_from_slice(format!("Content-Length: {length}\r\n").as_bytes());
    }
    finish_head(out, after, date);
    match (with_body, is_chunked) {
        (false, _) => {}
        (true, false) => write_pattern(out, 0, lesson.length as usize),
        (true, true) => write_chunks(out, lesson.length as usize),
    }
}

fn write_chunks(out: &mut Vec<u8>, length: usize) {
    for begin in (0..length).step_by(CHUNK_BYTES) {
        let end = length.min(begin + CHUNK_BYTES);
        out.extend_from_slice(format!("{:x}\r\n", end - begin).as_bytes());
        write_pattern(out, begin, end);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n\r\n");
}

/// Writes the bytes of the pattern from `at` up to `end`.
fn write_pattern(out: &mut Vec<u8>, mut at: usize, end: usize) {
    while at < end {
        let piece = site::pattern(at, end - at);
        out.extend_from_slice(piece);
        at += piece.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_response_takes_more_memory_than_is_reserved_for_it() {
        let date = [b'd'; 29];
        for length in [1, 4096, 4097, 70_000, 16 * 1024 * 1024] {
            for told in [Told::None, Told::Chunked, Told::Short, Told::Long] {
                for after in [After::Close(Version::Http11), After::KeepAlive(Version::Http10)] {
                    for with_body in [false, true] {
                        let lesson = Lesson { length, told };
                        let mut out = Vec::new();
                        write(&mut out, lesson, after, with_body, &date);
                        assert!(out.len() <= most_bytes(lesson, with_body), "{lesson:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn chunks_are_those_of_the_body_in_order() {
        let mut out = Vec::new();
        write_chunks(&mut out, CHUNK_BYTES + 2);
        let mut expected = b"1000\r\n".to_vec();
        expected.extend_from_slice(site::pattern(0, CHUNK_BYTES));
        expected.extend_from_slice(b"\r\n2\r\n");
        expected.extend_from_slice(site::pattern(CHUNK_BYTES, 2));
        expected.extend_from_slice(b"\r\n0\r\n\r\n");
        assert!(out == expected);
    }
}
