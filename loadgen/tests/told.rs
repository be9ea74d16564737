//! A run that ends when it is told to: it awaits the responses to the requests that it has sent, so
//! that its own count and the server's are the same.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use c10k_loadgen::workload::{Arrivals, Lifetime, Pacing, Until};
use c10k_loadgen::{Event, Measurement, Run, Target, Workload};

const CONNECTIONS: usize = 8;

/// Time that a response takes, so that every connection has a request in flight when the run is
/// told to end.
const DELAY: Duration = Duration::from_millis(5);

/// Requests that the server has received when the run is told to end.
const ENOUGH: u64 = 100;

/// Answers each request after a while, and counts it.
fn serve(mut client: TcpStream, count: &AtomicU64) {
    let mut bytes = [0; 4096];
    while client.read(&mut bytes).is_ok_and(|length| length > 0) {
        count.fetch_add(1, Ordering::SeqCst);
        thread::sleep(DELAY);
        if client.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").is_err() {
            return;
        }
    }
}

/// Runs a workload until the server has received enough requests. Returns the result and the number
/// of requests that the server has received.
fn run(workload: Workload) -> (Measurement, u64) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = Target::resolve(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    let count = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&count);
    thread::spawn(move || {
        for client in listener.incoming() {
            let counter = Arc::clone(&counter);
            thread::spawn(move || serve(client.unwrap(), &counter));
        }
    });
    let stop = Arc::new(AtomicBool::new(false));
    let run = c10k_loadgen::start(target, workload, Arc::clone(&stop)).unwrap();
    let ending = thread::spawn(|| finish(run));
    while count.load(Ordering::SeqCst) < ENOUGH {
        thread::sleep(Duration::from_millis(1));
    }
    stop.store(true, Ordering::Relaxed);
    let measured = ending.join().unwrap();
    (measured, count.load(Ordering::SeqCst))
}

/// Awaits the end; the intervals add up to the whole.
fn finish(mut run: Run) -> Measurement {
    let mut completed = 0;
    while let Some(event) = run.next_event() {
        if let Event::Interval(interval) = event {
            completed += interval.seen.completed;
        }
    }
    let measured = run.finish().unwrap();
    assert_eq!(completed, measured.requests.completed);
    measured
}

fn closed() -> Workload {
    Workload { connections: CONNECTIONS, warmup: Duration::ZERO, ..Workload::lasting(Until::Told) }
}

#[test]
fn a_closed_loop_counts_every_request_that_the_server_receives() {
    for (lifetime, threads) in [(Lifetime::Persistent, 1), (Lifetime::SHORT, 2)] {
        let (measured, received) = run(Workload { lifetime, threads, ..closed() });
        let requests = measured.requests;
        assert_eq!((requests.completed, requests.sent), (received, received), "{requests:?}");
        assert_eq!((requests.failed, requests.in_flight_at_end), (0, 0), "{requests:?}");
        assert_eq!(measured.times.latency.len(), received);
    }
}

#[test]
fn an_open_loop_counts_every_request_that_was_due() {
    let pacing =
        Pacing::Open { rate: 500.0, arrivals: Arrivals::Constant, seed: 1, spin: Duration::ZERO };
    let (measured, _) = run(Workload { pacing, ..closed() });
    let requests = measured.requests;
    assert_eq!(requests.completed, requests.intended, "{requests:?}");
    let due = measured.duration.as_secs_f64() * 500.0;
    assert!(
        (requests.intended as f64 - due).abs() <= 1.0,
        "{requests:?} in {:?}",
        measured.duration
    );
}

#[test]
fn a_run_that_is_told_to_end_in_its_warm_up_has_counted_nothing() {
    let (measured, _) = run(Workload { warmup: Duration::from_mins(1), ..closed() });
    assert_eq!(measured.requests.sent, 0, "{:?}", measured.requests);
}
