//! Chart: shift of each percentile of the latency from the base to the candidate.

use c10k_reports::chart::axis::Axis;
use c10k_reports::chart::canvas::{Canvas, Place};
use c10k_reports::chart::palette::{INK, Look};

use super::super::change::percent;
use super::super::latencies::{Latencies, OfArm};
use super::change_axis::ChangeAxis;
use super::look;
use super::sheet::Sheet;
use super::{Drawn, TOLD};
use crate::block::Arm;
use crate::quantile_shift::{self, Shift};

/// Number of points of a curve, without those at ticks.
const POINTS: usize = 60;

/// Opacity of an interval.
const FAINT: f64 = 0.25;

/// The shifts of a server.
struct Curve<'a> {
    arm: &'a OfArm,
    shifts: Vec<Shift>,
}

const CAPTION: &str = "Candidate against base at each percentile: above 0 it is slower there. Each \
                       block compares its own percentiles; the curve is the estimate over blocks. \
                       It ends where a block has fewer than 10 requests beyond. Intervals are of \
                       one percentile alone.";

/// Draws the chart of a workload; `None` if the blocks have too few requests for a median.
pub fn draw(latencies: &Latencies, workload: &str) -> Option<Drawn> {
    let (base, others) = latencies.arms.split_first()?;
    let widest = Axis::percentiles(base.last_quantile().max(0.5));
    let curves: Vec<Curve> = others.iter().map(|arm| Curve::of(base, arm, &widest)).collect();
    let last = curves.iter().filter_map(Curve::last_quantile).reduce(f64::max)?;
    let y = change_axis(&curves);
    let sheet = Sheet::layout(
        &format!("Shift of each percentile: {workload}"),
        "band: 95 % interval of the candidate over blocks",
        curves.iter().map(|curve| curve.arm.arm),
    );
    let axes = (Axis::percentiles(last), y.axis());
    let svg = sheet.draw(&label(&curves, workload), axes, |canvas, panel| {
        let at = |quantile: f64, log_ratio: f64| panel.at(quantile, y.position(log_ratio));
        canvas.line(at(0.0, 0.0), at(last, 0.0), INK, 1.5);
        for curve in &curves {
            curve.draw(canvas, &at);
        }
    });
    Some(Drawn { svg, caption: CAPTION.to_owned() })
}

/// Creates the axis that covers all curves with their intervals.
fn change_axis(curves: &[Curve]) -> ChangeAxis {
    let values = || curves.iter().flat_map(|curve| &curve.shifts).flat_map(Shift::ends);
    let (low, high) = (values().fold(0.0, f64::min), values().fold(0.0, f64::max));
    ChangeAxis::covering("latency against the base’s", low, high)
}

/// Describes the chart for screen readers.
fn label(curves: &[Curve], workload: &str) -> String {
    let told: Vec<String> = curves
        .iter()
        .map(|curve| {
            let texts: Vec<String> =
                TOLD.iter().filter_map(|(quantile, name)| curve.text(*quantile, name)).collect();
            format!("{} {}", look::name(curve.arm.arm), texts.join(", "))
        })
        .collect();
    format!(
        "Shift of the percentiles of latency against the base under {workload}: {}",
        told.join("; ")
    )
}

impl Shift {
    /// Returns the lowest and the highest value that a chart has to cover.
    fn ends(&self) -> [f64; 2] {
        self.interval.map_or([self.log_ratio; 2], |(low, high)| [low, high])
    }
}

impl<'a> Curve<'a> {
    fn of(base: &OfArm, arm: &'a OfArm, x: &Axis) -> Self {
        let known_to = [base.known_to, arm.known_to].into_iter().flatten().reduce(f64::min);
        // The quantiles of the ticks are included, because the text alternative states them.
        let mut quantiles: Vec<f64> =
            x.evenly(POINTS).chain(x.ticks.iter().map(|(quantile, _)| *quantile)).collect();
        quantiles.sort_unstable_by(f64::total_cmp);
        quantiles.dedup();
        // Quantile 0 is left out: the fastest request of a block is an extreme, which says nothing
        // about the other requests.
        quantiles.retain(|quantile| *quantile > 0.0);
        let shifts =
            quantile_shift::of(&base.by_block, &arm.by_block, known_to, quantiles.into_iter());
        Self { arm, shifts }
    }

    /// Returns the shift at `quantile`, such as `p99 +3.20 %`.
    fn text(&self, quantile: f64, name: &str) -> Option<String> {
        let shift = self.shifts.iter().find(|shift| (shift.quantile - quantile).abs() < 1e-9)?;
        Some(format!("{name} {}", percent(shift.log_ratio)))
    }

    fn last_quantile(&self) -> Option<f64> {
        self.shifts.last().map(|shift| shift.quantile).filter(|last| *last >= 0.5)
    }

    fn draw(&self, canvas: &mut Canvas, at: &impl Fn(f64, f64) -> Place) {
        let look = look::of_arm(self.arm.arm);
        if self.arm.arm == Arm::Candidate {
            self.draw_interval(canvas, at, look);
        }
        let places: Vec<Place> =
            self.shifts.iter().map(|shift| at(shift.quantile, shift.log_ratio)).collect();
        canvas.curve(&places, look, 1.0);
    }

    fn draw_interval(&self, canvas: &mut Canvas, at: &impl Fn(f64, f64) -> Place, look: Look) {
        let lower = self.shifts.iter().map(|shift| at(shift.quantile, shift.ends()[0]));
        let upper = self.shifts.iter().rev().map(|shift| at(shift.quantile, shift.ends()[1]));
        let band: Vec<Place> = lower.chain(upper).collect();
        canvas.polygon(&band, look.color, FAINT);
    }
}
