//! `c10k load URL`: drives one server and tells what that was like.

use std::fs;
use std::io::IsTerminal;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use c10k_loadgen::measurement::{Errors, Percentiles};
use c10k_loadgen::workload::{Lifetime, Pacing, Until};
use c10k_loadgen::{Event, HdrLog, Interval, Measurement, Request, Summary, Target, Workload};

use super::print;
use crate::cpus::CpuList;
use crate::interrupt::Interrupt;
use crate::limits;

/// Drive a server and measure it
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to ask for, `http://HOST[:PORT]/PATH`
    url: String,
    /// Connections at once
    #[arg(long, default_value = "64", value_name = "N")]
    connections: NonZeroUsize,
    /// Length of the measured part [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = parse_time, conflicts_with = "requests")]
    duration: Option<Duration>,
    /// Measure so many requests instead of a time
    #[arg(long, value_name = "N")]
    requests: Option<NonZeroU64>,
    /// Traffic before the measured part
    #[arg(long, default_value = "1s", value_name = "TIME", value_parser = humantime::parse_duration)]
    warmup: Duration,
    /// Worker threads, each with its own event loop
    #[arg(long, default_value = "1", value_name = "N")]
    threads: NonZeroUsize,
    /// Processors to run on, such as 0,2-3
    #[arg(long, value_name = "CPUS")]
    pin: Option<CpuList>,
    /// Requests per connection: short (one), persistent, or a number
    #[arg(long, default_value = "persistent", value_name = "N")]
    lifetime: Lifetime,
    /// A request without an answer for this long has failed
    #[arg(long, default_value = "5s", value_name = "TIME", value_parser = parse_time)]
    timeout: Duration,
    /// Method of the requests
    #[arg(long, default_value = "GET", value_name = "M", value_parser = parse_method)]
    method: String,
    /// A header field of the requests; may be repeated
    #[arg(long = "header", value_name = "K: V", value_parser = parse_header)]
    headers: Vec<(String, String)>,
    /// Body of the requests, or @FILE to read it from there
    #[arg(long, value_name = "TEXT|@FILE")]
    body: Option<String>,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
    /// Write the JSON object to a file, too
    #[arg(long, value_name = "FILE.json")]
    output: Option<PathBuf>,
    /// Write an HdrHistogram V2 interval log
    #[arg(long, value_name = "FILE.hlog")]
    hdr: Option<PathBuf>,
    /// Print nothing
    #[arg(long, conflicts_with = "json")]
    quiet: bool,
}

