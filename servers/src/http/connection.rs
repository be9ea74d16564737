//! One connection as a state machine: requests in, responses out, in the order of their arrival.

use std::io::IoSlice;
use std::mem;
use std::sync::Arc;
use std::time::Instant;

use super::Service;
use super::body::BodyReader;
use super::request::{self, Framing, Head, Method, Version};
use super::response::{self, After, CONTINUE, Status};
use crate::site::{self, Page, Route};

/// Bodies up to this size are copied behind their heads and leave in one write; larger ones are sent from where they lie.
const COPY_LIMIT_BYTES: usize = 16 * 1024;

/// Pipelined requests are answered until this much is waiting to be sent; the rest waits for the client to read.
const OUTPUT_LIMIT_BYTES: usize = 64 * 1024;

/// After an error the client's remaining words are read and dropped up to here, so that it gets to see the answer rather
/// than a reset (RFC 9112, section 9.6).
const LINGER_LIMIT_BYTES: usize = 1024 * 1024;

/// What a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// Octets from the client, for [`Connection::receive`].
    Read,
    /// That [`Connection::pending_output`] be sent.
    Write,
    /// That the sending side be shut down; then [`Connection::write_side_is_shut`].
    ShutdownWrite,
    /// To be closed.
    Close,
}

/// The server's side of one connection.
#[derive(Debug, Default)]
pub struct Connection {
    /// Octets of requests that are not whole yet, or wait for their turn.
    input: Vec<u8>,
    /// How far `input` was searched for the end of a head.
    scanned: usize,
    /// Octets to send; those before `sent` are gone.
    output: Vec<u8>,
    sent: usize,
    /// What follows `output`.
    large_body: Option<LargeBody>,
    state: State,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Head,
    /// The body of a request is read before its answer is written.
    Body {
        reader: BodyReader,
        request: Box<Request>,
    },
    /// The last answer is written; then the connection closes, after lingering if the client may still be talking.
    Closing {
        linger: bool,
    },
    /// The sending side is shut, what comes is dropped.
    Lingering {
        dropped: usize,
    },
    Closed,
}

/// What is remembered of a request while its body is read.
#[derive(Debug)]
struct Request {
    method: Method,
    target: Vec<u8>,
    version: Version,
    keep_alive: bool,
}

/// A body that is sent from where it lies.
#[derive(Debug)]
enum LargeBody {
    Page { page: Arc<Page>, sent: usize },
    Pattern { length: usize, sent: usize },
}

impl LargeBody {
    fn pending(&self) -> &[u8] {
        match self {
            Self::Page { page, sent } => &page.body[*sent..],
            Self::Pattern { length, sent } => site::pattern(*sent, length - sent),
        }
    }

    fn advance(&mut self, octets: usize) -> bool {
        let (sent, length) = match self {
            Self::Page { page, sent } => (sent, page.body.len()),
            Self::Pattern { length, sent } => (sent, *length),
        };
        *sent += octets;
        *sent == length
    }
}

/// What came of one step through the input.
enum Step {
    Consumed(usize),
    NeedMore,
}

impl Connection {
    /// Takes what the client sent, all of it, and answers the requests that are whole.
    ///
    /// Handlers run inside: `/sleep` and `/spin` keep the calling thread until they are done.
    pub fn receive(&mut self, octets: &[u8], service: &mut Service) {
        if let State::Lingering { dropped } = &mut self.state {
            *dropped += octets.len();
        } else if self.input.is_empty() {
            // The common case: whole requests, parsed where they lie.
            let consumed = self.answer(octets, service);
            self.input.extend_from_slice(&octets[consumed..]);
        } else {
            self.input.extend_from_slice(octets);
            self.answer_buffered(service);
        }
    }

    /// Takes the news that the client will send no more. What is being answered is still sent.
    pub fn receive_end(&mut self) {
        self.state = match self.state {
            State::Lingering { .. } | State::Closed => State::Closed,
            _ => State::Closing { linger: false },
        };
    }

