//! What a model declares about itself, so that tests, reports and people can group models without knowing them.

use std::fmt;

/// What a model declares about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traits {
    /// How it learns that a connection has something for it.
    pub waits: Waits,
    /// Who runs a connection.
    pub runs: Runs,
    /// How connections come in.
    pub accepts: Accepts,
    /// What bounds the connections that it serves at once.
    pub at_once: AtOnce,
    /// Where a handler runs that blocks.
    pub handlers: Handlers,
}

/// The traits of an entry, in a row.
pub(super) const fn traits(
    waits: Waits,
    runs: Runs,
    accepts: Accepts,
    at_once: AtOnce,
    handlers: Handlers,
) -> Traits {
    Traits { waits, runs, accepts, at_once, handlers }
}

/// An enum of which each variant has a text for people and reports.
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
    /// How a model learns that a connection has something for it.
    Waits {
        /// It blocks in the call.
        Blocking = "blocking",
        /// It asks over and over.
        Spin = "spin",
        /// It gives the kernel a set of sockets with every wait.
        Select = "select",
        /// It gives the kernel a list of sockets with every wait.
        Poll = "poll",
        /// The kernel keeps the list and says who is ready.
        Epoll = "epoll",
        /// The kernel does what is to be done and says what came of it.
        IoUring = "io_uring",
    }
}

named! {
    /// Who runs a connection.
    Runs {
        /// A process of its own.
        Process = "process",
        /// A process of a fixed set, for as long as the connection lives.
        ProcessPool = "process pool",
        /// A thread: its own, or the only one.
        Thread = "thread",
        /// A thread of a fixed set, for as long as the connection lives.
        Pool = "thread pool",
        /// One thread for all of them.
        EventLoop = "event loop",
        /// One of a few threads, each for many of them.
        EventLoops = "event loops",
        /// A task of a runtime.
        AsyncTasks = "async tasks",
        /// A thread that the program schedules, not the kernel.
        GreenThreads = "green threads",
    }
}

named! {
    /// How connections come in.
    Accepts {
        /// One thread accepts for all.
        OneAcceptor = "one acceptor",
        /// All accept from the same socket.
        SharedListener = "shared listener",
        /// Each has a listener of its own on the same address.
        Shards = "SO_REUSEPORT shards",
    }
}

named! {
    /// What bounds the connections that a model serves at once. Further ones wait to be accepted.
    AtOnce {
        /// It has one at a time.
        One = "one",
        /// Each worker has one at a time.
        Workers = "workers",
        /// `select` takes no descriptors above 1023.
        SelectableFiles = "FD_SETSIZE",
        /// Nothing but the limit of open files.
        OpenFiles = "open files",
    }
}

named! {
    /// Where a handler runs that blocks.
    Handlers {
        /// Where its connection does: whoever else is there waits.
        InPlace = "in place",
        /// On a thread that is there for that.
        Offloaded = "offloaded",
    }
}

impl Traits {
    /// The traits by name, in display order.
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
