//! Connection of a ring: its HTTP state, and its requests that the kernel has not completed yet.
//!
//! While a response is sent, the kernel reads its bytes from the buffers of the HTTP state, so
//! nothing here touches that state before the send has completed. The kernel still receives
//! meanwhile, and the received bytes are held back.

use std::mem;
use std::net::{self, TcpStream};
use std::os::fd::AsFd;

use rustix::io::Errno;

use super::buffers::Filled;
use super::ring::{Message, Request, Ring, Timespec};
use crate::http::{Connection, Service, Want, try_append};

/// Most bytes held back for a client that does not read its responses. Beyond this, receiving stops
/// until the client reads. The bytes of one turn may be added, bounded by the number of buffers.
const HELD_LIMIT_BYTES: usize = 16 * 1024;

/// Socket with its HTTP state, and their requests that the kernel has not completed yet.
pub struct RingConnection {
    /// The socket; `None` once it is closed.
    stream: Option<TcpStream>,
    http: Connection,
    receiving: Receiving,
    sending: Sending,
    /// Message that the kernel is sending.
    message: Option<Box<Message>>,
    /// Time until which a handler waits, read by the kernel.
    time: Option<Box<Timespec>>,
    /// Bytes received before the HTTP state can take them.
    held: Vec<u8>,
    /// True if the client has sent its last byte.
    ended: bool,
}

/// State of receiving in the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Receiving {
    No,
    Yes,
    /// The kernel was told to end receiving.
    Ending,
}

/// State of sending in the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sending {
    Nothing,
    /// This many bytes are sent with the next call; the kernel reports the send only if it can't be
    /// done at once.
    AtOnce(usize),
    /// As many bytes are sent as fit, once the socket has space for some; the kernel reports their
    /// number.
    WhenPossible,
}

/// Next step of the loop for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Wait: the kernel still has a request of the connection.
    Wait,
    /// Drop the connection: the kernel has no request of it any more.
    Drop,
}

impl RingConnection {
    pub fn new(stream: TcpStream, service: &Service) -> Self {
        Self {
            stream: Some(stream),
            http: Connection::new(service.now()),
            receiving: Receiving::No,
            sending: Sending::Nothing,
            message: None,
            time: None,
            held: Vec::new(),
            ended: false,
        }
    }

    /// Returns true if no request is in progress on the connection.
    pub fn is_idle(&self) -> bool {
        self.held.is_empty() && self.http.is_idle()
    }

    /// Returns true if the connection has waited too long for its client.
    pub fn is_overdue(&self, service: &Service) -> bool {
        self.stream.is_some()
            && self.http.deadline(service).is_some_and(|deadline| deadline <= service.now())
    }

    /// Ends the connection because its client took too long; a client in the middle of a request
    /// gets a response first.
    pub fn time_out(&mut self, slot: usize, service: &mut Service, ring: &mut Ring<'_>) {
        if self.sending == Sending::Nothing {
            self.http.time_out(service);
        } else {
            self.close(slot, ring);
        }
    }

    /// Takes the result of a receive: bytes, the end of the client's data, or the end of the
    /// kernel's request.
    pub fn received(
        &mut self,
        result: Result<Option<Filled>, Errno>,
        is_last: bool,
        slot: usize,
        service: &mut Service,
        ring: &mut Ring<'_>,
    ) {
        if is_last {
            self.receiving = Receiving::No;
        }
        if matches!(self.sending, Sending::AtOnce(_)) {
            ring.come_back();
        }
        match result {
            Ok(Some(filled)) => {
                let taken = self.take(ring.bytes(&filled), service);
                ring.give_back(filled);
                if !taken {
                    self.close(slot, ring);
                } else if self.held.len() > HELD_LIMIT_BYTES {
                    self.end_receiving(slot, ring);
                }
            }
            Ok(None) => self.ended = true,
            // All buffers were filled within a turn, or receiving was cancelled. If receiving is
            // still wanted, `go_on` asks for it again.
            Err(Errno::NOBUFS | Errno::CANCELED | Errno::INTR) => {}
            Err(_) => self.close(slot, ring),
        }
    }

    /// Takes received bytes; returns false if there is no memory for them.
    fn take(&mut self, bytes: &[u8], service: &mut Service) -> bool {
        if self.stream.is_none() {
            // The socket is closed, so no response can be sent.
        } else if self.held.is_empty() && self.http.want() == Want::Read {
            self.http.receive(bytes, service);
        } else if try_append(&mut self.held, bytes).is_err() {
            // No other response can be sent while one is being sent.
            return false;
        }
        true
    }

