//! Text output of `c10k load`: the counts, a table of times, a histogram of the latency, and the
//! checks.

use c10k_loadgen::check::{CheckOutcome, Verdict};
use c10k_loadgen::confidence::{Intervals, are_shown_of};
use c10k_loadgen::measurement::{Bodies, TimeWait, Times};
use c10k_loadgen::summary::Percentiles;
use c10k_loadgen::workload::{Arrivals, Pacing};
use c10k_loadgen::{Measurement, SlowClients, Summary, Workload};

/// Rows of the histogram.
const ROWS: usize = 10;

/// Columns of the longest bar. With the labels, a line fits a terminal of 80 columns.
const BAR_COLUMNS: f64 = 40.0;

/// Eighths of a column, from one to seven.
const EIGHTHS: [char; 7] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/// Renders a run. If no request completed, the text has no times and no costs per request.
pub(super) fn render(measured: &Measurement, summary: &Summary) -> String {
    let mut parts = vec![head(measured, summary)];
    if summary.requests.completed > 0 {
        let times =
            table(stages(summary)) + without_intervals(&measured.workload) + &kinds(summary);
        parts.extend([times, histogram(&measured.times.latency), generator(summary)]);
    }
    parts.push(checks(&summary.checks));
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
}

/// Returns the rows of the table. If no connection was made for a request, the response time equals
/// the latency, so its row gets no values; the table leaves out rows without values.
fn stages(summary: &Summary) -> [(&'static str, Percentiles); 7] {
    let made_connections = summary.connect_wait_us.count > 0;
    [
        ("latency", summary.latency_us),
        ("response", if made_connections { summary.response_us } else { Percentiles::default() }),
        ("service", summary.service_us),
        ("first byte", summary.first_byte_us),
        ("before connect", summary.connect_wait_us),
        ("connect", summary.connect_us),
        ("send lag", summary.send_lag_us),
    ]
}

/// Renders the latency by the kind of request that responses name; empty if they name no kind.
fn kinds(summary: &Summary) -> String {
    let rows = summary.latency_us_by_kind.iter().map(|(kind, times)| (kind.as_str(), *times));
    if rows.len() == 0 { String::new() } else { format!("\n  latency by kind\n{}", table(rows)) }
}

fn head(measured: &Measurement, summary: &Summary) -> String {
    let Summary { requests, connections, errors, .. } = summary;
    let mut text = format!(
        "{} · {} loop · {} connections ({}) · {:.2} s\n\n",
        summary.target,
        summary.r#loop,
        connections.requested,
        measured.workload.lifetime,
        summary.duration_s
    );
    text += &arrivals(measured);
    text += "  ";
    if requests.never_answered > 0 {
        text += &format!("never answered: {} · ", requests.never_answered);
    }
    text += &format!("{:.0} requests/s", summary.throughput_rps);
    if let Some(rate) = summary.offered_rps {
        text += &format!(" of {rate} offered");
    }
    text += &format!(
        ", {} completed, {} failed, {} in flight at the end\n",
        requests.completed, requests.failed, requests.in_flight_at_end
    );
    if connections.served < connections.requested {
        text += &format!(
            "  connections: {} of {} established, {} of them never served",
            connections.established, connections.requested, connections.starved
        );
        if connections.never_asked > 0 {
            text += &format!("; {} had no request to send", connections.never_asked);
        }
        text.push('\n');
    }
    if let Some(SlowClients { requested, established, completed, failed }) = summary.slow {
        text += &format!(
            "  slow clients: {established} of {requested} established; {completed} of their requests completed, {failed} failed\n"
        );
    }
    text += &traffic(summary);
    text += &addresses(summary);
    if measured.workload.close.is_some() {
        text += &time_wait(summary.kernel.and_then(|kernel| kernel.time_wait));
    }
    if summary.has_failures() {
        text += &format!("  errors: {errors}\n");
        for errors in &summary.errors_by_address {
            text += &format!("    at {errors}\n");
        }
        for (kind, example) in summary.error_examples.by_kind() {
            text += &format!("    {kind}: {example}\n");
        }
    }
    // Bodies of different lengths may belong to different workloads.
    let Bodies { counted, shortest, longest, empty } = summary.bodies;
    if shortest != longest {
        text += &format!("  bodies: {shortest} to {longest} bytes, {empty} of {counted} empty\n");
    }
    text
}

/// Renders responses by class of status, bytes per second, and requests per connection; empty if
/// there was no response.
fn traffic(summary: &Summary) -> String {
    let Summary { status_codes, bytes, duration_s, requests, connect_us, .. } = summary;
    if status_codes.is_empty() {
        return String::new();
    }
    let classes =
        status_codes.classes().into_iter().map(|(class, count)| format!("{count} {class}"));
    let rate = |bytes: u64| bytes_per_second(bytes as f64 / duration_s.max(f64::MIN_POSITIVE));
    let mut text = format!(
        "  status: {} · {} read, {} written",
        classes.collect::<Vec<_>>().join(", "),
        rate(bytes.read),
        rate(bytes.written)
    );
    // Counts connections that carried a completed request of the measured part, because only their
    // connects are timed.
    if connect_us.count > 0 {
        let mean = requests.completed as f64 / connect_us.count as f64;
        text += &format!(" · {} requests per connection", three_digits(mean));
    }
    text + "\n"
}

/// Renders the time of the lookup, and the share of each address; empty for a single address that
/// needed no lookup.
fn addresses(summary: &Summary) -> String {
    let mut text = String::new();
    if let Some(us) = summary.dns_us {
        text += &format!("  name looked up in {}, before the run\n", time(us));
    }
    let shares = &summary.addresses.shares;
    if shares.len() > 1 {
        let opened: u64 = shares.iter().map(|share| share.connections).sum();
        for share in shares {
            text += &format!(
                "  address {}: {} of {opened} connections opened, {} of {} requests completed\n",
                share.address.ip(),
                share.connections,
                share.requests,
                summary.requests.completed
            );
        }
    }
    text
}

/// Renders who keeps the connections that are closed.
fn time_wait(held: Option<TimeWait>) -> String {
    let Some(TimeWait { server, client }) = held else {
        return "  TIME_WAIT: unknown; the target is not on loopback, or the kernel does not say\n"
            .into();
    };
    format!(
        "  TIME_WAIT: {server} at the server, {client} at the client; the end that closes first \
         keeps them for 60 s\n"
    )
}

/// Formats a rate in decimal units, as networks do.
fn bytes_per_second(rate: f64) -> String {
    let (value, unit) = match rate {
        rate if rate < 999.5 => (rate, "B/s"),
        rate if rate < 999.5e3 => (rate / 1e3, "kB/s"),
        rate if rate < 999.5e6 => (rate / 1e6, "MB/s"),
        rate => (rate / 1e9, "GB/s"),
    };
    format!("{} {unit}", three_digits(value))
}

/// Renders the settings that are needed, beside the rate, to repeat an open loop; empty for a
/// closed loop.
fn arrivals(measured: &Measurement) -> String {
    let Pacing::Open { arrivals, seed, .. } = measured.workload.pacing else {
        return String::new();
    };
    let seed = match arrivals {
        Arrivals::Poisson => format!(", seed {seed}"),
        Arrivals::Constant => String::new(),
    };
    let queues = match measured.generator.threads {
        0 | 1 => String::new(),
        threads => format!(", in {threads} queues, one per thread"),
    };
    format!("  arrivals: {arrivals}{seed}{queues}\n")
}

/// A percentile of the table: title, quantile, and the functions that get its value and its
/// interval.
type Column = (&'static str, f64, fn(&Percentiles) -> f64, fn(&Intervals) -> Option<[f64; 2]>);

const COLUMNS: [Column; 4] = [
    ("p50", 0.5, |times| times.p50, |intervals| intervals.p50),
    ("p90", 0.9, |times| times.p90, |intervals| intervals.p90),
    ("p99", 0.99, |times| times.p99, |intervals| intervals.p99),
    ("p99.9", 0.999, |times| times.p99_9, |_| None),
];

/// Placeholder for a number that has too few samples, or that requests without a time may have
/// changed.
const DASH: &str = "–";

/// Renders times by percentile and, below the latency, the 95 % confidence intervals of its
/// percentiles. A percentile that samples or failures do not support is a dash, and so is its
/// interval; the maximum needs no number of samples. A value that rests on requests that never
/// ended is marked as a lower bound.
fn table<'a>(rows: impl IntoIterator<Item = (&'a str, Percentiles)>) -> String {
    let titles = COLUMNS.map(|(title, ..)| title).into_iter().chain(["max", "mean"]);
    let mut text = row("", titles.map(str::to_owned));
    for (name, times) in rows.into_iter().filter(|(_, times)| times.count > 0) {
        let bound = |quantile, us| at_least(times.is_bound(quantile), us);
        let percentiles =
            columns(&times, |&(_, quantile, value, _)| Some(bound(quantile, value(&times))));
        text += &row(name, percentiles.into_iter().chain(extremes(&times)));
        if let Some(intervals) = times.ci95 {
            for (name, side) in [("95 % from", 0), ("95 % to", 1)] {
                text += &row(
                    name,
                    columns(&times, |(.., limits)| Some(time(limits(&intervals)?[side]))),
                );
            }
        }
    }
    text
}

