//! Roster of the models: each model has a file of its own and an entry here.
//!
//! The profile of a model is declared here rather than in its file, so that it is known even if a
//! build leaves out the file.

#![allow(
    clippy::needless_pass_by_value,
    reason = "all models have the signature of `Serve`; some take what others only borrow"
)]

mod busy_poll;
#[cfg(feature = "compio")]
mod compio;
#[cfg(feature = "compio")]
mod compio_blocking;
mod epoll;
mod epoll_edge;
mod epoll_handoff;
mod epoll_level;
mod epoll_sharded;
mod epoll_workers;
mod fork;
mod io_uring;
mod io_uring_sharded;
mod iterative;
#[cfg(feature = "may")]
mod may;
mod poll;
mod prefork;
mod prethread;
mod profile;
mod select;
#[cfg(feature = "smol")]
mod smol;
#[cfg(feature = "smol")]
mod smol_blocking;
mod thread;
mod thread_pool;
#[cfg(feature = "tokio")]
mod tokio;
#[cfg(feature = "tokio")]
mod tokio_blocking;
#[cfg(feature = "tokio")]
mod tokio_sharded;
mod unavailable;

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;

use rustix::process::{Resource, geteuid, getrlimit};

pub use profile::{AcceptStrategy, ConnectionLimit, Execution, Profile, Readiness};
pub use unavailable::Unavailable;

use profile::profile;

use crate::completion::probe::probe;
use crate::http::HandlerPlacement;
use crate::net::listener::Listener;
use crate::net::shutdown::Shutdown;
use crate::options::{Options, event_loops};
use crate::site::Site;
use crate::thread_limit;

/// Returns the function of a model, or the feature without which it is not part of this build.
macro_rules! built {
    ($module:ident) => {
        Ok($module::serve)
    };
    ($module:ident, feature $feature:tt) => {{
        #[cfg(feature = $feature)]
        let serve: Result<Serve, &str> = Ok($module::serve);
        #[cfg(not(feature = $feature))]
        let serve: Result<Serve, &str> = Err($feature);
        serve
    }};
}

