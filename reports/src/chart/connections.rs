//! A quantity against the number of connections, a curve per subject, a panel per lifetime of connections, both axes
//! logarithmic: the shape that [`super::overview_throughput`] and [`super::overview_cpu`] share.

use plotters::style::text_anchor::HPos;

use super::axis::{self, Axis};
use super::canvas::{self, Canvas, Font, Place};
use super::legend::Legend;
use super::palette::{FAILED, Look, look};
use super::panel::{ABOVE_PX, BELOW_PX, Frame, HEADING_PX, Panel, TEXT, TITLE_LEFT_PX, heading};
use super::{flags_note, legend_labels};
use crate::format;
use crate::record::{Environment, WorkloadEntry};
use crate::results::{CellResult, Results};
use crate::statistics::spread::Spread;

/// What the curves show.
pub struct Quantity {
    /// Title of the chart.
    pub title: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// Its value, where there is one.
    pub of: fn(&CellResult) -> Option<Spread>,
}

/// Two panels fit side by side; on a phone the chart is wider than the page and scrolls within itself.
const WIDTH_PX: f64 = 1040.0;

const PANELS_PER_ROW: usize = 2;

const PANEL_PX: f64 = 300.0;

/// Room for the title of a panel, in px.
const PANEL_TITLE_PX: f64 = 26.0;

/// Height of a row of panels, in px.
const ROW_PX: f64 = PANEL_TITLE_PX + ABOVE_PX + PANEL_PX + BELOW_PX;

const MARKER_PX: f64 = 4.5;

/// Room left of a panel for its ticks, in px.
const TICKS_PX: f64 = 74.0;

/// The chart of `quantity`; nothing where no lifetime has workloads of two numbers of connections.
pub fn draw(results: &Results, quantity: &Quantity) -> Option<String> {
    let families = families(&results.environment);
    let cells: Vec<&CellResult> = families.iter().flat_map(|family| family.cells(results)).collect();
    let spreads = || cells.iter().filter_map(|cell| (quantity.of)(cell));
    let low = spreads().map(|spread| spread.low).filter(|low| *low > 0.0).reduce(f64::min)?;
    let high = spreads().map(|spread| spread.high).reduce(f64::max)?;
    // One axis for all panels, or panels side by side would mislead.
    let y = Axis::log(quantity.unit, low, high, axis::number);

    let interval = results.interval();
    let subtitle = format!("point: median, whisker: {interval}{}", flags_note(&cells));
    let legend = Legend::layout(legend_labels(results, &cells), WIDTH_PX);
    let rows = families.len().div_ceil(PANELS_PER_ROW) as f64;
    let height = HEADING_PX + legend.height_px() + rows * ROW_PX;
    Some(canvas::draw((WIDTH_PX as u32, height as u32), quantity.title, |canvas| {
        let legend_top = heading(canvas, quantity.title, &subtitle);
        legend.draw(canvas, legend_top);
        let column_px = WIDTH_PX / families.len().min(PANELS_PER_ROW) as f64;
        for (index, family) in families.iter().enumerate() {
            let left = column_px * (index % PANELS_PER_ROW) as f64;
            let top = legend_top + legend.height_px() + ROW_PX * (index / PANELS_PER_ROW) as f64;
            let place = Frame { left, top, right: left + column_px, bottom: top + ROW_PX };
            draw_family(canvas, place, results, family, quantity, y.clone());
        }
    }))
}

/// The panel of one family within `place`, its title above.
fn draw_family(
    canvas: &mut Canvas,
    place: Frame,
    results: &Results,
    family: &Family,
    quantity: &Quantity,
    y: Axis,
) {
    let bold = Font { bold: true, ..TEXT };
    canvas.text(&family.title, (place.left + TITLE_LEFT_PX, place.top + 14.0), bold);
    let right = place.right - 24.0;
    let top = place.top + PANEL_TITLE_PX + ABOVE_PX;
    let frame = Frame { left: place.left + TICKS_PX, top, right, bottom: top + PANEL_PX };
    let panel = Panel::draw(canvas, frame, family.axis(), y);
    let missing = Font { color: FAILED, align: HPos::Right, ..TEXT };
    canvas.text(&family.missing(results, quantity), (right, top - 18.0), missing);
    for subject in 0..results.environment.subjects.len() {
        draw_subject(canvas, &panel, &family.points(results, subject, quantity), look(subject));
    }
}