/// Formats the maximum and the mean. A request that failed without a time may have been slower than
/// any other: the maximum is then a lower bound, and the mean is unknown.
fn extremes(times: &Percentiles) -> [String; 2] {
    match times.known_to {
        None => [at_least(times.is_bound(1.0), times.max), time(times.mean)],
        Some(_) => [at_least(true, times.max), DASH.into()],
    }
}

fn at_least(is_bound: bool, us: f64) -> String {
    format!("{}{}", if is_bound { "≥ " } else { "" }, time(us))
}

/// Returns the note that replaces the intervals of an open loop, if too little time or too few
/// requests were asked for. A closed loop gets none: its percentiles depend on its own pace, so
/// readers expect no intervals of them.
fn without_intervals(workload: &Workload) -> &'static str {
    match workload.pacing {
        Pacing::Open { .. } if !are_shown_of(workload) => {
            "  95 % intervals need 5 min and 300,000 requests: compare several runs\n"
        }
        _ => "",
    }
}

/// Returns one cell per percentile: a dash if the percentile is not supported or has no value.
fn columns(
    times: &Percentiles,
    value: impl Fn(&Column) -> Option<String>,
) -> [String; COLUMNS.len()] {
    COLUMNS.map(|column| {
        value(&column).filter(|_| times.supports(column.1)).unwrap_or_else(|| DASH.into())
    })
}

