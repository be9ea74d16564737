//! A compio runtime per processor, each with an `io_uring`, one thread and a listener of its own
//! (`SO_REUSEPORT`).
//!
//! Tasks ask the kernel for an operation and are notified when it is done, instead of when they
//! could do it. The requests of all tasks go to the kernel with one call, which also waits, so that
//! a busy thread makes far fewer than one call per request. Buffers belong to the kernel until it
//! is done with them: read buffers come from a pool, from which the kernel takes one when data has
//! come, and output is given to the kernel together with its connection until it is sent.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::mem;
use std::net;
use std::num::NonZero;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use compio::BufResult;
use compio::buf::{IoBuf, IoVectoredBuf};
use compio::driver::ProactorBuilder;
use compio::io::{AsyncReadManaged, AsyncWrite};
use compio::net::TcpStream;
use compio::runtime::fd::PollFd;
use compio::runtime::{self, RuntimeBuilder};
use socket2::SockRef;

use crate::blocking::connection::READ_BYTES;
use crate::completion::probe;
use crate::http::{Connection, HandlerPlacement, Job, Reply, Service};
use crate::net::shards::{connection_limits, run_each, shares};
use crate::runtimes::connection_registry::Registration;
use crate::runtimes::tasks::{self, Runtime, Stream, serve_connection};
use crate::{Listener, Options, Shutdown, Site};

/// Number of read buffers of each thread. A buffer is in use only from the arrival of a request to
/// its response; in a burst of more requests than this, some wait for a turn.
const BUFFERS: NonZero<u16> = NonZero::new(256).unwrap();

/// Time after which an idle thread for handlers ends; the same as tokio's.
const IDLE_THREAD_TIME: Duration = Duration::from_secs(10);

pub fn serve(
    options: Options,
    listener: Listener,
    site: Arc<Site>,
    shutdown: Shutdown,
) -> io::Result<()> {
    serve_with(1, HandlerPlacement::InPlace, options, listener, site, shutdown)
}

/// Serves with `options.workers` runtimes, and with this number of threads for handlers that block,
/// over all runtimes.
pub fn serve_with(
    threads: usize,
    handlers: HandlerPlacement,
    options: Options,
    listener: Listener,
    site: Arc<Site>,
    shutdown: Shutdown,
) -> io::Result<()> {
    let shards = listener.into_shards(options.event_loops())?;
    // compio would panic if it needed a thread and might have none.
    let pools = shares(threads, shards.len()).map(|threads| threads.max(1));
    let shards = shards.into_iter().zip(connection_limits(&options)).zip(pools);
    run_each(shards, &shutdown, |((listener, max_connections), threads)| {
        let service = Service::new(Arc::clone(&site), options.timeouts, handlers);
        tasks::use_service(service, shutdown.clone());
        let runtime = make_runtime(threads)?;
        // Created now and not for the first client, because the client could not be told that there
        // is no memory for them.
        runtime.buffer_pool()?;
        runtime.block_on(async {
            let runtime = OnCompio {
                listener: PollFd::new(listener)?,
                signal: PollFd::new(shutdown.clone())?,
                threads: Rc::new(Threads::new(threads)),
            };
            tasks::serve(&runtime, max_connections, options.timeouts, &shutdown).await
        })
    })
}

/// Checks that the kernel has the features that are needed, and allows their use. The build has no
/// other driver that could take over.
pub fn probe() -> io::Result<()> {
    make_runtime(1)?.buffer_pool()?;
    probe::try_enter()
}

fn make_runtime(threads: usize) -> io::Result<runtime::Runtime> {
    let make = |defer| {
        let mut ring = ProactorBuilder::new();
        ring.thread_pool_limit(threads).thread_pool_recv_timeout(IDLE_THREAD_TIME);
        ring.buffer_pool_size(BUFFERS).buffer_pool_buffer_len(READ_BYTES);
        // Only one thread submits requests, and it gets the results only while it waits.
        ring.single_issuer(defer).defer_taskrun(defer);
        RuntimeBuilder::new().with_proactor(ring).build()
    };
    // Linux has had these options since 6.1.
    make(true).or_else(|_| make(false))
}

