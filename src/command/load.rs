//! `c10k load URL`: drives one server and reports what was measured.

mod live;
mod server;
mod text;

use std::fs;
use std::io::IsTerminal;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use c10k_loadgen::workload::{Arrivals, Closer, Lifetime, Pacing, SLOW_BYTES_PER_S, Until};
use c10k_loadgen::{HdrLog, Interval, Measurement, Request, Summary, Target, Workload};
use c10k_reports::WholeFile;

use self::live::LiveLine;
use self::server::Server;
use crate::cpus::CpuList;
use crate::interrupt::{self, Interrupt};
use crate::limits;
use crate::measure::measure;
use crate::nothing;
use crate::output::{note, print};
use crate::probe::{self, Readings};
use crate::time;

/// Upper limit of the kernel's process ids (`PID_MAX_LIMIT`).
const MAX_PID: u32 = 1 << 22;

/// Drive a server and measure it
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line, each on its own")]
pub struct Args {
    /// URL to request, `http://[USER:PASSWORD@]HOST[:PORT]/PATH`; letters beyond ASCII are
    /// percent-encoded, and dot segments removed, as curl does. If HOST is a name, connections use
    /// its addresses in turn, of IPv6 and IPv4; addresses that don't answer are left out
    url: String,
    /// Connections at once
    #[arg(long, default_value = "64", value_name = "N", value_parser = limits::whole(NonZeroUsize::MIN..=NonZeroUsize::MAX))]
    connections: NonZeroUsize,
    /// Length of the measured part [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = time::parse_measured, conflicts_with = "requests")]
    duration: Option<Duration>,
    /// Measure this many requests instead of a time
    #[arg(long, value_name = "N", value_parser = limits::whole(NonZeroU64::MIN..=NonZeroU64::MAX))]
    requests: Option<NonZeroU64>,
    /// Traffic before the measured part
    #[arg(long, default_value = "1s", value_name = "TIME", value_parser = time::parse)]
    warmup: Duration,
    /// Open loop: send this many requests per second, whether responses come or not; without it, a
    /// closed loop
    #[arg(long, value_name = "RPS", value_parser = limits::parse_rate)]
    rate: Option<f64>,
    /// Distribution of an open loop's requests over time
    #[arg(long, value_enum, default_value = "constant", requires = "rate")]
    arrivals: ArrivalsArg,
    /// Time before each send of an open loop in which a worker spins instead of sleeping; 0s never
    /// spins
    #[arg(long, default_value = "100us", value_name = "TIME", value_parser = time::parse, requires = "rate")]
    spin: Duration,
    /// Seed of random arrivals
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = limits::whole(0..=u64::MAX))]
    seed: u64,
    /// Further connections that send one request before the run and are then only held open
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = limits::whole(0..=usize::MAX))]
    idle: usize,
    /// Further connections of clients that send requests and read responses slowly (at 100 bytes
    /// per second, unless given); they are counted separately
    #[arg(long, default_value = "0", value_name = "N[:BYTES_PER_S]", value_parser = parse_slow)]
    slow: (usize, f64),
    /// Connections opened per second at the most, idle ones included
    #[arg(long, value_name = "N", value_parser = limits::parse_rate)]
    connect_rate: Option<f64>,
    /// Worker threads, each with its own connections and, in an open loop, its own queue: if
    /// requests wait for a connection, more threads make latency longer
    #[arg(long, default_value = "1", value_name = "N", value_parser = limits::whole(NonZeroUsize::MIN..=NonZeroUsize::MAX))]
    threads: NonZeroUsize,
    /// Processors to run on, such as 0,2-3
    #[arg(long, value_name = "CPUS")]
    pin: Option<CpuList>,
    /// Requests per connection: short (one), persistent, or a number
    #[arg(long, default_value = "persistent", value_name = "N")]
    lifetime: Lifetime,
    /// End that closes a connection after its last request: server, which is asked to, or client
    /// [default: server]. The end that closes first keeps the connection in TIME_WAIT; with this
    /// option, the result has the number of these connections, on loopback
    #[arg(long, value_name = "END")]
    close: Option<Closer>,
    /// Time after which a request without a response has failed
    #[arg(long, default_value = "5s", value_name = "TIME", value_parser = time::parse_positive)]
    timeout: Duration,
    /// Method of the requests
    #[arg(long, default_value = "GET", value_name = "M", value_parser = parse_method)]
    method: String,
    /// A header field of the requests; may be repeated
    #[arg(long = "header", value_name = "K: V", value_parser = limits::parse_header)]
    headers: Vec<(String, String)>,
    /// Body of the requests, or @FILE to read it from there
    #[arg(long, value_name = "TEXT|@FILE")]
    body: Option<String>,
    /// Follow redirections once, before the run, and measure where they end
    #[arg(long)]
    follow: bool,
    /// Process of the server, on this machine: reports its CPU time, memory, and context switches,
    /// too
    #[arg(long, value_name = "PID", value_parser = limits::whole(1..=MAX_PID))]
    server_pid: Option<u32>,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
    /// Write the JSON object to a file, too; a regular file is replaced whole or not at all
    #[arg(long, value_name = "FILE.json")]
    output: Option<PathBuf>,
    /// Write an HdrHistogram V2 interval log
    #[arg(long, value_name = "FILE.hlog")]
    hdr: Option<PathBuf>,
    /// Exit with status 1 when a check fails
    #[arg(long)]
    strict: bool,
    /// Print nothing
    #[arg(long, conflicts_with = "json")]
    quiet: bool,
}

