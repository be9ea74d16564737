//! Axes of charts: their range, scale and ticks.

use crate::format;

/// Ratio of the largest to the smallest value from which a logarithmic scale shows more than a
/// linear one.
const LOG_FROM_RATIO: f64 = 20.0;

/// An axis. Its values, `low`, `high` and ticks are in the unit of the data.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// Title, with its unit unless each tick has it.
    pub title: String,
    /// Value and text of each tick.
    pub ticks: Vec<(f64, String)>,
    /// Value at which the scale is broken, which sets apart the values below from those above.
    pub broken_at: Option<f64>,
    scale: Scale,
    low: f64,
    high: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scale {
    Linear,
    Log,
    /// Quantiles (0 to 1), each further nine as wide as the one before: −log₁₀(1 − q).
    Nines,
}

impl Axis {
    /// Creates a linear axis from zero to `high`.
    pub fn from_zero(title: &str, high: f64, label: fn(f64) -> String) -> Self {
        let high = if high > 0.0 { high } else { 1.0 };
        let step = nice_at_least(high / 5.0);
        let ticks =
            (0..).map(|index| f64::from(index) * step).take_while(|tick| *tick <= high * 1.001);
        let ticks = ticks.map(|tick| (tick, label(tick))).collect();
        Self {
            title: title.to_owned(),
            ticks,
            broken_at: None,
            scale: Scale::Linear,
            low: 0.0,
            high,
        }
    }

    /// Creates a logarithmic axis that covers `low` to `high`, both above zero, and ends at round
    /// values.
    pub fn log(title: &str, low: f64, high: f64, label: fn(f64) -> String) -> Self {
        // The axis extends a little beyond the values, so that no point sits on the frame and a
        // single value still has an axis.
        let (low, high) = (nice_at_most(low / 1.02), nice_at_least(high * 1.02));
        let decades = (low.log10().floor() as i32..=high.log10().ceil() as i32)
            .map(|power| 10_f64.powi(power));
        // If the axis spans only a few decades, 2 and 5 get ticks too, or there would be too few
        // ticks to read a value from.
        let factors: &[f64] = if high / low <= 300.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let ticks = decades.flat_map(|decade| factors.iter().map(move |factor| decade * factor));
        let ticks = ticks.filter(|tick| (low * 0.999..=high * 1.001).contains(tick));
        let title = format!("{title}, log scale");
        Self {
            title,
            ticks: ticks.map(|tick| (tick, label(tick))).collect(),
            broken_at: None,
            scale: Scale::Log,
            low,
            high,
        }
    }

    /// Creates an axis that covers `marks` (in rising order) and a margin beyond them, with ticks
    /// only at the marks, and with a break at `broken_at`.
    pub fn of_marks(title: &str, marks: Vec<(f64, String)>, broken_at: Option<f64>) -> Self {
        let first = marks.first().map_or(0.0, |(place, _)| *place);
        let last = marks.last().map_or(0.0, |(place, _)| *place);
        // The margin is a twentieth of the span of the marks, so that no point sits on the frame.
        let margin = if last > first { (last - first) * 0.05 } else { 1.0 };
        let (low, high) = (first - margin, last + margin);
        Self { title: title.to_owned(), ticks: marks, broken_at, scale: Scale::Linear, low, high }
    }

    /// Creates an axis from 0 to 1 without title and ticks, for rows that are labelled one by one.
    pub fn bare() -> Self {
        Self {
            title: String::new(),
            ticks: Vec::new(),
            broken_at: None,
            scale: Scale::Linear,
            low: 0.0,
            high: 1.0,
        }
    }

    /// Creates the axis that suits values from `low` to `high`: logarithmic if they are far apart,
    /// otherwise linear from zero.
    pub fn covering(title: &str, low: f64, high: f64, label: fn(f64) -> String) -> Self {
        if low > 0.0 && high / low >= LOG_FROM_RATIO {
            return Self::log(title, low, high, label);
        }
        Self::from_zero(title, high * 1.05, label)
    }

    /// Creates an axis of percentiles up to the quantile `high` (below 1), as the plotter of
    /// `HdrHistogram` draws it.
    pub fn percentiles(high: f64) -> Self {
        let fixed = [(0.0, "0 %"), (0.5, "50 %"), (0.9, "90 %")]
            .map(|(quantile, text)| (quantile, text.to_owned()));
        let nines = (2..9).map(|nines: usize| {
            let text = if nines == 2 {
                "99 %".to_owned()
            } else {
                format!("99.{} %", "9".repeat(nines - 2))
            };
            (1.0 - 10_f64.powf(-(nines as f64)), text)
        });
        let ticks =
            fixed.into_iter().chain(nines).filter(|(quantile, _)| *quantile <= high + 1e-12);
        let title = "percentile of requests".to_owned();
        Self { title, ticks: ticks.collect(), broken_at: None, scale: Scale::Nines, low: 0.0, high }
    }

