//! Has the scheduler charge the running threads of some processors with the time that they have used.
//!
//! The kernel charges a thread when it stops running, when another thread is woken on its processor,
//! and at each timer tick. A busy server stops rarely, so that its CPU time lags by up to a tick: 4 ms
//! at 250 Hz, 8 % of a slice of 50 ms. Waking a thread on the server's processors brings the account
//! up to date for the price of one context switch.
//!
//! Rejected: `perf_event_open` with the software event `task-clock` is exact as well, makes every
//! context switch of the server dearer, and containers often refuse it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crate::cpus::{self, CpuList};

/// How long to wait for the threads that were woken. One that has not run by then is behind others in
/// the queue of its processor; the scheduler has charged the running thread all the same.
const WAIT_TIME: Duration = Duration::from_micros(200);

/// The threads, by processor. They live as long as this process and sleep in between.
static WAKERS: OnceLock<Mutex<HashMap<usize, Option<Waker>>>> = OnceLock::new();

/// A thread that is kept on one processor, to be woken there.
#[derive(Clone)]
struct Waker {
    thread: Thread,
    /// How often it was woken.
    turns: Arc<AtomicU64>,
}

/// Charges the threads that run on `cpus`. A processor on which this process may not run is left out,
/// and its account lags.
pub(super) fn up_to_now(cpus: &CpuList) {
    let wakers = WAKERS.get_or_init(Mutex::default);
    let mut wakers = wakers.lock().unwrap_or_else(PoisonError::into_inner);
    let woken: Vec<_> = cpus
        .numbers()
        .iter()
        .filter_map(|&cpu| wakers.entry(cpu).or_insert_with(|| Waker::on(cpu)).clone())
        .map(|waker| (waker.turns.load(Ordering::Relaxed), waker))
        .collect();
    for (_, waker) in &woken {
        waker.thread.unpark();
    }
    let begin = Instant::now();
    let is_waiting = |(before, waker): &(u64, Waker)| waker.turns.load(Ordering::Relaxed) == *before;
    while woken.iter().any(is_waiting) && begin.elapsed() < WAIT_TIME {
        std::hint::spin_loop();
    }
}

impl Waker {
    fn on(cpu: usize) -> Option<Self> {
        let turns = Arc::new(AtomicU64::new(0));
        let set = CpuList::new(vec![cpu])?.set();
        let (tell, told) = std::sync::mpsc::channel();
        let counted = Arc::clone(&turns);
        let run = move || {
            let is_pinned = cpus::pin_to(&set).is_ok();
            if tell.send(is_pinned).is_err() || !is_pinned {
                return;
            }
            loop {
                thread::park();
                counted.fetch_add(1, Ordering::Relaxed);
            }
        };
        let spawned = thread::Builder::new().name(format!("charge-{cpu}")).spawn(run).ok()?;
        let is_pinned = told.recv().unwrap_or(false);
        is_pinned.then(|| Self { thread: spawned.thread().clone(), turns })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use rustix::process::Pid;
    use rustix::thread::sched_setaffinity;

    use super::super::Server;
    use super::super::fixture::Shell;
    use super::*;
    use crate::cgroup::OwnGroup;

    /// A process with one thread uses no more processor time than passes. Where the account lagged by
    /// up to a tick at the first look and by less at the second, it would seem to.
    #[test]
    fn a_busy_thread_is_charged_up_to_the_look() {
        let cpus = CpuList::before_pinning().unwrap();
        let [of_shell, of_test, ..] = cpus.numbers() else { return eprintln!("left out: one processor") };
        let own = match OwnGroup::create() {
            Ok(own) => own,
            Err(error) => return eprintln!("left out: {error:#}"),
        };
        let shell = Shell::start("exec 3<&0; (echo; read line <&3; kill -9 $$) & while :; do :; done");
        write!(own.entrance().unwrap(), "{}", shell.pid()).unwrap();
        let only = |cpu: usize| CpuList::new(vec![cpu]).unwrap().set();
        sched_setaffinity(Pid::from_raw(shell.pid().cast_signed()), &only(*of_shell)).unwrap();
        sched_setaffinity(None, &only(*of_test)).unwrap();
        let server = Server { pid: shell.pid(), group: Some(own.group().clone()) };
        let look = || (server.cpu_s().unwrap(), Instant::now());
        let mut excess: Vec<f64> = (0..40)
            .map(|turn| {
                let (begin_s, begin) = look();
                // No multiple of a tick, and another part of one in each turn.
                thread::sleep(Duration::from_micros(5_000 + turn * 370 % 4_000));
                let (end_s, end) = look();
                end_s - begin_s - (end - begin).as_secs_f64()
            })
            .collect();
        excess.sort_unstable_by(f64::total_cmp);
        assert!(excess[34] < 0.001, "{excess:?}");
    }

    #[test]
    fn a_processor_that_there_is_not_is_left_out() {
        up_to_now(&CpuList::new(vec![1023]).unwrap());
    }
}
