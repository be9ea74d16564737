//! `queues`: checks that the requests of an open loop did not wait in several queues.
//!
//! Each thread has its own connections, and its own queue for them. If requests wait, several
//! queues are slower than one with the same number of connections: a request waits although a
//! connection of another thread is free.

use super::definition::{Check, Judgement, Verdict, percent};
use crate::measurement::Measurement;

pub(super) const CHECK: Check = Check { name: "queues", judge };

/// Share of requests that may wait in a queue before the wait shows in p99.
const MAX_WAITING: f64 = 0.01;

fn judge(measured: &Measurement) -> Option<Judgement> {
    measured.workload.pacing.rate()?;
    let threads = measured.generator.threads;
    if threads < 2 || measured.requests.intended == 0 {
        return None;
    }
    let waiting = 1.0 - measured.times.send_lag.len() as f64 / measured.requests.intended as f64;
    let share = percent(waiting.max(0.0));
    Some(if waiting > MAX_WAITING {
        let detail = format!(
            "{share} of requests found no connection free, and waited in {threads} queues, one for each thread: latency is \
             above that of one queue over all connections; use fewer --threads or more --connections"
        );
        Judgement::new(Verdict::Warn, detail)
    } else {
        Judgement::new(Verdict::Pass, format!("{share} of requests found no connection free"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture;
    use crate::workload::Arrivals;

    /// Judges an open loop of 10,000 requests, of which `free` found a connection free.
    fn with(threads: usize, free: u64) -> Option<Judgement> {
        let mut measured = fixture::open(Arrivals::Poisson);
        measured.generator.threads = threads;
        measured.times.send_lag = fixture::times(&[(2_000, free)]);
        judge(&measured)
    }

    #[test]
    fn warns_if_requests_wait_in_several_queues() {
        let judgement = with(2, 6_000).unwrap();
        assert_eq!(judgement.verdict, Verdict::Warn);
        assert!(
            judgement
                .detail
                .starts_with("40 % of requests found no connection free, and waited in 2 queues")
        );
    }

    #[test]
    fn passes_if_each_request_has_a_free_connection() {
        assert_eq!(with(2, 10_000).unwrap().verdict, Verdict::Pass);
    }

    #[test]
    fn does_not_apply_to_one_queue() {
        assert_eq!(with(1, 6_000), None);
        assert_eq!(judge(&fixture::closed()), None);
    }
}
