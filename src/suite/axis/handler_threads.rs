//! `handler_threads`: threads of the server that only run handlers; without it, the server's own
//! default.

use c10k_reports::record::Scale;

use super::definition::Axis;
use super::values::{count_from, nonzero, read_count};

pub const AXIS: Axis = Axis {
    key: "handler_threads",
    title: "handler threads of the server",
    unit: "",
    scale: Scale::Log,
    default: None,
    schema: || count_from(1),
    read: |value| read_count(value, 1),
    apply: |value, load| {
        load.handler_threads = Some(nonzero(value)?);
        Ok(())
    },
    label: |value| format!("handler-threads-{value}"),
};
