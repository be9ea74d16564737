//! Chart: latency by percentile of each server, all blocks together, as the plotter of
//! `HdrHistogram` by Gil Tene draws it.

use c10k_reports::chart::axis::{self, Axis};
use c10k_reports::chart::canvas::Canvas;
use c10k_reports::chart::panel::Panel;
use c10k_reports::chart::percentile_curve;
use c10k_reports::format;

use super::super::latencies::{Latencies, OfArm};
use super::look;
use super::sheet::Sheet;
use super::{Drawn, TOLD};

const CAPTION: &str = "How long the slowest requests take, from the intended send to the last byte; \
                       lower is better. A single slow block may shape the tail of these curves: \
                       what is judged are percentiles of slices. A curve ends where fewer than 10 \
                       requests lie beyond it.";

/// Draws the curves of a workload; `None` if too few requests have a latency.
pub fn draw(latencies: &Latencies, workload: &str) -> Option<Drawn> {
    let curves: Vec<&OfArm> =
        latencies.arms.iter().filter(|arm| arm.last_quantile() >= 0.5).collect();
    let x = Axis::percentiles(curves.iter().map(|arm| arm.last_quantile()).reduce(f64::max)?);
    let low = curves.iter().map(|arm| arm.merged.min()).min()? as f64;
    let high =
        curves.iter().map(|arm| arm.merged.value_at_quantile(arm.last_quantile())).max()? as f64;
    let y = Axis::covering("latency", low, high, axis::time);
    let title = format!("Latency by percentile: {workload}");
    let sheet = Sheet::layout(&title, "all blocks together", curves.iter().map(|arm| arm.arm));
    let marked: Vec<f64> = x.ticks.iter().map(|(quantile, _)| *quantile).collect();
    let svg = sheet.draw(&label(&curves, workload), (x, y), |canvas, panel| {
        for arm in &curves {
            draw_curve(canvas, panel, arm, &marked);
        }
    });
    Some(Drawn { svg, caption: CAPTION.to_owned() })
}

/// Draws the curve of a server, with points at the `marked` quantiles.
fn draw_curve(canvas: &mut Canvas, panel: &Panel, arm: &OfArm, marked: &[f64]) {
    let last = arm.last_quantile();
    let points = percentile_curve::points(&arm.merged, last);
    let places: Vec<_> = points.map(|(quantile, ns)| panel.at(quantile, ns)).collect();
    canvas.curve(&places, look::of_arm(arm.arm), 1.0);
    for &quantile in marked.iter().filter(|quantile| **quantile <= last) {
        let ns = arm.merged.value_at_quantile(quantile) as f64;
        canvas.marker(panel.at(quantile, ns), look::of_arm(arm.arm), 3.5);
    }
}

/// Describes the chart for screen readers.
fn label(curves: &[&OfArm], workload: &str) -> String {
    let told: Vec<String> = curves
        .iter()
        .map(|arm| {
            let shown = TOLD.iter().filter(|(quantile, _)| *quantile <= arm.last_quantile());
            let text = |(quantile, name): &(f64, &str)| {
                format!(
                    "{name} {}",
                    format::time_ns(arm.merged.value_at_quantile(*quantile) as f64)
                )
            };
            format!("{} {}", look::name(arm.arm), shown.map(text).collect::<Vec<_>>().join(", "))
        })
        .collect();
    format!("Latency by percentile under {workload}: {}", told.join("; "))
}
