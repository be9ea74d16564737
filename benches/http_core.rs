//! The HTTP core alone, without a socket: the cost per request that all models have in common.

#[allow(dead_code, reason = "each bench uses a part of it")]
#[path = "support/arguments.rs"]
mod arguments;
#[path = "support/requests.rs"]
mod requests;
#[path = "support/resamples.rs"]
mod resamples;

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group};
use requests::{BROWSER_GET, Core, GET};

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
        let mut core = Core::new();
        group.throughput(Throughput::Elements(requests as u64));
        group.bench_function(name, |bencher| bencher.iter(|| core.answer(black_box(bytes))));
    }
    group.finish();
}

criterion_group!(benches, http_core);

/// Public, so that the test of baselines can act as this bench.
pub fn main() {
    arguments::complete_criterion();
    benches();
    Criterion::default().configure_from_args().final_summary();
}
