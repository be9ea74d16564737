//! The median over rounds, and the spread of the rounds.
//!
//! From six rounds on, the interval is a 95 % confidence interval of the median by order
//! statistics, which assumes nothing about the distribution: the j-th smallest and j-th largest
//! value enclose the median with probability 1 − 2·P(B < j), where B is binomial with n trials of
//! probability ½ (Gibbons and Chakraborti, "Nonparametric Statistical Inference", 2003, section
//! 5.2). With fewer than six rounds, even the extremes enclose the median with a probability below
//! 95 %, so the interval is given as the extremes.

/// Smallest number of rounds whose extremes enclose the median with a probability of at least 95 %:
/// 1 − 2·½⁶ = 96.9 %.
const ROUNDS_FOR_INTERVAL: usize = 6;

/// A value over rounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// Median of the rounds.
    pub median: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// Number of rounds that have a value.
    pub rounds: usize,
}

/// A value over rounds, which may be only a lower bound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Value {
    /// Spread of the rounds.
    pub spread: Spread,
    /// True if the true value may be higher, so that this value is a lower bound.
    pub at_least: bool,
}

impl Spread {
    /// Computes the spread of `values`, one per round; `None` if there are no rounds.
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let rounds = sorted.len();
        let from_end = interval_rank(rounds);
        (rounds > 0).then(|| Self {
            median: f64::midpoint(sorted[(rounds - 1) / 2], sorted[rounds / 2]),
            low: sorted[from_end - 1],
            high: sorted[rounds - from_end],
            rounds,
        })
    }
}

/// Describes the intervals over `fewest` to `most` rounds, for a legend.
pub fn describe_interval(fewest: usize, most: usize) -> String {
    let rounds = if fewest == most { most.to_string() } else { format!("{fewest} to {most}") };
    match most {
        0 | 1 => "one round, so no spread".to_owned(),
        most if most < ROUNDS_FOR_INTERVAL => format!("lowest to highest of {rounds} rounds"),
        _ if fewest < ROUNDS_FOR_INTERVAL => {
            format!(
                "95 % confidence interval of the median, or extremes below {ROUNDS_FOR_INTERVAL} rounds"
            )
        }
        _ => format!("95 % confidence interval of the median over {rounds} rounds"),
    }
}

/// Returns the rank, counted from 1 from either end, of the values that enclose the median with a
/// probability of at least 95 %; 1 if no values do.
fn interval_rank(rounds: usize) -> usize {
    let mut rank = 1;
    let mut ways = 1.0;
    // P(B < 1), to which each further term of the binomial is added.
    let mut below = 0.5_f64.powf(rounds as f64);
    while rank < rounds {
        ways *= (rounds - rank + 1) as f64 / rank as f64;
        below += ways * 0.5_f64.powf(rounds as f64);
        if below > 0.025 {
            break;
        }
        rank += 1;
    }
    rank
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_six_rounds_it_is_the_extremes() {
        let spread = Spread::of(&[3.0, 1.0, 2.0]).unwrap();
        assert_eq!((spread.median, spread.low, spread.high), (2.0, 1.0, 3.0));
    }

    #[test]
    fn an_even_number_of_rounds_has_its_median_between_the_middle_two() {
        assert!((Spread::of(&[4.0, 1.0, 2.0, 3.0]).unwrap().median - 2.5).abs() < f64::EPSILON);
    }

    #[test]
    fn no_rounds_have_no_spread() {
        assert_eq!(Spread::of(&[]), None);
    }

    /// Ranks as tabulated for the sign-test interval at 95 %: n = 6 (1, 6), 8 (1, 8), 9 (2, 8), 10
    /// (2, 9), 15 (4, 12), 20 (6, 15), 25 (8, 18).
    #[test]
    fn ranks_agree_with_the_published_table() {
        let ranks = [6, 8, 9, 10, 15, 20, 25].map(interval_rank);
        assert_eq!(ranks, [1, 1, 2, 2, 4, 6, 8]);
    }

    #[test]
    fn ten_rounds_drop_the_outlier_on_either_side() {
        let values: Vec<f64> = [1000.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 0.0].to_vec();
        let spread = Spread::of(&values).unwrap();
        assert_eq!((spread.low, spread.high), (2.0, 9.0));
    }

    #[test]
    fn says_what_the_interval_is() {
        assert_eq!(describe_interval(3, 3), "lowest to highest of 3 rounds");
        assert_eq!(describe_interval(2, 3), "lowest to highest of 2 to 3 rounds");
        assert_eq!(describe_interval(6, 6), "95 % confidence interval of the median over 6 rounds");
        assert!(describe_interval(5, 6).ends_with("or extremes below 6 rounds"));
        assert!(describe_interval(1, 1).contains("no spread"));
    }
}
