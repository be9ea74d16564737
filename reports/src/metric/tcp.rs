//! Metrics: counters of the kernel's TCP. Most of them include other traffic of the machine, so
//! they explain a measurement but do not say which server is better.

use c10k_loadgen::measurement::TimeWait;

use super::definition::{Format, Metric, PLAIN};
use super::quantities::{reading, summary};
use crate::record::Record;

/// Fields that all these counters share.
const COUNTER: Metric = Metric { better: None, format: Format::Count, ..PLAIN };

/// Connections that found the accept queue full.
pub const LISTEN_OVERFLOWS: Metric = Metric {
    key: "tcp_listen_overflows",
    title: "Listen overflows",
    unit: "connections",
    meaning: "Connections that found the queue of a listening socket full.",
    of: |record| reading(record, "tcp_listen_overflows"),
    ..COUNTER
};

/// Connections that a listening socket turned away, for any reason.
pub const LISTEN_DROPS: Metric = Metric {
    key: "tcp_listen_drops",
    title: "Listen drops",
    unit: "connections",
    meaning: "Connections that a listening socket turned away, a full queue included.",
    of: |record| reading(record, "tcp_listen_drops"),
    ..COUNTER
};

/// Segments sent again.
pub const RETRANSMITS: Metric = Metric {
    key: "tcp_retransmits",
    title: "Retransmits",
    unit: "segments",
    meaning: "TCP segments that were sent again.",
    of: |record| reading(record, "tcp_retransmits"),
    ..COUNTER
};

/// Closed connections that the kernel still keeps.
pub const TIME_WAIT: Metric = Metric {
    key: "tcp_time_wait",
    title: "Sockets in TIME_WAIT",
    unit: "sockets",
    meaning: "Closed connections that the kernel still kept at the end of the measured part.",
    of: |record| reading(record, "tcp_time_wait"),
    ..COUNTER
};

/// Closed connections that the kernel still keeps, if the server closed them first.
pub const SERVER_TIME_WAIT: Metric = Metric {
    key: "server_time_wait",
    title: "TIME_WAIT at the server",
    unit: "sockets",
    meaning: "Connections that the server closed first, and the kernel still kept for it at the end.",
    of: |record| time_wait(record).map(|held| held.server as f64),
    ..COUNTER
};

/// Closed connections that the kernel still keeps, if the client closed them first.
pub const CLIENT_TIME_WAIT: Metric = Metric {
    key: "client_time_wait",
    title: "TIME_WAIT at the client",
    unit: "sockets",
    meaning: "Connections that the generator closed first, and the kernel still kept for it at the end.",
    of: |record| time_wait(record).map(|held| held.client as f64),
    ..COUNTER
};

fn time_wait(record: &Record) -> Option<TimeWait> {
    summary(record)?.kernel?.time_wait
}
