//! A green thread per connection: the code of a thread that blocks, on a stack of its own, of which a few threads of the
//! kernel run many.
//!
//! A handler is written as for `thread`, and a connection costs a stack as there; but where it would wait, the program
//! itself switches to the next stack, which takes tens of instructions and no system call. A handler that blocks otherwise
//! than through the library keeps a thread of the kernel, and all who are served there.
//!
//! A green thread stays with the thread of the kernel that hears of its socket, as `HttpServiceFactory` of `may_minihttp` has
//! it, and none is taken over by another, though may can do that. It is not only what costs least. While a green thread is
//! being laid down to wait, its thread of the kernel still reads what lies on its stack; woken elsewhere meanwhile, it could
//! be at its end, and its stack another's or nobody's (may 0.3.51, `subscribe` in `src/io/sys/unix/wait_io.rs`). So whatever
//! wakes it comes from its own thread of the kernel: news of its socket do, and calls are made there.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::net::{self, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Wake, Waker};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use may::coroutine::Builder;
use may::io::{CoIo, WaitIo, WaitIoWaker};
use may::{config, go};
use rustix::event::epoll::EventFlags;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

use crate::blocking::{BlockingStream, READ_BYTES, STACK_BYTES, serve_connection};
use crate::calls::{Callee, Callees, Patience, Verdict};
use crate::http::Timeouts;
use crate::listener::refuse;
use crate::memory;
use crate::room::Room;
use crate::shutdown::DRAIN_TICK;
use crate::sweep::Sweep;
use crate::timers::Timers;
use crate::{ConcurrencyModel, Listener, Options, Shutdown, Site, threads};

/// Stacks that are kept for further connections. Each takes two mappings of memory, made at the start.
const SPARE_STACKS: usize = 64;

/// may's threads are the process's: as many as its first server has asked for.
static WORKERS: OnceLock<usize> = OnceLock::new();

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
        let _end = shutdown.signal_at_end();
        let count = *WORKERS.get_or_init(|| self.options.event_loops());
        // Threads are left where the kernel wants them, as with all models; stacks are counted in words.
        config().set_workers(count).set_worker_pin(false);
        config().set_stack_size(STACK_BYTES / size_of::<usize>()).set_pool_capacity(SPARE_STACKS);
        // They start with the first green thread, one more beside them for may's own timers; here that may fail.
        threads::try_out(count + 1)?;
        start_green(0, || {})?;
        let workers = Workers::start(count, self.options.timeouts, &shutdown)?;
        let accepted = self.accept(&listener, &workers, &site, &shutdown);
        if accepted.is_err() {
            // Green threads are not ours to end; it is how they are told.
            shutdown.signal();
        }
        for stream in listener.close() {
            self.start(stream, &workers, &site, &shutdown);
        }
        workers.set_pace(DRAIN_TICK)?;
        while workers.are_awaited() {
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
        let number = number(&stream, workers.0.len());
        let worker = &workers.0[number];
        let Some(callee) = worker.callees.register().filter(|_| has_buffer) else {
            return refuse(&stream);
        };
        let clock = Arc::clone(&worker.clock);
        let stream = Arc::new(stream);
        let served = Arc::clone(&stream);
        let (options, site, shutdown) = (self.options, Arc::clone(site), shutdown.clone());
        let serve = move || {
            let mut service = options.service(site);
            if let Ok(stream) = GreenStream::new(served, callee, clock, options.timeouts.idle) {
                // An error of this connection is its end and nobody else's.
                let _ = serve_connection(&stream, &mut service, &mut buffer, &shutdown);
            }
        };
        if start_green(number, serve).is_err() {
            refuse(&stream);
        }
    }
}

/// may's threads of the kernel, by number.
struct Workers(Vec<Worker>);

/// One of them.
struct Worker {
    /// Whom it serves.
    callees: Arc<Callees>,
    /// What tells it when to call them.
    clock: Arc<Clock>,
}

impl Workers {
    /// Has each of them call those it serves, every so often.
    fn start(count: usize, timeouts: Timeouts, shutdown: &Shutdown) -> io::Result<Self> {
        let mut workers = Vec::new();
        for (number, timer) in timers(count)?.into_iter().enumerate() {
            let clock = Arc::new(Clock::new(timer, Sweep::period(timeouts))?);
            let worker = Worker { callees: Callees::new(shutdown.clone()), clock };
            worker.start_calls(number, Sweep::new(timeouts, Instant::now()), shutdown.clone())?;
            workers.push(worker);
        }
        Ok(Self(workers))
    }

    /// Whether they serve fewer than so many together; if not, `acceptor` is woken when one has ended.
    fn have_room(&self, max: usize, acceptor: &Waker) -> bool {
        let have_room = || self.0.iter().map(|worker| worker.callees.count()).sum::<usize>() < max;
        // Looked at once more, for those that end meanwhile.
        have_room() || {
            self.0.iter().for_each(|worker| worker.callees.wake_at_end(acceptor));
            have_room()
        }
    }

    /// Whether there is anybody to wait for in a server that stops, and time left for it.
    fn are_awaited(&self) -> bool {
        self.0.iter().any(|worker| worker.callees.are_awaited())
    }

    /// Sets how often they call.
    fn set_pace(&self, pace: Duration) -> io::Result<()> {
        self.0.iter().try_for_each(|worker| worker.clock.set_pace(pace))
    }
}

