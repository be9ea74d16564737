//! What is asked of every model, by subject: one file each, one line each here.

mod answers;
mod bodies;
mod crowds;
mod departures;
mod folder;
mod handlers;
mod hostility;
mod last_requests;
mod panics;
mod persistence;
mod pieces;
mod programs;
mod shortage;
mod shutdown;
mod slow_readers;
mod timeouts;

use crate::model::Model;

/// All behaviours, in parts that are begun one after the other.
///
/// A crowd keeps the processors busy for seconds, in which another test's server would seem to hang,
/// and makes the tables of /proc long that other tests read again and again. So crowds come last.
pub const PARTS: &[&[&[Behaviour]]] = &[
    &[
        shutdown::BEHAVIOURS,
        last_requests::BEHAVIOURS,
        timeouts::BEHAVIOURS,
        programs::BEHAVIOURS,
        shortage::BEHAVIOURS,
        slow_readers::BEHAVIOURS,
        handlers::BEHAVIOURS,
        departures::BEHAVIOURS,
        panics::BEHAVIOURS,
        answers::BEHAVIOURS,
        persistence::BEHAVIOURS,
        pieces::BEHAVIOURS,
        bodies::BEHAVIOURS,
        folder::BEHAVIOURS,
        hostility::BEHAVIOURS,
    ],
    &[crowds::BEHAVIOURS],
];

/// Something that every model does, and the test that shows it by not failing.
#[derive(Debug, Clone, Copy)]
pub struct Behaviour {
    pub name: &'static str,
    /// Whether it is about several connections that are served at once.
    pub needs_several: bool,
    pub show: fn(&Model) -> Outcome,
}

/// What came of a test that has not failed.
#[derive(Debug)]
pub enum Outcome {
    Shown,
    /// This machine can't show it, for that reason.
    Skipped(String),
}

/// Most tests can be run everywhere and have nothing to say.
impl From<()> for Outcome {
    fn from((): ()) -> Self {
        Self::Shown
    }
}

/// The behaviours of a subject: the functions of those names. Behind `; at_once:` are those of models that serve several
/// connections at once.
macro_rules! behaviours {
    ($($name:ident),* $(,)? $(; at_once: $($several:ident),+ $(,)?)?) => {
        &[
            $($crate::subjects::behaviour!($name, false),)*
            $($($crate::subjects::behaviour!($several, true),)+)?
        ]
    };
}
macro_rules! behaviour {
    ($name:ident, $needs_several:literal) => {
        $crate::subjects::Behaviour {
            name: stringify!($name),
            needs_several: $needs_several,
            show: |model| $crate::subjects::Outcome::from($name(model)),
        }
    };
}
use behaviour;
use behaviours;