    /// Octets to send, in two pieces of which either may be empty.
    pub fn pending_output(&self) -> [IoSlice<'_>; 2] {
        let large = self.large_body.as_ref().map_or(&[][..], LargeBody::pending);
        [IoSlice::new(&self.output[self.sent..]), IoSlice::new(large)]
    }

    /// Takes the news that the first `octets` of [`Self::pending_output`] were sent; requests that waited for room are
    /// then answered.
    pub fn advance(&mut self, octets: usize, service: &mut Service) {
        let small = octets.min(self.output.len() - self.sent);
        self.sent += small;
        if self.sent == self.output.len() {
            self.output.clear();
            self.sent = 0;
        }
        let large = octets - small;
        if large > 0 && self.large_body.as_mut().is_some_and(|body| body.advance(large)) {
            self.large_body = None;
        }
        if !self.input.is_empty() && !self.has_output() {
            self.answer_buffered(service);
        }
    }

    /// What has to happen next.
    pub fn want(&self) -> Want {
        match self.state {
            _ if self.has_output() => Want::Write,
            State::Closing { linger: true } => Want::ShutdownWrite,
            State::Closing { linger: false } | State::Closed => Want::Close,
            State::Lingering { dropped } if dropped > LINGER_LIMIT_BYTES => Want::Close,
            State::Head | State::Body { .. } | State::Lingering { .. } => Want::Read,
        }
    }

    /// Takes the news that the sending side was shut down, as [`Want::ShutdownWrite`] asked.
    pub fn write_side_is_shut(&mut self) {
        self.state = State::Lingering { dropped: 0 };
    }

    /// Whether no request is under way: nothing to send, and not a single octet of a next request.
    pub fn is_idle(&self) -> bool {
        match self.state {
            State::Head => self.input.is_empty() && !self.has_output(),
            // Everything was said; that the client may talk on is a courtesy that ends with the server.
            State::Lingering { .. } | State::Closed => true,
            State::Body { .. } | State::Closing { .. } => false,
        }
    }

    fn has_output(&self) -> bool {
        !self.output.is_empty() || self.large_body.is_some()
    }

    fn answer_buffered(&mut self, service: &mut Service) {
        let mut input = mem::take(&mut self.input);
        let consumed = self.answer(&input, service);
        input.drain(..consumed);
        self.input = input;
    }

    /// Answers the whole requests at the front of `input` and says how much of it that took.
    fn answer(&mut self, input: &[u8], service: &mut Service) -> usize {
        let mut consumed = 0;
        while self.output.len() < OUTPUT_LIMIT_BYTES && self.large_body.is_none() {
            match self.step(&input[consumed..], service) {
                Ok(Step::Consumed(octets)) => consumed += octets,
                Ok(Step::NeedMore) => break,
                Err(status) => {
                    response::write_status(&mut self.output, status, After::Close, true, &mut service.date);
                    self.state = State::Closing { linger: true };
                    return input.len();
                }
            }
        }
        consumed
    }

    fn step(&mut self, input: &[u8], service: &mut Service) -> Result<Step, Status> {
        match &mut self.state {
            State::Head => self.step_head(input, service),
            State::Body { reader, .. } => {
                let consumed = reader.consume(input)?;
                let done = *reader == BodyReader::Done;
                if done && let State::Body { request, .. } = mem::take(&mut self.state) {
                    self.respond(&request.head(), service);
                    return Ok(Step::Consumed(consumed));
                }
                Ok(if consumed > 0 { Step::Consumed(consumed) } else { Step::NeedMore })
            }
            // What a client says behind its last request is not answered, but must not turn into a reset either.
            State::Closing { linger } if !input.is_empty() => {
                *linger = true;
                Ok(Step::Consumed(input.len()))
            }
            State::Closing { .. } | State::Lingering { .. } | State::Closed => Ok(Step::NeedMore),
        }
    }

