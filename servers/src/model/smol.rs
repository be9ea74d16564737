//! A task per connection on smol: an executor that a few threads run, and one reactor for all of them.
//!
//! A runtime of small crates of which each does one thing. Whichever thread has nothing to do waits for sockets, for all of
//! them; a socket is asked about once per wait, and asked about anew for the next one, which is a system call more per
//! request than with a runtime that stays subscribed. A handler that blocks keeps one of the few threads.

use std::io;
use std::mem::MaybeUninit;
use std::net::{self, TcpStream};
use std::num::NonZero;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use blocking::set_max_blocking_threads;
use rustix::io::Errno;
use smol::{Async, Executor, Timer};

use crate::blocking::{READ_BYTES, write_pending};
use crate::calls::Callee;
use crate::http::{Connection, Handlers, Job, Reply, Service};
use crate::pool::start_worker;
use crate::tasks::{self, Runtime, Stream, serve_connection};
use crate::{ConcurrencyModel, Listener, Options, Shutdown, Site};

pub fn build(options: Options) -> Box<dyn ConcurrencyModel> {
    Box::new(Smol { options, threads: options.event_loops(), handlers: Handlers::InPlace })
}

pub struct Smol {
    pub options: Options,
    /// Threads that run tasks.
    pub threads: usize,
    pub handlers: Handlers,
}

impl ConcurrencyModel for Smol {
    fn serve(&self, listener: Listener, site: Arc<Site>, shutdown: Shutdown) -> io::Result<()> {
        let Self { options, threads, handlers } = *self;
        let executor = Arc::new(Executor::new());
        if handlers != Handlers::InPlace {
            bound_handler_threads(&options);
            // The first is there from the start and stays, so that no handler ever waits for a thread where none can be had.
            smol::unblock(|| ()).detach();
        }
        // Closed when this returns, which ends the threads. One that is in a handler is not waited for.
        let (_end, ended) = smol::channel::bounded::<()>(1);
        for started in 0..threads {
            let service = Service::new(Arc::clone(&site), options.timeouts, handlers);
            let (executor, ended, shutdown) = (Arc::clone(&executor), ended.clone(), shutdown.clone());
            start_worker(started, threads, move || {
                tasks::use_service(service, shutdown);
                let _ = smol::block_on(executor.run(ended.recv()));
            })?;
        }
        let serving = executor.spawn(serve(listener, shutdown, options, handlers, Arc::clone(&executor)));
        smol::future::block_on(serving)
    }
}

async fn serve(
    listener: Listener,
    shutdown: Shutdown,
    options: Options,
    handlers: Handlers,
    executor: Arc<Executor<'static>>,
) -> io::Result<()> {
    let runtime = OnSmol {
        listener: &listener,
        readiness: Async::new_nonblocking(listener.as_fd())?,
        signal: Async::new_nonblocking(shutdown.as_fd())?,
        executor: &executor,
        options,
        handlers,
    };
    tasks::serve(&runtime, options.max_connections.get(), options.timeouts, &shutdown).await
}

struct OnSmol<'a> {
    listener: &'a Listener,
    readiness: Async<BorrowedFd<'a>>,
    signal: Async<BorrowedFd<'a>>,
    executor: &'a Executor<'static>,
    options: Options,
    handlers: Handlers,
}

/// Sets how many threads for handlers there may be. They are not stopped again, so that there should be no more than were
/// asked for.
fn bound_handler_threads(options: &Options) {
    set_max_blocking_threads(NonZero::new(options.blocking_workers()).unwrap_or(NonZero::<usize>::MIN));
}

impl Runtime for OnSmol<'_> {
    async fn accept(&self) -> io::Result<TcpStream> {
        // Those who are served already have their turn between two who come.
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

    fn start(&self, stream: TcpStream, callee: Callee) {
        if self.handlers != Handlers::InPlace {
            // Once it could have no more, the pool stays as small as it was then, until it is told otherwise.
            bound_handler_threads(&self.options);
        }
        // Without room in the kernel's tables the connection is closed, which is all that can be done.
        if let Ok(stream) = Async::new_nonblocking(stream) {
            self.executor.spawn(serve_connection(stream, callee)).detach();
        }
    }
}

impl Stream for Async<TcpStream> {
    async fn receive(&mut self, mut take: impl FnMut(&[u8])) -> io::Result<()> {
        loop {
            // Before a read is tried: it would hardly ever find something.
            self.readable().await?;
            match try_receive(self.get_ref(), &mut take) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                received => return Ok(received?),
            }
        }
    }

    async fn send(&mut self, connection: &mut Connection) -> io::Result<usize> {
        self.write_with(|stream| write_pending(stream, connection)).await
    }

    fn shut_write_side(&self) -> io::Result<()> {
        self.get_ref().shutdown(net::Shutdown::Write)
    }

    async fn run(&mut self, job: Job) -> io::Result<Reply<'static>> {
        Ok(smol::unblock(move || job.run()).await)
    }
}

fn try_receive(stream: &TcpStream, mut take: impl FnMut(&[u8])) -> rustix::io::Result<()> {
    // On the stack, where it is not kept while the client is waited for.
    let mut buffer = [MaybeUninit::uninit(); READ_BYTES];
    let (octets, _) = rustix::io::read(stream, &mut buffer)?;
    take(octets);
    Ok(())
}
