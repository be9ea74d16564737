//! Wilcoxon's signed-rank statistic, and the interval that inverts its test (Wilcoxon, "Individual
//! Comparisons by Ranking Methods", 1945).

use crate::hodges_lehmann::walsh_averages;

/// Signed ranks of values: the rank of each value by its distance from zero, with its sign.
///
/// Equal distances share their mean rank. A value of zero takes a rank and has no sign (Pratt,
/// "Remarks on Zeros and Ties in the Wilcoxon Signed Rank Procedures", 1959), so that a metric that
/// never changes shows no effect.
#[derive(Debug, Clone, PartialEq)]
pub struct SignedRanks {
    signed: Vec<f64>,
    /// Standard deviation of the sum under random signs.
    deviation: f64,
}

impl SignedRanks {
    /// Ranks the distances of `values` from `center`.
    pub fn about(center: f64, values: &[f64]) -> Self {
        let shifted: Vec<f64> = values.iter().map(|value| value - center).collect();
        let mut order: Vec<usize> = (0..shifted.len()).collect();
        order.sort_by(|&a, &b| shifted[a].abs().total_cmp(&shifted[b].abs()));
        let mut signed = vec![0.0; shifted.len()];
        let mut first = 0;
        for equal in order.chunk_by(|&a, &b| shifted[a].abs().total_cmp(&shifted[b].abs()).is_eq())
        {
            let rank = first as f64 + f64::midpoint(1.0, equal.len() as f64);
            for &place in equal {
                signed[place] =
                    if shifted[place] == 0.0 { 0.0 } else { rank.copysign(shifted[place]) };
            }
            first += equal.len();
        }
        let deviation = signed.iter().map(|rank| rank * rank).sum::<f64>().sqrt();
        Self { signed, deviation }
    }

    /// Returns the sum of the signed ranks in units of its standard deviation; 0 if every value is
    /// zero.
    pub fn statistic(&self) -> f64 {
        self.standardised(self.signed.iter().sum())
    }

    /// Returns the signed rank of each value.
    pub(crate) fn signed(&self) -> &[f64] {
        &self.signed
    }

    /// Returns the statistic for another sum of the same ranks.
    pub(crate) fn standardised(&self, sum: f64) -> f64 {
        if self.deviation == 0.0 { 0.0 } else { sum / self.deviation }
    }
}

/// Returns the interval that contains the middle of `values` with a probability of at least
/// `confidence`: all centers that the two-sided test does not reject (Hollander and Wolfe,
/// "Nonparametric Statistical Methods", 1999, section 3.3). `None` if there are too few values for
/// this confidence.
pub fn interval(values: &[f64], confidence: f64) -> Option<(f64, f64)> {
    let mut averages = walsh_averages(values);
    averages.sort_unstable_by(f64::total_cmp);
    let outside = largest_improbable(values.len(), (1.0 - confidence) / 2.0)?;
    Some((averages[outside], averages[averages.len() - 1 - outside]))
}

/// Returns the largest rank sum that is improbable without an effect: the probability of a sum no
/// larger than this is at most `tail`. `None` if no sum is so improbable.
fn largest_improbable(values: usize, tail: f64) -> Option<usize> {
    let mut probability = 0.0;
    let cumulative = rank_sum_probabilities(values).into_iter().map(|single| {
        probability += single;
        probability
    });
    cumulative.take_while(|&probability| probability <= tail).count().checked_sub(1)
}

/// Returns the probability of each sum of positive ranks, from 0 on, if signs are random, so that
/// every rank is either in the sum or not.
fn rank_sum_probabilities(values: usize) -> Vec<f64> {
    let mut probabilities = vec![0.0; values * (values + 1) / 2 + 1];
    probabilities[0] = 1.0;
    for rank in 1..=values {
        for sum in (0..probabilities.len()).rev() {
            let with = if sum >= rank { probabilities[sum - rank] } else { 0.0 };
            probabilities[sum] = f64::midpoint(probabilities[sum], with);
        }
    }
    probabilities
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Differences of the Hamilton depression scale of nine patients after and before a
    /// tranquilizer (Hollander and Wolfe, 1999, table 3.1).
    pub(crate) const HAMILTON: [f64; 9] =
        [-0.952, 0.147, -1.022, -0.430, -0.620, -0.590, -0.490, 0.080, -0.010];

    #[test]
    fn agrees_with_a_textbook() {
        let ranks = SignedRanks::about(0.0, &HAMILTON);
        let positive: f64 = ranks.signed.iter().filter(|rank| **rank > 0.0).sum();
        assert!((positive - 5.0).abs() < 1e-9);
        // P(T+ ≥ 40) = P(T+ ≤ 5) = 0.0195 for nine pairs (Hollander and Wolfe, table A.4).
        let probability: f64 = rank_sum_probabilities(9)[..=5].iter().sum();
        assert!((probability - 0.019_531_25).abs() < 1e-12);
        // A confidence of 96 % (Hollander and Wolfe, example 3.4).
        let (low, high) = interval(&HAMILTON, 0.96).unwrap();
        assert!((low + 0.786).abs() < 1e-9 && (high + 0.010).abs() < 1e-9, "{low} to {high}");
    }

    #[test]
    fn few_values_have_no_interval_of_high_confidence() {
        assert_eq!(interval(&[1.0, 2.0, 3.0], 0.95), None);
        assert_eq!(interval(&[], 0.95), None);
        assert!(interval(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 0.95).is_some());
    }

    #[test]
    fn equal_distances_share_a_rank_and_zeros_have_no_sign() {
        let ranks = SignedRanks::about(1.0, &[1.0, 2.0, 0.0, 4.0]);
        assert_eq!(ranks.signed, [0.0, 2.5, -2.5, 4.0]);
        assert!(SignedRanks::about(0.0, &[0.0; 8]).statistic().abs() < 1e-12);
    }

    #[test]
    fn the_statistic_is_the_sum_in_units_of_its_deviation() {
        let ranks = SignedRanks::about(0.0, &[1.0, 2.0, 3.0]);
        // The ranks add up to 6, and the deviation is the square root of 1 + 4 + 9.
        assert!((ranks.statistic() - 6.0 / 14_f64.sqrt()).abs() < 1e-12);
    }
}
