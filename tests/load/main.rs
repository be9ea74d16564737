//! `c10k load` against servers that misbehave: with every such server, the run ends on time and its
//! counts are right.
//!
//! Each test starts its own server inside this process, with a small script that says how it
//! handles each request, runs the real command against it, and compares the report of the command
//! with the records of the server. Rules that hold for every run, such as that no request is
//! missing from the counts, are checked for every run: see [`command`].

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
