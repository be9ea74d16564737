//! A worker at work: waits for the events of its master and its generator, and takes the steps that
//! the session wants.

use std::process;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use crossbeam::channel::{Receiver, Sender, unbounded};
use nix::time::{ClockId, clock_gettime};
use procfs::process::Process;

use super::action::{Action, Exit};
use super::generator::{Generator, Progress};
use super::link::{Link, News};
use super::protocol::{Received, Usage};
use super::session::Session;
use crate::interrupt::Interrupt;
use crate::output::note;

/// Longest time between two looks at what is due, and at signals.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Shortest time over which the CPU usage is taken.
const USAGE_OVER: Duration = Duration::from_secs(1);

/// Settings of a worker.
#[derive(Debug)]
pub struct Worker {
    /// Address of the master, `HOST:PORT`.
    pub master: String,
    /// Time for which a first master is awaited.
    pub wait: Duration,
    /// True if the worker awaits the next master when one ends.
    pub stays: bool,
    /// Threads of the generator.
    pub threads: usize,
}

enum Event {
    Link(News),
    Generator(Progress),
}

/// Works until the master, a signal, or a failure ends it.
///
/// # Errors
/// When a thread can't be created.
pub fn work(worker: &Worker, interrupt: &Interrupt) -> Result<Exit> {
    let identity = identity();
    let (sender, events) = unbounded();
    let link = Link::start(&worker.master, &identity, sender.clone(), Event::Link)
        .context("cannot start a thread for the master")?;
    let mut desk = Desk { identity, link, generator: None, threads: worker.threads, sender };
    let mut session =
        Session::new(worker.master.clone(), worker.wait, worker.stays, Instant::now());
    let mut meter = Meter::new(worker.threads);
    let mut was_interrupted = false;
    loop {
        take(&events, &mut session, &desk.identity);
        if interrupt.happened() && !std::mem::replace(&mut was_interrupted, true) {
            session.interrupt(Instant::now());
        }
        session.tick(meter.usage(), Instant::now());
        for action in session.actions() {
            if let Some(exit) = desk.act(action)? {
                return Ok(exit);
            }
        }
    }
}

/// Gives the session the next event, if one comes soon.
fn take(events: &Receiver<Event>, session: &mut Session, identity: &str) {
    let Ok(event) = events.recv_timeout(LOOK_EVERY) else { return };
    let now = Instant::now();
    match event {
        Event::Link(News::Connected) => session.connected(now),
        Event::Link(News::Disconnected(reason)) => session.disconnected(reason),
        Event::Link(News::Received(bytes)) => {
            session.received(Received::read(&bytes, identity), now);
        }
        Event::Generator(Progress::Interval(results)) => session.results(*results, now),
        Event::Generator(Progress::Ended(summary)) => session.ended(summary, now),
    }
}

/// The two ends between which a session mediates.
struct Desk {
    identity: String,
    link: Link,
    generator: Option<Generator>,
    threads: usize,
    sender: Sender<Event>,
}

impl Desk {
    /// Takes a step. Returns the end of the program, if it is that.
    fn act(&mut self, action: Action) -> Result<Option<Exit>> {
        match action {
            Action::Send(message) => self.link.send(message.write(&self.identity)),
            Action::Reconnect => self.link.reconnect(),
            Action::Start(order) => {
                note(&format!("c10k: {} connections to {}\n", order.connections, order.url));
                let (threads, sender) = (self.threads, self.sender.clone());
                let generator = Generator::start(order, threads, sender, Event::Generator);
                self.generator = Some(generator.context("cannot start the generator")?);
            }
            Action::Finish => {
                if let Some(generator) = &self.generator {
                    generator.finish();
                }
            }
            Action::Exit(exit) => return Ok(Some(exit)),
        }
        Ok(None)
    }
}

/// Returns a name of this worker that no other one has, and that shows its machine, as Locust's own
/// workers have.
fn identity() -> String {
    let system = rustix::system::uname();
    let host = system.nodename().to_string_lossy();
    // The time is for process ids that containers share.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{host}_{:x}_{:x}", process::id(), since.as_nanos())
}

/// Reader of the resources of this process.
struct Meter {
    threads: usize,
    since: Instant,
    used: Duration,
    usage: Usage,
}

impl Meter {
    fn new(threads: usize) -> Self {
        Self { threads, since: Instant::now(), used: cpu_time(), usage: Usage::default() }
    }

    fn usage(&mut self) -> Usage {
        let passed = self.since.elapsed();
        if passed >= USAGE_OVER {
            let used = cpu_time();
            let share = used.saturating_sub(self.used).as_secs_f64() / passed.as_secs_f64();
            let memory = Process::myself().and_then(|process| process.statm());
            let bytes = memory.map_or(0, |memory| memory.resident * procfs::page_size());
            self.usage = Usage {
                current_cpu_usage: 100.0 * share / self.threads as f64,
                current_memory_usage: bytes,
            };
            self.since = Instant::now();
            self.used = used;
        }
        self.usage
    }
}

fn cpu_time() -> Duration {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).map_or(Duration::ZERO, Into::into)
}
