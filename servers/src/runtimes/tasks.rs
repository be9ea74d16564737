//! Connections as tasks of an async runtime, shared by the models with a runtime.
//!
//! The [`Stream`] of a runtime implements how a task waits for its client. Timeouts and shutdown
//! interrupt that wait through the [`ConnectionRegistry`] of the server.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::TcpStream;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::Shutdown;
use crate::http::{Connection, Job, Reply, Service, Status, Timeouts, Want};
use crate::net::shutdown::DRAIN_TICK;
use crate::net::timeout_scan::TimeoutScan;
use crate::runtimes::connection_registry::{
    ConnectionRegistry, Interruption, Registration, WaitLimits,
};

/// Socket of a connection, driven by a runtime.
pub trait Stream {
    /// Waits for bytes and gives them to `take`; an empty slice is the end of the stream.
    async fn receive(&mut self, take: impl FnMut(&[u8])) -> io::Result<()>;

    /// Waits until some of the pending output of `connection` is sent, and returns the number of
    /// bytes. A caller that stops waiting must give up the connection.
    async fn send(&mut self, connection: &mut Connection) -> io::Result<usize>;

    /// Shuts down the sending side.
    fn shut_write_side(&self) -> io::Result<()>;

    /// Waits until `time`.
    async fn wait_until(&self, time: Instant);

    /// Runs `job` where it may block; returns an error if there is no thread for that.
    async fn run(&mut self, job: Job) -> io::Result<Reply<'static>>;
}

/// Runtime-specific part of a server.
pub trait Runtime {
    /// Waits for the next connection.
    async fn accept(&self) -> io::Result<TcpStream>;

    /// Stops listening and returns the connections that have already arrived.
    fn close(&self) -> Vec<TcpStream>;

    /// Waits for the stop signal.
    async fn stopped(&self) -> io::Result<()>;

    /// Waits for `time`.
    async fn sleep(&self, time: Duration);

    /// Starts a task that serves `stream` with [`serve_connection`].
    fn start(&self, stream: TcpStream, registration: Registration);
}

thread_local! {
    /// Service of all tasks that run on this thread.
    static SERVICE: RefCell<Option<(Service, Shutdown)>> = const { RefCell::new(None) };
}

/// Sets the service of the tasks that run on this thread.
pub fn use_service(service: Service, shutdown: Shutdown) {
    SERVICE.set(Some((service, shutdown)));
}

fn with_service<T>(run: impl FnOnce(&mut Service) -> T) -> T {
    SERVICE.with_borrow_mut(|local| {
        let (service, shutdown) = local.as_mut().expect("tasks run on threads that have a service");
        if shutdown.is_signalled() {
            service.close_after_responses();
        }
        run(service)
    })
}

/// Serves connections until the stop signal, at most `max_connections` at once, then finishes the
/// requests in flight.
pub async fn serve(
    runtime: &impl Runtime,
    max_connections: usize,
    timeouts: Timeouts,
    shutdown: &Shutdown,
) -> io::Result<()> {
    let registry = ConnectionRegistry::new(shutdown.clone());
    let accepting = async {
        loop {
            wait_for_capacity(&registry, max_connections).await;
            runtime.start(runtime.accept().await?, registry.register());
        }
    };
    let scanning = async { Ok(scan_timeouts(&registry, timeouts, runtime).await) };
    let working =
        async { first(accepting, scanning).await.map(|never: Infallible| match never {}) };
    first(runtime.stopped(), working).await?;
    for stream in runtime.close() {
        runtime.start(stream, registry.register());
    }
    while registry.keep_draining() {
        runtime.sleep(DRAIN_TICK).await;
    }
    Ok(())
}

/// Waits until fewer than `max` connections are open.
async fn wait_for_capacity(registry: &ConnectionRegistry, max: usize) {
    poll_fn(|context| {
        if registry.has_capacity(max, context.waker()) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Serves `stream` until the client or a response ends the connection, the client takes too long,
/// or the server stops.
pub async fn serve_connection(
    mut stream: impl Stream,
    mut registration: Registration,
) -> io::Result<()> {
    let mut connection = with_service(|service| {
        service.set_time(Instant::now());
        Connection::new(service.now())
    });
    loop {
        let deadline = with_service(|service| connection.deadline(service));
        let limits = WaitLimits { deadline, is_idle: connection.is_idle() };
        match connection.want() {
            Want::Read => {
                let receiving = stream.receive(|bytes| {
                    with_service(|service| match bytes {
                        [] => connection.receive_end(),
                        bytes => connection.receive(bytes, service),
                    });
                });
                match wait(receiving, limits, &mut registration).await {
                    Ok(received) => received?,
                    Err(Interruption::TimedOut) => {
                        with_service(|service| connection.time_out(service));
                    }
                    Err(Interruption::Stopped) => return Ok(()),
                }
            }
            Want::Write => {
                match wait(stream.send(&mut connection), limits, &mut registration).await {
                    Ok(sent) => {
                        let sent = sent?;
                        with_service(|service| connection.advance(sent, service));
                    }
                    // A client that does not read its response would not read an error response
                    // either.
                    Err(_) => return Ok(()),
                }
            }
            Want::ShutdownWrite => {
                stream.shut_write_side()?;
                with_service(|service| connection.write_side_is_shut(service));
            }
            Want::WaitUntil(time) => {
                registration.set_deadline(None);
                stream.wait_until(time).await;
                with_service(|service| {
                    service.set_time(Instant::now());
                    connection.finish_wait(service);
                });
            }
            Want::RunJob | Want::Reply => {
                let job =
                    connection.take_job().expect("the only one who takes it waits for its reply");
                registration.set_deadline(None);
                // If the handler can't be run, the client gets a 503.
                let reply =
                    stream.run(job).await.unwrap_or(Reply::Status(Status::ServiceUnavailable));
                with_service(|service| {
                    service.set_time(Instant::now());
                    connection.finish_job(&reply, service);
                });
            }
            Want::Close => return Ok(()),
        }
    }
}

/// Waits for `work`, unless an interruption ends the wait according to `limits`.
async fn wait<T>(
    work: impl Future<Output = io::Result<T>>,
    limits: WaitLimits,
    registration: &mut Registration,
) -> Result<io::Result<T>, Interruption> {
    let mut work = pin!(work);
    let mut has_waited = false;
    poll_fn(|context| {
        if has_waited {
            with_service(|service| service.set_time(Instant::now()));
        }
        if let Poll::Ready(result) = work.as_mut().poll(context) {
            return Poll::Ready(Ok(result));
        }
        if !has_waited {
            has_waited = true;
            registration.set_deadline(limits.deadline);
        }
        registration.set_waker(context.waker());
        registration
            .interruption(limits)
            .map_or(Poll::Pending, |interruption| Poll::Ready(Err(interruption)))
    })
    .await
}

/// Runs the timeout scans, for ever.
async fn scan_timeouts(
    registry: &ConnectionRegistry,
    timeouts: Timeouts,
    runtime: &impl Runtime,
) -> Infallible {
    let mut scan = TimeoutScan::new(timeouts, Instant::now());
    loop {
        runtime.sleep(registry.scan_if_due(&mut scan)).await;
    }
}

/// Waits for the first of two futures and drops the other.
async fn first<T>(one: impl Future<Output = T>, other: impl Future<Output = T>) -> T {
    let (mut one, mut other) = (pin!(one), pin!(other));
    poll_fn(|context| match one.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(output),
        Poll::Pending => other.as_mut().poll(context),
    })
    .await
}
