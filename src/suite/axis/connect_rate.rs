//! `connect_rate`: connections opened per second at the most.

use c10k_reports::record::Scale;

use super::definition::Axis;
use super::values::{any_rate, number, read_rate};
use crate::limits;

pub const AXIS: Axis = Axis {
    key: "connect_rate",
    title: "connections opened, at most",
    unit: "connections/s",
    scale: Scale::Log,
    default: None,
    schema: any_rate,
    read: read_rate,
    apply: |value, load| {
        let rate = number(value)?;
        limits::check_time(load.connections() as u64, "connections", rate)?;
        load.workload.connect_rate = Some(rate);
        Ok(())
    },
    label: |value| format!("connect-rate-{value}"),
};
