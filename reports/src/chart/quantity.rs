//! A metric on the axis of a chart: the unit and the format of its ticks.

use super::axis::{self, Axis};
use crate::metric::{Format, Metric};
use crate::statistics::lead::Better;

/// A metric as a chart draws it.
#[derive(Clone, Copy)]
pub struct Quantity {
    /// The metric.
    pub metric: &'static Metric,
    /// Unit of the axis; empty if the ticks have it.
    pub unit: &'static str,
    /// Factor from a value of the metric to a value on the axis.
    per_unit: f64,
    label: fn(f64) -> String,
}

impl Quantity {
    /// Creates the quantity that shows `metric` in a chart.
    pub fn of(metric: &'static Metric) -> Self {
        let (unit, per_unit, label): (_, _, fn(f64) -> String) = match metric.format {
            Format::Number | Format::Count => (metric.unit, 1.0, axis::number),
            Format::Time => ("", 1e3, axis::time),
            // Ticks are round numbers of the unit, not of bytes.
            Format::Bytes => ("MiB", 1.0 / (1024.0 * 1024.0), axis::number),
            Format::Share => ("", 1.0, axis::share),
        };
        Self { metric, unit, per_unit, label }
    }

    /// Converts a `value` of the metric to a value on the axis.
    pub fn on_axis(&self, value: f64) -> f64 {
        value * self.per_unit
    }

    /// Creates a linear axis from zero to `high`, which is a value of the metric.
    pub fn axis_from_zero(&self, high: f64) -> Axis {
        Axis::from_zero(self.unit, self.on_axis(high), self.label)
    }

    /// Creates the axis that suits curves between two values of the metric: logarithmic, unless one
    /// is zero.
    pub fn axis_between(&self, low: f64, high: f64) -> Axis {
        if low > 0.0 {
            return Axis::log(self.unit, self.on_axis(low), self.on_axis(high), self.label);
        }
        self.axis_from_zero(high * 1.05)
    }

    /// Describes the metric in words, for the caption of a chart.
    pub fn caption(&self) -> String {
        let better = match self.metric.better {
            Some(Better::Higher) => " Higher is better.",
            Some(Better::Lower) => " Lower is better.",
            None => "",
        };
        format!("{}{better}", self.metric.meaning)
    }
}