/// [`Arrivals`] on the command line.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum ArrivalsArg {
    Constant,
    Poisson,
}

impl From<ArrivalsArg> for Arrivals {
    fn from(arrivals: ArrivalsArg) -> Self {
        match arrivals {
            ArrivalsArg::Constant => Self::Constant,
            ArrivalsArg::Poisson => Self::Poisson,
        }
    }
}

impl Args {
    pub fn run(&self) -> Result<ExitCode> {
        limits::raise_open_files();
        limits::check_threads()?;
        let target = Target::resolve(&self.url)?;
        let workload = self.workload()?;
        if let Some(pid) = self.server_pid {
            server::check(pid)?;
        }
        limits::check_connections(workload.connections_at_once())?;
        self.check_times(&workload)?;
        let target = self.reach(target, &workload)?;
        if !self.quiet && workload.lifetime != Lifetime::Persistent && !target.is_loopback() {
            let ports = c10k_loadgen::ephemeral_ports();
            note(&format!(
                "c10k: {ports} ports, each taken for a minute unless the server closes first, \
                 allow {} new connections per second\n",
                ports / 60
            ));
        }
        if let Some(cpus) = &self.pin {
            cpus.pin()?;
        }
        let interrupt = Interrupt::catch()?;
        let (output, log) = self.open_files()?;
        let (measured, readings) = match self.measure(target, workload, log.as_ref(), &interrupt) {
            Err(_) if interrupt.happened() => return Ok(ExitCode::from(interrupt::STATUS)),
            measured => measured?,
        };
        let summary = Summary::from(&measured);
        let server = self.server_pid.map(|_| Server::of(&summary, readings));
        // An interrupted run without results does not replace the files of an earlier one.
        let is_kept = measured.requests.completed > 0 || !interrupt.happened();
        let kept = log.filter(|_| is_kept).map_or(Ok(()), WholeFile::keep);
        self.tell(&measured, &summary, server.as_ref(), output.filter(|_| is_kept))?;
        kept?;
        if interrupt.happened() && is_kept && !self.quiet {
            note(&format!(
                "c10k: interrupted; the result is of the first {:.2?}\n",
                measured.duration
            ));
        }
        Ok(if measured.requests.completed == 0 {
            note(&format!("c10k: {}\n", nothing::line(&measured, interrupt.happened())));
            ExitCode::from(if interrupt.happened() { interrupt::STATUS } else { 1 })
        } else if self.strict && !summary.valid {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        })
    }

    /// Opens `--output` and `--hdr` before the run, so that a path that can't be written costs no
    /// run.
    fn open_files(&self) -> Result<(Option<WholeFile>, Option<WholeFile>)> {
        let output = self.output.as_deref().map(WholeFile::open).transpose()?;
        let log = self.hdr.as_deref().map(WholeFile::open).transpose()?;
        if let (Some(output), Some(log)) = (&output, &log) {
            ensure!(!output.is_same(log), "--output and --hdr name the same file; write to two");
        }
        Ok((output, log))
    }

    /// Finds the addresses that answer, and the end of redirections.
    fn reach(&self, target: Target, workload: &Workload) -> Result<Target> {
        let mut target = c10k_loadgen::reach(target, &workload.request, workload.timeout)?;
        if self.follow {
            target = c10k_loadgen::follow(target, &workload.request, workload.timeout)?;
        }
        if !self.quiet {
            for address in &target.left_out {
                note(&format!("c10k: {address}, left out\n"));
            }
        }
        Ok(target)
    }

