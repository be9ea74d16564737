//! A task per connection on smol: an executor that a few threads run, and one reactor for all of
//! them.
//!
//! This runtime consists of small crates, each of which does one thing. A thread that has nothing
//! to do waits for the sockets of all threads. A socket is registered for one wait and registered
//! again for the next, which is one system call more per request than with a runtime that stays
//! subscribed. A handler that blocks keeps one of the few threads.

use std::io;
use std::mem::MaybeUninit;
use std::net::{self, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use smol::channel::{self, Sender};
use smol::{Async, Executor, Timer};

use crate::blocking::connection::{READ_BYTES, write_pending};
use crate::blocking::handler_pool::HandlerPool;
use crate::blocking::pool::start_worker;
use crate::http::{Connection, HandlerPlacement, Job, Reply, Service};
use crate::runtimes::connection_registry::Registration;
use crate::runtimes::tasks::{self, Runtime, Stream, serve_connection};
use crate::{Listener, Options, Shutdown, Site, thread_limit};

pub fn serve(
    options: Options,
    listener: Listener,
    site: Arc<Site>,
    shutdown: Shutdown,
) -> io::Result<()> {
    serve_with(options.event_loops(), HandlerPlacement::InPlace, options, listener, site, shutdown)
}

/// Serves with this number of threads that run tasks.
pub fn serve_with(
    workers: usize,
    handlers: HandlerPlacement,
    options: Options,
    listener: Listener,
    site: Arc<Site>,
    shutdown: Shutdown,
) -> io::Result<()> {
    // Returning from here closes the job queue and the channel, which ends the threads. A thread
    // that is in a handler is not waited for.
    let pool = Arc::new(HandlerThreads::default());
    let _end_of_jobs = pool.close_at_end();
    let (_end, ended) = channel::bounded::<()>(1);
    // The reactor's thread is checked for first: without it the reactor panics, whereas a later
    // thread that can't be started causes an error.
    thread_limit::try_out(1)?;
    smol::block_on(async {});
    let executor = Arc::new(Executor::new());
    if handlers != HandlerPlacement::InPlace {
        pool.start_threads(options.handler_pool(), |(job, reply): (Job, Sender<_>)| {
            // If the connection has ended meanwhile, the reply is not needed.
            let _ = reply.try_send(job.run());
        })?;
    }
    for started in 0..workers {
        let service = Service::new(Arc::clone(&site), options.timeouts, handlers);
        let executor = Arc::clone(&executor);
        let ended = ended.clone();
        let shutdown = shutdown.clone();
        start_worker(started, workers, move || {
            tasks::use_service(service, shutdown);
            let _ = smol::block_on(executor.run(ended.recv()));
        })?;
    }
    let serving = executor.spawn(serve_tasks(
        listener,
        shutdown,
        options,
        Arc::clone(&pool),
        Arc::clone(&executor),
    ));
    smol::future::block_on(serving)
}

async fn serve_tasks(
    listener: Listener,
    shutdown: Shutdown,
    options: Options,
    pool: Arc<HandlerThreads>,
    executor: Arc<Executor<'static>>,
) -> io::Result<()> {
    let runtime = OnSmol {
        listener: &listener,
        readiness: Async::new_nonblocking(listener.as_fd())?,
        signal: Async::new_nonblocking(shutdown.as_fd())?,
        executor: &executor,
        pool: &pool,
    };
    tasks::serve(&runtime, options.max_connections.get(), options.timeouts, &shutdown).await
}

struct OnSmol<'a> {
    listener: &'a Listener,
    readiness: Async<BorrowedFd<'a>>,
    signal: Async<BorrowedFd<'a>>,
    executor: &'a Executor<'static>,
    pool: &'a Arc<HandlerThreads>,
}

impl Runtime for OnSmol<'_> {
    async fn accept(&self) -> io::Result<TcpStream> {
        // Gives open connections a turn between two new ones.
        smol::future::yield_now().await;
        self.readiness.read_with(|_| self.listener.accept()).await
    }

    fn close(&self) -> Vec<TcpStream> {
        self.listener.close()
    }

    async fn stopped(&self) -> io::Result<()> {
        self.signal.readable().await
    }

    async fn sleep(&self, time: Duration) {
        Timer::after(time).await;
    }

    fn start(&self, stream: TcpStream, registration: Registration) {
        // If the kernel's tables are full, the connection is closed, which is all that can be done.
        if let Ok(stream) = Async::new_nonblocking(stream) {
            let socket = Socket { stream, pool: Arc::clone(self.pool) };
            self.executor.spawn(serve_connection(socket, registration)).detach();
        }
    }
}

/// Queue of handlers that block, each with the channel for its reply. They have threads of their
/// own rather than those of `smol::unblock`, which starts threads as it needs them: if one can't be
/// started, it tries again and again (`blocking` 1.7.0), and since its queue is locked meanwhile,
/// its other threads stand still until it succeeds.
type HandlerThreads = HandlerPool<(Job, Sender<Reply<'static>>)>;

struct Socket {
    stream: Async<TcpStream>,
    pool: Arc<HandlerThreads>,
}

impl Stream for Socket {
    async fn receive(&mut self, mut take: impl FnMut(&[u8])) -> io::Result<()> {
        loop {
            // Waits first, because a read would hardly ever find data at once.
            self.stream.readable().await?;
            match try_receive(self.stream.get_ref(), &mut take) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                received => return Ok(received?),
            }
        }
    }

    async fn send(&mut self, connection: &mut Connection) -> io::Result<usize> {
        self.stream.write_with(|stream| write_pending(stream, connection)).await
    }

    fn shut_write_side(&self) -> io::Result<()> {
        self.stream.get_ref().shutdown(net::Shutdown::Write)
    }

    async fn wait_until(&self, time: Instant) {
        Timer::at(time).await;
    }

    async fn run(&mut self, job: Job) -> io::Result<Reply<'static>> {
        let (sender, reply) = channel::bounded(1);
        self.pool.give_one((job, sender));
        reply.recv().await.map_err(io::Error::other)
    }
}

fn try_receive(stream: &TcpStream, mut take: impl FnMut(&[u8])) -> rustix::io::Result<()> {
    // The buffer is on the stack, so that the connection does not keep it while it waits for its
    // client.
    let mut buffer = [MaybeUninit::uninit(); READ_BYTES];
    let (bytes, _) = rustix::io::read(stream, &mut buffer)?;
    take(bytes);
    Ok(())
}