    fn step_head(&mut self, input: &[u8], service: &mut Service) -> Result<Step, Status> {
        // A line end in front of a request line is skipped (RFC 9112, section 2.2).
        if input.starts_with(b"\r\n") {
            self.scanned = 0;
            return Ok(Step::Consumed(2));
        }
        if input.is_empty() || input == b"\r" {
            return Ok(Step::NeedMore);
        }
        let Some(end) = request::find_end(input, &mut self.scanned)? else {
            return Ok(Step::NeedMore);
        };
        let head = request::parse(&input[..end])?;
        if head.framing == Framing::None {
            self.respond(&head, service);
        } else {
            if head.expects_continue && input.len() == end {
                self.output.extend_from_slice(CONTINUE);
            }
            let request = Box::new(Request::remember(&head));
            self.state = State::Body { reader: BodyReader::new(head.framing), request };
        }
        Ok(Step::Consumed(end))
    }

    fn respond(&mut self, head: &Head<'_>, service: &mut Service) {
        let Service { site, date, closing } = service;
        let after = if head.keep_alive && !*closing {
            After::KeepAlive(head.version)
        } else {
            self.state = State::Closing { linger: false };
            After::Close
        };
        let with_body = head.method != Method::Head;
        if head.method == Method::Other {
            return response::write_status(&mut self.output, Status::MethodNotAllowed, after, true, date);
        }
        let status = match site.find(head.target) {
            Route::Page(page) => {
                self.output.extend_from_slice(&page.fixed_head);
                response::finish_head(&mut self.output, after, date);
                if with_body {
                    self.write_page(page);
                }
                return;
            }
            Route::Bytes(length) => {
                response::write_fixed_head(&mut self.output, Status::Ok, "text/plain", length);
                response::finish_head(&mut self.output, after, date);
                if with_body {
                    self.write_pattern(length);
                }
                return;
            }
            Route::Spin(time) => {
                let begin = Instant::now();
                while begin.elapsed() < time {
                    std::hint::spin_loop();
                }
                Status::Ok
            }
            Route::Sleep(time) => {
                std::thread::sleep(time);
                Status::Ok
            }
            Route::Redirect => Status::Found,
            Route::NotFound => Status::NotFound,
        };
        response::write_status(&mut self.output, status, after, with_body, date);
    }

    fn write_page(&mut self, page: &Arc<Page>) {
        if page.body.len() <= COPY_LIMIT_BYTES {
            self.output.extend_from_slice(&page.body);
        } else {
            self.large_body = Some(LargeBody::Page { page: Arc::clone(page), sent: 0 });
        }
    }

    fn write_pattern(&mut self, length: usize) {
        if length <= COPY_LIMIT_BYTES {
            self.output.extend_from_slice(site::pattern(0, length));
        } else {
            self.large_body = Some(LargeBody::Pattern { length, sent: 0 });
        }
    }
}

impl Request {
    fn remember(head: &Head<'_>) -> Self {
        let Head { method, target, version, keep_alive, .. } = *head;
        Self { method, target: target.to_vec(), version, keep_alive }
    }

