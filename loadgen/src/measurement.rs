//! What one run measured, in memory, with whole histograms. What it says to others is a [`Summary`](crate::Summary).

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

/// What one run measured. Only events of the measured part count, never those of the warm-up.
#[derive(Debug, Clone)]
pub struct Measurement {
    /// The URL that was asked for.
    pub target: String,
    /// What was sent.
    pub workload: Workload,
    /// How long the measured part took.
    pub duration: Duration,
    /// Requests by what became of them.
    pub requests: Requests,
    /// Connections by what became of them.
    pub connections: Connections,
    /// What became of slow clients, where there were any.
    pub slow: Option<SlowClients>,
    /// Failures by kind.
    pub errors: Errors,
    /// Addresses of the target.
    pub addresses: Addresses,
    /// Failures by address, where there are several.
    pub errors_at: Vec<ErrorsAt>,
    /// One example of each kind of failure.
    pub error_examples: ErrorExamples,
    /// Answers by their status code.
    pub status_codes: StatusCodes,
    /// Distributions of times.
    pub times: Distributions,
    /// Latencies of requests by what their answers say that they were, where they do.
    pub kinds: BTreeMap<String, Times>,
    /// Bytes that crossed the sockets.
    pub bytes: Bytes,
    /// What the generator itself used.
    pub generator: Generator,
    /// How evenly the connections were served.
    pub fairness: Fairness,
    /// What came before the measured part.
    pub start_up: StartUp,
    /// How long the bodies of the answers were.
    pub bodies: Bodies,
    /// What the generator was out of over the whole run.
    pub generator_limits: GeneratorLimits,
    /// The measured part in consecutive stretches, [`MAX_BATCHES`] at most, all but the last of the same length.
    pub batches: Vec<Batch>,
    /// When the requests of an open loop arrived, in nanoseconds from the begin of the measured
    /// part, ascending: were sent, or, without a connection free, came into the line. The first
    /// [`MAX_ARRIVALS`] of each worker.
    pub arrivals: Vec<u64>,
    /// Time in which workers had nothing to do but wait, all together, spinning included.
    pub idle: Duration,
    /// The longest time of the measured part without an answer while requests waited.
    pub silence: Silence,
    /// What this machine's kernel counted from the first connect on, where that can be read.
    pub kernel: Option<KernelCounters>,
    /// The processors that the generator's threads may use; empty where that can't be read. This and
    /// what follows is filled in by a caller that looked at the machine.
    pub generator_cpus: Vec<usize>,
    /// True where there is no second processor, so that a server on this machine has to share the
    /// generator's.
    pub has_one_processor: bool,
    /// The server's time on its processors, where its process is known.
    pub server: Option<ServerTime>,
}

/// Stretches that a measured part is kept in; when there are more, neighbours are put together.
pub const MAX_BATCHES: usize = 64;

/// Times of arrivals that a worker keeps.
pub const MAX_ARRIVALS: usize = 10_000;

/// A stretch of the measured part.
#[derive(Debug, Clone)]
pub struct Batch {
    /// How long it was.
    pub length: Duration,
    /// Requests with a whole answer of a good status.
    pub completed: u64,
    /// Their latencies, in nanoseconds, and the ages of requests that timed out or had no answer at the end.
    pub latency: Times,
}

/// Requests answered per connection that the workload called for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Fairness {
    /// On the connection that was served least.
    pub min: u64,
    /// On the one in the middle.
    pub median: u64,
    /// On the one that was served most.
    pub max: u64,
    /// Jain's fairness index, (Σx)² / (n·Σx²): 1 when all were served alike, 1/n when one had everything (Jain, Chiu and
    /// Hawe 1984).
    pub jain: f64,
}

/// Counters of the kernel that tell of connections that it kept waiting. All but the last are of the whole machine, or of
/// the network namespace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct KernelCounters {
    /// Connections that found the listen queue full.
    pub listen_overflows: u64,
    /// Connections that a listener dropped, for that or another reason.
    pub listen_drops: u64,
    /// SYN segments that had to be sent again.
    pub syn_retransmits: u64,
    /// Connections that the target's own listeners dropped; absent where the kernel does not tell, or the target is on
    /// another machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listener_drops: Option<u64>,
    /// Connections to the target that had ended by the end of the run and are kept; absent where the kernel does not
    /// tell, or the target is on another machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_wait: Option<TimeWait>,
}

