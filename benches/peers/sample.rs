//! One measurement of one subject.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use c10k::interrupt::Interrupt;
use c10k::measure::measure;
use c10k::subject::RunningSubject;
use c10k_loadgen::Target;
use c10k_loadgen::workload::Until;

use crate::client::Client;
use crate::load::{check, closed_loop};
use crate::peer::PAGE;
use crate::processors::Processors;
use crate::subject::Subject;

/// Enough for a batch of them to be ready whenever a server looks, few enough for one process or thread each.
pub const CONNECTIONS: usize = 64;

/// Some hundred requests on each connection before the measured part, for caches and lazy beginnings.
const WARMUP: Duration = Duration::from_millis(100);

/// How long the answer that is compared may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How everything is measured.
#[derive(Debug)]
pub struct Setting<'a> {
    pub processors: Processors,
    pub duration: Duration,
    /// Where the page is, and what the peers need.
    pub dir: &'a Path,
    pub interrupt: &'a Interrupt,
}

/// What one measurement gave.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// CPU time of the server's processes per completed request, in microseconds.
    pub cpu_us: f64,
    pub throughput_rps: f64,
}

impl Setting<'_> {
    /// Measures a fresh process of `subject`.
    pub fn measure(&self, subject: &Subject) -> Result<Sample> {
        let running = self.processors.start(|| subject.start(self.dir))?;
        compare_page(&running, subject.path())?;
        let target = Target::resolve(&format!("http://{}{}", running.address(), subject.path()))?;
        let load = closed_loop(CONNECTIONS, Until::Elapsed(self.duration), WARMUP);
        let (measured, readings) = measure(target, load, running.pid(), self.interrupt.flag(), |_| Ok(()))?;
        running.stop()?;
        check(&measured)?;
        let completed = measured.requests.completed;
        ensure!(completed > 0, "it answered nothing");
        let seconds = |key| readings.values.get(key).context("its CPU time can't be read");
        let cpu_s = seconds("server_cpu_user_s")? + seconds("server_cpu_system_s")?;
        Ok(Sample { cpu_us: cpu_s * 1e6 / completed as f64, throughput_rps: measured.throughput_rps() })
    }
}

/// A server that sends something else is compared with nothing.
fn compare_page(running: &RunningSubject, path: &str) -> Result<()> {
    let get = || {
        let mut client = Client::connect(running.address(), PATIENCE)?;
        client.send(path)?;
        client.receive()
    };
    let body = get().context("it does not give its page")?;
    ensure!(body == PAGE.as_bytes(), "it serves another page, of {} octets", body.len());
    Ok(())
}