fn row(name: &str, cells: impl IntoIterator<Item = String>) -> String {
    let mut row = format!("{name:>14}");
    for cell in cells {
        row += &format!("{cell:>11}");
    }
    row + "\n"
}

/// Formats microseconds with three digits, in the unit that a person would use.
fn time(us: f64) -> String {
    let (value, unit) = match us {
        // A value that rounds up to 1000 belongs to the next unit.
        us if us < 999.5 => (us, "µs"),
        us if us < 999.5e3 => (us / 1e3, "ms"),
        us => (us / 1e6, "s"),
    };
    format!("{} {unit}", three_digits(value))
}

/// Formats a number from 0.01 on with three digits, or with all digits before the decimal point if
/// there are more.
fn three_digits(value: f64) -> String {
    let digits = match value {
        value if value < 9.995 => 2,
        value if value < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.digits$}")
}

/// Draws the number of requests by latency. Rows grow by the same factor, so that the tail is
/// visible beside the bulk.
fn histogram(latency: &Times) -> String {
    if latency.is_empty() {
        return String::new();
    }
    let (low, high) = (latency.min().max(1) as f64, latency.max() as f64);
    // If the times are nearly equal, more rows would only show the resolution of the histogram.
    let rows = if high / low < 1.05 { 1 } else { ROWS };
    let factor = (high / low).powf(1.0 / rows as f64);
    let counts = counts(latency, low, factor, rows);
    let all = latency.len() as f64;
    let most = counts.iter().copied().max().unwrap_or(1) as f64;
    let line = |(row, &count): (usize, &u64)| {
        let from = low * factor.powf(row as f64) / 1e3;
        let share = share(count as f64 / all);
        let bar = bar(count as f64 / most * BAR_COLUMNS);
        format!("{:>12} – {:<10}{share:>9}  {bar}", time(from), time(from * factor))
            .trim_end()
            .to_owned()
            + "\n"
    };
    counts.iter().enumerate().map(line).collect()
}

