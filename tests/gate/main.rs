//! `c10k gate`: complete gates of tiny suites, and gates that fail: each failure is reported in one
//! line, with no partial verdict and nothing left behind.

mod commands;
mod failures;
mod interruption;
mod repository;
mod revisions;
mod support;
#[path = "../support/wait.rs"]
mod wait;
