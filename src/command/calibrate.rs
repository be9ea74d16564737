//! `c10k calibrate`: measures the generator's own error, against servers whose true times are
//! known.

mod cpu;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use c10k_loadgen::measurement::Times;
use c10k_loadgen::workload::{Arrivals, Pacing, Until};
use c10k_loadgen::{Measurement, Target, Workload};
use c10k_reports::WholeFile;
use c10k_reports::record::{Calibration, Comparison, CpuAccounts, CpuComparison, VERSION};
use jiff::Timestamp;

use crate::cpus::CpuList;
use crate::interrupt::{self, Interrupt};
use crate::limits;
use crate::output::{note, print};
use crate::plan::Placement;
use crate::quota::Quota;
use crate::responder::{Responder, Script};
use crate::time;

/// Find the generator's own error, against servers whose true times are known
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Length of each of the four measurements; the stall takes a fifth of it, and so does each of
    /// the four short runs about the server's CPU time
    #[arg(long, default_value = "20s", value_name = "TIME", value_parser = |text: &str| time::parse_from(SHORTEST, text))]
    duration: Duration,
    /// File of the result; `c10k bench` shows it in its reports
    #[arg(long, default_value = "reports/calibration.json", value_name = "FILE.json")]
    output: PathBuf,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// Shortest length of a measurement: its stall, a fifth of it, has some requests.
const SHORTEST: Duration = Duration::from_millis(100);

/// Percentiles that are compared. A fifth of the requests of the stall are late, so its median says
/// little.
const DELAY_PERCENTILES: &[f64] = &[1.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.9];
const STALL_PERCENTILES: &[f64] = &[50.0, 90.0, 95.0, 99.0, 99.9, 100.0];

/// Requests per second of the measurements in which the times of responses matter.
const RESPONSES_RATE: f64 = 1000.0;

/// Requests per second of the measurement in which the times of sends matter.
const SENDS_RATE: f64 = 10_000.0;

/// Known delays of the responder: log-normal, as those of services are, from some 100 µs to some
/// 100 ms.
const DELAY_MEDIAN: Duration = Duration::from_millis(3);
const DELAY_SIGMA: f64 = 1.0;

/// Share of the time for which the server stops.
const STALL_SHARE: f64 = 0.2;

/// Length of each run that compares accounts of CPU time, as a share of the length of a
/// measurement. Both accounts are of the same run, so that noise does not affect their ratio.
const CPU_SHARE: f64 = 0.2;

impl Args {
    pub fn run(&self) -> Result<ExitCode> {
        limits::raise_open_files();
        limits::check_threads()?;
        let interrupt = Interrupt::catch()?;
        let output = self.open_output()?;
        // With two or more processors, the responder runs on some cores and the generator on the
        // others.
        let placement = Placement::of(&CpuList::available()?);
        if let Some(line) = placement.sharing() {
            note(&format!("c10k: {line}\n"));
        }
        if let Some(cpus) = Quota::of(None).ok().and_then(|quota| quota.cpus()) {
            note(&format!(
                "c10k: a CPU quota of {cpus} processors applies here: if it is too small, these \
                 errors are not the generator's but the quota's\n"
            ));
        }
        if let Some(cpus) = &placement.generator {
            cpus.pin()?;
        }
        let bench = Bench {
            duration: self.duration,
            responder_cpus: placement.server,
            interrupt: &interrupt,
        };
        let calibration = bench.calibrate()?;
        if interrupt.happened() {
            return Ok(ExitCode::from(interrupt::STATUS));
        }
        let json = format!("{:#}\n", serde_json::to_value(&calibration)?);
        output.write(&json)?;
        print(&if self.json { json } else { text(&calibration) })?;
        Ok(ExitCode::SUCCESS)
    }

    /// Opens the output before anything is measured, so that a path that can't be written does not
    /// cost a minute of measurements.
    fn open_output(&self) -> Result<WholeFile> {
        if let Some(folder) = self.output.parent() {
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
        }
        Ok(WholeFile::open(&self.output)?)
    }
}

/// Settings that all measurements of a calibration share.
struct Bench<'a> {
    duration: Duration,
    responder_cpus: Option<CpuList>,
    interrupt: &'a Interrupt,
}

