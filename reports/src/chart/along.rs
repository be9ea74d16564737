//! The x axis of curves: the values of a question's axis. Values that have no place among the
//! numbers are shown separately at the low end.

use super::axis::Axis;
use crate::record::Scale;
use crate::results::{Layout, Station};

/// Creates the x axis of `layout`. Numbers are placed at their value or its logarithm; stations
/// without a number are placed below them, separately.
pub fn x_axis(layout: &Layout) -> Axis {
    let is_log = layout.scale == Scale::Log;
    let position = |value: f64| if is_log { value.log10() } else { value };
    let numbers: Vec<f64> =
        layout.stations.iter().filter_map(Station::number).map(position).collect();
    let apart = layout.stations.len() - numbers.len();
    let step = apart_step(&numbers);
    let first = numbers.first().copied().unwrap_or(apart as f64 * step);
    let places = (0..apart)
        .map(|index| first - step * (apart - index) as f64)
        .chain(numbers.iter().copied());
    let marks = places.zip(&layout.stations).map(|(place, station)| (place, station.label.clone()));
    let broken_at = (apart > 0 && !numbers.is_empty()).then(|| first - step / 2.0);
    let scale = if is_log { ", log scale" } else { "" };
    Axis::of_marks(&format!("{}{scale}", layout.title), marks.collect(), broken_at)
}

/// Returns the distance between stations that are set apart, and from the last of them to the first
/// number: the average distance between numbers, but at least so large that labels do not touch.
fn apart_step(numbers: &[f64]) -> f64 {
    const LEAST_SHARE: f64 = 0.15;
    match numbers {
        [first, .., last] => {
            let span = last - first;
            (span / (numbers.len() - 1) as f64).clamp(span * LEAST_SHARE, span * 0.5)
        }
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Place;

    fn layout(scale: Scale, places: &[(Place, &str)]) -> Layout {
        let station =
            |(place, label): &(Place, &str)| Station { place: *place, label: (*label).to_owned() };
        let stations = places.iter().map(station).collect();
        Layout { title: "idle connections".to_owned(), scale, stations, panels: Vec::new() }
    }

    #[test]
    fn zero_has_a_place_of_its_own_at_the_low_end_of_a_logarithmic_axis() {
        let places = [(Place::Apart, "0"), (Place::At(1e3), "1,000"), (Place::At(1e4), "10,000")];
        let axis = x_axis(&layout(Scale::Log, &places));
        let at: Vec<f64> = axis.ticks.iter().map(|(place, _)| *place).collect();
        assert!(at[0] < axis.broken_at.unwrap() && axis.broken_at.unwrap() < 3.0);
        assert!((at[1] - 3.0).abs() < 1e-9 && (at[2] - 4.0).abs() < 1e-9);
        assert!(axis.range().0 < at[0]);
    }

    #[test]
    fn names_lie_evenly_and_without_a_break() {
        let places = [(Place::Apart, "/a"), (Place::Apart, "/b")];
        let axis = x_axis(&layout(Scale::Category, &places));
        assert!((axis.ticks[1].0 - axis.ticks[0].0 - 1.0).abs() < 1e-9 && axis.broken_at.is_none());
    }
}