struct OnCompio {
    listener: PollFd<Listener>,
    signal: PollFd<Shutdown>,
    threads: Rc<Threads>,
}

impl Runtime for OnCompio {
    /// Accepts after a readiness event, as with the other runtimes: when the process is out of
    /// descriptors, the listener's spare one has to be used at once.
    async fn accept(&self) -> io::Result<net::TcpStream> {
        loop {
            self.listener.accept_ready().await?;
            // The kernel itself waits for blocking sockets, but not for non-blocking ones.
            match self.listener.accept_blocking() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                accepted => return accepted,
            }
        }
    }

    fn close(&self) -> Vec<net::TcpStream> {
        self.listener.close_blocking().collect()
    }

    async fn stopped(&self) -> io::Result<()> {
        self.signal.read_ready().await
    }

    async fn sleep(&self, time: Duration) {
        compio::time::sleep(time).await;
    }

    fn start(&self, stream: net::TcpStream, registration: Registration) {
        if let Ok(stream) = TcpStream::from_std(stream) {
            let socket =
                Socket { stream, since: Instant::now(), threads: Rc::clone(&self.threads) };
            runtime::spawn(serve_connection(socket, registration)).detach();
        }
    }
}

struct Socket {
    stream: TcpStream,
    since: Instant,
    threads: Rc<Threads>,
}

impl Stream for Socket {
    async fn receive(&mut self, mut take: impl FnMut(&[u8])) -> io::Result<()> {
        loop {
            match self.stream.read_managed(READ_BYTES).await {
                // All buffers are in use by tasks that run before the next attempt.
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {}
                received => {
                    take(received?.as_deref().unwrap_or_default());
                    return Ok(());
                }
            }
        }
    }

    async fn send(&mut self, connection: &mut Connection) -> io::Result<usize> {
        let pending = Pending(mem::replace(connection, Connection::new(self.since)));
        let BufResult(sent, Pending(given_back)) = match pending.0.pending_pieces() {
            [[], _] | [_, []] => self.stream.write(pending).await,
            _ => self.stream.write_vectored(pending).await,
        };
        *connection = given_back;
        sent
    }

    fn shut_write_side(&self) -> io::Result<()> {
        SockRef::from(&self.stream).shutdown(net::Shutdown::Write)
    }

    async fn wait_until(&self, time: Instant) {
        compio::time::sleep_until(time).await;
    }

    async fn run(&mut self, job: Job) -> io::Result<Reply<'static>> {
        let _thread = self.threads.one().await;
        // compio panics, in a separate task, if it can't start a thread.
        runtime::spawn_blocking(move || job.run())
            .await
            .map_err(|_| io::ErrorKind::OutOfMemory.into())
    }
}

/// Connection whose pending output the kernel sends. It can't change while it is given away.
struct Pending(Connection);

impl IoBuf for Pending {
    fn as_init(&self) -> &[u8] {
        let [small, large] = self.0.pending_pieces();
        if small.is_empty() { large } else { small }
    }
}

impl IoVectoredBuf for Pending {
    fn iter_slice(&self) -> impl Iterator<Item = &[u8]> {
        self.0.pending_pieces().into_iter()
    }
}

/// Limits the threads for handlers that block. Without it, compio would make its own thread spin
/// until one of them is free.
struct Threads {
    free: Cell<usize>,
    waiting: RefCell<Vec<Waker>>,
}

impl Threads {
    fn new(count: usize) -> Self {
        Self { free: Cell::new(count), waiting: RefCell::default() }
    }

    async fn one(&self) -> Taken<'_> {
        poll_fn(|context| {
            if let Some(left) = self.free.get().checked_sub(1) {
                self.free.set(left);
                return Poll::Ready(Taken(self));
            }
            let mut waiting = self.waiting.borrow_mut();
            if !waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                waiting.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await
    }
}

/// Use of a thread, which ends when this value is dropped.
struct Taken<'a>(&'a Threads);

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let Self(threads) = self;
        threads.free.set(threads.free.get() + 1);
        // All tasks are woken: the first one gets the thread, and the others wait again. If only
        // one were woken and it had been dropped, the thread would stay unused.
        for waker in threads.waiting.take() {
            waker.wake();
        }
    }
}
