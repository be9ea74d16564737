//! Change points of a history: the first value of each new level, found by E-divisive means
//! (Matteson and James, "A Nonparametric Approach for Multiple Change Point Analysis of
//! Multivariate Data", 2014). `MongoDB` and Apache Otava use the same method (Daly et al., "The Use
//! of Change Point Detection to Identify Software Performance Regressions in a Continuous
//! Integration System", 2020).
//!
//! The history is cut where both sides differ most. The cut is kept if chance alone rarely makes so
//! large a difference. Then the parts are cut in the same way.
//!
//! A part is first cut in two, as the program of `MongoDB` does. If that finds nothing, the part is
//! cut in three, as Matteson and James do: the left side is compared with the stretch after it,
//! which may end before the part does. Only a cut in three finds a regression that was repaired
//! after a while, because both ends of such a part are alike. Only a cut in two finds a step that
//! is three values old.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// Probability of a cut in a part without a change, for each of the two ways of cutting; 1 % for
/// both. It is lower than the 5 % of a single test, because a history is tested after every new
/// value: of 400 simulated series of noise, 0.8 % had a step when tested once, and 5 % had a step
/// at some time when tested after each of 49 values.
const LEVEL: f64 = 0.005;

/// Number of random orders that a cut is compared with, so that [`LEVEL`] is five of them.
const ORDERS: usize = 999;

/// Fewest values of a level. One value is noise, and two values have only one distance.
pub const FEWEST: usize = 3;

/// Fewest values of a history in which a step is likely to be found. Of two levels of equal length,
/// 2 of 924 orders keep each level together, far below `LEVEL`. With 11 values it would be 2 of
/// 462, which is so close to `LEVEL` that a step is found with only about half of all seeds.
pub const FEWEST_WITH_STEP: usize = 12;

/// Tolerance for rounding: sums of the same distances differ a little if they are added in another
/// order.
const ROUNDING: f64 = 1e-9;

/// A cut, with the difference between its sides.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Cut {
    at: usize,
    difference: f64,
}

/// End of the right side of a cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RightSide {
    /// The end of the part, so that the part is cut in two.
    WholeRest,
    /// Any place, so that another level may follow the right side: the part is cut in three.
    AnyStretch,
}

impl RightSide {
    /// Returns the possible ends of the right side of a cut at `at` in a part of `length` values.
    /// Either no values follow the right side, or enough for a level.
    fn ends(self, at: usize, length: usize) -> impl Iterator<Item = usize> {
        let first = match self {
            Self::WholeRest => length,
            Self::AnyStretch => at + FEWEST,
        };
        (first..=length).filter(move |&end| end == length || end + FEWEST <= length)
    }
}

/// Returns the indices at which a new level begins, in ascending order. The same seed gives the
/// same result.
pub fn find(values: &[f64], seed: u64) -> Vec<usize> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut points = Vec::new();
    loop {
        let parts = parts(values, &points);
        let ways = [RightSide::WholeRest, RightSide::AnyStretch];
        let Some(at) = ways.into_iter().find_map(|way| significant_cut(&parts, way, &mut random))
        else {
            return points;
        };
        points.push(at);
        points.sort_unstable();
    }
}

/// Returns the values between the points, a part for each level.
fn parts(values: &[f64], points: &[usize]) -> Vec<Vec<f64>> {
    let begins = std::iter::once(0).chain(points.iter().copied());
    let ends = points.iter().copied().chain(std::iter::once(values.len()));
    begins.zip(ends).map(|(begin, end)| values[begin..end].to_vec()).collect()
}

/// Returns the index of the largest cut if it is significant: values in random order within their
/// parts have an equally large cut with a probability of at most [`LEVEL`].
fn significant_cut(parts: &[Vec<f64>], right: RightSide, random: &mut ChaCha8Rng) -> Option<usize> {
    let (part, cut) = largest_cut(parts, right)?;
    let as_large = (0..ORDERS).filter(|_| {
        let mut shuffled = parts.to_vec();
        for part in &mut shuffled {
            part.shuffle(random);
        }
        let other = largest_cut(&shuffled, right);
        other.is_some_and(|(_, other)| other.difference >= cut.difference * (1.0 - ROUNDING))
    });
    // The order of the values themselves counts as one of the orders. Counting ends as soon as the
    // result is certain, which is early in a history without a step.
    let too_many = (LEVEL * (ORDERS + 1) as f64) as usize;
    let is_rare = as_large.take(too_many).count() < too_many;
    is_rare.then(|| parts[..part].iter().map(Vec::len).sum::<usize>() + cut.at)
}

/// Returns the largest cut of all parts, with the index of its part.
fn largest_cut(parts: &[Vec<f64>], right: RightSide) -> Option<(usize, Cut)> {
    let cuts = parts
        .iter()
        .enumerate()
        .filter_map(|(part, values)| Some((part, best_cut(values, right)?)));
    cuts.max_by(|a, b| a.1.difference.total_cmp(&b.1.difference))
}

