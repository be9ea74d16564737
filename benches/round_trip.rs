//! One request and its response per model, over a plain blocking client: the cost of a model when
//! it has nothing else to do.
//!
//! A round trip is mostly the wake-up of the side that waits, and its cost depends on where both
//! sides run. On two processors, each side sleeps until the other processor is interrupted; on one
//! processor, the scheduler merely switches. The difference is several times the work itself. So
//! the placement is chosen here, in the same way as in the suites, and is part of the bench's name.
//! If the scheduler chose it, equal models would differ by a factor of six.
//!
//! Plain `cargo bench` measures one model of each family (how it waits, and what runs a
//! connection). With a filter, the whole roster is available.

#[allow(dead_code, reason = "each bench uses a part of it")]
#[path = "support/arguments.rs"]
mod arguments;
#[path = "support/resamples.rs"]
mod resamples;

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use arguments::Asked;
use c10k::cores;
use c10k::cpus::CpuList;
use c10k::subject::{Program, RunningSubject, Settings, Subject};
use c10k_servers::{Entry, ROSTER};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group};

const PERSISTENT: &[u8] = b"GET / HTTP/1.1\r\nHost: c10k\r\n\r\n";
const SHORT: &[u8] = b"GET / HTTP/1.1\r\nHost: c10k\r\nConnection: close\r\n\r\n";

/// The page's length, without the head.
const BODY_BYTES: usize = 1024;

/// The `c10k` program, which serves the models.
static C10K: LazyLock<Program> =
    LazyLock::new(|| Program::at(Path::new(env!("CARGO_BIN_EXE_c10k"))));

/// Processors of the client and of the server.
struct Placement {
    /// Part of the bench's name.
    name: &'static str,
    server: CpuList,
    client: CpuList,
}

fn round_trip(criterion: &mut Criterion) {
    let placements = placements();
    for entry in models() {
        let subject = Subject::model(entry, Vec::new());
        let mut group = criterion.benchmark_group(format!("round_trip/{}", entry.name));
        group
            .warm_up_time(Duration::from_millis(100))
            .measurement_time(Duration::from_millis(500))
            .sample_size(20)
            .nresamples(resamples::RESAMPLES);
        for placement in &placements {
            bench(&mut group, &subject, placement);
        }
        group.finish();
    }
}

/// Returns the models that can run here: one of each family, or all of them if there is a filter.
fn models() -> Vec<&'static Entry> {
    let is_filtered = Asked::of_this_process().filters().next().is_some();
    let is_here = |entry: &&'static Entry| {
        Subject::model(entry, Vec::new()).unavailable(C10K.path()).is_none()
    };
    let mut families = HashSet::new();
    let is_first = |entry: &&Entry| {
        families.insert((entry.profile.readiness.to_string(), entry.profile.execution.to_string()))
            || is_filtered
    };
    ROSTER.iter().filter(is_here).filter(is_first).collect()
}

/// Returns two placements: both sides on two processors, as suites place them, and both on one. On
/// a machine with one processor, it returns only the latter.
fn placements() -> Vec<Placement> {
    let available = CpuList::available().expect("the processors of this process can be read");
    let one = available.first(std::num::NonZeroUsize::MIN);
    let same = Placement { name: "one_processor", server: one.clone(), client: one };
    match cores::split(&available) {
        Some((server, client)) => vec![Placement { name: "two_processors", server, client }, same],
        None => vec![same],
    }
}

fn bench(group: &mut BenchmarkGroup<WallTime>, subject: &Subject, placement: &Placement) {
    // The server is started when it is needed, because a filter may leave this bench out.
    let mut running = None;
    let mut address = || -> SocketAddr {
        placement.client.pin().expect("the client can be pinned");
        running.get_or_insert_with(|| start(subject, placement)).address()
    };
    group.bench_function(format!("persistent/{}", placement.name), |bencher| {
        let mut stream = TcpStream::connect(address()).expect("the server accepts");
        stream.set_nodelay(true).expect("a connected socket takes options");
        bencher.iter_custom(|times| time(times, || persistent(&mut stream)));
    });
    group.bench_function(format!("short/{}", placement.name), |bencher| {
        let address = address();
        bencher.iter_custom(|times| time(times, || short(address)));
    });
    if let Some(running) = running {
        running.stop().expect("the server stops");
    }
}

fn start(subject: &Subject, placement: &Placement) -> RunningSubject {
    let settings = Settings { cpus: Some(&placement.server), ..Settings::new(&C10K, 2) };
    subject.start(&settings).expect("the server starts")
}

fn time(times: u64, mut request: impl FnMut()) -> Duration {
    let begin = Instant::now();
    for _ in 0..times {
        request();
    }
    begin.elapsed()
}

fn persistent(stream: &mut TcpStream) {
    stream.write_all(PERSISTENT).expect("the server reads");
    let mut buffer = [0; 4096];
    let mut read = 0;
    let mut length = usize::MAX;
    while read < length {
        let bytes = stream.read(&mut buffer[read..]).expect("the server answers");
        assert!(bytes > 0, "the server closed a persistent connection");
        read += bytes;
        if let Some(head) = buffer[..read].windows(4).position(|window| window == b"\r\n\r\n") {
            length = head + 4 + BODY_BYTES;
        }
    }
    check(&buffer[..read], length);
}

fn short(address: SocketAddr) {
    let mut stream = TcpStream::connect(address).expect("the server accepts");
    stream.write_all(SHORT).expect("the server reads");
    let mut answer = Vec::with_capacity(4096);
    stream.read_to_end(&mut answer).expect("the server answers");
    let head =
        answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a response has a head");
    check(&answer, head + 4 + BODY_BYTES);
}

/// Panics if the response is wrong: its time would be no result.
fn check(answer: &[u8], length: usize) {
    assert!(
        answer.starts_with(b"HTTP/1.1 200 ") && answer.len() == length,
        "a wrong response of {} bytes",
        answer.len()
    );
}

criterion_group!(benches, round_trip);
fn main() {
    arguments::complete_criterion();
    benches();
    Criterion::default().configure_from_args().final_summary();
}
