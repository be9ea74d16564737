//! Values that several axes have: their schemas, how a suite writes them, and their conversions.

use std::num::NonZeroUsize;

use anyhow::{Context, Result, bail, ensure};
use c10k_reports::record::Parameter;
use serde_json::json;
use toml::Value;

use crate::limits;

pub(super) fn count_from(least: u64) -> serde_json::Value {
    json!({ "type": "integer", "minimum": least })
}

pub(super) fn any_rate() -> serde_json::Value {
    json!({ "type": "number", "exclusiveMinimum": 0, "maximum": limits::HIGHEST_RATE })
}

pub(super) fn one_of(texts: &[&str]) -> serde_json::Value {
    json!({ "enum": texts })
}

pub(super) fn any_text() -> serde_json::Value {
    json!({ "type": "string" })
}

/// Reads a whole number from `least` on.
pub(super) fn read_count(value: &Value, least: u64) -> Result<Parameter> {
    match value.as_integer().and_then(|number| u64::try_from(number).ok()) {
        Some(count) if count >= least => Ok(Parameter::Count(count)),
        _ => bail!("write a whole number from {least}"),
    }
}

/// Reads a number per second.
pub(super) fn read_rate(value: &Value) -> Result<Parameter> {
    let rate = value.as_float().or_else(|| value.as_integer().map(|rate| rate as f64));
    let rate = limits::check_rate(rate.unwrap_or_default())?;
    Ok(value
        .as_integer()
        .map_or(Parameter::Number(rate), |rate| Parameter::Count(rate.cast_unsigned())))
}

/// Reads a text that `parse` accepts.
pub(super) fn read_text(
    value: &Value,
    parse: impl FnOnce(&str) -> Result<()>,
) -> Result<Parameter> {
    let text = value.as_str().context("write a text in quotes")?;
    parse(text)?;
    Ok(Parameter::Text(text.to_owned()))
}

pub(super) fn number(value: &Parameter) -> Result<f64> {
    value.number().context("the value is no number")
}

pub(super) fn count(value: &Parameter) -> Result<usize> {
    let Parameter::Count(count) = value else { bail!("the value {value} is no whole number") };
    Ok(usize::try_from(*count)?)
}

pub(super) fn nonzero(value: &Parameter) -> Result<NonZeroUsize> {
    let count = count(value)?;
    ensure!(count > 0, "the value must be at least 1");
    Ok(NonZeroUsize::new(count).unwrap_or(NonZeroUsize::MIN))
}
