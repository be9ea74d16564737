//! `rate`: requests per second of an open loop; without it, the loop is closed.

use c10k_loadgen::workload::{Arrivals, Pacing};
use c10k_reports::record::Scale;

use super::definition::Axis;
use super::values::{any_rate, number, read_rate};
use crate::time;

pub const AXIS: Axis = Axis {
    key: "rate",
    title: "offered load",
    unit: "requests/s",
    scale: Scale::Log,
    default: None,
    schema: any_rate,
    read: read_rate,
    apply: |value, load| {
        // The runner sets the seed, a different one in each round.
        load.workload.pacing = Pacing::Open {
            rate: number(value)?,
            arrivals: Arrivals::Constant,
            seed: 0,
            spin: time::SPIN,
        };
        Ok(())
    },
    label: |value| format!("rate-{value}"),
};
