//! The line about a measurement in which no request completed: what happened instead, and what to
//! try next.

use std::time::Duration;

use c10k_loadgen::Measurement;
use c10k_loadgen::check::{self, CheckOutcome, Verdict};

use crate::probe::Readings;

/// Checks that can explain why responses are missing although there was no error.
const REASONS: [&str; 3] = ["kernel-drops", "generator-cpu-wait", "server-cpu-wait"];

/// Share of one processor's time in the measured part that others may use before this is reported.
const BUSY_WITH_OTHERS: f64 = 0.25;

/// Returns one line, without a line break at its end.
pub fn line(measured: &Measurement, interrupted: bool) -> String {
    if interrupted {
        return "interrupted before any request completed".into();
    }
    if measured.generator_limits.total() > 0 {
        return "no request completed; see the check generator-limits: this generator was out of descriptors, ports or \
                memory, and nothing may be wrong with the server"
            .into();
    }
    if measured.connections.established == 0 {
        let why = example(measured, "connect");
        return format!(
            "no connection could be made in time{why}; see whether the server accepts any more of them"
        );
    }
    if let (Some(rate), 0) = (measured.workload.pacing.rate(), measured.requests.intended) {
        let length = measured.duration;
        return format!(
            "no request was due in {length:.0?} at {rate} requests/s; measure longer, or raise --rate"
        );
    }
    let sent = measured.requests.sent;
    let why = most_frequent(measured).map_or_else(String::new, |kind| example(measured, kind));
    format!(
        "no request completed of {sent} sent; errors: {}{why}; {}",
        measured.errors,
        next_step(measured)
    )
}

/// Returns the most frequent kind of error.
fn most_frequent(measured: &Measurement) -> Option<&'static str> {
    let kinds = measured.errors.by_kind().into_iter().filter(|(_, count)| *count > 0);
    kinds.max_by_key(|(_, count)| *count).map(|(kind, _)| kind)
}

/// Returns an example of this kind of error, to be appended to a line; empty if there is none.
fn example(measured: &Measurement, kind: &str) -> String {
    let example = measured.error_examples.by_kind().find(|(known, _)| *known == kind);
    example.map_or_else(String::new, |(_, example)| format!("; {kind}: {example}"))
}

/// Returns advice for the most frequent kind of error.
fn next_step(measured: &Measurement) -> String {
    match most_frequent(measured) {
        None => without_errors(measured.duration, &check::outcomes(measured)),
        Some("connect") => "see whether the server accepts connections".into(),
        Some("reset") => "the server closes connections: see what it says".into(),
        Some("timeout") => {
            let timeout = measured.workload.timeout;
            format!(
                "no response comes within {timeout:?}: see what the server does, or try a longer --timeout"
            )
        }
        Some("status") => "the responses are of status 400 or above: check the path of the URL".into(),
        Some(_) => {
            "no response can be read as HTTP/1.1: check the port of the URL, and what the server sends".into()
        }
    }
}

/// Explains why responses are missing although there was no error: returns the details of the
/// checks in [`REASONS`] that did not pass.
fn without_errors(length: Duration, checks: &[CheckOutcome]) -> String {
    let found = |check: &&CheckOutcome| {
        REASONS.contains(&check.name.as_str()) && check.verdict != Verdict::Pass
    };
    let reasons = checks.iter().filter(found).map(|check| check.detail.as_str());
    let reasons = reasons.collect::<Vec<_>>().join("; ");
    if reasons.is_empty() {
        format!(
            "the server had not answered after {length:.0?}: measure longer, or see what it does"
        )
    } else {
        reasons
    }
}

/// Returns the time of the machine that other programs and the hypervisor used in the measured
/// part, to be appended to [`line`]; empty if it is short or not known.
pub fn others(readings: &Readings, length: Duration) -> String {
    let value = |key: &str| readings.values.get(key).copied().unwrap_or(0.0);
    let read = |key: &str| Duration::from_secs_f64(value(key).max(0.0));
    let (other, steal) = (read("machine_other_s"), read("machine_steal_s"));
    if other + steal <= length.mul_f64(BUSY_WITH_OTHERS) {
        return String::new();
    }
    format!(
        "; beside server and generator, other programs used {other:.0?} of CPU time, and the \
         hypervisor took {steal:.0?}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: Duration = Duration::from_millis(300);

    fn readings(other_s: f64, steal_s: f64) -> Readings {
        let values = [("machine_other_s", other_s), ("machine_steal_s", steal_s)];
        Readings {
            values: values.map(|(key, value)| (key.to_owned(), value)).into(),
            ..Readings::default()
        }
    }

    fn outcome(name: &str, verdict: Verdict, detail: &str) -> CheckOutcome {
        CheckOutcome { name: name.into(), verdict, detail: detail.into(), effect: None }
    }

    #[test]
    fn the_reason_for_missing_responses_is_given_in_the_words_of_the_checks() {
        let checks = [
            outcome("errors", Verdict::Fail, "none of the reasons"),
            outcome("kernel-drops", Verdict::Warn, "64 SYNs sent again"),
            outcome("generator-cpu-wait", Verdict::Fail, "90 % by the CPU quota"),
            outcome("server-cpu-wait", Verdict::Pass, "the server had its processors"),
        ];
        assert_eq!(without_errors(LENGTH, &checks), "64 SYNs sent again; 90 % by the CPU quota");
    }

    #[test]
    fn a_server_that_does_not_answer_is_reported_if_no_check_explains_it() {
        for checks in
            [vec![], vec![outcome("kernel-drops", Verdict::Pass, "7 are of other listeners")]]
        {
            let text = without_errors(LENGTH, &checks);
            assert!(text.starts_with("the server had not answered after 300ms"), "{text}");
        }
    }

    #[test]
    fn the_reasons_are_names_of_checks() {
        assert!(REASONS.iter().all(|name| check::ALL.iter().any(|check| check.name == *name)));
    }

    #[test]
    fn a_machine_that_is_busy_with_others_is_reported() {
        let text = others(&readings(0.56, 0.02), LENGTH);
        assert!(text.contains("560ms of CPU time, and the hypervisor took 20ms"), "{text}");
    }

    #[test]
    fn a_quiet_machine_and_one_that_was_not_read_are_not_reported() {
        assert_eq!(others(&readings(0.01, 0.0), LENGTH), "");
        assert_eq!(others(&Readings::default(), LENGTH), "");
    }
}
