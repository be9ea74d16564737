//! `processors`: processors of the server; without it, all that are not the generator's.

use c10k_reports::record::Scale;

use super::definition::Axis;
use super::values::{count_from, nonzero, read_count};

pub const AXIS: Axis = Axis {
    key: "processors",
    title: "processors of the server",
    unit: "",
    scale: Scale::Linear,
    default: None,
    schema: || count_from(1),
    read: |value| read_count(value, 1),
    apply: |value, load| {
        load.processors = Some(nonzero(value)?);
        Ok(())
    },
    label: |value| format!("processors-{value}"),
};
