//! Small, safe interface of an `io_uring` (see `io_uring(7)`): the requests of this loop to the
//! kernel, and their completions.
//!
//! Tried and left out, because at 64 connections it made no difference beyond noise: registered
//! files instead of descriptors, queues a quarter or four times as large, a quarter of the buffers.
//! (Deferring, see [`deferring`], and the registered descriptor of the ring made no difference
//! either, but cost nothing.) Left out for their effects: a minimum time to wait buys larger
//! batches with later responses; `MSG_WAITALL` on large responses hides how a client takes them, so
//! that a slow client could not be told from a stuck one; a kernel thread that polls the queue
//! takes a processor.

use std::io;
use std::mem::{self, ManuallyDrop};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use std::ptr;
use std::thread;
use std::time::Duration;

pub use io_uring::types::Timespec;
use io_uring::types::{CancelBuilder, Fd, SubmitArgs};
use io_uring::{
    Builder, CompletionQueue, IoUring, Probe, SubmissionQueue, Submitter, cqueue, opcode, squeue,
};
use rustix::io::Errno;

use super::buffers::{self, Buffers, Filled};

/// Most requests that one call gives to the kernel; further ones take another call. All of them fit
/// into the L1 cache of the processor.
const SUBMISSIONS: u32 = 256;

/// Size of the completion queue; the kernel has to keep further completions elsewhere.
pub const COMPLETIONS: u32 = 1024;

/// Pause between two attempts while the kernel has no memory for requests; long compared with an
/// attempt, short compared with a client's timeout.
const SHORTAGE_PAUSE: Duration = Duration::from_millis(10);

/// Creates an `io_uring` with the best options of this kernel, for any thread that takes it over.
pub fn open() -> io::Result<IoUring> {
    let mut result = Err(io::ErrorKind::Unsupported.into());
    for choose in [newest, deferring, cooperating] {
        let mut builder = IoUring::builder();
        choose(&mut builder)
            .setup_r_disabled()
            .setup_submit_all()
            .setup_cqsize(COMPLETIONS)
            .setup_clamp();
        result = builder.build(SUBMISSIONS);
        // An older kernel refuses options that it does not know as invalid.
        if !matches!(&result, Err(error) if error.kind() == io::ErrorKind::InvalidInput) {
            break;
        }
    }
    result
}

/// Returns true if the kernel has everything that the loop asks it for.
pub fn is_new_enough(io_uring: &IoUring) -> io::Result<bool> {
    let mut known = Probe::new();
    io_uring.submitter().register_probe(&mut known)?;
    // The loop needs multishot receiving, which is a mode of a request and can't be probed.
    // `SendZc` has come with the same kernel version.
    Ok(known.is_supported(opcode::SendZc::CODE))
}

/// Sets the options of Linux 6.6, which save a level of indirection that is needed only to reorder
/// requests.
fn newest(builder: &mut Builder) -> &mut Builder {
    deferring(builder).setup_no_sqarray()
}

/// Sets the options of Linux 6.1: the kernel does its work for the ring only while the thread waits
/// in its call, and never in between.
fn deferring(builder: &mut Builder) -> &mut Builder {
    builder.setup_single_issuer().setup_defer_taskrun()
}

/// Sets the options of older kernels: the work is not deferred, but it does not interrupt the
/// thread either.
fn cooperating(builder: &mut Builder) -> &mut Builder {
    builder.setup_coop_taskrun()
}

/// Queues of an `io_uring`, and the memory that it receives into.
///
/// When the ring is dropped, the requests that the kernel still has are cancelled first.
pub struct Ring<'r> {
    submitter: Submitter<'r>,
    submissions: SubmissionQueue<'r>,
    completions: CompletionQueue<'r>,
    buffers: ManuallyDrop<Buffers>,
    /// Number of requests whose last completion is still to come.
    in_flight: usize,
    /// Connections whose data is to be sent with the next call; `settled` has those whose data was
    /// sent.
    at_once: Vec<usize>,
    settled: Vec<usize>,
    /// True if a connection can continue as soon as its data is sent, so that the next call must
    /// not wait for completions.
    comes_back: bool,
}

