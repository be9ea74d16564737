//! Clients that go on asking while something else happens to a server.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use crate::client::{CLOSE, get};
use crate::server::Server;

/// Between two requests of a client: the server is to be busy, not the machine.
const PAUSE: Duration = Duration::from_millis(1);

/// What became of the requests so far.
#[derive(Debug, Default)]
pub struct Tally {
    /// Answered as they should be.
    served: AtomicUsize,
    /// Answered that there is no room.
    told: AtomicUsize,
    /// Not answered, or not to the end.
    lost: AtomicUsize,
    /// Of those two: on connections that were made when `Load::is_new` was set.
    failed_anew: AtomicUsize,
}

impl Tally {
    pub fn served(&self) -> usize {
        self.served.load(Relaxed)
    }

    /// Requests that were not served, whether their clients were told so or not.
    pub fn failed(&self) -> usize {
        self.told.load(Relaxed) + self.lost.load(Relaxed)
    }

    /// Those of them on connections that were made since [`Load::begin_anew`].
    pub fn failed_anew(&self) -> usize {
        self.failed_anew.load(Relaxed)
    }
}

/// The two kinds of clients: those that keep their connection for as long as it lives, and those with a connection for each
/// request.
#[derive(Debug, Default)]
pub struct Load {
    pub persistent: Tally,
    pub short: Tally,
    is_new: AtomicBool,
    is_over: AtomicBool,
}

impl Load {
    /// From now on connections are told from those that there were before, whose clients may yet have to hear what became of
    /// them.
    pub fn begin_anew(&self) {
        self.is_new.store(true, Relaxed);
    }

    /// Runs so many clients of each kind while `act` does something.
    pub fn during(server: &Server, persistent: usize, short: usize, act: impl FnOnce(&Self)) {
        let load = Self::default();
        thread::scope(|scope| {
            for _ in 0..persistent {
                scope.spawn(|| load.ask_on(server, &load.persistent, &get("/")));
            }
            for _ in 0..short {
                scope.spawn(|| load.ask_on(server, &load.short, CLOSE));
            }
            // The clients end in any case, also if something is found to be wrong.
            let _end = Ending(&load.is_over);
            act(&load);
        });
    }

    /// Asks until it is over, on a new connection whenever the one before has ended.
    fn ask_on(&self, server: &Server, tally: &Tally, request: &str) {
        while !self.is_over.load(Relaxed) {
            let is_new = self.is_new.load(Relaxed);
            let mut client = server.connect();
            loop {
                let answer = if client.try_send(request) { client.try_answer().ok() } else { None };
                let kind = match answer.as_ref().map(|answer| answer.status) {
                    Some(200) => &tally.served,
                    Some(503) => &tally.told,
                    Some(status) => panic!("nobody asked for {status}"),
                    None => &tally.lost,
                };
                kind.fetch_add(1, Relaxed);
                let has_failed = answer.as_ref().is_none_or(|answer| answer.status != 200);
                tally.failed_anew.fetch_add(usize::from(has_failed && is_new), Relaxed);
                thread::sleep(PAUSE);
                if answer.is_none_or(|answer| answer.closes()) || self.is_over.load(Relaxed) {
                    break;
                }
            }
        }
    }
}

struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}
