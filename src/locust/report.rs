//! Results of a worker since its last report, in the form of Locust's statistics
//! (`locust/stats.py`), with c10k's exact histograms beside them.
//!
//! Locust keeps milliseconds at two significant digits. c10k's part has the lines of an
//! HdrHistogram log, and the summary of a load that has ended.

use std::collections::BTreeMap;

use c10k_loadgen::measurement::Times;
use c10k_loadgen::{Interval, empty_times, log_lines};
use serde::Serialize;

use super::protocol::{Spawned, Users};

/// Version of this program. The locustfile refuses a test whose workers are not alike.
const PROGRAM: &str = env!("CARGO_PKG_VERSION");

/// Data of a `stats` message.
#[derive(Debug, Serialize)]
pub struct Report {
    stats: Vec<Entry>,
    stats_total: Entry,
    errors: BTreeMap<&'static str, Failure>,
    #[serde(flatten)]
    users: Spawned,
    c10k: Part,
}

/// Results of requests of one kind; the names are Locust's.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
struct Entry {
    name: String,
    method: String,
    start_time: f64,
    last_request_timestamp: Option<f64>,
    /// Requests with a response or an error.
    num_requests: u64,
    /// Failed requests that have no time.
    num_none_requests: u64,
    num_failures: u64,
    /// Sum of all times. All times are in milliseconds.
    total_response_time: f64,
    min_response_time: Option<f64>,
    max_response_time: f64,
    /// Bytes of the responses. Locust leaves out their heads, which the generator does not count
    /// apart.
    total_content_length: u64,
    /// Requests by their rounded time.
    response_times: BTreeMap<u64, u64>,
    /// Requests by the second in which their interval ended.
    num_reqs_per_sec: BTreeMap<u64, u64>,
    num_fail_per_sec: BTreeMap<u64, u64>,
}

/// Failures of one kind.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Failure {
    name: String,
    method: String,
    error: String,
    occurrences: u64,
    first_seen: f64,
    last_seen: f64,
}

/// c10k's part of a report.
#[derive(Debug, Default, Serialize)]
struct Part {
    program: &'static str,
    /// Identity of the test, and the number of the spawn with which the load began.
    run: String,
    segment: u64,
    /// Lines of an HdrHistogram log; their times are relative to the beginning of the load.
    log: String,
    /// JSON of `c10k load`, if the load has ended.
    summary: Option<String>,
    /// True if this worker sends nothing any more in this test, and has reported everything.
    finished: bool,
}

/// Results of an interval, as far as they are reported.
#[derive(Debug)]
pub struct Results {
    completed: u64,
    failed: u64,
    bytes: u64,
    times: Times,
    /// Failures by kind, with an example.
    failures: Vec<(&'static str, u64, String)>,
    log: String,
}

impl From<&Interval> for Results {
    fn from(interval: &Interval) -> Self {
        let seen = &interval.seen;
        let example = |kind: &str| {
            let mut examples = seen.examples.by_kind();
            examples.find(|(known, _)| *known == kind).map_or("", |(_, text)| text).to_owned()
        };
        let failures = seen.errors.by_kind().into_iter().filter(|(_, count)| *count > 0);
        // The interval without a length has the ages of requests that never ended. To Locust, these
        // are no requests.
        let has_ended = !interval.length.is_zero();
        Self {
            completed: seen.completed,
            failed: seen.errors.total() - seen.errors.connect,
            bytes: seen.bytes.read,
            times: if has_ended { seen.times.latency.clone() } else { empty_times() },
            failures: failures.map(|(kind, count)| (kind, count, example(kind))).collect(),
            log: log_lines(interval),
        }
    }
}

/// Collects results until they are reported.
#[derive(Debug, Default)]
pub struct Reporter {
    entry: Entry,
    failures: BTreeMap<&'static str, Failure>,
    part: Part,
}

impl Reporter {
    /// Begins to report a load, at this time of the master in seconds. Its requests are called by
    /// their method and URL.
    pub fn begin(&mut self, run: &str, segment: u64, method: &str, url: &str, now_s: f64) {
        self.entry = Entry {
            name: url.to_owned(),
            method: method.to_owned(),
            start_time: now_s,
            ..Entry::default()
        };
        self.failures.clear();
        self.part = Part { run: run.to_owned(), segment, ..Part::default() };
    }

