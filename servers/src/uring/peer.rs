//! A connection of a ring: its HTTP state, and what the kernel still has of it.
//!
//! While an answer is sent, its octets lie where the kernel reads them, so nothing here touches the HTTP state before the
//! send has completed. The kernel receives meanwhile; what comes is held back.

use std::mem;
use std::net::{self, TcpStream};
use std::os::fd::AsFd;

use rustix::io::Errno;

use super::buffers::Filled;
use super::ring::{Message, Request, Ring, Timespec};
use crate::http::{Connection, Service, Want};
use crate::memory;

/// A client that sends so much without taking its answers is not received from until it does. What one turn brings comes on
/// top of it, which is bounded by the buffers there are.
const HELD_LIMIT_BYTES: usize = 16 * 1024;

/// One connection.
pub struct Peer {
    /// Until it is closed.
    stream: Option<TcpStream>,
    connection: Connection,
    receiving: Receiving,
    sending: Sending,
    /// What the kernel is to send.
    message: Option<Box<Message>>,
    /// The time that the kernel lets pass, as its handler waits for that.
    time: Option<Box<Timespec>>,
    /// What was received before its time.
    held: Vec<u8>,
    /// Whether the client has sent its last octet.
    ended: bool,
}

/// Whether the kernel receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Receiving {
    No,
    Yes,
    /// It was told to end.
    Ending,
}

/// What the kernel sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sending {
    Nothing,
    /// So many octets with the next call, of which it says something only if that can't be done.
    AtOnce(usize),
    /// What there is room for, as soon as there is some; it says how much that was.
    WhenPossible,
}

/// What comes after what was done for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The kernel has something to do for it.
    Wait,
    /// The kernel has nothing of it any more, and it can be dropped.
    Drop,
}

impl Peer {
    pub fn new(stream: TcpStream, service: &Service) -> Self {
        Self {
            stream: Some(stream),
            connection: Connection::new(service.now()),
            receiving: Receiving::No,
            sending: Sending::Nothing,
            message: None,
            time: None,
            held: Vec::new(),
            ended: false,
        }
    }

    /// Whether no request is under way on it.
    pub fn is_idle(&self) -> bool {
        self.held.is_empty() && self.connection.is_idle()
    }

    /// Whether it has waited for its client for too long.
    pub fn is_overdue(&self, service: &Service) -> bool {
        self.stream.is_some()
            && self.connection.deadline(service).is_some_and(|deadline| deadline <= service.now())
    }

    /// Tells the client that it took too long, as far as there is something to tell.
    pub fn time_out(&mut self, slot: usize, service: &mut Service, ring: &mut Ring<'_>) {
        if self.sending == Sending::Nothing {
            self.connection.time_out(service);
        } else {
            self.close(slot, ring);
        }
    }

    /// Takes what was received: octets, or the news that no more will come of this client or of this request.
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
                let taken = self.take(ring.octets(&filled), service);
                ring.give_back(filled);
                if !taken {
                    self.close(slot, ring);
                } else if self.held.len() > HELD_LIMIT_BYTES {
                    self.end_receiving(slot, ring);
                }
            }
            Ok(None) => self.ended = true,
            // All buffers were filled within a turn, or it was told to end: if it is still wanted, it is asked for again.
            Err(Errno::NOBUFS | Errno::CANCELED | Errno::INTR) => {}
            Err(_) => self.close(slot, ring),
        }
    }

    /// Whether there was memory for it.
    fn take(&mut self, octets: &[u8], service: &mut Service) -> bool {
        if self.stream.is_none() {
            // Nobody is there to answer.
        } else if self.held.is_empty() && self.connection.want() == Want::Read {
            self.connection.receive(octets, service);
        } else if !memory::append(&mut self.held, octets) {
            // While an answer is on its way there is nothing else that could be said.
            return false;
        }
        true
    }

    /// Takes the news that so much was sent, or why nothing.
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
            Ok(octets) => self.connection.advance(octets, service),
            Err(Errno::AGAIN) if was != Sending::WhenPossible => {}
            Err(Errno::INTR) => {}
            Err(_) => self.close(slot, ring),
        }
        // There was no room for all of it.
        if was != Sending::WhenPossible && self.connection.want() == Want::Write {
            self.send_when_possible(slot, ring);
        }
    }

    /// Takes the news that what was to be sent at once has been, unless [`Self::sent`] has said otherwise.
    pub fn settle(&mut self, service: &mut Service) {
        if let Sending::AtOnce(octets) = self.sending {
            self.sending = Sending::Nothing;
            self.connection.advance(octets, service);
        }
    }

    /// Takes the news that the time is over that was asked for.
    pub fn timed(&mut self) {
        self.time = None;
    }

    /// Asks the kernel for what is next, whatever was done before.
    pub fn go_on(&mut self, slot: usize, service: &mut Service, ring: &mut Ring<'_>) -> Next {
        while let Some(stream) = &self.stream {
            match self.connection.want() {
                Want::Write => {
                    if self.sending == Sending::Nothing {
                        self.send(slot, ring);
                    }
                    return Next::Wait;
                }
                Want::Read if !self.held.is_empty() => {
                    let held = mem::take(&mut self.held);
                    self.connection.receive(&held, service);
                }
                Want::Read if self.ended => self.connection.receive_end(),
                Want::Read => {
                    if self.receiving == Receiving::No {
                        ring.receive(slot, stream.as_fd());
                        self.receiving = Receiving::Yes;
                    }
                    return Next::Wait;
                }
                Want::WaitUntil(time) if time <= service.now() => self.connection.finish_wait(service),
                Want::WaitUntil(time) => {
                    if self.time.is_none() {
                        let left = time.saturating_duration_since(service.now());
                        let time = self.time.insert(Box::new(Timespec::from(left)));
                        // SAFETY: until `timed` says that it is over it stays, since `go_on` does not let it be dropped.
                        unsafe { ring.wait_for_time(slot, time) };
                    }
                    return Next::Wait;
                }
                Want::ShutdownWrite => match stream.shutdown(net::Shutdown::Write) {
                    Ok(()) => self.connection.write_side_is_shut(service),
                    Err(_) => self.close(slot, ring),
                },
                Want::RunJob | Want::Reply => unreachable!("handlers run in place here"),
                Want::Close => self.close(slot, ring),
            }
        }
        let is_asked =
            self.receiving != Receiving::No || self.sending != Sending::Nothing || self.time.is_some();
        if is_asked { Next::Wait } else { Next::Drop }
    }

    /// Closes the socket; what the kernel has of the connection comes back soon.
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
        let [output, large] = self.connection.pending_output();
        let only_reads = self.receiving == Receiving::Yes && self.held.is_empty() && !self.ended;
        let at_once = only_reads && self.connection.reads_after_output() && large.is_empty();
        if at_once && ring.has_room_at_once() {
            self.sending = Sending::AtOnce(output.len());
            // SAFETY: until this is settled, see `Sending`, the connection is not touched.
            unsafe { ring.send_at_once(slot, stream.as_fd(), &output) };
        } else {
            self.send_when_possible(slot, ring);
        }
    }

    fn send_when_possible(&mut self, slot: usize, ring: &mut Ring<'_>) {
        let Some(stream) = &self.stream else { return };
        let (fd, [output, large]) = (stream.as_fd(), self.connection.pending_output());
        self.sending = Sending::WhenPossible;
        // SAFETY: until `sent` says that it was done, the connection is not touched, nor does `go_on` let it be dropped.
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
