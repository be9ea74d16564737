//! One connection as a state machine: requests in, responses out, in the order of their arrival.

use std::io::IoSlice;
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::body::BodyReader;
use super::buffer::{empty, try_append};
use super::handler::{self, Job, Reply};
use super::output::Output;
use super::request::{self, Framing, Head, Method, Version};
use super::response::After;
use super::service::Service;
use super::status::Status;
use crate::site::Route;
use crate::site::mix::Drawn;

/// Most bytes that are read and dropped after an error, so that the client sees the response rather
/// than a reset (RFC 9112, section 9.6).
const LINGER_LIMIT_BYTES: usize = 1024 * 1024;

/// Longest time for which input is dropped after an error. A response that has not reached its
/// client by then never will.
const LINGER_TIME: Duration = Duration::from_secs(2);

/// State of a connection after an error. The version of the request does not matter for it, and may
/// be unknown.
const REFUSED: After = After::Close(Version::Http11);

/// Next action that a connection needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// Read bytes from the client, for [`Connection::receive`].
    Read,
    /// Send [`Connection::pending_output`].
    Write,
    /// Shut down the sending side; then call [`Connection::write_side_is_shut`].
    ShutdownWrite,
    /// Run the job of [`Connection::take_job`] and give its reply to [`Connection::finish_job`].
    /// This occurs only if the [`Service`] says that handlers are not run in place.
    RunJob,
    /// Wait for the reply of the job that was taken.
    Reply,
    /// Wait until this time, because a handler waits; then call [`Connection::finish_wait`].
    WaitUntil(Instant),
    /// Close the connection.
    Close,
}

/// The server's side of one connection.
#[derive(Debug)]
pub struct Connection {
    /// Bytes of requests that are incomplete, or wait for their turn.
    input: Vec<u8>,
    /// Number of bytes of `input` already searched for the end of a head.
    scanned: usize,
    output: Output,
    state: State,
    /// Time at which the client last did something that the server waited for.
    progress: Instant,
    /// Time at which an incomplete head began.
    head_began: Option<Instant>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Head,
    /// The body of a request is read before its response is written.
    Body {
        reader: BodyReader,
        request: Box<Request>,
    },
    /// A handler has the request; `job` is there until the driver takes it to run it.
    Working {
        request: Box<Request>,
        job: Option<Job>,
    },
    /// A handler waits, and keeps no thread.
    Waiting {
        request: Box<Request>,
        until: Instant,
        /// Kind and time drawn for a request for `/mixed`.
        drawn: Option<Drawn>,
    },
    /// The last response is written; then the connection closes, after lingering if the client may
    /// still be sending.
    Closing {
        linger: bool,
    },
    /// The sending side is shut down, and input is dropped.
    Lingering {
        dropped: usize,
        since: Instant,
    },
    Closed,
}

/// Parts of a request that are kept while its body is read or its handler runs elsewhere.
#[derive(Debug)]
struct Request {
    method: Method,
    target: Vec<u8>,
    version: Version,
    keep_alive: bool,
}

/// Outcome of one step through the input.
enum Step {
    Consumed(usize),
    NeedMore,
}

impl Connection {
    /// Creates a connection that was accepted at `now`.
    pub fn new(now: Instant) -> Self {
        Self {
            input: Vec::new(),
            scanned: 0,
            output: Output::default(),
            state: State::Head,
            progress: now,
            head_began: None,
        }
    }

    /// Takes all bytes that the client sent, and answers the complete requests.
    ///
    /// Handlers run inside this call, unless the service says otherwise: `/sleep` and `/spin` keep
    /// the calling thread until they are done, `/wait` does not.
    pub fn receive(&mut self, bytes: &[u8], service: &mut Service) {
        let before = self.progress;
        let was_between_requests = self.is_between_requests();
        self.progress = service.now;
        if let State::Lingering { dropped, .. } = &mut self.state {
            *dropped += bytes.len();
        } else if self.input.is_empty() {
            // The common case: complete requests, parsed without a copy.
            let consumed = self.answer(bytes, service);
            self.keep(&bytes[consumed..]);
        } else if self.keep(bytes) {
            self.answer_buffered(service);
        }
        if was_between_requests && self.is_between_requests() {
            // Empty lines do not count as progress, or they would keep a connection open for ever.
            self.progress = before;
        }
        self.time_head(service.now);
    }