impl Args {
    pub fn run(&self) -> Result<ExitCode> {
        limits::raise_open_files();
        let (target, workload) = (Target::resolve(&self.url)?, self.workload()?);
        if workload.connections > limits::max_connections() {
            bail!(
                "{} connections need more open files than allowed: {} connections at most, see `ulimit -Hn`",
                workload.connections,
                limits::max_connections()
            );
        }
        if let Some(cpus) = &self.pin {
            cpus.pin()?;
        }
        let log = self
            .hdr
            .as_deref()
            .map(|path| HdrLog::create(path).with_context(|| cannot_write(path)))
            .transpose()?;
        let measured = self.measure(target, workload, log)?;
        let summary = Summary::from(&measured);
        let json = format!("{:#}\n", serde_json::to_value(&summary)?);
        if let Some(path) = &self.output {
            fs::write(path, &json).with_context(|| cannot_write(path))?;
        }
        if self.json {
            print(&json)?;
        } else if !self.quiet {
            print(&text(&measured, &summary))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Options become a workload before anything is sent.
    fn workload(&self) -> Result<Workload> {
        let body = match self.body.as_deref() {
            None => Vec::new(),
            Some(text) => match text.strip_prefix('@') {
                None => text.as_bytes().to_vec(),
                Some(file) => fs::read(file).with_context(|| format!("cannot read the body from {file}"))?,
            },
        };
        let until = match (self.requests, self.duration) {
            (Some(requests), _) => Until::Requests(requests.get()),
            (None, duration) => Until::Elapsed(duration.unwrap_or(Duration::from_secs(10))),
        };
        Ok(Workload {
            pacing: Pacing::Closed,
            connections: self.connections.get(),
            lifetime: self.lifetime,
            until,
            warmup: self.warmup,
            timeout: self.timeout,
            threads: self.threads.get(),
            request: Request { method: self.method.clone(), headers: self.headers.clone(), body },
        })
    }

    fn measure(&self, target: Target, workload: Workload, mut log: Option<HdrLog>) -> Result<Measurement> {
        let interrupt = Interrupt::catch()?;
        let mut run =
            c10k_loadgen::start(target, workload, interrupt.flag()).context("cannot start the generator")?;
        let live = !self.quiet && std::io::stderr().is_terminal();
        while let Some(event) = run.next_event() {
            if let Event::Interval(interval) = event {
                if let (Some(log), Some(path)) = (&mut log, &self.hdr) {
                    log.append(&interval).with_context(|| cannot_write(path))?;
                }
                if live {
                    eprint!("\r\x1b[K{}", live_line(&interval));
                }
            }
        }
        if live {
            eprint!("\r\x1b[K");
        }
        Ok(run.finish())
    }
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write {}", path.display())
}

fn parse_time(text: &str) -> Result<Duration> {
    let time = humantime::parse_duration(text)?;
    if time.is_zero() { Err(anyhow!("must be longer than nothing")) } else { Ok(time) }
}

fn parse_method(text: &str) -> Result<String> {
    let token = |octet: u8| octet.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&octet);
    if text.is_empty() || !text.bytes().all(token) {
        bail!("a method is a word, such as GET");
    }
    Ok(text.into())
}

fn parse_header(text: &str) -> Result<(String, String)> {
    let (name, value) = text.split_once(':').context("write NAME: VALUE")?;
    if name.is_empty() || text.contains(['\r', '\n', '\0']) || name.contains([' ', '\t']) {
        bail!("a name is one word, and a value one line");
    }
    Ok((name.into(), value.trim().into()))
}

fn live_line(interval: &Interval) -> String {
    let seen = &interval.seen;
    let latency = Percentiles::of(&seen.times.latency);
    format!(
        "{:4} s  {:9.0} requests/s  p50 {:.0} µs  p99 {:.0} µs  errors {}",
        interval.number + 1,
        seen.completed as f64 / interval.length.as_secs_f64(),
        latency.p50,
        latency.p99,
        seen.errors.total()
    )
}

/// What a person reads.
fn text(measured: &Measurement, summary: &Summary) -> String {
    let Summary { requests, connections, errors, .. } = summary;
    let mut text = format!(
        "{} · {} loop · {} connections ({}) · {:.2} s\n\n",
        summary.target, summary.r#loop, connections.requested, measured.workload.lifetime, summary.duration_s
    );
    text += &format!("  {:.0} requests/s, {} completed", summary.throughput_rps, requests.completed);
    text += &format!(", {} failed, {} in flight at the end\n", requests.failed, requests.in_flight_at_end);
    if connections.starved > 0 || connections.established < connections.requested {
        text += &format!(
            "  connections: {} of {} established, {} of them never served\n",
            connections.established, connections.requested, connections.starved
        );
    }
    if errors.total() > 0 {
        let Errors { connect, reset, timeout, status, protocol } = errors;
        text += &format!(
            "  errors: {connect} connect, {reset} reset, {timeout} timeout, {status} status, {protocol} protocol\n"
        );
    }
    text += &format!(
        "\n{:>14}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}\n",
        "µs", "p50", "p90", "p99", "p99.9", "max", "mean"
    );
    for (name, times) in [
        ("latency", &summary.latency_us),
        ("service", &summary.service_us),
        ("first byte", &summary.first_byte_us),
        ("connect", &summary.connect_us),
    ] {
        if times.count > 0 {
            let Percentiles { p50, p90, p99, p99_9, max, mean, .. } = times;
            text += &format!("{name:>14}{p50:10.1}{p90:10.1}{p99:10.1}{p99_9:10.1}{max:10.1}{mean:10.1}\n");
        }
    }
    let cpu_us = (summary.generator.user_s + summary.generator.system_s) * 1e6;
    text +=
        &format!("\n  generator: {:.2} µs of CPU per request\n", cpu_us / requests.completed.max(1) as f64);
    text
}
