//! Chart: distribution of response times, with a row per subject over one logarithmic axis of time.
//! In rows, unlike in curves drawn over each other, several peaks stay visible, and any number of
//! subjects fits.

use plotters::style::text_anchor::HPos;

use super::axis::{self, Axis};
use super::canvas::{self, Canvas, Font, Place, text_width_px};
use super::heading::Heading;
use super::kind::WorkloadChart;
use super::palette::{FAILED, INK, look};
use super::panel::{BELOW_PX, Frame, NOTE, Panel, TEXT, TEXT_PX, WIDTH_PX};
use super::reading::{doubts_note, signed_name};
use crate::format;
use crate::results::{CellResult, Results};

/// The chart.
pub const CHART: WorkloadChart = WorkloadChart {
    name: "latency-histogram",
    caption: "Share of requests by response time, all rounds together; buckets grow with the time. Each row is scaled to its \
              own fullest bucket, whose share stands at its right. The slowest 0.1 % may lie beyond the right edge.",
    draw,
};

/// Height of all rows together, in px, as high as the chart of percentiles beside it. The height of
/// a row stays within [`ROW_LIMITS_PX`], even if the sum then differs.
const ROWS_PX: f64 = 304.0;

const ROW_LIMITS_PX: (f64, f64) = (44.0, 90.0);

/// Space right of the rows for the share of the fullest bucket, in px.
const SHARE_PX: f64 = 62.0;

/// Number of buckets from end to end of the axis, for any range of the axis.
const BUCKETS: usize = 110;

fn draw(results: &Results, workload: usize) -> Option<String> {
    let cells: Vec<&CellResult> = results.of_workload(workload).collect();
    let times = || cells.iter().filter_map(|cell| cell.response());
    let low = times().map(|times| times.value_at_quantile(0.001)).min()?;
    let high = times().map(|times| times.value_at_quantile(0.999)).max()?;
    let x = Axis::log("response", low.max(1) as f64, high.max(1) as f64, axis::time);

    let title =
        format!("Distribution of response times: {}", results.environment.workloads[workload].name);
    let note = format!("area: share of requests, line: median{}", doubts_note(&cells));
    let heading = Heading::layout(&title, &note, WIDTH_PX);
    let top = heading.height_px();
    let row_px = (ROWS_PX / cells.len() as f64).clamp(ROW_LIMITS_PX.0, ROW_LIMITS_PX.1);
    let all_rows_px = row_px * cells.len() as f64;
    let size = (WIDTH_PX as u32, (top + all_rows_px + BELOW_PX) as u32);
    Some(canvas::draw(size, &title, |canvas| {
        heading.draw(canvas);
        let names = cells.iter().map(|cell| text_width_px(&signed_name(results, cell), TEXT_PX));
        let left = 20.0 + names.fold(0.0, f64::max);
        let frame = Frame { left, top, right: WIDTH_PX - SHARE_PX, bottom: top + all_rows_px };
        let panel = Panel::draw(canvas, frame, x.clone(), Axis::bare());
        for (index, cell) in cells.iter().enumerate() {
            let bottom = top + row_px * (index as f64 + 1.0);
            canvas.line((left, bottom), (frame.right, bottom), INK, 0.8);
            let place = (left - 8.0, bottom - row_px / 2.0);
            canvas.text(&signed_name(results, cell), place, Font { align: HPos::Right, ..TEXT });
            draw_row(canvas, &panel, &x, cell, Frame { top: bottom - row_px, bottom, ..frame });
        }
    }))
}

fn draw_row(canvas: &mut Canvas, panel: &Panel, x: &Axis, cell: &CellResult, row: Frame) {
    let middle = f64::midpoint(row.top, row.bottom);
    let Some(times) = cell.response() else {
        let text = cell.why_nothing().unwrap_or("no histogram");
        return canvas.text(text, (row.left + 6.0, middle), Font { color: FAILED, ..TEXT });
    };
    let edges: Vec<f64> = x.evenly(BUCKETS).collect();
    let shares = shares(times, &edges);
    let highest = shares.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    let up = |share: f64| row.bottom - share / highest * (row.bottom - row.top - 8.0);
    let across = |ns: f64| panel.at(ns, 0.0).0;
    let steps = shares.iter().zip(edges.windows(2));
    let outline = steps
        .flat_map(|(share, edge)| [(across(edge[0]), up(*share)), (across(edge[1]), up(*share))]);
    let base = [(across(edges[BUCKETS]), row.bottom), (across(edges[0]), row.bottom)];
    let places: Vec<Place> = outline.chain(base).collect();
    let opacity = if cell.doubts().is_empty() { 0.75 } else { 0.25 };
    canvas.polygon(&places, look(cell.subject).color, opacity);
    let median = across(times.value_at_quantile(0.5) as f64);
    canvas.line((median, row.top + 4.0), (median, row.bottom), INK, 1.6);
    canvas.text(
        &format!("{} %", format::significant(highest * 100.0)),
        (row.right + 7.0, middle),
        NOTE,
    );
}

/// Returns the share of samples (0 to 1) between each pair of neighbouring `edges`, which are in
/// nanoseconds.
fn shares(times: &c10k_loadgen::measurement::Times, edges: &[f64]) -> Vec<f64> {
    let mut counts = vec![0; edges.len() - 1];
    for bucket in times.iter_recorded() {
        let value = bucket.value_iterated_to() as f64;
        let above = edges.partition_point(|edge| *edge <= value);
        if (1..edges.len()).contains(&above) {
            counts[above - 1] += bucket.count_since_last_iteration();
        }
    }
    counts.into_iter().map(|count| count as f64 / times.len() as f64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::merge;

    #[test]
    fn shares_are_of_all_samples_also_those_beyond_the_edges() {
        let mut times = merge::empty();
        for (ns, count) in [(5, 1), (10, 4), (19, 1), (20, 2), (300, 2)] {
            times.record_n(ns, count).unwrap();
        }
        assert_eq!(shares(&times, &[10.0, 20.0, 40.0]), [0.5, 0.2]);
    }
}
