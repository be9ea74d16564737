//! Ctrl-C, or a closed terminal, during a measurement: results up to then are kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use procfs::process::Process;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// Exit status of a command that was interrupted: the one that a shell reports for a program that
/// Ctrl-C ended.
pub const STATUS: u8 = 130;

/// Flag that SIGINT, SIGTERM or SIGHUP sets. After the first of these signals, SIGINT and SIGTERM
/// end the process at once.
#[derive(Debug, Clone)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Starts to listen for the signals.
    pub fn catch() -> Result<Self> {
        let happened = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register_conditional_shutdown(
                signal,
                128 + signal,
                Arc::clone(&happened),
            )
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&happened)))
            .context("cannot handle signals")?;
        }
        // A closed terminal sends SIGHUP twice, from the shell and from the kernel, so a second
        // SIGHUP must not end the process.
        if !is_ignored(SIGHUP) {
            signal_hook::flag::register(SIGHUP, Arc::clone(&happened))
                .context("cannot handle signals")?;
        }
        Ok(Self(happened))
    }

    /// Returns the flag that the signals set.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }

    /// True if one of the signals has arrived.
    pub fn happened(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// True if this process was started with `signal` ignored, as `nohup` does; false if that can't be
/// read.
fn is_ignored(signal: i32) -> bool {
    let status = Process::myself().and_then(|process| process.status());
    status.is_ok_and(|status| status.sigign & (1 << (signal - 1)) != 0)
}