    /// Notes that the client will send no more. Pending responses are still sent.
    pub fn receive_end(&mut self) {
        self.state = match self.state {
            State::Lingering { .. } | State::Closed => State::Closed,
            _ => State::Closing { linger: false },
        };
    }

    /// Returns the time by which the client must act; `None` while the server does not wait for the
    /// client.
    pub fn deadline(&self, service: &Service) -> Option<Instant> {
        match (&self.state, self.head_began) {
            _ if !self.output.is_empty() => Some(self.progress + service.timeouts.idle),
            (State::Working { .. } | State::Waiting { .. }, _) => None,
            (State::Lingering { since, .. }, _) => Some(*since + LINGER_TIME),
            (_, Some(began)) => Some(began + service.timeouts.head),
            _ => Some(self.progress + service.timeouts.idle),
        }
    }

    /// Ends the connection because [`Self::deadline`] has passed. A client in the middle of a
    /// request gets a response first.
    pub fn time_out(&mut self, service: &mut Service) {
        self.progress = service.now;
        let is_asking = self.head_began.is_some() || matches!(self.state, State::Body { .. });
        if is_asking && self.output.is_empty() {
            let input = mem::take(&mut self.input);
            self.refuse(Status::RequestTimeout, &input, service);
        } else {
            self.output = Output::default();
            self.state = State::Closed;
        }
    }

    /// Returns the bytes to send, in two pieces of which either may be empty.
    pub fn pending_output(&self) -> [IoSlice<'_>; 2] {
        self.pending_pieces().map(IoSlice::new)
    }

    /// Returns the bytes of [`Self::pending_output`] as slices, for a caller that passes them on
    /// together with the connection. They stay at the same address until a method changes the
    /// connection, even if it is moved.
    pub fn pending_pieces(&self) -> [&[u8]; 2] {
        self.output.pending()
    }

    /// Returns true if reading is all that is left to do once [`Self::pending_output`] is sent.
    pub fn reads_after_output(&self) -> bool {
        !self.output.has_large_body() && self.input.is_empty() && matches!(self.state, State::Head)
    }

    /// Notes that the first `count` bytes of [`Self::pending_output`] were sent, then answers
    /// requests that waited for space in the output.
    pub fn advance(&mut self, count: usize, service: &mut Service) {
        self.progress = service.now;
        self.output.advance(count);
        if !self.input.is_empty() && self.output.is_empty() {
            self.answer_buffered(service);
            self.time_head(service.now);
        }
    }

    /// Returns the next action that the connection needs.
    pub fn want(&self) -> Want {
        match self.state {
            _ if !self.output.is_empty() => Want::Write,
            State::Closing { linger: true } => Want::ShutdownWrite,
            State::Closing { linger: false } | State::Closed => Want::Close,
            State::Lingering { dropped, .. } if dropped > LINGER_LIMIT_BYTES => Want::Close,
            State::Head | State::Body { .. } | State::Lingering { .. } => Want::Read,
            State::Working { job: Some(_), .. } => Want::RunJob,
            State::Working { job: None, .. } => Want::Reply,
            State::Waiting { until, .. } => Want::WaitUntil(until),
        }
    }

    /// Notes that the sending side was shut down, as [`Want::ShutdownWrite`] asked.
    pub fn write_side_is_shut(&mut self, service: &Service) {
        self.state = State::Lingering { dropped: 0, since: service.now };
    }

    /// Returns the job that [`Want::RunJob`] announces; a second call returns `None`.
    pub fn take_job(&mut self) -> Option<Job> {
        match &mut self.state {
            State::Working { job, .. } => job.take(),
            _ => None,
        }
    }

    /// Takes the reply of the job, then answers the requests that waited behind it.
    pub fn finish_job(&mut self, reply: &Reply<'_>, service: &mut Service) {
        match mem::take(&mut self.state) {
            State::Working { request, .. } => self.finish(&request, reply, service),
            state => self.state = state,
        }
    }

