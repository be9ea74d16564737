//! The open loop: requests are due at the times of the schedule, and the time for which a server
//! makes them wait is part of its latency.

use std::cell::Cell;
use std::fmt::Write as _;
use std::io::Write;
use std::process::Command;
use std::sync::{Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::command::{
    Load, Outcome, command, load, load_to_the_last, load_url, until_shown, words,
};
use crate::outputs::read_log;
use crate::server::{After, OK, Server};
use crate::wait;

#[test]
fn constant_arrivals_number_rate_times_length() {
    for (arguments, intended) in [
        ("--connections 4 --rate 200 --duration 500ms", 100),
        ("--connections 4 --rate 333 --duration 300ms", 100),
        ("--connections 4 --rate 100 --duration 500ms --threads 2", 50),
        ("--connections 2 --rate 3 --duration 700ms", 3),
    ] {
        let (server, outcome) = load_to_the_last(|| Server::answering(OK, After::Keep), arguments);
        outcome.assert_errors(&[]);
        assert_eq!(outcome.count("requests/intended"), intended, "{arguments}");
        assert_eq!(outcome.completed(), intended, "{arguments}");
        assert_eq!(server.requests().len() as u64, intended, "{arguments}");
    }
}

#[test]
fn poisson_arrivals_number_about_rate_times_length_and_are_the_same_each_time() {
    let intended = |seed: u32| {
        let mut arguments =
            "--connections 8 --rate 500 --duration 500ms --arrivals poisson".to_owned();
        write!(arguments, " --seed {seed}").expect("a String takes any text");
        let (server, outcome) = load_to_the_last(|| Server::answering(OK, After::Keep), &arguments);
        outcome.assert_errors(&[]);
        assert_eq!(outcome.completed(), server.requests().len() as u64);
        outcome.count("requests/intended")
    };
    let first = intended(1);
    // Six standard deviations of a Poisson variable of mean 250.
    assert!((155..=345).contains(&first), "{first}");
    assert_eq!(intended(1), first);
}

#[test]
fn the_json_of_an_open_loop_says_what_was_offered() {
    let run =
        || load(&Server::answering(OK, After::Keep), "--connections 2 --rate 100 --duration 300ms");
    // A request that finds no connection free has no lag; this happens on a machine that stalls.
    let outcome =
        until_shown("all have a lag", run, |outcome| outcome.count("send_lag_us/count") == 30);
    assert_eq!(outcome.json["loop"], "open");
    assert!((outcome.number("offered_rps") - 100.0).abs() < 1e-9);
    assert_eq!(outcome.count("requests/intended"), 30);
}

/// Returns a server that answers at once, except in a stall that begins at the time `after` the
/// first request and lasts for `length`.
fn stalling(after: Duration, length: Duration) -> Server {
    let first = OnceLock::new();
    Server::start(move |request, socket| {
        let begin = *first.get_or_init(|| request.at) + after;
        let now = Instant::now();
        if now >= begin && now < begin + length {
            thread::sleep(begin + length - now);
        }
        socket.write_all(OK).map(|()| After::Keep)
    })
}

/// Returns the number of latencies above `bound` in the log of a run.
fn above(folder: &tempfile::TempDir, bound: Duration) -> u64 {
    let bound_ns = bound.as_nanos() as u64;
    let latencies =
        read_log(&folder.path().join("log")).into_iter().filter(|line| line.tag == "latency");
    latencies.map(|line| line.times.count_between(bound_ns, u64::MAX)).sum()
}

fn load_with_log(server: &Server, folder: &tempfile::TempDir, arguments: &str) -> Outcome {
    let log = folder.path().join("log");
    let log = log.to_str().expect("it is text");
    let arguments: Vec<&str> = arguments.split_whitespace().chain(["--hdr", log]).collect();
    load_url(&server.url(), &arguments)
}

#[test]
fn a_stall_is_seen_by_every_request_that_was_due_in_it() {
    for connections in [2, 100] {
        let slow = Cell::new(0);
        let run = || {
            let server = stalling(Duration::from_millis(300), Duration::from_millis(300));
            let folder = tempfile::tempdir().expect("a folder can be made");
            let arguments = format!("--connections {connections} --rate 200 --duration 1s");
            let outcome = load_with_log(&server, &folder, &arguments);
            outcome.assert_errors(&[]);
            assert_eq!(outcome.count("requests/intended"), 200);
            let max = outcome.number("latency_us/max");
            assert!(max >= 280_000.0, "{max} µs with {connections} connections");
            // Requests that were due in the first 150 of 300 ms wait longer than 150 ms: 30 of
            // them, and more where the machine is slow.
            slow.set(above(&folder, Duration::from_millis(150)));
            assert!(slow.get() >= 26, "{} with {connections} connections", slow.get());
            outcome
        };
        // A machine that is busy with something else adds stalls of its own.
        until_shown("a stall and no more than that", run, |outcome| {
            outcome.completed() == 200
                && outcome.number("latency_us/max") < 600_000.0
                && slow.get() <= 70
        });
    }
}

#[test]
fn a_generator_that_was_stopped_omits_no_request_that_was_due() {
    let run = || {
        let server = Server::answering(OK, After::Keep);
        let run = Load::start(&server.url(), &words("--connections 4 --rate 100 --duration 1s"));
        wait::until("requests come", || server.requests().len() >= 10);
        run.signal(Signal::STOP);
        // Past the end of the run, and past the time that it waits for its last responses.
        thread::sleep(Duration::from_millis(2500));
        run.signal(Signal::CONT);
        let outcome = run.outcome(wait::PATIENCE);
        outcome.assert_errors(&[]);
        assert_eq!(outcome.count("requests/intended"), 100, "{:#}", outcome.json);
        outcome
    };
    // True if the run was stopped in about its first half: requests that were due then are two
    // seconds old at the end.
    until_shown("what it has missed is old", run, |outcome| {
        ["latency_us/max", "send_lag_us/max"].iter().all(|what| outcome.number(what) >= 1_500_000.0)
    });
}

#[test]
fn requests_beyond_the_capacity_wait_in_a_queue_and_are_not_dropped() {
    let server = Server::start(|_, socket| {
        thread::sleep(Duration::from_millis(50));
        socket.write_all(OK).map(|()| After::Keep)
    });
    let outcome = load(&server, "--connections 1 --rate 100 --duration 1s");
    outcome.assert_errors(&[]);
    assert_eq!(
        outcome.count("requests/intended"),
        100,
        "the schedule does not wait for the server"
    );
    let (sent, completed) = (outcome.count("requests/sent"), outcome.completed());
    // Completed in the time of the run and the time that it waits for its last responses, two
    // seconds in all.
    assert!((1..=40).contains(&completed), "{completed}");
    assert!(sent <= completed + 1, "{sent}: one connection, one request in flight");
    // Requests that were never sent are in the latencies with their age. Otherwise the largest
    // latency would be that of the last request sent.
    assert!(outcome.count("latency_us/count") > completed + 20, "{:#}", outcome.json);
    assert!(outcome.number("latency_us/p99") >= 700_000.0, "{:#}", outcome.json);
    let (service, latency) = (outcome.number("service_us/p50"), outcome.number("latency_us/p50"));
    assert!(service >= 50_000.0 && service < latency / 2.0, "{service} µs of {latency} µs");
    // The wait for a free connection is caused by the server, not by the generator.
    let lag = outcome.number("send_lag_us/max");
    let longest = outcome.number("latency_us/max");
    assert!(lag < longest / 2.0, "{lag} µs of {longest} µs");
}

/// Returns a server that answers for 200 ms from the first request on, and never again.
fn falling_silent() -> Server {
    let first = OnceLock::new();
    Server::start(move |request, socket| {
        let answers = request.at.duration_since(*first.get_or_init(|| request.at))
            < Duration::from_millis(200);
        if answers { socket.write_all(OK).map(|()| After::Keep) } else { Ok(After::Hold) }
    })
}

#[test]
fn a_server_that_hangs_cannot_look_fast() {
    for arguments in
        ["--connections 1 --duration 800ms", "--connections 1 --rate 100 --duration 800ms"]
    {
        let mut server = None;
        let run = || load(server.insert(falling_silent()), arguments);
        let outcome =
            until_shown("some requests are answered", run, |outcome| outcome.completed() > 0);
        let server = server.expect("it was started");
        assert_eq!(outcome.in_flight(), 1, "{:#}", outcome.json);
        let max = outcome.number("latency_us/max");
        // The last request was due before it came, and the run ended no sooner than its duration
        // after the first request.
        let requests = server.requests();
        let between = requests[requests.len() - 1].at.duration_since(requests[0].at);
        let least = Duration::from_millis(799).saturating_sub(between);
        assert!(max >= least.as_micros() as f64, "{max} µs of {least:?} with {arguments}");
    }
}

#[test]
fn a_server_that_hangs_cannot_look_fast_although_requests_time_out() {
    let run =
        || load(&falling_silent(), "--connections 2 --rate 100 --duration 900ms --timeout 300ms");
    let outcome = until_shown("some requests are answered", run, |outcome| outcome.completed() > 0);
    assert!(outcome.count("errors/timeout") > 0, "{:#}", outcome.json);
    let max = outcome.number("latency_us/max");
    assert!(max >= 300_000.0, "{max} µs");
}

#[test]
fn send_lag_is_the_generators_own_and_small() {
    let server = Server::answering(OK, After::Keep);
    let run = || load(&server, "--connections 16 --rate 200 --duration 500ms");
    // The machine is shared and the build is a debug build: only the order of magnitude can be
    // checked, and not always.
    until_shown("a small lag", run, |outcome| outcome.number("send_lag_us/p50") < 5_000.0);
}

/// Returns a server that answers at once, except that it answers request number `after` with
/// `delay`, or never.
fn late_once(after: usize, delay: Option<Duration>) -> Server {
    Server::start(move |request, socket| {
        if request.total == after {
            let Some(delay) = delay else { return Ok(After::Hold) };
            thread::sleep(delay);
        }
        socket.write_all(OK).map(|()| After::Keep)
    })
}

#[test]
fn one_late_response_does_not_lower_the_throughput() {
    let arguments = "--connections 8 --rate 500 --duration 500ms";
    let start = || late_once(240, Some(Duration::from_millis(800)));
    let (_server, outcome) = load_to_the_last(start, arguments);
    assert_eq!(outcome.completed(), 250);
    // If the wait for the last response counted, this product would be below 250.
    let throughput = outcome.number("throughput_rps");
    let duration = outcome.number("duration_s");
    assert!((throughput * duration - 250.0).abs() < 0.5, "{throughput} for {duration} s");
    assert!((duration - 0.5).abs() < 0.001, "{duration}");
    assert!(outcome.count("requests/answered_after_end") >= 1, "{:#}", outcome.json);
    assert_eq!(outcome.count("requests/never_answered"), 0);
    assert!(outcome.number("latency_us/max") >= 800_000.0);
    assert_eq!(outcome.json.pointer("/latency_us/lower_bounds"), None, "it was answered");
}

#[test]
fn one_request_that_is_never_answered_is_counted_and_bounds_the_tail() {
    let arguments = "--connections 8 --rate 500 --duration 500ms";
    let run = || load(&late_once(100, None), arguments);
    let is_alone = |outcome: &Outcome| outcome.completed() == 249;
    let outcome = until_shown("all others are answered", run, is_alone);
    outcome.assert_errors(&[]);
    assert_eq!(outcome.count("requests/never_answered"), 1);
    for times in ["latency_us", "response_us"] {
        let bounds = outcome.json[times]["lower_bounds"].as_array().expect("some are bounds");
        assert_eq!(bounds, &["p99.9", "p99.99", "max"], "{times}");
    }
    assert!(outcome.number("latency_us/p99") < outcome.number("latency_us/p99.9"));
    let text = told(&late_once(100, None), arguments);
    assert!(text.contains("\n  never answered: 1 · ") && text.contains("≥ "), "{text}");
}

/// Returns the text that a run prints.
fn told(server: &Server, arguments: &str) -> String {
    let output =
        command(&server.url(), &words(arguments)).output().expect("the command can be run");
    String::from_utf8(output.stdout).expect("it speaks text")
}

#[test]
fn a_server_that_needs_the_wait_for_the_last_responses_does_not_keep_up() {
    let server = Server::start(|_, socket| {
        thread::sleep(Duration::from_millis(20));
        socket.write_all(OK).map(|()| After::Keep)
    });
    // The server can do two thirds of the offered rate: it takes 750 ms for the requests of 500 ms.
    let outcome = load(&server, "--connections 1 --rate 75 --duration 500ms");
    let (verdict, detail) = outcome.check("offered-rate");
    assert_eq!(verdict, "fail", "{detail}");
}

/// Returns a server that handles one request at a time, each for `service`: a queue with a known
/// service time.
fn one_at_a_time(service: Duration) -> Server {
    let turn = Mutex::new(());
    Server::start(move |_, socket| {
        let _turn = turn.lock().expect("no script panics");
        thread::sleep(service);
        socket.write_all(OK).map(|()| After::Keep)
    })
}

#[test]
fn a_queue_for_few_connections_is_a_result_and_no_fault_of_the_generator() {
    // M/D/1 at a load of about 0.7: most requests find both connections busy, and are sent when the
    // server's response frees one.
    let run = || {
        let server = one_at_a_time(Duration::from_millis(3));
        load(&server, "--connections 2 --rate 220 --arrivals poisson --duration 1500ms")
    };
    // On a machine that is busy with something else, the generator sends in bunches, and the check
    // says so.
    let outcome = until_shown("arrivals that are Poisson", run, |outcome| {
        outcome.check("arrivals").0 == "pass"
    });
    let detail = outcome.check("arrivals").1;
    assert!(detail.contains("found a connection free"), "{detail}");
    assert!(
        outcome.count("send_lag_us/count") < outcome.count("requests/intended"),
        "{:#}",
        outcome.json
    );
}

/// Memory that a run may map, in KiB: a few times the amount that it maps at any rate. A run that
/// kept all requests of the test would need more.
const MAPPED_KIB: u64 = 900_000;

#[test]
fn a_rate_that_no_generator_sends_takes_no_memory_and_is_not_blamed_on_the_server() {
    let server = Server::answering(OK, After::Keep);
    let output = Command::new("sh")
        .args([
            "-c",
            &format!("ulimit -v {MAPPED_KIB}; exec \"$@\""),
            "sh",
            env!("CARGO_BIN_EXE_c10k"),
            "load",
        ])
        .args([&server.url(), "--json", "--connections", "4", "--warmup", "0s"])
        .args(words("--rate 1e8 --duration 200ms"))
        .output()
        .expect("a shell can be run");
    let told = String::from_utf8_lossy(&output.stdout);
    let json: Value =
        serde_json::from_str(&told).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let count = |key: &str| json["requests"][key].as_u64().expect("a count");
    // Every request that was due counts, sent or not, with the delay that it had.
    assert_eq!(count("intended"), 20_000_000);
    assert_eq!(count("never_answered"), count("intended") - count("completed") - count("failed"));
    assert!(json["latency_us"]["count"].as_u64().expect("a count") > 10_000_000, "{told}");
    assert!(told.contains("the generator can't keep up with its own schedule"), "{told}");
}

#[test]
fn a_rate_that_no_generator_sends_does_not_keep_it_from_being_interrupted() {
    for arrivals in ["constant", "poisson"] {
        let server = Server::answering(OK, After::Keep);
        let arguments = format!(
            "--connections 4 --rate 1e8 --arrivals {arrivals} --duration 60s --warmup 10ms"
        );
        let run = Load::start(&server.url(), &words(&arguments));
        wait::until("requests come", || server.requests().len() > 20);
        run.interrupt();
        run.outcome(Duration::from_secs(10));
    }
}

#[test]
fn the_first_request_of_a_low_rate_is_sent_when_it_is_due() {
    let run =
        || load(&Server::answering(OK, After::Keep), "--connections 4 --rate 20 --duration 200ms");
    let outcome = until_shown("a first request on time", run, |outcome| {
        // All requests count; none is lost at the beginning of the measured part.
        assert_eq!(outcome.count("requests/intended"), 4);
        outcome.count("send_lag_us/count") == 4 && outcome.check("send-lag").0 == "pass"
    });
    assert!(outcome.number("send_lag_us/max") < outcome.number("latency_us/max"));
}

#[test]
fn a_rate_that_calls_for_no_request_says_so() {
    let server = Server::answering(OK, After::Keep);
    let outcome = load(&server, "--connections 1 --rate 0.001 --warmup 20ms --duration 20ms");
    assert_eq!(
        outcome.stderr,
        "c10k: no request was due in 20ms at 0.001 requests/s; measure longer, or raise --rate\n"
    );
}
