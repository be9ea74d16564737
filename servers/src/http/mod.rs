//! HTTP/1.1 without I/O (RFC 9110, RFC 9112): bytes in, bytes out, no socket anywhere.
//!
//! [`Connection`] is the state machine that every concurrency model drives, so that two models
//! never differ in their HTTP. Each thread that drives connections has a [`Service`].

mod body;
mod buffer;
mod connection;
mod date;
#[cfg(feature = "handicap")]
mod handicap;
mod handler;
mod large_body;
mod lesson;
mod output;
mod request;
pub(crate) mod response;
mod service;
pub(crate) mod status;

pub(crate) use buffer::try_append;
pub use connection::{Connection, Want};
pub use handler::{Job, Reply};
pub use response::UNAVAILABLE;
pub use service::{HandlerPlacement, Service, Timeouts};
pub use status::Status;