impl Bench<'_> {
    fn calibrate(&self) -> Result<Calibration> {
        let (closed, _) = self.measure(Script::Null, Pacing::Closed, 64)?;
        let (sends, _) = self.measure(Script::Null, open(SENDS_RATE), 64)?;
        let script = Script::Delays { median: DELAY_MEDIAN, sigma: DELAY_SIGMA, seed: 1 };
        // Enough connections that no request waits for one.
        let (responses, held) = self.measure(script, open(RESPONSES_RATE), 512)?;
        let length = self.duration.mul_f64(STALL_SHARE);
        let script =
            Script::Stall { after: self.duration.mul_f64((1.0 - STALL_SHARE) / 2.0), length };
        let late = (length.as_secs_f64() * RESPONSES_RATE) as usize;
        let (stalled, _) = self.measure(script, open(RESPONSES_RATE), late + 96)?;
        let cpu_accounts = self.compare_cpu_accounts();
        let used_s = closed.generator.user_s + closed.generator.system_s;
        let lag = &sends.times.send_lag;
        let lag_us = |quantile| lag.value_at_quantile(quantile) as f64 / 1e3;
        Ok(Calibration {
            version: VERSION,
            measured_utc: Timestamp::now().to_string(),
            highest_rps_per_worker: closed.requests.completed as f64
                / closed.duration.as_secs_f64(),
            cpu_us_per_request: used_s * 1e6 / closed.requests.completed.max(1) as f64,
            send_lag_us: (lag_us(0.5), lag_us(0.99)),
            delays: compare(held, &responses.times.service, DELAY_PERCENTILES),
            stall: compare(late_by(&stalled, length), &stalled.times.latency, STALL_PERCENTILES),
            cpu_accounts: Some(cpu_accounts),
        })
    }

    /// Compares the accounts of CPU time. If that fails, the result has the reason, and the rest of
    /// the calibration is kept.
    fn compare_cpu_accounts(&self) -> CpuAccounts {
        let duration = self.duration.mul_f64(CPU_SHARE);
        cpu::compare(duration, self.responder_cpus.as_ref(), self.interrupt).unwrap_or_else(
            |error| CpuAccounts { missing: Some(format!("{error:#}")), models: Vec::new() },
        )
    }

    /// Drives a responder for a while. Returns the measurement, and the time for which the
    /// responder held each response back, in nanoseconds.
    fn measure(
        &self,
        script: Script,
        pacing: Pacing,
        connections: usize,
    ) -> Result<(Measurement, Vec<u64>)> {
        let responder = Responder::start(script, self.responder_cpus.clone())?;
        let workload = Workload {
            pacing,
            connections,
            warmup: Duration::ZERO,
            timeout: self.duration,
            ..Workload::lasting(Until::Elapsed(self.duration))
        };
        let run = c10k_loadgen::start(
            Target::resolve(&responder.url())?,
            workload,
            self.interrupt.flag(),
        )
        .context("cannot start the generator")?;
        let measured = run.finish()?;
        Ok((measured, responder.finish()?))
    }
}

fn open(rate: f64) -> Pacing {
    Pacing::Open { rate, arrivals: Arrivals::Constant, seed: 1, spin: time::SPIN }
}

/// Returns the expected latencies, in nanoseconds, if a server stops for `length` and requests come
/// evenly. Requests that come during the stop wait for its end, the first one the longest. The
/// others wait no longer than usual; their times are taken from the measurement.
fn late_by(measured: &Measurement, length: Duration) -> Vec<u64> {
    let period_ns = 1e9 / RESPONSES_RATE;
    let late = (length.as_nanos() as f64 / period_ns) as u64;
    let usual = measured.times.latency.value_at_quantile(0.4);
    let on_time = measured.requests.intended.saturating_sub(late);
    let waits = (0..late).map(|i| length.as_nanos() as u64 - (i as f64 * period_ns) as u64 + usual);
    waits.chain((0..on_time).map(|_| usual)).collect()
}

