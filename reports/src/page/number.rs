//! A number in a table: its text, and what a reader has to know of it.

use crate::format;
use crate::metric::{Bound, Metric};
use crate::record::Record;
use crate::results::{doubts, measured, value};

/// A number in a table.
pub struct Number {
    /// The median, or a dash.
    pub text: String,
    /// Lowest to highest round; empty for one round.
    pub spread: String,
    /// Whether it is the best or cannot be told from the best.
    pub leads: bool,
    /// Why it cannot be compared; nothing where it can.
    pub doubt: Option<DoubtMark>,
    /// Why the true value may lie above; empty where it does not.
    pub bound: String,
}

/// The mark of a number in doubt.
pub struct DoubtMark {
    /// The signs, such as `†`.
    pub signs: String,
    /// Their meaning, in a sentence.
    pub meaning: String,
}

impl Number {
    /// The value of `metric` over `records`, which are rounds of one cell.
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
            bound: metric.bound.filter(|_| value.at_least).map_or_else(String::new, Bound::sentence),
        }
    }

    fn missing() -> Self {
        let text = format::MISSING.to_owned();
        Self { text, spread: String::new(), leads: false, doubt: None, bound: String::new() }
    }

    /// The text that appears while a pointer rests on it; empty where there is none.
    pub fn remark(&self) -> String {
        let doubt = self.doubt.as_ref().map_or("", |doubt| &doubt.meaning);
        [doubt, &self.bound].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ")
    }
}

impl DoubtMark {
    /// The mark of the rounds in `records`; nothing where they are beyond doubt, or none has a
    /// number.
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

/// `low–high`, the unit once where both have the same.
fn range(low: &str, high: &str) -> String {
    let unit = |text: &str| text.split_once('\u{a0}').map(|(_, unit)| unit.to_owned());
    match (low.split_once('\u{a0}'), unit(high)) {
        (Some((number, low_unit)), Some(high_unit)) if low_unit == high_unit => format!("{number}–{high}"),
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