/// Sockets in `TIME_WAIT`, by the end of the connection that they are of: the one that closed first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TimeWait {
    /// Those of the server.
    pub server: u64,
    /// Those of the generator, each of which keeps a port of it.
    pub client: u64,
}

/// Distributions of times, in nanoseconds.
#[derive(Debug, Clone)]
pub struct Distributions {
    /// From the intended send time to the last byte of the answer.
    pub latency: Times,
    /// From the actual send to the last byte of the answer.
    pub service: Times,
    /// From `connect` to the established connection.
    pub connect: Times,
    /// From the actual send to the first byte of the answer.
    pub first_byte: Times,
    /// From the intended send time to the actual send, of requests that found a connection free:
    /// the generator's own lateness.
    pub send_lag: Times,
    /// From the moment at which a request lacked nothing but a connection to the `connect` for it:
    /// the generator's own queue. Of requests for which a connection was made.
    pub connect_wait: Times,
    /// The latency without that wait: what the server, and the way to it, are responsible for.
    pub response: Times,
    /// Those values of `latency` that are the ages of requests without an answer.
    pub unanswered: Times,
}

impl Measurement {
    /// Completed requests per second of the measured part; none where nothing was measured. An open
    /// loop that waited for its last answers is not divided by that wait: one late answer in a
    /// thousand would halve the rate of a short run.
    pub fn throughput_rps(&self) -> f64 {
        let duration_s = self.duration.as_secs_f64();
        if duration_s > 0.0 { self.requests.completed as f64 / duration_s } else { 0.0 }
    }
}

impl Fairness {
    /// Of the number of answers on each connection.
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

    /// Puts neighbours together.
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
    /// The distributions by name, as they are tagged in a log.
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

    /// The distributions by name, to change.
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

/// Requests by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Requests {
    /// Requests that the workload called for.
    pub intended: u64,
    /// Requests that were written to a socket.
    pub sent: u64,
    /// Requests with a whole answer of the right status and length.
    pub completed: u64,
    /// Of those, how many were redirections, which are not followed.
    #[serde(default)]
    pub redirected: u64,
    /// Requests with an error in place of that.
    pub failed: u64,
    /// Requests still without an answer when the run ended.
    pub in_flight_at_end: u64,
    /// Requests that had neither an answer nor an error by the end of the run and should have had
    /// one: of an open loop all of those, sent or not; of a closed one, whose connections always
    /// have one under way, those that had waited longer than any answered one.
    #[serde(default)]
    pub never_answered: u64,
    /// Of the completed ones of an open loop, how many had their answer after the measured part.
    #[serde(default)]
    pub answered_after_end: u64,
}

/// What came before the measured part: connections are made and asked once, then the warm-up
/// begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct StartUp {
    /// From the first connect to the begin of the measured part, in seconds; the warm-up is a part
    /// of it.
    pub took_s: f64,
    /// Connections of a closed loop that had no answer yet when the measured part began.
    pub unserved: u64,
    /// Of those, how many had their first answer within the measured part.
    pub served_later: u64,
}

/// A time in which nothing was answered on any connection although one or more requests waited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Silence {
    /// When it began, from the begin of the measured part.
    pub begin: Duration,
    /// How long it was; zero where pauses between answers were too short to be kept.
    pub length: Duration,
    /// Of it, how long the generator was awake: the rest may be the machine's doing.
    pub awake: Duration,
}

/// How long the bodies of answers were, of those answers that have one by the rules of HTTP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Bodies {
    /// Answers with a body, which may be empty: those of a status 2xx but 204, to another method
    /// than HEAD.
    pub counted: u64,
    /// Of those, how many were empty.
    pub empty: u64,
    /// The shortest one, in bytes.
    pub shortest: u64,
    /// The longest one, in bytes.
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

/// How often a connection was not made because the generator was out of something, over the whole
/// run, start-up included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct GeneratorLimits {
    /// Out of file descriptors: its own limit (EMFILE) or the machine's (ENFILE).
    pub descriptors: u64,
    /// Out of local ports (EADDRNOTAVAIL).
    pub ports: u64,
    /// Out of memory for sockets (ENOBUFS, ENOMEM).
    pub memory: u64,
}

impl GeneratorLimits {
    /// Counts an error, where it tells of such a limit.
    pub(crate) fn note(&mut self, error: &io::Error) {
        match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::MFILE | Errno::NFILE) => self.descriptors += 1,
            Some(Errno::ADDRNOTAVAIL) => self.ports += 1,
            Some(Errno::NOBUFS | Errno::NOMEM) => self.memory += 1,
            _ => {}
        }
    }

    /// All together.
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