/// Compares percentiles; `truth` has every single value, in nanoseconds.
fn compare(mut truth: Vec<u64>, measured: &Times, percentiles: &[f64]) -> Vec<Comparison> {
    truth.sort_unstable();
    let at = |percentile: f64| {
        // Counts as HdrHistogram does: the value is the smallest one with at least `rank` values up
        // to it.
        let rank = (percentile / 100.0 * truth.len() as f64).ceil().max(1.0) as usize;
        truth.get(rank - 1).map_or(0.0, |&ns| ns as f64 / 1e3)
    };
    let compare = |&percentile: &f64| Comparison {
        percentile,
        true_us: at(percentile),
        measured_us: measured.value_at_quantile(percentile / 100.0) as f64 / 1e3,
    };
    percentiles.iter().map(compare).collect()
}

fn text(calibration: &Calibration) -> String {
    let Calibration {
        highest_rps_per_worker,
        cpu_us_per_request,
        send_lag_us: (lag_p50, lag_p99),
        ..
    } = calibration;
    let mut text = format!(
        "highest rate      {highest_rps_per_worker:.0} requests/s per worker, {cpu_us_per_request:.2} µs of CPU each\n\
         send lag          p50 {lag_p50:.1} µs, p99 {lag_p99:.1} µs at {SENDS_RATE:.0} requests/s\n"
    );
    for (title, comparisons) in [
        ("responses held back for known times", &calibration.delays),
        ("a server that stops for a known time", &calibration.stall),
    ] {
        text += &format!(
            "\n{title}\n{:>10}{:>14}{:>14}{:>12}{:>9}\n",
            "percentile", "true µs", "measured µs", "error µs", "error %"
        );
        for &Comparison { percentile, true_us, measured_us } in comparisons {
            let error_us = measured_us - true_us;
            let share = 100.0 * error_us / true_us;
            text += &format!(
                "{percentile:>10}{true_us:>14.1}{measured_us:>14.1}{error_us:>12.1}{share:>9.2}\n"
            );
        }
    }
    text + &calibration.cpu_accounts.as_ref().map_or_else(String::new, cpu_text)
}

fn cpu_text(accounts: &CpuAccounts) -> String {
    let mut text = String::from(
        "\nCPU time of a server per request by its processes' clocks, against a cgroup's account\n",
    );
    if let Some(reason) = &accounts.missing {
        return text + &format!("not known: {reason}\n");
    }
    text += &format!(
        "{:<10}{:>12}{:>12}{:>12}{:>9}{:>15}\n",
        "model", "connections", "cgroup µs", "clocks µs", "error %", "generator µs"
    );
    for compared in &accounts.models {
        let CpuComparison { model, lifetime, cgroup_us, clocks_us, generator_us } = compared;
        let error = 100.0 * compared.error();
        text += &format!(
            "{model:<10}{lifetime:>12}{cgroup_us:>12.2}{clocks_us:>12.2}{error:>9.2}{generator_us:>15.2}\n"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_percentiles_as_histograms_count_them() {
        let mut measured = Times::new(3).unwrap();
        for us in 1..=1000 {
            measured.record(us * 1000).unwrap();
        }
        let truth = (1..=1000).rev().map(|us| us * 1000).collect();
        for comparison in compare(truth, &measured, &[1.0, 50.0, 99.9, 100.0]) {
            assert!(
                (comparison.true_us - comparison.percentile * 10.0).abs() <= 1.0,
                "{comparison:?}"
            );
            assert!(
                (comparison.measured_us / comparison.true_us - 1.0).abs() < 0.001,
                "{comparison:?}"
            );
        }
    }

    #[test]
    fn accounts_of_cpu_time_are_shown_side_by_side_or_a_reason() {
        let model = CpuComparison {
            model: "thread".to_owned(),
            lifetime: "short".to_owned(),
            cgroup_us: 80.0,
            clocks_us: 74.0,
            generator_us: 30.0,
        };
        let text = cpu_text(&CpuAccounts { missing: None, models: vec![model] });
        let last: Vec<&str> = text.lines().last().unwrap().split_whitespace().collect();
        assert_eq!(last, ["thread", "short", "80.00", "74.00", "-7.50", "30.00"]);
        let missing = Some("no cgroup can be made".to_owned());
        let text = cpu_text(&CpuAccounts { missing, models: Vec::new() });
        assert!(text.ends_with("\nnot known: no cgroup can be made\n"), "{text}");
    }
}
