//! `c10k worker --master HOST:PORT`: the generator of this machine as a worker of a Locust master.

use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::cpus::CpuList;
use crate::interrupt::{self, Interrupt};
use crate::locust::{Exit, Worker, work};
use crate::{limits, time};

/// Send load as a worker of a Locust master, on whose machine `loadgen/locust/locustfile.py` is
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Address at which Locust's master awaits its workers, such as 10.0.0.1:5557
    #[arg(long, value_name = "HOST:PORT", value_parser = parse_master)]
    master: String,
    /// Time to wait for the master
    #[arg(long, default_value = "5m", value_name = "TIME", value_parser = time::parse)]
    wait: Duration,
    /// When the master ends, wait for the next one, as `c10k bench` starts them
    #[arg(long)]
    stay: bool,
    /// Worker threads, each with its own connections and, in an open loop, its own queue
    #[arg(long, default_value = "1", value_name = "N", value_parser = limits::whole(NonZeroUsize::MIN..=NonZeroUsize::MAX))]
    threads: NonZeroUsize,
    /// Processors to run on, such as 0,2-3
    #[arg(long, value_name = "CPUS")]
    pin: Option<CpuList>,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        limits::raise_open_files();
        limits::check_threads()?;
        if let Some(cpus) = &self.pin {
            cpus.pin()?;
        }
        let interrupt = Interrupt::catch()?;
        let Self { master, wait, stay, threads, .. } = self;
        let worker = Worker { master, wait, stays: stay, threads: threads.get() };
        match work(&worker, &interrupt)? {
            Exit::Done => Ok(ExitCode::SUCCESS),
            Exit::Interrupted => Ok(ExitCode::from(interrupt::STATUS)),
            Exit::Failed(line) => bail!(line),
        }
    }
}

fn parse_master(text: &str) -> Result<String> {
    let (host, port) = text.rsplit_once(':').context("write HOST:PORT, such as 10.0.0.1:5557")?;
    ensure!(
        !host.is_empty()
            && !host.contains(['/', ' '])
            && port.parse::<u16>().is_ok_and(|port| port > 0),
        "write HOST:PORT, such as 10.0.0.1:5557"
    );
    Ok(text.to_owned())
}
