//! Change points of a history: the first value of each new level, found by E-divisive means
//! (Matteson and James, "A Nonparametric Approach for Multiple Change Point Analysis of Multivariate
//! Data", 2014), as MongoDB and Apache Otava find theirs (Daly et al., "The Use of Change Point
//! Detection to Identify Software Performance Regressions in a Continuous Integration System",
//! 2020).
//!
//! The history is cut where both sides differ most, and the cut is kept where chance alone makes
//! so large a difference too rarely. Then the parts are cut in the same way.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// Probability of a cut in a part without a change. A history is looked at after every new value,
/// so that it is lower than the 5 % of a single test.
const LEVEL: f64 = 0.01;

/// Random orders that a cut is compared with; a tenth of them would do for [`LEVEL`].
const ORDERS: usize = 999;

/// Fewest values of a level. One value is noise, and two of them have one distance only.
const FEWEST: usize = 3;

/// A cut, and how much both sides differ.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Cut {
    at: usize,
    difference: f64,
}

/// Indices at which a new level begins, in ascending order.
pub fn find(values: &[f64], seed: u64) -> Vec<usize> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut points = Vec::new();
    loop {
        let parts = parts(values, &points);
        let largest = |parts: &[Vec<f64>]| -> Option<(usize, Cut)> {
            let cuts = parts.iter().enumerate().filter_map(|(part, values)| Some((part, best_cut(values)?)));
            cuts.max_by(|a, b| a.1.difference.total_cmp(&b.1.difference))
        };
        let Some((part, cut)) = largest(&parts) else { return points };
        let as_large = (0..ORDERS).filter(|_| {
            let mut shuffled = parts.clone();
            shuffled.iter_mut().for_each(|part| part.shuffle(&mut random));
            largest(&shuffled).is_some_and(|(_, other)| other.difference >= cut.difference)
        });
        if (as_large.count() + 1) as f64 / (ORDERS + 1) as f64 > LEVEL {
            return points;
        }
        let before: usize = parts[..part].iter().map(Vec::len).sum();
        points.push(before + cut.at);
        points.sort_unstable();
    }
}

/// The levels between the points.
fn parts(values: &[f64], points: &[usize]) -> Vec<Vec<f64>> {
    let begins = std::iter::once(0).chain(points.iter().copied());
    let ends = points.iter().copied().chain(std::iter::once(values.len()));
    begins.zip(ends).map(|(begin, end)| values[begin..end].to_vec()).collect()
}

/// The cut of the largest difference; none of too few values.
fn best_cut(values: &[f64]) -> Option<Cut> {
    let last = values.len().checked_sub(FEWEST)?;
    let cuts = (FEWEST..=last).map(|at| {
        let (left, right) = values.split_at(at);
        Cut { at, difference: difference(left, right) }
    });
    cuts.max_by(|a, b| a.difference.total_cmp(&b.difference))
}

/// The energy statistic of two samples, scaled by their sizes: twice the mean distance between both,
/// less the mean distances within each (Matteson and James, equations 5 and 6, with α = 1).
fn difference(left: &[f64], right: &[f64]) -> f64 {
    let (n, m) = (left.len() as f64, right.len() as f64);
    let between: f64 = left.iter().flat_map(|a| right.iter().map(move |b| (a - b).abs())).sum();
    let energy = 2.0 * between / (n * m) - mean_distance(left) - mean_distance(right);
    n * m / (n + m) * energy
}

/// Mean distance of all pairs of different values.
fn mean_distance(values: &[f64]) -> f64 {
    let pairs = values.len() * (values.len() - 1) / 2;
    let distances = values
        .iter()
        .enumerate()
        .flat_map(|(place, a)| values[place + 1..].iter().map(move |b| (a - b).abs()));
    distances.sum::<f64>() / pairs as f64
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;

    /// Noise from −1 to 1 about the level of each place.
    fn noisy(count: usize, level: impl Fn(usize) -> f64) -> Vec<f64> {
        let mut random = ChaCha8Rng::seed_from_u64(4);
        (0..count).map(|place| level(place) + random.random_range(-1.0..1.0)).collect()
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
    fn noise_outliers_and_short_histories_have_no_steps() {
        let mut values = noisy(40, |_| 0.0);
        assert_eq!(find(&values, 1), [0; 0]);
        values[20] = 30.0;
        assert_eq!(find(&values, 1), [0; 0]);
        assert_eq!(find(&[1.0, 1.0, 9.0], 1), [0; 0]);
        assert_eq!(find(&[1.0; 30], 1), [0; 0]);
    }
}