fn counts(latency: &Times, low: f64, factor: f64, rows: usize) -> Vec<u64> {
    let mut counts = vec![0; rows];
    for value in latency.iter_recorded() {
        let row = (value.value_iterated_to() as f64 / low).ln() / factor.ln();
        // With a single row the factor may be 1, and `row` is then not finite.
        counts[if row.is_finite() { (row as usize).min(rows - 1) } else { 0 }] +=
            value.count_at_value();
    }
    counts
}

fn share(share: f64) -> String {
    match share * 100.0 {
        0.0 => String::new(),
        percent if percent < 0.01 => "< 0.01 %".into(),
        percent => format!("{percent:.2} %"),
    }
}

/// Draws a bar of whole columns and eighths of a column; every value above zero gets at least an
/// eighth.
fn bar(columns: f64) -> String {
    let eighths = if columns > 0.0 { ((columns * 8.0).round() as usize).max(1) } else { 0 };
    let part = (eighths % 8).checked_sub(1).map(|part| EIGHTHS[part]);
    "█".repeat(eighths / 8).chars().chain(part).collect()
}

fn generator(summary: &Summary) -> String {
    let generator = summary.generator;
    let cpu_s = generator.user_s + generator.system_s;
    let per_request_us = cpu_s * 1e6 / summary.requests.completed.max(1) as f64;
    format!("  generator: {per_request_us:.2} µs of CPU per completed request\n")
}

