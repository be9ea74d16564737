//! A green thread per connection: the code of a thread that blocks, on a stack of its own, of which a few threads of the
//! kernel run many.
//!
//! A handler is written as for `thread`, and a connection costs a stack as there; but where it would wait, the program
//! itself switches to the next stack, which takes tens of instructions and no system call. A handler that blocks otherwise
//! than through the library keeps a thread of the kernel, and all who are served there.
//!
//! A green thread stays with the thread of the kernel that hears of its socket, as in may's own HTTP server, and none is
//! taken over by another, though may can do that. It is not only what costs least. While a green thread is being laid down
//! to wait, its thread of the kernel still reads what lies on its stack; woken elsewhere meanwhile, it could be at its end,
//! and its stack another's or nobody's (may 0.3.51, `subscribe` in `src/io/sys/unix/wait_io.rs`). So whatever wakes it
//! comes from its own thread of the kernel: news of its socket do, and calls are made there.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::net::{self, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use may::coroutine::Builder;
use may::io::{CoIo, WaitIo, WaitIoWaker};
use may::{config, go};
use rustix::event::epoll::EventFlags;

use crate::blocking::{BlockingStream, READ_BYTES, STACK_BYTES, serve_connection};
use crate::calls::{Callee, Callees, Patience, Verdict};
use crate::http::Timeouts;
use crate::listener::refuse;
use crate::memory;
use crate::room::Room;
use crate::shutdown::DRAIN_TICK;
use crate::sweep::Sweep;
use crate::{ConcurrencyModel, Listener, Options, Shutdown, Site};

/// Stacks that are kept for further connections. Each takes two mappings of memory, made at the start.
const SPARE_STACKS: usize = 64;

/// What a wait for the client ends with when the server does: to a reader it is the end.
const STOPPED: io::ErrorKind = io::ErrorKind::ConnectionAborted;

/// What tells of the end of a connection, whatever was waited for.
const END: EventFlags = EventFlags::RDHUP.union(EventFlags::HUP).union(EventFlags::ERR);

pub fn build(options: Options) -> Box<dyn ConcurrencyModel> {
    Box::new(May { options })
}

struct May {
    options: Options,
}

impl ConcurrencyModel for May {
    fn serve(&self, listener: Listener, site: Arc<Site>, shutdown: Shutdown) -> io::Result<()> {
        let workers = Workers::new(self.options.event_loops(), &shutdown);
        // Threads are left where the kernel wants them, as with all models; stacks are counted in words.
        config().set_workers(workers.0.len()).set_worker_pin(false);
        config().set_stack_size(STACK_BYTES / size_of::<usize>()).set_pool_capacity(SPARE_STACKS);
        // may starts its threads with the first green one; here that may fail.
        start_green(0, || {})?;
        workers.start_sweep(self.options.timeouts, &shutdown)?;
        let accepted = self.accept(&listener, &workers, &site, &shutdown);
        if accepted.is_err() {
            // Green threads are not ours to end; it is how they are told.
            shutdown.signal();
        }
        for stream in listener.close() {
            self.start(stream, &workers, &site, &shutdown);
        }
        while workers.are_awaited() {
            workers.each(Callees::call_all);
            thread::sleep(DRAIN_TICK);
        }
        accepted
    }
}

impl May {
    fn accept(
        &self,
        listener: &Listener,
        workers: &Workers,
        site: &Arc<Site>,
        shutdown: &Shutdown,
    ) -> io::Result<()> {
        let room = Arc::new(Room::new()?);
        let (max, acceptor) = (self.options.max_connections.get(), Waker::from(Arc::clone(&room)));
        while !shutdown.is_signalled() {
            room.wait(|| workers.have_room(max, &acceptor), shutdown)?;
            if let Some(stream) = listener.wait_accept_non_blocking(shutdown)? {
                self.start(stream, workers, site, shutdown);
            }
        }
        Ok(())
    }

    /// Serves `stream` on a stack of its own; without memory for one, its client is told.
    fn start(&self, stream: TcpStream, workers: &Workers, site: &Arc<Site>, shutdown: &Shutdown) {
        let mut buffer = Vec::new();
        let has_buffer = memory::reserve(&mut buffer, READ_BYTES);
        let worker = workers.of(&stream);
        let Some(callee) = workers.0[worker].register().filter(|_| has_buffer) else {
            return refuse(&stream);
        };
        let stream = Arc::new(stream);
        let served = Arc::clone(&stream);
        let (options, site, shutdown) = (self.options, Arc::clone(site), shutdown.clone());
        let serve = move || {
            let mut service = options.service(site);
            if let Ok(stream) = GreenStream::new(served, callee, options.timeouts.idle) {
                // An error of this connection is its end and nobody else's.
                let _ = serve_connection(&stream, &mut service, &mut buffer, &shutdown);
            }
        };
        if start_green(worker, serve).is_err() {
            refuse(&stream);
        }
    }
}

/// may's threads of the kernel, by number, and whom each serves.
#[derive(Clone)]
struct Workers(Arc<[Arc<Callees>]>);

impl Workers {
    fn new(count: usize, shutdown: &Shutdown) -> Self {
        Self((0..count).map(|_| Callees::new(shutdown.clone())).collect())
    }

    /// The one that hears of `stream`: may deals sockets out by their numbers.
    fn of(&self, stream: &TcpStream) -> usize {
        stream.as_raw_fd() as usize % self.0.len()
    }

    /// Whether they serve fewer than so many together; if not, `acceptor` is woken when one has ended.
    fn have_room(&self, max: usize, acceptor: &Waker) -> bool {
        let have_room = || self.0.iter().map(|callees| callees.count()).sum::<usize>() < max;
        // Looked at once more, for those that end meanwhile.
        have_room() || {
            self.0.iter().for_each(|callees| callees.wake_at_end(acceptor));
            have_room()
        }
    }

