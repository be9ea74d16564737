//! Ctrl-C while something is measured: what was measured until then is kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use signal_hook::consts::{SIGINT, SIGTERM};

/// Whether SIGINT or SIGTERM came. The second one ends the process at once.
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