/// Completion of a request, as the kernel reports it.
#[derive(Debug)]
pub enum Completion {
    Accepted {
        result: Result<OwnedFd, Errno>,
        is_last: bool,
    },
    /// A connection waits to be accepted.
    Knocked,
    Received {
        slot: usize,
        result: Result<Option<Filled>, Errno>,
        is_last: bool,
    },
    Sent {
        slot: usize,
        result: Result<usize, Errno>,
    },
    /// The time of [`Ring::wait_for_time`] is over.
    Timed {
        slot: usize,
    },
    /// The descriptor of [`Ring::watch`] is readable.
    Watched,
}

/// Kind of a request to the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    Accept,
    Knock,
    Receive,
    Send,
    /// A send with the next call, which is never in flight between two calls.
    SendAtOnce,
    Time,
    Watch,
}

/// Slot for requests that belong to no connection.
pub const NO_SLOT: usize = 0;

/// Name of requests whose completion is ignored.
const UNNAMED: u64 = u64::MAX;

impl Request {
    const ALL: [Self; 7] = [
        Self::Accept,
        Self::Knock,
        Self::Receive,
        Self::Send,
        Self::SendAtOnce,
        Self::Time,
        Self::Watch,
    ];

    /// Returns the name of a request of a connection; the kernel reports it with every completion.
    fn name(self, slot: usize) -> u64 {
        (slot as u64) << 8 | self as u64
    }

    fn of_name(name: u64) -> Option<(Self, usize)> {
        Self::ALL.get((name & 0xff) as usize).map(|&request| (request, (name >> 8) as usize))
    }
}

impl<'r> Ring<'r> {
    /// Takes over an `io_uring`. From now on it can be used by this thread only.
    pub fn new(io_uring: &'r mut IoUring) -> io::Result<Self> {
        let (mut submitter, submissions, completions) = io_uring.split();
        submitter.register_enable_rings()?;
        // Saves the kernel a look-up at every call; calls work without it too, so an error is
        // ignored.
        let _ = submitter.register_ring_fd();
        // SAFETY: the buffers are dropped in `drop` below, when nothing is in flight.
        let buffers = ManuallyDrop::new(unsafe { Buffers::register(&submitter)? });
        Ok(Self {
            submitter,
            submissions,
            completions,
            buffers,
            in_flight: 0,
            at_once: Vec::new(),
            settled: Vec::new(),
            comes_back: false,
        })
    }

    /// Accepts connections: one, or all that come.
    pub fn accept(&mut self, listener: BorrowedFd<'_>, all: bool) {
        let fd = Fd(listener.as_raw_fd());
        let flags = libc::SOCK_CLOEXEC;
        let entry = if all {
            opcode::AcceptMulti::new(fd).flags(flags).build()
        } else {
            opcode::Accept::new(fd, ptr::null_mut(), ptr::null_mut()).flags(flags).build()
        };
        self.ask(entry, Request::Accept, NO_SLOT);
    }

    /// Asks for [`Completion::Knocked`] when a connection waits to be accepted.
    pub fn wait_for_knock(&mut self, listener: BorrowedFd<'_>) {
        self.poll(listener, Request::Knock);
    }

    /// Asks for [`Completion::Watched`] when `fd` is readable.
    pub fn watch(&mut self, fd: BorrowedFd<'_>) {
        self.poll(fd, Request::Watch);
    }

    /// Asks for [`Completion::Timed`] when `time` is over.
    ///
    /// # Safety
    /// `time` must stay where it is until then.
    pub unsafe fn wait_for_time(&mut self, slot: usize, time: &Timespec) {
        self.ask(opcode::Timeout::new(time).build(), Request::Time, slot);
    }

    /// Receives from now on, whenever data comes.
    pub fn receive(&mut self, slot: usize, socket: BorrowedFd<'_>) {
        let entry = opcode::RecvMulti::new(Fd(socket.as_raw_fd()), buffers::GROUP).build();
        self.ask(entry, Request::Receive, slot);
    }

