//! Registry of the tasks that serve connections, so that timeouts and shutdown can interrupt a task
//! that waits for its client.
//!
//! A task that waits leaves its deadline and its waker here. A timeout scan finds the tasks that
//! wait too long, a stop reaches all tasks, and no request touches a timer, a channel or a lock.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use slab::Slab;

use crate::Shutdown;
use crate::net::timeout_scan::Sweep;

/// A deadline that never comes.
const NEVER: u64 = u64::MAX;

/// Registry of all tasks that serve a connection of a server, or of one of its threads.
#[derive(Debug)]
pub struct Callees {
    state: Mutex<State>,
    shutdown: Shutdown,
    /// Time from which deadlines are counted.
    begin: Instant,
}

#[derive(Debug, Default)]
struct State {
    calls: Slab<Arc<Call>>,
    /// Waker of the acceptor, while it waits for capacity.
    acceptor: Option<Waker>,
}

/// State through which a task is interrupted.
#[derive(Debug)]
struct Call {
    /// Deadline of the wait, in milliseconds since `Callees::begin`.
    deadline_ms: AtomicU64,
    /// True if the task was called: it then checks the time and the shutdown.
    is_made: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

/// Conditions that may end the wait of a task.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    pub deadline: Option<Instant>,
    /// True if no request is in progress, so that a stopping server may end the connection.
    pub is_idle: bool,
}

/// Reason for a called task to stop waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    TooLong,
    Stopped,
}

impl Callees {
    pub fn new(shutdown: Shutdown) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), shutdown, begin: Instant::now() })
    }

    /// Registers a task until the returned value is dropped.
    pub fn register(self: &Arc<Self>) -> Callee {
        let call = Arc::new(Call {
            deadline_ms: AtomicU64::new(NEVER),
            is_made: AtomicBool::new(false),
            waker: Mutex::default(),
        });
        let key = self.state().calls.insert(Arc::clone(&call));
        Callee { all: Arc::clone(self), call, key, waker: None, was_last_called: Cell::new(false) }
    }

    /// Returns the number of registered tasks.
    pub fn count(&self) -> usize {
        self.state().calls.len()
    }

    /// Returns true if fewer than `max` tasks are registered; otherwise `acceptor` is woken when
    /// one has ended.
    pub fn has_room(&self, max: usize, acceptor: &Waker) -> bool {
        let mut state = self.state();
        let has_room = state.calls.len() < max;
        if !has_room {
            state.acceptor = Some(acceptor.clone());
        }
        has_room
    }

    /// Registers `acceptor` to be woken once, when a task has ended.
    pub fn wake_at_end(&self, acceptor: &Waker) {
        self.state().acceptor = Some(acceptor.clone());
    }

    /// Runs the timeout scan if it is due; returns the time until the next one.
    pub fn look_after(&self, sweep: &mut Sweep) -> Duration {
        if sweep.is_due(Instant::now()) {
            self.call_overdue();
        }
        sweep.left(Instant::now())
    }

    /// Calls all tasks of a stopping server; returns true if there are tasks to wait for, and time
    /// left for that.
    pub fn call_to_end(&self) -> bool {
        self.call_all();
        self.are_awaited()
    }

    /// Returns true if a stopping server has tasks to wait for, and time left for that.
    pub fn are_awaited(&self) -> bool {
        self.count() > 0 && !self.shutdown.drain_time_left().is_zero()
    }

    /// Calls the tasks that have waited too long.
    pub fn call_overdue(&self) {
        let now_ms = self.milliseconds(Instant::now());
        for (_, call) in &self.state().calls {
            if call.deadline_ms.load(Ordering::Relaxed) <= now_ms {
                call.make();
            }
        }
    }

    /// Calls one task, if it is still registered.
    #[cfg_attr(not(feature = "may"), allow(dead_code))]
    pub fn call(&self, key: usize) {
        if let Some(call) = self.state().calls.get(key) {
            call.make();
        }
    }

    /// Calls all tasks.
    pub fn call_all(&self) {
        for (_, call) in &self.state().calls {
            call.make();
        }
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
        // First, because the woken task must find it set.
        self.is_made.store(true, Ordering::Release);
        if let Some(waker) = &*self.waker() {
            waker.wake_by_ref();
        }
    }

    fn waker(&self) -> MutexGuard<'_, Option<Waker>> {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Registration of a task, which can be called.
#[derive(Debug)]
pub struct Callee {
    all: Arc<Callees>,
    call: Arc<Call>,
    key: usize,
    /// Waker that is stored in `call`. With most runtimes it stays the same, and then no lock is
    /// taken.
    waker: Option<Waker>,
    /// True if the task was already called once after the time for last requests
    /// ([`Shutdown::last_call`]) was over.
    was_last_called: Cell<bool>,
}

