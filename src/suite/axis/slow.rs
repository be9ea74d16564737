//! `slow`: clients beside the measured ones that send their requests and read their responses
//! slowly.

use c10k_reports::record::{Parameter, Scale};

use super::definition::Axis;
use super::values::{count, count_from, read_count};

pub const AXIS: Axis = Axis {
    key: "slow",
    title: "slow clients",
    unit: "",
    scale: Scale::Log,
    default: None,
    schema: || count_from(0),
    read: |value| read_count(value, 0),
    apply: |value, load| {
        load.workload.slow = count(value)?;
        Ok(())
    },
    label: |value| {
        if *value == Parameter::Count(0) { String::new() } else { format!("slow-{value}") }
    },
};