/// Connections by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Connections {
    /// Connections that the workload called for at once.
    pub requested: u64,
    /// Of those, how many stood at least once.
    pub established: u64,
    /// Of those, how many had at least one answer.
    pub served: u64,
    /// Of those, how many stood but never had an answer, although they asked.
    pub starved: u64,
    /// Connections that were never asked for anything: there were fewer requests than connections.
    #[serde(default)]
    pub never_asked: u64,
    /// All connections opened over the run, the short-lived ones one by one.
    pub opened_total: u64,
    /// Further connections that only stood there in the measured part.
    #[serde(default)]
    pub idle_established: u64,
    /// Of those, how many had their one answer before.
    #[serde(default)]
    pub idle_answered: u64,
}

/// Failures by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Errors {
    /// A connection could not be made.
    pub connect: u64,
    /// A connection broke off with a request under way.
    pub reset: u64,
    /// A request had no answer in time.
    pub timeout: u64,
    /// An answer of status 400 or above.
    pub status: u64,
    /// An answer that is not HTTP/1.1, or longer than it said.
    pub protocol: u64,
}

impl Errors {
    /// All failures together.
    pub fn total(&self) -> u64 {
        self.by_kind().iter().map(|(_, count)| count).sum()
    }

    /// Failed requests of which it is not even known how long they waited; one that timed out has an age.
    pub fn without_a_time(&self) -> u64 {
        self.reset + self.status + self.protocol
    }

    /// The kinds by name, with how many there were of each.
    pub fn by_kind(&self) -> [(&'static str, u64); 5] {
        let Self { connect, reset, timeout, status, protocol } = *self;
        let counts = [connect, reset, timeout, status, protocol];
        std::array::from_fn(|kind| (KINDS[kind], counts[kind]))
    }
}

/// The kinds that there were, such as `3 reset, 12 timeout`; `none` where there were none.
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
    /// Which.
    #[cfg_attr(test, schemars(with = "String"))]
    pub address: SocketAddr,
    /// Failures by kind.
    #[serde(flatten)]
    pub errors: Errors,
}

/// As in `::1: 3 connect`.
impl fmt::Display for ErrorsAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.address.ip(), self.errors)
    }
}

/// Bytes that crossed the sockets in the measured part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Bytes {
    /// From the server.
    pub read: u64,
    /// To the server.
    pub written: u64,
}

/// What the generator itself used in the measured part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Generator {
    /// Worker threads.
    pub threads: usize,
    /// CPU time in user mode, all workers together, in seconds.
    pub user_s: f64,
    /// CPU time in the kernel, all workers together, in seconds.
    pub system_s: f64,
    /// Time in which workers were ready to run and had no processor, all of them together, in
    /// seconds; absent where the kernel does not count it. It begins with the last look before the
    /// measured part, 10 ms at the most, since a worker may have no processor for all of that part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_wait_s: Option<f64>,
    /// Time of its processors that others used, the server among them where it may run there, in
    /// seconds. This and what follows is filled in by a caller that looked at the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub others_s: Option<f64>,
    /// Time for which its processors had nothing to do, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_s: Option<f64>,
    /// Time for which a CPU quota held back a cgroup that the generator is in, over all processors,
    /// in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttled_s: Option<f64>,
    /// The smallest CPU quota of the cgroups that the generator is in, in processors; absent where
    /// there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota_cpus: Option<f64>,
}

/// Time of a server on its processors in the measured part. A time that can't be read is absent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ServerTime {
    /// The processors that it may use.
    pub cpus: Vec<usize>,
    /// CPU time of all its processes, in seconds.
    pub ran_s: Option<f64>,
    /// Time in which its threads were ready to run and had no processor, all of them together, in
    /// seconds. Threads of one server wait for each other, too.
    pub wait_s: Option<f64>,
    /// Time of its processors that others used, the generator among them where it may run there, in
    /// seconds.
    pub others_s: Option<f64>,
    /// Time for which its processors had nothing to do, in seconds.
    pub idle_s: Option<f64>,
    /// Time for which a CPU quota held back a cgroup that it is in, over all processors, in seconds.
    pub throttled_s: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_generator_is_out_of_is_told_from_what_the_server_does() {
        let mut limits = GeneratorLimits::default();
        for errno in [libc::EMFILE, libc::ENFILE, libc::EADDRNOTAVAIL, libc::ENOBUFS, libc::ECONNREFUSED] {
            limits.note(&io::Error::from_raw_os_error(errno));
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