/// Renders the number of checks that passed, and every other check in full.
fn checks(outcomes: &[CheckOutcome]) -> String {
    if outcomes.is_empty() {
        return String::new();
    }
    let passed = outcomes.iter().filter(|outcome| outcome.verdict == Verdict::Pass).count();
    let mut text = format!("  checks: {passed} of {} passed\n", outcomes.len());
    for CheckOutcome { name, verdict, detail, .. } in outcomes {
        match verdict {
            Verdict::Pass => {}
            Verdict::Warn => text += &format!("    warning  {name}: {detail}\n"),
            Verdict::Fail => text += &format!("    FAILED   {name}: {detail}\n"),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use c10k_loadgen::workload::{Arrivals, Until};

    use super::*;

    fn times(values: &[(u64, u64)]) -> Times {
        let mut times = Times::new(3).unwrap();
        for &(value, count) in values {
            times.record_n(value, count).unwrap();
        }
        times
    }

    #[test]
    fn times_have_three_digits_and_the_unit_that_fits() {
        let texts = [0.0, 1.234, 98.04, 99.96, 999.4, 999.6, 1_234.0, 999_700.0, 61e6].map(time);
        assert_eq!(
            texts,
            [
                "0.00 µs", "1.23 µs", "98.0 µs", "100 µs", "999 µs", "1.00 ms", "1.23 ms",
                "1.00 s", "61.0 s"
            ]
        );
    }

    #[test]
    fn a_histogram_counts_every_value_once_in_rows_of_one_factor() {
        let text = histogram(&times(&[(100_000, 1), (200_000, 97), (102_400_000, 2)]));
        let lines = text.lines().collect::<Vec<_>>();
        assert_eq!(lines.len(), ROWS);
        assert_eq!(lines[0], "      100 µs – 200 µs       1.00 %  ▍");
        assert_eq!(lines[1], format!("      200 µs – 400 µs      97.00 %  {}", "█".repeat(40)));
        assert_eq!(lines[2], "      400 µs – 800 µs");
        assert_eq!(lines[9], "     51.2 ms – 102 ms       2.00 %  ▉");
    }

    #[test]
    fn equal_values_are_one_row_and_no_values_are_no_histogram() {
        assert_eq!(histogram(&times(&[(100_000, 5)])).lines().count(), 1);
        assert_eq!(histogram(&times(&[])), "");
    }

    #[test]
    fn a_bar_is_exact_to_an_eighth_and_never_empty_for_something() {
        assert_eq!([0.0, 0.001, 1.0, 1.5, 2.99].map(bar), ["", "▏", "█", "█▌", "███"]);
    }

    #[test]
    fn intervals_stand_below_the_latency() {
        let latency_us = Percentiles {
            count: 1000,
            p50: 100.0,
            ci95: Some(Intervals { p50: Some([98.0, 1020.0]), ..Intervals::default() }),
            ..Percentiles::default()
        };
        let text = table([("latency", latency_us), ("connect", Percentiles::default())]);
        let lines = text.lines().collect::<Vec<_>>();
        assert_eq!(lines.len(), 4);
        assert_eq!(lines[2], "     95 % from    98.0 µs          –          –          –");
        assert_eq!(lines[3], "       95 % to    1.02 ms          –          –          –");
        assert!(lines.iter().all(|line| line.chars().count() <= 80));
    }

    #[test]
    fn a_short_open_loop_gets_the_advice_to_repeat_it() {
        let open = |seconds| Workload {
            pacing: Pacing::Open {
                rate: 1_000.0,
                arrivals: Arrivals::Poisson,
                seed: 1,
                spin: Duration::ZERO,
            },
            ..Workload::lasting(Until::Elapsed(Duration::from_secs(seconds)))
        };
        assert!(without_intervals(&open(10)).contains("compare several runs"));
        assert_eq!(without_intervals(&open(300)), "");
        assert_eq!(without_intervals(&Workload::default()), "");
    }

    #[test]
    fn a_percentile_without_enough_samples_is_a_dash_and_the_maximum_never_is() {
        let limits = Some([98.0, 102.0]);
        let times = Percentiles {
            count: 200,
            p50: 100.0,
            p90: 200.0,
            p99: 300.0,
            p99_9: 300.0,
            max: 300.0,
            mean: 120.0,
            ci95: Some(Intervals { p50: limits, p99: limits, ..Intervals::default() }),
            ..Percentiles::default()
        };
        let text = table([("latency", times)]);
        let lines = text.lines().collect::<Vec<_>>();
        assert_eq!(
            lines[1],
            "       latency     100 µs     200 µs          –          –     300 µs     120 µs"
        );
        assert_eq!(lines[2], "     95 % from    98.0 µs          –          –          –");
    }

    #[test]
    fn a_percentile_that_failures_leave_unknown_is_a_dash() {
        let times = Percentiles {
            count: 100_000,
            p50: 100.0,
            p99: 300.0,
            p99_9: 900.0,
            known_to: Some(0.992),
            ..Percentiles::default()
        };
        let line = table([("service", times)]).lines().nth(1).unwrap().to_owned();
        assert!(line.contains("     300 µs          –"), "{line}");
    }

    #[test]
    fn the_end_that_keeps_connections_is_named() {
        let text = time_wait(Some(TimeWait { server: 40, client: 1 }));
        assert!(text.contains("40 at the server, 1 at the client"), "{text}");
        assert!(time_wait(None).contains("unknown"));
    }

    #[test]
    fn traffic_is_shown_in_units_of_three_digits() {
        let texts = [0.0, 999.0, 1e3, 123_456.0, 5e6, 2.5e9].map(bytes_per_second);
        assert_eq!(
            texts,
            ["0.00 B/s", "999 B/s", "1.00 kB/s", "123 kB/s", "5.00 MB/s", "2.50 GB/s"]
        );
    }

    #[test]
    fn a_value_that_rests_on_requests_without_a_response_is_a_bound() {
        let lower_bounds = serde_json::from_str(r#"["p99.9", "p99.99", "max"]"#).unwrap();
        let times = Percentiles {
            count: 10_000,
            p50: 100.0,
            p99_9: 2.42e6,
            max: 3e6,
            lower_bounds,
            ..Percentiles::default()
        };
        let line = table([("latency", times)]).lines().nth(1).unwrap().to_owned();
        assert!(line.contains("    100 µs") && line.contains("   ≥ 2.42 s   ≥ 3.00 s"), "{line}");
    }

    #[test]
    fn checks_that_passed_are_a_number_and_others_a_line() {
        let outcome = |name: &str, verdict| CheckOutcome {
            name: name.into(),
            verdict,
            detail: "why".into(),
            effect: None,
        };
        let text = checks(&[
            outcome("errors", Verdict::Pass),
            outcome("arrivals", Verdict::Warn),
            outcome("send-lag", Verdict::Fail),
        ]);
        assert_eq!(
            text,
            "  checks: 1 of 3 passed\n    warning  arrivals: why\n    FAILED   send-lag: why\n"
        );
    }
}
