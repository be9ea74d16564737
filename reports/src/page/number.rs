//! A number in a table: its text, and the remarks that a reader needs with it.

use crate::format;
use crate::metric::{Bound, Metric};
use crate::record::Record;
use crate::results::{doubts, measured, value};

/// A number in a table.
pub struct Number {
    /// The median, or a dash.
    pub text: String,
    /// Spread of the rounds, from its lower to its upper end; empty for one round.
    pub spread: String,
    /// True if the number is the best, or cannot be distinguished from the best.
    pub leads: bool,
    /// Mark of a number that cannot be compared; `None` if it can be compared.
    pub doubt: Option<DoubtMark>,
    /// Reason why the true value may be higher; empty if the number is exact.
    pub bound: String,
}

/// The mark of a number in doubt.
pub struct DoubtMark {
    /// The signs, such as `†`.
    pub signs: String,
    /// Meaning of the signs, in a sentence.
    pub meaning: String,
}

impl Number {
    /// Formats the value of `metric` over `records`, which are the rounds of one cell.
    pub fn of(records: &[Record], metric: &Metric, leads: bool) -> Self {
        let Some(value) = value(records, metric) else { return Self::missing() };
        let text = |value: f64| metric.format.text(value);
        let spread = value.spread;
        let median = text(spread.median);
        Self {
            text: if value.at_least { format!("≥\u{a0}{median}") } else { median },
            spread: if spread.rounds > 1 {
                range(&text(spread.low), &text(spread.high))
            } else {
                String::new()
            },
            leads,
            doubt: DoubtMark::of(records),
            bound: metric
                .bound
                .filter(|_| value.at_least)
                .map_or_else(String::new, Bound::sentence),
        }
    }

    fn missing() -> Self {
        let text = format::MISSING.to_owned();
        Self { text, spread: String::new(), leads: false, doubt: None, bound: String::new() }
    }

    /// Returns the tooltip of the number; empty if there is nothing to remark.
    pub fn remark(&self) -> String {
        let doubt = self.doubt.as_ref().map_or("", |doubt| &doubt.meaning);
        [doubt, &self.bound]
            .into_iter()
            .filter(|text| !text.is_empty())
            .collect::<Vec<_>>()
            .join(" ")
    }
}

impl DoubtMark {
    /// Returns the mark for the rounds in `records`; `None` if they have no doubts, or if none of
    /// them has a number.
    pub fn of(records: &[Record]) -> Option<Self> {
        let doubts = doubts(records);
        let meanings: Vec<&str> = doubts.iter().map(|doubt| doubt.meaning()).collect();
        let has_numbers = measured(records).next().is_some();
        (has_numbers && !doubts.is_empty()).then(|| Self {
            signs: doubts.iter().map(|doubt| doubt.sign()).collect(),
            meaning: format!("Not comparable: {}.", meanings.join(", ")),
        })
    }
}

/// Formats `low–high`, with the unit only once if both have the same unit.
fn range(low: &str, high: &str) -> String {
    let unit = |text: &str| text.split_once('\u{a0}').map(|(_, unit)| unit.to_owned());
    match (low.split_once('\u{a0}'), unit(high)) {
        (Some((number, low_unit)), Some(high_unit)) if low_unit == high_unit => {
            format!("{number}–{high}")
        }
        _ => format!("{low}–{high}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_says_its_unit_once() {
        assert_eq!(range("1.20\u{a0}ms", "3.40\u{a0}ms"), "1.20–3.40\u{a0}ms");
        assert_eq!(range("900\u{a0}µs", "3.40\u{a0}ms"), "900\u{a0}µs–3.40\u{a0}ms");
        assert_eq!(range("1,000", "2,000"), "1,000–2,000");
    }
}
