//! One run: starts the workers, passes on their progress, and ends with the measurement.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crossbeam::channel::{Receiver, Sender, bounded, unbounded};

use crate::intervals::Intervals;
use crate::measurement::{GeneratorLimits, KernelCounters, Measurement};
use crate::merge::merge;
use crate::plan::{Plan, share};
use crate::recorder::Interval;
use crate::slow::{Slow, SlowClients};
use crate::target::Target;
use crate::time_wait;
use crate::worker::{Ending, Message, Worker};
use crate::workload::Workload;

/// Progress of a run, for its caller.
#[derive(Debug)]
pub enum Event {
    /// The measured part began at this time. The generator's threads keep their processors busy, so
    /// the caller learns of it up to some milliseconds later.
    Begun(Instant),
    /// An interval of the measured part is over on every worker.
    Interval(Interval),
    /// The measured part is over; the connections stay open until [`Run::finish`].
    Ended,
}

/// Reason for a run without results.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// No connection could be made since the run began.
    #[error("cannot connect to {url}: {error}; {}", next_step(.error))]
    #[expect(missing_docs, reason = "the message says it")]
    Unreachable { url: String, error: io::Error },
    /// A thread of the generator ended in a panic.
    #[error("a worker of the generator panicked")]
    Panicked,
}

/// Returns advice for a connection that can't be made.
fn next_step(error: &io::Error) -> &'static str {
    let mut limits = GeneratorLimits::default();
    limits.note(error);
    match limits {
        GeneratorLimits { descriptors: 1, .. } => {
            "it is the generator that is out of descriptors: raise `ulimit -n`"
        }
        GeneratorLimits { ports: 1, .. } => {
            "no free port of this machine leads there (net.ipv4.ip_local_port_range): check host and \
             routes, or end what has taken the ports"
        }
        GeneratorLimits { memory: 1, .. } => {
            "it is the generator that is out of memory for sockets"
        }
        _ => "start the server, or check host and port",
    }
}

/// A run in progress. Dropping it ends it.
#[derive(Debug)]
pub struct Run {
    plan: Arc<Plan>,
    messages: Receiver<Message>,
    /// Dropping it lets the workers close their connections.
    hold: Option<Sender<()>>,
    threads: Vec<JoinHandle<()>>,
    slow: Option<JoinHandle<SlowClients>>,
    begun: bool,
    ended: bool,
    intervals: Intervals,
    /// Counters before the first connect: most drops happen while connections are made, before the
    /// measured part.
    kernel_at_start: Option<KernelCounters>,
    endings: Vec<Ending>,
}

/// Starts the workers of a run. Setting `stop` ends it early; results up to then are kept.
///
/// # Errors
/// When a thread or its event queue can't be created.
pub fn start(target: Target, workload: Workload, stop: Arc<AtomicBool>) -> io::Result<Run> {
    let threads = workload.threads.clamp(1, workload.connections.max(1));
    let plan = Arc::new(Plan::new(target, workload, threads, stop));
    let (sender, messages) = unbounded();
    let (hold, release) = bounded(0);
    let mut run = Run {
        plan: Arc::clone(&plan),
        messages,
        hold: Some(hold),
        threads: Vec::new(),
        slow: None,
        begun: false,
        ended: false,
        intervals: Intervals::new(threads),
        kernel_at_start: KernelCounters::now(&plan.target),
        endings: Vec::new(),
    };
    for index in 0..threads {
        let worker = Worker::new(Arc::clone(&plan), index, sender.clone())?;
        let idle = share(plan.workload.idle, index, threads);
        let release = release.clone();
        let guard = AbandonOnPanic(Arc::clone(&plan));
        let thread = thread::Builder::new().name(format!("generator-{index}"));
        let work = move || {
            let _guard = guard;
            worker.run(idle, &release);
        };
        run.threads.push(thread.spawn(work)?);
    }
    if let Some(slow) = Slow::of(&plan) {
        let guard = AbandonOnPanic(Arc::clone(&plan));
        let work = move || {
            let _guard = guard;
            slow.run(&release)
        };
        run.slow = Some(thread::Builder::new().name("generator-slow".into()).spawn(work)?);
    }
    Ok(run)
}

