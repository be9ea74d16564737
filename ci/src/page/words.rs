//! Words that several sections use: names of quantities and verdicts.

use c10k_reports::metric;

use crate::series::Quantity;
use crate::verdict::{Judged, Verdict};

/// Number of names in a sentence before the rest is counted.
const NAMED: usize = 3;

/// Returns the title of a quantity.
pub fn title(quantity: &Quantity) -> String {
    match quantity {
        Quantity::Metric { key, .. } => metric_title(key),
        Quantity::FailedRequests => "Failed requests".to_owned(),
        Quantity::FailedCheck(check) => format!("Failed check “{check}”"),
    }
}

/// Returns the title of the metric with `key`.
pub fn metric_title(key: &str) -> String {
    metric::by_key(key).map_or_else(|| key.to_owned(), |metric| metric.title.to_owned())
}

/// Names a metric with its workload.
pub fn of(judged: &Judged) -> String {
    format!("{} under {}", title(&judged.series.quantity), judged.series.workload)
}

/// Returns the place of the metric with `key` among all metrics, which have percentiles in
/// ascending order.
pub fn place(key: &str) -> usize {
    metric::METRICS.iter().position(|metric| metric.key == key).unwrap_or(usize::MAX)
}

/// Returns the sign of a verdict, which has the same shape in charts.
pub fn sign(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Regressed => "■",
        Verdict::Changed => "◆",
        Verdict::Improved => "▲",
        Verdict::NotRegressed => "●",
        Verdict::Undecided => "○",
    }
}

/// Joins names for a sentence. All but the first few are counted.
pub fn list(names: &[String]) -> String {
    match names.len() {
        0 => String::new(),
        1 => names[0].clone(),
        few if few <= NAMED => format!("{} and {}", names[..few - 1].join(", "), names[few - 1]),
        many => format!("{} and {} more", names[..NAMED].join(", "), many - NAMED),
    }
}

/// Returns `text` with a capital first letter.
pub fn capital(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + characters.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_is_counted() {
        let names = ["a", "b", "c", "d", "e"].map(str::to_owned);
        assert_eq!(list(&names[..1]), "a");
        assert_eq!(list(&names[..3]), "a, b and c");
        assert_eq!(list(&names), "a, b, c and 2 more");
    }
}
