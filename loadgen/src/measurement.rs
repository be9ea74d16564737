//! Results of one run, in memory, with whole histograms. A [`Summary`](crate::Summary) is their
//! wire format.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::ops::AddAssign;
use std::time::Duration;

use hdrhistogram::Histogram;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::addresses::Addresses;
use crate::example::{ErrorExamples, KINDS, StatusCodes};
use crate::recorder::{Interval, empty_times};
use crate::slow::SlowClients;
use crate::workload::Workload;

/// Times in nanoseconds, one value per event, at three significant digits.
pub type Times = Histogram<u64>;

/// Results of one run. Only events of the measured part count, never those of the warm-up.
#[derive(Debug, Clone)]
pub struct Measurement {
    /// The URL that was asked for.
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
    /// Arrivals of the requests of an open loop, in nanoseconds from the begin of the measured
    /// part, ascending. A request arrives when it is sent or, if no connection is free, when it
    /// enters the queue. Each worker keeps its first [`MAX_ARRIVALS`].
    pub arrivals: Vec<u64>,
    /// Time in which workers had nothing to do but wait, spinning included, all workers together.
    pub idle: Duration,
    /// Longest time of the measured part in which no response came although requests waited.
    pub silence: Silence,
    /// Counters of this machine's kernel from the first connect on; none if they can't be read.
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

/// Most batches of a measured part; if there are more, neighbours are joined.
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
    /// Requests on the connection in the middle.
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
    /// Connections to the target that had ended by the end of the run and are still kept; absent if
    /// the kernel does not report them, or the target is on another machine.
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

/// Distributions of times, in nanoseconds.
#[derive(Debug, Clone)]
pub struct Distributions {
    /// From the intended send time to the last byte of the response.
    pub latency: Times,
    /// From the actual send to the last byte of the response.
    pub service: Times,
    /// From `connect` to the established connection.
    pub connect: Times,
    /// From the actual send to the first byte of the response.
    pub first_byte: Times,
    /// From the intended send time to the actual send, for requests that found a connection free:
    /// the generator's own lateness.
    pub send_lag: Times,
    /// From the moment at which a request lacked only a connection to the `connect` for it, for
    /// requests for which a connection was made: the generator's own queue.
    pub connect_wait: Times,
    /// Latency without `connect_wait`: the part for which the server, and the way to it, are
    /// responsible.
    pub response: Times,
    /// Values of `latency` that are the ages of requests without a response.
    pub unanswered: Times,
}

impl Measurement {
    /// Returns the completed requests per second of the measured part; zero if nothing was
    /// measured. The time that an open loop waits for its last responses is not counted: one late
    /// response in a thousand would halve the rate of a short run.
    pub fn throughput_rps(&self) -> f64 {
        let duration_s = self.duration.as_secs_f64();
        if duration_s > 0.0 { self.requests.completed as f64 / duration_s } else { 0.0 }
    }
}

impl Fairness {
    /// Computes the fairness from the number of responses on each connection.
    pub(crate) fn of(mut answers: Vec<u64>) -> Self {
        answers.sort_unstable();
        let (Some(&min), Some(&max)) = (answers.first(), answers.last()) else { return Self::default() };
        let sum = answers.iter().map(|&count| count as f64).sum::<f64>();
        let squares = answers.iter().map(|&count| (count as f64).powi(2)).sum::<f64>();
        let jain = if sum > 0.0 { sum * sum / (answers.len() as f64 * squares) } else { 0.0 };
        Self { min, median: answers[answers.len() / 2], max, jain }
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

    /// Joins neighbours into one batch.
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

impl Distributions {
    /// Returns the distributions with their names, which are their tags in a log.
    pub fn named(&self) -> [(&'static str, &Times); 8] {
        let Self { latency, service, connect, first_byte, send_lag, connect_wait, response, unanswered } =
            self;
        [
            ("latency", latency),
            ("service", service),
            ("connect", connect),
            ("first_byte", first_byte),
            ("send_lag", send_lag),
            ("connect_wait", connect_wait),
            ("response", response),
            ("unanswered", unanswered),
        ]
    }

    /// Adds other times, distribution by distribution.
    pub fn add(&mut self, other: &Self) {
        for ((_, mine), (_, theirs)) in self.named_mut().into_iter().zip(other.named()) {
            if !theirs.is_empty() {
                mine.add(theirs).expect("all distributions have the same bounds");
            }
        }
    }

    /// Returns the distributions with their names, for modification.
    pub fn named_mut(&mut self) -> [(&'static str, &mut Times); 8] {
        let Self { latency, service, connect, first_byte, send_lag, connect_wait, response, unanswered } =
            self;
        [
            ("latency", latency),
            ("service", service),
            ("connect", connect),
            ("first_byte", first_byte),
            ("send_lag", send_lag),
            ("connect_wait", connect_wait),
            ("response", response),
            ("unanswered", unanswered),
        ]
    }
}

/// Requests by outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Requests {
    /// Requests that the workload called for.
    pub intended: u64,
    /// Requests that were written to a socket.
    pub sent: u64,
    /// Requests with a complete response of the right status and length.
    pub completed: u64,
    /// Completed requests whose response was a redirection; redirections are not followed.
    #[serde(default)]
    pub redirected: u64,
    /// Requests that ended with an error.
    pub failed: u64,
    /// Requests still without a response when the run ended.
    pub in_flight_at_end: u64,
    /// Requests that should have had a response or an error by the end of the run, and had neither.
    /// In an open loop, these are all requests without either, sent or not. In a closed loop, whose
    /// connections always have a request in flight, these are the requests that had waited longer
    /// than any answered one.
    #[serde(default)]
    pub never_answered: u64,
    /// Completed requests of an open loop whose response came after the measured part.
    #[serde(default)]
    pub answered_after_end: u64,
}

/// Start-up before the measured part: connections are made and send one request each, then the
/// warm-up begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct StartUp {
    /// Time from the first connect to the begin of the measured part, in seconds, warm-up included.
    pub took_s: f64,
    /// Connections of a closed loop that had no response yet when the measured part began.
    pub unserved: u64,
    /// Connections out of `unserved` that had their first response within the measured part.
    pub served_later: u64,
}

/// A time in which no response came on any connection although one or more requests waited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Silence {
    /// Begin of the silence, from the begin of the measured part.
    pub begin: Duration,
    /// Length of the silence; zero if all pauses between responses were too short to be kept.
    pub length: Duration,
    /// Part of the silence in which the generator was awake: the rest may be the machine's doing.
    pub awake: Duration,
}

/// Lengths of response bodies, for responses that have a body by the rules of HTTP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Bodies {
    /// Responses with a body, which may be empty: status 2xx except 204, to a method other than
    /// HEAD.
    pub counted: u64,
    /// Responses out of `counted` whose body was empty.
    pub empty: u64,
    /// Length of the shortest body, in bytes.
    pub shortest: u64,
    /// Length of the longest body, in bytes.
    pub longest: u64,
}

impl Bodies {
    /// Counts a body of this length in bytes.
    pub(crate) fn count(&mut self, bytes: u64) {
        *self += Self { counted: 1, empty: u64::from(bytes == 0), shortest: bytes, longest: bytes };
    }
}

impl AddAssign for Bodies {
    fn add_assign(&mut self, other: Self) {
        self.shortest = match (self.counted, other.counted) {
            (0, _) => other.shortest,
            (_, 0) => self.shortest,
            _ => self.shortest.min(other.shortest),
        };
        self.longest = self.longest.max(other.longest);
        self.counted += other.counted;
        self.empty += other.empty;
    }
}

/// Number of times that a connection was not made because the generator lacked a resource, over the
/// whole run, start-up included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct GeneratorLimits {
    /// Out of file descriptors: the generator's own limit (EMFILE) or the machine's (ENFILE).
    pub descriptors: u64,
    /// Out of local ports (EADDRNOTAVAIL).
    pub ports: u64,
    /// Out of memory for sockets (ENOBUFS, ENOMEM).
    pub memory: u64,
}

