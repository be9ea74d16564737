//! Reports of a worker to its run.

use std::io;
use std::time::Duration;

use crate::addresses::Share;
use crate::measurement::GeneratorLimits;
use crate::recorder::{Age, Interval};
use crate::silence::Pauses;
use crate::usage::ThreadUsage;

/// Report of a worker while it runs.
#[derive(Debug)]
pub(crate) enum Message {
    /// The worker passed the beginning of the measured part.
    Begun,
    /// Results of an interval of the measured part.
    Interval(Interval),
    /// The worker passed the end; its connections are still open.
    Ended(Box<Ending>),
}

/// Report of a worker at the end of the measured part.
#[derive(Debug)]
pub(crate) struct Ending {
    /// Ages of the requests that were sent and have no response.
    pub in_flight_ages: Vec<Age>,
    /// Ages of the requests that were due and could not be sent.
    pub unsent_ages: Vec<Age>,
    pub established: u64,
    pub served: u64,
    pub starved: u64,
    pub never_asked: u64,
    /// Connections without a response when the measured part began, and the number of them that had
    /// one within it.
    pub unserved_at_begin: u64,
    pub served_later: u64,
    pub opened_total: u64,
    /// Beginning and end of the measured part, in nanoseconds of the clock.
    pub window: (u64, u64),
    /// Requests of the measured part that a schedule called for.
    pub scheduled: u64,
    /// Requests answered with a good status, for each connection of the workload.
    pub responses: Vec<u64>,
    pub arrivals: Vec<u64>,
    pub idle_established: u64,
    pub idle_answered: u64,
    /// Part of each address of the target, in its order.
    pub shares: Vec<Share>,
    pub limits: GeneratorLimits,
    /// Error of the last connection that could not be made.
    pub connect_error: Option<io::Error>,
    /// Time at which the last request of the measured part ended.
    pub last_done: u64,
    pub pauses: Pauses,
    /// Time of the measured part in which the worker only waited.
    pub idle: Duration,
    pub usage: ThreadUsage,
    /// Time for which the worker was ready to run and had no processor.
    pub cpu_wait: Option<Duration>,
}

impl Ending {
    /// Returns the ages of all requests of the measured part without a response, sent or not.
    pub fn ages(&self) -> impl Iterator<Item = &Age> {
        self.in_flight_ages.iter().chain(&self.unsent_ages)
    }
}
