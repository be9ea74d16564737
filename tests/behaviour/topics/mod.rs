//! Behaviours that are tested on every model, by topic: one file each, one line each here.

mod answers;
mod bodies;
mod crowds;
mod departures;
mod folder;
mod handlers;
mod hostility;
mod last_requests;
mod lengths;
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

/// All behaviours, in parts that are started one after the other.
///
/// A crowd keeps the processors busy for seconds, during which another test's server would seem to
/// hang. It also makes the tables of /proc long, which other tests read again and again. So crowds
/// come last.
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
        lengths::BEHAVIOURS,
        persistence::BEHAVIOURS,
        pieces::BEHAVIOURS,
        bodies::BEHAVIOURS,
        folder::BEHAVIOURS,
        hostility::BEHAVIOURS,
    ],
    &[crowds::BEHAVIOURS],
];

/// A behaviour of every model, and the test that fails if a model does not have it.
#[derive(Debug, Clone, Copy)]
pub struct Behaviour {
    pub name: &'static str,
    pub asked_of: AskedOf,
    pub show: fn(&Model) -> Outcome,
}

/// Models that have to show a behaviour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AskedOf {
    /// All models: the behaviour depends on the model, or is a part of HTTP that every server must
    /// have.
    EveryModel,
    /// All models that serve several connections at once, since the behaviour is about those.
    EveryModelOfSeveral,
    /// One model of each family, unless all are requested: the behaviour depends only on the HTTP
    /// core, which does no I/O and is the same in all models.
    OneOfEachFamily,
}

/// Result of a test that has not failed.
#[derive(Debug)]
pub enum Outcome {
    Shown,
    /// This machine can't show the behaviour; the text says why.
    Skipped(String),
}

/// Result of a test that returns nothing, as most do: such a test runs on every machine.
impl From<()> for Outcome {
    fn from((): ()) -> Self {
        Self::Shown
    }
}

/// Lists the behaviours of a topic by the names of their functions. Names before the first `;`
/// are tested on every model, names after `; at_once:` on models that serve several connections at
/// once, names after `; by_family:` on one model of each family.
macro_rules! behaviours {
    (
        $($name:ident),* $(,)?
        $(; at_once: $($several:ident),+ $(,)?)?
        $(; by_family: $($http:ident),+ $(,)?)?
    ) => {
        &[
            $($crate::topics::behaviour!($name, EveryModel),)*
            $($($crate::topics::behaviour!($several, EveryModelOfSeveral),)+)?
            $($($crate::topics::behaviour!($http, OneOfEachFamily),)+)?
        ]
    };
}
macro_rules! behaviour {
    ($name:ident, $asked_of:ident) => {
        $crate::topics::Behaviour {
            name: stringify!($name),
            asked_of: $crate::topics::AskedOf::$asked_of,
            show: |model| $crate::topics::Outcome::from($name(model)),
        }
    };
}
use behaviour;
use behaviours;
