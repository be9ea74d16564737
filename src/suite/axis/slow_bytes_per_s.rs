//! `slow_bytes_per_s`: bytes that each slow client sends, and reads, per second.

use c10k_reports::record::Scale;

use super::definition::Axis;
use super::values::{any_rate, number, read_rate};

pub const AXIS: Axis = Axis {
    key: "slow_bytes_per_s",
    title: "rate of slow clients",
    unit: "B/s",
    scale: Scale::Log,
    default: None,
    schema: any_rate,
    read: read_rate,
    apply: |value, load| {
        load.workload.slow_bytes_per_s = number(value)?;
        Ok(())
    },
    label: |value| format!("at-{value}"),
};
