//! Change of a metric from the base to another server, as a reader sees it: the logarithm of the
//! ratio, positive if the number grew, no matter if that is better or worse.

use crate::series::Quantity;
use crate::verdict::Judged;

/// Change of a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The estimate.
    pub estimate: f64,
    /// Interval of the change; `None` with too few blocks.
    pub interval: Option<(f64, f64)>,
    /// The margin, in the direction that is worse.
    pub margin: f64,
    /// The change in each block.
    pub blocks: Vec<f64>,
}

impl Change {
    /// Returns the change of a judged metric; `None` for differences.
    pub fn of(judged: &Judged) -> Option<Self> {
        let Quantity::Metric { more_is_better, .. } = judged.series.quantity else { return None };
        let sign = if more_is_better { -1.0 } else { 1.0 };
        let turned =
            |(low, high): (f64, f64)| if more_is_better { (-high, -low) } else { (low, high) };
        Some(Self {
            estimate: sign * judged.estimate,
            interval: judged.interval.map(turned),
            margin: sign * judged.series.margin,
            blocks: judged.series.values.iter().map(|value| sign * value).collect(),
        })
    }

    /// Returns the lowest and the highest value that a chart of the change needs.
    pub fn range(&self) -> (f64, f64) {
        let (low, high) = self.interval.unwrap_or((self.estimate, self.estimate));
        (low.min(self.estimate), high.max(self.estimate))
    }

    /// Returns the estimate and its interval, such as `+5.10 % (+4.20 % to +6.01 %)`.
    pub fn text(&self) -> String {
        let interval = self.interval.map_or_else(
            || "too few blocks for an interval".to_owned(),
            |(low, high)| format!("{} to {}", percent(low), percent(high)),
        );
        format!("{} ({interval})", percent(self.estimate))
    }
}

/// Formats the logarithm of a ratio as a percentage with its sign, such as `+5.10 %`.
pub fn percent(log_ratio: f64) -> String {
    let percent = log_ratio.exp_m1() * 100.0;
    let decimals = match percent.abs() {
        small if small < 9.995 => 2,
        middle if middle < 99.95 => 1,
        _ => 0,
    };
    let number = format!("{:.decimals$}", percent.abs());
    let is_zero = number.bytes().all(|byte| byte == b'0' || byte == b'.');
    let sign = match (is_zero, percent < 0.0) {
        (true, _) => "",
        (false, true) => "−",
        (false, false) => "+",
    };
    format!("{sign}{number}\u{a0}%")
}

/// Formats a share as a percentage without needless digits, such as `2 %` or `0.5 %`.
pub fn share(share: f64) -> String {
    format!("{}\u{a0}%", c10k_reports::format::tick(share * 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_has_its_sign_and_the_digits_that_matter() {
        let text = |ratio: f64| percent(ratio.ln()).replace('\u{a0}', " ");
        let texts = [1.0, 1.0123, 0.98, 1.5, 3.0, 0.5].map(text);
        assert_eq!(texts, ["0.00 %", "+1.23 %", "−2.00 %", "+50.0 %", "+200 %", "−50.0 %"]);
        assert_eq!(share(0.005).replace('\u{a0}', " "), "0.5 %");
    }
}
