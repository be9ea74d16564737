//! A task per connection on tokio: a few threads run all tasks, and a thread that has none takes
//! some from another.
//!
//! The code of a connection reads as if it had a thread of its own; where it would wait, its thread
//! runs another task. The work of all connections is spread over all processors. This costs atomic
//! operations at every wake-up, and tasks that move leave their cached data behind. A handler that
//! blocks keeps one of the few threads.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::net::Shutdown::Write;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::catch_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::{Duration, Instant};

use socket2::SockRef;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::runtime::Builder;

use crate::blocking::connection::READ_BYTES;
use crate::http::{Connection, HandlerPlacement, Job, Reply, Service};
use crate::net::listener::is_empty;
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
    thread_limit::try_out(workers)?;
    let service_shutdown = shutdown.clone();
    let runtime = Builder::new_multi_thread()
        .worker_threads(workers)
        .max_blocking_threads(options.handler_pool())
        .on_thread_start(move || {
            let service = Service::new(Arc::clone(&site), options.timeouts, handlers);
            tasks::use_service(service, service_shutdown.clone());
        })
        .enable_io()
        .enable_time()
        .build()?;
    let serving = runtime.spawn(async move { serve_tasks(&listener, &shutdown, &options).await });
    let served = runtime.block_on(serving);
    // A handler that blocks is not waited for.
    runtime.shutdown_background();
    served.unwrap_or_else(|panic| Err(panic.into()))
}

/// Serves on the runtime that the caller runs on.
pub async fn serve_tasks(
    listener: &Listener,
    shutdown: &Shutdown,
    options: &Options,
) -> io::Result<()> {
    let runtime =
        OnTokio { listener, readiness: watch(listener.as_fd())?, signal: watch(shutdown.as_fd())? };
    tasks::serve(&runtime, options.max_connections.get(), options.timeouts, shutdown).await
}

fn watch(fd: BorrowedFd<'_>) -> io::Result<AsyncFd<BorrowedFd<'_>>> {
    // SAFETY: the borrowed descriptor stays open until the result is dropped, and is always the
    // same one.
    Ok(unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }?)
}

struct OnTokio<'a> {
    listener: &'a Listener,
    readiness: AsyncFd<BorrowedFd<'a>>,
    signal: AsyncFd<BorrowedFd<'a>>,
}

impl Runtime for OnTokio<'_> {
    async fn accept(&self) -> io::Result<std::net::TcpStream> {
        loop {
            let mut ready = self.readiness.readable().await?;
            match self.listener.accept() {
                // tokio reports new connections once, and must not be waited for while some are
                // left.
                Err(error) if is_empty(&error) => ready.clear_ready(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    tokio::task::yield_now().await;
                }
                accepted => return accepted,
            }
        }
    }

    fn close(&self) -> Vec<std::net::TcpStream> {
        self.listener.close()
    }

    async fn stopped(&self) -> io::Result<()> {
        self.signal.readable().await.map(|_| ())
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    fn start(&self, stream: std::net::TcpStream, registration: Registration) {
        // If the kernel's tables are full, the connection is closed, which is all that can be done.
        if let Ok(stream) = TcpStream::from_std(stream) {
            tokio::spawn(serve_connection(stream, registration));
        }
    }
}

impl Stream for TcpStream {
    async fn receive(&mut self, mut take: impl FnMut(&[u8])) -> io::Result<()> {
        poll_fn(|context| {
            // The buffer is on the stack, so that the connection does not keep it while it waits
            // for its client.
            let mut buffer = [MaybeUninit::uninit(); READ_BYTES];
            let mut buffer = ReadBuf::uninit(&mut buffer);
            // tokio remembers that a read did not fill the buffer, which saves the call that would
            // only report that there is no more data.
            ready!(Pin::new(&mut *self).poll_read(context, &mut buffer))?;
            take(buffer.filled());
            Poll::Ready(Ok(()))
        })
        .await
    }

    async fn send(&mut self, connection: &mut Connection) -> io::Result<usize> {
        poll_fn(|context| {
            let stream = Pin::new(&mut *self);
            match connection.pending_output() {
                [small, large] if large.is_empty() => stream.poll_write(context, &small),
                both => stream.poll_write_vectored(context, &both),
            }
        })
        .await
    }

    fn shut_write_side(&self) -> io::Result<()> {
        SockRef::from(self).shutdown(Write)
    }

    async fn wait_until(&self, time: Instant) {
        // tokio's timers have a resolution of a millisecond, and are never early.
        tokio::time::sleep_until(time.into()).await;
    }

    async fn run(&mut self, job: Job) -> io::Result<Reply<'static>> {
        // tokio panics if it has no thread at all and can't start one; if it has some, the job
        // waits for one of them. After a panic, the job is still in the queue and runs once there
        // is a thread again, but no task waits for its reply.
        let spawned = catch_unwind(|| tokio::task::spawn_blocking(move || job.run()));
        Ok(spawned.map_err(|_| io::ErrorKind::OutOfMemory)?.await?)
    }
}