/// All models, in the order in which they are shown: from blocking to completion.
pub const ROSTER: &[Entry] = &[
    // Blocking.
    Entry {
        name: "iterative",
        about: "one connection after the other, on one thread",
        profile: profile(
            Readiness::Blocking,
            Execution::Thread,
            AcceptStrategy::OneAcceptor,
            ConnectionLimit::One,
            HandlerPlacement::InPlace,
        ),
        serve: built!(iterative),
        probe: None,
    },
    Entry {
        name: "fork",
        about: "a process per connection",
        profile: profile(
            Readiness::Blocking,
            Execution::Process,
            AcceptStrategy::OneAcceptor,
            ConnectionLimit::OpenFiles,
            HandlerPlacement::InPlace,
        ),
        serve: built!(fork),
        probe: None,
    },
    Entry {
        name: "prefork",
        about: "a fixed set of processes that all accept",
        profile: profile(
            Readiness::Blocking,
            Execution::ProcessPool,
            AcceptStrategy::SharedListener,
            ConnectionLimit::Workers,
            HandlerPlacement::InPlace,
        ),
        serve: built!(prefork),
        probe: None,
    },
    Entry {
        name: "thread",
        about: "a thread per connection",
        profile: profile(
            Readiness::Blocking,
            Execution::Thread,
            AcceptStrategy::OneAcceptor,
            ConnectionLimit::OpenFiles,
            HandlerPlacement::InPlace,
        ),
        serve: built!(thread),
        probe: None,
    },
    Entry {
        name: "thread-pool",
        about: "a fixed set of threads fed by one acceptor through a bounded queue",
        profile: profile(
            Readiness::Blocking,
            Execution::Pool,
            AcceptStrategy::OneAcceptor,
            ConnectionLimit::Workers,
            HandlerPlacement::InPlace,
        ),
        serve: built!(thread_pool),
        probe: None,
    },
    Entry {
        name: "prethread",
        about: "a fixed set of threads that all accept",
        profile: profile(
            Readiness::Blocking,
            Execution::Pool,
            AcceptStrategy::SharedListener,
            ConnectionLimit::Workers,
            HandlerPlacement::InPlace,
        ),
        serve: built!(prethread),
        probe: None,
    },
    // Polled.
    Entry {
        name: "busy-poll",
        about: "one thread that tries every non-blocking socket in turn, never sleeping",
        profile: profile(
            Readiness::Spin,
            Execution::EventLoop,
            AcceptStrategy::OneAcceptor,
            ConnectionLimit::OpenFiles,
            HandlerPlacement::InPlace,
        ),
        serve: built!(busy_poll),
        probe: None,
    },
    Entry {
        name: "select",
        about: "one thread that gives the kernel a set of sockets with every wait",
        profile: profile(
            Readiness::Select,
            Execution::EventLoop,
            AcceptStrategy::OneAcceptor,
            ConnectionLimit::SelectableFiles,
            HandlerPlacement::InPlace,
        ),
        serve: built!(select),
        probe: None,
    },
    Entry {
        name: "poll",
        about: "one thread that gives the kernel a list of sockets with every wait",
        profile: profile(
            Readiness::Poll,
            Execution::EventLoop,
            AcceptStrategy::OneAcceptor,
            ConnectionLimit::OpenFiles,
            HandlerPlacement::InPlace,
        ),
        serve: built!(poll),
        probe: None,
    },
    // Readiness, one loop.
    Entry {
        name: "epoll",
        about: "one thread with readiness notification through the `polling` crate",
        profile: profile(
            Readiness::Epoll,
            Execution::EventLoop,
            AcceptStrategy::OneAcceptor,
            ConnectionLimit::OpenFiles,
            HandlerPlacement::InPlace,
        ),
        serve: built!(epoll),
        probe: None,
    },
    Entry {
        name: "epoll-level",
        about: "one thread with epoll by hand, level-triggered",
        profile: profile(
            Readiness::Epoll,
            Execution::EventLoop,
            AcceptStrategy::OneAcceptor,
            ConnectionLimit::OpenFiles,
            HandlerPlacement::InPlace,
        ),
        serve: built!(epoll_level),
        probe: None,
    },
    Entry {
        name: "epoll-edge",
        about: "one thread with epoll by hand, edge-triggered",
        profile: profile(
            Readiness::Epoll,
            Execution::EventLoop,
            AcceptStrategy::OneAcceptor,
            ConnectionLimit::OpenFiles,
            HandlerPlacement::InPlace,
        ),
        serve: built!(epoll_edge),
        probe: None,
    },
    // Readiness, many loops.
    Entry {
        name: "epoll-sharded",
        about: "an event loop per processor, each with a listener of its own",
        profile: profile(
            Readiness::Epoll,
            Execution::EventLoops,
            AcceptStrategy::Shards,
            ConnectionLimit::OpenFiles,
            HandlerPlacement::InPlace,
        ),
        serve: built!(epoll_sharded),
        probe: None,
    },
    Entry {
        name: "epoll-handoff",
        about: "an event loop per processor, fed by one acceptor",
        profile: profile(
            Readiness::Epoll,
            Execution::EventLoops,
            AcceptStrategy::OneAcceptor,
            ConnectionLimit::OpenFiles,
            HandlerPlacement::InPlace,
        ),
        serve: built!(epoll_handoff),
        probe: None,
    },
    Entry {
        name: "epoll-workers",
        about: "one event loop for input and output, a pool of threads for handlers",
        profile: profile(
            Readiness::Epoll,
            Execution::EventLoop,
            AcceptStrategy::OneAcceptor,
            ConnectionLimit::OpenFiles,
            HandlerPlacement::OffloadAll,
        ),
        serve: built!(epoll_workers),
        probe: None,
    },
    // Completion.
    Entry {
        name: "io-uring",
        about: "one thread that leaves accepting, receiving and sending to the kernel",
        profile: profile(
            Readiness::IoUring,
            Execution::EventLoop,
            AcceptStrategy::OneAcceptor,
            ConnectionLimit::OpenFiles,
            HandlerPlacement::InPlace,
        ),
        serve: built!(io_uring),
        probe: PROBE_IO_URING,
    },
    Entry {
        name: "io-uring-sharded",
        about: "a thread per processor with a ring and a listener of its own",
        profile: profile(
            Readiness::IoUring,
            Execution::EventLoops,
            AcceptStrategy::Shards,
            ConnectionLimit::OpenFiles,
            HandlerPlacement::InPlace,
        ),
        serve: built!(io_uring_sharded),
        probe: PROBE_IO_URING,
    },
    // Async runtimes.
    Entry {
        name: "tokio",
        about: "a task per connection, on a few threads that take work from each other",
        profile: profile(
            Readiness::Epoll,
            Execution::AsyncTasks,
            AcceptStrategy::OneAcceptor,
            ConnectionLimit::OpenFiles,
            HandlerPlacement::InPlace,
        ),
        serve: built!(tokio, feature "tokio"),
        probe: None,
    },
    Entry {
        name: "tokio-sharded",
        about: "a tokio runtime per processor, each with a listener of its own",
        profile: profile(
            Readiness::Epoll,
            Execution::AsyncTasks,
            AcceptStrategy::Shards,
            ConnectionLimit::OpenFiles,
            HandlerPlacement::InPlace,
        ),
        serve: built!(tokio_sharded, feature "tokio"),
        probe: None,
    },
    Entry {
        name: "tokio-blocking",
        about: "as tokio, and handlers that block run on threads for that",
        profile: profile(
            Readiness::Epoll,
            Execution::AsyncTasks,
            AcceptStrategy::OneAcceptor,
            ConnectionLimit::OpenFiles,
            HandlerPlacement::OffloadBlocking,
        ),
        serve: built!(tokio_blocking, feature "tokio"),
        probe: None,
    },
    Entry {
        name: "smol",
        about: "a task per connection, on a few threads that share one reactor",
        profile: profile(
            Readiness::Epoll,
            Execution::AsyncTasks,
            AcceptStrategy::OneAcceptor,
            ConnectionLimit::OpenFiles,
            HandlerPlacement::InPlace,
        ),
        serve: built!(smol, feature "smol"),
        probe: None,
    },
    Entry {
        name: "smol-blocking",
        about: "as smol, and handlers that block run on threads for that",
        profile: profile(
            Readiness::Epoll,
            Execution::AsyncTasks,
            AcceptStrategy::OneAcceptor,
            ConnectionLimit::OpenFiles,
            HandlerPlacement::OffloadBlocking,
        ),
        serve: built!(smol_blocking, feature "smol"),
        probe: None,
    },
    Entry {
        name: "compio",
        about: "a compio runtime with an io_uring per processor, each with a listener of its own",
        profile: profile(
            Readiness::IoUring,
            Execution::AsyncTasks,
            AcceptStrategy::Shards,
            ConnectionLimit::OpenFiles,
            HandlerPlacement::InPlace,
        ),
        serve: built!(compio, feature "compio"),
        probe: PROBE_COMPIO,
    },
    Entry {
        name: "compio-blocking",
        about: "as compio, and handlers that block run on threads for that",
        profile: profile(
            Readiness::IoUring,
            Execution::AsyncTasks,
            AcceptStrategy::Shards,
            ConnectionLimit::OpenFiles,
            HandlerPlacement::OffloadBlocking,
        ),
        serve: built!(compio_blocking, feature "compio"),
        probe: PROBE_COMPIO,
    },
    // Green threads.
    Entry {
        name: "may",
        about: "a green thread per connection, on a few threads of the kernel",
        profile: profile(
            Readiness::Epoll,
            Execution::GreenThreads,
            AcceptStrategy::OneAcceptor,
            ConnectionLimit::OpenFiles,
            HandlerPlacement::InPlace,
        ),
        serve: built!(may, feature "may"),
        probe: None,
    },
];

