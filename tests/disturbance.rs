//! Measurements of `c10k bench` that depend on whether other programs keep the processors busy: two
//! that must be undisturbed, and one beside a program that spins. They run one at a time, in a test
//! program of their own, so that no other test disturbs them or is disturbed.

#[path = "support/bench.rs"]
#[allow(dead_code, reason = "each test uses a part of it")]
mod bench;

use std::process::Output;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::{hint, thread};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde_json::Value;

use bench::{Bench, of};

/// Held by each test while it measures.
static ALONE: Mutex<()> = Mutex::new(());

/// Number of attempts to measure without a disturbance. Each attempt takes some seconds, and less
/// than half of them are disturbed when all tests run at once.
const TRIES: usize = 30;

/// Measures again until nothing else on this machine, such as another test, disturbs the
/// measurement, and every search has found a rate that breaks. Returns that bench and its output.
fn undisturbed(tables: &str, arguments: &[&str]) -> (Bench, Output) {
    for _ in 0..TRIES {
        let bench = Bench::new(tables);
        let output = bench.run(arguments);
        let records = bench.records();
        let is_disturbed = |record: &Value| !record["disturbed"].is_null();
        let is_open = |record: &Value| {
            !record["search"].is_null() && !record["search"]["breaks_rps"].is_number()
        };
        if !records.iter().any(|record| is_disturbed(record) || is_open(record)) {
            return (bench, output);
        }
    }
    panic!("the machine has disturbed {TRIES} measurements in a row");
}

/// Threads that keep every processor busy until this is dropped.
struct Spinners(&'static AtomicBool);

impl Spinners {
    fn start() -> Self {
        static ENDS: AtomicBool = AtomicBool::new(false);
        let available =
            sched_getaffinity(None).expect("the processors of this process can be read");
        for cpu in (0..CpuSet::MAX_CPU).filter(|&cpu| available.is_set(cpu)) {
            thread::spawn(move || {
                let mut only = CpuSet::new();
                only.set(cpu);
                sched_setaffinity(None, &only).expect("a thread may leave out processors");
                while !ENDS.load(Ordering::Relaxed) {
                    hint::spin_loop();
                }
            });
        }
        Self(&ENDS)
    }
}

impl Drop for Spinners {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_program_that_spins_beside_a_run_is_reported_and_makes_no_model_look_slower() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    if thread::available_parallelism().is_ok_and(|processors| processors.get() < 2) {
        return eprintln!("not shown: with one processor, server and generator disturb each other");
    }
    // Without the spinners, epoll is the better one by far.
    let bench = Bench::new(
        "models = [\"busy-poll\", \"epoll\"]\n[[workload]]\nconnections = 4\nidle = 40\n",
    );
    let spinners = Spinners::start();
    let output = bench.run(&["--rounds", "3"]);
    drop(spinners);
    assert!(output.status.success(), "{output:?}");
    let disturbed = |record: &&Value| !record["disturbed"].is_null();
    let records = bench.records();
    let all = bench.all_records();
    assert_eq!(records.iter().filter(disturbed).count(), 6, "{records:#?}");
    assert_eq!(all.len() - records.len(), 3, "as many as may be measured again");
    let page = bench.page();
    let leads = |cell: &str| cell.split("</td>").next().is_some_and(|cell| cell.contains("<b>"));
    assert!(!page.split("<td class=\"n").skip(1).any(leads), "a number is the best");
    assert!(page.contains("the machine disturbed a round"));
}

#[test]
fn a_search_finds_a_rate_that_holds_and_records_every_step() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // 16 threads that block for 10 ms take 1,600 requests per second.
    let (bench, output) = undisturbed(
        r#"
        [[subject]]
        model = "thread-pool"
        name = "bounded"
        workers = 16
        [[workload]]
        slo = "p90 < 40ms and errors < 5%"
        connections = 16
        path = "/sleep/10000"
        [quick]
        rounds = 1
        warmup = "10ms"
        duration = "100ms"
        "#,
        &["--quick"],
    );
    assert!(output.status.success(), "{output:?}");
    let records = bench.records();
    let record = of(&records, "bounded");
    let (holds, breaks) = (&record["search"]["holds_rps"], &record["search"]["breaks_rps"]);
    let (holds, breaks) = (holds.as_f64().expect("a rate"), breaks.as_f64().expect("a rate"));
    assert!(holds < breaks && (1000.0..2200.0).contains(&holds), "{holds} to {breaks}");
    assert_eq!(record["metrics"]["capacity_rps"].as_f64(), Some(holds));
    let steps = record["search"]["steps"].as_array().expect("a list");
    let shares: Vec<f64> = steps.iter().filter_map(|step| step["share"].as_f64()).collect();
    assert_eq!(shares, [0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2]);
    assert!(steps.iter().any(|step| step["broken"].is_string()), "{steps:#?}");
    assert!(bench.page().contains("Capacity"), "the page does not show it");
}

#[test]
fn a_claim_is_judged_on_the_terminal_and_on_the_page() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (bench, output) = undisturbed(
        r#"
        models = ["epoll", "poll"]
        [claim]
        says = "A handler that sleeps for 5 ms answers 1,000 requests per second."
        source = "Nobody"
        [[claim.predicate]]
        metric = "throughput_rps"
        of = { subject = "epoll" }
        above = 1000
        [[workload]]
        path = "/sleep/5000"
        connections = 4
        "#,
        &["--rounds", "3"],
    );
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("refuted here: A handler that sleeps"), "{said}");
    assert!(bench.page().contains("refuted here"), "the page does not show it");
}