    /// Sends as many of `bytes` as fit, once the socket has space for some.
    ///
    /// # Safety
    /// The bytes must stay where they are until the request has completed.
    pub unsafe fn send(&mut self, slot: usize, socket: BorrowedFd<'_>, bytes: &[u8]) {
        let entry = send(socket, bytes).build();
        self.ask(entry, Request::Send, slot);
    }

    /// Sends bytes from two places in memory, otherwise like [`Self::send`].
    ///
    /// # Safety
    /// The message and the bytes that it refers to must stay where they are until the request has
    /// completed.
    pub unsafe fn send_message(
        &mut self,
        slot: usize,
        socket: BorrowedFd<'_>,
        message: &mut Message,
    ) {
        let entry = opcode::SendMsg::new(Fd(socket.as_raw_fd()), message.header()).build();
        self.ask(entry, Request::Send, slot);
    }

    /// Sends all of `bytes` with the next [`Self::wait`]. There is a completion only if that fails;
    /// [`Self::take_settled`] returns the slot once the outcome is certain.
    ///
    /// # Safety
    /// The bytes must stay where they are until then.
    pub unsafe fn send_at_once(&mut self, slot: usize, socket: BorrowedFd<'_>, bytes: &[u8]) {
        let flags = libc::MSG_DONTWAIT | libc::MSG_WAITALL;
        let entry = send(socket, bytes).flags(flags).build().flags(squeue::Flags::SKIP_SUCCESS);
        self.push(&entry.user_data(Request::SendAtOnce.name(slot)));
        self.at_once.push(slot);
    }

    /// Cancels a request. Its last completion still comes.
    pub fn cancel(&mut self, request: Request, slot: usize) {
        self.push(&unnamed(opcode::AsyncCancel::new(request.name(slot)).build()));
    }

    /// Closes `fd` after the earlier requests have begun.
    pub fn close(&mut self, fd: OwnedFd) {
        self.push(&unnamed(opcode::Close::new(Fd(fd.into_raw_fd())).build()));
    }

    /// Makes the next [`Self::wait`] return without waiting for completions, because a connection
    /// can continue as soon as its data is sent.
    pub fn come_back(&mut self) {
        self.comes_back = true;
    }

