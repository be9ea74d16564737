//! Probabilities of many tests, adjusted for their number.

/// Adjusts the probabilities so that the smallest of them is the probability of any false alarm
/// among all tests (Holm, "A Simple Sequentially Rejective Multiple Test Procedure", 1979). The
/// adjustment is valid for any dependence between the tests, and never stricter than Bonferroni's
/// correction.
pub(crate) fn adjust(probabilities: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_by(|&a, &b| probabilities[a].total_cmp(&probabilities[b]));
    let mut adjusted = vec![1.0; probabilities.len()];
    let mut largest = 0.0_f64;
    for (rank, place) in order.into_iter().enumerate() {
        let left = (probabilities.len() - rank) as f64;
        largest = largest.max((left * probabilities[place]).min(1.0));
        adjusted[place] = largest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `p.adjust(c(0.01, 0.04, 0.03, 0.005, 0.5), "holm")` of R 4.
    #[test]
    fn agrees_with_r() {
        let adjusted = adjust(&[0.01, 0.04, 0.03, 0.005, 0.5]);
        for (found, expected) in adjusted.iter().zip([0.04, 0.09, 0.09, 0.025, 0.5]) {
            assert!((found - expected).abs() < 1e-12, "{adjusted:?}");
        }
        assert!(adjust(&[]).is_empty());
    }
}