fn draw_subject(canvas: &mut Canvas, panel: &Panel, points: &[(f64, Spread)], look: Look) {
    let places: Vec<Place> = points.iter().map(|(x, spread)| panel.at(*x, spread.median)).collect();
    if places.len() > 1 {
        canvas.curve(&places, look);
    }
    for (place, (x, spread)) in places.iter().zip(points) {
        // A whisker shorter than its point would only blur it.
        let (low, high) = (panel.at(*x, spread.low), panel.at(*x, spread.high));
        if low.1 - high.1 > 2.0 * MARKER_PX {
            canvas.whisker(low, high, look.color);
        }
        canvas.marker(*place, look, MARKER_PX);
    }
}

/// Workloads that differ in the number of connections only.
struct Family<'a> {
    title: String,
    /// Index and entry, by rising number of connections.
    workloads: Vec<(usize, &'a WorkloadEntry)>,
}

impl Family<'_> {
    fn cells<'r>(&self, results: &'r Results) -> impl Iterator<Item = &'r CellResult> + use<'r, '_> {
        self.workloads.iter().flat_map(|(index, _)| results.of_workload(*index))
    }

    fn axis(&self) -> Axis {
        let counts = self.workloads.iter().map(|(_, workload)| workload.connections as f64);
        let marks: Vec<(f64, String)> = counts.map(|count| (count, axis::number(count))).collect();
        Axis::log_at("connections at once", marks)
    }

    /// The points of one subject: number of connections and value.
    fn points(&self, results: &Results, subject: usize, quantity: &Quantity) -> Vec<(f64, Spread)> {
        let points = self.workloads.iter().filter_map(|(index, workload)| {
            let cell = results.of_workload(*index).find(|cell| cell.subject == subject)?;
            Some((workload.connections as f64, (quantity.of)(cell)?))
        });
        points.collect()
    }

    /// Which points are not there, so that a curve that ends early is no riddle.
    fn missing(&self, results: &Results, quantity: &Quantity) -> String {
        let missing = self.cells(results).filter(|cell| (quantity.of)(cell).is_none());
        let texts = missing.map(|cell| {
            let workload = &results.environment.workloads[cell.workload];
            format!("{} at {}", results.subject_name(cell), format::count(workload.connections as u64))
        });
        match texts.collect::<Vec<_>>().as_slice() {
            [] => String::new(),
            few if few.len() < 3 => format!("no result: {}", few.join(", ")),
            many => format!("no result: {} points", many.len()),
        }
    }
}

/// The families of a suite that span at least two numbers of connections, in the order of the suite.
///
/// What workloads share beyond the lifetime is not declared, so it is read off their names: without the number of
/// connections, those of a family have the same name (`short-1`, `short-64`).
fn families(environment: &Environment) -> Vec<Family<'_>> {
    let mut families: Vec<(String, Family)> = Vec::new();
    for (index, workload) in environment.workloads.iter().enumerate() {
        let stem = workload.name.replace(&workload.connections.to_string(), "#");
        let key = format!("{stem} {}", workload.lifetime);
        if !families.iter().any(|(known, _)| *known == key) {
            families.push((
                key.clone(),
                Family { title: family_title(&stem, &workload.lifetime), workloads: Vec::new() },
            ));
        }
        let family =
            families.iter_mut().find(|(known, _)| *known == key).expect("it was added if it was missing");
        family.1.workloads.push((index, workload));
    }
    let mut families: Vec<Family> = families.into_iter().map(|(_, family)| family).collect();
    for family in &mut families {
        family.workloads.sort_by_key(|(_, workload)| workload.connections);
    }
    families.retain(|family| family.workloads.len() > 1);
    families
}

/// What the lifetime means, with what the names of the workloads say beyond it.
fn family_title(stem: &str, lifetime: &str) -> String {
    let meaning = match lifetime {
        "short" => "Short connections (one request each)".to_owned(),
        "persistent" => "Persistent connections".to_owned(),
        number => format!("{number} requests per connection"),
    };
    let stem = stem.replace('#', "");
    let rest = stem.trim_matches(['-', '_', ' ']);
    if rest == lifetime { meaning } else { format!("{meaning}: {rest}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn a_family_differs_in_the_number_of_connections_only() {
        let mut environment = fixture::environment();
        environment.workloads.swap(0, 2);
        let lone = WorkloadEntry { name: "spin-64".to_owned(), ..environment.workloads[1].clone() };
        environment.workloads.push(lone);
        let families = families(&environment);
        let titles: Vec<&str> = families.iter().map(|family| family.title.as_str()).collect();
        assert_eq!(titles, ["Short connections (one request each)", "Persistent connections"]);
        let counts: Vec<usize> =
            families[0].workloads.iter().map(|(_, workload)| workload.connections).collect();
        assert_eq!(counts, [1, 64, 512]);
    }

    #[test]
    fn a_family_says_what_else_its_workloads_are() {
        assert_eq!(family_title("spin-short-#", "short"), "Short connections (one request each): spin-short");
    }
}