impl Callee {
    /// Returns the key for [`Callees::call`].
    #[cfg_attr(not(feature = "may"), allow(dead_code))]
    pub fn key(&self) -> usize {
        self.key
    }

    /// Stores the waker that a call uses.
    pub fn listen(&mut self, waker: &Waker) {
        if !self.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            self.waker = Some(waker.clone());
            *self.call.waker() = Some(waker.clone());
        }
    }

    /// Sets the time at which the task is to be called; `None` for never.
    pub fn wait_until(&self, deadline: Option<Instant>) {
        let deadline_ms = deadline.map_or(NEVER, |deadline| self.all.milliseconds(deadline));
        self.call.deadline_ms.store(deadline_ms, Ordering::Relaxed);
    }

    /// Returns the reason to stop waiting, if the task was called meanwhile and `patience` gives
    /// one.
    ///
    /// A stop is reported at the second call after the time for last requests
    /// ([`Shutdown::last_call`]) is over. At the first one, a request that came in time may be
    /// known only to the kernel, if this thread did not get a processor until then; between two
    /// calls, the runtime learns of it.
    pub fn verdict(&self, patience: Patience) -> Option<Verdict> {
        // Mostly the task was not called, and then this check costs nothing.
        if !self.call.is_made.load(Ordering::Relaxed) || !self.call.is_made.swap(false, Ordering::Acquire) {
            return None;
        }
        if patience.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return Some(Verdict::TooLong);
        }
        let last_call_is_over = self.all.shutdown.last_call().is_some_and(|left| left.is_zero());
        let is_second = self.was_last_called.replace(last_call_is_over);
        (patience.is_idle && is_second).then_some(Verdict::Stopped)
    }
}

impl Drop for Callee {
    fn drop(&mut self) {
        let acceptor = {
            let mut state = self.all.state();
            state.calls.remove(self.key);
            state.acceptor.take()
        };
        if let Some(acceptor) = acceptor {
            acceptor.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Wake;

    use super::*;

    /// Counts how often it is woken.
    #[derive(Default)]
    struct Bell(AtomicU64);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    impl Bell {
        fn rings(&self) -> u64 {
            self.0.load(Ordering::SeqCst)
        }
    }

    fn callees() -> (Arc<Callees>, Shutdown) {
        let shutdown = Shutdown::new().unwrap();
        (Callees::new(shutdown.clone()), shutdown)
    }

    #[test]
    fn calls_those_who_wait_for_too_long_and_nobody_else() {
        let (callees, _) = callees();
        let (late, early) = (Arc::new(Bell::default()), Arc::new(Bell::default()));
        let (mut waits, mut went_on) = (callees.register(), callees.register());
        let (past, future) = (Instant::now(), Instant::now() + Duration::from_mins(1));
        waits.listen(&Arc::clone(&late).into());
        waits.wait_until(Some(past));
        went_on.listen(&Arc::clone(&early).into());
        went_on.wait_until(Some(past));
        went_on.wait_until(Some(future));
        callees.call_overdue();
        assert_eq!((late.rings(), early.rings()), (1, 0));
        let patience = |deadline| Patience { deadline: Some(deadline), is_idle: true };
        assert_eq!(waits.verdict(patience(past)), Some(Verdict::TooLong));
        assert_eq!(waits.verdict(patience(past)), None, "called once");
        assert_eq!(went_on.verdict(patience(past)), None, "not called");
    }

    #[test]
    fn a_stop_ends_the_idle_after_the_last_call() {
        let (callees, shutdown) = callees();
        let callee = callees.register();
        let told = |is_idle| {
            callees.call_all();
            callee.verdict(Patience { deadline: None, is_idle })
        };
        shutdown.signal();
        assert_eq!(told(true), None, "clients may still come with a request");
        std::thread::sleep(shutdown.last_call().unwrap());
        assert_eq!(told(true), None, "what came in time may not have been heard of yet");
        assert_eq!(told(false), None);
        assert_eq!(told(true), Some(Verdict::Stopped));
    }

    #[test]
    fn whoever_waits_for_room_is_woken_when_there_is_some() {
        let (callees, _) = callees();
        let bell = Arc::new(Bell::default());
        let acceptor = Waker::from(Arc::clone(&bell));
        let one = callees.register();
        assert!(callees.has_room(2, &acceptor));
        let other = callees.register();
        assert!(!callees.has_room(2, &acceptor));
        drop(one);
        assert_eq!((bell.rings(), callees.count()), (1, 1));
        drop(other);
        assert_eq!(bell.rings(), 1, "nobody waits");
    }
}
