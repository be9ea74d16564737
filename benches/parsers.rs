//! Four ways to take a request apart, on the same bytes: a regular expression, splitting by hand,
//! `httparse`, and the HTTP core as a whole.
//!
//! The core does more than the others: it also checks what the fields say, finds the page and
//! writes its response. If it takes little longer than a way that gets requests wrong, being right
//! is no question of speed.

#[allow(dead_code, reason = "each bench uses a part of it")]
#[path = "support/arguments.rs"]
mod arguments;
#[path = "support/parsers.rs"]
mod parsers;
#[path = "support/requests.rs"]
mod requests;
#[path = "support/resamples.rs"]
mod resamples;

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group};
use requests::{BROWSER_GET, Core, GET};

fn parse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parsers");
    group
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(600))
        .throughput(Throughput::Elements(1))
        .nresamples(resamples::RESAMPLES);
    for (input, bytes, fields) in [("get", GET, 1), ("get_browser", BROWSER_GET, 8)] {
        for (name, parse) in parsers::ALL {
            let found = parse(bytes).expect("the request is in order").fields.len();
            assert_eq!(found, fields, "{name} does not find the fields of {input}");
            group.bench_function(format!("{name}/{input}"), |bencher| {
                bencher.iter(|| black_box(parse(black_box(bytes))).is_some());
            });
        }
        let mut core = Core::new();
        group.bench_function(format!("http_core/{input}"), |bencher| {
            bencher.iter(|| core.answer(black_box(bytes)));
        });
    }
    group.finish();
}

criterion_group!(benches, parse);
fn main() {
    arguments::complete_criterion();
    benches();
    Criterion::default().configure_from_args().final_summary();
}
