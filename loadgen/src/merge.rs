//! The measurement of a run, merged from the reports of its workers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::addresses::{Addresses, Share};
use crate::example::ErrorExamples;
use crate::measurement::{
    Batch, Connections, Errors, ErrorsAt, Fairness, Generator, GeneratorLimits, KernelCounters,
    Measurement, Requests, StartUp,
};
use crate::plan::Plan;
use crate::recorder::{Age, Recorder};
use crate::silence;
use crate::target::Target;
use crate::worker::Ending;
use crate::workload::{Pacing, Until};

/// Merges the results of all workers: `total` is of all intervals together.
pub(crate) fn merge(
    plan: &Plan,
    total: Recorder,
    batches: Vec<Batch>,
    kernel: Option<KernelCounters>,
    endings: &[Ending],
) -> Measurement {
    let sum = |of| sum(endings, of);
    let all =
        |of: fn(&Ending) -> &Vec<u64>| endings.iter().flat_map(of).copied().collect::<Vec<u64>>();
    let status = total.status_codes.failures();
    let begin = endings.iter().map(|ending| ending.window.0).min().unwrap_or_default();
    let last_done = endings.iter().map(|ending| ending.last_done).max().unwrap_or_default();
    let end = match (plan.workload.until, plan.workload.pacing) {
        (Until::Elapsed(_), _) | (Until::Told, Pacing::Open { .. }) => {
            endings.iter().map(|ending| ending.window.1).max().unwrap_or_default()
        }
        (Until::Requests(_), _) | (Until::Told, Pacing::Closed) => last_done,
    };
    let mut limits = GeneratorLimits::default();
    for ending in endings {
        limits += ending.limits;
    }
    let mut arrivals = all(|ending| &ending.arrivals);
    arrivals.sort_unstable();
    Measurement {
        target: plan.target.url.clone(),
        workload: plan.workload.clone(),
        duration: Duration::from_nanos(end.saturating_sub(begin)),
        requests: requests(plan, &total, endings),
        connections: connections(plan.workload.connections, endings),
        slow: None,
        errors: total.errors,
        lookup: plan.target.lookup,
        addresses: addresses(&plan.target, endings),
        errors_at: errors_at(&plan.target.addresses, &total.errors_at),
        error_examples: ErrorExamples { status, ..total.examples },
        status_codes: total.status_codes,
        times: total.times,
        kinds: total.kinds,
        bytes: total.bytes,
        generator: generator(endings),
        fairness: Fairness::of(all(|ending| &ending.responses)),
        bodies: total.bodies,
        generator_limits: limits,
        start_up: StartUp {
            took_s: if begin == u64::MAX { 0.0 } else { Duration::from_nanos(begin).as_secs_f64() },
            unserved: sum(|ending| ending.unserved_at_begin),
            served_later: sum(|ending| ending.served_later),
        },
        batches,
        arrivals,
        idle: endings.iter().map(|ending| ending.idle).sum(),
        silence: silence::longest(endings.iter().map(|ending| &ending.pauses), (begin, end)),
        kernel,
        generator_cpus: Vec::new(),
        has_one_processor: false,
        server: None,
    }
}

fn addresses(target: &Target, endings: &[Ending]) -> Addresses {
    let mut shares = Share::none_yet(&target.addresses);
    for ending in endings {
        Share::add_all(&mut shares, &ending.shares);
    }
    Addresses { used: target.addresses.clone(), left_out: target.left_out.clone(), shares }
}

fn sum(endings: &[Ending], of: fn(&Ending) -> u64) -> u64 {
    endings.iter().map(of).sum()
}

fn requests(plan: &Plan, total: &Recorder, endings: &[Ending]) -> Requests {
    let errors = total.errors;
    let failed = errors.reset + errors.timeout + errors.status + errors.protocol;
    let in_flight = sum(endings, |ending| requests_of(&ending.in_flight_ages));
    let unsent = sum(endings, |ending| requests_of(&ending.unsent_ages));
    let sent = total.completed + failed + in_flight;
    Requests {
        intended: match (plan.workload.pacing, plan.workload.until) {
            (_, Until::Requests(requests)) => requests,
            (Pacing::Open { .. }, _) => sum(endings, |ending| ending.scheduled),
            (Pacing::Closed, _) => sent + unsent,
        },
        sent,
        completed: total.completed,
        redirected: total.redirected,
        failed,
        in_flight_at_end: in_flight,
        never_answered: never_answered(plan, total, endings),
        answered_after_end: match plan.workload.pacing {
            Pacing::Open { .. } => total.answered_after_end,
            // The measured part of a closed loop ends with the last response that counts.
            Pacing::Closed => 0,
        },
    }
}

fn connections(requested: usize, endings: &[Ending]) -> Connections {
    let sum = |of| sum(endings, of);
    Connections {
        requested: requested as u64,
        established: sum(|ending| ending.established),
        served: sum(|ending| ending.served),
        starved: sum(|ending| ending.starved),
        never_asked: sum(|ending| ending.never_asked),
        opened_total: sum(|ending| ending.opened_total),
        idle_established: sum(|ending| ending.idle_established),
        idle_answered: sum(|ending| ending.idle_answered),
    }
}

/// Returns the CPU time of the workers. The caller of a run fills in the fields about processors.
fn generator(endings: &[Ending]) -> Generator {
    Generator {
        threads: endings.len(),
        user_s: endings.iter().map(|ending| ending.usage.user.as_secs_f64()).sum(),
        system_s: endings.iter().map(|ending| ending.usage.system.as_secs_f64()).sum(),
        cpu_wait_s: endings.iter().map(|ending| Some(ending.cpu_wait?.as_secs_f64())).sum(),
        ..Generator::default()
    }
}

/// Returns errors by address, if there are several addresses; with one, all errors belong to it.
fn errors_at(addresses: &[SocketAddr], errors_at: &BTreeMap<usize, Errors>) -> Vec<ErrorsAt> {
    let told = errors_at.iter().filter(|_| addresses.len() > 1);
    told.map(|(&at, &errors)| ErrorsAt { address: addresses[at], errors }).collect()
}

/// Returns the number of requests that should have had a response or an error, and had neither. In
/// a closed loop, each connection has a request in flight at the end; of those, only requests count
/// that have waited longer than any answered one.
fn never_answered(plan: &Plan, total: &Recorder, endings: &[Ending]) -> u64 {
    let longest = match plan.workload.pacing {
        Pacing::Open { .. } => None,
        Pacing::Closed => Some(total.times.service.max() + total.times.connect.max()),
    };
    let ages = endings.iter().flat_map(Ending::ages);
    let beyond = ages.filter(|age| longest.is_none_or(|longest| age.response > longest));
    beyond.map(|age| age.count).sum()
}

fn requests_of(ages: &[Age]) -> u64 {
    ages.iter().map(|age| age.count).sum()
}
