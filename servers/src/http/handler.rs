//! Handlers: what a request leads to, run in place or as a [`Job`] on another thread.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use super::response::Status;
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
}

/// A request's handler that is to be run where it may block, by [`Job::run`].
#[derive(Debug)]
pub struct Job {
    site: Arc<Site>,
    target: Vec<u8>,
}

impl Job {
    pub(super) fn new(site: Arc<Site>, target: Vec<u8>) -> Self {
        Self { site, target }
    }

    /// Runs it on the calling thread, for as long as it takes.
    pub fn run(self) -> Reply<'static> {
        match run(self.site.find(&self.target)) {
            Reply::Page(page) => Reply::Page(Cow::Owned(page.into_owned())),
            Reply::Bytes(length) => Reply::Bytes(length),
            Reply::Status(status) => Reply::Status(status),
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
        Route::Page(page) => Reply::Page(Cow::Borrowed(page)),
        Route::Bytes(length) => Reply::Bytes(length),
        Route::Spin(time) => {
            let begin = Instant::now();
            while begin.elapsed() < time {
                std::hint::spin_loop();
            }
            Reply::Status(Status::Ok)
        }
        Route::Sleep(time) => {
            std::thread::sleep(time);
            Reply::Status(Status::Ok)
        }
        Route::Panic => panic!("a client asked for a panic"),
        Route::Redirect => Reply::Status(Status::Found),
        Route::NotFound => Reply::Status(Status::NotFound),
    }
}