    /// Notes that the time of [`Want::WaitUntil`] has come, then answers its request and those that
    /// waited behind it.
    pub fn finish_wait(&mut self, service: &mut Service) {
        match mem::take(&mut self.state) {
            State::Waiting { request, drawn, .. } => {
                let reply =
                    drawn.map_or(Reply::Status(Status::Ok), |drawn| Reply::Mixed(drawn.kind));
                self.finish(&request, &reply, service);
            }
            state => self.state = state,
        }
    }

    fn finish(&mut self, request: &Request, reply: &Reply<'_>, service: &mut Service) {
        self.progress = service.now;
        let date = service.date.at(service.now);
        self.write_reply(reply, &request.head(), service.closing, date);
        if !self.input.is_empty() {
            self.answer_buffered(service);
            self.time_head(service.now);
        }
    }

    /// Returns true if no request is in progress: nothing is to be sent, and not a single byte of a
    /// next request has come.
    pub fn is_idle(&self) -> bool {
        match self.state {
            State::Head => self.input.is_empty() && self.output.is_empty(),
            // Everything was sent. Reading on only spares the client a reset, so a stopping server
            // does not wait for it.
            State::Lingering { .. } | State::Closed => true,
            State::Body { .. }
            | State::Working { .. }
            | State::Waiting { .. }
            | State::Closing { .. } => false,
        }
    }

    /// Returns true if nothing of a next request has come; an empty line, half or whole, does not
    /// count.
    fn is_between_requests(&self) -> bool {
        matches!(self.state, State::Head)
            && matches!(*self.input, [] | [b'\r'])
            && self.output.is_empty()
    }

    /// Starts the clock when a head begins, and stops it when the head is complete.
    fn time_head(&mut self, now: Instant) {
        let is_partial = matches!(self.state, State::Head)
            && self.output.is_empty()
            && !self.is_between_requests();
        self.head_began = is_partial.then(|| self.head_began.unwrap_or(now));
    }

    /// Keeps input that can't be answered yet; without memory for it, sheds the connection and
    /// returns false.
    fn keep(&mut self, bytes: &[u8]) -> bool {
        let kept = try_append(&mut self.input, bytes).is_ok();
        if !kept {
            self.shed();
        }
        kept
    }

    /// Ends the connection because there is not enough memory for it: earlier responses are still
    /// sent, then a refusal. The refusal is left out while a large body is being sent, because
    /// there is no place for it.
    fn shed(&mut self) {
        (self.input, self.scanned, self.head_began) = (Vec::new(), 0, None);
        self.output.write_refusal();
        self.state = State::Closing { linger: true };
    }

    fn answer_buffered(&mut self, service: &mut Service) {
        let mut input = mem::take(&mut self.input);
        let consumed = self.answer(&input, service);
        if consumed == input.len() {
            empty(&mut input);
        } else {
            input.drain(..consumed);
        }
        self.input = input;
    }

    /// Answers the complete requests at the front of `input` and returns the number of bytes that
    /// they took.
    fn answer(&mut self, input: &[u8], service: &mut Service) -> usize {
        let mut consumed = 0;
        while self.output.has_space() {
            match self.step(&input[consumed..], service) {
                Ok(Step::Consumed(bytes)) => consumed += bytes,
                Ok(Step::NeedMore) => break,
                Err(status) => {
                    self.refuse(status, &input[consumed..], service);
                    return input.len();
                }
            }
        }
        consumed
    }

