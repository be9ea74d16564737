//! One request and its answer per model, over a plain blocking client: the cost of a model while it has nothing else to do.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use c10k::subject::{Settings, Subject};
use c10k_servers::ROSTER;
use criterion::{Criterion, criterion_group, criterion_main};

const PERSISTENT: &[u8] = b"GET / HTTP/1.1\r\nHost: c10k\r\n\r\n";
const SHORT: &[u8] = b"GET / HTTP/1.1\r\nHost: c10k\r\nConnection: close\r\n\r\n";

/// The page's length, without the head.
const BODY_BYTES: usize = 1024;

/// Connections that are open at a time: one of each kind.
const CONNECTIONS: usize = 2;

fn round_trip(criterion: &mut Criterion) {
    let settings = Settings::new(Path::new(env!("CARGO_BIN_EXE_c10k")), CONNECTIONS);
    let models = ROSTER.iter().map(|entry| Subject::model(entry, Vec::new()));
    for model in models.filter(|model| model.unavailable(settings.c10k).is_none()) {
        let mut group = criterion.benchmark_group(format!("round_trip/{}", model.name));
        group
            .warm_up_time(Duration::from_millis(300))
            .measurement_time(Duration::from_secs(2))
            .sample_size(30);
        // Started when it is needed: a filter may leave this model out.
        let mut running = None;
        let mut address = || -> SocketAddr {
            running.get_or_insert_with(|| model.start(&settings).expect("the server starts")).address()
        };
        group.bench_function("persistent", |bencher| {
            let mut stream = TcpStream::connect(address()).expect("the server accepts");
            stream.set_nodelay(true).expect("a connected socket takes options");
            bencher.iter_custom(|times| time(times, || persistent(&mut stream)));
        });
        group.bench_function("short", |bencher| {
            let address = address();
            bencher.iter_custom(|times| time(times, || short(address)));
        });
        group.finish();
        if let Some(running) = running {
            running.stop().expect("the server stops");
        }
    }
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
    let (mut buffer, mut read, mut length) = ([0; 4096], 0, usize::MAX);
    while read < length {
        let octets = stream.read(&mut buffer[read..]).expect("the server answers");
        assert!(octets > 0, "the server closed a persistent connection");
        read += octets;
        if let Some(head) = buffer[..read].windows(4).position(|octets| octets == b"\r\n\r\n") {
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
    let head = answer.windows(4).position(|octets| octets == b"\r\n\r\n").expect("the answer has a head");
    check(&answer, head + 4 + BODY_BYTES);
}

/// A fast answer that is wrong is no result.
fn check(answer: &[u8], length: usize) {
    assert!(
        answer.starts_with(b"HTTP/1.1 200 ") && answer.len() == length,
        "a wrong answer of {} octets",
        answer.len()
    );
}

criterion_group!(benches, round_trip);
criterion_main!(benches);
