//! Results of one run, in memory, with whole histograms. A [`Summary`](crate::Summary) is their
//! wire format.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::addresses::Addresses;
use crate::example::{ErrorExamples, StatusCodes};
use crate::recorder::Interval;
use crate::slow::SlowClients;
use crate::times::empty_times;
use crate::workload::Workload;

pub use crate::outcome::{Bodies, Bytes, Connections, Errors, ErrorsAt, GeneratorLimits, Requests};
pub use crate::times::{Distributions, Times};

/// Results of one run. Only events of the measured part count, never those of the warm-up.
#[derive(Debug, Clone)]
pub struct Measurement {
    /// The requested URL.
    pub target: String,
    /// Load that was sent.
    pub workload: Workload,
    /// Length of the measured part.
    pub duration: Duration,
    /// Requests by outcome.
    pub requests: Requests,
    /// Connections by outcome.
    pub connections: Connections,
    /// Outcome of slow clients, if there were any.
    pub slow: Option<SlowClients>,
    /// Failures by kind.
    pub errors: Errors,
    /// Time that the resolver took for the host before the run, if it is a name. No other time
    /// includes it.
    pub lookup: Option<Duration>,
    /// Addresses of the target.
    pub addresses: Addresses,
    /// Failures by address, if the target has several.
    pub errors_at: Vec<ErrorsAt>,
    /// One example of each kind of failure.
    pub error_examples: ErrorExamples,
    /// Responses by status code.
    pub status_codes: StatusCodes,
    /// Distributions of times.
    pub times: Distributions,
    /// Latencies of requests by kind, for requests whose response names their kind.
    pub kinds: BTreeMap<String, Times>,
    /// Bytes that crossed the sockets.
    pub bytes: Bytes,
    /// Resources that the generator itself used.
    pub generator: Generator,
    /// Fairness of the server between connections.
    pub fairness: Fairness,
    /// Start-up before the measured part.
    pub start_up: StartUp,
    /// Lengths of the response bodies.
    pub bodies: Bodies,
    /// Connections that were not made because the generator lacked a resource, over the whole run.
    pub generator_limits: GeneratorLimits,
    /// The measured part in consecutive batches, [`MAX_BATCHES`] at most, all but the last of the
    /// same length.
    pub batches: Vec<Batch>,
    /// Arrivals of the requests of an open loop, in nanoseconds from the beginning of the measured
    /// part, ascending. A request arrives when it is sent or, if no connection is free, when it
    /// enters the queue. Each worker keeps its first [`MAX_ARRIVALS`].
    pub arrivals: Vec<u64>,
    /// Time in which workers only waited, spinning included, all workers together.
    pub idle: Duration,
    /// Longest time of the measured part in which no response came although requests waited.
    pub silence: Silence,
    /// Counters of this machine's kernel from the first connect on; `None` if they can't be read.
    pub kernel: Option<KernelCounters>,
    /// Processors that the generator's threads may use; empty if they can't be read. This field and
    /// those below are filled in by a caller that looked at the machine.
    pub generator_cpus: Vec<usize>,
    /// True if there is no second processor, so that a server on this machine has to share the
    /// generator's.
    pub has_one_processor: bool,
    /// Time of the server on its processors, if its process is known.
    pub server: Option<ServerTime>,
}

/// Most batches of a measured part; if there are more, neighbouring ones are joined.
pub const MAX_BATCHES: usize = 64;

/// Most arrival times that a worker keeps.
pub const MAX_ARRIVALS: usize = 10_000;

/// One or more consecutive intervals of the measured part.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Length of the batch.
    pub length: Duration,
    /// Requests with a complete response of a good status.
    pub completed: u64,
    /// Latencies of these requests, in nanoseconds, and the ages of requests that timed out or had
    /// no response at the end.
    pub latency: Times,
}

/// Requests answered per connection that the workload called for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Fairness {
    /// Requests on the connection that was served least.
    pub min: u64,
    /// Requests on the connection with the median number.
    pub median: u64,
    /// Requests on the connection that was served most.
    pub max: u64,
    /// Jain's fairness index, (Σx)² / (n·Σx²): 1 if all connections were served alike, 1/n if one
    /// connection had all responses (Jain, Chiu and Hawe 1984).
    pub jain: f64,
}

/// Kernel counters of connections that the kernel kept waiting. The first three are of the whole
/// machine, or of the network namespace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct KernelCounters {
    /// Connections that found the listen queue full.
    pub listen_overflows: u64,
    /// Connections that a listener dropped, because its queue was full or for another reason.
    pub listen_drops: u64,
    /// SYN segments that had to be sent again.
    pub syn_retransmits: u64,
    /// Connections that the target's own listeners dropped; absent if the kernel does not report
    /// them, or the target is on another machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listener_drops: Option<u64>,
    /// Connections to the target that had ended by the end of the run and that the kernel still
    /// keeps; absent if the kernel does not report them, or the target is on another machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_wait: Option<TimeWait>,
}