    /// Gives the kernel all requests, and waits for completions, but no longer than `timeout`.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let completions = usize::from(!mem::take(&mut self.comes_back));
        self.enter(completions, timeout)?;
        // Completions that did not fit into the queue come with a later call, and one of them may
        // concern these sends.
        if self.submissions.is_empty() && !self.submissions.cq_overflow() {
            self.settled.append(&mut self.at_once);
        }
        Ok(())
    }

    /// Appends the available completions to `done`.
    pub fn take_completions(&mut self, done: &mut Vec<Completion>) {
        while let Some(entry) = self.completions.next() {
            if let Some((request, slot)) = Request::of_name(entry.user_data()) {
                done.push(self.completion(request, slot, &entry));
            }
        }
    }

    /// Returns a connection whose data was sent at once, unless a completion of the last wait says
    /// otherwise.
    pub fn take_settled(&mut self) -> Option<usize> {
        self.settled.pop()
    }

    /// Returns the bytes that were received.
    pub fn bytes(&self, filled: &Filled) -> &[u8] {
        self.buffers.bytes(filled)
    }

    /// Lets the kernel receive into a buffer again.
    pub fn give_back(&mut self, filled: Filled) {
        self.buffers.give_back(filled);
    }

    fn completion(&mut self, request: Request, slot: usize, entry: &cqueue::Entry) -> Completion {
        let is_last = !cqueue::more(entry.flags());
        self.in_flight -= usize::from(is_last && request != Request::SendAtOnce);
        let result = match entry.result() {
            done @ 0.. => Ok(done as usize),
            error => Err(Errno::from_raw_os_error(-error)),
        };
        match request {
            Request::Accept => {
                // SAFETY: the kernel has just made this descriptor for us, and only this completion
                // reports it.
                let result = result.map(|_| unsafe { OwnedFd::from_raw_fd(entry.result()) });
                Completion::Accepted { result, is_last }
            }
            Request::Knock => Completion::Knocked,
            Request::Receive => {
                let buffer = cqueue::buffer_select(entry.flags());
                // SAFETY: this completion reports them, and it was taken from the queue.
                let fill = |length| buffer.map(|id| unsafe { Filled::new(id, length) });
                Completion::Received { slot, result: result.map(fill), is_last }
            }
            Request::Send | Request::SendAtOnce => Completion::Sent { slot, result },
            Request::Time => Completion::Timed { slot },
            Request::Watch => Completion::Watched,
        }
    }

    fn poll(&mut self, fd: BorrowedFd<'_>, request: Request) {
        let entry = opcode::PollAdd::new(Fd(fd.as_raw_fd()), libc::POLLIN as u32).build();
        self.ask(entry, request, NO_SLOT);
    }

    fn ask(&mut self, entry: squeue::Entry, request: Request, slot: usize) {
        self.in_flight += 1;
        self.push(&entry.user_data(request.name(slot)));
    }

    fn push(&mut self, entry: &squeue::Entry) {
        // SAFETY: the memory that an entry points at stays valid: the caller of `send` guarantees
        // it, and the buffers are dropped after the last receive.
        while unsafe { self.submissions.push(entry) }.is_err() {
            self.flush();
        }
    }

    /// Frees space in the queue for further requests.
    fn flush(&mut self) {
        self.submissions.sync();
        if self.submitter.submit().is_err() {
            thread::sleep(SHORTAGE_PAUSE);
        }
        self.submissions.sync();
    }

    fn enter(&mut self, completions: usize, timeout: Option<Duration>) -> io::Result<()> {
        self.buffers.publish();
        self.submissions.sync();
        self.completions.sync();
        let time = timeout.map(Timespec::from);
        let args = match &time {
            Some(time) => SubmitArgs::new().timespec(time),
            None => SubmitArgs::new(),
        };
        let result = self.submitter.submit_with_args(completions, &args);
        self.submissions.sync();
        self.completions.sync();
        match result {
            Ok(_) => Ok(()),
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::INTR | Errno::TIME) => Ok(()),
                // There is no memory for requests, or for completions that do not fit into their
                // queue.
                Some(Errno::AGAIN | Errno::BUSY | Errno::NOMEM) => {
                    thread::sleep(SHORTAGE_PAUSE);
                    Ok(())
                }
                _ => Err(error),
            },
        }
    }

    /// Cancels all requests that the kernel still has.
    fn recall(&mut self) -> io::Result<()> {
        while self.in_flight > 0 {
            self.push(&unnamed(opcode::AsyncCancel2::new(CancelBuilder::any()).build()));
            self.enter(1, None)?;
            self.take_completions(&mut Vec::new());
        }
        Ok(())
    }
}

/// Header of a message that consists of bytes from two places in memory.
pub struct Message {
    header: libc::msghdr,
    pieces: [libc::iovec; 2],
}

impl Message {
    pub fn new(pieces: [&[u8]; 2]) -> Self {
        let pieces = pieces.map(|piece| libc::iovec {
            iov_base: piece.as_ptr().cast_mut().cast(),
            iov_len: piece.len(),
        });
        // SAFETY: a header without an address, control data and pieces is all zeros.
        let header = unsafe { mem::zeroed() };
        Self { header, pieces }
    }

    fn header(&mut self) -> *const libc::msghdr {
        self.header.msg_iov = self.pieces.as_mut_ptr();
        self.header.msg_iovlen = self.pieces.len() as _;
        &raw const self.header
    }
}

impl Drop for Ring<'_> {
    fn drop(&mut self) {
        if self.recall().is_err() {
            // Otherwise the kernel would later write to memory that has another use by then.
            std::process::abort();
        }
        // SAFETY: nothing is in flight, and the buffers are not used again.
        unsafe { ManuallyDrop::drop(&mut self.buffers) };
    }
}

