//! Traits that a model declares, so that tests, reports and people can group models without knowing
//! them.

use std::fmt;

/// Traits that a model declares about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traits {
    /// Mechanism by which the model learns that a connection is ready.
    pub waits: Waits,
    /// Thread, process or task that runs a connection.
    pub runs: Runs,
    /// Way in which connections are accepted.
    pub accepts: Accepts,
    /// Limit of the connections that the model serves at once.
    pub at_once: AtOnce,
    /// Place where a handler runs that blocks.
    pub handlers: Handlers,
}

/// Builds the traits of an entry from a row of values.
pub(super) const fn traits(
    waits: Waits,
    runs: Runs,
    accepts: Accepts,
    at_once: AtOnce,
    handlers: Handlers,
) -> Traits {
    Traits { waits, runs, accepts, at_once, handlers }
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
    Waits {
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
    Runs {
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
    Accepts {
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
    AtOnce {
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

named! {
    /// Place where a handler runs that blocks.
    Handlers {
        /// In the thread or process of its connection; other connections there wait.
        InPlace = "in place",
        /// On a separate thread for handlers.
        Offloaded = "offloaded",
    }
}

impl Traits {
    /// Returns the traits with their names, in display order.
    pub fn named(&self) -> [(&'static str, String); 5] {
        [
            ("waits", self.waits.to_string()),
            ("runs", self.runs.to_string()),
            ("accepts", self.accepts.to_string()),
            ("at_once", self.at_once.to_string()),
            ("handlers", self.handlers.to_string()),
        ]
    }
}
