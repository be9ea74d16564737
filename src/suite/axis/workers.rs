//! `workers`: workers, event loops or threads of a runtime that serve connections; without it, a
//! pool has a worker for each connection.

use c10k_reports::record::Scale;

use super::definition::Axis;
use super::values::{count_from, nonzero, read_count};

pub const AXIS: Axis = Axis {
    key: "workers",
    title: "workers of the server",
    unit: "",
    scale: Scale::Log,
    default: None,
    schema: || count_from(1),
    read: |value| read_count(value, 1),
    apply: |value, load| {
        load.workers = Some(nonzero(value)?);
        Ok(())
    },
    label: |value| format!("workers-{value}"),
};
