//! Shift between two levels: the Hodges–Lehmann estimate of the shift between two samples, and the
//! interval that inverts the rank-sum test. Neither assumes anything about the noise, and a few odd
//! values among many move them little.

/// A shift, with its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shift {
    /// The estimate.
    pub estimate: f64,
    /// The interval; `None` if there are too few values for its confidence.
    pub interval: Option<(f64, f64)>,
}

/// Number of values nearest to the shift that are used from each sample. More values narrow the
/// interval only a little, and the exact distribution of their ranks takes time.
const NEAREST: usize = 30;

/// Returns the shift from the last values of `before` to the first values of `after`: the median of
/// all differences (Hodges and Lehmann, "Estimates of Location Based on Rank Tests", 1963), with
/// the interval of Moses (Hollander and Wolfe, "Nonparametric Statistical Methods", 1999, sections
/// 4.2 and 4.3). `None` if either sample is empty.
pub fn between(before: &[f64], after: &[f64], confidence: f64) -> Option<Shift> {
    let before = &before[before.len().saturating_sub(NEAREST)..];
    let after = &after[..after.len().min(NEAREST)];
    let differences = after.iter().flat_map(|b| before.iter().map(move |a| b - a));
    let mut differences: Vec<f64> = differences.collect();
    differences.sort_unstable_by(f64::total_cmp);
    let last = differences.len().checked_sub(1)?;
    let outside = largest_improbable(before.len(), after.len(), (1.0 - confidence) / 2.0);
    Some(Shift {
        estimate: f64::midpoint(differences[last / 2], differences[last.div_ceil(2)]),
        interval: outside.map(|outside| (differences[outside], differences[last - outside])),
    })
}

/// Returns the largest improbable number of pairs in which the value of the second sample is the
/// smaller one: without a shift, the probability of that many or fewer pairs is at most `tail`.
/// `None` if no number is so improbable.
fn largest_improbable(n: usize, m: usize, tail: f64) -> Option<usize> {
    let mut probability = 0.0;
    let cumulative = probabilities(n, m).into_iter().map(|single| {
        probability += single;
        probability
    });
    cumulative.take_while(|&probability| probability <= tail).count().checked_sub(1)
}

/// Returns the probability of each value of the Mann–Whitney statistic from 0 on, without a shift
/// (Mann and Whitney, "On a Test of Whether one of Two Random Variables is Stochastically Larger
/// than the Other", 1947). The recursion removes the largest of all values. It belongs either to
/// the first sample, and is then larger than all `m` values of the second sample, or to the second
/// sample.
fn probabilities(n: usize, m: usize) -> Vec<f64> {
    // Probabilities for each size of the second sample up to `m`, while the first sample grows.
    let mut of_first = vec![vec![1.0]; m + 1];
    for first in 1..=n {
        let mut grown: Vec<Vec<f64>> = vec![vec![1.0]];
        for second in 1..=m {
            grown.push(mixed(&of_first[second], &grown[second - 1], (first, second)));
        }
        of_first = grown;
    }
    of_first.swap_remove(m)
}

/// Mixes the probabilities of both cases. The largest value belongs to the first sample with a
/// probability equal to the share of this sample.
fn mixed(first: &[f64], second: &[f64], (n, m): (usize, usize)) -> Vec<f64> {
    let share = n as f64 / (n + m) as f64;
    let at = |probabilities: &[f64], value: Option<usize>| {
        value.and_then(|value| probabilities.get(value)).copied().unwrap_or(0.0)
    };
    let of = |value: usize| {
        share * at(first, value.checked_sub(m)) + (1.0 - share) * at(second, Some(value))
    };
    (0..=n * m).map(of).collect()
}

/// Returns the indices of values far away from the others: beyond a quartile by more than three
/// times the distance between the quartiles. Tukey calls these values "far out" ("Exploratory Data
/// Analysis", 1977).
pub fn far_out(values: &[f64]) -> Vec<usize> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let Some((low, high)) = quartiles(&sorted) else { return Vec::new() };
    let reach = FAR * (high - low);
    let is_far = |value: f64| value < low - reach || value > high + reach;
    (0..values.len()).filter(|&place| is_far(values[place])).collect()
}

/// Distance from a quartile beyond which a value is far out, in distances between the quartiles.
const FAR: f64 = 3.0;

/// Fewest values that have meaningful quartiles.
const FEWEST_FOR_QUARTILES: usize = 8;

/// Returns the quartiles: the medians of both halves, with the middle value in both halves. `None`
/// with too few values.
fn quartiles(sorted: &[f64]) -> Option<(f64, f64)> {
    let half = sorted.len().div_ceil(2);
    let median = |part: &[f64]| f64::midpoint(part[(part.len() - 1) / 2], part[part.len() / 2]);
    let enough = sorted.len() >= FEWEST_FOR_QUARTILES;
    enough.then(|| (median(&sorted[..half]), median(&sorted[sorted.len() - half..])))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Diffusion of water through membranes at term and at 12 to 26 weeks (Hollander and Wolfe,
    /// 1999, table 4.1).
    const TERM: [f64; 10] = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46];
    const EARLIER: [f64; 5] = [1.15, 0.88, 0.90, 0.74, 1.21];

    #[test]
    fn agrees_with_a_textbook() {
        // Sections 4.2 and 4.3 of Hollander and Wolfe: −0.305, and −0.76 to 0.15 at a confidence of
        // 96 %.
        let shift = between(&TERM, &EARLIER, 0.96).unwrap();
        assert!((shift.estimate + 0.305).abs() < 1e-9, "{shift:?}");
        let (low, high) = shift.interval.unwrap();
        assert!((low + 0.76).abs() < 1e-9 && (high - 0.15).abs() < 1e-9, "{shift:?}");
        // The ranks of the second sample add up to 30, which is 15 above the least (Hollander and
        // Wolfe, example 4.1).
        let probability: f64 = probabilities(10, 5)[..=15].iter().sum();
        assert!((probability - 0.127_206).abs() < 1e-5, "{probability}");
    }

    #[test]
    fn few_values_have_no_interval_of_high_confidence() {
        let shift = between(&[1.0, 2.0, 3.0], &[11.0, 12.0, 13.0], 0.95).unwrap();
        assert_eq!(shift, Shift { estimate: 10.0, interval: None });
        assert_eq!(between(&[], &[1.0], 0.95), None);
    }

    #[test]
    fn only_values_near_the_shift_count() {
        let before = [vec![500.0; 40], vec![1.0; NEAREST]].concat();
        assert_eq!(between(&before, &[2.0; 100], 0.95).unwrap().interval, Some((1.0, 1.0)));
    }

    #[test]
    fn one_odd_value_is_far_out_and_noise_is_not() {
        assert_eq!(far_out(&[1.0, 1.1, 0.9, 1.0, 9.0, 1.05, 0.95, 1.0]), [4]);
        assert_eq!(far_out(&[1.0, 1.1, 0.9, 1.0, 1.2, 1.05, 0.95, 1.0]), [0; 0]);
        assert_eq!(far_out(&[1.0, 1.0, 9.0]), [0; 0]);
    }
}
