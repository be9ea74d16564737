//! Ctrl-C: the run ends at once, and what was measured until then is told.

use std::time::Duration;

use crate::command::{Load, words};
use crate::server::{After, OK, Server};
use crate::wait;

/// From Ctrl-C to the end of the process.
const PROMPTLY: Duration = Duration::from_secs(3);

#[test]
fn an_interrupted_run_tells_what_it_measured() {
    for arguments in ["--connections 4 --duration 60s", "--connections 4 --requests 100000000"] {
        let server = Server::answering(OK, After::Keep);
        let run = Load::start(&server.url(), &words(arguments));
        wait::until("requests come", || server.requests().len() > 200);
        std::thread::sleep(Duration::from_millis(100));
        run.interrupt();
        let outcome = run.outcome(PROMPTLY);
        outcome.assert_errors(&[]);
        assert!(outcome.completed() > 0);
        let (duration, rate) = (outcome.number("duration_s"), outcome.number("throughput_rps"));
        assert!((0.01..5.0).contains(&duration), "{:#}", outcome.json);
        assert!((rate * duration - outcome.completed() as f64).abs() < 2.0, "{:#}", outcome.json);
    }
}

#[test]
fn an_interrupted_open_loop_counts_what_it_meant_to_send_until_then() {
    let server = Server::answering(OK, After::Keep);
    let run = Load::start(&server.url(), &words("--connections 4 --rate 500 --duration 60s"));
    wait::until("requests come", || server.requests().len() >= 150);
    run.interrupt();
    let outcome = run.outcome(PROMPTLY);
    let intended = outcome.count("requests/intended");
    assert!((150..2000).contains(&intended), "{intended}");
    assert!(outcome.completed() + 10 >= intended, "{:#}", outcome.json);
}

#[test]
fn a_run_that_is_interrupted_while_it_warms_up_ends_with_nothing_measured() {
    let server = Server::answering(OK, After::Keep);
    let arguments = words("--connections 4 --warmup 60s --duration 1s");
    let run = Load::start(&server.url(), &arguments);
    wait::until("requests come", || server.requests().len() > 20);
    run.interrupt();
    let outcome = run.outcome(PROMPTLY);
    assert_eq!(outcome.completed(), 0, "{:#}", outcome.json);
    assert!(outcome.number("duration_s").abs() < 1e-9, "{:#}", outcome.json);
    assert!(outcome.number("throughput_rps").abs() < 1e-9, "{:#}", outcome.json);
}

#[test]
fn a_run_is_interrupted_although_the_server_hangs() {
    let server = Server::start(|_, _| Ok(After::Hold));
    let run = Load::start(&server.url(), &words("--connections 4 --duration 60s --timeout 60s"));
    wait::until("requests come", || server.requests().len() == 4);
    // A while is given to servers that are slow to begin, before anything is measured.
    std::thread::sleep(Duration::from_millis(1500));
    run.interrupt();
    let outcome = run.outcome(PROMPTLY);
    assert_eq!(outcome.in_flight(), 4, "{:#}", outcome.json);
    assert_eq!(outcome.completed(), 0);
}

#[test]
fn a_run_is_interrupted_while_it_connects() {
    let server = Server::answering(OK, After::Keep);
    let arguments = words("--connections 50 --connect-rate 2 --duration 60s");
    let run = Load::start(&server.url(), &arguments);
    wait::until("the first request comes", || !server.requests().is_empty());
    run.interrupt();
    let outcome = run.outcome(PROMPTLY);
    assert_eq!(outcome.completed(), 0, "{:#}", outcome.json);
}