/// Sockets in `TIME_WAIT`, by the end of the connection that keeps them: the end that closed first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TimeWait {
    /// Sockets of the server.
    pub server: u64,
    /// Sockets of the generator, each of which occupies one of its ports.
    pub client: u64,
}

impl Measurement {
    /// Returns the completed requests per second of the measured part; zero if nothing was
    /// measured. The time for which an open loop waits for its last responses is not included: one
    /// late response in a thousand would halve the rate of a short run.
    pub fn throughput_rps(&self) -> f64 {
        let duration_s = self.duration.as_secs_f64();
        if duration_s > 0.0 { self.requests.completed as f64 / duration_s } else { 0.0 }
    }
}

impl Fairness {
    /// Computes the fairness from the number of responses on each connection.
    pub(crate) fn of(mut responses: Vec<u64>) -> Self {
        responses.sort_unstable();
        let (Some(&min), Some(&max)) = (responses.first(), responses.last()) else {
            return Self::default();
        };
        let sum = responses.iter().map(|&count| count as f64).sum::<f64>();
        let squares = responses.iter().map(|&count| (count as f64).powi(2)).sum::<f64>();
        let jain = if sum > 0.0 { sum * sum / (responses.len() as f64 * squares) } else { 0.0 };
        Self { min, median: responses[responses.len() / 2], max, jain }
    }
}

impl Batch {
    pub(crate) fn of(interval: &Interval) -> Self {
        Self {
            length: interval.length,
            completed: interval.seen.completed,
            latency: interval.seen.times.latency.clone(),
        }
    }

    /// Joins neighbouring batches into one.
    pub(crate) fn join(neighbours: &[Self]) -> Self {
        let mut latency = empty_times();
        for batch in neighbours {
            latency.add(&batch.latency).expect("all distributions have the same bounds");
        }
        Self {
            length: neighbours.iter().map(|batch| batch.length).sum(),
            completed: neighbours.iter().map(|batch| batch.completed).sum(),
            latency,
        }
    }
}

/// Start-up before the measured part: connections are made and send one request each, then the
/// warm-up begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct StartUp {
    /// Time from the first connect to the beginning of the measured part, in seconds, warm-up
    /// included.
    pub took_s: f64,
    /// Connections of a closed loop that had no response yet when the measured part began.
    pub unserved: u64,
    /// Connections out of `unserved` that had their first response within the measured part.
    pub served_later: u64,
}

/// A time in which no response came on any connection although one or more requests waited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Silence {
    /// Beginning of the silence, from the beginning of the measured part.
    pub begin: Duration,
    /// Length of the silence; zero if all pauses between responses were too short to be kept.
    pub length: Duration,
    /// Part of the silence in which the generator was awake: the machine may have caused the rest.
    pub awake: Duration,
}

/// Resources that the generator itself used in the measured part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Generator {
    /// Worker threads.
    pub threads: usize,
    /// CPU time in user mode, all workers together, in seconds.
    pub user_s: f64,
    /// CPU time in the kernel, all workers together, in seconds.
    pub system_s: f64,
    /// Time for which workers were ready to run and had no processor, all workers together, in
    /// seconds; absent if the kernel does not count it. The time begins with the last look before
    /// the measured part, at most 10 ms earlier, since a worker may have no processor for all of
    /// that part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_wait_s: Option<f64>,
    /// Time of the generator's processors that other programs used, in seconds; this includes the
    /// server if it may run there. A caller that looked at the machine fills in this field,
    /// `idle_s`, `throttled_s` and `quota_cpus`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub others_s: Option<f64>,
    /// Time for which the generator's processors had nothing to do, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_s: Option<f64>,
    /// Time for which a CPU quota held back a cgroup that the generator is in, over all processors,
    /// in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttled_s: Option<f64>,
    /// Smallest CPU quota of the cgroups that the generator is in, in processors; absent if there
    /// is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota_cpus: Option<f64>,
}

/// Time of a server on its processors in the measured part. A time that can't be read is absent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ServerTime {
    /// Processors that the server may use.
    pub cpus: Vec<usize>,
    /// CPU time of all processes of the server, in seconds.
    pub ran_s: Option<f64>,
    /// Time for which threads of the server were ready to run and had no processor, all threads
    /// together, in seconds. Threads of one server also wait for each other.
    pub wait_s: Option<f64>,
    /// Time of the server's processors that other programs used, in seconds; this includes the
    /// generator if it may run there.
    pub others_s: Option<f64>,
    /// Time for which the server's processors had nothing to do, in seconds.
    pub idle_s: Option<f64>,
    /// Time for which a CPU quota held back a cgroup that the server is in, over all processors, in
    /// seconds.
    pub throttled_s: Option<f64>,
}
