//! Metrics: counters of the kernel's TCP in the measured part. Other traffic of the machine is in them
//! too, so they tell why a measurement looks as it does, not which server is better.

use super::definition::{Format, Metric, PLAIN};
use super::quantities::reading;

/// Fields that the four share.
const COUNTER: Metric = Metric { better: None, format: Format::Count, ..PLAIN };

/// A full accept queue.
pub const LISTEN_OVERFLOWS: Metric = Metric {
    key: "tcp_listen_overflows",
    title: "Listen overflows",
    unit: "connections",
    meaning: "Connections that found the queue of a listening socket full.",
    of: |record| reading(record, "tcp_listen_overflows"),
    ..COUNTER
};

/// Any reason to turn a connection away.
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