/// A concurrency model: serves a site on a listener until the shutdown is signalled, then lets
/// requests in flight finish and returns. Each model uses only the options that apply to it.
///
/// It fails when the server as a whole can't continue; an error on one connection ends only that
/// connection.
pub type Serve = fn(Options, Listener, Arc<Site>, Shutdown) -> io::Result<()>;

type Probe = fn() -> Result<(), Unavailable>;

const PROBE_IO_URING: Option<Probe> = Some(|| probe().map_err(Unavailable::NoIoUring));
#[cfg(feature = "compio")]
const PROBE_COMPIO: Option<Probe> = Some(|| compio::probe().map_err(Unavailable::NoBufferRings));
#[cfg(not(feature = "compio"))]
const PROBE_COMPIO: Option<Probe> = None;

/// Descriptors of an event loop: a listener, its spare descriptor, and a few for waiting and
/// wake-ups.
const DESCRIPTORS_PER_LOOP: usize = 6;

/// A model of the roster.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// Name on the command line.
    pub name: &'static str,
    /// Description in one sentence.
    pub about: &'static str,
    /// Declarations of the model about itself, for grouping.
    pub profile: Profile,
    /// Function of the model, or the feature without which it is not part of this build.
    serve: Result<Serve, &'static str>,
    /// Check that this machine has what the model needs, if there is something to check; its error
    /// says what is missing.
    probe: Option<Probe>,
}

