//! Connections as tasks of an async runtime: what the models with a runtime share.
//!
//! How a task waits for its client is the runtime's business: the [`Stream`]. What a task has to be told by others, that
//! its client takes too long or that the server stops, comes through the [`Tasks`] of its server, and no timer or channel
//! is touched by a request.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::TcpStream;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use slab::Slab;

use crate::http::{Connection, Job, Reply, Service, Timeouts, Want};
use crate::sweep::Sweep;
use crate::Shutdown;

/// How often a server that stops looks whether it is done.
const DRAIN_TICK: Duration = Duration::from_millis(20);

/// A deadline that never comes.
const NEVER: u64 = u64::MAX;

/// A connection's socket in the hands of a runtime.
pub trait Stream {
    /// Waits for octets and gives them to `take`; none are the end of them.
    async fn receive(&mut self, take: impl FnMut(&[u8])) -> io::Result<()>;

    /// Waits until some of the pending output of `connection` is sent, and says how much. Only who gives the connection up
    /// may stop waiting.
    async fn send(&mut self, connection: &mut Connection) -> io::Result<usize>;

    /// Sends the end.
    fn shut_write_side(&self) -> io::Result<()>;

    /// Runs `job` where it may block.
    async fn run(&mut self, job: Job) -> io::Result<Reply<'static>>;
}

/// A runtime's side of a server.
pub trait Runtime {
    /// Waits for the next connection.
    async fn accept(&self) -> io::Result<TcpStream>;

    /// Stops listening, and gives back the connections that have come already.
    fn close(&self) -> Vec<TcpStream>;

    /// Waits for the stop signal.
    async fn stopped(&self) -> io::Result<()>;

    /// Waits.
    async fn sleep(&self, time: Duration);

    /// Starts a task that serves `stream` with [`serve_connection`].
    fn start(&self, stream: TcpStream, task: Task);
}

thread_local! {
    /// What tasks answer with, whichever of them is running on this thread.
    static SERVICE: RefCell<Option<(Service, Shutdown)>> = const { RefCell::new(None) };
}

/// Has the tasks that run on this thread answer with `service`.
pub fn use_service(service: Service, shutdown: Shutdown) {
    SERVICE.set(Some((service, shutdown)));
}

fn with_service<T>(run: impl FnOnce(&mut Service) -> T) -> T {
    SERVICE.with_borrow_mut(|local| {
        let (service, shutdown) = local.as_mut().expect("tasks run on threads that have a service");
        if shutdown.is_signalled() {
            service.close_after_answers();
        }
        run(service)
    })
}

/// Serves what comes in until the stop signal, at most so many connections at once, then what is under way.
pub async fn serve(
    runtime: &impl Runtime,
    tasks: &Arc<Tasks>,
    max_connections: usize,
) -> io::Result<()> {
    let accepting = async {
        loop {
            tasks.room(max_connections).await;
            runtime.start(runtime.accept().await?, tasks.register());
        }
    };
    let sweeping = async { Ok(tasks.sweep(runtime).await) };
    let working = first(accepting, sweeping);
    first(runtime.stopped(), async { working.await.map(|never: Infallible| match never {}) }).await?;
    for stream in runtime.close() {
        runtime.start(stream, tasks.register());
    }
    tasks.drain(runtime).await;
    Ok(())
}

/// Serves `stream` until the client or an answer ends the connection, the client takes too long, or the server is at its
/// end.
pub async fn serve_connection(mut stream: impl Stream, mut task: Task) -> io::Result<()> {
    let mut connection = with_service(|service| {
        service.set_time(Instant::now());
        Connection::new(service.now())
    });
    loop {
        let patience = with_service(|service| Patience::with(&connection, service));
        match connection.want() {
            Want::Read => {
                let receiving = stream.receive(|octets| {
                    with_service(|service| match octets {
                        [] => connection.receive_end(),
                        octets => connection.receive(octets, service),
                    });
                });
                match task.wait(receiving, patience).await {
                    Waited::Done(received) => received?,
                    Waited::TooLong => with_service(|service| connection.time_out(service)),
                    Waited::Stopped => return Ok(()),
                }
            }
            Want::Write => match task.wait(stream.send(&mut connection), patience).await {
                Waited::Done(sent) => {
                    let sent = sent?;
                    with_service(|service| connection.advance(sent, service));
                }
                Waited::TooLong | Waited::Stopped => return Ok(()),
            },
            Want::ShutdownWrite => {
                stream.shut_write_side()?;
                with_service(|service| connection.write_side_is_shut(service));
            }
            Want::RunJob | Want::Reply => {
                let job = connection.take_job().expect("the only one who takes it waits for its reply");
                let reply = stream.run(job).await?;
                with_service(|service| {
                    service.set_time(Instant::now());
                    connection.finish_job(&reply, service);
                });
            }
            Want::Close => return Ok(()),
        }
    }
}

/// How long a task waits for its client.
#[derive(Debug, Clone, Copy)]
struct Patience {
    deadline: Option<Instant>,
    /// Whether a server that stops can do without what is waited for.
    is_idle: bool,
}

impl Patience {
    fn with(connection: &Connection, service: &Service) -> Self {
        Self { deadline: connection.deadline(service), is_idle: connection.is_idle() }
    }
}

/// What came of waiting.
enum Waited<T> {
    Done(io::Result<T>),
    TooLong,
    Stopped,
}

