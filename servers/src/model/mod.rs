//! The roster: one file per model, one line each here.

mod busy_poll;
mod epoll;
mod fork;
mod thread_pool;

use std::fmt;

use crate::{ConcurrencyModel, Options};

/// All models, in the order in which they are shown: from blocking to readiness.
pub const ROSTER: &[Entry] = &[fork::ENTRY, thread_pool::ENTRY, busy_poll::ENTRY, epoll::ENTRY];

/// A model of the roster.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is, in a sentence.
    pub about: &'static str,
    /// What it declares about itself, for grouping.
    pub traits: Traits,
    /// Makes it.
    pub build: fn(&Options) -> Box<dyn ConcurrencyModel>,
}

/// What a model declares about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traits {
    /// How it learns that a connection has something for it.
    pub waits: Waits,
    /// Who runs a connection.
    pub runs: Runs,
    /// How connections come in.
    pub accepts: Accepts,
}

/// How a model learns that a connection has something for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waits {
    /// It blocks in the call.
    Blocking,
    /// It asks over and over.
    Spin,
    /// The kernel keeps the list and says who is ready.
    Epoll,
}

/// Who runs a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runs {
    /// A process of its own.
    Process,
    /// A thread of a fixed set, for as long as the connection lives.
    Pool,
    /// One thread for all of them.
    EventLoop,
}

/// How connections come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepts {
    /// One thread accepts for all.
    OneAcceptor,
}

impl fmt::Display for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Blocking => "blocking",
            Self::Spin => "spin",
            Self::Epoll => "epoll",
        })
    }
}

impl fmt::Display for Runs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Process => "process",
            Self::Pool => "pool",
            Self::EventLoop => "event loop",
        })
    }
}

impl fmt::Display for Accepts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OneAcceptor => "one acceptor",
        })
    }
}

impl Traits {
    /// The traits by name, in display order.
    pub fn named(&self) -> [(&'static str, String); 3] {
        [
            ("waits", self.waits.to_string()),
            ("runs", self.runs.to_string()),
            ("accepts", self.accepts.to_string()),
        ]
    }
}

/// The model of that name.
pub fn find(name: &str) -> Option<&'static Entry> {
    ROSTER.iter().find(|entry| entry.name == name)
}
