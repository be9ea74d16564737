//! One processor for the server and another one for the generator.

use std::fmt;

use anyhow::Result;
use c10k::cpus::CpuList;
use c10k::subject::RunningSubject;

/// Where a server runs and where the generator does; the same for both on a machine with one processor.
#[derive(Debug)]
pub struct Processors(Option<(CpuList, CpuList)>);

impl Processors {
    /// Chooses them, and moves this thread to the generator's.
    pub fn choose() -> Result<Self> {
        let chosen = Self(CpuList::available()?.ends());
        if let Some((_, generator)) = &chosen.0 {
            generator.pin()?;
        }
        Ok(chosen)
    }

    /// Starts a server on the server's processor, where it and all it starts stays.
    pub fn start(&self, start: impl FnOnce() -> Result<RunningSubject>) -> Result<RunningSubject> {
        let Some((server, generator)) = &self.0 else { return start() };
        server.pin()?;
        let started = start();
        generator.pin()?;
        started
    }
}

impl fmt::Display for Processors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some((server, generator)) => write!(f, "server on processor {server}, generator on {generator}"),
            None => f.write_str("server and generator on the same processor"),
        }
    }
}