/// The tasks of a server, or of a part of it that accepts for itself.
#[derive(Debug)]
pub struct Tasks {
    state: Mutex<State>,
    timeouts: Timeouts,
    shutdown: Shutdown,
    /// Deadlines are counted from here.
    begin: Instant,
}

#[derive(Debug, Default)]
struct State {
    calls: Slab<Arc<Call>>,
    /// Who waits for room.
    acceptor: Option<Waker>,
}

/// How others reach a task that waits for its client.
#[derive(Debug)]
struct Call {
    /// Until when the task waits, in milliseconds.
    deadline_ms: AtomicU64,
    /// Whether the task is to look at the time and at the shutdown.
    is_made: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Tasks {
    pub fn new(timeouts: Timeouts, shutdown: Shutdown) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), timeouts, shutdown, begin: Instant::now() })
    }

    /// Adds a task, until the result is dropped.
    pub fn register(self: &Arc<Self>) -> Task {
        let call = Arc::new(Call {
            deadline_ms: AtomicU64::new(NEVER),
            is_made: AtomicBool::new(false),
            waker: Mutex::default(),
        });
        let key = self.state().calls.insert(Arc::clone(&call));
        Task { tasks: Arc::clone(self), call, key, waker: None }
    }

    /// Waits until there are fewer than so many.
    async fn room(&self, max: usize) {
        poll_fn(|context| {
            let mut state = self.state();
            if state.calls.len() < max {
                return Poll::Ready(());
            }
            state.acceptor = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Calls those who wait for too long, for ever.
    async fn sweep(&self, runtime: &impl Runtime) -> Infallible {
        let mut sweep = Sweep::new(self.timeouts, Instant::now());
        loop {
            runtime.sleep(sweep.left(Instant::now())).await;
            if sweep.is_due(Instant::now()) {
                self.call_overdue();
            }
        }
    }

    /// Waits until all have ended, and not longer than the drain time.
    async fn drain(&self, runtime: &impl Runtime) {
        while !self.is_empty() && !self.shutdown.drain_time_left().is_zero() {
            runtime.sleep(DRAIN_TICK).await;
            self.call_all();
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.state().calls.is_empty()
    }

    /// Calls those who wait for too long.
    pub fn call_overdue(&self) {
        let now_ms = self.milliseconds(Instant::now());
        for (_, call) in &self.state().calls {
            if call.deadline_ms.load(Ordering::Relaxed) <= now_ms {
                call.make();
            }
        }
    }

    /// Calls those who wait.
    pub fn call_all(&self) {
        for (_, call) in &self.state().calls {
            call.make();
        }
    }

    /// What a task that was called makes of it.
    fn verdict<T>(&self, patience: Patience) -> Option<Waited<T>> {
        if patience.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return Some(Waited::TooLong);
        }
        let last_call_is_over = self.shutdown.last_call().is_some_and(|left| left.is_zero());
        (patience.is_idle && last_call_is_over).then_some(Waited::Stopped)
    }

    fn milliseconds(&self, time: Instant) -> u64 {
        time.saturating_duration_since(self.begin).as_millis() as u64
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Call {
    fn make(&self) {
        // First, since whoever is woken must find it.
        self.is_made.store(true, Ordering::Release);
        if let Some(waker) = &*self.waker() {
            waker.wake_by_ref();
        }
    }

    fn waker(&self) -> MutexGuard<'_, Option<Waker>> {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A task's place among the tasks of its server, for as long as it is there.
#[derive(Debug)]
pub struct Task {
    tasks: Arc<Tasks>,
    call: Arc<Call>,
    key: usize,
    /// What was left at the call. It stays the same for most runtimes, and then no lock is taken.
    waker: Option<Waker>,
}

impl Task {
    /// Waits for `work` as long as `patience` says.
    async fn wait<T>(
        &mut self,
        work: impl Future<Output = io::Result<T>>,
        patience: Patience,
    ) -> Waited<T> {
        let mut work = pin!(work);
        let mut has_waited = false;
        poll_fn(|context| {
            if has_waited {
                with_service(|service| service.set_time(Instant::now()));
            }
            if let Poll::Ready(result) = work.as_mut().poll(context) {
                return Poll::Ready(Waited::Done(result));
            }
            if !has_waited {
                has_waited = true;
                self.expect_call_at(patience.deadline);
            }
            self.listen(context.waker());
            if self.call.is_made.swap(false, Ordering::Acquire)
                && let Some(verdict) = self.tasks.verdict(patience)
            {
                return Poll::Ready(verdict);
            }
            Poll::Pending
        })
        .await
    }

    fn expect_call_at(&self, deadline: Option<Instant>) {
        let deadline_ms = deadline.map_or(NEVER, |deadline| self.tasks.milliseconds(deadline));
        self.call.deadline_ms.store(deadline_ms, Ordering::Relaxed);
    }

    fn listen(&mut self, waker: &Waker) {
        if !self.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            self.waker = Some(waker.clone());
            *self.call.waker() = Some(waker.clone());
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        let acceptor = {
            let mut state = self.tasks.state();
            state.calls.remove(self.key);
            state.acceptor.take()
        };
        if let Some(acceptor) = acceptor {
            acceptor.wake();
        }
    }
}

/// Waits for one of the two, and leaves the other.
async fn first<T>(one: impl Future<Output = T>, other: impl Future<Output = T>) -> T {
    let (mut one, mut other) = (pin!(one), pin!(other));
    poll_fn(|context| match one.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(output),
        Poll::Pending => other.as_mut().poll(context),
    })
    .await
}
