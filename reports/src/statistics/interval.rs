//! The mean of a few rounds and its 95 % confidence interval, by Student's t (Student, "The
//! Probable Error of a Mean", 1908).

use statrs::distribution::{ContinuousCDF, StudentsT};

/// Share of intervals that do not hold the true mean.
const LEVEL: f64 = 0.05;

/// A mean with its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The mean.
    pub mean: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Interval {
    /// Computes the interval of the arithmetic mean of `values`; `None` for fewer than two values.
    pub fn of(values: &[f64]) -> Option<Self> {
        let count = values.len() as f64;
        if values.len() < 2 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / count;
        let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        let standard_error = (squares / (count - 1.0) / count).sqrt();
        let students_t =
            StudentsT::new(0.0, 1.0, count - 1.0).expect("two values have a degree of freedom");
        let half = students_t.inverse_cdf(1.0 - LEVEL / 2.0) * standard_error;
        Some(Self { mean, low: mean - half, high: mean + half })
    }

    /// Computes the interval of the geometric mean of `ratios`; `None` for fewer than two ratios,
    /// or if one ratio is not above zero.
    pub fn of_ratios(ratios: &[f64]) -> Option<Self> {
        let logs: Vec<f64> = ratios.iter().map(|ratio| ratio.ln()).collect();
        let Self { mean, low, high } =
            Self::of(&logs).filter(|_| logs.iter().all(|log| log.is_finite()))?;
        Some(Self { mean: mean.exp(), low: low.exp(), high: high.exp() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Additional hours of sleep of ten patients (Student 1908, from Cushny and Peebles): the mean
    /// is 1.58, the standard deviation is 1.23, and t with 9 degrees of freedom is 2.262.
    #[test]
    fn the_interval_of_students_own_example() {
        let hours = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4];
        let Interval { mean, low, high } = Interval::of(&hours).unwrap();
        assert!((mean - 1.58).abs() < 1e-9);
        assert!((low - 0.70).abs() < 0.005 && (high - 2.46).abs() < 0.005, "{low} to {high}");
    }

    #[test]
    fn ratios_have_a_geometric_mean() {
        let interval = Interval::of_ratios(&[2.0, 8.0]).unwrap();
        assert!((interval.mean - 4.0).abs() < 1e-9 && interval.low < 1.0 && interval.high > 16.0);
        assert_eq!(Interval::of_ratios(&[2.0, 0.0]), None);
        assert_eq!(Interval::of(&[1.0]), None);
    }
}