    /// Returns the position of `value` on the axis, in units of [`Self::ends`].
    pub fn position(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => value,
            // A value below the axis, such as zero, is drawn at the low end.
            Scale::Log => value.max(self.low).log10(),
            Scale::Nines => -(1.0 - value).log10(),
        }
    }

    /// Returns the positions of both ends.
    pub fn ends(&self) -> (f64, f64) {
        (self.position(self.low), self.position(self.high))
    }

    /// Returns the smallest and the largest value that the axis shows.
    pub fn range(&self) -> (f64, f64) {
        (self.low, self.high)
    }

    /// Returns `count` + 1 values from end to end, evenly spread over the axis as drawn.
    pub fn evenly(&self, count: usize) -> impl Iterator<Item = f64> {
        let (from, to) = self.ends();
        let scale = self.scale;
        (0..=count).map(move |index| {
            let position = from + (to - from) * index as f64 / count as f64;
            match scale {
                Scale::Linear => position,
                Scale::Log => 10_f64.powf(position),
                Scale::Nines => 1.0 - 10_f64.powf(-position),
            }
        })
    }
}

/// Formats a count or a rate as a tick.
pub fn number(value: f64) -> String {
    format::tick(value)
}

/// Formats a share (0 to 1) as a tick.
pub fn share(value: f64) -> String {
    format!("{} %", format::tick(value * 100.0))
}

/// Formats nanoseconds as a tick.
pub fn time(ns: f64) -> String {
    if ns == 0.0 { "0".to_owned() } else { format::time_tick_ns(ns) }
}

/// Returns the smallest of 1, 2 and 5 times a power of ten that is at least `value`.
fn nice_at_least(value: f64) -> f64 {
    let decade = 10_f64.powf(value.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| factor * decade >= value * 0.999);
    factor.unwrap_or(10.0) * decade
}

/// Returns the largest of 1, 2 and 5 times a power of ten that is at most `value`.
fn nice_at_most(value: f64) -> f64 {
    let decade = 10_f64.powf(value.log10().floor());
    let factor = [5.0, 2.0, 1.0].into_iter().find(|factor| factor * decade <= value * 1.001);
    factor.unwrap_or(1.0) * decade
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(axis: &Axis) -> Vec<String> {
        axis.ticks.iter().map(|(_, text)| text.replace('\u{a0}', " ")).collect()
    }

    #[test]
    fn a_linear_axis_has_round_ticks_from_zero() {
        assert_eq!(
            texts(&Axis::from_zero("", 43_000.0, number)),
            ["0", "10,000", "20,000", "30,000", "40,000"]
        );
    }

    #[test]
    fn a_logarithmic_axis_ends_at_round_values() {
        let axis = Axis::log("", 63_000.0, 4_100_000.0, time);
        assert_eq!(texts(&axis), ["50 µs", "100 µs", "200 µs", "500 µs", "1 ms", "2 ms", "5 ms"]);
        assert_eq!(
            texts(&Axis::log("", 1e3, 1e9, time)),
            ["1 µs", "10 µs", "100 µs", "1 ms", "10 ms", "100 ms", "1 s"]
        );
    }

    #[test]
    fn a_single_value_has_an_axis_around_it() {
        assert_eq!(texts(&Axis::log("", 10.0, 10.0, number)), ["5", "10", "20"]);
    }

    #[test]
    fn the_scale_follows_the_data() {
        assert!(Axis::covering("latency", 1.0, 100.0, number).title.contains("log scale"));
        assert!(!Axis::covering("latency", 10.0, 100.0, number).title.contains("log scale"));
        assert!(!Axis::covering("latency", 0.0, 100.0, number).title.contains("log scale"));
    }

    #[test]
    fn percentiles_are_spaced_by_nines_and_end_where_the_data_do() {
        let axis = Axis::percentiles(0.9995);
        assert_eq!(texts(&axis), ["0 %", "50 %", "90 %", "99 %", "99.9 %"]);
        assert!(
            (axis.position(0.99) - 2.0).abs() < 1e-9 && (axis.position(0.999) - 3.0).abs() < 1e-9
        );
    }

    #[test]
    fn evenly_spread_values_cover_the_axis() {
        let values: Vec<f64> = Axis::log("", 1.5, 70.0, number).evenly(2).collect();
        assert!((values[1] - 10.0).abs() < 1e-9 && (values[2] - 100.0).abs() < 1e-9);
    }
}