impl Entry {
    /// Checks that the model can run here with these options, and returns its function.
    ///
    /// # Errors
    /// The reason why the model can't run here: left out of this build, or not with these options,
    /// or not with the kernel or the limits of this system.
    pub fn check(&self, options: &Options) -> Result<Serve, Unavailable> {
        let serve = self.serve.map_err(|feature| Unavailable::LeftOut { feature })?;
        self.check_workers(options)?;
        self.check_handler_threads(options)?;
        self.check_threads()?;
        self.probe.map_or(Ok(()), |probe| probe())?;
        Ok(serve)
    }

    /// Checks that threads can be started, if the model needs some: otherwise the server would fail
    /// after it has printed "listening on". Models with processes, and those with one loop that
    /// runs its handlers, need none.
    fn check_threads(&self) -> Result<(), Unavailable> {
        let is_one_loop =
            self.profile.execution == Execution::EventLoop && !self.profile.has_handler_threads();
        if is_one_loop
            || matches!(self.profile.execution, Execution::Process | Execution::ProcessPool)
        {
            return Ok(());
        }
        thread_limit::why_no_threads().map_or(Ok(()), |reason| Err(Unavailable::NoThreads(reason)))
    }

    /// Returns the number of descriptors that the model needs beside those of its connections and
    /// those that every server has.
    pub fn own_descriptors(&self, workers: Option<NonZeroUsize>) -> usize {
        match self.profile.execution {
            Execution::EventLoops | Execution::AsyncTasks | Execution::GreenThreads => {
                event_loops(workers).saturating_mul(DESCRIPTORS_PER_LOOP)
            }
            _ => 0,
        }
    }

    /// Returns the most connections for which the system allows a thread or process each, if the
    /// model needs one per connection.
    pub fn most_connections(&self) -> usize {
        let most = match (self.profile.execution, self.profile.connection_limit) {
            (Execution::Thread, ConnectionLimit::OpenFiles) => thread_limit::most_threads(),
            (Execution::Process, _) => thread_limit::most_processes(),
            _ => None,
        };
        most.map_or(usize::MAX, |(most, _)| most)
    }

