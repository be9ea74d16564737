//! The load generator of c10k: it sends load to one HTTP/1.1 server and records the results in
//! histograms.
//!
//! It knows the address of the server and nothing else. A [`Workload`] describes as data what is
//! sent to a [`Target`], [`start`] runs it on worker threads with one event loop each, and a
//! [`Measurement`] holds the results.

#![forbid(unsafe_code)]

pub mod addresses;
mod attempts;
pub mod bound;
pub mod check;
mod clock;
pub mod confidence;
#[doc(hidden)] // Public for loadgen/fuzz alone.
pub mod connection;
pub mod example;
mod follow;
mod hdr_log;
mod head;
mod intervals;
mod kernel;
mod listener_drops;
mod lookup;
pub mod measurement;
mod merge;
pub mod netlink;
mod outcome;
pub mod percentile;
mod plan;
mod protocol_error;
mod reach;
mod recorder;
mod run;
mod schedule;
mod settings;
mod silence;
mod slow;
pub mod sock_diag;
mod source;
pub mod summary;
mod target;
mod time_wait;
mod timeline;
mod times;
mod usage;
mod worker;
pub mod workload;

pub use follow::{FollowError, follow};
pub use hdr_log::{HdrLog, log_lines};
pub use measurement::Measurement;
pub use reach::reach;
pub use recorder::{Interval, Recorder};
pub use run::{Event, Run, RunError, start};
pub use settings::Settings;
pub use slow::SlowClients;
pub use source::{ephemeral_ports, first_ephemeral_port};
pub use summary::Summary;
pub use target::{Request, Target, TargetError};
pub use times::empty_times;
pub use workload::Workload;
