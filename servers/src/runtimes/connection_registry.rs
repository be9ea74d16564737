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
use crate::net::timeout_scan::TimeoutScan;

/// A deadline that never comes.
const NEVER: u64 = u64::MAX;

/// Registry of all tasks that serve a connection of a server, or of one of its threads.
#[derive(Debug)]
pub struct ConnectionRegistry {
    state: Mutex<State>,
    shutdown: Shutdown,
    /// Time from which deadlines are counted.
    begin: Instant,
}

#[derive(Debug, Default)]
struct State {
    tasks: Slab<Arc<TaskState>>,
    /// Waker of the acceptor, while it waits for capacity.
    acceptor: Option<Waker>,
}

/// State through which a task is interrupted.
#[derive(Debug)]
struct TaskState {
    /// Deadline of the wait, in milliseconds since `ConnectionRegistry::begin`.
    deadline_ms: AtomicU64,
    /// True if the task was interrupted: it then checks the time and the shutdown.
    is_interrupted: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

/// Conditions that may end the wait of a task.
#[derive(Debug, Clone, Copy)]
pub struct WaitLimits {
    pub deadline: Option<Instant>,
    /// True if no request is in progress, so that a stopping server may end the connection.
    pub is_idle: bool,
}

/// Reason for an interrupted task to stop waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interruption {
    TimedOut,
    Stopped,
}

