//! Output of a connection: responses that are still to be sent.

use std::collections::TryReserveError;
use std::sync::Arc;

use super::buffer::{empty, try_append};
use super::handler::Reply;
use super::large_body::LargeBody;
use super::lesson;
use super::response::{
    self, After, CONTINUE, FIXED_HEAD_BYTES, HEAD_END_BYTES, STATUS_BYTES, TEXT_PLAIN,
};
use super::status::Status;
use crate::site::{self, Page};

/// Largest body that is copied behind its head, so that both leave in one write; larger ones are
/// sent without a copy.
const COPY_LIMIT_BYTES: usize = 16 * 1024;

/// Unsent output up to which pipelined requests are answered; further requests wait until the
/// client has read.
const OUTPUT_LIMIT_BYTES: usize = 64 * 1024;

/// Responses that are still to be sent.
#[derive(Debug, Default)]
pub struct Output {
    /// Bytes to send; those before index `sent` have been sent.
    buffer: Vec<u8>,
    sent: usize,
    /// Body that follows `buffer`.
    large_body: Option<LargeBody>,
}

/// Part of a response that is copied into the buffer. A body that is not part of it is sent without
/// a copy.
#[derive(Debug, Clone, Copy)]
enum Copied {
    Whole,
    Head,
}

impl Output {
    /// Returns true if nothing is to be sent.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty() && self.large_body.is_none()
    }

    /// Returns true if a further response may be appended.
    pub fn has_space(&self) -> bool {
        self.buffer.len() < OUTPUT_LIMIT_BYTES && self.large_body.is_none()
    }

    /// Returns true if a body is sent without a copy.
    pub fn has_large_body(&self) -> bool {
        self.large_body.is_some()
    }

    /// Returns the bytes to send, in two pieces of which either may be empty. They stay at the same
    /// address until a method changes the output, even if it is moved.
    pub fn pending(&self) -> [&[u8]; 2] {
        [&self.buffer[self.sent..], self.large_body.as_ref().map_or(&[], LargeBody::pending)]
    }

    /// Notes that the first `count` bytes of [`Self::pending`] were sent.
    pub fn advance(&mut self, count: usize) {
        let small = count.min(self.buffer.len() - self.sent);
        self.sent += small;
        if self.sent == self.buffer.len() {
            empty(&mut self.buffer);
            self.sent = 0;
        }
        let large = count - small;
        if large > 0 && self.large_body.as_mut().is_some_and(|body| body.advance(large)) {
            self.large_body = None;
        }
    }

    /// Appends the response with `reply`; `with_body` is false for HEAD.
    ///
    /// # Errors
    /// When there is no memory for it; the output is then as it was.
    pub fn write_reply(
        &mut self,
        reply: &Reply<'_>,
        after: After,
        with_body: bool,
        date: &[u8],
    ) -> Result<(), TryReserveError> {
        let (head_length, body_length) = match reply {
            Reply::Page(page) => (page.fixed_head.len() + HEAD_END_BYTES, page.body.len()),
            &Reply::Bytes(length) => (FIXED_HEAD_BYTES + TEXT_PLAIN.len() + HEAD_END_BYTES, length),
            Reply::Lesson(lesson) => (lesson::most_bytes(*lesson, with_body), 0),
            Reply::Status(_) | Reply::Mixed(_) => (STATUS_BYTES, 0),
        };
        let copied = self.reserve(head_length, if with_body { body_length } else { 0 })?;
        match reply {
            Reply::Page(page) => {
                self.buffer.extend_from_slice(&page.fixed_head);
                response::finish_head(&mut self.buffer, after, date);
                if with_body {
                    self.write_page(page, copied);
                }
            }
            &Reply::Bytes(length) => {
                response::write_fixed_head(&mut self.buffer, Status::Ok, TEXT_PLAIN, length);
                response::finish_head(&mut self.buffer, after, date);
                if with_body {
                    self.write_pattern(length, copied);
                }
            }
            &Reply::Lesson(lesson) => {
                lesson::write(&mut self.buffer, lesson, after, with_body, date);
            }
            &Reply::Status(status) => {
                response::write_status(&mut self.buffer, status, after, with_body, date);
            }
            &Reply::Mixed(kind) => {
                response::write_mixed(&mut self.buffer, kind, after, with_body, date);
            }
        }
        Ok(())
    }

    /// Appends the interim response to `Expect: 100-continue`; leaves it out if there is no memory
    /// for it.
    pub fn write_continue(&mut self) {
        let _ = try_append(&mut self.buffer, CONTINUE);
    }

    /// Appends a response that ends the connection, without asking for memory. It is left out while
    /// a large body is being sent, because there is no place for it.
    pub fn write_refusal(&mut self) {
        self.large_body.get_or_insert(LargeBody::Refusal { sent: 0 });
    }

    /// Reserves memory in the buffer for a whole response, or for its head only if the body is
    /// large.
    fn reserve(&mut self, head: usize, body: usize) -> Result<Copied, TryReserveError> {
        let (copied, length) = if body <= COPY_LIMIT_BYTES {
            (Copied::Whole, head + body)
        } else {
            (Copied::Head, head)
        };
        self.buffer.try_reserve(length)?;
        Ok(copied)
    }

    fn write_page(&mut self, page: &Arc<Page>, copied: Copied) {
        match copied {
            Copied::Whole => self.buffer.extend_from_slice(&page.body),
            Copied::Head => {
                self.large_body = Some(LargeBody::Page { page: Arc::clone(page), sent: 0 });
            }
        }
    }

    fn write_pattern(&mut self, length: usize, copied: Copied) {
        match copied {
            Copied::Whole => self.buffer.extend_from_slice(site::pattern(0, length)),
            Copied::Head => self.large_body = Some(LargeBody::Pattern { length, sent: 0 }),
        }
    }

    /// Returns the capacity of the buffer.
    #[cfg(test)]
    pub fn capacity(&self) -> usize {
        self.buffer.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::Version;
    use super::*;

    /// Creates the output of one response with a body of this length.
    fn output(length: usize) -> Output {
        let mut output = Output::default();
        let after = After::KeepAlive(Version::Http11);
        output.write_reply(&Reply::Bytes(length), after, true, &[b'd'; 29]).unwrap();
        output
    }

    #[test]
    fn a_small_body_is_sent_with_its_head_and_a_large_one_without_a_copy() {
        assert!(!output(COPY_LIMIT_BYTES).has_large_body());
        let large = output(COPY_LIMIT_BYTES + 1);
        assert!(large.has_large_body() && large.capacity() < COPY_LIMIT_BYTES);
    }

    #[test]
    fn all_bytes_are_sent_in_order_in_pieces_of_any_size() {
        const LENGTH: usize = 70_000;
        for at_most in [999, 65_536, usize::MAX] {
            let mut output = output(LENGTH);
            let mut sent = Vec::new();
            while !output.is_empty() {
                let pending = output.pending().concat();
                let count = pending.len().min(at_most);
                sent.extend_from_slice(&pending[..count]);
                output.advance(count);
            }
            let body = &sent[sent.len() - LENGTH..];
            assert!(sent[..sent.len() - LENGTH].ends_with(b"\r\n\r\n"));
            assert_eq!(&body[..65_536], site::pattern(0, 65_536));
            assert_eq!(&body[65_536..], site::pattern(0, LENGTH - 65_536));
        }
    }

    #[test]
    fn a_refusal_needs_no_memory_and_never_cuts_a_body() {
        let mut idle = Output::default();
        idle.write_refusal();
        assert!(idle.pending()[1].starts_with(b"HTTP/1.1 503") && idle.capacity() == 0);
        let mut busy = output(COPY_LIMIT_BYTES + 1);
        busy.write_refusal();
        assert_eq!(busy.pending()[1].len(), COPY_LIMIT_BYTES + 1);
    }
}
