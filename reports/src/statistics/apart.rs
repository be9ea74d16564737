//! Distinguishes subjects by their rounds: the level, the fewest rounds, and the test.
//!
//! Values are logarithms in a two-way layout: rounds are blocks, since the cells of one round are
//! neighbours in time, and subjects are treatments (Fisher, "The Design of Experiments", 1935,
//! chapter IV). A subject is distinguished from the best if their mean difference exceeds its
//! standard error times Student's t. The level of t is divided by the number of all pairs (Dunn,
//! "Multiple Comparisons among Means", 1961), since any subject may be the best. The subjects that
//! are distinguished from the best are removed, and the test is repeated among the remaining ones
//! (as the model confidence set of Hansen, Lunde and Nason, 2011, is found).
//!
//! The variance of a difference is the largest of three estimates: the variance of all subjects
//! together, without which three rounds distinguish nothing; the variance of the noisier of the two
//! subjects, since a subject may be noisier than the others; and the variance of the difference
//! itself.
//!
//! `cargo bench --bench truth` measures the rate of false marks and the power; the tables are in
//! METHODOLOGY.md. Simulations of the same kind rejected these alternatives:
//! - the pooled variance alone separates two noisy but equal subjects among nine quiet ones in one
//!   column of five;
//! - a permutation of subjects within rounds is exact for equal subjects, but cannot distinguish
//!   two subjects before the sixth round, nor one subject from three equal ones before the fourth;
//! - a paired t-test of each pair with Holm's correction needs a difference of 27 standard
//!   deviations to distinguish eleven subjects in three rounds.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// Largest share of columns of equal subjects that may have a mark.
pub const MARKED_AT_MOST: f64 = 0.05;

/// Level of the test. It is below [`MARKED_AT_MOST`], because a machine that drifts by ten times
/// its noise within a round of three subjects raises the share to 5.8 % at a level of 5 %.
const LEVEL: f64 = 0.04;

/// Fewest rounds that distinguish subjects. With two rounds, the noise of a single subject cannot
/// be distinguished from the noise of all: two noisy but equal subjects among quiet ones were
/// separated in 8 % of columns.
pub const FEWEST_ROUNDS: usize = 3;

/// Logarithms of the values by subject and round, and the noise that is left after the means of
/// subjects and rounds are subtracted.
#[derive(Debug)]
pub struct Layout<'a> {
    /// Logarithms of each subject, by round.
    logs: Vec<&'a [f64]>,
    /// Mean of each subject.
    means: Vec<f64>,
    /// Variance of the noise of each subject.
    variances: Vec<f64>,
    /// Student's t that a difference must exceed.
    critical: f64,
}

impl<'a> Layout<'a> {
    /// Lays out `logs`, which holds the same rounds of each subject.
    ///
    /// # Panics
    ///
    /// Panics if there are fewer than two subjects or two rounds.
    pub fn of(logs: Vec<&'a [f64]>) -> Self {
        let (subjects, rounds) = (logs.len() as f64, logs[0].len() as f64);
        let means: Vec<f64> = logs.iter().map(|subject| mean(subject.iter().copied())).collect();
        let of_round = |round: usize| mean(logs.iter().map(|subject| subject[round]));
        let of_rounds: Vec<f64> = (0..logs[0].len()).map(of_round).collect();
        let overall = mean(means.iter().copied());
        let squares = |(subject, own): (&&[f64], &f64)| -> f64 {
            let residuals =
                subject.iter().zip(&of_rounds).map(|(value, round)| value - own - round + overall);
            residuals.map(|residual| residual * residual).sum()
        };
        // A residual lacks the share of its subject's noise that is in the mean of the round.
        let degrees_each = (rounds - 1.0) * (1.0 - 1.0 / subjects);
        let variances = logs.iter().zip(&means).map(|of| squares(of) / degrees_each).collect();
        let critical = critical(subjects, (subjects - 1.0) * (rounds - 1.0), LEVEL);
        Self { logs, means, variances, critical }
    }

