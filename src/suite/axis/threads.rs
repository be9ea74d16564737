//! `threads`: event loops of the generator; without it, one for each processor of the generator.
//!
//! Each event loop has its own connections and, in an open loop, its own queue. If requests wait
//! for a connection, more threads make latency longer, so an open loop near its limit is compared
//! at one number of threads.

use c10k_reports::record::Scale;

use super::definition::Axis;
use super::values::{count_from, nonzero, read_count};

pub const AXIS: Axis = Axis {
    key: "threads",
    title: "threads of the generator",
    unit: "",
    scale: Scale::Linear,
    default: None,
    schema: || count_from(1),
    read: |value| read_count(value, 1),
    apply: |value, load| {
        load.threads = Some(nonzero(value)?);
        Ok(())
    },
    label: |value| format!("threads-{value}"),
};
