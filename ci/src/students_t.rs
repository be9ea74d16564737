//! Student's t: the difference of two means of a few rounds, with its interval and its
//! probabilities.

use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

/// Smallest standard error of a logarithm, needed because counts can be the same in every round.
/// The digits that a record keeps are no finer.
const FINEST: f64 = 1e-9;

/// A difference of means with its standard error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Difference {
    /// The difference.
    pub mean: f64,
    standard_error: f64,
    degrees: f64,
}

impl Difference {
    /// Computes the mean of the `differences` of rounds (Student, "The Probable Error of a Mean",
    /// 1908); `None` with fewer than two rounds.
    pub fn paired(differences: &[f64]) -> Option<Self> {
        let (mean, variance) = moments(differences)?;
        let standard_error = variance.sqrt().max(FINEST);
        Some(Self { mean, standard_error, degrees: differences.len() as f64 - 1.0 })
    }

    /// Computes the mean of `b` minus the mean of `a`, each with its own variance (Welch, "The
    /// Generalization of 'Student's' Problem when Several Different Population Variances are
    /// Involved", 1947); `None` if either has fewer than two values.
    pub fn between(a: &[f64], b: &[f64]) -> Option<Self> {
        let (mean_a, variance_a) = moments(a)?;
        let (mean_b, variance_b) = moments(b)?;
        let variance = variance_a + variance_b;
        let least = FINEST * FINEST;
        // Satterthwaite's degrees of freedom; the fewest possible if nothing varies.
        let parts = variance_a.powi(2) / (a.len() as f64 - 1.0)
            + variance_b.powi(2) / (b.len() as f64 - 1.0);
        let fewest = a.len().min(b.len()) as f64 - 1.0;
        let degrees = if variance > least { variance.powi(2) / parts } else { fewest };
        Some(Self { mean: mean_b - mean_a, standard_error: variance.max(least).sqrt(), degrees })
    }

    /// Returns the interval that contains the true difference with a probability of `confidence`.
    pub fn interval(&self, confidence: f64) -> (f64, f64) {
        let half = self.quantile(f64::midpoint(1.0, confidence)) * self.standard_error;
        (self.mean - half, self.mean + half)
    }

    /// Returns the probability that chance causes at least this difference if the true difference
    /// were `center`.
    pub fn p_above(&self, center: f64) -> f64 {
        self.distribution().sf((self.mean - center) / self.standard_error)
    }

    /// Returns the probability that chance causes at least this difference, in either direction, if
    /// there were no true difference.
    pub fn p_differs(&self) -> f64 {
        2.0 * self.distribution().sf(self.mean.abs() / self.standard_error)
    }

    /// Returns the smallest true difference that is distinguished from `margin` at `level` with a
    /// probability of `seen`, by the normal approximation of the noncentral t (Johnson and Welch,
    /// "Applications of the Non-Central t-Distribution", 1940).
    pub fn smallest_detectable(&self, margin: f64, level: f64, seen: f64) -> f64 {
        let critical = self.quantile(1.0 - level);
        let normal = Normal::standard().inverse_cdf(seen);
        let degrees = self.degrees;
        let spread = (1.0 + critical * critical / (2.0 * degrees)).sqrt();
        margin + (critical * (1.0 - 1.0 / (4.0 * degrees)) + normal * spread) * self.standard_error
    }

    fn quantile(&self, probability: f64) -> f64 {
        self.distribution().inverse_cdf(probability)
    }

    fn distribution(&self) -> StudentsT {
        StudentsT::new(0.0, 1.0, self.degrees).expect("two values have a degree of freedom")
    }
}

/// Returns the mean, and the variance of the mean; `None` with fewer than two values.
fn moments(values: &[f64]) -> Option<(f64, f64)> {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (values.len() > 1).then(|| (mean, squares / (count - 1.0) / count))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Extra sleep by two drugs (Student, 1908; `sleep` of R).
    const FIRST: [f64; 10] = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0];
    const SECOND: [f64; 10] = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4];

    fn close(found: f64, expected: f64, tolerance: f64) {
        assert!((found - expected).abs() < tolerance, "{found} for {expected}");
    }

    /// `t.test(second, first, paired = TRUE)` of R 4: t = 4.0621, p = 0.002833, 0.7001 to 2.4599.
    #[test]
    fn paired_rounds_agree_with_r() {
        let differences: Vec<f64> =
            SECOND.iter().zip(FIRST).map(|(second, first)| second - first).collect();
        let difference = Difference::paired(&differences).unwrap();
        close(difference.mean, 1.58, 1e-9);
        close(difference.p_differs(), 0.002_833, 1e-6);
        close(difference.p_above(0.0), 0.002_833 / 2.0, 1e-6);
        close(difference.interval(0.95).0, 0.7001, 1e-4);
        close(difference.interval(0.95).1, 2.4599, 1e-4);
    }

    /// `t.test(second, first)` of R 4: df = 17.776, p = 0.07939, −0.2055 to 3.3655.
    #[test]
    fn rounds_of_two_runs_agree_with_r() {
        let difference = Difference::between(&FIRST, &SECOND).unwrap();
        close(difference.degrees, 17.776, 1e-3);
        close(difference.p_differs(), 0.07939, 1e-5);
        close(difference.interval(0.95).0, -0.2055, 1e-4);
        close(difference.interval(0.95).1, 3.3655, 1e-4);
    }

    #[test]
    fn rounds_that_do_not_vary_differ_or_are_the_same() {
        let same = Difference::paired(&[0.0; 3]).unwrap();
        close(same.p_differs(), 1.0, 1e-9);
        assert!(same.p_above(0.02) > 0.99 && same.interval(0.95).1 < 1e-6);
        assert!(Difference::paired(&[0.1; 3]).unwrap().p_above(0.02) < 1e-6);
        let between = Difference::between(&[1.0; 3], &[1.1; 3]).unwrap();
        assert!(between.p_differs() < 1e-6);
        close(Difference::between(&[1.0; 3], &[1.0; 3]).unwrap().p_differs(), 1.0, 1e-9);
    }

    #[test]
    fn one_round_distinguishes_nothing() {
        assert_eq!(Difference::paired(&[1.0]), None);
        assert_eq!(Difference::between(&[1.0, 2.0], &[1.0]), None);
    }

    /// The expected value is 4.7250 standard errors of 0.38896. It was found by integrating the
    /// noncentral t with 9 degrees of freedom, which is above 2.8214 in 95 of 100 cases.
    #[test]
    fn the_smallest_detectable_difference_is_that_of_the_noncentral_t() {
        let differences: Vec<f64> =
            SECOND.iter().zip(FIRST).map(|(second, first)| second - first).collect();
        let difference = Difference::paired(&differences).unwrap();
        close(difference.smallest_detectable(0.5, 0.01, 0.95), 0.5 + 4.725 * 0.38896, 5e-3);
    }
}