impl ConnectionRegistry {
    pub fn new(shutdown: Shutdown) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), shutdown, begin: Instant::now() })
    }

    /// Registers a task until the returned value is dropped.
    pub fn register(self: &Arc<Self>) -> Registration {
        let task = Arc::new(TaskState {
            deadline_ms: AtomicU64::new(NEVER),
            is_interrupted: AtomicBool::new(false),
            waker: Mutex::default(),
        });
        let key = self.state().tasks.insert(Arc::clone(&task));
        Registration {
            registry: Arc::clone(self),
            task,
            key,
            waker: None,
            was_interrupted_late: Cell::new(false),
        }
    }

    /// Returns the number of registered tasks.
    pub fn count(&self) -> usize {
        self.state().tasks.len()
    }

    /// Returns true if fewer than `max` tasks are registered; otherwise `acceptor` is woken when
    /// one has ended.
    pub fn has_capacity(&self, max: usize, acceptor: &Waker) -> bool {
        let mut state = self.state();
        let has_capacity = state.tasks.len() < max;
        if !has_capacity {
            state.acceptor = Some(acceptor.clone());
        }
        has_capacity
    }

    /// Registers `acceptor` to be woken once, when a task has ended.
    pub fn wake_at_end(&self, acceptor: &Waker) {
        self.state().acceptor = Some(acceptor.clone());
    }

    /// Runs the timeout scan if it is due; returns the time until the next one.
    pub fn scan_if_due(&self, scan: &mut TimeoutScan) -> Duration {
        if scan.is_due(Instant::now()) {
            self.interrupt_overdue();
        }
        scan.left(Instant::now())
    }

    /// Interrupts all tasks of a stopping server; returns true if there are tasks to wait for, and
    /// time left for that.
    pub fn keep_draining(&self) -> bool {
        self.interrupt_all();
        self.is_draining()
    }

    /// Returns true if a stopping server has tasks to wait for, and time left for that.
    pub fn is_draining(&self) -> bool {
        self.count() > 0 && self.shutdown.has_drain_time()
    }

    /// Interrupts the tasks that have waited too long.
    pub fn interrupt_overdue(&self) {
        let now_ms = self.milliseconds(Instant::now());
        for (_, task) in &self.state().tasks {
            if task.deadline_ms.load(Ordering::Relaxed) <= now_ms {
                task.interrupt();
            }
        }
    }

    /// Interrupts one task, if it is still registered.
    #[cfg_attr(not(feature = "may"), allow(dead_code))]
    pub fn interrupt(&self, key: usize) {
        if let Some(task) = self.state().tasks.get(key) {
            task.interrupt();
        }
    }

    /// Interrupts all tasks.
    pub fn interrupt_all(&self) {
        for (_, task) in &self.state().tasks {
            task.interrupt();
        }
    }

    fn milliseconds(&self, time: Instant) -> u64 {
        time.saturating_duration_since(self.begin).as_millis() as u64
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TaskState {
    fn interrupt(&self) {
        // First, because the woken task must find it set.
        self.is_interrupted.store(true, Ordering::Release);
        if let Some(waker) = &*self.waker() {
            waker.wake_by_ref();
        }
    }

    fn waker(&self) -> MutexGuard<'_, Option<Waker>> {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Registration of a task, through which it learns of an interruption.
#[derive(Debug)]
pub struct Registration {
    registry: Arc<ConnectionRegistry>,
    task: Arc<TaskState>,
    key: usize,
    /// Waker that is stored in `task`. With most runtimes it stays the same, and then no lock is
    /// taken.
    waker: Option<Waker>,
    /// True if the task was already interrupted once after the last call ([`Shutdown::last_call`]).
    was_interrupted_late: Cell<bool>,
}

impl Registration {
    /// Returns the key for [`ConnectionRegistry::interrupt`].
    #[cfg_attr(not(feature = "may"), allow(dead_code))]
    pub fn key(&self) -> usize {
        self.key
    }

    /// Stores the waker that an interruption uses.
    pub fn set_waker(&mut self, waker: &Waker) {
        if !self.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            self.waker = Some(waker.clone());
            *self.task.waker() = Some(waker.clone());
        }
    }

    /// Sets the time at which the task is to be interrupted; `None` for never.
    pub fn set_deadline(&self, deadline: Option<Instant>) {
        let deadline_ms = deadline.map_or(NEVER, |deadline| self.registry.milliseconds(deadline));
        self.task.deadline_ms.store(deadline_ms, Ordering::Relaxed);
    }

    /// Returns the reason to stop waiting, if the task was interrupted meanwhile and `limits` gives
    /// one.
    ///
    /// A stop is reported at the second interruption after the last call ([`Shutdown::last_call`]).
    /// At the first one, only the kernel may know of a request that came in time, if this thread
    /// did not get a processor until then; between the two interruptions, the runtime learns of it.
    pub fn interruption(&self, limits: WaitLimits) -> Option<Interruption> {
        // In most cases the task was not interrupted, and then this check costs nothing.
        if !self.task.is_interrupted.load(Ordering::Relaxed)
            || !self.task.is_interrupted.swap(false, Ordering::Acquire)
        {
            return None;
        }
        if limits.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return Some(Interruption::TimedOut);
        }
        let last_call_is_over = self.registry.shutdown.is_last_call_over();
        let is_second = self.was_interrupted_late.replace(last_call_is_over);
        (limits.is_idle && is_second).then_some(Interruption::Stopped)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let acceptor = {
            let mut state = self.registry.state();
            state.tasks.remove(self.key);
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

    /// Counts its wake-ups.
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

    fn new_registry() -> (Arc<ConnectionRegistry>, Shutdown) {
        let shutdown = Shutdown::new().unwrap();
        (ConnectionRegistry::new(shutdown.clone()), shutdown)
    }

    #[test]
    fn interrupts_tasks_that_wait_for_too_long_and_no_others() {
        let (registry, _) = new_registry();
        let (late, early) = (Arc::new(Bell::default()), Arc::new(Bell::default()));
        let (mut waits, mut went_on) = (registry.register(), registry.register());
        let (past, future) = (Instant::now(), Instant::now() + Duration::from_mins(1));
        waits.set_waker(&Arc::clone(&late).into());
        waits.set_deadline(Some(past));
        went_on.set_waker(&Arc::clone(&early).into());
        went_on.set_deadline(Some(past));
        went_on.set_deadline(Some(future));
        registry.interrupt_overdue();
        assert_eq!((late.rings(), early.rings()), (1, 0));
        let limits = |deadline| WaitLimits { deadline: Some(deadline), is_idle: true };
        assert_eq!(waits.interruption(limits(past)), Some(Interruption::TimedOut));
        assert_eq!(waits.interruption(limits(past)), None, "interrupted once");
        assert_eq!(went_on.interruption(limits(past)), None, "not interrupted");
    }

    #[test]
    fn a_stop_ends_idle_connections_after_the_last_call() {
        let (registry, shutdown) = new_registry();
        let registration = registry.register();
        let interruption = |is_idle| {
            registry.interrupt_all();
            registration.interruption(WaitLimits { deadline: None, is_idle })
        };
        shutdown.signal();
        assert_eq!(interruption(true), None, "clients may still come with a request");
        std::thread::sleep(shutdown.last_call().unwrap());
        assert_eq!(
            interruption(true),
            None,
            "a request that came in time may be known only to the kernel"
        );
        assert_eq!(interruption(false), None);
        assert_eq!(interruption(true), Some(Interruption::Stopped));
    }

    #[test]
    fn an_acceptor_that_waits_for_capacity_is_woken_when_there_is_some() {
        let (registry, _) = new_registry();
        let bell = Arc::new(Bell::default());
        let acceptor = Waker::from(Arc::clone(&bell));
        let one = registry.register();
        assert!(registry.has_capacity(2, &acceptor));
        let other = registry.register();
        assert!(!registry.has_capacity(2, &acceptor));
        drop(one);
        assert_eq!((bell.rings(), registry.count()), (1, 1));
        drop(other);
        assert_eq!(bell.rings(), 1, "no acceptor waits");
    }
}
