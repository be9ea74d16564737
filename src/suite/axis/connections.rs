//! `connections`: connections that send requests, all at once.

use c10k_reports::record::{Parameter, Scale};

use super::definition::Axis;
use super::values::{count_from, nonzero, read_count};

pub const AXIS: Axis = Axis {
    key: "connections",
    title: "connections at once",
    unit: "",
    scale: Scale::Log,
    default: Some(|| Parameter::Count(64)),
    schema: || count_from(1),
    read: |value| read_count(value, 1),
    apply: |value, load| {
        load.workload.connections = nonzero(value)?.get();
        Ok(())
    },
    label: Parameter::to_string,
};
