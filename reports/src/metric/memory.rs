//! Metrics: memory of the server.

use super::definition::{Drawn, Format, Metric, PLAIN};
use super::quantities::{reading, summary};

/// Fields that all memory metrics share.
const MEMORY: Metric = Metric { unit: "bytes", format: Format::Bytes, ..PLAIN };

/// Memory at the end of the measured part.
pub const PSS: Metric = Metric {
    key: "memory_pss_bytes",
    title: "Memory",
    meaning: "Resident memory of all processes of the server at the end of the measured part, shared \
              pages divided among them (PSS).",
    of: |record| reading(record, "memory_pss_bytes"),
    headline: true,
    drawn: Drawn::Curves,
    ..MEMORY
};

/// Memory without that of files.
pub const ANONYMOUS: Metric = Metric {
    key: "memory_anonymous_bytes",
    title: "Memory without files",
    meaning: "Resident memory of all processes of the server without that of files, at the end of the \
              measured part. Two processes of one program share the pages of its file, so that PSS \
              changes when another one starts or ends, and this does not.",
    of: |record| reading(record, "memory_anonymous_bytes"),
    ..MEMORY
};

/// Highest memory.
pub const PEAK: Metric = Metric {
    key: "memory_peak_rss_bytes",
    title: "Peak memory",
    meaning: "Highest resident memory of the server's processes (RSS), shared pages counted in each.",
    of: |record| reading(record, "memory_peak_rss_bytes"),
    ..MEMORY
};

/// Growth of the memory per connection.
pub const PER_CONNECTION: Metric = Metric {
    key: "memory_per_connection_bytes",
    title: "Memory per connection",
    meaning: "Resident memory, without that of files, at the end of the measured part beyond that of the \
              server with one connection, divided by the further connections, idle ones included. A pool \
              has one worker for each connection.",
    of: |record| {
        let added = reading(record, "memory_anonymous_bytes")?
            - reading(record, "memory_anonymous_one_connection_bytes")?;
        let connections = summary(record)?.connections;
        let further = (connections.established + connections.idle_established).saturating_sub(1);
        (further > 0).then(|| added / further as f64)
    },
    ..MEMORY
};
