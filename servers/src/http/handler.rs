//! Handlers of requests, run in place or as a [`Job`] on another thread.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::status::Status;
use crate::site::lesson::Lesson;
use crate::site::mix::{Drawn, Kind};
use crate::site::{Page, Route, Site};

/// Response of a handler, before it is written.
#[derive(Debug, Clone)]
pub enum Reply<'a> {
    /// A page from memory.
    Page(Cow<'a, Arc<Page>>),
    /// This many bytes of the pattern.
    Bytes(usize),
    /// Bytes of the pattern whose length is told in another way.
    Lesson(Lesson),
    /// The status as text.
    Status(Status),
    /// The status 200 as text, for a request for `/mixed`, and the kind of that request.
    Mixed(Kind),
}

/// Handler of a request, to be run with [`Job::run`] where it may block.
#[derive(Debug)]
pub struct Job {
    site: Arc<Site>,
    target: Vec<u8>,
    /// Kind and time that were drawn for the request, because they must be drawn only once.
    drawn: Option<Drawn>,
}

impl Job {
    pub(super) fn new(site: Arc<Site>, target: Vec<u8>, drawn: Option<Drawn>) -> Self {
        Self { site, target, drawn }
    }

    /// Runs the handler on the calling thread, which may take long.
    pub fn run(self) -> Reply<'static> {
        match run(self.drawn.map_or_else(|| self.site.find(&self.target), Route::Mixed)) {
            Reply::Page(page) => Reply::Page(Cow::Owned(page.into_owned())),
            Reply::Bytes(length) => Reply::Bytes(length),
            Reply::Lesson(lesson) => Reply::Lesson(lesson),
            Reply::Status(status) => Reply::Status(status),
            Reply::Mixed(kind) => Reply::Mixed(kind),
        }
    }
}

/// Runs the handler of `route` on the calling thread. A panic in it fails the request, not the
/// thread.
pub fn run(route: Route<'_>) -> Reply<'_> {
    // A handler has only its route, so that a panic can't leave anything half-done that other code
    // sees.
    catch_unwind(AssertUnwindSafe(|| handle(route)))
        .unwrap_or(Reply::Status(Status::InternalServerError))
}

fn handle(route: Route<'_>) -> Reply<'_> {
    #[cfg(feature = "handicap")]
    super::handicap::take();
    match route {
        Route::Page(page) => return Reply::Page(Cow::Borrowed(page)),
        Route::Bytes(length) => return Reply::Bytes(length),
        Route::Lesson(lesson) => return Reply::Lesson(lesson),
        Route::Spin(time) => spin(time),
        // On a thread for handlers, the wait keeps that thread; elsewhere `respond` makes the
        // connection wait in the model's own way.
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
