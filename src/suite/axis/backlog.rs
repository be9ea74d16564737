//! `backlog`: length of the server's listen queue; without it, the server's own default.

use c10k_reports::record::Scale;

use super::definition::Axis;
use super::values::{count_from, nonzero, read_count};

pub const AXIS: Axis = Axis {
    key: "backlog",
    title: "listen backlog",
    unit: "",
    scale: Scale::Log,
    default: None,
    schema: || count_from(1),
    read: |value| read_count(value, 1),
    apply: |value, load| {
        load.backlog = Some(nonzero(value)?);
        Ok(())
    },
    label: |value| format!("backlog-{value}"),
};
