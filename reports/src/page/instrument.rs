//! Section: the error of the instrument: the generator's own error, if `c10k calibrate` has
//! measured it, and the account that the servers' CPU time comes from.

use std::collections::BTreeSet;

use askama::Template;

use super::context::Page;
use crate::format;
use crate::record::{Calibration, Comparison, CpuAccount, CpuAccounts, CpuComparison};
use crate::results::Results;

#[derive(Template)]
#[template(path = "instrument.html")]
struct Instrument {
    generator: Option<Generator>,
    /// Account that the servers' CPU time comes from, and its error, in sentences; empty if no CPU
    /// time was read.
    cpu_time: String,
    clocks: Option<Clocks>,
}

/// Error of the generator, measured against servers whose true times are known.
struct Generator {
    measured: String,
    rate: String,
    cpu_us: String,
    lag_p50: String,
    lag_p99: String,
    tables: [Table; 2],
}

struct Table {
    caption: &'static str,
    rows: Vec<Row>,
}

struct Row {
    percentile: String,
    truth: String,
    measured: String,
    error: String,
}

/// CPU time by the clocks of processes, compared with the account of a cgroup.
struct Clocks {
    /// Reason why there are no rows; `None` if the two accounts were compared.
    missing: Option<String>,
    rows: Vec<ClocksRow>,
}

struct ClocksRow {
    model: String,
    lifetime: String,
    cgroup: String,
    clocks: String,
    error: String,
    generator: String,
}

pub fn render(page: &Page) -> askama::Result<String> {
    let calibration = page.results.environment.calibration.as_ref();
    let accounts = calibration.and_then(|calibration| calibration.cpu_accounts.as_ref());
    let section = Instrument {
        generator: calibration.map(generator),
        cpu_time: cpu_time(page.results, accounts),
        clocks: accounts.map(clocks),
    };
    if section.generator.is_none() && section.cpu_time.is_empty() {
        return Ok(String::new());
    }
    section.render()
}

fn generator(calibration: &Calibration) -> Generator {
    let (lag_p50_us, lag_p99_us) = calibration.send_lag_us;
    Generator {
        measured: format::date(&calibration.measured_utc),
        rate: format::significant(calibration.highest_rps_per_worker),
        cpu_us: format::significant(calibration.cpu_us_per_request),
        lag_p50: format::time_ns(lag_p50_us * 1e3),
        lag_p99: format::time_ns(lag_p99_us * 1e3),
        tables: [
            Table {
                caption: "Responses held back for known, random times",
                rows: rows(&calibration.delays),
            },
            Table {
                caption: "A server that stopped for a known time",
                rows: rows(&calibration.stall),
            },
        ],
    }
}

fn rows(comparisons: &[Comparison]) -> Vec<Row> {
    let row = |comparison: &Comparison| {
        let Comparison { percentile, true_us, measured_us } = *comparison;
        let error_us = measured_us - true_us;
        Row {
            percentile: if percentile < 100.0 {
                format!("p{percentile}")
            } else {
                "max".to_owned()
            },
            truth: format::time_ns(true_us * 1e3),
            measured: format::time_ns(measured_us * 1e3),
            error: signed(error_us, |error_us| format::time_ns(error_us * 1e3)),
        }
    };
    comparisons.iter().map(row).collect()
}

fn clocks(accounts: &CpuAccounts) -> Clocks {
    let time = |us: f64| format::time_ns(us * 1e3);
    let row = |compared: &CpuComparison| ClocksRow {
        model: compared.model.clone(),
        lifetime: compared.lifetime.clone(),
        cgroup: time(compared.cgroup_us),
        clocks: time(compared.clocks_us),
        error: signed(compared.error(), format::percent),
        generator: time(compared.generator_us),
    };
    Clocks { missing: accounts.missing.clone(), rows: accounts.models.iter().map(row).collect() }
}

/// Formats `value` as its sign, followed by the `text` of its absolute value.
fn signed(value: f64, text: impl Fn(f64) -> String) -> String {
    let sign = if value < 0.0 { "−" } else { "+" };
    sign.to_owned() + &text(value.abs())
}

/// Describes, in sentences, the account that the CPU time on this page comes from.
fn cpu_time(results: &Results, accounts: Option<&CpuAccounts>) -> String {
    let records = results.cells.iter().flat_map(|cell| &cell.records);
    let used: BTreeSet<CpuAccount> = records.filter_map(|record| record.cpu_account).collect();
    let by_clocks = used.contains(&CpuAccount::ProcessClocks);
    let by_cgroup = used.iter().find(|account| **account != CpuAccount::ProcessClocks);
    match (by_cgroup, by_clocks) {
        (None, false) => String::new(),
        (Some(cgroup), false) => format!(
            "CPU time of a server is the account of a cgroup of its own ({}): all that its threads and \
             processes used.",
            cgroup.name()
        ),
        (None, true) => {
            "CPU time of a server is the sum of its processes' clocks".to_owned()
                + &bias(results, accounts)
        }
        (Some(cgroup), true) => format!(
            "CPU time is of two accounts, which must not be compared with one another: of {} in some \
             measurements, and in others of the processes' clocks{}",
            cgroup.name(),
            bias(results, accounts)
        ),
    }
}

/// Describes the error of the process clocks, and the reason why no cgroup could be used.
fn bias(results: &Results, accounts: Option<&CpuAccounts>) -> String {
    let compared = accounts.into_iter().flat_map(|accounts| &accounts.models);
    let worst = compared.min_by(|one, other| one.error().total_cmp(&other.error()));
    let size = worst.map_or_else(
        || "several percent with a thread for each short connection".to_owned(),
        |worst| {
            let error = signed(worst.error(), format::percent);
            format!("{error} for {} with {} connections", worst.model, worst.lifetime)
        },
    );
    let why = results.environment.no_cgroup.as_ref();
    let why = why.map_or_else(String::new, |reason| {
        format!(" A cgroup's account misses nothing, but {reason}.")
    });
    format!(", which lose time with every thread that ends ({size}).{why}")
}
