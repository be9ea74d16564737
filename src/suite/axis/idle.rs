//! `idle`: connections held open beside the measured ones, which send nothing more after their
//! first response.

use c10k_reports::record::{Parameter, Scale};

use super::definition::Axis;
use super::values::{count, count_from, read_count};

pub const AXIS: Axis = Axis {
    key: "idle",
    title: "idle connections",
    unit: "",
    scale: Scale::Log,
    default: Some(|| Parameter::Count(0)),
    schema: || count_from(0),
    read: |value| read_count(value, 0),
    apply: |value, load| {
        load.workload.idle = count(value)?;
        Ok(())
    },
    label: |value| {
        if *value == Parameter::Count(0) { String::new() } else { format!("idle-{value}") }
    },
};
