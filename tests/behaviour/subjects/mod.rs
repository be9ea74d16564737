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
mod waits;

use crate::model::Model;

/// All behaviours, in parts that are begun one after the other.
///
/// A crowd keeps the processors busy for seconds, in which another test's server would seem to
/// hang, and makes the tables of /proc long that other tests read again and again. So crowds come last.
pub const PARTS: &[&[&[Behaviour]]] = &[
    &[
        shutdown::BEHAVIOURS,
        last_requests::BEHAVIOURS,
        timeouts::BEHAVIOURS,
        programs::BEHAVIOURS,
        shortage::BEHAVIOURS,
        slow_readers::BEHAVIOURS,
        handlers::BEHAVIOURS,
        waits::BEHAVIOURS,
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
    pub asked_of: AskedOf,
    pub show: fn(&Model) -> Outcome,
}

/// The models that have to show a behaviour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AskedOf {
    /// All: it depends on the model, or is the core of HTTP without which a model is no server.
    EveryModel,
    /// All that serve several connections at once, since it is about those.
    EveryModelOfSeveral,
    /// One of each family, unless all are asked for: the HTTP core decides it, a value without I/O
    /// that is the same in all of them.
    OneOfEachFamily,
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

/// The behaviours of a subject: the functions of those names, asked of every model. Behind
/// `; at_once:` are those of models that serve several connections at once, behind `; by_family:`
/// those that one model of each family is asked for.
macro_rules! behaviours {
    (
        $($name:ident),* $(,)?
        $(; at_once: $($several:ident),+ $(,)?)?
        $(; by_family: $($http:ident),+ $(,)?)?
    ) => {
        &[
            $($crate::subjects::behaviour!($name, EveryModel),)*
            $($($crate::subjects::behaviour!($several, EveryModelOfSeveral),)+)?
            $($($crate::subjects::behaviour!($http, OneOfEachFamily),)+)?
        ]
    };
}
macro_rules! behaviour {
    ($name:ident, $asked_of:ident) => {
        $crate::subjects::Behaviour {
            name: stringify!($name),
            asked_of: $crate::subjects::AskedOf::$asked_of,
            show: |model| $crate::subjects::Outcome::from($name(model)),
        }
    };
}
use behaviour;
use behaviours;
