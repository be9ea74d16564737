//! A green thread per connection: code that blocks as a thread does, on a stack of its own. A few
//! kernel threads run many green threads.
//!
//! A handler is written as for `thread`, and a connection costs a stack as there. But where the
//! code would wait, the program itself switches to the next stack, which takes tens of instructions
//! and no system call. A handler that blocks in another way than through the library keeps a kernel
//! thread, and all connections that this thread serves.
//!
//! A green thread stays on the kernel thread that is notified of its socket, as in
//! `HttpServiceFactory` of `may_minihttp`, and no other kernel thread takes it over, though may can
//! do that. Low cost is not the only reason. While a green thread is being suspended, its kernel
//! thread still reads from its stack. If the green thread were woken on another kernel thread
//! meanwhile, it could end, and its stack could be freed or in use by another one (may 0.3.51,
//! `subscribe` in `src/io/sys/unix/wait_io.rs`). So every wake-up of a green thread comes from its
//! own kernel thread: it is notified of the socket there, and interrupted there.

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
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use crate::blocking::connection::{BlockingStream, READ_BYTES, STACK_BYTES, serve_connection};
use crate::http::Timeouts;
use crate::net::capacity::Capacity;
use crate::net::listener::refuse;
use crate::net::shutdown::DRAIN_TICK;
use crate::net::timeout_scan::TimeoutScan;
use crate::net::timers::Timers;
use crate::runtimes::connection_registry::{
    ConnectionRegistry, Interruption, Registration, WaitLimits,
};
use crate::{Listener, Options, Shutdown, Site, thread_limit};

/// Stacks that are kept for further connections. Each takes two mappings of memory, made at the
/// start.
const SPARE_STACKS: usize = 64;

/// Number of may's threads. They belong to the process, and its first server sets their number.
static WORKERS: OnceLock<usize> = OnceLock::new();

/// Error that ends a wait for the client when the server stops; a reader sees it as the end of the
/// stream.
const STOPPED: io::ErrorKind = io::ErrorKind::ConnectionAborted;

/// Events that report the end of a connection, no matter what the connection waits for.
const END: EventFlags = EventFlags::RDHUP.union(EventFlags::HUP).union(EventFlags::ERR);

pub fn serve(
    options: Options,
    listener: Listener,
    site: Arc<Site>,
    shutdown: Shutdown,
) -> io::Result<()> {
    let _end = shutdown.signal_at_end();
    let count = *WORKERS.get_or_init(|| options.event_loops());
    // Threads are not pinned to processors, as with all models. Stack sizes are in words.
    config().set_workers(count).set_worker_pin(false);
    config().set_stack_size(STACK_BYTES / size_of::<usize>()).set_pool_capacity(SPARE_STACKS);
    // may's threads start with the first green thread, together with one more for may's own timers.
    // Checked here, a failure to start them is an ordinary error.
    thread_limit::try_out(count + 1)?;
    start_green(0, || {})?;
    let workers = Workers::start(count, options.timeouts, &shutdown)?;
    let accepted = accept(options, &listener, &workers, &site, &shutdown);
    if accepted.is_err() {
        // Green threads can't be ended from outside; the signal tells them to end.
        shutdown.signal();
    }
    for stream in listener.close() {
        start(options, stream, &workers, &site, &shutdown);
    }
    workers.set_pace(DRAIN_TICK)?;
    while workers.is_draining() {
        thread::sleep(DRAIN_TICK);
    }
    accepted
}

fn accept(
    options: Options,
    listener: &Listener,
    workers: &Workers,
    site: &Arc<Site>,
    shutdown: &Shutdown,
) -> io::Result<()> {
    let capacity = Arc::new(Capacity::new()?);
    let max = options.max_connections.get();
    let acceptor = Waker::from(Arc::clone(&capacity));
    while !shutdown.is_signalled() {
        capacity.wait(|| workers.have_capacity(max, &acceptor), shutdown)?;
        if let Some(stream) = listener.wait_accept_non_blocking(shutdown)? {
            start(options, stream, workers, site, shutdown);
        }
    }
    Ok(())
}

/// Serves `stream` on a stack of its own; refuses it if there is no memory for one.
fn start(
    options: Options,
    stream: TcpStream,
    workers: &Workers,
    site: &Arc<Site>,
    shutdown: &Shutdown,
) {
    let mut buffer = Vec::new();
    if buffer.try_reserve_exact(READ_BYTES).is_err() {
        return refuse(&stream);
    }
    let number = number(&stream, workers.0.len());
    let worker = &workers.0[number];
    let registration = worker.registry.register();
    let clock = Arc::clone(&worker.clock);
    let stream = Arc::new(stream);
    let served = Arc::clone(&stream);
    let site = Arc::clone(site);
    let shutdown = shutdown.clone();
    let serve = move || {
        let mut service = options.service(site);
        if let Ok(stream) = GreenStream::new(served, registration, clock, options.timeouts.idle) {
            // An error ends only this connection.
            let _ = serve_connection(&stream, &mut service, &mut buffer, &shutdown);
        }
    };
    if start_green(number, serve).is_err() {
        refuse(&stream);
    }
}

