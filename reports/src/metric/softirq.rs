//! Metrics: CPU time that the kernel spends to receive the packets of a request, on the processors
//! of the server.

use super::definition::{Metric, PLAIN};
use super::quantities::{per_request, reading};

/// Time in soft interrupts, no matter which task was interrupted.
pub const SOFTIRQ: Metric = Metric {
    key: "server_softirq_us_per_request",
    title: "Soft interrupts",
    unit: "µs per request",
    meaning: "Time of the server's processors in soft interrupts, which receive packets, per completed \
              request. Most kernels count it as CPU time of the task that was interrupted as well.",
    of: |record| per_request(record, reading(record, "server_softirq_s")? * 1e6),
    ..PLAIN
};

/// CPU time of kernel threads, which is not charged to any other task.
pub const KSOFTIRQD: Metric = Metric {
    key: "server_ksoftirqd_us_per_request",
    title: "CPU of ksoftirqd",
    unit: "µs per request",
    meaning: "CPU time of the kernel threads that receive packets on the server's processors, per \
              completed request. It is part of no other CPU time.",
    of: |record| per_request(record, reading(record, "server_ksoftirqd_s")? * 1e6),
    ..PLAIN
};