    /// Checks that a pool whose workers serve connections is within the limits of the system; a
    /// larger one can't be started, even if nothing else runs.
    fn check_workers(&self, options: &Options) -> Result<(), Unavailable> {
        let most = match self.profile.execution {
            Execution::ProcessPool => thread_limit::most_processes(),
            Execution::Pool => thread_limit::most_threads(),
            _ => return Ok(()),
        };
        let workers = options.blocking_workers();
        if let Some((most, setting)) = most
            && workers > most
        {
            return Err(Unavailable::MoreWorkersThanTheSystemAllows { workers, most, setting });
        }
        match getrlimit(Resource::Nproc).current {
            // The limit does not apply to the superuser.
            Some(limit) if limit < workers as u64 && !geteuid().is_root() => {
                Err(Unavailable::MoreWorkersThanTheUserMayHave { workers, limit })
            }
            _ => Ok(()),
        }
    }

    /// Checks that the threads for handlers, if the model has some, are within the limits of the
    /// system and enough for its event loops.
    fn check_handler_threads(&self, options: &Options) -> Result<(), Unavailable> {
        if !self.profile.has_handler_threads() {
            return Ok(());
        }
        let threads = options.handler_pool();
        if let Some((most, setting)) = thread_limit::most_threads()
            && threads > most
        {
            return Err(Unavailable::MoreHandlerThreadsThanTheSystemAllows {
                threads,
                most,
                setting,
            });
        }
        // Loops with listeners of their own share nothing, so each has a pool of its own. Without a
        // request for loops, there are no more of them than threads.
        let loops = options.event_loops();
        let has_pool_per_loop = self.profile.accept_strategy == AcceptStrategy::Shards;
        if has_pool_per_loop && options.workers.is_some() && threads < loops {
            return Err(Unavailable::FewerHandlerThreadsThanLoops { threads, loops });
        }
        Ok(())
    }
}

/// Returns the model of that name.
pub fn find(name: &str) -> Option<&'static Entry> {
    ROSTER.iter().find(|entry| entry.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::http::Timeouts;

    #[test]
    fn every_model_has_a_name_of_its_own() {
        let names: HashSet<&str> = ROSTER.iter().map(|entry| entry.name).collect();
        assert_eq!(names.len(), ROSTER.len());
    }

    fn options(workers: usize, handler_threads: usize) -> Options {
        Options {
            workers: NonZeroUsize::new(workers),
            handler_threads: NonZeroUsize::new(handler_threads),
            max_connections: NonZeroUsize::MAX,
            timeouts: Timeouts::default(),
        }
    }

    #[test]
    fn the_descriptors_of_loops_follow_their_number_in_models_with_handler_threads_too() {
        let has_loops = |entry: &&Entry| entry.profile.execution == Execution::AsyncTasks;
        for entry in ROSTER.iter().filter(has_loops) {
            let three = entry.own_descriptors(NonZeroUsize::new(3));
            assert_eq!(three, 3 * DESCRIPTORS_PER_LOOP, "{}", entry.name);
        }
    }

    #[test]
    fn every_loop_with_a_pool_of_its_own_needs_a_thread_in_it() {
        for entry in ROSTER.iter().filter(|entry| entry.profile.has_handler_threads()) {
            let is_sharded = entry.profile.accept_strategy == AcceptStrategy::Shards;
            let refused = entry.check_handler_threads(&options(3, 2)).map_err(|it| it.to_string());
            assert_eq!(refused.is_err(), is_sharded, "{}: {refused:?}", entry.name);
            assert!(entry.check_handler_threads(&options(3, 3)).is_ok(), "{}", entry.name);
            assert!(entry.check_handler_threads(&options(0, 1)).is_ok(), "{}", entry.name);
        }
    }

    #[test]
    fn more_handler_threads_than_a_system_may_have_are_refused_where_there_are_some() {
        // A system may not tell its limits.
        let has_limit = thread_limit::most_threads().is_some();
        for entry in ROSTER {
            let refused = entry.check_handler_threads(&options(0, usize::MAX));
            let is_limited = has_limit && entry.profile.has_handler_threads();
            assert_eq!(refused.is_err(), is_limited, "{}", entry.name);
        }
    }
}
