//! The Hodges–Lehmann estimate of the middle of symmetric values. Outliers move it little, so that
//! none has to be deleted.

/// Returns the averages of all pairs of values, including each value with itself (Walsh, "Some
/// Significance Tests for the Median", 1949), in no particular order.
pub(crate) fn walsh_averages(values: &[f64]) -> Vec<f64> {
    let mut averages = Vec::with_capacity(values.len() * (values.len() + 1) / 2);
    for (place, a) in values.iter().enumerate() {
        averages.extend(values[place..].iter().map(|b| f64::midpoint(*a, *b)));
    }
    averages
}

/// Returns the median of the Walsh averages (Hodges and Lehmann, "Estimates of Location Based on
/// Rank Tests", 1963); `None` if there are no values.
pub fn estimate(values: &[f64]) -> Option<f64> {
    let mut averages = walsh_averages(values);
    averages.sort_unstable_by(f64::total_cmp);
    let middle = averages.len() / 2;
    match averages.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(averages[middle]),
        _ => Some(f64::midpoint(averages[middle - 1], averages[middle])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signed_rank::tests::HAMILTON;

    #[test]
    fn agrees_with_a_textbook() {
        // Hollander and Wolfe, "Nonparametric Statistical Methods", 1999, example 3.3.
        assert!((estimate(&HAMILTON).unwrap() + 0.46).abs() < 1e-9);
    }

    #[test]
    fn one_outlier_moves_the_estimate_little() {
        assert!((estimate(&[1.0, 2.0, 3.0, 4.0, 1000.0]).unwrap() - 3.0).abs() <= 0.5);
        assert_eq!(estimate(&[7.0]), Some(7.0));
        assert_eq!(estimate(&[]), None);
    }
}
