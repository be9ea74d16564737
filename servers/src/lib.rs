//! Every concurrency model of c10k as a function of one signature, serving the same bytes through
//! the same HTTP code.
//!
//! A model decides only how its threads, processes or tasks wait, and for what. The served content
//! is the [`Site`], HTTP is the [`http::Connection`], and connections come from the
//! [`Listener`].

#[cfg(not(target_os = "linux"))]
compile_error!("c10k is for Linux: it needs epoll, io_uring and /proc");

mod blocking;
mod completion;
pub mod http;
mod model;
mod net;
mod options;
mod readiness;
#[cfg(any(feature = "compio", feature = "may", feature = "smol", feature = "tokio"))]
mod runtimes;
pub mod site;
#[cfg_attr(not(feature = "may"), allow(dead_code))]
mod thread_limit;

pub use completion::probe::NoIoUring;
pub use model::{
    AcceptStrategy, ConnectionLimit, Entry, Execution, Profile, ROSTER, Readiness, Serve,
    Unavailable, find,
};
pub use net::listener::{Listener, Listening};
pub use net::shutdown::{DRAIN_TIME, Shutdown};
pub use options::Options;
pub(crate) use site::Site;
pub use thread_limit::why_no_threads;