    /// Takes the result of a send: the number of bytes, or an error.
    pub fn sent(
        &mut self,
        result: Result<usize, Errno>,
        slot: usize,
        service: &mut Service,
        ring: &mut Ring<'_>,
    ) {
        let was = mem::replace(&mut self.sending, Sending::Nothing);
        self.message = None;
        match result {
            _ if self.stream.is_none() => {}
            Ok(bytes) => self.http.advance(bytes, service),
            Err(Errno::AGAIN) if was != Sending::WhenPossible => {}
            Err(Errno::INTR) => {}
            Err(_) => self.close(slot, ring),
        }
        // There was no space for all bytes.
        if was != Sending::WhenPossible && self.http.want() == Want::Write {
            self.send_when_possible(slot, ring);
        }
    }

    /// Notes that the bytes to be sent at once were sent, unless [`Self::sent`] has reported
    /// something else.
    pub fn settle(&mut self, service: &mut Service) {
        if let Sending::AtOnce(bytes) = self.sending {
            self.sending = Sending::Nothing;
            self.http.advance(bytes, service);
        }
    }

    /// Notes that the time of the handler is over.
    pub fn timed(&mut self) {
        self.time = None;
    }

    /// Gives the kernel the next request; to be called after every other method.
    pub fn go_on(&mut self, slot: usize, service: &mut Service, ring: &mut Ring<'_>) -> Next {
        while let Some(stream) = &self.stream {
            match self.http.want() {
                Want::Write => {
                    if self.sending == Sending::Nothing {
                        self.send(slot, ring);
                    }
                    return Next::Wait;
                }
                Want::Read if !self.held.is_empty() => {
                    let held = mem::take(&mut self.held);
                    self.http.receive(&held, service);
                }
                Want::Read if self.ended => self.http.receive_end(),
                Want::Read => {
                    if self.receiving == Receiving::No {
                        ring.receive(slot, stream.as_fd());
                        self.receiving = Receiving::Yes;
                    }
                    return Next::Wait;
                }
                Want::WaitUntil(time) if time <= service.now() => self.http.finish_wait(service),
                Want::WaitUntil(time) => {
                    if self.time.is_none() {
                        let left = time.saturating_duration_since(service.now());
                        let time = self.time.insert(Box::new(Timespec::from(left)));
                        // SAFETY: the time stays where it is until `timed` is called, since `go_on`
                        // does not let the connection be dropped before.
                        unsafe { ring.wait_for_time(slot, time) };
                    }
                    return Next::Wait;
                }
                Want::ShutdownWrite => match stream.shutdown(net::Shutdown::Write) {
                    Ok(()) => self.http.write_side_is_shut(service),
                    Err(_) => self.close(slot, ring),
                },
                Want::RunJob | Want::Reply => unreachable!("handlers run in place here"),
                Want::Close => self.close(slot, ring),
            }
        }
        let is_asked = self.receiving != Receiving::No
            || self.sending != Sending::Nothing
            || self.time.is_some();
        if is_asked { Next::Wait } else { Next::Drop }
    }

    /// Closes the socket; the kernel ends the connection's requests soon.
    pub fn close(&mut self, slot: usize, ring: &mut Ring<'_>) {
        let Some(stream) = self.stream.take() else { return };
        self.end_receiving(slot, ring);
        if self.sending == Sending::WhenPossible {
            ring.cancel(Request::Send, slot);
        }
        if self.time.is_some() {
            ring.cancel(Request::Time, slot);
        }
        ring.close(stream.into());
    }

    fn end_receiving(&mut self, slot: usize, ring: &mut Ring<'_>) {
        if self.receiving == Receiving::Yes {
            self.receiving = Receiving::Ending;
            ring.cancel(Request::Receive, slot);
        }
    }

    fn send(&mut self, slot: usize, ring: &mut Ring<'_>) {
        let Some(stream) = &self.stream else { return };
        let [output, large] = self.http.pending_output();
        let only_reads = self.receiving == Receiving::Yes && self.held.is_empty() && !self.ended;
        let at_once = only_reads && self.http.reads_after_output() && large.is_empty();
        if at_once {
            self.sending = Sending::AtOnce(output.len());
            // SAFETY: the connection is not touched until this send is settled, see `Sending`.
            unsafe { ring.send_at_once(slot, stream.as_fd(), &output) };
        } else {
            self.send_when_possible(slot, ring);
        }
    }

    fn send_when_possible(&mut self, slot: usize, ring: &mut Ring<'_>) {
        let Some(stream) = &self.stream else { return };
        let (fd, [output, large]) = (stream.as_fd(), self.http.pending_output());
        self.sending = Sending::WhenPossible;
        // SAFETY: the connection is not touched until `sent` is called, and `go_on` does not let it
        // be dropped before.
        unsafe {
            if output.is_empty() || large.is_empty() {
                ring.send(slot, fd, if output.is_empty() { &large } else { &output });
            } else {
                let message = self.message.insert(Box::new(Message::new([&output, &large])));
                ring.send_message(slot, fd, message);
            }
        }
    }
}
