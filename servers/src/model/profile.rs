//! Profile of a model: its declarations about itself, so that tests, reports and people can group
//! models without knowing them.
//!
//! Tests expect of a model what its profile declares. Most of what they conclude from it is in
//! `tests/support/model.rs`, the rest in the tests themselves. A value that no model had before may
//! need a change of both, and so may a new combination of values.

use std::fmt;

use crate::http::HandlerPlacement;

/// Declarations of a model about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    /// Mechanism by which the model learns that a connection is ready.
    pub readiness: Readiness,
    /// Thread, process or task that runs a connection.
    pub execution: Execution,
    /// Way in which connections are accepted.
    pub accept_strategy: AcceptStrategy,
    /// Limit of the connections that the model serves at once.
    pub connection_limit: ConnectionLimit,
    /// Place where handlers run.
    pub handlers: HandlerPlacement,
}

/// Builds the profile of an entry from a row of values.
pub(super) const fn profile(
    readiness: Readiness,
    execution: Execution,
    accept_strategy: AcceptStrategy,
    connection_limit: ConnectionLimit,
    handlers: HandlerPlacement,
) -> Profile {
    Profile { readiness, execution, accept_strategy, connection_limit, handlers }
}

/// Defines an enum whose variants have texts for people and reports.
macro_rules! named {
    ($(#[$about:meta])* $name:ident { $($(#[$variant_about:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_about])* $variant,)+ }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $text,)+ })
            }
        }
    };
}

named! {
    /// Mechanism by which a model learns that a connection is ready.
    Readiness {
        /// Each call blocks until it is done.
        Blocking = "blocking",
        /// The model tries every socket over and over.
        Spin = "spin",
        /// The model gives the kernel a set of sockets with every wait.
        Select = "select",
        /// The model gives the kernel a list of sockets with every wait.
        Poll = "poll",
        /// The kernel keeps the list of sockets and reports those that are ready.
        Epoll = "epoll",
        /// The kernel does the I/O itself and reports the results.
        IoUring = "io_uring",
    }
}

named! {
    /// Thread, process or task that runs a connection.
    Execution {
        /// A process of its own.
        Process = "process",
        /// A process of a fixed set, for as long as the connection lives.
        ProcessPool = "process pool",
        /// A thread: its own, or the only one.
        Thread = "thread",
        /// A thread of a fixed set, for as long as the connection lives.
        Pool = "thread pool",
        /// One thread for all connections.
        EventLoop = "event loop",
        /// One of a few threads, each for many connections.
        EventLoops = "event loops",
        /// A task of a runtime.
        AsyncTasks = "async tasks",
        /// A thread that the program schedules, not the kernel.
        GreenThreads = "green threads",
    }
}

named! {
    /// Way in which connections are accepted.
    AcceptStrategy {
        /// One thread accepts for all.
        OneAcceptor = "one acceptor",
        /// All threads or processes accept from the same socket.
        SharedListener = "shared listener",
        /// Each thread has a listener of its own on the same address.
        Shards = "SO_REUSEPORT shards",
    }
}

named! {
    /// Limit of the connections that a model serves at once. Further ones wait to be accepted.
    ConnectionLimit {
        /// The model serves one connection at a time.
        One = "one",
        /// Each worker serves one connection at a time.
        Workers = "workers",
        /// `select` takes no descriptors above 1023.
        SelectableFiles = "FD_SETSIZE",
        /// Only the limit of open files.
        OpenFiles = "open files",
    }
}

impl Profile {
    /// Returns true if handlers, or those that block, run on threads of their own rather than where
    /// their connections do.
    pub fn has_handler_threads(&self) -> bool {
        self.handlers != HandlerPlacement::InPlace
    }

    /// Returns the declarations with the names that they have in records and in the output of
    /// `c10k models`, in display order.
    pub fn named(&self) -> [(&'static str, String); 5] {
        [
            ("waits", self.readiness.to_string()),
            ("runs", self.execution.to_string()),
            ("accepts", self.accept_strategy.to_string()),
            ("at_once", self.connection_limit.to_string()),
            ("handlers", self.handlers.to_string()),
        ]
    }
}
