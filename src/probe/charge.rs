//! Makes the scheduler charge the running threads of some processors for the time that they have
//! used.
//!
//! The kernel charges a thread when the thread stops running, when another thread is woken on its
//! processor, and at each timer tick. A busy server rarely stops, so its CPU time lags by up to a
//! tick: 4 ms at 250 Hz, 8 % of a slice of 50 ms. Waking a thread on the server's processors brings
//! the account up to date for the price of one context switch.
//!
//! Rejected: `perf_event_open` with the software event `task-clock`. It is exact as well, but it
//! makes every context switch of the server more expensive, and containers often refuse it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crate::cpus::{self, CpuList};

/// Longest wait for the threads that were woken. A thread that has not run by then is behind others
/// in the queue of its processor. The scheduler has charged the running thread even then.
const WAIT_TIME: Duration = Duration::from_micros(200);

/// Threads to be woken, by processor. They live as long as this process and sleep in between.
static WAKERS: OnceLock<Mutex<HashMap<usize, Option<Waker>>>> = OnceLock::new();

/// A thread that is pinned to one processor, to be woken there.
#[derive(Clone)]
struct Waker {
    thread: Thread,
    /// Number of times that the thread was woken.
    turns: Arc<AtomicU64>,
}

/// Charges the threads that run on `cpus`. A processor on which this process may not run is left
/// out, and its account lags.
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
    let is_waiting =
        |(before, waker): &(u64, Waker)| waker.turns.load(Ordering::Relaxed) == *before;
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

    /// A process with one thread uses no more processor time than the time that passes. If the
    /// account lagged by up to a tick at the first look and by less at the second, the process
    /// would seem to use more.
    #[test]
    fn a_busy_thread_is_charged_up_to_the_look() {
        let cpus = CpuList::before_pinning().unwrap();
        let [of_shell, of_test, ..] = cpus.numbers() else {
            return eprintln!("left out: one processor");
        };
        let own = match OwnGroup::create() {
            Ok(own) => own,
            Err(error) => return eprintln!("left out: {error:#}"),
        };
        let shell =
            Shell::start("exec 3<&0; (echo; read line <&3; kill -9 $$) & while :; do :; done");
        write!(own.entrance().unwrap(), "{}", shell.pid()).unwrap();
        let only = |cpu: usize| CpuList::new(vec![cpu]).unwrap().set();
        sched_setaffinity(Pid::from_raw(shell.pid().cast_signed()), &only(*of_shell)).unwrap();
        sched_setaffinity(None, &only(*of_test)).unwrap();
        let group = Some(own.group().clone());
        let server = Server { group, ..Server::from(shell.pid()) };
        let look = || (server.cpu_s().unwrap(), Instant::now());
        let mut excess: Vec<f64> = (0..40)
            .map(|turn| {
                let (begin_s, begin) = look();
                // Not a multiple of a tick, and a different part of a tick in each turn.
                thread::sleep(Duration::from_micros(5_000 + turn * 370 % 4_000));
                let (end_s, end) = look();
                end_s - begin_s - (end - begin).as_secs_f64()
            })
            .collect();
        excess.sort_unstable_by(f64::total_cmp);
        assert!(excess[34] < 0.001, "{excess:?}");
    }

    #[test]
    fn a_processor_that_does_not_exist_is_left_out() {
        up_to_now(&CpuList::new(vec![1023]).unwrap());
    }
}
