//! Chart: one series over the gates of its group, with intervals, levels and steps.

use std::collections::BTreeSet;

use c10k_reports::chart::axis::Axis;
use c10k_reports::chart::canvas::{self, Canvas, Font, HPos, text_width_px};
use c10k_reports::chart::heading::Heading;
use c10k_reports::chart::palette::{FAILED, INK, Look, MUTED, look};
use c10k_reports::chart::panel::{ABOVE_PX, BELOW_PX, Frame, NOTE, Panel, TEXT_PX, WIDTH_PX};
use c10k_reports::{format, metric};

use super::series::{Group, Series, Step};

const PANEL_PX: f64 = 220.0;

/// Number of rows above the panel for the revisions of steps. Steps use the rows in turn, so that
/// neighbouring labels do not overlap.
const ROWS: usize = 2;

/// Height of a row of revisions, in px.
const ROW_PX: f64 = 16.0;

/// Largest number of revisions that are named on the axis.
const NAMED: usize = 6;

/// Number of letters of a revision that are shown.
const LETTERS: usize = 7;

/// Approximate number of ticks of the ratio axis.
const TICKS: f64 = 5.0;

/// Length of the dashes in the line of a step, and of the space between them, in px.
const DASH_PX: f64 = 6.0;

/// Distance between the line of a step and its revision, in px.
const GAP_PX: f64 = 4.0;

/// Draws the chart of a series, as SVG.
pub(super) fn draw(group: &Group, series: &Series) -> String {
    let title = title(series);
    let heading = Heading::layout(&title, &note(series), WIDTH_PX);
    let top = heading.height_px() + ROWS as f64 * ROW_PX + ABOVE_PX;
    let frame = Frame { left: 66.0, top, right: WIDTH_PX - 18.0, bottom: top + PANEL_PX };
    let size = (WIDTH_PX as u32, (frame.bottom + BELOW_PX) as u32);
    canvas::draw(size, &label(series, &title), |canvas| {
        heading.draw(canvas);
        let panel = Panel::draw(canvas, frame, revisions_axis(group, series), ratio_axis(series));
        let ends = [0.0, (group.gates - 1) as f64];
        canvas.line(panel.at(ends[0], 1.0), panel.at(ends[1], 1.0), MUTED, 1.0);
        for (index, step) in series.steps.iter().enumerate() {
            let row = frame.top - ABOVE_PX - ROW_PX * ((index % ROWS) as f64 + 0.5);
            draw_step(canvas, &panel, Frame { top: row, ..frame }, (series, step));
        }
        draw_values(canvas, &panel, series, look(0));
    })
}

fn title(series: &Series) -> String {
    let metric =
        metric::by_key(&series.metric).map_or(series.metric.as_str(), |metric| metric.title);
    format!("{metric}: {}", series.workload)
}

fn note(series: &Series) -> String {
    match series.steps.len() {
        0 => "no step".to_owned(),
        steps => format::plural(steps as u64, "step"),
    }
}

/// Describes the chart in words.
fn label(series: &Series, title: &str) -> String {
    let levels: Vec<String> =
        series.levels.iter().map(|level| format!("{:.3}", level.middle)).collect();
    format!(
        "{title}, ratio to the anchor over {} gates; levels: {}",
        series.points.len(),
        levels.join(", ")
    )
}

/// Creates the axis of gates, a few of which are named by their revision.
fn revisions_axis(group: &Group, series: &Series) -> Axis {
    let every = group.gates.div_ceil(NAMED);
    let named = series.points.iter().filter(|point| point.gate % every == 0);
    let mut marks: Vec<(f64, String)> = named
        .map(|point| (point.gate as f64, point.revision.chars().take(LETTERS).collect()))
        .collect();
    // The axis covers only its marks, so the first and the last gate need a mark each.
    let known: BTreeSet<usize> = marks.iter().map(|(place, _)| *place as usize).collect();
    for end in [0, group.gates - 1] {
        if !known.contains(&end) {
            marks.push((end as f64, String::new()));
        }
    }
    marks.sort_by(|a, b| a.0.total_cmp(&b.0));
    Axis::of_marks("first letters of the revision", marks, None)
}

/// Creates the axis of ratios, with round ticks that cover every interval, and 1.
fn ratio_axis(series: &Series) -> Axis {
    let ends = series.points.iter().map(|point| point.ratio);
    let ends = ends.flat_map(|ratio| [Some(ratio.ratio), ratio.low, ratio.high]).flatten();
    let (low, high) =
        ends.fold((1.0, 1.0), |(low, high): (f64, f64), end| (low.min(end), high.max(end)));
    let step = round_step((high - low).max(0.01) / TICKS);
    let decimals = (-step.log10().floor()).max(0.0) as usize;
    let ticks = (low / step).floor() as i64..=(high / step).ceil() as i64;
    let marks =
        ticks.map(|tick| tick as f64 * step).map(|tick| (tick, format!("{tick:.decimals$}")));
    Axis::of_marks("revision / anchor", marks.collect(), None)
}

/// Returns the smallest of 1, 2 and 5 times a power of ten that is at least `least`.
fn round_step(least: f64) -> f64 {
    let decade = 10_f64.powf(least.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * decade >= least * 0.999);
    factor.unwrap_or(10.0) * decade
}

/// Draws the line before the first value of a new level, with its revision at the top of `frame`.
fn draw_step(canvas: &mut Canvas, panel: &Panel, frame: Frame, (series, step): (&Series, &Step)) {
    let point = series.point(step.at);
    let before = series.point(step.at - 1);
    let (x, _) = panel.at(f64::midpoint(before.gate as f64, point.gate as f64), 1.0);
    let color = if step.is_worse == Some(true) { FAILED } else { INK };
    let mut y = frame.top;
    while y < frame.bottom {
        canvas.line((x, y), (x, (y + DASH_PX).min(frame.bottom)), color, 1.5);
        y += 2.0 * DASH_PX;
    }
    let words = words(point.revision.chars().take(LETTERS).collect(), step);
    // Text that begins near the right edge would leave the chart.
    let fits = x + text_width_px(&words, TEXT_PX) < WIDTH_PX - 2.0 * GAP_PX;
    let (place, align) = if fits { (x + GAP_PX, HPos::Left) } else { (x - GAP_PX, HPos::Right) };
    canvas.text(&words, (place, frame.top), Font { color, align, ..NOTE });
}

fn words(revision: String, step: &Step) -> String {
    match step.is_worse {
        Some(true) => format!("{revision} worse"),
        Some(false) => format!("{revision} better"),
        None => revision,
    }
}

fn draw_values(canvas: &mut Canvas, panel: &Panel, series: &Series, look: Look) {
    for point in &series.points {
        let at = |ratio: f64| panel.at(point.gate as f64, ratio);
        if let (Some(low), Some(high)) = (point.ratio.low, point.ratio.high) {
            canvas.line(at(low), at(high), look.color, 1.0);
        }
    }
    for level in &series.levels {
        let ends = [level.begin, level.end - 1].map(|at| series.point(at).gate as f64);
        canvas.line(panel.at(ends[0], level.middle), panel.at(ends[1], level.middle), INK, 3.0);
    }
    for (at, point) in series.points.iter().enumerate() {
        let place = panel.at(point.gate as f64, point.ratio.ratio);
        if series.far_out.iter().any(|one| one.at == at) {
            canvas.hollow_marker(place, look, 4.0);
        } else {
            canvas.marker(place, look, 3.0);
        }
    }
}