/// Returns the cut with the largest difference; `None` with too few values.
fn best_cut(values: &[f64], right: RightSide) -> Option<Cut> {
    let last = values.len().checked_sub(FEWEST)?;
    let distances = Distances::of(values);
    let cuts =
        (FEWEST..=last).flat_map(|at| right.ends(at, values.len()).map(move |end| (at, end)));
    let cuts = cuts.map(|(at, end)| Cut { at, difference: distances.difference(at, end) });
    cuts.max_by(|a, b| a.difference.total_cmp(&b.difference))
}

/// Sums of the distances between the first `rows` values and the first `columns` values, for all
/// `rows` and `columns`, so that the difference of every cut is computed in constant time.
struct Distances {
    sums: Vec<f64>,
    width: usize,
}

impl Distances {
    fn of(values: &[f64]) -> Self {
        let width = values.len() + 1;
        let mut sums = vec![0.0; width * width];
        for (row, a) in values.iter().enumerate() {
            let mut of_row = 0.0;
            for (column, b) in values.iter().enumerate() {
                of_row += (a - b).abs();
                sums[(row + 1) * width + column + 1] = sums[row * width + column + 1] + of_row;
            }
        }
        Self { sums, width }
    }

    fn sum(&self, rows: usize, columns: usize) -> f64 {
        self.sums[rows * self.width + columns]
    }

    /// Returns the energy statistic of the values before `at` and the values from `at` to `end`,
    /// scaled by their numbers: twice the mean distance between both sides, minus the mean distance
    /// within each side, which includes the distance of a value to itself (Székely and Rizzo,
    /// "Energy Statistics", 2013).
    fn difference(&self, at: usize, end: usize) -> f64 {
        let (n, m) = (at as f64, (end - at) as f64);
        let left = self.sum(at, at);
        let between = self.sum(at, end) - left;
        let right = self.sum(end, end) - left - 2.0 * between;
        n * m / (n + m) * (2.0 * between / (n * m) - left / (n * n) - right / (m * m))
    }
}

#[cfg(test)]
mod reference;

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::reference::REFERENCES;
    use super::*;

    /// Returns noise from −1 to 1 around the level of each place.
    fn noisy(count: usize, level: impl Fn(usize) -> f64) -> Vec<f64> {
        let mut random = ChaCha8Rng::seed_from_u64(4);
        (0..count).map(|place| level(place) + random.random_range(-1.0..1.0)).collect()
    }

    #[test]
    fn agrees_with_the_program_of_mongodb() {
        for reference in REFERENCES {
            let whole = Distances::of(reference.values);
            let statistic = whole.difference(reference.cut, reference.values.len());
            assert!(
                (statistic - reference.statistic).abs() < 1e-8,
                "{}: {statistic}",
                reference.name
            );
            let found = find(reference.values, 1);
            if reference.name == "three steps" {
                // A cut in two misses the other steps, because both ends of the remaining part are
                // alike. A cut in three finds them.
                assert_eq!(found, [10, 20, 30]);
            } else {
                assert_eq!(found, reference.points, "{}", reference.name);
            }
        }
    }

    #[test]
    fn a_step_is_found_where_it_begins() {
        let values = noisy(40, |place| if place < 23 { 0.0 } else { 3.0 });
        assert_eq!(find(&values, 1), [23]);
    }

    #[test]
    fn steps_up_and_down_are_both_found() {
        let level = |place: usize| if (15..30).contains(&place) { 4.0 } else { 0.0 };
        assert_eq!(find(&noisy(45, level), 1), [15, 30]);
    }

    #[test]
    fn a_large_step_is_found_after_three_values() {
        for after in [1, 2, 3] {
            let values = noisy(25 + after, |place| if place < 25 { 0.0 } else { 6.0 });
            let expected: &[usize] = if after < FEWEST { &[] } else { &[25] };
            assert_eq!(find(&values, 1), expected);
        }
    }

    #[test]
    fn a_history_of_too_few_values_has_no_step_however_large() {
        let halves =
            |count: usize| noisy(count, |place| if place < count / 2 { 0.0 } else { 1000.0 });
        assert_eq!(find(&halves(FEWEST_WITH_STEP), 1), [FEWEST_WITH_STEP / 2]);
        assert_eq!(find(&halves(FEWEST_WITH_STEP - 2), 1), [0; 0]);
    }

    #[test]
    fn about_one_of_a_hundred_series_of_noise_has_a_step() {
        let mut random = ChaCha8Rng::seed_from_u64(9);
        let with_step = (0..300).filter(|_| {
            let noise: Vec<f64> = (0..30).map(|_| random.random_range(-1.0..1.0)).collect();
            !find(&noise, 1).is_empty()
        });
        // At a rate of 1 %, more than 8 of 300 have a probability of 0.4 %.
        let with_step = with_step.count();
        assert!(with_step <= 8, "{with_step}");
    }

    #[test]
    fn noise_outliers_and_short_histories_have_no_steps() {
        let mut values = noisy(40, |_| 0.0);
        assert_eq!(find(&values, 1), [0; 0]);
        values[20] = 30.0;
        assert_eq!(find(&values, 1), [0; 0]);
        assert_eq!(find(&[1.0, 1.0, 9.0], 1), [0; 0]);
        assert_eq!(find(&[1.0; 30], 1), [0; 0]);
        assert_eq!(find(&[], 1), [0; 0]);
    }
}