    /// Answers with an error, and ends the connection. The error concerns the request that `input`
    /// begins with, or the one whose body is being read.
    fn refuse(&mut self, status: Status, input: &[u8], service: &mut Service) {
        let is_head = match &self.state {
            State::Body { request, .. } => request.method == Method::Head,
            _ => input.starts_with(b"HEAD "),
        };
        let date = service.date.at(service.now);
        if self.output.write_reply(&Reply::Status(status), REFUSED, !is_head, date).is_err() {
            return self.shed();
        }
        self.state = State::Closing { linger: true };
        self.head_began = None;
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
            // Bytes after the client's last request get no response, but must not cause a reset
            // either.
            State::Closing { linger } if !input.is_empty() => {
                *linger = true;
                Ok(Step::Consumed(input.len()))
            }
            State::Working { .. }
            | State::Waiting { .. }
            | State::Closing { .. }
            | State::Lingering { .. }
            | State::Closed => Ok(Step::NeedMore),
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
        // The next head has a clock of its own.
        self.head_began = None;
        if head.framing == Framing::None {
            self.respond(&head, service);
        } else if let Some(request) = Request::remember(&head) {
            // Without this response, the client sends the body anyway after a while (RFC 9110,
            // section 10.1.1).
            if head.expects_continue && input.len() == end {
                self.output.write_continue();
            }
            self.state = State::Body { reader: BodyReader::new(head.framing), request };
        } else {
            self.shed();
        }
        Ok(Step::Consumed(end))
    }

    /// Answers a request, or leaves it to a job or to a timer.
    fn respond(&mut self, head: &Head<'_>, service: &mut Service) {
        let Service { site, handlers, now, date, closing, .. } = service;
        if head.method == Method::Other {
            return self.write_reply(
                &Reply::Status(Status::MethodNotAllowed),
                head,
                *closing,
                date.at(*now),
            );
        }
        let route = site.find(head.target);
        let drawn = if let Route::Mixed(drawn) = route { Some(drawn) } else { None };
        if handlers.offload(&route) {
            let Some(mut request) = Request::remember(head) else { return self.shed() };
            let job = Job::new(Arc::clone(site), mem::take(&mut request.target), drawn);
            self.state = State::Working { request, job: Some(job) };
            return;
        }
        if let Some(time) = route.waits() {
            let Some(request) = Request::remember(head) else { return self.shed() };
            self.state = State::Waiting { request, until: Instant::now() + time, drawn };
            return;
        }
        let blocks = route.blocks();
        let reply = handler::run(route);
        if blocks {
            // The time that the handler took does not count as the client's.
            *now = Instant::now();
            self.progress = *now;
        }
        self.write_reply(&reply, head, *closing, date.at(*now));
    }

    fn write_reply(&mut self, reply: &Reply<'_>, head: &Head<'_>, closing: bool, date: &[u8]) {
        // A handler that panicked may have left damage that this code can't see.
        let failed = matches!(
            reply,
            Reply::Status(Status::InternalServerError | Status::ServiceUnavailable)
        );
        let after = if head.keep_alive && !closing && !failed {
            After::KeepAlive(head.version)
        } else {
            self.state = State::Closing { linger: false };
            After::Close(head.version)
        };
        if self.output.write_reply(reply, after, head.method != Method::Head, date).is_err() {
            self.shed();
        }
    }
}

impl Request {
    /// Copies the parts of `head` to keep; returns `None` if there is no memory for them.
    fn remember(head: &Head<'_>) -> Option<Box<Self>> {
        let Head { method, target: found, version, keep_alive, .. } = *head;
        let mut target = Vec::new();
        try_append(&mut target, found).ok()?;
        Some(Box::new(Self { method, target, version, keep_alive }))
    }