    /// Adds the results of an interval that ends now.
    pub fn add(&mut self, results: Results, now_s: f64) {
        self.entry.add(&results, now_s);
        self.part.log += &results.log;
        for (kind, count, example) in results.failures {
            let failure = self.failures.entry(kind).or_insert_with(|| Failure {
                name: self.entry.name.clone(),
                method: self.entry.method.clone(),
                error: format!("{kind}: {example}"),
                occurrences: 0,
                first_seen: now_s,
                last_seen: now_s,
            });
            failure.occurrences += count;
            failure.last_seen = now_s;
        }
    }

    /// Adds the summary of the load, which has ended.
    pub fn end(&mut self, summary: String) {
        self.part.summary = Some(summary);
    }

    /// Notes that nothing more will come in this test.
    pub fn finish(&mut self) {
        self.part.finished = true;
    }

    /// Takes what was collected, for a report now.
    pub fn take(&mut self, users: &Users, now_s: f64) -> Report {
        let Entry { name, method, .. } = &self.entry;
        let fresh = Entry {
            name: name.clone(),
            method: method.clone(),
            start_time: now_s,
            ..Entry::default()
        };
        let entry = std::mem::replace(&mut self.entry, fresh);
        let Part { run, segment, finished, .. } = &self.part;
        let rest =
            Part { run: run.clone(), segment: *segment, finished: *finished, ..Part::default() };
        let part = std::mem::replace(&mut self.part, rest);
        let total = Entry { name: "Aggregated".into(), method: String::new(), ..entry.clone() };
        Report {
            stats: if entry.num_requests > 0 { vec![entry] } else { Vec::new() },
            stats_total: total,
            errors: std::mem::take(&mut self.failures),
            users: Spawned::from(users),
            c10k: Part { program: PROGRAM, ..part },
        }
    }
}

impl Entry {
    fn add(&mut self, results: &Results, now_s: f64) {
        let Results { completed, failed, times, .. } = results;
        let requests = completed + failed;
        if requests == 0 {
            return;
        }
        self.last_request_timestamp = Some(now_s);
        self.num_requests += requests;
        self.num_none_requests += requests.saturating_sub(times.len());
        self.num_failures += failed;
        self.total_content_length += results.bytes;
        *self.num_reqs_per_sec.entry(now_s as u64).or_default() += requests;
        if *failed > 0 {
            *self.num_fail_per_sec.entry(now_s as u64).or_default() += failed;
        }
        if times.is_empty() {
            return;
        }
        self.total_response_time += times.mean() / 1e6 * times.len() as f64;
        let least_ms = times.min() as f64 / 1e6;
        self.min_response_time =
            Some(self.min_response_time.map_or(least_ms, |ms| ms.min(least_ms)));
        self.max_response_time = self.max_response_time.max(times.max() as f64 / 1e6);
        for value in times.iter_recorded() {
            let rounded = rounded(value.value_iterated_to() as f64 / 1e6);
            *self.response_times.entry(rounded).or_default() += value.count_at_value();
        }
    }
}

/// Rounds a time as Locust does (`bucket_response_time` in `locust/stats.py`), to about two
/// significant digits.
fn rounded(ms: f64) -> u64 {
    let unit = match ms {
        ms if ms < 100.0 => 1.0,
        ms if ms < 1_000.0 => 10.0,
        ms if ms < 10_000.0 => 100.0,
        _ => 1_000.0,
    };
    ((ms / unit).round_ties_even() * unit) as u64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use c10k_loadgen::Recorder;

    use super::*;

    /// Returns the results of a second with these latencies in milliseconds.
    fn results(latencies_ms: &[u64]) -> Results {
        let mut seen = Recorder::default();
        for ms in latencies_ms {
            seen.times.latency.record(ms * 1_000_000).unwrap();
            seen.completed += 1;
        }
        let length = Duration::from_secs(1);
        (&Interval { number: 0, begin: Duration::ZERO, length, seen: Box::new(seen) }).into()
    }

    fn reporter() -> Reporter {
        let mut reporter = Reporter::default();
        reporter.begin("r", 3, "GET", "http://a/", 1000.5);
        reporter
    }

    #[test]
    fn times_are_rounded_as_locust_does() {
        // Values of locust/stats.py, whose `round` takes the even neighbour of a half.
        let times = [0.4, 2.5, 99.4, 147.0, 145.0, 3432.0, 58_760.0];
        assert_eq!(times.map(rounded), [0, 2, 99, 150, 140, 3400, 59_000]);
    }

    #[test]
    fn a_report_has_what_came_since_the_last_one() {
        let mut reporter = reporter();
        reporter.add(results(&[1, 147, 147]), 1001.5);
        reporter.add(results(&[3]), 1002.5);
        let report = reporter.take(&Users::new(), 1003.0);
        let [entry] = &report.stats[..] else { panic!("{report:?}") };
        assert_eq!((entry.num_requests, entry.num_none_requests, entry.num_failures), (4, 0, 0));
        assert_eq!(entry.response_times, [(1, 1), (150, 2), (3, 1)].into());
        assert_eq!(entry.num_reqs_per_sec, [(1001, 3), (1002, 1)].into());
        assert!((entry.total_response_time - 298.0).abs() < 0.3, "{entry:?}");
        assert_eq!(report.c10k.log.lines().count(), 2);
        let next = reporter.take(&Users::new(), 1006.0);
        assert!(next.stats.is_empty() && next.c10k.log.is_empty());
        assert_eq!((next.c10k.run.as_str(), next.c10k.segment), ("r", 3));
    }

    #[test]
    fn failures_are_requests_without_a_time_and_connects_are_not() {
        let mut reporter = reporter();
        let failures = vec![("connect", 2, "refused".into()), ("reset", 3, "closed".into())];
        reporter.add(Results { failed: 3, failures, ..results(&[5]) }, 1001.0);
        let report = reporter.take(&Users::new(), 1001.0);
        let total = &report.stats_total;
        assert_eq!((total.num_requests, total.num_none_requests, total.num_failures), (4, 3, 3));
        assert_eq!(report.errors["connect"].occurrences, 2);
        assert_eq!(report.errors["reset"].error, "reset: closed");
    }

    #[test]
    fn ages_of_requests_that_never_ended_are_in_the_log_alone() {
        let mut seen = Recorder::default();
        seen.times.latency.record(5).unwrap();
        let interval = Interval {
            number: 0,
            begin: Duration::ZERO,
            length: Duration::ZERO,
            seen: Box::new(seen),
        };
        let mut reporter = reporter();
        reporter.add((&interval).into(), 1001.0);
        let report = reporter.take(&Users::new(), 1001.0);
        assert!(report.stats.is_empty() && report.stats_total.response_times.is_empty());
        assert!(report.c10k.log.starts_with("Tag=latency,"));
    }

    #[test]
    fn the_summary_is_sent_once_and_the_end_of_the_test_each_time() {
        let mut reporter = reporter();
        reporter.end("{}".into());
        reporter.finish();
        let parts = [0, 1].map(|_| reporter.take(&Users::new(), 1001.0).c10k);
        assert_eq!(parts[0].summary.as_deref(), Some("{}"));
        assert!(parts[1].summary.is_none() && parts.iter().all(|part| part.finished));
    }
}
