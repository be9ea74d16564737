//! All metrics, in the order in which tables show them.

use std::collections::BTreeMap;

use super::definition::Metric;
use super::{
    allocations, capacity, cheap, connect, connect_wait, connections, context_switches, first_byte,
    generator_cpu, hardware, latency, machine, memory, page_faults, response, server_cpu,
    server_wait, service, softirq, system_calls, tasks, tcp, throughput, total_cpu,
    user_instructions, wire_bytes,
};
use crate::record::Record;

/// All metrics: first those that a client sees, then the costs, then other activity of the machine.
pub const METRICS: &[Metric] = &[
    throughput::THROUGHPUT,
    capacity::CAPACITY,
    capacity::P50_AT_90_PERCENT,
    throughput::OF_ALL_SLICES,
    response::P50,
    response::P90,
    response::P99,
    response::P999,
    response::MAX,
    latency::P50,
    latency::P90,
    latency::P99,
    latency::P999,
    latency::MAX,
    cheap::P50,
    cheap::P99,
    service::P50,
    service::P90,
    service::P99,
    service::P999,
    service::MAX,
    connect_wait::P50,
    connect_wait::P99,
    connect::P50,
    connect::P99,
    first_byte::P50,
    first_byte::P99,
    connections::UNSERVED,
    server_cpu::TOTAL,
    server_cpu::IN_USER_MODE,
    server_cpu::IN_KERNEL,
    server_cpu::PROCESSORS,
    generator_cpu::GENERATOR_CPU,
    total_cpu::TOTAL_CPU,
    server_wait::WAIT,
    server_wait::NEIGHBOURS,
    server_wait::THROTTLED,
    server_wait::GENERATOR_THROTTLED,
    softirq::SOFTIRQ,
    softirq::KSOFTIRQD,
    system_calls::SYSTEM_CALLS,
    user_instructions::USER_INSTRUCTIONS,
    allocations::ALLOCATIONS,
    hardware::INSTRUCTIONS,
    hardware::CYCLES,
    context_switches::ALL,
    context_switches::BY_WAITING,
    context_switches::BY_PREEMPTION,
    page_faults::PAGE_FAULTS,
    memory::PSS,
    memory::ANONYMOUS,
    memory::PEAK,
    memory::PER_CONNECTION,
    tasks::TASKS,
    wire_bytes::READ,
    wire_bytes::WRITTEN,
    machine::STEAL,
    machine::OTHER,
    machine::INTERRUPTS,
    tcp::LISTEN_OVERFLOWS,
    tcp::LISTEN_DROPS,
    tcp::RETRANSMITS,
    tcp::TIME_WAIT,
    tcp::SERVER_TIME_WAIT,
    tcp::CLIENT_TIME_WAIT,
];

/// Computes every metric for which `record` holds the inputs, and returns the values by key.
pub fn compute(record: &Record) -> BTreeMap<String, f64> {
    let values = METRICS.iter().filter_map(|metric| {
        let value = (metric.of)(record).filter(|value| value.is_finite())?;
        Some((metric.key.to_owned(), value))
    });
    values.collect()
}