    fn head(&self) -> Head<'_> {
        let Self { method, ref target, version, keep_alive } = *self;
        Head {
            method,
            target,
            version,
            keep_alive,
            framing: Framing::None,
            expects_continue: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::buffer::KEPT_BYTES;
    use super::super::service::{HandlerPlacement, Timeouts};
    use super::*;
    use crate::site::Site;

    const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    fn service() -> Service {
        Service::new(
            Arc::new(Site::embedded().with_panic()),
            Timeouts::default(),
            HandlerPlacement::InPlace,
        )
    }

    /// Feeds `input` in pieces of `step` bytes and takes all output; returns it with the last
    /// [`Want`].
    fn talk(input: &[u8], step: usize) -> (String, Want) {
        let mut service = service();
        let mut connection = Connection::new(Instant::now());
        let mut output = Vec::new();
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
    fn any_split_of_the_bytes_gets_the_same_responses() {
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
    fn answers_any_number_of_pipelined_requests_in_order() {
        let (text, want) = talk(GET.repeat(500).as_bytes(), 1 << 20);
        assert_eq!(statuses(&text).len(), 500);
        assert_eq!(want, Want::Read);
    }

    #[test]
    fn pipelined_large_bodies_wait_for_their_turn() {
        let mut service = service();
        let mut connection = Connection::new(Instant::now());
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
    fn an_error_gets_a_response_and_lingers_while_the_client_keeps_sending() {
        let (text, want) = talk(b"GARBAGE\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 999);
        assert_eq!(statuses(&text), ["400"]);
        assert!(text.contains("Connection: close"));
        assert_eq!(want, Want::ShutdownWrite);
    }

    #[test]
    fn a_refused_head_request_has_no_body_either() {
        for head in ["HEAD / HTTP/1.1\r\n\r\n", "HEAD / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n"] {
            let (text, _) = talk(head.as_bytes(), 999);
            assert!(text.starts_with("HTTP/1.1 4") && text.ends_with("\r\n\r\n"), "{text}");
        }
    }

    #[test]
    fn keeps_no_large_buffer_after_a_burst() {
        let (mut connection, mut service, _) = at_a_time();
        connection.receive(GET.repeat(900).as_bytes(), &mut service);
        while connection.want() == Want::Write {
            take_output(&mut connection, &mut service);
        }
        assert!(connection.is_idle());
        assert!(connection.output.capacity() + connection.input.capacity() <= 2 * KEPT_BYTES);
    }

    #[test]
    fn the_time_of_a_handler_does_not_count_as_the_clients() {
        let (mut connection, mut service, begin) = at_a_time();
        connection.receive(b"GET /sleep/2000 HTTP/1.1\r\nHost: a\r\n\r\n", &mut service);
        take_output(&mut connection, &mut service);
        let idle = service.timeouts().idle;
        assert!(connection.deadline(&service) >= Some(begin + Duration::from_millis(2) + idle));
    }

    #[test]
    fn says_continue_only_to_a_client_that_waits_for_it() {
        let head =
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
        let (text, _) = talk(format!("{head}hi").as_bytes(), head.len());
        assert_eq!(statuses(&text), ["100", "405"]);
        let (text, _) = talk(format!("{head}hi").as_bytes(), 999);
        assert_eq!(statuses(&text), ["405"]);
    }

    #[test]
    fn a_client_that_stops_sending_still_gets_its_response() {
        let mut service = service();
        let mut connection = Connection::new(Instant::now());
        connection.receive(GET.as_bytes(), &mut service);
        connection.receive_end();
        assert_eq!(connection.want(), Want::Write);
        let pending = connection.pending_output().iter().map(|part| part.len()).sum();
        connection.advance(pending, &mut service);
        assert_eq!(connection.want(), Want::Close);
    }

    const PART_OF_A_HEAD: &[u8] = b"GET / HTTP/1.1\r\nHost: ";

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Returns a connection, a service whose clock is set, and the time of that clock.
    fn at_a_time() -> (Connection, Service, Instant) {
        let mut service = service();
        let now = Instant::now();
        service.set_time(now);
        (Connection::new(now), service, now)
    }

    fn take_output(connection: &mut Connection, service: &mut Service) -> String {
        let pending: Vec<u8> =
            connection.pending_output().iter().flat_map(|part| part.to_vec()).collect();
        connection.advance(pending.len(), service);
        String::from_utf8(pending).unwrap()
    }

    #[test]
    fn a_head_in_pieces_has_ten_seconds_from_its_first_byte() {
        let (mut connection, mut service, begin) = at_a_time();
        assert_eq!(connection.deadline(&service), Some(begin + seconds(60)));
        for i in 0..PART_OF_A_HEAD.len() as u64 {
            service.set_time(begin + seconds(20) + Duration::from_millis(i * 100));
            connection.receive(&PART_OF_A_HEAD[i as usize..][..1], &mut service);
            assert_eq!(connection.deadline(&service), Some(begin + seconds(30)), "after {i} bytes");
        }
        connection.time_out(&mut service);
        assert_eq!(statuses(&take_output(&mut connection, &mut service)), ["408"]);
        assert_eq!(connection.want(), Want::ShutdownWrite);
        connection.write_side_is_shut(&service);
        assert_eq!(connection.deadline(&service), Some(service.now() + LINGER_TIME));
    }

    #[test]
    fn every_head_of_a_connection_has_its_own_clock() {
        let (mut connection, mut service, begin) = at_a_time();
        let now = begin + seconds(5);
        let request_and_part = [GET.as_bytes(), PART_OF_A_HEAD].concat();
        service.set_time(begin);
        connection.receive(PART_OF_A_HEAD, &mut service);
        service.set_time(now);
        connection.receive(&[b"a\r\n\r\n", &request_and_part[..]].concat(), &mut service);
        assert_eq!(statuses(&take_output(&mut connection, &mut service)), ["200", "200"]);
        assert_eq!(connection.deadline(&service), Some(now + seconds(10)));
    }

    #[test]
    fn an_idle_connection_ends_without_a_response_a_minute_after_the_last_one() {
        let (mut connection, mut service, begin) = at_a_time();
        connection.receive(GET.as_bytes(), &mut service);
        service.set_time(begin + seconds(9));
        take_output(&mut connection, &mut service);
        assert_eq!(connection.deadline(&service), Some(begin + seconds(69)));
        connection.time_out(&mut service);
        assert_eq!(connection.want(), Want::Close);
    }

    #[test]
    fn empty_lines_do_not_keep_an_idle_connection() {
        for pieces in [["\r\n", "\r\n"], ["\r", "\n"], ["\r\n\r", "\n\r\n"]] {
            let (mut connection, mut service, begin) = at_a_time();
            for (at, piece) in [(20, pieces[0]), (40, pieces[1])] {
                service.set_time(begin + seconds(at));
                connection.receive(piece.as_bytes(), &mut service);
                assert_eq!(
                    connection.deadline(&service),
                    Some(begin + seconds(60)),
                    "after {piece:?}"
                );
            }
            service.set_time(begin + seconds(59));
            connection.receive(GET.as_bytes(), &mut service);
            assert_eq!(statuses(&take_output(&mut connection, &mut service)), ["200"]);
            assert_eq!(connection.deadline(&service), Some(begin + seconds(119)));
        }
    }

    #[test]
    fn a_body_that_stops_coming_gets_a_response_and_a_client_that_stops_reading_gets_none() {
        let (mut connection, mut service, begin) = at_a_time();
        connection
            .receive(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf", &mut service);
        assert_eq!(connection.deadline(&service), Some(begin + seconds(60)));
        connection.time_out(&mut service);
        assert_eq!(statuses(&take_output(&mut connection, &mut service)), ["408"]);
        let (mut connection, mut service, begin) = at_a_time();
        connection.receive(b"GET /bytes/999999 HTTP/1.1\r\nHost: a\r\n\r\n", &mut service);
        service.set_time(begin + seconds(50));
        connection.advance(10_000, &mut service);
        assert_eq!(connection.deadline(&service), Some(begin + seconds(110)));
        connection.time_out(&mut service);
        assert_eq!(connection.want(), Want::Close);
    }

    #[test]
    fn a_handler_that_panics_gets_a_500_and_ends_its_connection() {
        let (text, want) = talk(b"GET /panic HTTP/1.1\r\nHost: a\r\n\r\n", 999);
        assert_eq!(statuses(&text), ["500"]);
        assert!(text.contains("Connection: close\r\n"), "{text}");
        assert_eq!(want, Want::Close);
    }

    /// Runs the jobs of `requests`; returns the statuses of the responses and the number of jobs.
    fn talk_with_jobs(requests: &str, handlers: HandlerPlacement) -> (Vec<String>, usize) {
        let mut service = Service::new(Arc::new(Site::embedded()), Timeouts::default(), handlers);
        let mut connection = Connection::new(service.now());
        connection.receive(requests.as_bytes(), &mut service);
        let mut text = String::new();
        let mut jobs = 0;
        loop {
            match connection.want() {
                Want::Write => text += &take_output(&mut connection, &mut service),
                Want::RunJob => {
                    let job = connection.take_job().unwrap();
                    assert_eq!(
                        (connection.want(), connection.deadline(&service)),
                        (Want::Reply, None)
                    );
                    assert!(!connection.is_idle());
                    connection.finish_job(&job.run(), &mut service);
                    jobs += 1;
                }
                Want::WaitUntil(_) => connection.finish_wait(&mut service),
                _ => return (statuses(&text).iter().map(ToString::to_string).collect(), jobs),
            }
        }
    }

    #[test]
    fn handlers_that_run_elsewhere_keep_the_order_of_responses() {
        let targets = [
            "/",
            "/sleep/1",
            "/bytes/70000",
            "/spin/1",
            "/nothing",
            "/wait/1",
            "/mixed?spin=100:1",
        ];
        let requests = targets.map(|target| GET.replacen('/', target, 1)).concat();
        let expected = ["200", "200", "200", "200", "404", "200", "200"].map(String::from).to_vec();
        for (handlers, jobs) in [
            (HandlerPlacement::InPlace, 0),
            (HandlerPlacement::OffloadBlocking, 3),
            (HandlerPlacement::OffloadAll, 7),
        ] {
            assert_eq!(
                talk_with_jobs(&requests, handlers),
                (expected.clone(), jobs),
                "{handlers:?}"
            );
        }
    }

    #[test]
    fn requests_after_a_handler_that_waits_keep_their_order() {
        let (mut connection, mut service, begin) = at_a_time();
        let requests = ["/", "/wait/5000", "/mixed?wait=100:7", "/"]
            .map(|target| GET.replacen('/', target, 1));
        connection.receive(requests.concat().as_bytes(), &mut service);
        assert_eq!(statuses(&take_output(&mut connection, &mut service)), ["200"]);
        let Want::WaitUntil(until) = connection.want() else { panic!("{connection:?}") };
        assert!(
            until >= begin + Duration::from_millis(5) && begin.elapsed() < Duration::from_millis(5)
        );
        // The server does not wait for the client here.
        assert_eq!((connection.deadline(&service), connection.is_idle()), (None, false));
        connection.finish_wait(&mut service);
        assert_eq!(statuses(&take_output(&mut connection, &mut service)), ["200"]);
        assert!(matches!(connection.want(), Want::WaitUntil(_)));
        connection.finish_wait(&mut service);
        let text = take_output(&mut connection, &mut service);
        assert_eq!(
            (statuses(&text).len(), text.matches("Server-Timing: wait\r\n").count()),
            (2, 1)
        );
        assert_eq!(connection.want(), Want::Read);
    }

    #[test]
    fn a_shed_connection_sends_earlier_responses_and_then_a_refusal() {
        let (mut connection, mut service, _) = at_a_time();
        connection.receive(&[GET.as_bytes(), PART_OF_A_HEAD].concat(), &mut service);
        connection.shed();
        assert!(connection.input.capacity() == 0);
        assert_eq!(statuses(&take_output(&mut connection, &mut service)), ["200", "503"]);
        assert_eq!(connection.want(), Want::ShutdownWrite);
    }

    #[test]
    fn a_connection_shed_during_a_large_body_sends_it_to_its_end() {
        let (mut connection, mut service, _) = at_a_time();
        connection.receive(b"GET /bytes/70000 HTTP/1.1\r\nHost: a\r\n\r\nGET /", &mut service);
        connection.shed();
        let mut text = String::new();
        while connection.want() == Want::Write {
            text += &take_output(&mut connection, &mut service);
        }
        assert!(text.len() > 70_000 && statuses(&text) == ["200"]);
        assert_eq!(connection.want(), Want::ShutdownWrite);
    }

    #[test]
    fn the_last_response_of_a_stopping_server_closes() {
        let mut service = service();
        service.close_after_responses();
        let mut connection = Connection::new(Instant::now());
        connection.receive(GET.as_bytes(), &mut service);
        let text = String::from_utf8_lossy(connection.output.pending()[0]).into_owned();
        assert!(text.contains("Connection: close\r\n"), "{text}");
    }
}
