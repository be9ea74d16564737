//! `lifetime`: requests that a connection carries before it is closed and opened anew.

use anyhow::{Result, anyhow};
use c10k_loadgen::workload::Lifetime;
use c10k_reports::record::{Parameter, Scale};
use serde_json::json;
use toml::Value;

use super::definition::Axis;
use super::values::{count_from, one_of, read_text};

pub const AXIS: Axis = Axis {
    key: "lifetime",
    title: "requests per connection",
    unit: "",
    scale: Scale::Category,
    default: Some(|| Parameter::Text(Lifetime::Persistent.to_string())),
    schema: || json!({ "anyOf": [one_of(&["short", "persistent"]), count_from(1), { "type": "string", "pattern": "^[1-9][0-9]*$" }] }),
    read,
    apply: |value, load| {
        load.workload.lifetime = parse(&value.to_string())?;
        Ok(())
    },
    label: Parameter::to_string,
};

/// Reads `short`, `persistent`, or a number of requests.
fn read(value: &Value) -> Result<Parameter> {
    let lifetime = match value.as_integer() {
        Some(requests) => parse(&requests.to_string())?,
        None => return read_text(value, |text| parse(text).map(|_| ())),
    };
    Ok(Parameter::Text(lifetime.to_string()))
}

fn parse(text: &str) -> Result<Lifetime> {
    text.parse().map_err(|error: String| anyhow!(error))
}