    fn head(&self) -> Head<'_> {
        let Self { method, ref target, version, keep_alive } = *self;
        Head { method, target, version, keep_alive, framing: Framing::None, expects_continue: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::Site;

    const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    /// Feeds `input` in pieces of `step` octets and takes all output; gives it back with the last wish.
    fn talk(input: &[u8], step: usize) -> (String, Want) {
        let mut service = Service::new(Arc::new(Site::embedded()));
        let (mut connection, mut output) = (Connection::default(), Vec::new());
        for piece in input.chunks(step) {
            if connection.want() != Want::Read {
                break;
            }
            connection.receive(piece, &mut service);
            while connection.want() == Want::Write {
                let before = output.len();
                for part in connection.pending_output() {
                    output.extend_from_slice(&part);
                }
                connection.advance(output.len() - before, &mut service);
            }
        }
        (without_dates(&String::from_utf8(output).unwrap()), connection.want())
    }

    fn without_dates(text: &str) -> String {
        text.split_inclusive("\r\n").filter(|line| !line.starts_with("Date: ")).collect()
    }

    fn statuses(text: &str) -> Vec<&str> {
        text.match_indices("HTTP/1.1 ").map(|(at, _)| &text[at + 9..at + 12]).collect()
    }

    #[test]
    fn any_split_of_the_octets_gives_the_same_answers() {
        let input = [
            GET,
            "\r\nHEAD /bytes/70000 HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
            "PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: x\r\n\r\n",
            "GET /bytes/70000 HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /redirect HTTP/1.0\r\n\r\n",
        ]
        .concat();
        let whole = talk(input.as_bytes(), input.len());
        assert_eq!(statuses(&whole.0), ["200", "200", "405", "405", "200", "302"]);
        assert_eq!(whole.1, Want::Close);
        for step in 1..input.len() {
            assert_eq!(talk(input.as_bytes(), step), whole, "in pieces of {step}");
        }
    }

    #[test]
    fn answers_pipelined_requests_in_order_however_many() {
        let (text, want) = talk(GET.repeat(500).as_bytes(), 1 << 20);
        assert_eq!(statuses(&text).len(), 500);
        assert_eq!(want, Want::Read);
    }

    #[test]
    fn pipelined_large_bodies_wait_for_their_turn() {
        let mut service = Service::new(Arc::new(Site::embedded()));
        let mut connection = Connection::default();
        let request = "GET /bytes/16777216 HTTP/1.1\r\nHost: a\r\n\r\n".repeat(100);
        connection.receive(request.as_bytes(), &mut service);
        assert!(connection.output.capacity() < 4096, "{}", connection.output.capacity());
    }

    #[test]
    fn head_has_the_headers_of_get_and_no_body() {
        let get = talk(GET.as_bytes(), 999).0;
        let head = talk(GET.replace("GET", "HEAD").as_bytes(), 999).0;
        assert_eq!(get.split_once("\r\n\r\n").unwrap().0, head.trim_end());
    }

    #[test]
    fn an_error_is_answered_and_lingers_while_the_client_talks_on() {
        let (text, want) = talk(b"GARBAGE\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 999);
        assert_eq!(statuses(&text), ["400"]);
        assert!(text.contains("Connection: close"));
        assert_eq!(want, Want::ShutdownWrite);
    }

    #[test]
    fn says_continue_only_to_a_client_that_waits_for_it() {
        let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
        let (text, _) = talk(format!("{head}hi").as_bytes(), head.len());
        assert_eq!(statuses(&text), ["100", "405"]);
        let (text, _) = talk(format!("{head}hi").as_bytes(), 999);
        assert_eq!(statuses(&text), ["405"]);
    }

    #[test]
    fn a_client_that_stops_sending_still_gets_its_answer() {
        let mut service = Service::new(Arc::new(Site::embedded()));
        let mut connection = Connection::default();
        connection.receive(GET.as_bytes(), &mut service);
        connection.receive_end();
        assert_eq!(connection.want(), Want::Write);
        let pending = connection.pending_output().iter().map(|part| part.len()).sum();
        connection.advance(pending, &mut service);
        assert_eq!(connection.want(), Want::Close);
    }

    #[test]
    fn the_last_answer_of_a_stopping_server_closes() {
        let mut service = Service::new(Arc::new(Site::embedded()));
        service.close_after_answers();
        let mut connection = Connection::default();
        connection.receive(GET.as_bytes(), &mut service);
        let text = String::from_utf8_lossy(&connection.output).into_owned();
        assert!(text.contains("Connection: close\r\n"), "{text}");
    }
}
