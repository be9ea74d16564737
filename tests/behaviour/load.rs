//! Clients that send requests continuously while a test does something else to the server.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use crate::client::{CLOSE, get};
use crate::server::Server;

/// Pause between two requests of a client, so that the server is busy, but not the machine.
const PAUSE: Duration = Duration::from_millis(1);

/// Outcomes of the requests so far.
#[derive(Debug, Default)]
pub struct Tally {
    /// Requests that were answered with status 200.
    served: AtomicUsize,
    /// Requests that were answered with status 503.
    told: AtomicUsize,
    /// Requests without a complete response.
    lost: AtomicUsize,
    /// Requests that were answered with 503 or not answered, on connections that were made after
    /// [`Load::begin_anew`].
    failed_anew: AtomicUsize,
}

impl Tally {
    pub fn served(&self) -> usize {
        self.served.load(Relaxed)
    }

    /// Returns the number of requests that were not served: answered with 503, or not answered.
    pub fn failed(&self) -> usize {
        self.told.load(Relaxed) + self.lost.load(Relaxed)
    }

    /// Returns the number of failed requests on connections that were made after
    /// [`Load::begin_anew`].
    pub fn failed_anew(&self) -> usize {
        self.failed_anew.load(Relaxed)
    }
}

/// Clients of two kinds: persistent ones keep their connection for as long as it lives, short ones
/// make a connection for each request.
#[derive(Debug, Default)]
pub struct Load {
    pub persistent: Tally,
    pub short: Tally,
    is_new: AtomicBool,
    is_over: AtomicBool,
}

impl Load {
    /// Begins to count failures on new connections separately, in `failed_anew`. Clients of older
    /// connections may still see the effects of earlier events.
    pub fn begin_anew(&self) {
        self.is_new.store(true, Relaxed);
    }

    /// Runs `persistent` clients with persistent connections and `short` clients with short ones
    /// while `act` runs.
    pub fn during(server: &Server, persistent: usize, short: usize, act: impl FnOnce(&Self)) {
        let load = Self::default();
        thread::scope(|scope| {
            for _ in 0..persistent {
                scope.spawn(|| load.ask_on(server, &load.persistent, &get("/")));
            }
            for _ in 0..short {
                scope.spawn(|| load.ask_on(server, &load.short, CLOSE));
            }
            // The clients end in any case, even if `act` panics.
            let _end = Ending(&load.is_over);
            act(&load);
        });
    }

    /// Sends requests until the load is over, on a new connection whenever the previous one has
    /// ended.
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
