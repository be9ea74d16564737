//! The HTTP core alone, without a socket: the cost per request that all models have in common.

#[allow(dead_code, reason = "each bench uses a part of it")]
#[path = "support/arguments.rs"]
mod arguments;
#[path = "support/resamples.rs"]
mod resamples;

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use c10k_servers::http::{Connection, HandlerPlacement, Service, Timeouts, Want};
use c10k_servers::site::Site;
use criterion::{Criterion, Throughput, criterion_group};

/// Request that wrk sends.
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";

/// Request that a browser sends.
const BROWSER_GET: &[u8] = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nConnection: keep-alive\r\nCache-Control: max-age=0\r\n\
    Upgrade-Insecure-Requests: 1\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
    Chrome/140.0.0.0 Safari/537.36\r\nAccept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,\
    */*;q=0.8\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-US,en;q=0.9\r\n\r\n";

/// Requests in the pipelined batch.
const BATCH: usize = 16;

fn http_core(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("http_core");
    group
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .nresamples(resamples::RESAMPLES);
    let batch = GET.repeat(BATCH);
    let head = [b"HEAD", &GET[3..]].concat();
    for (name, requests, bytes) in [
        ("get_1_kib", 1, GET),
        ("get_1_kib_browser", 1, BROWSER_GET),
        ("head", 1, &head),
        ("pipelined_16", BATCH, &batch),
    ] {
        let mut service = Service::new(
            Arc::new(Site::embedded()),
            Timeouts::default(),
            HandlerPlacement::InPlace,
        );
        let mut connection = Connection::new(Instant::now());
        group.throughput(Throughput::Elements(requests as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| answer(&mut connection, &mut service, black_box(bytes)));
        });
    }
    group.finish();
}

/// Feeds bytes to a connection and takes all of its output. Returns the length of the output.
fn answer(connection: &mut Connection, service: &mut Service, bytes: &[u8]) -> usize {
    connection.receive(bytes, service);
    let mut sent = 0;
    while connection.want() == Want::Write {
        let pending = connection.pending_output().iter().map(|piece| black_box(piece).len()).sum();
        connection.advance(pending, service);
        sent += pending;
    }
    sent
}

criterion_group!(benches, http_core);

/// Public, so that the test of baselines can act as this bench.
pub fn main() {
    arguments::complete_criterion();
    benches();
    Criterion::default().configure_from_args().final_summary();
}
