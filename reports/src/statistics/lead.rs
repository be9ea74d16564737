//! Finds the best values, as far as the rounds can tell them apart.
//!
//! Overlap of intervals is a cautious test: intervals that do not overlap differ at a level well
//! below that of either, while some that overlap differ too (Schenker and Gentleman, "On Judging
//! the Significance of Differences by Examining the Overlap Between Confidence Intervals", 2001).
//! Cautious is the right side to err on for a mark in a table.

use super::spread::Spread;

/// The better direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// More is better, as of throughput.
    Higher,
    /// Less is better, as of CPU time.
    Lower,
}

/// A value over rounds, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Value {
    /// The rounds.
    pub spread: Spread,
    /// Whether the true value may lie above, so that this is a lower bound of it.
    pub at_least: bool,
}

/// For each value whether it is the best or cannot be told from the best; nothing stands for a
/// value that takes no part.
///
/// No value leads where one rests on fewer than two rounds, where there is nothing to compare, or
/// where no value can be told from the best. Exact values are compared among themselves. A lower
/// bound leads only where more is better and it lies above every exact value, which then do not
/// lead; a bound that cannot be told from the exact values changes nothing for them.
pub fn leaders(values: &[Option<Value>], better: Better) -> Vec<bool> {
    let none = || vec![false; values.len()];
    let present = || values.iter().flatten();
    if present().any(|value| value.spread.rounds < 2) {
        return none();
    }
    let exact = || values.iter().flatten().filter(|value| !value.at_least).map(|value| value.spread);
    let bounds = || present().filter(|value| value.at_least && better == Better::Higher);
    let Some(best) = best(exact(), better) else { return none() };
    // Where all exact values overlap the best, none of them stands out from the others.
    let told_apart = exact().any(|spread| !best.overlaps(&spread));
    let is_beaten = |spread: &Spread| bounds().any(|bound| bound.spread.low > spread.high);
    let beats_all = |bound: &Spread| exact().all(|spread| bound.low > spread.high);
    let leads = |value: &Value| {
        if value.at_least {
            return better == Better::Higher && beats_all(&value.spread);
        }
        told_apart && best.overlaps(&value.spread) && !is_beaten(&value.spread)
    };
    values.iter().map(|value| value.as_ref().is_some_and(leads)).collect()
}

fn best(spreads: impl Iterator<Item = Spread>, better: Better) -> Option<Spread> {
    let order = |a: &Spread, b: &Spread| a.median.total_cmp(&b.median);
    match better {
        Better::Higher => spreads.max_by(order),
        Better::Lower => spreads.min_by(order),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(low: f64, high: f64) -> Option<Value> {
        Spread::of(&[low, high]).map(|spread| Value { spread, at_least: false })
    }

    fn bound(low: f64, high: f64) -> Option<Value> {
        exact(low, high).map(|value| Value { at_least: true, ..value })
    }

    #[test]
    fn values_that_overlap_the_best_lead_with_it() {
        let values = [exact(10.0, 12.0), exact(11.0, 14.0), exact(5.0, 6.0), None];
        assert_eq!(leaders(&values, Better::Higher), [true, true, false, false]);
        assert_eq!(leaders(&values, Better::Lower), [false, false, true, false]);
    }

    #[test]
    fn no_value_leads_where_none_falls_behind() {
        let values = [exact(10.0, 12.0), exact(11.0, 14.0)];
        assert_eq!(leaders(&values, Better::Higher), [false, false]);
        assert_eq!(leaders(&values[..1], Better::Higher), [false]);
    }

    #[test]
    fn no_value_leads_after_one_round() {
        let value = |value| Spread::of(&[value]).map(|spread| Value { spread, at_least: false });
        assert_eq!(leaders(&[value(10.0), value(20.0)], Better::Higher), [false, false]);
    }

    #[test]
    fn a_bound_leads_only_above_every_exact_value() {
        let values = [exact(10.0, 12.0), exact(5.0, 6.0), bound(13.0, 15.0)];
        assert_eq!(leaders(&values, Better::Higher), [false, false, true]);
        let values = [exact(10.0, 12.0), bound(13.0, 15.0)];
        assert_eq!(leaders(&values, Better::Higher), [false, true]);
    }

    #[test]
    fn a_bound_that_cannot_be_told_apart_changes_nothing() {
        let values = [exact(10.0, 12.0), exact(5.0, 6.0), bound(11.0, 15.0)];
        assert_eq!(leaders(&values, Better::Higher), [true, false, false]);
        let values = [exact(10.0, 12.0), exact(5.0, 6.0), bound(7.0, 8.0)];
        assert_eq!(leaders(&values, Better::Higher), [true, false, false]);
    }

    #[test]
    fn a_bound_beats_only_the_exact_values_below_it() {
        // The first and the second cannot be told apart, and the bound lies above the first alone.
        let values = [exact(9.0, 11.0), exact(10.0, 14.0), exact(1.0, 2.0), bound(12.0, 20.0)];
        assert_eq!(leaders(&values, Better::Higher), [false, true, false, false]);
    }

    #[test]
    fn bounds_alone_tell_nothing() {
        assert_eq!(leaders(&[bound(10.0, 12.0), bound(20.0, 22.0)], Better::Higher), [false, false]);
    }

    #[test]
    fn where_less_is_better_a_lower_bound_never_leads() {
        let values = [exact(10.0, 12.0), exact(5.0, 6.0), bound(1.0, 2.0)];
        assert_eq!(leaders(&values, Better::Lower), [false, true, false]);
    }
}
