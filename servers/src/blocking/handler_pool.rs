//! Pool of threads for handlers, with a job queue that wakes at most one thread per job.
//!
//! A channel would do, but its receivers spin for a while before they sleep; on a machine with few
//! processors, that takes CPU time from the threads that have work.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::blocking::pool::start_handler_thread;

/// Queue of jobs, and the threads that run them.
#[derive(Debug)]
pub struct HandlerPool<T> {
    state: Mutex<State<T>>,
    /// Notified once for each job that a sleeping thread can take.
    some: Condvar,
}

#[derive(Debug)]
struct State<T> {
    queue: VecDeque<T>,
    sleeping: usize,
    closed: bool,
}

impl<T> Default for HandlerPool<T> {
    fn default() -> Self {
        let state = State { queue: VecDeque::new(), sleeping: 0, closed: false };
        Self { state: Mutex::new(state), some: Condvar::new() }
    }
}

impl<T> HandlerPool<T> {
    /// Gives all of `jobs` to the pool.
    pub fn give(&self, jobs: &mut Vec<T>) {
        if jobs.is_empty() {
            return;
        }
        let mut state = self.state();
        state.queue.extend(jobs.drain(..));
        self.wake(state);
    }

    /// Gives `job` to the pool.
    #[cfg_attr(not(feature = "smol"), allow(dead_code))]
    pub fn give_one(&self, job: T) {
        let mut state = self.state();
        state.queue.push_back(job);
        self.wake(state);
    }

    /// Wakes as many sleeping threads as there are jobs.
    fn wake(&self, state: MutexGuard<'_, State<T>>) {
        let wake = state.queue.len().min(state.sleeping);
        drop(state);
        for _ in 0..wake {
            self.some.notify_one();
        }
    }

    /// Waits for a job; returns `None` when the queue is closed and empty.
    fn take(&self) -> Option<T> {
        let mut state = self.state();
        loop {
            if let Some(job) = state.queue.pop_front() {
                return Some(job);
            }
            if state.closed {
                return None;
            }
            state.sleeping += 1;
            state = self.some.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.sleeping -= 1;
        }
    }

    /// Starts this number of threads. Each runs `work` on one job after the other until the queue
    /// is closed and empty. The message of an error names the next step.
    pub fn start_threads(
        self: &Arc<Self>,
        threads: usize,
        work: impl Fn(T) + Clone + Send + 'static,
    ) -> io::Result<()>
    where
        T: Send + 'static,
    {
        for started in 0..threads {
            let pool = Arc::clone(self);
            let work = work.clone();
            start_handler_thread(started, threads, move || {
                while let Some(job) = pool.take() {
                    work(job);
                }
            })?;
        }
        Ok(())
    }

    /// Closes the queue when the returned guard is dropped.
    pub fn close_at_end(&self) -> CloseAtEnd<'_, T> {
        CloseAtEnd(self)
    }

    /// Closes the queue: no more jobs will come, but those in it are still run.
    pub fn close(&self) {
        self.state().closed = true;
        self.some.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Guard that [`HandlerPool::close_at_end`] returns.
pub struct CloseAtEnd<'a, T>(&'a HandlerPool<T>);

impl<T> Drop for CloseAtEnd<'_, T> {
    fn drop(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn every_job_is_taken_once_and_the_threads_end_with_the_queue() {
        let pool = HandlerPool::default();
        let sum = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    while let Some(job) = pool.take() {
                        sum.fetch_add(job, Ordering::Relaxed);
                    }
                });
            }
            for first in 0..100 {
                pool.give(&mut (first * 10..first * 10 + 10).collect());
            }
            pool.close();
        });
        assert_eq!(sum.into_inner(), (0..1000).sum());
    }
}