    /// Returns true if `high` lies above `low` by more than noise explains.
    pub fn is_above(&self, high: usize, low: usize) -> bool {
        let rounds = self.logs[high].len() as f64;
        let standard_error = (self.variance_of_difference(high, low) / rounds).sqrt();
        self.means[high] - self.means[low] > self.critical * standard_error
    }

    /// Returns the subject with the highest mean.
    pub fn highest(&self) -> usize {
        let subjects = 0..self.means.len();
        subjects
            .max_by(|a, b| self.means[*a].total_cmp(&self.means[*b]))
            .expect("a layout has subjects")
    }

    /// Returns the variance of the noise if it is assumed to be the same for all subjects.
    fn pooled_variance(&self) -> f64 {
        mean(self.variances.iter().copied())
    }

    fn variance_of_difference(&self, a: usize, b: usize) -> f64 {
        let pair = 2.0 * self.variances[a].max(self.variances[b]);
        let differences = self.logs[a].iter().zip(self.logs[b]).map(|(a, b)| a - b);
        (2.0 * self.pooled_variance()).max(pair).max(variance(differences))
    }
}

/// Returns the indices of the highest subject and of all subjects that cannot be distinguished from
/// it. `logs` holds the same rounds of each subject. Returns all indices if no two subjects can be
/// distinguished, or if there are fewer rounds than [`FEWEST_ROUNDS`].
pub fn highest(logs: &[Vec<f64>]) -> Vec<usize> {
    let mut left: Vec<usize> = (0..logs.len()).collect();
    while left.len() > 1 && logs[0].len() >= FEWEST_ROUNDS {
        let layout = Layout::of(left.iter().map(|subject| logs[*subject].as_slice()).collect());
        let highest = layout.highest();
        let places = (0..left.len()).filter(|place| !layout.is_above(highest, *place));
        let stay: Vec<usize> = places.map(|place| left[place]).collect();
        if stay.len() == left.len() {
            break;
        }
        left = stay;
    }
    left
}

/// Describes the method that distinguishes subjects in `rounds`, in sentences for the reader of a
/// page.
pub fn describe(rounds: usize) -> String {
    if rounds < FEWEST_ROUNDS {
        let made = match rounds {
            1 => "One round is".to_owned(),
            _ => format!("{rounds} rounds are"),
        };
        return format!(
            "{made} too few to tell subjects apart, so that no number is bold: {FEWEST_ROUNDS} \
             rounds show large differences, 8 rounds smaller ones"
        );
    }
    format!(
        "Subjects are told apart by a paired t-test of the ratios within each of {rounds} rounds, corrected \
         for all pairs of subjects. Among subjects that are equal, at most {} % of columns have a bold \
         number. More rounds show smaller differences",
        MARKED_AT_MOST * 100.0
    )
}

/// Returns Student's t for all pairs of `subjects` together, in both directions.
fn critical(subjects: f64, degrees: f64, level: f64) -> f64 {
    let pairs = subjects * (subjects - 1.0) / 2.0;
    let students_t =
        StudentsT::new(0.0, 1.0, degrees).expect("two subjects in two rounds have a degree");
    students_t.inverse_cdf(1.0 - level / 2.0 / pairs)
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    sum / count
}