    /// Whether there is anybody to wait for in a server that stops, and time left for it.
    fn are_awaited(&self) -> bool {
        self.0.iter().any(|callees| callees.are_awaited())
    }

    /// Has each of them make a call to those it serves.
    fn each(&self, call: fn(&Callees)) {
        for (worker, callees) in self.0.iter().enumerate() {
            let callees = Arc::clone(callees);
            // Without memory for a stack nobody is called now; it is not the last time.
            let _ = start_green(worker, move || call(&callees));
        }
    }

    /// Has those called who wait for too long. The thread that sees to it ends after the server.
    fn start_sweep(&self, timeouts: Timeouts, shutdown: &Shutdown) -> io::Result<()> {
        let (workers, shutdown) = (self.clone(), shutdown.clone());
        let sweep = move || {
            let mut sweep = Sweep::new(timeouts, Instant::now());
            while !shutdown.is_signalled() {
                thread::sleep(sweep.left(Instant::now()));
                if sweep.is_due(Instant::now()) {
                    workers.each(Callees::call_overdue);
                }
            }
        };
        thread::Builder::new().stack_size(STACK_BYTES).spawn(sweep).map(|_| ())
    }
}

/// Runs `work` on a stack of its own, on that thread of the kernel.
fn start_green(worker: usize, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    // may panics where there is no memory for a stack, and the first time where it can't start the threads that run them,
    // which are the process's then and end with it.
    match catch_unwind(AssertUnwindSafe(|| go!(Builder::new().id(worker), work))) {
        Ok(started) => started.map(|_| ()),
        Err(_) => Err(io::Error::other("green threads cannot be started; ask for fewer --workers")),
    }
}

/// A socket whose calls keep their green thread until they are done, and nobody else.
struct GreenStream {
    /// Above the socket, which must not be closed before: its number could be another's then.
    events: CoIo<RawFd>,
    stream: Arc<TcpStream>,
    callee: Callee,
    /// How long a read may take, and how long a write.
    timeout: Cell<Duration>,
    write_timeout: Duration,
    /// Whether the last read took all there was. The kernel tells of what comes once.
    is_drained: Cell<bool>,
    /// Whether the client has sent its last octet, which it is told of once too.
    ends: Cell<bool>,
}

impl GreenStream {
    fn new(stream: Arc<TcpStream>, mut callee: Callee, timeout: Duration) -> io::Result<Self> {
        let events = CoIo::new(stream.as_raw_fd())?;
        callee.listen(&Waker::from(Arc::new(GreenWaker(events.waker()))));
        let (is_drained, ends) = (Cell::new(true), Cell::new(false));
        let (timeout, write_timeout) = (Cell::new(timeout), timeout);
        Ok(Self { events, stream, callee, timeout, write_timeout, is_drained, ends })
    }

    /// Lets others run until the kernel tells that the socket is ready for something of `wanted`.
    fn wait(&self, wanted: EventFlags, timeout: Duration) -> io::Result<()> {
        let deadline = Some(Instant::now() + timeout);
        self.callee.wait_until(deadline);
        while !self.hear().intersects(wanted | END) {
            match self.callee.verdict(Patience { deadline, is_idle: wanted == EventFlags::IN }) {
                None => {}
                Some(Verdict::TooLong) => return Err(io::ErrorKind::TimedOut.into()),
                Some(Verdict::Stopped) => return Err(STOPPED.into()),
            }
        }
        Ok(())
    }

    /// Lets others run until the kernel has news of the socket or this one is called; says what the news are.
    fn hear(&self) -> EventFlags {
        let told = EventFlags::from_bits_retain(self.events.wait_io() as u32);
        if told.intersects(END) {
            self.ends.set(true);
        }
        if told.intersects(EventFlags::IN | END) {
            self.is_drained.set(false);
        }
        told
    }

    /// Tries `call` when the socket is ready, until it has something to say.
    fn write_when_ready(&self, call: impl Fn(&TcpStream) -> io::Result<usize>) -> io::Result<usize> {
        loop {
            match call(&self.stream) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait(EventFlags::OUT, self.write_timeout)?;
                }
                written => return written,
            }
        }
    }
}

impl BlockingStream for GreenStream {
    fn read(&self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        loop {
            if self.is_drained.get() {
                match self.wait(EventFlags::IN, self.timeout.get()) {
                    Err(error) if error.kind() == STOPPED => return Ok(0),
                    waited => waited?,
                }
            }
            match BlockingStream::read(&*self.stream, buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.is_drained.set(true),
                read => {
                    // A read that had room for more has taken all of it (epoll(7)), except for the end behind it.
                    self.is_drained.set(!self.ends.get() && read.is_ok() && buffer.len() < buffer.capacity());
                    return read;
                }
            }
        }
    }

    fn write(&self, octets: &[u8]) -> io::Result<usize> {
        self.write_when_ready(|stream| BlockingStream::write(stream, octets))
    }

    fn write_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.write_when_ready(|stream| BlockingStream::write_vectored(stream, pieces))
    }

    fn shutdown_write(&self) -> io::Result<()> {
        self.stream.shutdown(net::Shutdown::Write)
    }

    fn pause(&self, _time: Duration) {
        // Only a server that stops has it pause, and that one calls all the time.
        self.hear();
    }

    fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.timeout.set(timeout);
        Ok(())
    }
}

/// Wakes a green thread that waits for its socket.
struct GreenWaker(WaitIoWaker);

impl Wake for GreenWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.wakeup();
    }
}
