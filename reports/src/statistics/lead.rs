//! Finds the best values, as far as the rounds can distinguish them.
//!
//! The test, its level and the fewest rounds are in [`apart`]. The test compares ratios, so a
//! column with a value that is not above zero has no best value.

use std::collections::{BTreeMap, BTreeSet};

use super::apart::{self, FEWEST_ROUNDS, Layout};

/// The better direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// More is better, as for throughput.
    Higher,
    /// Less is better, as for CPU time.
    Lower,
}

/// Value of one subject in each round.
#[derive(Debug, Clone, PartialEq)]
pub struct Contender {
    /// Round → value.
    pub rounds: BTreeMap<u32, f64>,
    /// True if the true value may be higher, so that this value is a lower bound.
    pub at_least: bool,
}

/// Returns true for each contender that is the best or cannot be distinguished from the best.
/// `None` stands for a subject that takes no part.
///
/// No value leads if the contenders have too few rounds in common, if there is nothing to compare,
/// or if no value can be distinguished from the best. Exact values are compared with each other. A
/// lower bound leads only if more is better and the bound lies above every exact value; the exact
/// values then do not lead. A bound that cannot be distinguished from the exact values changes
/// nothing for them.
pub fn leaders(contenders: &[Option<Contender>], better: Better) -> Vec<bool> {
    let mut leads = vec![false; contenders.len()];
    let exact = logs(contenders, better, |contender| !contender.at_least);
    let best = apart::highest(&exact.logs);
    // If all exact values stay, none of them stands out.
    if best.len() < exact.logs.len() {
        for place in best {
            leads[exact.subjects[place]] = true;
        }
    }
    if better == Better::Higher {
        raise_bounds(contenders, &mut leads);
    }
    leads
}

/// Gives the lead to bounds that lie above every exact value, and takes it from the exact values
/// that lie below a bound.
fn raise_bounds(contenders: &[Option<Contender>], leads: &mut [bool]) {
    let all = logs(contenders, Better::Higher, |_| true);
    let is_bound = |place: &usize| {
        contenders[all.subjects[*place]].as_ref().is_some_and(|contender| contender.at_least)
    };
    let (bounds, exact): (Vec<usize>, Vec<usize>) = (0..all.subjects.len()).partition(is_bound);
    if bounds.is_empty() || exact.is_empty() {
        return;
    }
    let layout = Layout::of(all.logs.iter().map(Vec::as_slice).collect());
    for bound in bounds {
        let below = || exact.iter().filter(|exact| layout.is_above(bound, **exact));
        leads[all.subjects[bound]] = below().count() == exact.len();
        for exact in below() {
            leads[all.subjects[*exact]] = false;
        }
    }
}

/// Logarithms of the values in the rounds that the contenders have in common; higher is better.
#[derive(Debug, Default)]
struct Logs {
    /// Indices of the contenders.
    subjects: Vec<usize>,
    /// Logarithms of each contender, by round.
    logs: Vec<Vec<f64>>,
}

/// Returns the logarithms of the contenders that `takes_part` selects; of no contender if a value
/// has no logarithm or there are too few rounds.
fn logs(
    contenders: &[Option<Contender>],
    better: Better,
    takes_part: impl Fn(&Contender) -> bool,
) -> Logs {
    let present =
        contenders.iter().enumerate().filter_map(|(index, one)| Some((index, one.as_ref()?)));
    let present: Vec<_> = present.filter(|(_, contender)| takes_part(contender)).collect();
    let rounds = common_rounds(present.iter().map(|(_, contender)| *contender));
    let sign = if better == Better::Higher { 1.0 } else { -1.0 };
    let of = |contender: &Contender| {
        rounds.iter().map(|round| sign * contender.rounds[round].ln()).collect()
    };
    let logs: Vec<Vec<f64>> = present.iter().map(|(_, contender)| of(contender)).collect();
    if rounds.len() < FEWEST_ROUNDS || logs.iter().flatten().any(|log| !log.is_finite()) {
        return Logs::default();
    }
    Logs { subjects: present.into_iter().map(|(index, _)| index).collect(), logs }
}

