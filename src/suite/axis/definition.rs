//! Definition of an axis: what each file of this folder holds.

use anyhow::Result;
use c10k_reports::record::{self, Parameter, Scale};
use toml::Value;

use crate::suite::load::Load;

/// A parameter that may vary between cells.
#[derive(Debug)]
pub struct Axis {
    /// Key in suites, filters and records.
    pub key: &'static str,
    /// Title in charts.
    pub title: &'static str,
    /// Unit of the values; empty if they have none.
    pub unit: &'static str,
    /// Scale on which charts lay the values out.
    pub scale: Scale,
    /// Value of a workload that does not name the axis; `None` if the axis is then not in use.
    pub default: Option<fn() -> Parameter>,
    /// JSON Schema of a value, for editors.
    pub schema: fn() -> serde_json::Value,
    /// Reads a value as a suite writes it.
    ///
    /// # Errors
    /// When the axis has no such value; the message says which values it has.
    pub read: fn(&Value) -> Result<Parameter>,
    /// Sets the value in a load.
    ///
    /// # Errors
    /// When the value conflicts with the values of the axes before it.
    pub apply: fn(&Parameter, &mut Load) -> Result<()>,
    /// Text that a value adds to the name of a workload; empty if the name is clearer without it.
    pub label: fn(&Parameter) -> String,
}

impl Axis {
    /// Returns the axis in the form of records.
    pub fn describe(&self) -> record::Axis {
        record::Axis {
            key: self.key.to_owned(),
            title: self.title.to_owned(),
            unit: self.unit.to_owned(),
            scale: self.scale,
        }
    }
}
