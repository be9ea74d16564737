//! Metrics: every number that tables, charts and the gate take from a record. Each metric or family
//! of metrics has its own file, and each metric has a line in [`METRICS`].

mod allocations;
mod capacity;
mod cheap;
mod connect;
mod connect_wait;
mod connections;
mod context_switches;
mod definition;
mod first_byte;
mod generator_cpu;
mod hardware;
mod latency;
mod machine;
mod memory;
mod page_faults;
mod quantities;
mod registry;
mod response;
mod server_cpu;
mod server_wait;
mod service;
mod softirq;
mod system_calls;
mod tasks;
mod tcp;
mod throughput;
mod total_cpu;
mod user_instructions;
mod wire_bytes;

pub use definition::{Bound, Drawn, Format, Metric};
pub use registry::{METRICS, by_key, compute};
pub use throughput::OF_ALL_SLICES;
