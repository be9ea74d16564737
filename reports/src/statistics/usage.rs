//! What a server spent per request: the measure that survives a noisy machine best, since waiting costs nothing.

use c10k_loadgen::summary::Summary;

use crate::record::ServerUsage;

/// CPU time of the server, user and kernel, in microseconds per completed request; nothing where none was completed.
///
/// Failed requests cost CPU too, and it is charged to those that completed: that is what a useful answer cost.
pub fn cpu_us_per_request(usage: ServerUsage, summary: &Summary) -> Option<f64> {
    let completed = summary.requests.completed;
    (completed > 0).then(|| (usage.user_s + usage.system_s) * 1e6 / completed as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn divides_user_and_kernel_time_by_completed_requests() {
        let usage = ServerUsage { user_s: 0.1, system_s: 0.4, ..ServerUsage::default() };
        let mut summary = fixture::summary();
        summary.requests.completed = 100_000;
        assert!((cpu_us_per_request(usage, &summary).unwrap() - 5.0).abs() < 1e-9);
        summary.requests.completed = 0;
        assert_eq!(cpu_us_per_request(usage, &summary), None);
    }
}