impl GeneratorLimits {
    /// Counts an error if it shows such a limit.
    pub(crate) fn note(&mut self, error: &io::Error) {
        match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::MFILE | Errno::NFILE) => self.descriptors += 1,
            Some(Errno::ADDRNOTAVAIL) => self.ports += 1,
            Some(Errno::NOBUFS | Errno::NOMEM) => self.memory += 1,
            _ => {}
        }
    }

    /// Returns the sum over all resources.
    pub fn total(&self) -> u64 {
        self.descriptors + self.ports + self.memory
    }
}

impl AddAssign for GeneratorLimits {
    fn add_assign(&mut self, other: Self) {
        self.descriptors += other.descriptors;
        self.ports += other.ports;
        self.memory += other.memory;
    }
}

/// Connections by outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Connections {
    /// Connections that the workload called for at once.
    pub requested: u64,
    /// Requested connections that were established at least once.
    pub established: u64,
    /// Requested connections that had at least one response.
    pub served: u64,
    /// Requested connections that were established and sent requests, but never had a response.
    pub starved: u64,
    /// Requested connections that never had a request to send: there were fewer requests than
    /// connections.
    #[serde(default)]
    pub never_asked: u64,
    /// All connections opened over the run; each short-lived one counts.
    pub opened_total: u64,
    /// Further connections that were only held in the measured part.
    #[serde(default)]
    pub idle_established: u64,
    /// Held connections that had their one response before the measured part.
    #[serde(default)]
    pub idle_answered: u64,
}

