//! `c10k gate`: whole gates of tiny suites, and that each way in which one can fail is told in a
//! line, with no half verdict and nothing left behind.

#![cfg(target_os = "linux")]

mod commands;
mod failures;
mod interruption;
mod repository;
mod revisions;
mod support;
#[path = "../support/wait.rs"]
mod wait;
