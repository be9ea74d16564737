//! Axis of changes against the base, for logarithms of ratios. It separates changes near zero and
//! still has space for large ones: a change of CPU time by 1 % and a change of p99.9 by 50 % fit on
//! one axis.

use c10k_reports::chart::axis::Axis;
use c10k_reports::format;

/// Logarithm up to which the axis is about linear: a change by 1 %.
const LINEAR: f64 = 0.01;

/// Changes in percent that have a tick, upwards and downwards, as far as an axis reaches.
const UP: [f64; 12] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1e3, 1e4, 1e5];
const DOWN: [f64; 9] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 80.0, 90.0, 99.0];

/// Smallest distance between two labels, as a share of the axis. Closer labels would touch.
const APART: f64 = 0.085;

/// Smallest number of ticks on each side of zero: up to 2 %.
const LEAST: usize = 2;

/// Axis of changes.
pub struct ChangeAxis {
    axis: Axis,
    /// Smallest and largest tick, as logarithms.
    ends: (f64, f64),
}

impl ChangeAxis {
    /// Creates an axis that covers `low` to `high`, which are logarithms of ratios.
    pub fn covering(title: &str, low: f64, high: f64) -> Self {
        let (mut up, mut down) = (marks(&UP, 1.0, high), marks(&DOWN, -1.0, low));
        let ends = (down.last().map_or(0.0, |mark| mark.0), up.last().map_or(0.0, |mark| mark.0));
        let apart = APART * (position(ends.1) - position(ends.0));
        thin(&mut up, apart);
        thin(&mut down, apart);
        let zero = (0.0, "0".to_owned());
        let marks = down.into_iter().rev().chain([zero]).chain(up);
        let marks = marks.map(|(log, text)| (position(log), text)).collect();
        Self { axis: Axis::of_marks(title, marks, None), ends }
    }

    /// Returns the axis to draw.
    pub fn axis(&self) -> Axis {
        self.axis.clone()
    }

    /// Returns the place of a logarithm of a ratio on the axis. A value beyond the axis is placed
    /// at its end.
    pub fn position(&self, log_ratio: f64) -> f64 {
        position(log_ratio.clamp(self.ends.0, self.ends.1))
    }
}

fn position(log_ratio: f64) -> f64 {
    (log_ratio / LINEAR).asinh()
}

/// Returns the logarithm and the label of the ticks on one side of zero, up to the first tick
/// beyond `end`.
fn marks(percents: &[f64], sign: f64, end: f64) -> Vec<(f64, String)> {
    let log = |percent: f64| (sign * percent / 100.0).ln_1p();
    let within = percents.iter().filter(|percent| log(**percent).abs() < sign * end).count();
    let shown = percents.iter().take((within + 1).max(LEAST));
    let text = |percent: f64| {
        format!("{}{}\u{a0}%", if sign < 0.0 { "−" } else { "+" }, format::tick(percent))
    };
    shown.map(|&percent| (log(percent), text(percent))).collect()
}

/// Removes labels that are too near to a label closer to zero. The lines of their ticks stay.
fn thin(marks: &mut [(f64, String)], apart: f64) {
    let mut last = 0.0;
    for (log_ratio, text) in marks {
        let place = position(*log_ratio).abs();
        if place - last >= apart {
            last = place;
        } else {
            text.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(low: f64, high: f64) -> Vec<String> {
        let axis = ChangeAxis::covering("change", low.ln(), high.ln());
        axis.axis.ticks.iter().map(|(_, text)| text.replace('\u{a0}', " ")).collect()
    }

    #[test]
    fn it_covers_all_values_and_at_least_two_percent() {
        assert_eq!(texts(1.0, 1.0), ["−2 %", "−1 %", "0", "+1 %", "+2 %"]);
        assert_eq!(texts(0.96, 1.02), ["−5 %", "−2 %", "−1 %", "0", "+1 %", "+2 %", "+5 %"]);
    }

    #[test]
    fn labels_that_would_touch_are_left_out_and_zero_stays() {
        let wide = texts(0.3, 4.5);
        assert!(wide.contains(&String::new()) && wide.contains(&"0".to_owned()), "{wide:?}");
        assert!(wide.contains(&"+2 %".to_owned()) && wide.contains(&"−2 %".to_owned()), "{wide:?}");
    }

    #[test]
    fn a_value_beyond_the_axis_is_placed_at_its_end() {
        let axis = ChangeAxis::covering("change", -20.0, 20.0);
        let (low, high) = axis.axis.range();
        assert!(low < axis.position(-20.0) && axis.position(20.0) < high);
    }
}