fn variance(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let mean = mean(values.clone());
    let (squares, count) = values.fold((0.0, 0.0), |(sum, count), value| {
        (sum + (value - mean) * (value - mean), count + 1.0)
    });
    squares / (count - 1.0)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution as _, Normal};

    use super::*;

    /// Yields of penicillin: treatments A to D in five blends (Box, Hunter and Hunter, "Statistics
    /// for Experimenters", 1978, table 7.1).
    const PENICILLIN: [[f64; 5]; 4] = [
        [89.0, 84.0, 81.0, 87.0, 79.0],
        [88.0, 77.0, 87.0, 92.0, 81.0],
        [97.0, 92.0, 87.0, 89.0, 80.0],
        [94.0, 79.0, 85.0, 84.0, 88.0],
    ];

    /// Returns logarithms of four rounds that lie `noise` above and below `level` in turn.
    fn around(level: f64, noise: f64) -> Vec<f64> {
        [1.0, -1.0, 1.0, -1.0].map(|sign| level + sign * noise).to_vec()
    }

    #[test]
    fn the_residual_mean_square_is_the_published_one() {
        let layout = Layout::of(PENICILLIN.iter().map(<[f64; 5]>::as_slice).collect());
        assert_eq!(layout.means, [84.0, 85.0, 89.0, 86.0]);
        // The published residual sum of squares is 226, with 12 degrees of freedom.
        assert!((layout.pooled_variance() - 226.0 / 12.0).abs() < 1e-9);
        assert_eq!(highest(&PENICILLIN.map(|treatment| treatment.to_vec())), [0, 1, 2, 3]);
    }

    /// Dunn 1961, table 1 (α = 0.05): 3.16 for 10 comparisons with 20 degrees of freedom, 2.87 for
    /// 3 comparisons with 10, and 3.15 for 6 comparisons with 12.
    #[test]
    fn the_critical_values_are_the_published_ones() {
        for (subjects, degrees, published) in
            [(5.0, 20.0, 3.16), (3.0, 10.0, 2.87), (4.0, 12.0, 3.15)]
        {
            let found = critical(subjects, degrees, 0.05);
            assert!((found - published).abs() < 0.01, "{found} for {published}");
        }
    }

    #[test]
    fn a_subject_beyond_the_noise_stands_alone_and_equals_stand_together() {
        let rounds = [around(1.0, 0.01), around(1.0, -0.01), around(2.0, 0.01)];
        assert_eq!(highest(&rounds), [2]);
        let rounds = [around(1.0, 0.01), around(2.0, -0.01), around(2.005, 0.01)];
        assert_eq!(highest(&rounds), [1, 2]);
    }

    #[test]
    fn an_effect_of_a_round_on_all_subjects_is_no_noise() {
        let drifting = |level: f64| [0.0, 5.0, 9.0].map(|round| level + round).to_vec();
        assert_eq!(highest(&[drifting(1.0), drifting(1.1)]), [1]);
    }

    #[test]
    fn two_noisy_subjects_among_quiet_ones_are_not_distinguished() {
        let mut rounds = vec![around(1.0, 0.0); 9];
        rounds.push(vec![2.3, 2.5, 2.2, 2.6]);
        rounds.push(vec![2.2, 2.0, 2.3, 2.1]);
        assert_eq!(highest(&rounds), [9, 10]);
    }

    #[test]
    fn says_when_the_rounds_are_too_few() {
        assert!(describe(1).starts_with("One round is too few to tell subjects apart"));
        assert!(describe(2).starts_with("2 rounds are too few"));
        assert!(
            describe(3).contains("within each of 3 rounds") && describe(3).contains("at most 5 %")
        );
    }

    /// A comparison by ranges that do not overlap distinguished eleven equal subjects in 53 % of
    /// columns of three rounds.
    #[test]
    fn columns_of_eleven_equals_are_rarely_distinguished() {
        let mut random = ChaCha8Rng::seed_from_u64(10);
        let noise = Normal::new(0.0, 0.05).unwrap();
        let mut column = || -> Vec<Vec<f64>> {
            (0..11).map(|_| (0..3).map(|_| noise.sample(&mut random)).collect()).collect()
        };
        let told_apart = (0..1_000).filter(|_| highest(&column()).len() < 11).count();
        assert!(told_apart as f64 <= 1_000.0 * MARKED_AT_MOST, "{told_apart} of 1,000 columns");
    }

    #[test]
    fn two_rounds_distinguish_nothing() {
        assert_eq!(highest(&[vec![1.0, 1.0], vec![9.0, 9.0]]), [0, 1]);
    }
}