/// Returns the rounds in which every one of `contenders` has a value.
fn common_rounds<'a>(contenders: impl Iterator<Item = &'a Contender>) -> BTreeSet<u32> {
    let rounds =
        contenders.map(|contender| contender.rounds.keys().copied().collect::<BTreeSet<u32>>());
    rounds.reduce(|common, rounds| &common & &rounds).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Builds a contender with four rounds around the middle of `low` and `high`.
    fn exact(low: f64, high: f64) -> Contender {
        let step = (high - low) / 3.0;
        let rounds = (1..=4).zip([low, high - step, low + step, high]).collect();
        Contender { rounds, at_least: false }
    }

    fn bound(low: f64, high: f64) -> Contender {
        Contender { at_least: true, ..exact(low, high) }
    }

    fn leaders<const N: usize>(contenders: [Contender; N], better: Better) -> Vec<bool> {
        super::leaders(&contenders.map(Some), better)
    }

    #[test]
    fn values_that_cannot_be_distinguished_from_the_best_lead_with_it() {
        let values = || [exact(10.0, 10.5), exact(10.1, 10.4), exact(5.0, 5.2)];
        assert_eq!(leaders(values(), Better::Higher), [true, true, false]);
        assert_eq!(leaders(values(), Better::Lower), [false, false, true]);
        let with_a_gap = [Some(exact(10.0, 10.5)), None, Some(exact(5.0, 5.2))];
        assert_eq!(super::leaders(&with_a_gap, Better::Higher), [true, false, false]);
    }

    #[test]
    fn no_value_leads_if_all_are_equal() {
        let values = [exact(10.0, 12.0), exact(11.0, 12.0)];
        assert_eq!(leaders(values, Better::Higher), [false, false]);
        assert_eq!(leaders([exact(10.0, 12.0)], Better::Higher), [false]);
        assert!(leaders([], Better::Higher).is_empty());
    }

    #[test]
    fn no_value_leads_after_two_rounds() {
        let value = |value| Contender { rounds: [(1, value), (2, value)].into(), at_least: false };
        assert_eq!(leaders([value(10.0), value(20.0)], Better::Higher), [false, false]);
    }

    #[test]
    fn only_rounds_that_all_have_are_compared() {
        let without = |rounds: &[u32], low, high| {
            let mut contender = exact(low, high);
            contender.rounds.retain(|round, _| !rounds.contains(round));
            contender
        };
        let one_lost = [without(&[4], 10.0, 10.2), exact(5.0, 5.1)];
        assert_eq!(leaders(one_lost, Better::Higher), [true, false]);
        let two_lost = [without(&[4], 10.0, 10.2), without(&[1], 5.0, 5.1)];
        assert_eq!(leaders(two_lost, Better::Higher), [false, false]);
    }

    #[test]
    fn a_column_with_a_zero_has_no_best_value() {
        assert_eq!(leaders([exact(0.0, 0.0), exact(5.0, 5.1)], Better::Lower), [false, false]);
    }

    #[test]
    fn a_bound_leads_only_above_every_exact_value() {
        let values = [exact(10.0, 10.2), exact(5.0, 5.1), bound(13.0, 13.2)];
        assert_eq!(leaders(values, Better::Higher), [false, false, true]);
        let values = [exact(10.0, 10.2), bound(13.0, 13.2)];
        assert_eq!(leaders(values, Better::Higher), [false, true]);
    }

    #[test]
    fn a_bound_that_cannot_be_distinguished_changes_nothing() {
        let values = [exact(10.0, 10.2), exact(5.0, 5.1), bound(10.4, 10.0)];
        assert_eq!(leaders(values, Better::Higher), [true, false, false]);
        let values = [exact(10.0, 10.2), exact(5.0, 5.1), bound(7.0, 7.1)];
        assert_eq!(leaders(values, Better::Higher), [true, false, false]);
    }

    #[test]
    fn a_bound_beats_only_the_exact_values_below_it() {
        // The first and the second value cannot be distinguished, and the bound lies above the
        // first only.
        let noisy = [9.0, 14.0, 10.0, 15.0];
        let noisy = Contender { rounds: (1..=4).zip(noisy).collect(), at_least: false };
        let values = [exact(10.0, 10.1), noisy, exact(1.0, 1.01), bound(14.5, 14.6)];
        assert_eq!(leaders(values, Better::Higher), [false, true, false, false]);
    }

    #[test]
    fn bounds_alone_have_no_leader() {
        assert_eq!(leaders([bound(10.0, 12.0), bound(20.0, 22.0)], Better::Higher), [false, false]);
    }

    #[test]
    fn a_lower_bound_never_leads_if_less_is_better() {
        let values = [exact(10.0, 10.2), exact(5.0, 5.1), bound(1.0, 1.01)];
        assert_eq!(leaders(values, Better::Lower), [false, true, false]);
    }
}
