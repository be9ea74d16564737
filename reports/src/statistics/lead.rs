//! Who leads, as far as the rounds can tell.
//!
//! Overlap of intervals is a cautious test: intervals that do not overlap differ at a level well below that of either, while
//! some that overlap differ too (Schenker and Gentleman, "On Judging the Significance of Differences by Examining the
//! Overlap Between Confidence Intervals", 2001). Cautious is the right side to err on for a mark in a table.

use super::spread::Spread;

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// More is better, as of throughput.
    Higher,
    /// Less is better, as of CPU time.
    Lower,
}

/// For each value whether it is the best or cannot be told from the best. Nobody leads where fewer than two rounds were
/// made of any value, where there is nothing to compare, or where no value can be told from the best.
pub fn leaders(values: &[Option<Spread>], better: Better) -> Vec<bool> {
    let present = || values.iter().flatten();
    let order = |a: &&Spread, b: &&Spread| a.median.total_cmp(&b.median);
    let best = match better {
        Better::Higher => present().max_by(order),
        Better::Lower => present().min_by(order),
    };
    let repeated = present().all(|spread| spread.rounds > 1);
    let leads = |spread: &Spread| repeated && best.is_some_and(|best| best.overlaps(spread));
    if present().all(leads) {
        return vec![false; values.len()];
    }
    values.iter().map(|value| value.as_ref().is_some_and(leads)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(values: &[f64]) -> Option<Spread> {
        Spread::of(values)
    }

    #[test]
    fn whoever_overlaps_the_best_leads_with_it() {
        let values = [spread(&[10.0, 12.0]), spread(&[11.0, 14.0]), spread(&[5.0, 6.0]), None];
        assert_eq!(leaders(&values, Better::Higher), [true, true, false, false]);
        assert_eq!(leaders(&values, Better::Lower), [false, false, true, false]);
    }

    #[test]
    fn nobody_leads_where_nobody_falls_behind() {
        let values = [spread(&[10.0, 12.0]), spread(&[11.0, 14.0])];
        assert_eq!(leaders(&values, Better::Higher), [false, false]);
        assert_eq!(leaders(&values[..1], Better::Higher), [false]);
    }

    #[test]
    fn one_round_crowns_nobody() {
        let values = [spread(&[10.0]), spread(&[20.0])];
        assert_eq!(leaders(&values, Better::Higher), [false, false]);
    }
}
