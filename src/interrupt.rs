//! Ctrl-C, or a terminal that is closed, while something is measured: results up to then are kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use procfs::process::Process;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// Flag that SIGINT, SIGTERM or SIGHUP sets. After one of them, SIGINT and SIGTERM end the process at once.
#[derive(Debug, Clone)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Starts to listen for them.
    pub fn catch() -> Result<Self> {
        let happened = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&happened))
                .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&happened)))
                .context("cannot handle signals")?;
        }
        // A closed terminal sends it twice, from the shell and from the kernel: a second one ends nothing.
        if !is_ignored(SIGHUP) {
            signal_hook::flag::register(SIGHUP, Arc::clone(&happened)).context("cannot handle signals")?;
        }
        Ok(Self(happened))
    }

    /// The flag that they set.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }

    /// Whether one came.
    pub fn happened(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Whether this process was started with `signal` ignored, as `nohup` does; false where that can't be read.
fn is_ignored(signal: i32) -> bool {
    let status = Process::myself().and_then(|process| process.status());
    status.is_ok_and(|status| status.sigign & (1 << (signal - 1)) != 0)
}
