//! Handlers: what a request leads to, run in place or as a [`Job`] on another thread.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::response::Status;
use crate::mix::{Drawn, Kind};
use crate::site::{Page, Route, Site};

/// What a handler has to say.
#[derive(Debug, Clone)]
pub enum Reply<'a> {
    /// A page from memory.
    Page(Cow<'a, Arc<Page>>),
    /// That many octets of the pattern.
    Bytes(usize),
    /// The status in words.
    Status(Status),
    /// The same of a request of `/mixed`, and what that was.
    Mixed(Kind),
}

/// A request's handler that is to be run where it may block, by [`Job::run`].
#[derive(Debug)]
pub struct Job {
    site: Arc<Site>,
    target: Vec<u8>,
    /// What was drawn for it already, which is drawn once.
    drawn: Option<Drawn>,
}

impl Job {
    pub(super) fn new(site: Arc<Site>, target: Vec<u8>, drawn: Option<Drawn>) -> Self {
        Self { site, target, drawn }
    }

    /// Runs it on the calling thread, for as long as it takes.
    pub fn run(self) -> Reply<'static> {
        match run(self.drawn.map_or_else(|| self.site.find(&self.target), Route::Mixed)) {
            Reply::Page(page) => Reply::Page(Cow::Owned(page.into_owned())),
            Reply::Bytes(length) => Reply::Bytes(length),
            Reply::Status(status) => Reply::Status(status),
            Reply::Mixed(kind) => Reply::Mixed(kind),
        }
    }
}

/// Runs the handler behind `route` on the calling thread. A panic in it is its request's, not the thread's.
pub fn run(route: Route<'_>) -> Reply<'_> {
    // Nothing that a handler could leave half-done is seen by anybody: it has only its route.
    catch_unwind(AssertUnwindSafe(|| handle(route))).unwrap_or(Reply::Status(Status::InternalServerError))
}

fn handle(route: Route<'_>) -> Reply<'_> {
    #[cfg(feature = "handicap")]
    super::handicap::take();
    match route {
        Route::Page(page) => return Reply::Page(Cow::Borrowed(page)),
        Route::Bytes(length) => return Reply::Bytes(length),
        Route::Spin(time) => spin(time),
        // Who waits on a thread for handlers keeps that; elsewhere `respond` has it wait as the model does.
        Route::Sleep(time) | Route::Wait(time) => thread::sleep(time),
        Route::Mixed(Drawn { kind, time }) => {
            match kind {
                Kind::Cheap => {}
                Kind::Wait => thread::sleep(time),
                Kind::Spin => spin(time),
            }
            return Reply::Mixed(kind);
        }
        Route::Panic => panic!("a client asked for a panic"),
        Route::Redirect => return Reply::Status(Status::Found),
        Route::NotFound => return Reply::Status(Status::NotFound),
    }
    Reply::Status(Status::Ok)
}

/// Burns CPU time.
fn spin(time: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < time {
        std::hint::spin_loop();
    }
}