/// may's kernel threads, by number.
struct Workers(Vec<Worker>);

/// One of may's kernel threads.
struct Worker {
    /// Connections that this thread serves.
    registry: Arc<ConnectionRegistry>,
    /// Timer that wakes this thread to interrupt its connections.
    clock: Arc<Clock>,
}

impl Workers {
    /// Makes each worker interrupt the connections that it serves, at regular intervals.
    fn start(count: usize, timeouts: Timeouts, shutdown: &Shutdown) -> io::Result<Self> {
        let mut workers = Vec::new();
        for (number, timer) in timers(count)?.into_iter().enumerate() {
            let clock = Arc::new(Clock::new(timer, TimeoutScan::period(timeouts))?);
            let worker = Worker { registry: ConnectionRegistry::new(shutdown.clone()), clock };
            worker.start_interrupts(
                number,
                TimeoutScan::new(timeouts, Instant::now()),
                shutdown.clone(),
            )?;
            workers.push(worker);
        }
        Ok(Self(workers))
    }

    /// Returns true if the workers together serve fewer than `max` connections; otherwise
    /// `acceptor` is woken when one has ended.
    fn have_capacity(&self, max: usize, acceptor: &Waker) -> bool {
        let have_capacity =
            || self.0.iter().map(|worker| worker.registry.count()).sum::<usize>() < max;
        // Checked once more, because connections may have ended before the waker was stored.
        have_capacity() || {
            self.0.iter().for_each(|worker| worker.registry.wake_at_end(acceptor));
            have_capacity()
        }
    }

    /// Returns true if a stopping server has connections to wait for, and time left for that.
    fn is_draining(&self) -> bool {
        self.0.iter().any(|worker| worker.registry.is_draining())
    }

    /// Sets the interval between interruptions.
    fn set_pace(&self, pace: Duration) -> io::Result<()> {
        self.0.iter().try_for_each(|worker| worker.clock.set_pace(pace))
    }
}

impl Worker {
    /// Makes the worker interrupt its connections: those that wait too long, those whose time has
    /// come, and in a stopping server all of them, until there are none.
    fn start_interrupts(
        &self,
        number: usize,
        mut scan: TimeoutScan,
        shutdown: Shutdown,
    ) -> io::Result<()> {
        let registry = Arc::clone(&self.registry);
        let clock = Arc::clone(&self.clock);
        let ticks = CoIo::new(clock.timer.as_raw_fd())?;
        start_green(number, move || {
            // `ticks` is declared last, so it is dropped first, before `clock` closes its timer.
            let (clock, ticks) = (clock, ticks);
            while !shutdown.is_signalled() || shutdown.has_drain_time() || registry.count() > 0 {
                ticks.wait_io();
                if shutdown.is_signalled() {
                    registry.interrupt_all();
                } else {
                    registry.scan_if_due(&mut scan);
                }
                while let Some(key) = clock.take_due() {
                    registry.interrupt(key);
                }
            }
        })
    }
}

/// Kernel timer that wakes a worker at regular intervals, and at the times that its green threads
/// wait for. may's own timers would continue a green thread on a thread of their own.
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

    /// Schedules an interruption of the connection with that key.
    fn interrupt_at(&self, time: Instant, key: usize) {
        let mut alarms = self.alarms();
        let earliest = alarms.waiting.next();
        alarms.waiting.add(time, key);
        if earliest.is_none_or(|earliest| time < earliest) {
            // This does not fail, because the timer was set in the same way before.
            let _ = alarms.set(&self.timer);
        }
    }

    /// Returns the key of a connection whose time has come. After the last one, the timer is set to
    /// the next time.
    fn take_due(&self) -> Option<usize> {
        let mut alarms = self.alarms();
        let due = alarms.waiting.take_due(Instant::now());
        if due.is_none() {
            let _ = rustix::io::read(&self.timer, &mut [0; 8]);
            // This does not fail, because the timer was set in the same way before.
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
        // Zero would mean never.
        let first = left.map_or(self.pace, |left| left.min(self.pace)).max(Duration::from_nanos(1));
        let spec = |time: Duration| Timespec::try_from(time).map_err(io::Error::other);
        let alarm = Itimerspec { it_interval: spec(self.pace)?, it_value: spec(first)? };
        timerfd_settime(timer, TimerfdTimerFlags::empty(), &alarm)?;
        Ok(())
    }
}

/// Returns the number of the worker that is notified of `file`: may distributes files by their
/// numbers.
fn number(file: &impl AsRawFd, workers: usize) -> usize {
    file.as_raw_fd() as usize % workers
}