/// Ends the run when the thread that holds this guard panics. Without it, the other workers would
/// wait for ever for that thread's idle connections, or for the beginning of the measured part.
struct AbandonOnPanic(Arc<Plan>);

impl Drop for AbandonOnPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.abandon();
        }
    }
}

impl Run {
    /// Waits for the next event; `None` after [`Event::Ended`].
    pub fn next_event(&mut self) -> Option<Event> {
        while self.endings.len() < self.threads.len() {
            match self.messages.recv().ok()? {
                Message::Begun if !self.begun => {
                    self.begun = true;
                    return Some(Event::Begun(self.plan.begun()));
                }
                Message::Begun => {}
                Message::Interval(interval) => {
                    if let Some(interval) = self.intervals.add(interval) {
                        return Some(Event::Interval(interval));
                    }
                }
                Message::Ended(ending) => self.endings.push(*ending),
            }
        }
        if let Some(interval) = self.intervals.pop_open() {
            return Some(Event::Interval(interval));
        }
        if let Some(interval) = self.intervals.censor(self.endings.iter().flat_map(Ending::ages)) {
            return Some(Event::Interval(interval));
        }
        (!std::mem::replace(&mut self.ended, true)).then_some(Event::Ended)
    }

    /// Waits for the end, closes the connections and returns the measurement.
    ///
    /// # Errors
    /// When no connection could be made, or when a worker panicked, because its requests are
    /// missing from the counts.
    pub fn finish(mut self) -> Result<Measurement, RunError> {
        while self.next_event().is_some() {}
        // Read before the generator closes the connections that are still open.
        let Plan { target, workload, .. } = &*self.plan;
        let is_told = workload.close.is_some() && target.is_loopback();
        let time_wait = is_told.then(|| time_wait::of(&target.addresses)).flatten();
        self.hold = None;
        for thread in self.threads.drain(..) {
            thread.join().map_err(|_| RunError::Panicked)?;
        }
        let slow =
            self.slow.take().map(JoinHandle::join).transpose().map_err(|_| RunError::Panicked)?;
        if let Some(error) = self.connect_error() {
            return Err(RunError::Unreachable { url: self.plan.target.url.clone(), error });
        }
        let kernel = self.kernel_at_start.and_then(|begin| {
            let grown = KernelCounters::now(&self.plan.target)?.since(begin);
            Some(KernelCounters { time_wait, ..grown })
        });
        let (total, batches) = self.intervals.take();
        let measured = merge(&self.plan, total, batches, kernel, &self.endings);
        Ok(Measurement { slow, ..measured })
    }

    /// Returns the error of a connect, if no connection of the run was ever established.
    fn connect_error(&mut self) -> Option<io::Error> {
        let stood = |ending: &Ending| ending.opened_total + ending.idle_established > 0;
        if self.endings.iter().any(stood) {
            return None;
        }
        self.endings.iter_mut().find_map(|ending| ending.connect_error.take())
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.plan.abandon();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(threads: usize) -> Arc<Plan> {
        let target = Target::resolve("http://127.0.0.1:1/").unwrap();
        Arc::new(Plan::new(target, Workload::default(), threads, Arc::default()))
    }

    #[test]
    fn a_panic_frees_workers_that_wait_for_idle_connections() {
        let plan = plan(2);
        let (sender, messages) = unbounded();
        let other = Worker::new(Arc::clone(&plan), 0, sender).unwrap();
        let (hold, release) = bounded::<()>(0);
        drop(hold);
        let waiting = thread::spawn(move || other.run(0, &release));
        let guard = AbandonOnPanic(Arc::clone(&plan));
        let panicking = thread::spawn(move || {
            let _guard = guard;
            panic!("a worker panics while it opens its idle connections");
        });
        assert!(panicking.join().is_err());
        // Without the guard, the other worker would hang here.
        waiting.join().unwrap();
        assert!(plan.is_stopped() && !plan.may_send());
        assert!(messages.iter().any(|message| matches!(message, Message::Ended(_))));
    }

    #[test]
    fn a_worker_that_ends_well_leaves_the_others_alone() {
        let plan = plan(2);
        drop(AbandonOnPanic(Arc::clone(&plan)));
        assert!(!plan.is_stopped());
    }
}
