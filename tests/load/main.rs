//! `c10k load` against servers that misbehave: whatever a server does, the run ends on time and its
//! counts are right.
//!
//! Each test starts a server of its own inside this process, with a small script of what it does
//! with each request, runs the real command against it, and compares the report of the command with
//! what the server saw. Rules that hold for every run, such as that no request is missing from the
//! counts, are checked for every run: see [`command`].

mod addresses;
mod answers;
mod bodies;
mod closing;
mod command;
mod connections;
mod counts;
mod examples;
mod framing;
#[path = "../support/hosts.rs"]
mod hosts;
mod interruption;
mod listen_queues;
mod open_loop;
mod outputs;
mod processors;
#[path = "../support/quota.rs"]
mod quota;
#[path = "../support/refusal.rs"]
mod refusal;
mod resets;
mod server;
mod silence;
mod slow;
mod slowness;
mod stops;
mod urls;
mod usage;
#[path = "../support/wait.rs"]
mod wait;
mod workload;
