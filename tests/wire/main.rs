//! `c10k wire`: what it shows of real connections, compared with another reader of the same
//! packets.
//!
//! A machine that allows neither user namespaces nor root leaves these tests out, with a line.

mod networks;
mod packets;
mod places;
#[path = "../support/processes.rs"]
#[allow(dead_code, reason = "each test uses a part of it")]
mod processes;
#[path = "../support/refusal.rs"]
mod refusal;
mod scenes;
mod support;
#[path = "../support/wait.rs"]
mod wait;
