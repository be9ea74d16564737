//! `capacity_share`: rate of an open loop as a share of what the server can do in a closed loop,
//! which a gate measures first. A rate in requests per second would be light on one machine and
//! too much on another.

use c10k_reports::record::{Parameter, Scale};
use serde_json::json;

use super::definition::Axis;
use super::values::number;

pub const AXIS: Axis = Axis {
    key: "capacity_share",
    title: "offered load, as a share of the capacity",
    unit: "",
    scale: Scale::Linear,
    default: None,
    schema: || json!({ "type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1 }),
    read: |value| match value.as_float() {
        Some(share) if share > 0.0 && share < 1.0 => Ok(Parameter::Number(share)),
        _ => anyhow::bail!("write a share above 0 and below 1, such as 0.5"),
    },
    apply: |value, load| {
        load.capacity_share = Some(number(value)?);
        Ok(())
    },
    label: |value| format!("load-{value}"),
};
