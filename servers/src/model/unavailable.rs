//! Reasons why a model can't run here.

use std::io;

use crate::completion::probe::NoIoUring;

/// Reason why a model can't run here. Its text is one line, with the next step if there is one.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// The model is not part of this build.
    #[error("left out of this build; build with the feature `{feature}`")]
    LeftOut {
        /// Feature of the crate that adds the model.
        feature: &'static str,
    },
    /// The system allows fewer threads or processes than the model has workers.
    #[error(
        "its {workers} workers are more than this system allows: {most}, see `sysctl {setting}`; \
         ask for fewer with --workers"
    )]
    MoreWorkersThanTheSystemAllows {
        /// Size of the pool.
        workers: usize,
        /// Most threads or processes of this system.
        most: usize,
        /// Setting that limits them.
        setting: &'static str,
    },
    /// The user's limit of processes is smaller than the number of the model's workers.
    #[error(
        "its {workers} workers need more processes than allowed: {limit}, see `ulimit -u`; \
         ask for fewer with --workers"
    )]
    MoreWorkersThanTheUserMayHave {
        /// Size of the pool.
        workers: usize,
        /// Limit of the user's processes.
        limit: u64,
    },
    /// The system allows fewer threads than the model has for handlers.
    #[error(
        "its {threads} handler threads are more than this system allows: {most}, see \
         `sysctl {setting}`; ask for fewer with --handler-threads"
    )]
    MoreHandlerThreadsThanTheSystemAllows {
        /// Number of threads for handlers.
        threads: usize,
        /// Most threads of this system.
        most: usize,
        /// Setting that limits them.
        setting: &'static str,
    },
    /// Each event loop needs a thread for handlers, and there are fewer of these.
    #[error(
        "its {loops} event loops have a pool for handlers each, and {threads} handler threads are \
         too few for that; ask for more with --handler-threads, or for fewer loops with --workers"
    )]
    FewerHandlerThreadsThanLoops {
        /// Number of threads for handlers.
        threads: usize,
        /// Number of event loops.
        loops: usize,
    },
    /// No thread can be started; the text says why.
    #[error("{0}")]
    NoThreads(&'static str),
    /// There is no `io_uring` with all features that the models of this crate need.
    #[error(transparent)]
    NoIoUring(#[from] NoIoUring),
    /// There is no `io_uring` with all features that compio needs.
    #[error(
        "needs io_uring with rings of buffers, as Linux has since 5.19: {0}; containers often forbid it, \
         and see `sysctl kernel.io_uring_disabled`"
    )]
    NoBufferRings(io::Error),
}