fn send(socket: BorrowedFd<'_>, bytes: &[u8]) -> opcode::Send {
    let length = bytes.len().min(i32::MAX as usize) as u32;
    opcode::Send::new(Fd(socket.as_raw_fd()), bytes.as_ptr(), length)
}

/// Marks a request whose result is ignored and whose success needs no completion.
fn unnamed(entry: squeue::Entry) -> squeue::Entry {
    entry.flags(squeue::Flags::SKIP_SUCCESS).user_data(UNNAMED)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;

    use super::*;

    /// Returns the two ends of a connection.
    fn pair() -> [TcpStream; 2] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        [listener.accept().unwrap().0, client]
    }

    /// Runs `test` if this system has rings.
    fn with_ring(test: impl FnOnce(&mut Ring<'_>)) {
        let Ok(mut io_uring) = open() else { return };
        if is_new_enough(&io_uring).unwrap_or(false) {
            test(&mut Ring::new(&mut io_uring).unwrap());
        }
    }

    fn turn(ring: &mut Ring<'_>) -> Vec<Completion> {
        let mut done = Vec::new();
        ring.wait(Some(Duration::from_millis(10))).unwrap();
        ring.take_completions(&mut done);
        done
    }

    #[test]
    fn a_send_at_once_completes_only_if_it_was_not_possible() {
        let [server, mut client] = pair();
        let bytes = vec![b'a'; 64 << 20];
        with_ring(|ring| {
            let mut send = |bytes| {
                // SAFETY: the bytes outlive the ring.
                unsafe { ring.send_at_once(7, server.as_fd(), bytes) };
                let done = turn(ring);
                assert_eq!((ring.take_settled(), ring.take_settled()), (Some(7), None));
                done
            };
            assert!(send(b"hello").is_empty());
            client.read_exact(&mut [0; 5]).unwrap();
            match &send(&bytes)[..] {
                &[Completion::Sent { slot: 7, result: Ok(part) }] => {
                    assert!(part > 0 && part < bytes.len());
                }
                other => panic!("{other:?}"),
            }
            assert!(matches!(
                send(&bytes)[..],
                [Completion::Sent { slot: 7, result: Err(Errno::AGAIN) }]
            ));
            assert_eq!(ring.in_flight, 0);
        });
    }

    #[test]
    fn a_ring_that_is_dropped_cancels_its_requests() {
        let [server, _client] = pair();
        let bytes = vec![b'a'; 64 << 20];
        with_ring(|ring| {
            ring.receive(3, server.as_fd());
            // SAFETY: the bytes outlive the ring.
            unsafe { ring.send(3, server.as_fd(), &bytes) };
            turn(ring);
            // SAFETY: the bytes outlive the ring.
            unsafe { ring.send(3, server.as_fd(), &bytes) };
            assert!(turn(ring).is_empty(), "there was space for all of it");
            assert_eq!(ring.in_flight, 2);
            ring.recall().unwrap();
            assert_eq!(ring.in_flight, 0);
        });
    }

    #[test]
    fn more_clients_than_buffers_are_received_from_in_turns() {
        let mut pairs: Vec<[TcpStream; 2]> = (0..600).map(|_| pair()).collect();
        for [_, client] in &mut pairs {
            client.write_all(b"hello").unwrap();
        }
        with_ring(|ring| {
            let mut heard = HashSet::new();
            let mut shortages = 0;
            for (slot, [server, _]) in pairs.iter().enumerate() {
                ring.receive(slot, server.as_fd());
            }
            while heard.len() < pairs.len() {
                for completion in turn(ring) {
                    match completion {
                        Completion::Received { slot, result: Ok(Some(filled)), .. } => {
                            assert_eq!(ring.bytes(&filled), b"hello");
                            ring.give_back(filled);
                            heard.insert(slot);
                        }
                        Completion::Received {
                            slot,
                            result: Err(Errno::NOBUFS),
                            is_last: true,
                        } => {
                            ring.receive(slot, pairs[slot][0].as_fd());
                            shortages += 1;
                        }
                        other => panic!("{other:?}"),
                    }
                }
            }
            assert!(shortages > 0, "the test does not show what it is for");
        });
    }
}
