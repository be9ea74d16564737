//! What a measurement in which nothing completed says: what happened instead, and what to try next.

use std::time::Duration;

use c10k_loadgen::Measurement;
use c10k_loadgen::measurement::{Generator, KernelCounters};

use crate::probe::Readings;

/// Share of the measured part without a processor from which that explains why nothing completed:
/// generator and server need a turn each, and both wait alike.
const LONG_CPU_WAIT: f64 = 0.25;

/// Share of the measured part that others may use of one processor before it is told.
const BUSY_WITH_OTHERS: f64 = 0.25;

/// One line, without its end.
pub fn line(measured: &Measurement, interrupted: bool) -> String {
    if interrupted {
        return "interrupted before any request completed".into();
    }
    if measured.generator_limits.total() > 0 {
        return "no request completed; see the check generator-limits: this generator was out of descriptors, ports or \
                memory, and the server may be well"
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
    format!("no request completed of {sent} sent; errors: {}{why}; {}", measured.errors, next_step(measured))
}

/// The kind of error that there was most of.
fn most_frequent(measured: &Measurement) -> Option<&'static str> {
    let kinds = measured.errors.by_kind().into_iter().filter(|(_, count)| *count > 0);
    kinds.max_by_key(|(_, count)| *count).map(|(kind, _)| kind)
}

/// As a further part of the line; empty where there is none.
fn example(measured: &Measurement, kind: &str) -> String {
    let example = measured.error_examples.by_kind().find(|(known, _)| *known == kind);
    example.map_or_else(String::new, |(_, example)| format!("; {kind}: {example}"))
}

/// By the kind of error that there was most of.
fn next_step(measured: &Measurement) -> String {
    match most_frequent(measured) {
        None => without_errors(measured.duration, measured.kernel.unwrap_or_default(), measured.generator),
        Some("connect") => "see whether the server accepts connections".into(),
        Some("reset") => "the server closes connections: see what it says".into(),
        Some("timeout") => {
            let timeout = measured.workload.timeout;
            format!("no answer comes within {timeout:?}: see what the server does, or try a longer --timeout")
        }
        Some("status") => "the answers are of status 400 or above: check the path of the URL".into(),
        Some(_) => "the answers are not HTTP/1.1: check the port of the URL".into(),
    }
}

/// What is known to keep answers back without an error.
fn without_errors(length: Duration, kernel: KernelCounters, generator: Generator) -> String {
    let reasons = [dropped(kernel), held_back(length, generator), without_processor(length, generator)];
    let reasons = reasons.into_iter().flatten().collect::<Vec<_>>().join("; ");
    if reasons.is_empty() {
        format!("the server had not answered after {length:.0?}: measure longer, or see what it does")
    } else {
        reasons
    }
}

/// The counters are of the whole machine, so this may be the reason and need not be, unless the server's own queue is known
/// to have dropped nothing.
fn dropped(kernel: KernelCounters) -> Option<String> {
    let KernelCounters { listen_overflows, listen_drops, syn_retransmits, listener_drops } = kernel;
    let is_reason = listen_overflows + listen_drops + syn_retransmits + listener_drops.unwrap_or(0) > 0;
    (is_reason && !kernel.are_of_others()).then(|| {
        format!(
            "the kernel counted {listen_overflows} listen overflows, {listen_drops} listen drops and \
             {syn_retransmits} SYNs sent again on this machine, each of which costs a second: raise \
             the server's backlog, or measure longer"
        )
    })
}

fn held_back(length: Duration, generator: Generator) -> Option<String> {
    let held = Duration::from_secs_f64(generator.throttled_s?);
    let cpus = generator.quota_cpus.filter(|_| held > length.mul_f64(LONG_CPU_WAIT))?;
    Some(format!(
        "a CPU quota of {cpus} processors held the generator back: raise it, or measure outside of it"
    ))
}

fn without_processor(length: Duration, generator: Generator) -> Option<String> {
    let waited = generator.cpu_wait_s? / generator.threads.max(1) as f64;
    let waited = Duration::from_secs_f64(waited).min(length);
    (waited > length.mul_f64(LONG_CPU_WAIT)).then(|| {
        format!(
            "the generator waited {waited:.0?} of {length:.0?} for a processor that the server or \
             other programs used: end what else runs here, or measure longer"
        )
    })
}

/// What else used the machine in the measured part, to go on after [`line`]; empty where that is
/// little, or not known.
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
        Readings { values: values.map(|(key, value)| (key.to_owned(), value)).into(), ..Readings::default() }
    }

    fn waited(cpu_wait_s: f64) -> Generator {
        Generator { threads: 2, cpu_wait_s: Some(cpu_wait_s), ..Generator::default() }
    }

    #[test]
    fn a_generator_without_a_processor_is_told_from_a_server_that_does_not_answer() {
        let text = without_errors(LENGTH, KernelCounters::default(), waited(0.56));
        assert!(text.starts_with("the generator waited 280ms of 300ms for a processor"), "{text}");
        for generator in [waited(0.01), Generator::default()] {
            let text = without_errors(LENGTH, KernelCounters::default(), generator);
            assert!(text.starts_with("the server had not answered after 300ms"), "{text}");
        }
    }

    #[test]
    fn a_quota_is_named() {
        let held = Generator { throttled_s: Some(0.2), quota_cpus: Some(0.05), ..waited(0.0) };
        let text = without_errors(LENGTH, KernelCounters::default(), held);
        assert!(text.starts_with("a CPU quota of 0.05 processors held the generator back"), "{text}");
    }

    #[test]
    fn what_the_kernel_dropped_stands_beside_it() {
        let kernel = KernelCounters { syn_retransmits: 64, ..KernelCounters::default() };
        let text = without_errors(LENGTH, kernel, waited(0.6));
        assert!(text.contains("64 SYNs sent again") && text.contains("; the generator waited"), "{text}");
    }

    #[test]
    fn what_other_listeners_dropped_is_no_reason() {
        let kernel =
            KernelCounters { listen_overflows: 7, listener_drops: Some(0), ..KernelCounters::default() };
        let text = without_errors(LENGTH, kernel, Generator::default());
        assert!(text.starts_with("the server had not answered"), "{text}");
    }

    #[test]
    fn a_machine_that_is_busy_with_others_is_told() {
        let text = others(&readings(0.56, 0.02), LENGTH);
        assert!(text.contains("560ms of CPU time, and the hypervisor took 20ms"), "{text}");
    }

    #[test]
    fn a_quiet_machine_and_one_that_was_not_read_are_not() {
        assert_eq!(others(&readings(0.01, 0.0), LENGTH), "");
        assert_eq!(others(&Readings::default(), LENGTH), "");
    }
}
