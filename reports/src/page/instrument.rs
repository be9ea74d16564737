//! Section: the error of the instrument, where `c10k calibrate` has found it.

use askama::Template;

use super::context::Page;
use crate::format;
use crate::record::Comparison;

#[derive(Template)]
#[template(path = "instrument.html")]
struct Instrument {
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

pub fn render(page: &Page) -> askama::Result<String> {
    let Some(calibration) = &page.results.environment.calibration else { return Ok(String::new()) };
    let (lag_p50_us, lag_p99_us) = calibration.send_lag_us;
    Instrument {
        measured: format::date(&calibration.measured_utc),
        rate: format::significant(calibration.highest_rps_per_worker),
        cpu_us: format::significant(calibration.cpu_us_per_request),
        lag_p50: format::time_ns(lag_p50_us * 1e3),
        lag_p99: format::time_ns(lag_p99_us * 1e3),
        tables: [
            Table { caption: "Answers held back for known, random times", rows: rows(&calibration.delays) },
            Table { caption: "A server that stopped for a known time", rows: rows(&calibration.stall) },
        ],
    }
    .render()
}

fn rows(comparisons: &[Comparison]) -> Vec<Row> {
    let row = |comparison: &Comparison| {
        let Comparison { percentile, true_us, measured_us } = *comparison;
        let error_us = measured_us - true_us;
        let sign = if error_us < 0.0 { "−" } else { "+" };
        Row {
            percentile: if percentile < 100.0 { format!("p{percentile}") } else { "max".to_owned() },
            truth: format::time_ns(true_us * 1e3),
            measured: format::time_ns(measured_us * 1e3),
            error: format!("{sign}{}", format::time_ns(error_us.abs() * 1e3)),
        }
    };
    comparisons.iter().map(row).collect()
}
