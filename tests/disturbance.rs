//! Measurements of `c10k bench` beside a program that keeps the processors busy. The test has a
//! program of its own, so that it disturbs no other test.

#![cfg(target_os = "linux")]

#[path = "support/bench.rs"]
#[allow(dead_code, reason = "each test uses a part of it")]
mod bench;

use std::sync::atomic::{AtomicBool, Ordering};
use std::{hint, thread};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde_json::Value;

use bench::Bench;

/// Threads that keep every processor busy until this is dropped.
struct Spinners(&'static AtomicBool);

impl Spinners {
    fn start() -> Self {
        static ENDS: AtomicBool = AtomicBool::new(false);
        let available = sched_getaffinity(None).expect("the processors of this process can be read");
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
fn a_program_that_spins_beside_a_run_is_told_and_makes_no_model_the_slower_one() {
    if thread::available_parallelism().is_ok_and(|processors| processors.get() < 2) {
        return eprintln!("not shown: with one processor, server and generator disturb each other");
    }
    // Without the spinners, epoll is the better one by far.
    let bench = Bench::new("models = [\"busy-poll\", \"epoll\"]\n[[workload]]\nconnections = 4\nidle = 40\n");
    let spinners = Spinners::start();
    let output = bench.run(&["--rounds", "3"]);
    drop(spinners);
    assert!(output.status.success(), "{output:?}");
    let disturbed = |record: &&Value| !record["disturbed"].is_null();
    let (records, all) = (bench.records(), bench.all_records());
    assert_eq!(records.iter().filter(disturbed).count(), 6, "{records:#?}");
    assert_eq!(all.len() - records.len(), 3, "as many as may be measured again");
    let page = bench.page();
    let leads = |cell: &str| cell.split("</td>").next().is_some_and(|cell| cell.contains("<b>"));
    assert!(!page.split("<td class=\"n").skip(1).any(leads), "a number is the best");
    assert!(page.contains("the machine disturbed a round"));
}