/// Creates a timer for each worker, such that the worker is notified of its own timer.
fn timers(workers: usize) -> io::Result<Vec<OwnedFd>> {
    let mut timers: Vec<Option<OwnedFd>> = (0..workers).map(|_| None).collect();
    // Timers that belong to a worker which has one already. They are kept open until the end,
    // because the kernel would give their numbers to the next timers.
    let mut superfluous = Vec::new();
    while timers.iter().any(Option::is_none) {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        let place = number(&timer, workers);
        superfluous.extend(timers[place].replace(timer));
    }
    Ok(timers.into_iter().flatten().collect())
}

/// Runs `work` on a stack of its own, on kernel thread `worker`.
fn start_green(worker: usize, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    // may panics if there is no memory for a stack, and at the first call also if it can't start
    // its kernel threads. These belong to the process and end with it.
    match catch_unwind(AssertUnwindSafe(|| go!(Builder::new().id(worker), work))) {
        Ok(started) => started.map(|_| ()),
        Err(_) => Err(io::Error::other("green threads cannot be started; ask for fewer --workers")),
    }
}

/// Socket whose calls block only their own green thread until they are done.
struct GreenStream {
    /// Declared before the socket, so that it is dropped first: after the socket is closed, its
    /// number could be that of another socket.
    events: CoIo<RawFd>,
    stream: Arc<TcpStream>,
    registration: Registration,
    clock: Arc<Clock>,
    /// Timeout of a read; `write_timeout` is the one of a write.
    timeout: Cell<Duration>,
    write_timeout: Duration,
    /// True if the last read took all data. The kernel reports new data once.
    is_drained: Cell<bool>,
    /// True if the client has sent its last byte, which the kernel reports once too.
    ends: Cell<bool>,
    /// Kernel thread on which the green thread stays.
    home: ThreadId,
}

impl GreenStream {
    fn new(
        stream: Arc<TcpStream>,
        mut registration: Registration,
        clock: Arc<Clock>,
        timeout: Duration,
    ) -> io::Result<Self> {
        let events = CoIo::new(stream.as_raw_fd())?;
        registration.set_waker(&Waker::from(Arc::new(GreenWaker(events.waker()))));
        let is_drained = Cell::new(true);
        let ends = Cell::new(false);
        let write_timeout = timeout;
        let timeout = Cell::new(timeout);
        let home = thread::current().id();
        Ok(Self {
            events,
            stream,
            registration,
            clock,
            timeout,
            write_timeout,
            is_drained,
            ends,
            home,
        })
    }

    /// Lets other green threads run until the kernel reports that the socket is ready for something
    /// in `wanted`.
    fn wait(&self, wanted: EventFlags, timeout: Duration) -> io::Result<()> {
        let deadline = Some(Instant::now() + timeout);
        self.registration.set_deadline(deadline);
        while !self.hear().intersects(wanted | END) {
            match self
                .registration
                .interruption(WaitLimits { deadline, is_idle: wanted == EventFlags::IN })
            {
                None => {}
                Some(Interruption::TimedOut) => return Err(io::ErrorKind::TimedOut.into()),
                Some(Interruption::Stopped) => return Err(STOPPED.into()),
            }
        }
        Ok(())
    }

    /// Lets other green threads run until the kernel has events of the socket or this connection is
    /// interrupted; returns the events.
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

    /// Calls `call` each time the socket is ready, until it returns something other than
    /// `WouldBlock`.
    fn write_when_ready(
        &self,
        call: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> io::Result<usize> {
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
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.is_drained.set(true);
                }
                read => {
                    // A read that did not fill the buffer has taken all data (epoll(7)), but maybe
                    // not the end of the stream.
                    self.is_drained
                        .set(!self.ends.get() && read.is_ok() && buffer.len() < buffer.capacity());
                    return read;
                }
            }
        }
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.write_when_ready(|stream| BlockingStream::write(stream, bytes))
    }

    fn write_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.write_when_ready(|stream| BlockingStream::write_vectored(stream, pieces))
    }

    fn shutdown_write(&self) -> io::Result<()> {
        self.stream.shutdown(net::Shutdown::Write)
    }

    fn pause(&self, _time: Duration) {
        // Only a stopping server makes a connection pause, and such a server interrupts all
        // connections at every tick.
        self.hear();
    }

    fn wait_until(&self, time: Instant) {
        self.registration.set_deadline(None);
        self.clock.interrupt_at(time, self.registration.key());
        while Instant::now() < time {
            self.hear();
        }
    }

    fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.timeout.set(timeout);
        Ok(())
    }
}

/// Waker of a green thread that waits for its socket.
struct GreenWaker(WaitIoWaker);

impl Wake for GreenWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.wakeup();
    }
}