    fn tell(
        &self,
        measured: &Measurement,
        summary: &Summary,
        server: Option<&Server>,
        output: Option<WholeFile>,
    ) -> Result<()> {
        let mut json = serde_json::to_value(summary)?;
        if let Some(server) = server {
            json["server"] = serde_json::to_value(server)?;
        }
        let json = format!("{json:#}\n");
        // The result is printed even if it can't be written to the file.
        let written = output.map_or(Ok(()), |output| output.write(&json));
        if self.json {
            print(&json)?;
        } else if !self.quiet {
            let server = server.map_or_else(String::new, Server::text);
            print(&(text::render(measured, summary) + &server))?;
        }
        Ok(written?)
    }

    /// Refuses rates so low that a run would not end within the longest allowed time.
    fn check_times(&self, workload: &Workload) -> Result<()> {
        let requests = self.requests.map_or(0, NonZeroU64::get);
        if let Some(rate) = self.connect_rate {
            let in_turn = match workload.lifetime {
                Lifetime::Persistent => 0,
                Lifetime::Requests(each) => requests.div_ceil(each.get().into()),
            };
            let at_once = workload.connections.saturating_add(workload.idle) as u64;
            limits::check_time(at_once.max(in_turn), "connections", rate)?;
        }
        if let Some(rate) = self.rate {
            limits::check_time(requests, "requests", rate)?;
        }
        Ok(())
    }

    /// Turns the options into a workload, before anything is sent.
    fn workload(&self) -> Result<Workload> {
        let body = match self.body.as_deref() {
            None => Vec::new(),
            Some(text) => match text.strip_prefix('@') {
                None => text.as_bytes().to_vec(),
                Some(file) => {
                    fs::read(file).with_context(|| format!("cannot read the body from {file}"))?
                }
            },
        };
        ensure!(
            self.close.is_none() || self.lifetime != Lifetime::Persistent,
            "--close needs a --lifetime in requests: persistent connections are closed with the run"
        );
        let until = match (self.requests, self.duration) {
            (Some(requests), _) => Until::Requests(requests.get()),
            (None, duration) => Until::Elapsed(duration.unwrap_or(Duration::from_secs(10))),
        };
        Ok(Workload {
            pacing: self.rate.map_or(Pacing::Closed, |rate| Pacing::Open {
                rate,
                arrivals: self.arrivals.into(),
                seed: self.seed,
                spin: self.spin,
            }),
            connections: self.connections.get(),
            idle: self.idle,
            slow: self.slow.0,
            slow_bytes_per_s: self.slow.1,
            connect_rate: self.connect_rate,
            lifetime: self.lifetime,
            close: self.close,
            warmup: self.warmup,
            timeout: self.timeout,
            threads: self.threads.get(),
            request: Request { method: self.method.clone(), headers: self.headers.clone(), body },
            ..Workload::lasting(until)
        })
    }

    fn measure(
        &self,
        target: Target,
        workload: Workload,
        log: Option<&WholeFile>,
        interrupt: &Interrupt,
    ) -> Result<(Measurement, Readings)> {
        let mut live = (!self.quiet && std::io::stderr().is_terminal()).then(LiveLine::default);
        let mut log = log.map(|file| file.file().map(HdrLog::to)).transpose()?;
        let keep = |interval: &Interval| {
            if let (Some(log), Some(path)) = (&mut log, &self.hdr) {
                log.append(interval).with_context(|| format!("cannot write {}", path.display()))?;
            }
            if let Some(line) = live.as_mut().and_then(|live| live.update(interval)) {
                note(&format!("\r\x1b[K{line}"));
            }
            Ok(())
        };
        let server = self.server_pid.map(probe::Server::from);
        let measured = measure(target, workload, server, interrupt.flag(), keep);
        if live.is_some() {
            note("\r\x1b[K");
        }
        measured
    }
}

fn parse_slow(text: &str) -> Result<(usize, f64)> {
    let (count, rate) =
        text.split_once(':').map_or((text, None), |(count, rate)| (count, Some(rate)));
    let count = count.parse().context("write N or N:BYTES_PER_S, with a whole number N")?;
    Ok((count, rate.map_or(Ok(SLOW_BYTES_PER_S), limits::parse_rate)?))
}

fn parse_method(text: &str) -> Result<String> {
    limits::check_method(text)?;
    Ok(text.into())
}