impl Worker {
    /// Has it call those it serves: who waits for too long, whose time has come, and in a server that stops everybody, until
    /// there is nobody. The green thread that does it is there from the start, since it gets memory back when there is none
    /// left.
    fn start_calls(&self, number: usize, mut sweep: Sweep, shutdown: Shutdown) -> io::Result<()> {
        let (callees, clock) = (Arc::clone(&self.callees), Arc::clone(&self.clock));
        let ticks = CoIo::new(clock.timer.as_raw_fd())?;
        start_green(number, move || {
            // The last of them is dropped first, before its timer is closed.
            let (clock, ticks) = (clock, ticks);
            while !shutdown.is_signalled() || !shutdown.drain_time_left().is_zero() || callees.count() > 0 {
                ticks.wait_io();
                if shutdown.is_signalled() {
                    callees.call_all();
                } else {
                    callees.look_after(&mut sweep);
                }
                while let Some(key) = clock.take_due() {
                    callees.call(key);
                }
            }
        })
    }
}

/// A timer of the kernel that wakes a worker every so often, and when the time has come that one of its green threads waits
/// for. may's own timers would go on with a green thread on a thread of theirs.
struct Clock {
    timer: OwnedFd,
    alarms: Mutex<Alarms>,
}

struct Alarms {
    pace: Duration,
    waiting: Timers<usize>,
}

impl Clock {
    fn new(timer: OwnedFd, pace: Duration) -> io::Result<Self> {
        let alarms = Alarms { pace, waiting: Timers::default() };
        alarms.set(&timer)?;
        Ok(Self { timer, alarms: Mutex::new(alarms) })
    }

    fn set_pace(&self, pace: Duration) -> io::Result<()> {
        let mut alarms = self.alarms();
        alarms.pace = pace;
        alarms.set(&self.timer)
    }

    /// Has the callee of that key called when the time has come; an error where there is no memory for that.
    fn call_at(&self, time: Instant, key: usize) -> io::Result<()> {
        let mut alarms = self.alarms();
        let earliest = alarms.waiting.next();
        if !alarms.waiting.add(time, key) {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        if earliest.is_none_or(|earliest| time < earliest) { alarms.set(&self.timer) } else { Ok(()) }
    }

    /// A callee whose time has come. Behind the last one, the timer is set to what is next.
    fn take_due(&self) -> Option<usize> {
        let mut alarms = self.alarms();
        let due = alarms.waiting.take_due(Instant::now());
        if due.is_none() {
            let _ = rustix::io::read(&self.timer, &mut [0; 8]);
            // It was set before with the same arguments.
            let _ = alarms.set(&self.timer);
        }
        due
    }

    fn alarms(&self) -> MutexGuard<'_, Alarms> {
        self.alarms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Alarms {
    fn set(&self, timer: &OwnedFd) -> io::Result<()> {
        let left = self.waiting.next().map(|time| time.saturating_duration_since(Instant::now()));
        // Zero would be never.
        let first = left.map_or(self.pace, |left| left.min(self.pace)).max(Duration::from_nanos(1));
        let spec = |time: Duration| Timespec::try_from(time).map_err(io::Error::other);
        let alarm = Itimerspec { it_interval: spec(self.pace)?, it_value: spec(first)? };
        timerfd_settime(timer, TimerfdTimerFlags::empty(), &alarm)?;
        Ok(())
    }
}

/// The number of the worker that hears of `file`: may deals files out by their numbers.
fn number(file: &impl AsRawFd, workers: usize) -> usize {
    file.as_raw_fd() as usize % workers
}

/// A timer for each worker, of which it is the one to hear.
fn timers(workers: usize) -> io::Result<Vec<OwnedFd>> {
    let mut timers: Vec<Option<OwnedFd>> = (0..workers).map(|_| None).collect();
    // Those that others have already, kept until the end, or their numbers would come again.
    let mut superfluous = Vec::new();
    while timers.iter().any(Option::is_none) {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        let place = number(&timer, workers);
        superfluous.extend(timers[place].replace(timer));
    }
    Ok(timers.into_iter().flatten().collect())
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
    clock: Arc<Clock>,
    /// How long a read may take, and how long a write.
    timeout: Cell<Duration>,
    write_timeout: Duration,
    /// Whether the last read took all there was. The kernel tells of what comes once.
    is_drained: Cell<bool>,
    /// Whether the client has sent its last octet, which it is told of once too.
    ends: Cell<bool>,
    /// The thread of the kernel that it stays on.
    home: ThreadId,
}

impl GreenStream {
    fn new(
        stream: Arc<TcpStream>,
        mut callee: Callee,
        clock: Arc<Clock>,
        timeout: Duration,
    ) -> io::Result<Self> {
        let events = CoIo::new(stream.as_raw_fd())?;
        callee.listen(&Waker::from(Arc::new(GreenWaker(events.waker()))));
        let (is_drained, ends) = (Cell::new(true), Cell::new(false));
        let (timeout, write_timeout) = (Cell::new(timeout), timeout);
        let home = thread::current().id();
        Ok(Self { events, stream, callee, clock, timeout, write_timeout, is_drained, ends, home })
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
        debug_assert_eq!(self.home, thread::current().id(), "see the head of this file");
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
        // Only a server that stops has it pause, and that one calls at every tick.
        self.hear();
    }

    fn wait_until(&self, time: Instant) {
        self.callee.wait_until(None);
        if self.clock.call_at(time, self.callee.key()).is_err() {
            // Without memory for it, others wait as well.
            return thread::sleep(time.saturating_duration_since(Instant::now()));
        }
        while Instant::now() < time {
            self.hear();
        }
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