/// Failures by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Errors {
    /// Connections that could not be made.
    pub connect: u64,
    /// Connections that broke off with a request in flight.
    pub reset: u64,
    /// Requests without a response in time.
    pub timeout: u64,
    /// Responses of status 400 or above.
    pub status: u64,
    /// Responses that are not HTTP/1.1, or are longer than they said.
    pub protocol: u64,
}

impl Errors {
    /// Returns the number of all failures.
    pub fn total(&self) -> u64 {
        self.by_kind().iter().map(|(_, count)| count).sum()
    }

    /// Returns the number of failed requests without any known time. A request that timed out has
    /// an age.
    pub fn without_a_time(&self) -> u64 {
        self.reset + self.status + self.protocol
    }

    /// Returns the kinds by name, with their counts.
    pub fn by_kind(&self) -> [(&'static str, u64); 5] {
        let Self { connect, reset, timeout, status, protocol } = *self;
        let counts = [connect, reset, timeout, status, protocol];
        std::array::from_fn(|kind| (KINDS[kind], counts[kind]))
    }
}

/// Writes the kinds that occurred, such as `3 reset, 12 timeout`; `none` if there were none.
impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = self.by_kind().into_iter().filter(|(_, count)| *count > 0);
        let joined = kinds.map(|(kind, count)| format!("{count} {kind}")).collect::<Vec<_>>().join(", ");
        f.write_str(if joined.is_empty() { "none" } else { &joined })
    }
}

impl AddAssign for Errors {
    fn add_assign(&mut self, other: Self) {
        self.connect += other.connect;
        self.reset += other.reset;
        self.timeout += other.timeout;
        self.status += other.status;
        self.protocol += other.protocol;
    }
}

/// Failures at one of several addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ErrorsAt {
    /// Address of the failures.
    #[cfg_attr(test, schemars(with = "String"))]
    pub address: SocketAddr,
    /// Failures by kind.
    #[serde(flatten)]
    pub errors: Errors,
}

/// Writes the address and its failures, as in `::1: 3 connect`.
impl fmt::Display for ErrorsAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.address.ip(), self.errors)
    }
}

/// Bytes that crossed the sockets in the measured part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Bytes {
    /// Bytes from the server.
    pub read: u64,
    /// Bytes to the server.
    pub written: u64,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_generator_is_out_of_is_told_from_what_the_server_does() {
        let mut limits = GeneratorLimits::default();
        for errno in [Errno::MFILE, Errno::NFILE, Errno::ADDRNOTAVAIL, Errno::NOBUFS, Errno::CONNREFUSED] {
            limits.note(&errno.into());
        }
        limits.note(&io::ErrorKind::TimedOut.into());
        assert_eq!(limits, GeneratorLimits { descriptors: 2, ports: 1, memory: 1 });
    }

    #[test]
    fn bodies_are_counted_by_their_lengths() {
        let mut bodies = Bodies::default();
        let mut others = Bodies::default();
        for bytes in [7, 0, 9] {
            bodies.count(bytes);
        }
        others.count(3);
        bodies += Bodies::default();
        others += bodies;
        assert_eq!(others, Bodies { counted: 4, empty: 1, shortest: 0, longest: 9 });
    }

    #[test]
    fn errors_are_told_by_their_kinds() {
        assert_eq!(Errors { timeout: 12, reset: 3, ..Errors::default() }.to_string(), "3 reset, 12 timeout");
        assert_eq!(Errors::default().to_string(), "none");
    }
}