/// Returns the metric with `key`, if there is one.
pub fn by_key(key: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|metric| metric.key == key)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use c10k_loadgen::measurement::{KernelCounters, TimeWait};
    use c10k_loadgen::summary::Percentiles;

    use super::*;
    use crate::fixture;
    use crate::record::Outcome;

    /// Builds a record of 1,000 completed requests in a second, with every reading that a metric
    /// uses.
    fn record() -> Record {
        let mut record = fixture::measured("epoll", "short-1", 1);
        let Outcome::Measured(summary) = &mut record.outcome else { unreachable!() };
        summary.requests.completed = 1_000;
        summary.connections.established = 16;
        summary.connections.idle_established = 84;
        let time_wait = Some(TimeWait { server: 20, client: 3 });
        summary.kernel = Some(KernelCounters { time_wait, ..KernelCounters::default() });
        summary.latency_us = Percentiles {
            count: 1_000,
            p50: 5.0,
            p99: 9.0,
            p99_9: 11.0,
            max: 12.0,
            ..Percentiles::default()
        };
        record.readings = [
            ("server_cpu_user_s", 0.002),
            ("server_cpu_system_s", 0.008),
            ("server_cpu_wait_s", 0.03),
            ("server_neighbours_s", 0.02),
            ("server_throttled_s", 0.04),
            ("server_softirq_s", 0.003),
            ("server_ksoftirqd_s", 0.001),
            ("system_calls_per_request", 3.5),
            ("context_switches_voluntary", 500.0),
            ("context_switches_involuntary", 250.0),
            ("page_faults_minor", 90.0),
            ("page_faults_major", 10.0),
            ("memory_pss_bytes", 3e6),
            ("memory_anonymous_bytes", 2.5e6),
            ("memory_anonymous_one_connection_bytes", 0.52e6),
            ("memory_peak_rss_bytes", 4e6),
            ("tasks", 2.0),
            ("machine_steal_s", 0.1),
            ("machine_other_s", 0.5),
            ("machine_interrupts_s", 0.2),
            ("tcp_time_wait", 28.0),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
        record
    }

    #[test]
    fn keys_are_unique_and_every_metric_says_what_it_is() {
        let keys: HashSet<&str> = METRICS.iter().map(|metric| metric.key).collect();
        assert_eq!(keys.len(), METRICS.len());
        for Metric { key, title, unit, meaning, .. } in METRICS {
            assert!(![key, title, unit, meaning].iter().any(|text| text.is_empty()), "{key}");
            assert!(meaning.ends_with('.'), "{key}");
        }
    }

    #[test]
    fn every_metric_follows_from_the_summary_and_the_readings() {
        let metrics = compute(&record());
        let expected = [
            ("throughput_rps", 10_000.0),
            ("latency_p50_us", 5.0),
            ("latency_max_us", 12.0),
            ("server_cpu_us_per_request", 10.0),
            ("server_cpu_user_us_per_request", 2.0),
            ("server_cpu_system_us_per_request", 8.0),
            ("system_calls_per_request", 3.5),
            ("context_switches_per_request", 0.75),
            ("context_switches_voluntary_per_request", 0.5),
            ("context_switches_involuntary_per_request", 0.25),
            ("page_faults_per_request", 0.1),
            ("memory_pss_bytes", 3e6),
            ("memory_peak_rss_bytes", 4e6),
            ("memory_per_connection_bytes", 20_000.0),
            ("tasks", 2.0),
            ("bytes_read_per_request", 11_500.0),
            ("bytes_written_per_request", 600.0),
            ("generator_cpu_us_per_request", 400.0),
            ("total_cpu_us_per_request", 410.0),
            ("server_cpu_wait_share", 0.75),
            ("server_neighbours_share", 0.02),
            ("server_throttled_s", 0.04),
            ("server_softirq_us_per_request", 3.0),
            ("server_ksoftirqd_us_per_request", 1.0),
            ("machine_steal_share", 0.1),
            ("machine_other_share", 0.5),
            ("machine_interrupts_share", 0.2),
            ("tcp_time_wait", 28.0),
            ("server_time_wait", 20.0),
            ("client_time_wait", 3.0),
        ];
        for (key, value) in expected {
            assert!(
                (metrics[key] - value).abs() < 1e-9 * value.max(1.0),
                "{key} is {}",
                metrics[key]
            );
        }
    }

    #[test]
    fn a_percentile_needs_ten_samples_beyond_it() {
        let metrics = compute(&record());
        assert!(metrics.contains_key("latency_p99_us"));
        assert!(!metrics.contains_key("latency_p999_us"));
        assert!(!metrics.contains_key("connect_p50_us"), "no connection was timed");
    }

    #[test]
    fn a_percentile_that_failures_leave_unknown_is_no_number() {
        let mut record = record();
        let Outcome::Measured(summary) = &mut record.outcome else { unreachable!() };
        summary.latency_us.known_to = Some(0.98);
        let metrics = compute(&record);
        assert!(metrics.contains_key("latency_p90_us") && !metrics.contains_key("latency_p99_us"));
    }

    #[test]
    fn nothing_is_per_request_of_no_request() {
        let mut record = record();
        let Outcome::Measured(summary) = &mut record.outcome else { unreachable!() };
        summary.requests.completed = 0;
        let metrics = compute(&record);
        assert!(!metrics.keys().any(|key| key.ends_with("_per_request")), "{metrics:?}");
    }

    #[test]
    fn a_measurement_that_failed_has_no_rates() {
        let failed = fixture::failed("epoll", "short-1", 1, "no response");
        assert!(compute(&failed).is_empty());
    }

    #[test]
    fn a_metric_is_found_by_its_key() {
        assert_eq!(by_key("throughput_rps").unwrap().title, "Throughput");
        assert!(by_key("of_tomorrow").is_none());
    }
}
